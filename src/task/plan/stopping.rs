//! Stopping a task, until it is proven: by deletion, or because the spec asks for it while the object lives.

use super::{Facts, Turn, early, handled_while_waiting, tell, turn};
use crate::{
    live::{Action, Class},
    task::{
        evidence::{Call, Evidence},
        ledger::{Ledger, State},
        memory::{Memory, Shows},
        plan::Step,
        retry::{Cause, Moment, Paces},
        verdict,
        view::Ids,
    },
};
use std::time::Duration;

/// How far it is.
pub(super) enum Progress {
    /// The task is stopped.
    Proven(Evidence),
    /// This comes next.
    Next(Step),
}

/// Goes on towards evidence: the next call when its time has come, and until then the truth in the status.
pub(super) fn pursue(
    facts: Facts<'_>,
    ids: &Ids,
    memory: &Memory,
    ledger: &Ledger,
    paces: &Paces,
    now: Moment,
) -> Progress {
    let view = facts.view;
    let early = early(memory, ledger, paces, now);
    if let Some(evidence) = memory.trail.evidence(early, facts.seen) {
        return Progress::Proven(evidence);
    }
    let (call, due) = match identify_at(facts, memory, ledger, early.open) {
        Some(due) => (Call::Identify, due),
        None => memory
            .trail
            .next(&memory.waits, view.generation, early, paces, now),
    };
    match turn(view, memory, due, now) {
        Turn::Now(bought) => Progress::Next(Step::Call { call, bought }),
        Turn::At(at) => {
            let claim = view.status.claim.clone();
            let known = (early, ledger.state());
            let verdict = verdict::pursuing(view, ids, &memory.trail, &memory.waits, known, claim)
                .with(ledger.clone())
                .handling(handled_while_waiting(view, memory));
            Progress::Next(tell(view, verdict, memory, now, Some(at)))
        }
    }
}

/// While the outcome of a Start is open, the task of that id may be somebody else's: then no Stop is sent before the list was asked. When it is to
/// be asked. Where the list refuses to tell, our own task must not leak.
fn identify_at(
    facts: Facts<'_>,
    memory: &Memory,
    ledger: &Ledger,
    open: Option<Duration>,
) -> Option<Duration> {
    if ledger.state() != State::Open || facts.view.is_id_from_uid() {
        return None;
    }
    match memory.identity.as_ref().map(|identity| identity.shows) {
        // That task may end and our Start take effect after it, as long as that is on its way.
        Some(Shows::Another) => Some(open.unwrap_or_default()),
        Some(Shows::Nothing | Shows::Ours | Shows::Unclear | Shows::Refused) => None,
        None => {
            let wait = memory.waits.get(Action::ListRtcMpuTaskDetail);
            match wait.map(|wait| (wait.cause, wait.next)) {
                None => Some(Duration::ZERO),
                Some((Cause::Answer(class), next)) => passes(class).then_some(next),
                Some((Cause::Unconfirmed | Cause::Open | Cause::Foreign, next)) => Some(next),
            }
        }
    }
}

/// Whether the list may tell another time.
fn passes(class: Class) -> bool {
    match class {
        Class::Throttled
        | Class::ServiceUnavailable
        | Class::InternalError
        | Class::ClockSkew
        | Class::NonceUsed
        | Class::CredentialsMissing
        | Class::CredentialsStale
        | Class::CredentialsRejected => true,
        Class::NotFoundLike
        | Class::TaskExists
        | Class::NotCleared
        | Class::ChannelAbsent
        | Class::OutputBusy
        | Class::QuotaExceeded
        | Class::AppIdRejected
        | Class::RequestRejected
        | Class::AccessDenied
        | Class::ServiceNotEnabled => false,
    }
}
