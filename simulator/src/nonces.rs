//! Which nonces were used. A nonce is remembered for as long as a copy of its request could still carry a valid date.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};

use crate::clock::Millis;

/// A request dated up to 15 minutes ahead stays valid for 30.
const REMEMBERED: Millis = 30 * 60 * 1000;
/// Never more than these: some 1100 calls a second, at 24 bytes each.
const AT_MOST: usize = 2_000_000;

/// The memory.
#[derive(Debug, Default)]
pub struct Nonces {
    hasher: RandomState,
    seen: HashSet<u64>,
    order: VecDeque<(Millis, u64)>,
}

impl Nonces {
    /// Remembers a nonce. False where it was used before.
    pub fn fresh(&mut self, key_id: &str, nonce: &str, now: Millis) -> bool {
        while self
            .order
            .front()
            .is_some_and(|(at, _)| at.saturating_add(REMEMBERED) < now)
            || self.order.len() >= AT_MOST
        {
            if let Some((_, hash)) = self.order.pop_front() {
                self.seen.remove(&hash);
            }
        }
        let hash = self.hasher.hash_one((key_id, nonce));
        let fresh = self.seen.insert(hash);
        if fresh {
            self.order.push_back((now, hash));
        }
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_per_key_while_the_date_can_be_valid() {
        let mut nonces = Nonces::default();
        assert!(nonces.fresh("k", "n", 0));
        assert!(!nonces.fresh("k", "n", REMEMBERED));
        assert!(nonces.fresh("other", "n", REMEMBERED));
        assert!(nonces.fresh("k", "n", REMEMBERED + 1));
        assert_eq!(nonces.order.len(), nonces.seen.len());
        assert_eq!(nonces.order.len(), 2);
    }
}
