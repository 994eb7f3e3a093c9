//! The calls of one action of one account: those that are out, and those that the service counts, as far as is known.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// The length of the service's window.
pub(super) const WINDOW: Duration = Duration::from_secs(1);

/// Names a call.
pub(super) type CallId = u64;

/// What is on its way.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    /// The calls of the last second that the service counts.
    window: VecDeque<(CallId, Instant)>,
    pending: BTreeMap<CallId, Pending>,
    next: CallId,
    /// Before this one all are answered or overdue.
    watched: CallId,
    /// Given out and not yet sent.
    reserved: usize,
}

/// A call without an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pending {
    pub sent: Instant,
    /// Calls in the window when it was sent.
    pub before: usize,
    pub overdue: bool,
}

impl Traffic {
    /// Lets pass what is over at `now`.
    pub fn pass(&mut self, now: Instant) {
        while self
            .window
            .front()
            .is_some_and(|(_, sent)| *sent + WINDOW <= now)
        {
            self.window.pop_front();
        }
    }

    /// Takes the next call for lost that has been out for so long at `now`.
    pub fn take_overdue(&mut self, overdue_after: Duration, now: Instant) -> Option<Pending> {
        let (&id, pending) = self.pending.range_mut(self.watched..).next()?;
        if pending.sent + overdue_after > now {
            return None;
        }
        pending.overdue = true;
        let pending = *pending;
        self.watched = id + 1;
        self.uncount(id);
        Some(pending)
    }

    /// Forgets overdue calls that have been out for so long at `now`, and tells whether there was any.
    pub fn forget(&mut self, after: Duration, now: Instant) -> bool {
        let before = self.pending.len();
        while let Some(first) = self.pending.first_entry()
            && first.get().overdue
            && first.get().sent + after <= now
        {
            first.remove();
        }
        self.pending.len() < before
    }

    /// A call is about to be sent.
    pub fn reserve(&mut self) {
        self.reserved += 1;
    }

    /// One that was about to be sent will not be.
    pub fn release(&mut self) {
        self.reserved = self.reserved.saturating_sub(1);
    }

    /// One that was about to be sent is sent.
    pub fn sent(&mut self, now: Instant) -> CallId {
        self.release();
        let id = self.next;
        self.next += 1;
        let pending = Pending {
            sent: now,
            before: self.window.len(),
            overdue: false,
        };
        self.pending.insert(id, pending);
        self.window.push_back((id, now));
        id
    }

    /// It is out no more. The service may count it still.
    pub fn ended(&mut self, id: CallId) -> Option<Pending> {
        self.pending.remove(&id)
    }

    /// The service does not count it.
    pub fn uncount(&mut self, id: CallId) {
        if let Ok(at) = self.window.binary_search_by_key(&id, |(id, _)| *id) {
            self.window.remove(at);
        }
    }

    /// Calls that the service counts now, and those about to be sent.
    pub fn counted(&self) -> usize {
        self.window.len() + self.reserved
    }

    /// When the first of the counted calls is over.
    pub fn room_at(&self) -> Option<Instant> {
        self.window.front().map(|(_, sent)| *sent + WINDOW)
    }

    /// Calls that are out and not overdue, and those about to be sent.
    pub fn out(&self) -> usize {
        self.pending.range(self.watched..).count() + self.reserved
    }

    /// Whether one is out and not overdue that was sent since that moment, or one is about to be sent.
    pub fn is_out_since(&self, at: Instant) -> bool {
        // The newest becomes overdue last.
        let newest = self.pending.last_key_value();
        self.reserved > 0 || newest.is_some_and(|(_, newest)| !newest.overdue && newest.sent >= at)
    }

    /// Whether an overdue call may be answered yet.
    pub fn has_overdue(&self) -> bool {
        // The oldest becomes overdue first.
        let oldest = self.pending.first_key_value();
        oldest.is_some_and(|(_, oldest)| oldest.overdue)
    }

    /// Whether nothing is out and nothing counts.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.counted() == 0
    }
}
