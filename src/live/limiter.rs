//! Keeps every action of every account within its quota.
//!
//! The service counts a call at some moment between its sending and its reply. A permit is therefore held from the sending until one second after
//! the reply, and no more permits than the quota are held at a time: wherever in between the calls are counted, no sliding second has more than the
//! quota. Within that, permits are given out evenly, and no more of them than others leave ([`super::adapt`]): a call that is throttled slows its
//! action for everyone on its account.
//!
//! Passive, and without a clock: every method is told the time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::actions::{Account, Action};
use super::adapt::Pacer;
use super::outcome::{Delivery, Failure, Throttle};
use super::share::QuotaShare;
use super::traffic::{CallId, WINDOW};
use super::turns::{Lane, Turns};

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

/// Leave to send one request, now: [`Permit::sent`] tells when, and then one of the others what became of it. Dropped after the first without the
/// second, the call counts as never answered.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    places: Arc<Mutex<Places>>,
    /// Of the call, once it is sent.
    call: Option<CallId>,
    /// When the place is free if no reply comes: a second after the call's deadline.
    silent_until: Instant,
    /// Whether the place has been accounted for.
    settled: bool,
}

/// The permits of one line that are out, and those whose second has not passed; and what others leave of the quota.
#[derive(Debug)]
struct Places {
    out: usize,
    ending: BinaryHeap<Reverse<Instant>>,
    /// The longest that a call takes.
    deadline: Duration,
    pacer: Pacer,
}

/// What became of a call, as far as the quota goes.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Passed(Instant),
    Refused(Instant, Option<Duration>),
    Lost(Instant),
    Unused,
    /// Nobody has told.
    Unknown,
}

/// Permits for every (account, action). A cheap handle; clones are one limiter.
#[derive(Debug)]
pub struct Limiter<K>(Arc<Mutex<Inner<K>>>);

#[derive(Debug)]
struct Inner<K> {
    opens: Instant,
    deadline: Duration,
    share: QuotaShare,
    lines: HashMap<(Account, Action), Line<K>>,
}

/// One action of one account.
#[derive(Debug)]
struct Line<K> {
    quota: usize,
    /// The earliest moment of the next permit.
    slot: Instant,
    waiting: Turns<K>,
    places: Arc<Mutex<Places>>,
    aside: HashMap<K, (Instant, Permit)>,
    /// What was kept aside, in order of time; some of it has been taken since.
    aside_since: VecDeque<(Instant, K)>,
    /// Kept aside and not yet told.
    untold: Vec<K>,
    /// Who wants to hear of it when calls pass again, and since when.
    hopeful: HashMap<K, Instant>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here is left half done by a panic elsewhere.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Permit {
    /// The call is sent at `now`. From here on its answer is waited for, and a call that is never answered is a sign.
    pub fn sent(&mut self, now: Instant) {
        let mut places = locked(&self.places);
        self.silent_until = now + places.deadline + WINDOW;
        self.call = Some(places.pacer.sent(now));
    }

    /// The reply came at `now`: the place is free a second later.
    pub fn ended(mut self, now: Instant) {
        self.settle(Some(now + WINDOW), Fate::Passed(now));
    }

    /// The service refused the call for the quota, and asks to wait for so long.
    pub fn throttled(mut self, now: Instant, retry_after: Option<Duration>) {
        self.settle(Some(now + WINDOW), Fate::Refused(now, retry_after));
    }

    /// The request may have been sent, and the caller gave up at `now` without a reply: the place is free a second after the call's deadline.
    pub fn unanswered(mut self, now: Instant) {
        let until = self.silent_until.max(now + WINDOW);
        self.settle(Some(until), Fate::Lost(now));
    }

    /// The call ended at `now`, as its failure says where it failed.
    pub fn close(self, failure: Option<&Failure>, now: Instant) {
        match failure.map(|failure| (failure.throttle(), failure)) {
            Some((_, failure)) if failure.delivery == Delivery::NeverSent => self.unused(),
            Some((Some(Throttle::Refused), failure)) => self.throttled(now, failure.retry_after),
            Some((Some(Throttle::Unanswered), _)) => self.unanswered(now),
            // A reply has begun, whatever became of it.
            Some((None, _)) | None => self.ended(now),
        }
    }

    /// Nothing was sent: the place is free at once.
    pub fn unused(mut self) {
        self.settle(None, Fate::Unused);
    }

    fn settle(&mut self, until: Option<Instant>, fate: Fate) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let mut places = locked(&self.places);
        places.out -= 1;
        places.ending.extend(until.map(Reverse));
        let pacer = &mut places.pacer;
        match (fate, self.call) {
            (Fate::Passed(now), Some(call)) => pacer.passed(call, now),
            (Fate::Refused(now, wait), Some(call)) => pacer.refused(call, wait, now),
            (Fate::Lost(now), Some(call)) => pacer.lost(call, now),
            // It becomes overdue.
            (Fate::Unknown, Some(_)) => {}
            (Fate::Unused, call) => pacer.unused(call),
            (Fate::Passed(_) | Fate::Refused(..) | Fate::Lost(_) | Fate::Unknown, None) => {
                pacer.unused(None);
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.settle(Some(self.silent_until), Fate::Unknown);
    }
}

impl Places {
    fn new(quota: u32, deadline: Duration) -> Self {
        Self {
            out: 0,
            ending: BinaryHeap::new(),
            deadline,
            pacer: Pacer::new(quota, deadline),
        }
    }

    fn pass(&mut self, now: Instant) {
        self.pacer.look(now);
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

impl<K: Clone + Eq + Hash> Inner<K> {
    fn line(&mut self, account: &Account, action: Action) -> &mut Line<K> {
        let quota = self.share.of(action.quota_per_second());
        let (opens, deadline) = (self.opens, self.deadline);
        self.lines
            .entry((account.clone(), action))
            .or_insert_with(|| Line::new(quota, opens, deadline))
    }
}

impl<K: Clone + Eq + Hash> Limiter<K> {
    /// A limiter for a process that began at `started` and gives nothing in its first second, since its predecessor may have used the quota until
    /// then. `deadline` is the longest that a call takes; of each quota `share` is ours.
    #[must_use]
    pub fn new(started: Instant, deadline: Duration, share: QuotaShare) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            opens: started + WINDOW,
            deadline,
            share,
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
        let inner = &mut *locked(&self.0);
        let line = inner.line(account, action);
        line.expire(now);
        if !line.aside.contains_key(&key) {
            line.waiting.push(lane, &namespace, key.clone());
            line.serve(now);
        }
        match line.collect(&key) {
            Some(permit) => Taken::Permit(permit),
            None => Taken::Wait,
        }
    }

    /// Calls of this account may have counted elsewhere until now: it gets none for as long as the service may still count them.
    pub fn moved_to(&self, now: Instant, account: &Account) {
        let inner = &mut *locked(&self.0);
        for action in Action::ALL {
            let closed_until = now + inner.deadline + WINDOW;
            let line = inner.line(account, action);
            line.slot = line.slot.max(closed_until);
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
            line.hopeful.remove(key);
            if let Some(permit) = line.collect(key) {
                permit.unused();
            }
        }
    }

    /// A call of `key`, sent at `since`, was throttled, and it will try again in its own time: where the action had come to a standstill,
    /// [`Limiter::woken`] names the key as soon as calls pass again.
    pub fn hope(&self, account: &Account, action: Action, key: K, since: Instant) {
        if let Some(line) = locked(&self.0).lines.get_mut(&(account.clone(), action)) {
            line.hopeful.insert(key, since);
        }
    }

    /// Those of [`Limiter::hope`] for whose action calls pass again, each once.
    #[must_use]
    pub fn woken(&self) -> Vec<K> {
        let mut woken = Vec::new();
        for line in locked(&self.0).lines.values_mut() {
            if let Some(recovered) = line.fulfilled() {
                let keys = line.hopeful.extract_if(|_, since| *since <= recovered);
                woken.extend(keys.map(|(key, _)| key));
            }
        }
        woken
    }

    /// Whether the action came to a standstill and calls have passed again, after this moment.
    #[must_use]
    pub fn has_recovered(&self, account: &Account, action: Action, since: Instant) -> bool {
        let inner = locked(&self.0);
        let line = inner.lines.get(&(account.clone(), action));
        let recovered = line.and_then(|line| locked(&line.places).pacer.recovered());
        recovered.is_some_and(|recovered| recovered >= since)
    }

    /// Calls per second that each action may send at `now`, of the account where that is least.
    #[must_use]
    pub fn limits(&self, now: Instant) -> Vec<(Action, f64)> {
        let inner = locked(&self.0);
        let limit = |action: Action| {
            let own = f64::from(inner.share.of(action.quota_per_second()));
            let lines = inner.lines.iter().filter(|((_, of), _)| *of == action);
            lines
                .map(|(_, line)| {
                    let mut places = locked(&line.places);
                    places.pass(now);
                    places.pacer.limit()
                })
                .fold(own, f64::min)
        };
        let all = Action::ALL.into_iter();
        all.map(|action| (action, limit(action))).collect()
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
    /// `quota`: the calls per second that are ours, at least one.
    fn new(quota: u32, opens: Instant, deadline: Duration) -> Self {
        Self {
            quota: usize::try_from(quota).unwrap_or(usize::MAX),
            slot: opens,
            waiting: Turns::new(),
            places: Arc::new(Mutex::new(Places::new(quota, deadline))),
            aside: HashMap::new(),
            aside_since: VecDeque::new(),
            untold: Vec::new(),
            hopeful: HashMap::new(),
        }
    }

    /// When calls passed again, if somebody has hoped for it.
    fn fulfilled(&self) -> Option<Instant> {
        let recovered = locked(&self.places).pacer.recovered()?;
        let is_one = |since: &Instant| *since <= recovered;
        self.hopeful.values().any(is_one).then_some(recovered)
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
        while now >= self.slot {
            let mut places = locked(&self.places);
            if places.held() >= self.quota || !places.pacer.may_send(now) {
                break;
            }
            let Some((_, _, key)) = self.waiting.pop() else {
                break;
            };
            let pace = WINDOW.div_f64(places.pacer.limit().max(1.0));
            self.slot = (self.slot + pace).max((now + pace).checked_sub(CATCH_UP).unwrap_or(now));
            places.out += 1;
            places.pacer.reserve(now, !self.waiting.is_empty());
            drop(places);
            // Given back before anything is ever sent.
            let permit = Permit {
                places: Arc::clone(&self.places),
                call: None,
                silent_until: now + WINDOW,
                settled: false,
            };
            self.aside.insert(key.clone(), (now, permit));
            self.aside_since.push_back((now, key.clone()));
            self.untold.push(key);
        }
    }

    fn next_at(&self, now: Instant) -> Option<Instant> {
        if !self.untold.is_empty() || self.fulfilled().is_some() {
            return Some(now);
        }
        if self.waiting.is_empty() {
            return None;
        }
        let places = locked(&self.places);
        if places.held() < self.quota {
            return Some(places.pacer.next_at(now).max(self.slot).max(now));
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
