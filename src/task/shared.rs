//! What every reconcile works with.

use super::{
    access::{Granted, Keyring, Signed, Site, Source, keyring::Occasion},
    cluster::{Cluster, SecretError},
    observatory::{Observatory, What},
    retry::{Moment, Paces},
    store::Store,
    view::{Key, View},
};
use crate::{
    events::Events,
    live::{Account, AccountId, Class, Client, Failure, Limiter, Provider},
    metrics::{Metrics, SecretResult},
    policy::PolicyInForce,
};
use jiff::Timestamp;
use secrecy::SecretSlice;
use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::{Duration, Instant},
};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

/// Who asks for a turn at the service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// The reconcile of an object.
    Object(Key),
    /// A bulk read of an application.
    Read(Site, What),
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

/// What a call is made with.
#[derive(Debug)]
pub enum Access {
    /// This, in the quota of this account.
    Ready(Client, Account),
    /// Nothing: how the call has failed already.
    Refused(Box<Failure>),
    /// That is being found out; until this moment at the latest.
    Later(Option<Duration>),
}

/// Pages of bulk reads in flight, over all credentials. Those that wait for their turn in a quota do not count.
pub const PAGES_IN_FLIGHT: usize = 24;

/// What every reconcile works with.
pub struct Shared {
    /// The objects.
    pub store: Mutex<Store>,
    /// What the bulk reads show.
    pub observatory: Mutex<Observatory>,
    /// The credentials that objects bring.
    pub keyring: Mutex<Keyring>,
    /// A bulk read may have got its turn, or its credentials.
    pub read_turn: Notify,
    /// Room for pages of bulk reads in flight, first come, first served; see [`PAGES_IN_FLIGHT`].
    pub pages: Semaphore,
    /// The controller has something to look at: a bulk read waits for its turn, or a Secret is to be read.
    pub wake: Notify,
    /// The API server.
    pub cluster: Cluster,
    /// The service, with the operator's own credentials.
    pub live: Client,
    /// The quotas.
    pub limiter: Limiter<Caller>,
    /// The account of the operator's own credentials.
    pub account: Account,
    /// Objects whose calls wait until the operator's own credentials are fetched.
    pub unsigned: Mutex<HashSet<Key>>,
    /// STS was asked whose the operator's own credentials are, and did not tell.
    pub own_is_unknown: AtomicBool,
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

    /// The credentials that objects bring. Never asked for while the objects, or what the bulk reads show, are held.
    pub fn keyring(&self) -> MutexGuard<'_, Keyring> {
        self.keyring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Objects whose calls wait until the operator's own credentials are fetched.
    pub fn unsigned(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.unsigned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the values of a Secret, by key.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub async fn secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<BTreeMap<String, SecretSlice<u8>>, SecretError> {
        let values = self.cluster.secret(namespace, name).await;
        self.metrics.read_secret(match &values {
            Ok(_) => SecretResult::Read,
            Err(SecretError::Missing) => SecretResult::Missing,
            Err(SecretError::Denied(_)) => SecretResult::Denied,
            Err(SecretError::Unknown(_)) => SecretResult::Failed,
        });
        values
    }

    /// What a call about the object is made with now, and how it is signed.
    pub fn access(&self, view: &View) -> (Access, Signed) {
        let mut keyring = self.keyring();
        let (granted, signed) = keyring.grant(view, self.now().mono);
        let account = keyring.accounts().line(&view.source);
        drop(keyring);
        let account = account.as_ref().map(AccountId::as_str);
        let access = match self.with(granted.clone(), account) {
            Access::Later(_) if matches!(granted, Granted::Own) => {
                self.unsigned().insert(view.key.clone());
                // The fetch may have ended before it was in there.
                self.with(granted, account)
            }
            access @ (Access::Ready(..) | Access::Refused(_) | Access::Later(_)) => access,
        };
        (access, signed)
    }

    /// What a bulk read is made with now.
    pub fn access_for_read(&self, source: &Source) -> Access {
        let mut keyring = self.keyring();
        let granted = keyring.grant_read(source, self.now().mono);
        let account = keyring.accounts().line(source);
        drop(keyring);
        self.with(granted, account.as_ref().map(AccountId::as_str))
    }

    fn with(&self, granted: Granted, account: Option<&str>) -> Access {
        let live = match granted {
            // Neither a place in a quota nor one among the reconciles is held while they are fetched.
            Granted::Own => match self.live.at_hand() {
                Some(Ok(live)) => live,
                Some(Err(failure)) => return Access::Refused(Box::new(failure)),
                None => return Access::Later(None),
            },
            Granted::These(credentials) => self
                .live
                .with_credentials(Provider::fixed(Some(credentials))),
            Granted::Nothing(class, message) => {
                let words = message.trim_end_matches('.').to_owned();
                return Access::Refused(Box::new(Failure::no_credentials(class, words)));
            }
            Granted::Later(until) => return Access::Later(until),
        };
        let account = account.map_or_else(|| self.account.clone(), Account::new);
        Access::Ready(live, account)
    }

    /// A call with these credentials, sent at `sent`, failed like this: where that was for the credentials, their Secret is read again.
    pub fn failed(&self, source: &Source, class: Class, sent: Duration) {
        if matches!(
            class,
            Class::CredentialsRejected | Class::CredentialsMissing
        ) {
            self.read_again(source, (Occasion::Failure, sent));
        }
    }

    /// The Secret is read again soon, unless it was since the moment of that occasion.
    pub fn read_again(&self, source: &Source, occasion: (Occasion, Duration)) {
        let now = self.now().mono;
        self.keyring().refresh(source, occasion, &self.paces, now);
        self.wake.notify_one();
    }
}
