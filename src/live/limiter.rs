//! Keeps every action of every account within its quota.

use std::hash::Hash;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use super::actions::{Account, Action};
use super::turns::Lane;

/// Who asks for a permit, and with what claim to be served.
#[derive(Debug, Clone)]
pub struct Ticket<K> {
    /// Which calls go first.
    pub lane: Lane,
    /// Namespaces take turns.
    pub namespace: String,
    /// Who is told when the turn has come.
    pub key: K,
}

/// The answer to [`Limiter::take`].
#[derive(Debug)]
#[must_use]
pub enum Taken {
    /// Send now.
    Permit(Permit),
    /// The ticket stands in line; [`Limiter::grants`] names its key when its turn has come.
    Wait,
}

/// Leave to send one request now. Tell it how the request went; dropped, it counts as sent and never answered.
#[derive(Debug)]
#[must_use]
pub struct Permit {}

impl Permit {
    /// The reply came at `now`: the place is free one second later.
    pub fn ended(self, _now: Instant) {}
    /// Sent, and no reply came until the caller gave up at `now`: the place is free one second after the call's deadline.
    pub fn unanswered(self, _now: Instant) {}
    /// Nothing was sent: the place is free at once.
    pub fn unused(self) {}
}

/// Permits for every (account, action).
#[derive(Debug, Clone)]
pub struct Limiter<K>(PhantomData<K>);

impl<K: Clone + Eq + Hash> Limiter<K> {
    /// A limiter that gives nothing in the second after `started`; `deadline` is the longest that a call takes.
    #[must_use]
    pub fn new(_started: Instant, _deadline: Duration) -> Self {
        Self(PhantomData)
    }

    /// Asks for a permit.
    pub fn take(
        &self,
        _now: Instant,
        _account: &Account,
        _action: Action,
        _ticket: Ticket<K>,
    ) -> Taken {
        Taken::Permit(Permit {})
    }

    /// The keys whose turn has come since this was last asked.
    #[must_use]
    pub fn grants(&self, _now: Instant) -> Vec<K> {
        Vec::new()
    }

    /// `key` leaves every line and gives back what was kept aside for it.
    pub fn forget(&self, _key: &K) {}

    /// When [`Limiter::grants`] would next give something. Ask again after every other call.
    #[must_use]
    pub fn next_at(&self, _now: Instant) -> Option<Instant> {
        None
    }
}
