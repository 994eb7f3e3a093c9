//! Towards a Start: everything that has to be so before it is sent.

use super::{COOL_DOWN, Life};
use crate::{
    api::{Claim, Mark},
    live::{Action, Class},
    task::{
        evidence::Call,
        ledger::State,
        memory::Shows,
        plan::{
            Parameters, Step, Turn, Wanted, claim_of, handled_while_waiting, on_our_clock, turn,
        },
        retry::Cause,
        verdict::{relay as tale, whole_seconds},
    },
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::time::Duration;

impl Life<'_> {
    /// Towards a Start.
    pub(super) fn start(&self) -> Step {
        if let Some((reason, message)) = self.unusable() {
            let claim = self.view.status.claim.clone();
            return self.settled(tale::unavailable(reason, message, false, claim), None);
        }
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
            // Until then what is not wanted any more is not let go of.
            let until = Some(self.rests_until()).filter(|until| *until > self.now.mono);
            let claim = self.without_unwanted(wanted);
            return self.settled(tale::output_in_use(rival, false, claim), until);
        }
        let cool_until = self.cool_until();
        if cool_until > self.now.mono {
            // Without the outputs: until they are free an older object may come to want them, in a process that has just begun above all.
            return self.waiting(tale::cooling_down(false, Some(self.claim())), cool_until);
        }
        let claim = Some(claim_of(self.facts, &wanted.outputs, self.now));
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
                let now = (self.paces, self.now.wall);
                let verdict = tale::start_fails(self.view, wait, is_restart, unseen, now, claim);
                self.waiting(verdict, at)
            }
            Turn::Now(bought) => match self.wait_for_channel(claim.clone()) {
                Some(step) => step,
                None => self.send(wanted, claim, bought),
            },
        }
    }

    /// The claim, without the outputs that are not wanted any more, where nothing of this object can use them still: others may wait for them.
    fn without_unwanted(&self, wanted: &Parameters) -> Option<Claim> {
        let is_unused = match self.ledger.state() {
            State::Never => true,
            State::Stopped => {
                self.ledger.is_proven_stopped() && self.rests_until() <= self.now.mono
            }
            State::Open | State::Running => false,
        };
        self.view.status.claim.clone().map(|mut claim| {
            claim
                .outputs
                .retain(|output| !is_unused || wanted.outputs.contains(output));
            claim
        })
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
        if self.ledger.state() == State::Open && self.holds_intent() && !self.memory.unanswered {
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
        self.facts.cool_until.max(self.rests_until())
    }

    /// Until when what the object's own task used must not be used again.
    fn rests_until(&self) -> Duration {
        let stopped = self.ledger.stopped_at.map(|at| {
            let at = on_our_clock(at, self.now);
            let is_before_us = self
                .now
                .wall
                .duration_since(self.ledger.stopped_at.unwrap_or(self.now.wall))
                .unsigned_abs()
                > self.now.mono;
            // An earlier process may have sent a Stop that had no answer.
            let wait = if self.ledger.is_proven_stopped() && is_before_us {
                self.paces.settle_time
            } else {
                COOL_DOWN
            };
            // The status has whole seconds.
            at + wait + Duration::from_secs(1)
        });
        stopped
            .unwrap_or_default()
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
                // No claim on what is not taken over: it would fix the id that the annotation names.
                let claim = if self.view.is_adopting() {
                    self.view.status.claim.clone()
                } else {
                    Some(self.claim())
                };
                let exists = self.memory.foreign && !is_unclear;
                let verdict = tale::foreign(self.view, exists, &self.memory.waits, claim);
                self.waiting(verdict, at)
            }
        }
    }
}
