//! A relay that lives: started when there is somebody to relay, updated when the manifest changes, told truly when it stopped, started again
//! only if that is wanted.

use super::{
    Facts, Parameters, Step, Turn, Wanted, claim_of, handled_while_waiting, on_our_clock,
    stopping::{Progress, pursue},
    tell, turn,
};
use crate::{
    api::{Claim, DesiredState, Mark, RestartPolicy, StopReason},
    live::{Action, Class},
    task::{
        evidence::Call,
        ledger::{Ledger, State},
        memory::{Memory, Shows},
        ownership::Standing,
        retry::{Cause, Moment, Paces},
        trail::{AUTO_STOP, READING_GAP},
        verdict::{self, Verdict, relay as tale, whole_seconds},
        view::View,
    },
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::time::Duration;

/// An output must not be used again this soon after the task that used it stopped (dossier 3.1).
pub const COOL_DOWN: Duration = Duration::from_secs(10);

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
        Standing::Entitled | Standing::Holder => {}
    }
    if !facts.allowed {
        return idle(verdict::app_not_allowed(view, claim));
    }
    let is_over = life.limit().is_some_and(|limit| limit <= now.wall);
    let state = life.ledger.state();
    let is_unsent = state == State::Open && life.holds_intent();
    match (view.desired, state) {
        (DesiredState::Stopped, State::Never) => {
            let claim = match facts.wanted {
                Wanted::Known(wanted) if facts.output_taken.is_none() => {
                    claim_of(view, &wanted.outputs, now)
                }
                Wanted::Known(_) | Wanted::Nothing | Wanted::Unavailable { .. } => life.claim(),
            };
            idle(tale::not_started(view, Some(claim)))
        }
        (DesiredState::Stopped, State::Stopped) => life.stopped_as_asked(),
        (DesiredState::Running, State::Stopped) if is_over => {
            idle(tale::completed(&life.ledger, claim))
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
        let verdict = verdict
            .with(self.ledger.clone())
            .handling(self.view.requested.clone());
        tell(self.view, verdict, self.memory, self.now, until)
    }

    /// Tells a verdict while a call waits for its time.
    fn waiting(&self, verdict: Verdict, until: Duration) -> Step {
        let verdict = verdict
            .with(self.ledger.clone())
            .handling(handled_while_waiting(self.view, self.memory));
        tell(self.view, verdict, self.memory, self.now, Some(until))
    }

    fn limit(&self) -> Option<Timestamp> {
        self.ledger.limit(self.view)
    }

    fn claim(&self) -> Claim {
        let outputs = self.view.claimed_outputs();
        claim_of(self.view, outputs, self.now)
    }

    /// The recorded intent is this process's, and no Start was sent on it that can have taken effect.
    fn holds_intent(&self) -> bool {
        self.memory.intended.is_some() && self.memory.intended == self.ledger.intent
    }

    fn stop(&self, reason: StopReason) -> Step {
        let Ok(ids) = &self.view.ids else {
            return Step::Rest(None);
        };
        match pursue(
            self.facts,
            ids,
            self.memory,
            &self.ledger,
            self.paces,
            self.now,
        ) {
            Progress::Proven(_) => {
                Step::Learn(Box::new(self.ledger.clone().stopped(reason, self.now.wall)))
            }
            Progress::Next(step) => step,
        }
    }

    fn stopped_as_asked(&self) -> Step {
        if self.ledger.stop_reason == Some(StopReason::Requested) {
            return self.settled(tale::stopped(Some(self.claim())), None);
        }
        // From now on it is stopped because that is asked for: asking for the contrary starts it again.
        Step::Learn(Box::new(Ledger {
            stop_reason: Some(StopReason::Requested),
            ..self.ledger.clone()
        }))
    }

    /// It runs, as far as is known.
    fn run(&self) -> Step {
        if let Some(reason) = self.gone() {
            return Step::Learn(Box::new(self.ledger.clone().stopped(reason, self.now.wall)));
        }
        let until = self.limit().map(|limit| on_our_clock(limit, self.now));
        let claim = self.view.status.claim.clone();
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
                self.settled(self.running(claim), until)
            }
            Wanted::Nothing => self.settled(self.running(claim), until),
            Wanted::Unavailable { reason, message } => {
                let generation = self
                    .ledger
                    .accepted
                    .as_ref()
                    .and_then(|mark| mark.generation);
                if generation == Some(self.view.generation) {
                    self.settled(self.running(claim), until)
                } else {
                    self.settled(tale::unavailable(*reason, message, true, claim), until)
                }
            }
        }
    }

    fn running(&self, claim: Option<Claim>) -> Verdict {
        tale::running(self.view, self.facts.seen.list_denied, claim)
    }

    /// Why the task is gone, if it is.
    fn gone(&self) -> Option<StopReason> {
        let accepted = self.ledger.accepted_at()?;
        // Just started, it need not be listed yet.
        let trusted = on_our_clock(accepted, self.now) + self.paces.settle_time;
        let by_service = |reason| {
            // A Stop of ours that had no answer is the likelier reason, and one that can be taken back.
            if self.memory.stop_open.is_some() {
                StopReason::Requested
            } else {
                reason
            }
        };
        let channel = &self.facts.seen.channel;
        if let Some((first, second)) = self.facts.seen.absent
            && first >= trusted
        {
            let is_read = channel.read.is_some_and(|read| read >= second);
            // Somebody may have come back right after the service had stopped the task.
            let lately = self.paces.sweep_period * 2 + READING_GAP;
            let was_away = channel
                .was_away
                .is_some_and(|(since, last)| since >= trusted && last + lately >= first);
            let reason = match (is_read, channel.is_live() && !was_away) {
                (true, true) => Some(StopReason::StoppedElsewhere),
                (true, false) => Some(StopReason::ChannelEmpty),
                (false, _) => self
                    .facts
                    .seen
                    .channels_denied()
                    .then_some(StopReason::Unknown),
            };
            return reason.map(by_service);
        }
        // A service may list stopped tasks; it stops one whose channel stays empty all the same.
        let lives = AUTO_STOP.max(self.view.max_idle.unwrap_or_default()) + self.paces.idle_margin;
        let away = channel.away_since.zip(channel.read);
        let is_over = away
            .is_some_and(|(since, last)| since >= trusted && last.saturating_sub(since) > lives);
        (is_over && !self.view.crosses_channels).then(|| by_service(StopReason::ChannelEmpty))
    }

    fn update(&self, wanted: &Parameters) -> Step {
        let claim = self.view.status.claim.clone();
        if let Some(rival) = self.facts.output_taken {
            return self.settled(tale::output_in_use(rival, true, claim), None);
        }
        let claimed = self.view.claimed_outputs();
        let is_new = |output: &String| !claimed.contains(output);
        if wanted.outputs.iter().any(is_new) {
            if self.facts.cool_until > self.now.mono {
                let verdict = tale::cooling_down(true, claim);
                return self.waiting(verdict, self.facts.cool_until);
            }
            // Claimed before it is sent, so that no other object can start on it meanwhile.
            let both = [claimed, &wanted.outputs].concat();
            let claim = claim_of(self.view, &both, self.now);
            let verdict = tale::updating(Some(claim))
                .with(self.ledger.clone())
                .handling(handled_while_waiting(self.view, self.memory));
            return Step::Record(Box::new(verdict));
        }
        let action = Action::UpdateLiveMpuTask;
        let due = self.memory.waits.due(action, self.view.generation);
        match turn(self.view, self.memory, due, self.now) {
            Turn::Now(bought) => Step::Call {
                call: Call::Update,
                bought,
            },
            Turn::At(at) => {
                let at = self
                    .limit()
                    .map_or(at, |limit| on_our_clock(limit, self.now).min(at));
                let verdict = tale::update_fails(self.memory.waits.get(action), claim);
                self.waiting(verdict, at)
            }
        }
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
                let verdict =
                    tale::outcome_unknown(&self.memory.waits, self.view.status.claim.clone());
                let settled = self
                    .memory
                    .open_until(&self.ledger, self.paces)
                    .filter(|until| *until > self.now.mono);
                self.waiting(verdict, settled.map_or(at, |settled| settled.min(at)))
            }
        }
    }

    /// The list by id has an error for an answer, and since the Start has had its time two complete reads of all tasks have not shown this one.
    fn is_absent(&self) -> bool {
        let is_refused = self
            .memory
            .identity
            .as_ref()
            .is_some_and(|identity| identity.shows == Shows::Refused);
        let open = self.memory.open_until(&self.ledger, self.paces);
        is_refused
            && self.memory.exists.is_none()
            && self.facts.seen.is_absent_since(open.unwrap_or_default())
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
                let channel = &self.facts.seen.channel;
                // Two reads: pages drift.
                let has_left = channel
                    .away_since
                    .is_some_and(|since| channel.read > Some(since));
                if has_left {
                    return Step::Learn(Box::new(Ledger {
                        channel_left_at: Some(whole_seconds(self.now.wall)),
                        ..self.ledger.clone()
                    }));
                }
                self.settled(tale::waiting_for_channel_to_leave(claim), None)
            }
            Some(StopReason::ChannelEmpty | StopReason::StoppedElsewhere | StopReason::Unknown) => {
                self.settled(tale::completed(&self.ledger, claim), None)
            }
        }
    }

    /// Towards a Start.
    fn start(&self) -> Step {
        if self.memory.foreign || (self.memory.identity.is_none() && self.view.is_told_foreign()) {
            return self.look_at_foreign();
        }
        if self.view.is_adopting()
            && self.ledger.state() == State::Never
            && self.memory.identity.is_none()
        {
            return self.look_at_foreign();
        }
        let claim = self.view.status.claim.clone();
        let wanted = match self.facts.wanted {
            Wanted::Known(wanted) => wanted,
            Wanted::Nothing => return Step::Rest(None),
            Wanted::Unavailable { reason, message } => {
                let claim = claim.or_else(|| Some(self.claim()));
                return self.settled(tale::unavailable(*reason, message, false, claim), None);
            }
        };
        if let Some(rival) = self.facts.output_taken {
            return self.settled(tale::output_in_use(rival, false, claim), None);
        }
        let cool_until = self.cool_until();
        if cool_until > self.now.mono {
            // Without the outputs: until they are free an older object may come to want them, in a process that has just begun above all.
            return self.waiting(tale::cooling_down(false, Some(self.claim())), cool_until);
        }
        let claim = Some(claim_of(self.view, &wanted.outputs, self.now));
        let action = Action::StartLiveMpuTask;
        let wait = self.memory.waits.get(action);
        let due = if self.was_channel_absent() {
            Duration::ZERO
        } else {
            self.memory.waits.due(action, self.view.generation)
        };
        match turn(self.view, self.memory, due, self.now) {
            Turn::At(_) if self.must_see_channel() && self.memory.asked.is_none() => Step::Look,
            // Stalled or waiting for somebody: that is told once, when it is known.
            Turn::At(at) if self.must_see_channel() && self.is_being_read() => Step::Rest(Some(at)),
            Turn::At(at) => {
                let is_restart = self.ledger.started_at.is_some();
                let unseen = self.facts.seen.channels_denied();
                let verdict = tale::start_fails(wait, is_restart, unseen, claim);
                self.waiting(verdict, at)
            }
            Turn::Now(bought) => match self.wait_for_channel(claim.clone()) {
                Some(step) => step,
                None => self.send(wanted, claim, bought),
            },
        }
    }

    /// The last Start was refused, and it may have been for the channel: the service's words for that are not known.
    fn must_see_channel(&self) -> bool {
        self.memory
            .waits
            .get(Action::StartLiveMpuTask)
            .is_some_and(|wait| match wait.cause {
                Cause::Answer(class) => {
                    matches!(class, Class::ChannelAbsent | Class::RequestRejected)
                }
                Cause::Unconfirmed | Cause::Open | Cause::Foreign => false,
            })
            && !self.facts.seen.channels_denied()
    }

    /// The last Start was refused, and since then the channel was seen to be away: that was why.
    fn was_channel_absent(&self) -> bool {
        let away = self.facts.seen.channel.away;
        self.must_see_channel()
            && away
                .zip(self.memory.refused)
                .is_some_and(|(away, refused)| away >= refused)
    }

    /// What to do before somebody is in the channel; `None` where somebody is, or nobody can tell.
    fn wait_for_channel(&self, claim: Option<Claim>) -> Option<Step> {
        let seen = self.facts.seen;
        if seen.channels_denied() {
            return None;
        }
        let since = self.memory.refused.filter(|_| self.must_see_channel());
        if seen.channel.is_live() && seen.channel.live >= since {
            return None;
        }
        if self.memory.asked.is_none() {
            return Some(Step::Look);
        }
        if self.is_being_read() {
            return Some(Step::Rest(None));
        }
        if self.ledger.state() == State::Open && !self.memory.unanswered {
            // The Start was put off, not sent: whoever waits for a channel has no intent, and is told when somebody joins.
            return Some(Step::Learn(Box::new(self.ledger.clone().refused())));
        }
        let is_restart = self.ledger.started_at.is_some();
        let fail = seen.channels_fail.as_ref();
        let verdict = tale::waiting_for_channel(self.view, is_restart, fail, claim);
        Some(self.settled(verdict, None))
    }

    /// A read of the channels was asked for, and neither it nor a failure has come.
    fn is_being_read(&self) -> bool {
        let seen = self.facts.seen;
        let is_answered = |asked| seen.channel.read.is_some_and(|read| read >= asked);
        seen.channels_fail.is_none() && self.memory.asked.is_some_and(|asked| !is_answered(asked))
    }

    fn send(&self, wanted: &Parameters, claim: Option<Claim>, bought: Option<String>) -> Step {
        let is_recorded = self.holds_intent()
            && self.view.status.intent == self.ledger.intent
            && self.ledger.intent.as_ref().is_some_and(|intent| {
                intent.generation == Some(self.view.generation)
                    && intent.parameters_hash.as_deref() == Some(wanted.hash.as_str())
            });
        if is_recorded {
            return Step::Call {
                call: Call::Start,
                bought,
            };
        }
        let intent = Mark {
            at: Some(Time(whole_seconds(self.now.wall))),
            generation: Some(self.view.generation),
            parameters_hash: Some(wanted.hash.clone()),
        };
        let verdict = tale::starting(claim)
            .with(self.ledger.clone().intending(intent))
            .handling(handled_while_waiting(self.view, self.memory));
        Step::Record(Box::new(verdict))
    }

    /// Before this nothing is started: an output or the id cools down, or a Stop without an answer may still take effect.
    fn cool_until(&self) -> Duration {
        let stopped = self.ledger.stopped_at.map(|at| {
            let at = on_our_clock(at, self.now);
            let is_before_us = self
                .now
                .wall
                .duration_since(self.ledger.stopped_at.unwrap_or(self.now.wall))
                .unsigned_abs()
                > self.now.mono;
            let is_ours = match self.ledger.stop_reason {
                Some(StopReason::Requested | StopReason::MaxDuration) => true,
                Some(
                    StopReason::ChannelEmpty | StopReason::StoppedElsewhere | StopReason::Unknown,
                )
                | None => false,
            };
            // An earlier process may have sent a Stop that had no answer.
            let wait = if is_ours && is_before_us {
                self.paces.settle_time
            } else {
                COOL_DOWN
            };
            // The status has whole seconds.
            at + wait + Duration::from_secs(1)
        });
        self.facts
            .cool_until
            .max(stopped.unwrap_or_default())
            .max(self.memory.stop_open.unwrap_or_default())
    }

    /// A task of this id that this object did not start: is it still there, and is it to be adopted?
    fn look_at_foreign(&self) -> Step {
        let due = self
            .memory
            .waits
            .due(Action::ListRtcMpuTaskDetail, self.view.generation);
        match turn(self.view, self.memory, due, self.now) {
            Turn::Now(bought) => Step::Call {
                call: Call::Identify,
                bought,
            },
            Turn::At(at) => {
                let shows = self.memory.identity.as_ref().map(|identity| identity.shows);
                let is_unclear = match shows {
                    Some(Shows::Unclear) => true,
                    Some(Shows::Nothing | Shows::Ours | Shows::Another | Shows::Refused) | None => {
                        false
                    }
                };
                let verdict = tale::foreign(
                    self.view,
                    self.memory.foreign && !is_unclear,
                    &self.memory.waits,
                    Some(self.claim()),
                );
                self.waiting(verdict, at)
            }
        }
    }
}
