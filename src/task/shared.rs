//! What every reconcile works with.

use super::{
    cluster::Cluster,
    retry::{Moment, Paces},
    store::Store,
    view::Key,
};
use crate::{
    events::Events,
    live::{Account, Client, Limiter},
    metrics::Metrics,
    policy::PolicyInForce,
};
use jiff::Timestamp;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// What every reconcile works with.
pub struct Shared {
    /// The objects.
    pub store: Mutex<Store>,
    /// The API server.
    pub cluster: Cluster,
    /// The service.
    pub live: Client,
    /// The account's quota.
    pub limiter: Limiter<Key>,
    /// The account of the operator's own credentials.
    pub account: Account,
    /// Who may name what with the operator's own credentials.
    pub policy: PolicyInForce,
    /// What the ids of tasks begin with whose objects name none.
    pub task_id_prefix: String,
    /// The paces in force.
    pub paces: Paces,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Events.
    pub events: Events,
    /// When the process started.
    pub started: Instant,
    /// Set when the operator shuts down: nothing new is begun.
    pub draining: CancellationToken,
}

impl Shared {
    /// Now, by both clocks.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment {
            mono: self.started.elapsed(),
            wall: Timestamp::now(),
        }
    }

    /// The objects.
    pub fn store(&self) -> MutexGuard<'_, Store> {
        // A panic elsewhere cannot leave the store half changed in a way that a later event does not mend.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
