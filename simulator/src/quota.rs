//! Quotas: calls per account and action in a sliding second of real time.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::actions::Action;

/// The window, in microseconds.
pub const SECOND: u64 = 1_000_000;

/// The calls of the last second.
#[derive(Debug, Default)]
pub struct Quotas {
    windows: HashMap<(Arc<str>, Action), VecDeque<u64>>,
}

impl Quotas {
    /// Counts a call, unless that would be more than the limit in the second that ends now. A refused call is not counted.
    pub fn admit(&mut self, account: &Arc<str>, action: Action, limit: usize, now: u64) -> bool {
        let window = self
            .windows
            .entry((Arc::clone(account), action))
            .or_default();
        while window
            .front()
            .is_some_and(|at| at.saturating_add(SECOND) <= now)
        {
            window.pop_front();
        }
        let admitted = window.len() < limit;
        if admitted {
            window.push_back(now);
        }
        admitted
    }
}

/// The most of these instants that fall into any sliding second.
pub fn densest_second(mut instants: Vec<u64>) -> usize {
    instants.sort_unstable();
    let mut first = 0;
    let mut most = 0;
    for (last, at) in instants.iter().enumerate() {
        while instants[first].saturating_add(SECOND) <= *at {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_slides() {
        let mut quotas = Quotas::default();
        let account: Arc<str> = "a".into();
        let mut admit = |action, now| quotas.admit(&account, action, 2, now);
        assert!(admit(Action::Stop, 0));
        assert!(admit(Action::Stop, 999_999));
        assert!(!admit(Action::Stop, 999_999));
        assert!(admit(Action::List, 999_999));
        assert!(admit(Action::Stop, 1_000_000));
        assert!(!admit(Action::Stop, 1_999_998));
        assert!(admit(Action::Stop, 1_999_999));
    }

    proptest::proptest! {
        #[test]
        fn what_is_admitted_never_exceeds_the_limit(mut times in proptest::collection::vec(0_u64..5_000_000, 0..200), limit in 0_usize..20) {
            times.sort_unstable();
            let mut quotas = Quotas::default();
            let account: Arc<str> = "a".into();
            let admitted: Vec<u64> =
                times.iter().copied().filter(|at| quotas.admit(&account, Action::Stop, limit, *at)).collect();
            let most = densest_second(admitted);
            proptest::prop_assert!(most <= limit);
            // Nothing is refused without need.
            proptest::prop_assert!(most == limit.min(densest_second(times)));
        }
    }
}
