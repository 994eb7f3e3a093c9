//! Whose task the list shows under the object's task id.

use super::{Memory, MemoryTurn};
use crate::{
    api::DesiredState,
    live::{Action, Class},
    task::{
        evidence::{Answer, Sighting},
        ledger::{Ledger, State},
        retry::{Cause, Trouble},
        trail::Trail,
        view::View,
    },
};
use std::time::Duration;

/// What the list says of the task whose Start has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// When the list was asked.
    pub asked: Duration,
    /// What it shows.
    pub shows: Shows,
}

/// What the list shows under the task's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shows {
    /// Nothing.
    Nothing,
    /// A task with channel, mode and outputs as this object recorded them.
    Ours,
    /// Another task.
    Another,
    /// A task whose outputs cannot be read.
    Unclear,
    /// An error instead of an answer, which may be its way to say that there is none.
    Refused,
}

impl Memory {
    /// Takes in what the list says of the one task that was asked about.
    pub(super) fn identified(
        &mut self,
        answer: &Answer,
        view: &View,
        asked: Duration,
        turn: &mut MemoryTurn<'_>,
    ) {
        let ledger = self.ledger(view);
        let shows = match answer {
            Answer::Task(sighting) => sighting
                .as_ref()
                .map_or(Shows::Nothing, |sighting| compare(sighting, view, &ledger)),
            // The list by id may have its own way to say that there is none; two complete reads of all have to agree.
            Answer::Failed {
                class: Class::NotFoundLike | Class::InternalError,
                ..
            } => Shows::Refused,
            Answer::Failed {
                class,
                words,
                retry_after,
                may_act: _,
                says_gone: _,
            } => {
                let trouble = Trouble {
                    cause: Cause::Answer(*class),
                    words,
                    retry_after: *retry_after,
                    not_before: Duration::ZERO,
                };
                turn.lend(&mut self.waits)
                    .fail(Action::ListRtcMpuTaskDetail, &trouble);
                return;
            }
            Answer::Accepted { .. } | Answer::Page { .. } | Answer::Users { .. } => return,
        };
        let was_told_foreign = self.foreign || view.is_told_foreign();
        if ledger.is_taken_for_stopped() && !was_told_foreign && !view.is_adopting() {
            self.waits.clear(Action::ListRtcMpuTaskDetail);
            if shows == Shows::Ours {
                self.learn(ledger.back(turn.now.wall));
            } else {
                self.identity = Some(Identity { asked, shows });
            }
            return;
        }
        if ledger.state() != State::Open {
            self.waits.clear(Action::ListRtcMpuTaskDetail);
            self.looked_for_another(answer, view, Identity { asked, shows }, turn);
            return;
        }
        let is_restart = ledger.started_at.is_some();
        let may_be_stale = is_restart
            && self
                .exists
                .is_none_or(|exists| asked < exists || !turn.cleared(&ledger));
        let is_settled = self
            .open_until(&ledger, turn.paces)
            .is_none_or(|until| asked >= until);
        // What exists may be a task that ended and is not cleared yet: the list need not show it, and the next Start tells.
        let has_ended = self
            .exists
            .is_none_or(|exists| asked >= exists + turn.paces.settle_time);
        let is_stopping = view.is_deleting()
            || view.desired == DesiredState::Stopped
            || ledger
                .limit(view)
                .is_some_and(|limit| limit <= turn.now.wall);
        let says_enough = !is_stopping && (is_restart || has_ended);
        match shows {
            Shows::Ours if !may_be_stale => self.found(ledger.found(turn.now.wall)),
            Shows::Another if is_settled && (!may_be_stale || is_stopping) => {
                if may_be_the_earlier_one(answer, view, &ledger) {
                    self.found(ledger.adopted(view.generation, turn.now.wall));
                } else {
                    self.is_foreign(ledger, turn);
                }
            }
            // A task of before may still be listed. Whatever was sent has had its time: the next Start gives a definite answer, and until
            // then the object counts as one that may run.
            Shows::Nothing | Shows::Ours | Shows::Another if is_settled && says_enough => {
                self.waits.clear(Action::ListRtcMpuTaskDetail);
                self.trail = Trail::default();
                self.start_open = None;
                self.exists = None;
                self.identity = None;
                self.unanswered = true;
                self.intended = ledger.intent;
            }
            Shows::Nothing | Shows::Ours | Shows::Another | Shows::Unclear | Shows::Refused => {
                self.identity = Some(Identity { asked, shows });
                if is_stopping {
                    self.waits.clear(Action::ListRtcMpuTaskDetail);
                    return;
                }
                // A list that refuses to tell will go on so; the reads of all tasks tell, and need their share of the quota.
                let not_before = if shows == Shows::Refused {
                    turn.now.mono + turn.paces.sweep_period
                } else {
                    Duration::ZERO
                };
                turn.lend(&mut self.waits).fail(
                    Action::ListRtcMpuTaskDetail,
                    &Trouble {
                        cause: Cause::Open,
                        words: "",
                        retry_after: None,
                        not_before,
                    },
                );
            }
        }
    }

    /// Nothing of ours runs: the list was asked whether the task that is to be adopted, or that is in the way, is there.
    fn looked_for_another(
        &mut self,
        answer: &Answer,
        view: &View,
        identity: Identity,
        turn: &mut MemoryTurn<'_>,
    ) {
        let ledger = self.ledger(view);
        let Answer::Task(Some(sighting)) = answer else {
            self.foreign = false;
            self.identity = Some(identity);
            return;
        };
        if view.is_adopting() && sighting.channel.is_some() && sighting.channel == view.channel {
            self.foreign = false;
            self.learn(ledger.adopted(view.generation, turn.now.wall));
        } else {
            self.is_foreign(ledger, turn);
        }
    }
}

/// Of this object's own earlier task nothing proves that it has stopped, and the spec may have changed since: it is the one in its channel.
fn may_be_the_earlier_one(answer: &Answer, view: &View, ledger: &Ledger) -> bool {
    let Answer::Task(Some(sighting)) = answer else {
        return false;
    };
    ledger.started_at.is_some()
        && !ledger.is_proven_stopped()
        && sighting.channel.is_some()
        && sighting.channel == view.channel
}

/// Whether the task that is listed under our id is the one that this object started: an id made from its uid is nobody else's; otherwise channel,
/// mode and outputs tell.
fn compare(sighting: &Sighting, view: &View, ledger: &Ledger) -> Shows {
    if view.is_id_from_uid() {
        return Shows::Ours;
    }
    let Some(outputs) = &sighting.outputs else {
        return Shows::Unclear;
    };
    let claimed = view
        .status
        .claim
        .as_ref()
        .map(|claim| claim.outputs.as_slice());
    let is_same_spec = ledger
        .intent
        .as_ref()
        .is_some_and(|intent| intent.generation == Some(view.generation));
    let same = sighting.channel == view.channel
        && (!is_same_spec || sighting.mix_mode.as_deref() == view.mix_mode)
        && claimed == Some(outputs.as_slice());
    if same { Shows::Ours } else { Shows::Another }
}
