//! Deletion. It needs only what is in the status and the ids: an unreadable spec, a suspended object or a missing Secret does not block it.

use super::{
    Facts, Step, claim_of, early,
    stopping::{Progress, pursue},
    tell,
};
use crate::{
    api::DeletionPolicy,
    live::Action,
    task::{
        access::{Keys, Left},
        evidence::Evidence,
        ledger::{Ledger, State},
        memory::Memory,
        ownership::Standing,
        retry::{Cause, Moment, Paces},
        trail::Stopped,
        verdict,
        view::View,
    },
};

pub(super) fn plan(facts: Facts<'_>, memory: &Memory, paces: &Paces, now: Moment) -> Step {
    let view = facts.view;
    let ledger = memory.ledger(view);
    let early = early(memory, &ledger, paces, now);
    if let Stopped::Accepted { .. } = memory.trail.stopped
        && let Some(evidence) = memory.trail.evidence(early, facts.seen)
    {
        return Step::Release(evidence);
    }
    if view.policy == DeletionPolicy::Orphan {
        return Step::Release(Evidence::Orphaned);
    }
    if let Some(evidence) = without_a_stop(view, memory, &ledger) {
        return Step::Release(evidence);
    }
    let declared = view.declared().map(|why| {
        Step::Release(Evidence::Declared {
            why: why.to_owned(),
        })
    });
    let ids = match &view.ids {
        Ok(ids) => ids,
        Err(defect) => {
            return declared.unwrap_or_else(|| {
                let verdict = verdict::invalid_spec(view, defect, view.status.claim.clone());
                tell(
                    view,
                    verdict.handling(view.requested.clone()),
                    memory,
                    now,
                    None,
                )
            });
        }
    };
    match facts.standing {
        Standing::Holder => {}
        Standing::Contested(_) => return Step::Release(Evidence::NeverOwned),
        Standing::Entitled | Standing::Unsure | Standing::Disputed(_) if !facts.allowed => {
            return Step::Release(Evidence::NotAllowed);
        }
        // It may be nobody else's, and then it must not leak.
        Standing::Disputed(rival) => {
            return declared.unwrap_or_else(|| {
                let verdict = verdict::task_id_disputed(view, rival);
                let verdict = verdict.handling(view.requested.clone());
                tell(view, verdict, memory, now, None)
            });
        }
        // No Stop without a recorded claim: an object that was deleted before it was armed makes its claim now, once it has credentials.
        Standing::Entitled => {
            if let Keys::Unread(until) = facts.keys {
                return Step::Rest(*until);
            }
            if let Some((reason, message)) = facts.keys.send_nothing() {
                return declared.unwrap_or_else(|| {
                    let verdict =
                        verdict::unusable_credentials(reason, message, Left::Nothing, None);
                    let verdict = verdict.handling(view.requested.clone());
                    tell(view, verdict, memory, now, None)
                });
            }
            let claim = claim_of(facts, view.claimed_outputs(), now);
            return Step::Record(Box::new(verdict::stopping(Some(claim))));
        }
        Standing::Unsure => return Step::Rest(None),
    }
    match pursue(facts, ids, memory, &ledger, paces, now) {
        Progress::Proven(evidence) => Step::Release(evidence),
        Progress::Next(step) => match declared {
            Some(release) if memory.trail.failed || is_kept_from_stopping(memory) => release,
            Some(_) | None => step,
        },
    }
}

/// No Stop is sent before the list was asked whose task it is, and the list does not answer.
fn is_kept_from_stopping(memory: &Memory) -> bool {
    memory
        .waits
        .get(Action::ListRtcMpuTaskDetail)
        .is_some_and(|wait| match wait.cause {
            Cause::Answer(_) => true,
            Cause::Unconfirmed | Cause::Open | Cause::Foreign => false,
        })
}

/// What a relay's own story proves.
fn without_a_stop(view: &View, memory: &Memory, ledger: &Ledger) -> Option<Evidence> {
    if !view.has_relay {
        return None;
    }
    let is_foreign = memory.foreign || view.is_told_foreign();
    match ledger.state() {
        State::Never | State::Stopped if is_foreign => Some(Evidence::FoundForeign),
        State::Never => Some(Evidence::NeverStarted),
        // Recorded by this process, and no Start was sent.
        State::Open
            if memory.intended.is_some() && !memory.unanswered && ledger.started_at.is_none() =>
        {
            Some(Evidence::NeverStarted)
        }
        State::Stopped if ledger.is_proven_stopped() => Some(Evidence::StoppedBefore),
        State::Open | State::Running | State::Stopped => None,
    }
}
