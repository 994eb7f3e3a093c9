//! How much of an account's quota is left for us, learnt from what becomes of our calls.
//!
//! Others use the account too, and nobody tells how much they leave. When the service refuses a call for the quota, or swallows it, what passed
//! in the second before is what there is. From then on a little less is sent; after a while a little more is tried, and where that passes, soon
//! twice that. Where nothing passes, single calls probe, ever more rarely, until one is answered. So of the calls in excess only the probes, and
//! what was on its way when the quota shrank, are ours.
//!
//! A swallowed call is not waited for until its deadline: one that is overdue, by how long answers take otherwise, counts as lost, and if it is
//! answered after all, that is undone.
//!
//! Passive, and without a clock: every method is told the time.

use std::time::{Duration, Instant};

use super::growth::Growth;
use super::latency::Latency;
use super::traffic::{CallId, Pending, Traffic, WINDOW};

/// What is sent of what passed, after the first, the second, … sign in a row that it is too much.
const KEPT: [f64; 4] = [Growth::EASED, 0.9, 0.75, 0.5];
/// How long nothing more than what has passed before is tried.
const PLATEAU: Duration = Duration::from_secs(1);
/// In what time the excess doubles that is tried beyond it, where answers are quick.
const DOUBLING: Duration = Duration::from_millis(200);
/// After so long without a sign it says nothing any more.
const FORGOTTEN: Duration = Duration::from_mins(1);
/// Between two probes, at first and at most.
const PROBES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(4));
/// So many calls more may be out than answers as late as usual explain, before others follow them: a service that swallows calls is noticed when
/// they are overdue, and until then it would get all.
const OUT: f64 = 16.0;
/// So many calls in a row without an answer, over a whole window, and the service answers nothing.
const SILENCE: u32 = 3;
/// One lost among so many that passed is an accident of the network.
const ACCIDENT: u32 = 100;
/// How often growth and silence are looked at while somebody waits.
const LOOK: Duration = Duration::from_millis(50);

/// What is left of one action's quota.
#[derive(Debug)]
pub(super) struct Pacer {
    /// Calls per second that may be sent at most.
    ceiling: f64,
    deadline: Duration,
    phase: Phase,
    /// What passed in the second before the last sign.
    known: f64,
    /// When the limit was lowered last: what was sent before says nothing of the new one.
    lowered: Option<Instant>,
    /// Signs in a row with nothing passing in between.
    rounds: usize,
    /// As it was before calls became overdue that may be answered yet.
    undo: Option<Undo>,
    /// Calls in a row without an answer, and when the first of them was sent.
    lost: (u32, Option<Instant>),
    /// Calls that passed since one was lost.
    passes: u32,
    traffic: Traffic,
    /// When something was given out last, and whether others stood in line then: only then is the limit in full use.
    busy: Option<(Instant, bool)>,
    latency: Latency,
    recovered: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Nothing says that there is less than the quota.
    Free,
    Limited(Growth),
    /// Nothing passes; single calls probe.
    Closed {
        since: Instant,
        next: Instant,
        pause: Duration,
        failed: u32,
    },
}

#[derive(Debug, Clone, Copy)]
struct Undo {
    phase: Phase,
    known: f64,
    lowered: Option<Instant>,
    rounds: usize,
}

/// A call that found no room, and how that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// With the service's own delay.
    Refused(Duration),
    /// The connection ended.
    Lost,
    Overdue,
}

impl Pacer {
    /// Nothing is known yet. `ceiling`: the calls per second that may be sent at most; `deadline`: the longest that a call takes.
    pub fn new(ceiling: u32, deadline: Duration) -> Self {
        Self {
            ceiling: f64::from(ceiling),
            deadline,
            phase: Phase::Free,
            known: 0.0,
            lowered: None,
            rounds: 0,
            undo: None,
            lost: (0, None),
            passes: 0,
            traffic: Traffic::default(),
            busy: None,
            latency: Latency::default(),
            recovered: None,
        }
    }

    /// Calls per second that may be sent now; zero where only probes may.
    pub fn limit(&self) -> f64 {
        match &self.phase {
            Phase::Free => self.ceiling,
            Phase::Limited(growth) => growth.limit().clamp(1.0, self.ceiling),
            Phase::Closed { .. } => 0.0,
        }
    }

    /// When, after nothing had passed for a while, something did again.
    pub fn recovered(&self) -> Option<Instant> {
        self.recovered
    }

    /// Lets pass what is over at `now`, and takes overdue calls for lost.
    pub fn look(&mut self, now: Instant) {
        self.traffic.pass(now);
        while let Some(overdue) = self.traffic.take_overdue(self.overdue_after(), now) {
            self.undo.get_or_insert(Undo {
                phase: self.phase,
                known: self.known,
                lowered: self.lowered,
                rounds: self.rounds,
            });
            self.sign(overdue, Sign::Overdue, now);
        }
        // Nobody tells of a permit that was dropped.
        if self.traffic.forget(self.deadline + WINDOW, now) {
            self.undo = None;
        }
        let is_limited = matches!(self.phase, Phase::Limited(_));
        let is_old = self
            .lowered
            .is_some_and(|lowered| lowered + FORGOTTEN <= now);
        if is_limited && (is_old || self.limit() >= self.ceiling) {
            self.phase = Phase::Free;
            self.rounds = 0;
        }
    }

    /// Whether a call may be sent. [`Pacer::look`] comes before.
    pub fn may_send(&self, now: Instant) -> bool {
        match &self.phase {
            Phase::Closed { since, next, .. } => *next <= now && !self.traffic.is_out_since(*since),
            Phase::Free | Phase::Limited(_) => {
                self.has_room() && !self.waits_for_one() && !self.waits_for_answers()
            }
        }
    }

    /// When it may be worth asking again whether a call may be sent.
    pub fn next_at(&self, now: Instant) -> Instant {
        if self.may_send(now) {
            return now;
        }
        let look = now + LOOK;
        match &self.phase {
            // A probe is out.
            Phase::Closed { next, .. } => look.max(*next),
            Phase::Free | Phase::Limited(_) => {
                self.traffic.room_at().map_or(look, |room| room.min(look))
            }
        }
    }

    /// A call is about to be sent; `others` stand in line.
    pub fn reserve(&mut self, now: Instant, others: bool) {
        self.traffic.reserve();
        if let Some((before, true)) = self.busy
            && let Phase::Limited(growth) = &mut self.phase
        {
            // A pause that the limit does not explain is no use of it.
            let limit = growth.limit().clamp(1.0, self.ceiling);
            let most = Duration::from_secs_f64(2.0 / limit).max(DOUBLING);
            growth.busy += now.saturating_duration_since(before).min(most);
        }
        self.busy = Some((now, others));
    }

    /// It is sent now.
    pub fn sent(&mut self, now: Instant) -> CallId {
        self.traffic.sent(now)
    }

    /// It was not sent; `id` where it had been taken for sent.
    pub fn unused(&mut self, id: Option<CallId>) {
        let Some(id) = id else {
            self.traffic.release();
            return;
        };
        self.traffic.uncount(id);
        let ended = self.traffic.ended(id);
        if ended.is_some_and(|ended| ended.overdue) {
            let (count, since) = &mut self.lost;
            *count = count.saturating_sub(1);
            if *count == 0 {
                *since = None;
            }
            // The signs of the others stand as long as nobody knows what becomes of them.
            if !self.traffic.has_overdue() {
                self.take_back();
            }
        }
    }

    /// It was answered, and not refused for the quota.
    pub fn passed(&mut self, id: CallId, now: Instant) {
        let Some(pending) = self.answered(id, now) else {
            return;
        };
        self.passes = self.passes.saturating_add(1);
        match self.phase {
            Phase::Closed { since, failed, .. } if pending.sent >= since => {
                self.reopen(failed, now);
            }
            Phase::Free | Phase::Limited(_) | Phase::Closed { .. } if pending.overdue => {
                self.take_back();
            }
            Phase::Free | Phase::Limited(_) | Phase::Closed { .. } => {}
        }
        if self.lowered.is_none_or(|lowered| pending.sent >= lowered) {
            self.rounds = 0;
        }
    }

    /// The service refused it for the quota, and asks to wait for so long.
    pub fn refused(&mut self, id: CallId, retry_after: Option<Duration>, now: Instant) {
        if let Some(pending) = self.answered(id, now) {
            self.undo = None;
            self.traffic.uncount(id);
            let wait = retry_after.unwrap_or_default();
            self.sign(pending, Sign::Refused(wait), now);
        }
    }

    /// It had no answer, and will have none.
    pub fn lost(&mut self, id: CallId, now: Instant) {
        let Some(pending) = self.traffic.ended(id) else {
            return;
        };
        self.undo = None;
        if !pending.overdue {
            self.traffic.uncount(id);
            self.sign(pending, Sign::Lost, now);
        }
    }

    fn answered(&mut self, id: CallId, now: Instant) -> Option<Pending> {
        let pending = self.traffic.ended(id)?;
        self.lost = (0, None);
        self.latency
            .answered(now.saturating_duration_since(pending.sent));
        Some(pending)
    }

    /// As it was before calls were taken for lost that are not.
    fn take_back(&mut self) {
        if let Some(before) = self.undo.take() {
            self.phase = before.phase;
            self.known = before.known;
            self.lowered = before.lowered;
            self.rounds = before.rounds;
        }
    }

    /// From when on a call without an answer counts as lost.
    fn overdue_after(&self) -> Duration {
        self.latency.overdue_after().min(self.deadline)
    }

    fn has_room(&self) -> bool {
        let counted = u32::try_from(self.traffic.counted()).unwrap_or(u32::MAX);
        f64::from(counted) < self.limit().round()
    }

    /// After two signs in a row the next call has to pass before others follow it.
    fn waits_for_one(&self) -> bool {
        let is_out = |at| self.traffic.is_out_since(at);
        self.rounds >= 2 && self.lowered.is_some_and(is_out)
    }

    /// Whether more calls are out than there should be.
    fn waits_for_answers(&self) -> bool {
        let Some(latency) = self.latency.usual() else {
            return false;
        };
        let usual = self.limit() * latency.as_secs_f64();
        f64::from(u32::try_from(self.traffic.out()).unwrap_or(u32::MAX)) >= usual + OUT
    }

    fn sign(&mut self, of: Pending, sign: Sign, now: Instant) {
        let mut is_accident = false;
        if !sign.is_answer() {
            let (count, since) = &mut self.lost;
            *count += 1;
            since.get_or_insert(of.sent);
            is_accident = std::mem::take(&mut self.passes) >= ACCIDENT;
        }
        if let Phase::Closed {
            since,
            next,
            pause,
            failed,
        } = &mut self.phase
        {
            if of.sent >= *since {
                *failed += 1;
                *pause = (*pause * 2).min(PROBES.1);
                *next = now + sign.wait().max(*pause);
            }
            return;
        }
        if is_accident {
            return;
        }
        let passed = f64::from(u32::try_from(of.before).unwrap_or(u32::MAX));
        if self.lowered.is_some_and(|lowered| of.sent < lowered) {
            // It was on its way when the limit was lowered. It may tell more exactly what there is.
            if let Phase::Limited(growth) = &mut self.phase
                && passed < self.known
                && sign.is_answer()
            {
                self.known = passed;
                growth.known = passed;
                growth.from = growth.from.min(passed * KEPT[0]).max(1.0);
            }
        } else {
            self.rounds += 1;
            // Where calls passed in between it is not much less than before: our own count is off by what is delayed on the way. Of an overdue
            // call too much has happened since.
            let least = match &self.phase {
                Phase::Limited(growth) if self.rounds == 1 && sign != Sign::Overdue => {
                    growth.known * KEPT[0]
                }
                Phase::Free | Phase::Limited(_) | Phase::Closed { .. } => 0.0,
            };
            self.known = passed.max(least);
            self.lowered = Some(now);
            let kept = KEPT[self.rounds.min(KEPT.len()) - 1];
            self.limit_to(self.known * kept, sign, now);
        }
        let (count, since) = self.lost;
        if count >= SILENCE && since.is_some_and(|since| since + WINDOW <= now) {
            self.close(sign, now);
        }
    }

    fn limit_to(&mut self, limit: f64, sign: Sign, now: Instant) {
        // A call can be lost without any fault of the quota.
        let least = match sign {
            Sign::Refused(_) => 0.5,
            Sign::Lost | Sign::Overdue => (self.ceiling / 100.0).max(1.0),
        };
        if limit < 0.5 && least <= 0.5 {
            self.close(sign, now);
            return;
        }
        let (plateau, doubling) = match sign {
            Sign::Refused(wait) => (PLATEAU.max(wait), DOUBLING),
            Sign::Lost => (PLATEAU, DOUBLING),
            // Each call too many is out until its deadline.
            Sign::Overdue => (
                PLATEAU.max(self.deadline / 4),
                DOUBLING.max(self.overdue_after() * 2),
            ),
        };
        self.phase = Phase::Limited(Growth {
            from: limit.max(least).max(1.0),
            known: self.known.max(least).max(1.0),
            step: self.step(),
            plateau,
            doubling,
            busy: Duration::ZERO,
        });
    }

    fn close(&mut self, sign: Sign, now: Instant) {
        self.lowered = Some(now);
        self.phase = Phase::Closed {
            since: now,
            next: now + sign.wait().max(PROBES.0),
            pause: PROBES.0,
            failed: 0,
        };
    }

    /// A probe was answered.
    fn reopen(&mut self, failed: u32, now: Instant) {
        self.undo = None;
        self.rounds = 0;
        self.lowered = Some(now);
        // One that failed by itself may have had its own reasons; after a probe that failed too, it was the account.
        if failed > 0 {
            self.recovered = Some(now);
        }
        let step = self.step();
        self.known = self.known.max(2.0 * step);
        self.phase = Phase::Limited(Growth {
            from: step.max(self.known / 2.0),
            known: self.known,
            step,
            plateau: Duration::ZERO,
            doubling: DOUBLING,
            busy: Duration::ZERO,
        });
    }

    /// What is tried at first beyond what is known.
    fn step(&self) -> f64 {
        (self.ceiling / 250.0).max(1.0)
    }
}

impl Sign {
    fn wait(self) -> Duration {
        match self {
            Self::Refused(wait) => wait,
            Self::Lost | Self::Overdue => Duration::ZERO,
        }
    }

    fn is_answer(self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::Lost | Self::Overdue => false,
        }
    }
}

#[cfg(test)]
#[path = "adapt_hand_tests.rs"]
mod hand_tests;
#[cfg(test)]
#[path = "adapt_tests.rs"]
mod tests;
