//! A relay that lives: started when there is somebody to relay, updated when the manifest changes, told truly when it stopped, started again
//! only if that is wanted.

mod ending;
mod starting;
mod updating;

use super::{
    Facts, Step, Turn, Wanted, claim_of, handled_while_waiting, on_our_clock,
    stopping::{Progress, pursue},
    tell, turn,
};
use crate::{
    api::{Claim, ConditionType, DesiredState, Reason, RestartPolicy, StopReason},
    live::{Action, Class},
    task::{
        access::Keys,
        evidence::Call,
        ledger::{Ledger, State},
        memory::{Memory, Shows},
        ownership::Standing,
        retry::{Cause, Moment, Paces},
        trail::{Stopped, Trail},
        verdict::{self, Verdict, relay as tale, whole_seconds},
        view::View,
    },
};
use ending::Gone;
use jiff::Timestamp;
use std::time::Duration;

/// An output must not be used again this soon after the task that used it stopped (dossier 3.1).
pub const COOL_DOWN: Duration = Duration::from_secs(10);

/// A relay with an end to come is looked at this often: the clock of the day, which its end is told by, may have been set, and the machine may
/// have been paused.
const CLOCK_CHECK: Duration = Duration::from_mins(1);

pub(super) fn plan(facts: Facts<'_>, memory: &Memory, paces: &Paces, now: Moment) -> Step {
    let life = Life::of(facts, memory, paces, now);
    let view = life.view;
    let claim = view.status.claim.clone();
    let idle = |verdict: Verdict| life.settled(verdict, None);
    if let Some(defect) = view.ids.as_ref().err().or(view.defect.as_ref()) {
        return idle(verdict::invalid_spec(view, defect, claim));
    }
    if view.suspend {
        return idle(verdict::suspended(view, claim));
    }
    match facts.standing {
        Standing::Unsure => return Step::Rest(None),
        Standing::Contested(rival) => return idle(verdict::task_id_in_use(rival, claim)),
        Standing::Disputed(rival) => return idle(verdict::task_id_disputed(view, rival)),
        Standing::Entitled | Standing::Holder => {}
    }
    if !facts.allowed {
        return idle(verdict::app_not_allowed(view, claim));
    }
    if let Keys::Unread(until) = facts.keys {
        return Step::Rest(*until);
    }
    if let Some(step) = life.look_whether_back() {
        return step;
    }
    let is_over = life.limit().is_some_and(|limit| limit <= now.wall);
    let state = life.ledger.state();
    let is_unsent = state == State::Open && life.holds_intent();
    match (view.desired, state) {
        // Without credentials nothing is claimed.
        (DesiredState::Stopped, State::Never) if life.unusable().is_some() => {
            idle(tale::not_started(claim))
        }
        (DesiredState::Stopped, State::Never) => {
            let claim = match facts.wanted {
                Wanted::Known(wanted)
                    if facts.output_taken.is_none() && facts.cool_until <= now.mono =>
                {
                    claim_of(facts, &wanted.outputs, now)
                }
                Wanted::Known(_) | Wanted::Nothing | Wanted::Unavailable { .. } => life.claim(),
            };
            // The outputs are claimed when they have cooled down.
            let until = Some(facts.cool_until).filter(|until| *until > now.mono);
            life.settled(tale::not_started(Some(claim)), until)
        }
        (DesiredState::Stopped, State::Stopped) => life.stopped_as_asked(),
        (DesiredState::Running, State::Stopped) if is_over => {
            idle(tale::completed(view, &life.ledger, is_over, claim))
        }
        (desired, State::Open)
            if is_unsent && !memory.unanswered && (is_over || desired == DesiredState::Stopped) =>
        {
            Step::Learn(Box::new(life.ledger.clone().refused()))
        }
        (DesiredState::Stopped, State::Open | State::Running) => life.stop(StopReason::Requested),
        (DesiredState::Running, State::Open | State::Running) if is_over => {
            life.stop(StopReason::MaxDuration)
        }
        (DesiredState::Running, State::Running) => life.run(),
        // Nobody tells whether it runs: it must not do so for longer than it may.
        (DesiredState::Running, State::Open)
            if !is_unsent && life.is_list_lost() && life.is_over_if_sent() =>
        {
            life.stop(StopReason::MaxDuration)
        }
        (DesiredState::Running, State::Open) if life.has_trail() => life.forget_trail(),
        (DesiredState::Running, State::Open) if !is_unsent => life.resolve(),
        (DesiredState::Running, State::Never | State::Open) => life.start(),
        (DesiredState::Running, State::Stopped) => life.stopped(),
    }
}

struct Life<'a> {
    facts: Facts<'a>,
    view: &'a View,
    memory: &'a Memory,
    paces: &'a Paces,
    now: Moment,
    ledger: Ledger,
}

impl<'a> Life<'a> {
    fn of(facts: Facts<'a>, memory: &'a Memory, paces: &'a Paces, now: Moment) -> Self {
        Self {
            facts,
            view: facts.view,
            memory,
            paces,
            now,
            ledger: memory.ledger(facts.view),
        }
    }

    /// Tells a verdict that waits for no call: a request for a reconcile is answered by having looked.
    fn settled(&self, verdict: Verdict, until: Option<Duration>) -> Step {
        let until = until.into_iter().chain(self.ends_at()).min();
        let verdict = verdict
            .with(self.ledger.clone())
            .handling(self.view.requested.clone());
        tell(self.view, verdict, self.memory, self.now, until)
    }

    /// Tells a verdict while a call waits for its time.
    fn waiting(&self, verdict: Verdict, until: Duration) -> Step {
        let until = self.ends_at().map_or(until, |end| end.min(until));
        let verdict = verdict
            .with(self.ledger.clone())
            .handling(handled_while_waiting(self.view, self.memory));
        tell(self.view, verdict, self.memory, self.now, Some(until))
    }

    /// When to look whether the time of the relay is over, if that is still to come.
    fn ends_at(&self) -> Option<Duration> {
        let limit = self.limit().filter(|limit| *limit > self.now.wall)?;
        Some(on_our_clock(limit, self.now).min(self.now.mono + CLOCK_CHECK))
    }

    fn limit(&self) -> Option<Timestamp> {
        self.ledger.limit(self.view)
    }

    fn claim(&self) -> Claim {
        let outputs = self.view.claimed_outputs();
        claim_of(self.facts, outputs, self.now)
    }

    /// Why its credentials are not to begin anything with.
    fn unusable(&self) -> Option<(Reason, &'a str)> {
        match self.facts.keys {
            Keys::Given | Keys::Unread(_) => None,
            Keys::Unusable {
                reason,
                message,
                left: _,
            } => Some((*reason, message)),
        }
    }

    /// The recorded intent is this process's, and no Start was sent on it that can have taken effect.
    fn holds_intent(&self) -> bool {
        self.memory.intended.is_some() && self.memory.intended == self.ledger.intent
    }

    fn pursue(&self) -> Progress {
        let Ok(ids) = &self.view.ids else {
            return Progress::Next(Step::Rest(None));
        };
        let (memory, paces) = (self.memory, self.paces);
        pursue(self.facts, ids, memory, &self.ledger, paces, self.now)
    }

    fn stop(&self, reason: StopReason) -> Step {
        match self.pursue() {
            Progress::Proven(_) => {
                Step::Learn(Box::new(self.ledger.clone().stopped(reason, self.now.wall)))
            }
            Progress::Next(step) => step,
        }
    }

    fn stopped_as_asked(&self) -> Step {
        // From then on it is stopped because that is asked for: asking for the contrary starts it again.
        let as_asked = || {
            Step::Learn(Box::new(Ledger {
                stop_reason: Some(StopReason::Requested),
                ..self.ledger.clone()
            }))
        };
        match self.ledger.stop_reason {
            Some(StopReason::Requested) => {
                let is_over = self.limit().is_some_and(|limit| limit <= self.now.wall);
                self.settled(tale::stopped(is_over, Some(self.claim())), None)
            }
            Some(StopReason::MaxDuration) => as_asked(),
            // It is only taken for stopped: the lists lag.
            Some(StopReason::ChannelEmpty | StopReason::StoppedElsewhere | StopReason::Unknown)
            | None => match self.pursue() {
                Progress::Proven(_) => as_asked(),
                Progress::Next(step) => step,
            },
        }
    }

    /// It runs, as far as is known.
    fn run(&self) -> Step {
        // A break, or the end of its time, that was taken back while its Stop was on the way.
        if let Stopped::Accepted { .. } = self.memory.trail.stopped {
            return Step::Learn(Box::new(
                self.ledger
                    .clone()
                    .stopped(StopReason::Requested, self.now.wall),
            ));
        }
        match self.gone() {
            // The likelier reason, and one that was taken back. Another Stop makes certain that nothing runs before it is started again.
            Some(Gone { since, .. }) if self.may_be_our_stop(since) => {
                return self.stop(StopReason::Requested);
            }
            Some(Gone { reason, .. }) => {
                return Step::Learn(Box::new(self.ledger.clone().stopped(reason, self.now.wall)));
            }
            None if self.has_trail() => return self.forget_trail(),
            None => {}
        }
        let claim = Some(self.claim());
        if let Some((reason, message)) = self.unusable() {
            let verdict = tale::unavailable(reason, message, true, claim);
            return self.settled(self.runs_on(verdict), None);
        }
        match self.facts.wanted {
            Wanted::Known(wanted) if self.ledger.accepted_hash() != Some(wanted.hash.as_str()) => {
                self.update(wanted)
            }
            // What was dropped from the outputs is free for others.
            Wanted::Known(wanted) => {
                let claim = claim.map(|claim| Claim {
                    outputs: wanted.outputs.clone(),
                    ..claim
                });
                self.settled(self.running(claim), None)
            }
            Wanted::Nothing => self.settled(self.running(claim), None),
            Wanted::Unavailable { reason, message } => {
                let generation = self
                    .ledger
                    .accepted
                    .as_ref()
                    .and_then(|mark| mark.generation);
                // A Secret that is lost changes nothing; an address that is none is a change that cannot be sent.
                let is_current = generation == Some(self.view.generation)
                    && self.ledger.accepted_hash().is_some()
                    && reason.condition() != ConditionType::Stalled;
                let verdict = if is_current {
                    self.running(claim).but(tale::address_lost(message))
                } else {
                    self.runs_on(tale::unavailable(*reason, message, true, claim))
                };
                self.settled(verdict, None)
            }
        }
    }

    fn running(&self, claim: Option<Claim>) -> Verdict {
        let unseen = self.facts.seen.list_lost.is_some();
        self.runs_on(tale::running(self.view, unseen, claim))
    }

    /// The verdict on a relay that runs, with what keeps us from seeing that it does.
    fn runs_on(&self, verdict: Verdict) -> Verdict {
        match &self.facts.seen.list_lost {
            Some(fault) => verdict.but(tale::unseen(self.view, fault)),
            None => verdict,
        }
    }

    /// What an earlier stopping has learnt is left.
    fn has_trail(&self) -> bool {
        self.memory.trail != Trail::default()
    }

    /// What an earlier stopping has learnt says nothing to a later one: the relay is to run, and may be started meanwhile.
    fn forget_trail(&self) -> Step {
        Step::Learn(Box::new(self.ledger.clone()))
    }

    /// An intent is recorded, and whether its Start took effect is not known: looks.
    fn resolve(&self) -> Step {
        if self.is_absent() {
            return self.start();
        }
        let action = Action::ListRtcMpuTaskDetail;
        let due = self.memory.waits.due(action, self.view.generation);
        match turn(self.view, self.memory, due, self.now) {
            Turn::Now(bought) => Step::Call {
                call: Call::Identify,
                bought,
            },
            Turn::At(at) => {
                let verdict = tale::outcome_unknown(
                    self.view,
                    &self.memory.waits,
                    self.view.status.claim.clone(),
                );
                let settled = self
                    .memory
                    .open_until(&self.ledger, self.paces)
                    .filter(|until| *until > self.now.mono);
                self.waiting(verdict, settled.map_or(at, |settled| settled.min(at)))
            }
        }
    }

    /// The list fails until somebody acts.
    fn is_list_lost(&self) -> bool {
        let wait = self.memory.waits.get(Action::ListRtcMpuTaskDetail);
        wait.is_some_and(|wait| match wait.cause {
            Cause::Answer(class) => is_lasting(class),
            Cause::Unconfirmed | Cause::Open | Cause::Foreign => false,
        })
    }

    /// If the Start whose outcome is open took effect, its time is over.
    fn is_over_if_sent(&self) -> bool {
        let sent = self
            .ledger
            .intent
            .as_ref()
            .and_then(|intent| intent.at.as_ref());
        let limit = sent
            .zip(self.view.max_duration)
            .and_then(|(sent, longest)| sent.0.checked_add(longest).ok());
        limit.is_some_and(|limit| limit <= self.now.wall)
    }

    /// The list by id has an error for an answer, and since the Start has had its time two complete reads of all tasks have not shown this one.
    fn is_absent(&self) -> bool {
        let is_refused = self
            .memory
            .identity
            .as_ref()
            .is_some_and(|identity| identity.shows == Shows::Refused);
        let open = self.memory.open_until(&self.ledger, self.paces);
        let since = open.max(self.memory.exists).unwrap_or_default();
        // A task that ended exists until it is cleared, of which nothing tells but the next Start.
        let is_cleared = self
            .memory
            .exists
            .is_none_or(|exists| self.now.mono >= exists + self.paces.settle_time);
        is_refused && is_cleared && self.facts.seen.is_absent_since(since)
    }

    /// It was stopped while the spec wants it to run.
    fn stopped(&self) -> Step {
        let claim = self.view.status.claim.clone();
        let wants_again = self.view.restart == RestartPolicy::WhenChannelReturns;
        match self.ledger.stop_reason {
            Some(StopReason::Requested | StopReason::MaxDuration) | None => self.start(),
            Some(StopReason::ChannelEmpty) if wants_again => self.start(),
            Some(StopReason::StoppedElsewhere | StopReason::Unknown) if wants_again => {
                if self.ledger.channel_left_at.is_some() {
                    return self.start();
                }
                // Two reads: pages drift.
                if self.facts.seen.channel.away_twice {
                    return Step::Learn(Box::new(Ledger {
                        channel_left_at: Some(whole_seconds(self.now.wall)),
                        ..self.ledger.clone()
                    }));
                }
                self.settled(
                    tale::waiting_for_channel_to_leave(self.view, &self.ledger, claim),
                    None,
                )
            }
            Some(StopReason::ChannelEmpty | StopReason::StoppedElsewhere | StopReason::Unknown) => {
                self.settled(tale::completed(self.view, &self.ledger, false, claim), None)
            }
        }
    }
}

fn is_lasting(class: Class) -> bool {
    verdict::reason(Cause::Answer(class)).condition() == ConditionType::Stalled
}
