//! Keeps every action of every account within its quota.
//!
//! The service counts a call at some moment between its sending and its reply. A permit is therefore held from the sending until one second after
//! the reply, and no more permits than the quota are held at a time: wherever in between the calls are counted, no sliding second has more than the
//! quota. Within that, permits are given out evenly.
//!
//! Passive, and without a clock: every method is told the time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::actions::{Account, Action};
use super::outcome::{Delivery, Failure};
use super::turns::{Lane, Turns};

/// The length of the service's window.
const WINDOW: Duration = Duration::from_secs(1);

/// How far the even pace may run late and be made up for. On a busy machine a timer is late by some milliseconds, and 500 permits in a second
/// are 2 ms apart; without this each delay would be lost for good. The quota does not depend on it: it rests on the permits held.
const CATCH_UP: Duration = Duration::from_millis(20);

/// How long a permit is kept aside for a key whose turn has come. Long enough for a busy process, short enough that one who never comes does not
/// cost the others much.
const KEPT_ASIDE: Duration = Duration::from_secs(5);

/// Who asks for a permit, and by what right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket<K> {
    /// Which calls go first.
    pub lane: Lane,
    /// Namespaces take turns.
    pub namespace: String,
    /// Who is told when the turn has come.
    pub key: K,
}

/// The answer to [`Limiter::take`].
#[derive(Debug)]
#[must_use]
pub enum Taken {
    /// Send now.
    Permit(Permit),
    /// The ticket stands in line; [`Limiter::grants`] names its key when its turn has come.
    Wait,
}

/// Leave to send one request, now. Dropped without a word, it counts as sent and never answered.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    places: Arc<Mutex<Places>>,
    /// When the place is free if no reply comes: a second after the deadline of a call sent when the permit was taken.
    silent_until: Instant,
    /// Whether the place has been accounted for.
    settled: bool,
}

/// The permits of one line that are out, and those whose second has not passed.
#[derive(Debug, Default)]
struct Places {
    out: usize,
    ending: BinaryHeap<Reverse<Instant>>,
}

/// Permits for every (account, action). A cheap handle; clones are one limiter.
#[derive(Debug)]
pub struct Limiter<K>(Arc<Mutex<Inner<K>>>);

#[derive(Debug)]
struct Inner<K> {
    opens: Instant,
    deadline: Duration,
    lines: HashMap<(Account, Action), Line<K>>,
}

/// One action of one account.
#[derive(Debug)]
struct Line<K> {
    quota: usize,
    pace: Duration,
    /// The earliest moment of the next permit.
    slot: Instant,
    waiting: Turns<K>,
    places: Arc<Mutex<Places>>,
    aside: HashMap<K, (Instant, Permit)>,
    /// What was kept aside, in order of time; some of it has been taken since.
    aside_since: VecDeque<(Instant, K)>,
    /// Kept aside and not yet told.
    untold: Vec<K>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here is left half done by a panic elsewhere.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Permit {
    /// The reply came at `now`: the place is free a second later.
    pub fn ended(mut self, now: Instant) {
        self.settle(Some(now + WINDOW));
    }

    /// The request may have been sent, and the caller gave up at `now` without a reply: the place is free a second after the call's deadline.
    pub fn unanswered(mut self, now: Instant) {
        let until = self.silent_until.max(now + WINDOW);
        self.settle(Some(until));
    }

    /// The call ended at `now`, as its failure says where it failed.
    pub fn close(self, failure: Option<&Failure>, now: Instant) {
        match failure {
            Some(failure) if failure.delivery == Delivery::NeverSent => self.unused(),
            // A reply has begun, whatever became of it.
            Some(Failure {
                status: Some(_), ..
            })
            | None => self.ended(now),
            Some(_) => self.unanswered(now),
        }
    }

    /// Nothing was sent: the place is free at once.
    pub fn unused(mut self) {
        self.settle(None);
    }

    fn settle(&mut self, until: Option<Instant>) {
        if !std::mem::replace(&mut self.settled, true) {
            let mut places = locked(&self.places);
            places.out -= 1;
            places.ending.extend(until.map(Reverse));
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.settle(Some(self.silent_until));
    }
}

impl Places {
    fn pass(&mut self, now: Instant) {
        while self.ending.peek().is_some_and(|Reverse(end)| *end <= now) {
            self.ending.pop();
        }
    }

    fn held(&self) -> usize {
        self.out + self.ending.len()
    }
}

impl<K> Clone for Limiter<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Clone + Eq + Hash> Limiter<K> {
    /// A limiter for a process that began at `started` and gives nothing in its first second, since its predecessor may have used the quota until
    /// then. `deadline` is the longest that a call takes.
    #[must_use]
    pub fn new(started: Instant, deadline: Duration) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            opens: started + WINDOW,
            deadline,
            lines: HashMap::new(),
        })))
    }

    /// Asks for a permit: the one kept aside for the ticket's key, a free one if the ticket's turn is now, or else a place in line. A ticket that
    /// stands in line keeps its place, and moves up when its lane does.
    pub fn take(
        &self,
        now: Instant,
        account: &Account,
        action: Action,
        ticket: Ticket<K>,
    ) -> Taken {
        let Ticket {
            lane,
            namespace,
            key,
        } = ticket;
        let Inner {
            opens,
            deadline,
            lines,
        } = &mut *locked(&self.0);
        let line = lines
            .entry((account.clone(), action))
            .or_insert_with(|| Line::new(action, *opens));
        line.expire(now);
        if !line.aside.contains_key(&key) {
            line.waiting.push(lane, &namespace, key.clone());
            line.serve(now);
        }
        match line.collect(&key) {
            Some(mut permit) => {
                permit.silent_until = now + *deadline + WINDOW;
                Taken::Permit(permit)
            }
            None => Taken::Wait,
        }
    }

    /// The keys whose turn has come since this was last asked, once for each action that they wait for. Their permits are kept aside for some
    /// seconds: collect them by [`Limiter::take`], or give them back by [`Limiter::forget`]. A key that let its permit lapse is named once more.
    #[must_use]
    pub fn grants(&self, now: Instant) -> Vec<K> {
        let mut granted = Vec::new();
        for line in locked(&self.0).lines.values_mut() {
            line.expire(now);
            line.serve(now);
            granted.append(&mut line.untold);
        }
        granted
    }

    /// `key` leaves every line and gives back what was kept aside for it.
    pub fn forget(&self, key: &K) {
        for line in locked(&self.0).lines.values_mut() {
            line.waiting.remove(key);
            if let Some(permit) = line.collect(key) {
                permit.unused();
            }
        }
    }

    /// When [`Limiter::grants`] would next give something, as far as is known now: every other call, and every permit's end, can change it.
    #[must_use]
    pub fn next_at(&self, now: Instant) -> Option<Instant> {
        locked(&self.0)
            .lines
            .values()
            .filter_map(|line| line.next_at(now))
            .min()
    }
}

impl<K: Clone + Eq + Hash> Line<K> {
    fn new(action: Action, opens: Instant) -> Self {
        let quota = action.quota_per_second();
        Self {
            quota: usize::try_from(quota).unwrap_or(usize::MAX),
            pace: WINDOW / quota,
            slot: opens,
            waiting: Turns::new(),
            places: Arc::default(),
            aside: HashMap::new(),
            aside_since: VecDeque::new(),
            untold: Vec::new(),
        }
    }

    /// Lets pass what is over at `now`.
    fn expire(&mut self, now: Instant) {
        while let Some((since, key)) = self.aside_since.front()
            && (*since + KEPT_ASIDE <= now || !self.is_aside(key, *since))
        {
            let Some((since, key)) = self.aside_since.pop_front() else {
                break;
            };
            if self.is_aside(&key, since)
                && let Some((_, permit)) = self.aside.remove(&key)
            {
                permit.unused();
                // Told or not, it has to hear of it, so that it asks again: nothing else would wake it.
                if !self.untold.contains(&key) {
                    self.untold.push(key);
                }
            }
        }
        locked(&self.places).pass(now);
    }

    /// What is kept aside for `key`; there is no more to tell of it then.
    fn collect(&mut self, key: &K) -> Option<Permit> {
        let (_, permit) = self.aside.remove(key)?;
        if let Some(at) = self.untold.iter().rposition(|untold| untold == key) {
            self.untold.remove(at);
        }
        Some(permit)
    }

    /// Whether what has been kept aside for `key` since then is still there.
    fn is_aside(&self, key: &K, since: Instant) -> bool {
        self.aside
            .get(key)
            .is_some_and(|(begun, _)| *begun == since)
    }

    /// Keeps permits aside for those whose turn is now.
    fn serve(&mut self, now: Instant) {
        while now >= self.slot && locked(&self.places).held() < self.quota {
            let Some((_, _, key)) = self.waiting.pop() else {
                break;
            };
            self.slot =
                (self.slot + self.pace).max((now + self.pace).checked_sub(CATCH_UP).unwrap_or(now));
            locked(&self.places).out += 1;
            // Given back or taken before it is ever sent.
            let permit = Permit {
                places: Arc::clone(&self.places),
                silent_until: now + WINDOW,
                settled: false,
            };
            self.aside.insert(key.clone(), (now, permit));
            self.aside_since.push_back((now, key.clone()));
            self.untold.push(key);
        }
    }

    fn next_at(&self, now: Instant) -> Option<Instant> {
        if !self.untold.is_empty() {
            return Some(now);
        }
        if self.waiting.is_empty() {
            return None;
        }
        let places = locked(&self.places);
        if places.held() < self.quota {
            return Some(self.slot.max(now));
        }
        let place = places.ending.peek().map(|Reverse(end)| *end);
        let kept = self
            .aside_since
            .iter()
            .find(|(since, key)| self.is_aside(key, *since))
            .map(|(since, _)| *since + KEPT_ASIDE);
        place
            .into_iter()
            .chain(kept)
            .min()
            .map(|free| free.max(self.slot).max(now))
    }
}

#[cfg(test)]
#[path = "limiter_tests.rs"]
mod tests;
