//! Which objects the bulk reads are for.

use crate::{
    api::{ConditionType, Reason},
    task::{
        access::Site,
        ledger::{Ledger, State},
        store::Store,
        view::View,
    },
};
use jiff::Timestamp;
use std::time::Duration;

/// How long after the concluded end of a relay the list is read for it: three sweeps at the default pace.
const LOOKED_AFTER: Duration = Duration::from_secs(90);

/// How many relays of an application there are of each kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Interest {
    pub running: usize,
    /// Whose Start has no outcome.
    pub open: usize,
    pub waiting: usize,
}

/// Counts the relays of an application that are seen with the same credentials.
pub(super) fn interest(store: &Store, site: &Site, now: Timestamp) -> Interest {
    let mut interest = Interest::default();
    for view in store.relays(site) {
        if is_running(view) {
            interest.running += 1;
        } else {
            interest.waiting += usize::from(waits_for_channel(view, now));
            interest.open += usize::from(is_open(view) || ended_lately(view, now));
        }
    }
    interest
}

fn is_observed(view: &View) -> bool {
    view.has_relay && view.is_guarded() && !view.is_deleting() && !view.suspend
}

pub(in crate::task) fn is_running(view: &View) -> bool {
    is_observed(view) && Ledger::of(&view.status).state() == State::Running
}

pub(in crate::task) fn is_open(view: &View) -> bool {
    is_observed(view) && Ledger::of(&view.status).state() == State::Open
}

/// Whether the relay's end was only concluded from what the reads show.
pub(in crate::task) fn is_taken_for_stopped(view: &View) -> bool {
    is_observed(view) && Ledger::of(&view.status).is_taken_for_stopped()
}

/// Its end was concluded so lately that the next reads may show that it was none: pages drift.
fn ended_lately(view: &View, now: Timestamp) -> bool {
    let stopped = Ledger::of(&view.status).stopped_at;
    let is_late = stopped.is_some_and(|at| {
        Duration::try_from(now.duration_since(at)).is_ok_and(|age| age <= LOOKED_AFTER)
    });
    is_late && is_taken_for_stopped(view)
}

/// Whether the object would start its relay when somebody is in the channel.
pub(in crate::task) fn waits_for_channel(view: &View, now: Timestamp) -> bool {
    let ledger = Ledger::of(&view.status);
    // With an intent recorded it is about to be started, unless its channel has emptied in that moment or cannot be read.
    let tells_of_channel = view.told_reason().is_some_and(|told| {
        Reason::ALL.iter().any(|reason| {
            let waits = *reason == Reason::WaitingForChannel
                || reason.condition() == ConditionType::Stalled;
            waits && reason.as_str() == told
        })
    });
    let waits = ledger.state() != State::Open || tells_of_channel;
    let may_start = waits && ledger.may_start(view, now);
    // One that was not told about yet asks for itself.
    let is_told = view.status.phase.is_some();
    is_observed(view) && is_told && may_start
}
