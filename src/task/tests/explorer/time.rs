//! Time is relative: two states that differ in how long ago things happened, but not in what can follow, are one.

use super::world::{SETTLE, State, Stored, TICK, Told};
use crate::{
    api::{Mark, MixedStreamTaskStatus},
    live::{Action, Class},
    task::{
        ledger::Ledger,
        memory::{Identity, Memory},
        retry::Cause,
        seen::Channel,
        trail::Stopped,
    },
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::{collections::BTreeSet, time::Duration};

/// The time of every state.
pub const NOW: i64 = 100_000;
/// Longer than every time that a decision waits for, so that two events that are this far apart may as well be farther. Only then every
/// comparison of two moments, or of one with another and a pace, stays as it is.
const FAR: i64 = 4 * TICK;
/// What happened then or earlier is only told apart by its order.
const LONG_AGO: i64 = 90_000;

/// Two clocks moved at once.
struct Shift<'a> {
    by: &'a mut dyn FnMut(i64) -> i64,
    born: i64,
    new_born: i64,
    now: i64,
    /// Every recorded intent, and every claim that is older than any decision asks.
    intents: &'a BTreeSet<Timestamp>,
    claims: &'a BTreeSet<Timestamp>,
}

fn ranked(order: &BTreeSet<Timestamp>, at: Timestamp, base: i64) -> Timestamp {
    let rank = i64::try_from(order.range(..at).count()).unwrap();
    Timestamp::from_second(base + rank).unwrap()
}

impl Shift<'_> {
    fn wall(&mut self, at: &mut i64) {
        *at = (self.by)(*at);
    }

    fn is_past(&self, at: Duration) -> bool {
        self.born + seconds(at) <= self.now
    }

    fn mono(&mut self, at: &mut Duration) {
        if !at.is_zero() {
            let moved = (self.by)(self.born + seconds(*at));
            *at = Duration::from_secs((moved - self.new_born).unsigned_abs());
        }
    }

    /// A moment that only matters while it is to come.
    fn future(&mut self, at: &mut Duration) {
        if self.is_past(*at) {
            *at = Duration::ZERO;
        } else {
            self.mono(at);
        }
    }

    fn stamp(&mut self, at: &mut Timestamp) {
        *at = Timestamp::from_second((self.by)(at.as_second())).unwrap();
    }

    fn intent(&mut self, intent: &mut Option<Mark>) {
        if let Some(Mark { at: Some(at), .. }) = intent {
            at.0 = ranked(self.intents, at.0, 1000);
        }
    }

    fn ledger(&mut self, ledger: &mut Ledger) {
        let old = self.now - FAR;
        let Ledger {
            intent,
            accepted,
            started_at,
            stopped_at,
            stop_reason: _,
            channel_left_at,
        } = ledger;
        self.intent(intent);
        if let Some(Mark { at: Some(at), .. }) = accepted {
            // Nothing is concluded from a read of the list that is this old.
            if at.0.as_second() <= old - SETTLE || intent.is_none() {
                at.0 = Timestamp::UNIX_EPOCH;
            } else {
                self.stamp(&mut at.0);
            }
        }
        if let Some(at) = stopped_at {
            if at.as_second() <= old {
                *at = Timestamp::UNIX_EPOCH;
            } else {
                self.stamp(at);
            }
        }
        // No world limits how long a relay runs.
        *started_at = started_at.map(|_| Timestamp::UNIX_EPOCH);
        *channel_left_at = channel_left_at.map(|_| Timestamp::UNIX_EPOCH);
    }

    fn stored(&mut self, stored: &mut Stored) {
        let mut status = MixedStreamTaskStatus::clone(&stored.told.status);
        let mut ledger = Ledger::of(&status);
        self.ledger(&mut ledger);
        ledger.write(&mut status);
        if let Some(at) = status.claim.as_mut().and_then(|claim| claim.at.as_mut()) {
            if self.claims.contains(&at.0) {
                at.0 = ranked(self.claims, at.0, 2000);
            } else {
                self.stamp(&mut at.0);
            }
        }
        for condition in &mut status.conditions {
            condition.last_transition_time = Time(Timestamp::UNIX_EPOCH);
        }
        stored.told = Told::new(status);
    }

    fn channel(&mut self, channel: &mut Channel, is_compared: bool) {
        let Channel {
            read,
            live,
            away,
            away_since,
            away_twice: _,
            was_away,
        } = channel;
        for at in [live, away] {
            *at = at.filter(|_| is_compared || *at == *read);
            if let Some(at) = at {
                self.mono(at);
            }
        }
        // An unbroken row counts from its second read on.
        if let (Some(since), Some(read)) = (away_since.as_mut(), read.as_ref())
            && *since < *read
        {
            *since = read.saturating_sub(Duration::from_secs(TICK.unsigned_abs()));
        }
        for at in [read, away_since].into_iter().flatten() {
            self.mono(at);
        }
        if let Some((since, last)) = was_away {
            self.mono(since);
            self.mono(last);
        }
    }

    fn memory(&mut self, memory: &mut Memory, is_asking: bool, read: Option<Duration>) {
        let Memory {
            trail,
            waits,
            bought: _,
            writable_at,
            ledger,
            intended,
            start_open,
            unanswered: _,
            stop_open,
            identity,
            exists,
            foreign: _,
            asked,
            refused,
        } = memory;
        if !is_refused(waits) {
            *refused = None;
        }
        let is_judged = is_asking || trail.stopped != Stopped::Unknown;
        let (born, new_born) = (self.born, self.new_born);
        let mono_now = Duration::from_secs((self.now - born).unsigned_abs());
        let by = std::cell::RefCell::new(&mut *self.by);
        let mut ours = |at: Duration| {
            if at.is_zero() {
                return at;
            }
            let moved = (by.borrow_mut())(born + seconds(at));
            Duration::from_secs((moved - new_born).unsigned_abs())
        };
        let mut services = |at: i64| (by.borrow_mut())(at);
        trail.retime(mono_now, &mut ours, &mut services);
        waits.retime(mono_now, Timestamp::from_second(NOW).unwrap(), &mut ours);
        self.future(writable_at);
        if let Some(ledger) = ledger {
            self.ledger(ledger);
        }
        self.intent(intended);
        if let Some(at) = stop_open {
            self.future(at);
        }
        if let Some(at) = start_open {
            if is_judged {
                self.mono(at);
            } else {
                self.future(at);
            }
        }
        if let Some(Identity { asked, shows: _ }) = identity {
            *asked = Duration::ZERO;
        }
        if let Some(at) = exists {
            self.future(at);
        }
        if let Some(at) = asked {
            if read.is_some_and(|read| read >= *at) {
                *at = Duration::ZERO;
            } else {
                self.mono(at);
            }
        }
        if let Some(at) = refused {
            self.mono(at);
        }
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap()
}

/// Whether the moment of the last refused Start matters.
fn is_refused(waits: &crate::task::retry::Waits) -> bool {
    waits.get(Action::StartLiveMpuTask).is_some_and(|wait| {
        [Class::ChannelAbsent, Class::RequestRejected]
            .map(Cause::Answer)
            .contains(&wait.cause)
    })
}

impl State {
    /// Makes it now again, and lets everything be as long ago as matters.
    pub fn settle_times(&mut self) {
        let old = Timestamp::from_second(self.now - FAR).unwrap();
        let (mut intents, mut claims) = (BTreeSet::new(), BTreeSet::new());
        for object in &self.objects {
            let stored = [&object.stored, &object.seen].into_iter().flatten();
            for status in stored.map(|stored| &stored.told.status) {
                intents.extend(
                    status
                        .intent
                        .iter()
                        .filter_map(|mark| mark.at.as_ref())
                        .map(|at| at.0),
                );
                let claim = status.claim.iter().filter_map(|claim| claim.at.as_ref());
                claims.extend(claim.map(|at| at.0).filter(|at| *at < old));
            }
            let ledger = object
                .memory
                .ledger
                .iter()
                .filter_map(|ledger| ledger.intent.as_ref());
            let known = ledger.chain(&object.memory.intended);
            intents.extend(known.filter_map(|mark| mark.at.as_ref()).map(|at| at.0));
        }
        for read in &mut self.lists {
            let is_of_use =
                |begun: i64, shown: &[bool]| begun > self.now - FAR && shown.contains(&false);
            if let Some((begun, shown)) = read
                && !is_of_use(*begun, shown)
            {
                *read = None;
            }
        }
        let mut points = vec![self.now];
        let mut collect = |at| {
            points.push(at);
            at
        };
        self.retime(&mut collect, (&intents, &claims));
        // They are in their places now.
        let places = |base: i64, old: &BTreeSet<Timestamp>| -> BTreeSet<Timestamp> {
            (base..)
                .map(|at| Timestamp::from_second(at).unwrap())
                .take(old.len())
                .collect()
        };
        (intents, claims) = (places(1000, &intents), places(2000, &claims));
        points.sort_unstable();
        points.dedup();
        let place = points.binary_search(&self.now).unwrap();
        let mut moved = points.clone();
        moved[place] = NOW;
        for index in (0..place).rev() {
            let gap = (points[index + 1] - points[index]).min(FAR);
            moved[index] = moved[index + 1] - gap;
        }
        for index in place + 1..points.len() {
            moved[index] = NOW + (points[index] - points[place]);
        }
        self.retime(
            &mut |at| points.binary_search(&at).map_or(at, |index| moved[index]),
            (&intents, &claims),
        );
    }

    fn retime(
        &mut self,
        by: &mut dyn FnMut(i64) -> i64,
        (intents, claims): (&BTreeSet<Timestamp>, &BTreeSet<Timestamp>),
    ) {
        let born = self.born;
        let mut by = |at: i64| if at <= LONG_AGO { at } else { by(at) };
        let new_born = if self.now - born < FAR {
            by(born)
        } else {
            LONG_AGO
        };
        let new_now = by(self.now);
        let mut shift = Shift {
            by: &mut by,
            born,
            new_born,
            now: self.now,
            intents,
            claims,
        };
        let has_late = !self.late.is_empty();
        for slot in &mut self.slots {
            if let Some(task) = &mut slot.task {
                if has_late || task.since > self.now - SETTLE {
                    shift.wall(&mut task.since);
                } else {
                    task.since = 0;
                }
            }
            if let Some((task, ended)) = &mut slot.ended {
                task.since = 0;
                shift.wall(ended);
            }
        }
        for late in &mut self.late {
            shift.wall(&mut late.sent);
            shift.wall(&mut late.until);
        }
        let mut is_compared = false;
        let read = self.channel.read;
        for object in &mut self.objects {
            is_compared |= is_refused(&object.memory.waits);
            if object.seen == object.stored {
                object.seen = None;
                if let Some(stored) = &mut object.stored {
                    shift.stored(stored);
                }
                object.seen.clone_from(&object.stored);
            } else {
                for stored in [&mut object.stored, &mut object.seen].into_iter().flatten() {
                    shift.stored(stored);
                }
            }
            let is_asking = object.pending.is_some();
            shift.memory(&mut object.memory, is_asking, read);
            if let Some(pending) = &mut object.pending {
                shift.wall(&mut pending.sent);
            }
        }
        for read in self.lists.iter_mut().flatten() {
            shift.wall(&mut read.0);
        }
        if let Some(read) = &mut self.list_read {
            shift.wall(&mut read.0);
        }
        if let Some(read) = &mut self.channel_read {
            shift.wall(&mut read.0);
        }
        shift.channel(&mut self.channel, is_compared);
        for (_, until) in &mut self.cooling {
            shift.wall(until);
        }
        for hot in &mut self.hot {
            shift.wall(&mut hot.until);
        }
        (self.born, self.now) = (new_born, new_now);
    }
}
