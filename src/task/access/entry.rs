//! One Secret with an access key: the last good value, what is wrong with it now, and when it is read again.

use super::{
    SecretName,
    value::{self, Print},
};
use crate::{
    live::Credentials,
    task::{cluster::SecretError, retry::Paces, view::Key},
};
use secrecy::SecretSlice;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// So often a Secret that was never read may fail to be, by the API server's fault, before that is told.
const BLIPS: u32 = 3;

/// One Secret that objects name.
#[derive(Debug, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact by itself, and none excludes another one"
)]
pub(super) struct Entry {
    pub users: BTreeSet<Key>,
    /// The last good value, kept for as long as an object needs it: with a namespace its Secrets go before its objects.
    pub good: Option<Good>,
    /// What was wrong at the last reading.
    pub fault: Option<String>,
    /// The last reading has shown that there is no such Secret, or no key in it that can be read.
    pub is_absent: bool,
    failures: u32,
    pub version: u64,
    /// When the last reading began.
    pub begun: Option<Duration>,
    pub is_reading: bool,
    /// Read it once more when the present reading is over.
    pub again: bool,
    /// The next reading is for a failure.
    is_prompted: bool,
    /// So many readings for failures in a row have shown nothing new.
    vain: u32,
    pub due: Duration,
}

/// Why a Secret is to be read before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// A call with its credentials failed for them. The more often that has shown nothing new, the less it hurries.
    Failure,
    /// Somebody asks for it.
    Request,
}

/// What was in it.
#[derive(Debug)]
pub(super) struct Good {
    pub credentials: Credentials,
    pub print: Print,
}

impl Entry {
    /// One that is due at once.
    pub fn from(now: Duration) -> Self {
        Self {
            due: now,
            ..Self::default()
        }
    }

    /// When a reading for this occasion is due.
    pub fn due_for(&mut self, occasion: Occasion, paces: &Paces, now: Duration) -> Duration {
        let doublings = match occasion {
            Occasion::Failure => self.vain.min(16),
            Occasion::Request => 0,
        };
        let pace = paces.backoff_min.saturating_mul(1 << doublings);
        let pace = pace.min(paces.secret_refresh);
        self.is_prompted |= occasion == Occasion::Failure;
        self.begun.map_or(now, |begun| now.max(begun + pace))
    }

    /// Takes what was read, and says how long the next reading has time.
    pub fn take(
        &mut self,
        secret: &SecretName,
        values: Result<BTreeMap<String, SecretSlice<u8>>, SecretError>,
        paces: &Paces,
        jitter: f64,
    ) -> (Option<Credentials>, Duration) {
        let mut fresh = None;
        self.is_absent = match &values {
            Ok(_) | Err(SecretError::Missing) => true,
            Err(SecretError::Denied(_) | SecretError::Unknown(_)) => self.is_absent,
        };
        match values {
            Ok(values) => match value::credentials(secret, &values) {
                Ok(credentials) => {
                    self.fault = None;
                    self.is_absent = false;
                    fresh = Some(credentials);
                }
                Err(message) => self.fault = Some(message),
            },
            Err(SecretError::Missing) => {
                self.fault = Some(format!(
                    "Secret {secret} does not exist: create it, with the keys {} and {}.",
                    value::KEY_ID,
                    value::KEY_SECRET
                ));
            }
            Err(SecretError::Denied(_)) => {
                self.fault = Some(format!(
                    "The operator may not read Secret {secret}: give its service account the right to get Secrets in namespace {}.",
                    secret.namespace
                ));
            }
            // What is known stays known for now.
            Err(SecretError::Unknown(_)) => {
                if self.good.is_none() && self.fault.is_none() && self.failures + 1 >= BLIPS {
                    self.fault = Some(format!(
                        "Secret {secret} cannot be read, since the API server does not answer as it should: it is read as soon as that is settled."
                    ));
                }
            }
        }
        let pause = if fresh.is_some() {
            self.failures = 0;
            // Not all at the same moment for ever.
            paces.secret_refresh.mul_f64(0.9 + 0.2 * jitter)
        } else {
            self.failures = self.failures.saturating_add(1);
            let doubled = paces.backoff_min.saturating_mul(1 << self.failures.min(16));
            doubled.min(paces.secret_refresh)
        };
        self.is_reading = false;
        let pause = if std::mem::take(&mut self.again) {
            paces.backoff_min.min(pause)
        } else {
            pause
        };
        (fresh, pause)
    }

    /// Counts a reading by whether it has shown something new.
    pub fn judge(&mut self, is_news: bool) {
        let is_prompted = std::mem::take(&mut self.is_prompted);
        self.vain = match (is_news, is_prompted) {
            (false, true) => self.vain.saturating_add(1),
            (true, _) | (false, false) => 0,
        };
    }
}
