//! Stopping a task, until it is proven: by deletion, or because the spec asks for it while the object lives.

use super::{Facts, Turn, handled_while_waiting, tell, turn};
use crate::{
    live::Action,
    task::{
        evidence::{Call, Evidence},
        ledger::{Ledger, State},
        memory::Memory,
        plan::Step,
        retry::{Moment, Paces},
        verdict,
        view::Ids,
    },
};

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
    let open = memory.open_until(ledger, paces);
    if let Some(evidence) = memory.trail.evidence(open, facts.seen) {
        return Progress::Proven(evidence);
    }
    let (call, due) = if must_identify(facts, memory, ledger) {
        (Call::Identify, now.mono)
    } else {
        memory
            .trail
            .next(&memory.waits, view.generation, open, paces, now)
    };
    match turn(view, memory, due, now) {
        Turn::Now(bought) => Progress::Next(Step::Call { call, bought }),
        Turn::At(at) => {
            let claim = view.status.claim.clone();
            let verdict = verdict::pursuing(ids, &memory.trail, &memory.waits, open, claim)
                .with(ledger.clone())
                .handling(handled_while_waiting(view, memory));
            Progress::Next(tell(view, verdict, memory, now, Some(at)))
        }
    }
}

/// While the outcome of a Start is open, the task of that id may be somebody else's: then no Stop is sent. Where the list does not tell, our own
/// task must not leak.
fn must_identify(facts: Facts<'_>, memory: &Memory, ledger: &Ledger) -> bool {
    ledger.state() == State::Open
        && !facts.view.is_id_from_uid()
        && memory.identity.is_none()
        && memory.waits.get(Action::ListRtcMpuTaskDetail).is_none()
}
