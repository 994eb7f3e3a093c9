//! Whose a key is: one question to the service, asked until it is answered, and slowly.

use super::{SecretName, keyring::Line};
use crate::{
    live::{AccountId, Class, Failure},
    task::retry::Paces,
};
use std::{collections::BTreeSet, time::Duration};

/// How long calls wait for the answer whose a new key is. After that they count in the quota of the operator's own account.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// One key whose account is asked for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The Secrets that hold it.
    pub holders: BTreeSet<SecretName>,
    pub since: Duration,
    pub due: Duration,
    pub is_asking: bool,
    pub is_known: bool,
    failures: u32,
    /// The service's words, where it refused the key. They hold until it says something else.
    pub refusal: Option<String>,
    /// In which line something sent with it counted last.
    pub used_in: Option<Line>,
}

impl Asked {
    pub fn from(now: Duration) -> Self {
        Self {
            since: now,
            due: now,
            ..Self::default()
        }
    }

    /// Something sent with it counted in another line until now: the one in which it counts from now on.
    pub fn moves(&mut self, line: Line) -> Option<Line> {
        let before = self.used_in.as_mut().filter(|before| **before != line)?;
        before.clone_from(&line);
        Some(line)
    }

    /// It takes the place of a key that was used in a line, and counts in this one from now on: which it moves to, if it does.
    pub fn follows(&mut self, used_in: Line, line: Line) -> Option<Line> {
        if used_in != line {
            return Some(line);
        }
        self.used_in.get_or_insert(used_in);
        None
    }

    pub fn is_settled(&self, now: Duration) -> bool {
        self.is_known || self.failures > 0 || self.since + PATIENCE <= now
    }

    pub fn is_due(&self, now: Duration) -> bool {
        !self.is_asking && !self.is_known && self.due <= now
    }

    /// Whether the account is known now.
    pub fn told(
        &mut self,
        told: &Result<AccountId, Box<Failure>>,
        paces: &Paces,
        now: Duration,
        jitter: f64,
    ) -> bool {
        self.is_asking = false;
        let Err(failure) = told else {
            self.is_known = true;
            self.refusal = None;
            return true;
        };
        self.failures = self.failures.saturating_add(1);
        let (low, high) = (paces.slow_backoff_min, paces.slow_backoff_max);
        let slow = low + high.saturating_sub(low).mul_f64(jitter);
        let doubled = paces.backoff_min.saturating_mul(1 << self.failures.min(16));
        let pause = if passes(failure) {
            doubled.min(slow)
        } else {
            slow
        };
        self.due = now + pause.max(failure.retry_after.unwrap_or_default());
        if failure.class == Class::CredentialsRejected
            && let Some(code) = &failure.code
        {
            self.refusal = Some(format!("{code}: {}", failure.message));
        }
        false
    }
}

/// Whether the question may be answered another time: what kept it from being answered has to do with neither the key nor its rights. An answer
/// without a code is none of the service's: a proxy on the way knows nothing of keys.
pub(super) fn passes(failure: &Failure) -> bool {
    failure.code.is_none() || is_about_something_else(failure.class)
}

/// Whether an answer of this class says nothing of the key.
fn is_about_something_else(class: Class) -> bool {
    match class {
        Class::Throttled
        | Class::ServiceUnavailable
        | Class::InternalError
        | Class::CredentialsStale
        | Class::ClockSkew
        | Class::NonceUsed
        | Class::CredentialsMissing => true,
        Class::CredentialsRejected
        | Class::AccessDenied
        | Class::RequestRejected
        | Class::ServiceNotEnabled
        | Class::NotFoundLike
        | Class::TaskExists
        | Class::NotCleared
        | Class::ChannelAbsent
        | Class::OutputBusy
        | Class::QuotaExceeded
        | Class::AppIdRejected => false,
    }
}
