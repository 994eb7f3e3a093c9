//! What every reconcile works with.

use super::{
    cluster::Cluster,
    observatory::{Observatory, What},
    retry::{Moment, Paces},
    store::Store,
    view::Key,
};
use crate::{
    events::Events,
    live::{Account, AppId, Client, Limiter},
    metrics::Metrics,
    policy::PolicyInForce,
};
use jiff::Timestamp;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Who asks for a turn at the service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// The reconcile of an object.
    Object(Key),
    /// A bulk read of an application.
    Read(AppId, What),
}

impl Caller {
    /// The object, where it is one.
    #[must_use]
    pub fn object(self) -> Option<Key> {
        match self {
            Self::Object(key) => Some(key),
            Self::Read(..) => None,
        }
    }
}

/// What every reconcile works with.
pub struct Shared {
    /// The objects.
    pub store: Mutex<Store>,
    /// What the bulk reads show.
    pub observatory: Mutex<Observatory>,
    /// A bulk read may have got its turn.
    pub read_turn: Notify,
    /// The controller has something to look at: a bulk read waits for its turn.
    pub wake: Notify,
    /// The API server.
    pub cluster: Cluster,
    /// The service.
    pub live: Client,
    /// The account's quota.
    pub limiter: Limiter<Caller>,
    /// The account of the operator's own credentials.
    pub account: Account,
    /// Who may name what with the operator's own credentials.
    pub policy: PolicyInForce,
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

    /// What the bulk reads show. Never asked for while the objects are held.
    pub fn observatory(&self) -> MutexGuard<'_, Observatory> {
        self.observatory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
