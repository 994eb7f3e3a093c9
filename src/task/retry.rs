//! How long to wait after a failure. Memory is per object and action: labels, our own writes, relists and resyncs shorten nothing.

use crate::live::{Action, Class};
use jiff::Timestamp;
use std::{collections::BTreeMap, time::Duration};

/// One moment by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Since the process started; never steps.
    pub mono: Duration,
    /// Of the day; for people and for the API.
    pub wall: Timestamp,
}

/// Every pace that a flag sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paces {
    /// The longest that one call may take, to the service or to the API server.
    pub call_deadline: Duration,
    /// The first wait after a failure that may pass by itself; it doubles.
    pub backoff_min: Duration,
    /// Where the doubling ends.
    pub backoff_max: Duration,
    /// The shortest wait after a refusal that somebody has to lift.
    pub slow_backoff_min: Duration,
    /// The longest wait after a refusal.
    pub slow_backoff_max: Duration,
    /// Between two readings of a channel.
    pub channel_poll: Duration,
    /// How much longer a channel must have been empty than the service needs to stop a task by itself.
    pub idle_margin: Duration,
    /// How long a Start or a Stop whose outcome is unknown may still be on its way.
    pub settle_time: Duration,
    /// Between two readings of an application's list of tasks.
    pub sweep_period: Duration,
    /// Between two readings of a Secret that is in use.
    pub secret_refresh: Duration,
    /// A watch that is silent for longer is dead.
    pub watch_silence: Duration,
}

impl Default for Paces {
    fn default() -> Self {
        Self {
            call_deadline: Duration::from_secs(10),
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_mins(1),
            slow_backoff_min: Duration::from_mins(2),
            slow_backoff_max: Duration::from_mins(5),
            channel_poll: Duration::from_secs(10),
            idle_margin: Duration::from_secs(30),
            settle_time: Duration::from_mins(1),
            sweep_period: Duration::from_secs(30),
            secret_refresh: Duration::from_mins(1),
            watch_silence: Duration::from_secs(75),
        }
    }
}

/// Why an action waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The service's answer, or its silence.
    Answer(Class),
    /// Stop was answered not-found-like, yet the service still lists the task.
    Unconfirmed,
    /// The outcome of a Start is open, and the list does not tell yet.
    Open,
    /// The task id is taken by a task that this object did not start.
    Foreign,
}

/// How the next attempt is spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spacing {
    /// At once, this many times in a row; then doubling.
    AtOnce(u32),
    /// Anywhere between nothing and a bound that doubles (full jitter).
    Doubling,
    /// Anywhere between the two slow bounds.
    Slow,
}

impl Cause {
    fn spacing(self) -> Spacing {
        match self {
            Self::Unconfirmed | Self::Open => Spacing::Doubling,
            Self::Foreign => Spacing::Slow,
            Self::Answer(class) => match class {
                Class::ClockSkew | Class::CredentialsStale => Spacing::AtOnce(1),
                Class::NonceUsed => Spacing::AtOnce(2),
                Class::NotFoundLike
                | Class::InternalError
                | Class::Throttled
                | Class::ServiceUnavailable
                | Class::ChannelAbsent
                | Class::TaskExists
                | Class::NotCleared
                | Class::OutputBusy => Spacing::Doubling,
                Class::AppIdRejected
                | Class::RequestRejected
                | Class::AccessDenied
                | Class::ServiceNotEnabled
                | Class::CredentialsMissing
                | Class::CredentialsRejected
                | Class::QuotaExceeded => Spacing::Slow,
            },
        }
    }

    /// How the next attempts are spaced, in words.
    #[must_use]
    pub fn spacing_in_words(self) -> &'static str {
        match self.spacing() {
            Spacing::AtOnce(1) => "once at once, then as failures that pass",
            Spacing::AtOnce(_) => "twice at once, then as failures that pass",
            Spacing::Doubling => "as failures that pass",
            Spacing::Slow => "as refusals",
        }
    }

    /// Whether a changed spec may change the answer, so that it is worth asking again at once.
    fn ends_with_generation(self) -> bool {
        match self {
            Self::Unconfirmed | Self::Open | Self::Foreign => false,
            Self::Answer(class) => match class {
                Class::AppIdRejected | Class::RequestRejected => true,
                Class::ClockSkew
                | Class::CredentialsStale
                | Class::NonceUsed
                | Class::NotFoundLike
                | Class::InternalError
                | Class::Throttled
                | Class::ServiceUnavailable
                | Class::AccessDenied
                | Class::ServiceNotEnabled
                | Class::CredentialsMissing
                | Class::CredentialsRejected
                | Class::ChannelAbsent
                | Class::TaskExists
                | Class::NotCleared
                | Class::OutputBusy
                | Class::QuotaExceeded => false,
            },
        }
    }

    /// Whether other credentials may change the answer.
    fn ends_with_credentials(self) -> bool {
        match self {
            Self::Unconfirmed | Self::Open | Self::Foreign => false,
            Self::Answer(class) => match class {
                Class::CredentialsMissing
                | Class::CredentialsRejected
                | Class::AccessDenied
                | Class::ServiceNotEnabled
                | Class::AppIdRejected => true,
                Class::RequestRejected
                | Class::CredentialsStale
                | Class::ClockSkew
                | Class::NonceUsed
                | Class::NotFoundLike
                | Class::InternalError
                | Class::Throttled
                | Class::ServiceUnavailable
                | Class::ChannelAbsent
                | Class::TaskExists
                | Class::NotCleared
                | Class::OutputBusy
                | Class::QuotaExceeded => false,
            },
        }
    }
}

/// One action that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Why.
    pub cause: Cause,
    /// The service's words at the first failure of this cause, redacted.
    pub words: String,
    /// The first failure of this cause in a row.
    pub since: Timestamp,
    /// Failures of this cause in a row.
    pub attempts: u32,
    /// Failures of any cause since the last success: causes that take turns do not shorten the spacing.
    failures: u32,
    /// The earliest next attempt, since the process started.
    pub next: Duration,
    /// The bounds between which the wait was chosen.
    pub band: (Duration, Duration),
    /// The generation of the object at the failure.
    generation: i64,
}

impl Wait {
    /// The schedule in words: the same text for every retry within one band, so that telling it again writes nothing.
    #[must_use]
    pub fn schedule(&self) -> String {
        let since = self.since.strftime("%Y-%m-%d %H:%M UTC");
        let (low, high) = (in_seconds(self.band.0), in_seconds(self.band.1));
        if low == high {
            format!("since {since}, retrying every {high} s")
        } else {
            format!("since {since}, retrying every {low} to {high} s")
        }
    }
}

fn in_seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if duration.subsec_millis() == 0 {
        format!("{seconds:.0}")
    } else {
        format!("{seconds:.1}")
    }
}

/// What a failure was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble<'a> {
    /// Why.
    pub cause: Cause,
    /// The service's words, redacted.
    pub words: &'a str,
    /// The delay that the service asks for.
    pub retry_after: Option<Duration>,
    /// No next attempt before this moment, whatever the spacing says.
    pub not_before: Duration,
}

/// The waits of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    by_action: BTreeMap<Action, Wait>,
}

impl Waits {
    /// The wait of an action, if it has one.
    #[must_use]
    pub fn get(&self, action: Action) -> Option<&Wait> {
        self.by_action.get(&action)
    }

    /// Every wait, by action.
    pub fn iter(&self) -> impl Iterator<Item = (Action, &Wait)> {
        self.by_action.iter().map(|(action, wait)| (*action, wait))
    }

    /// When the action may be tried again; zero where nothing holds it back.
    #[must_use]
    pub fn due(&self, action: Action, generation: i64) -> Duration {
        self.by_action
            .get(&action)
            .filter(|wait| !(wait.cause.ends_with_generation() && wait.generation != generation))
            .map_or(Duration::ZERO, |wait| wait.next)
    }

    /// The action would carry something else now: a wait ends that a new generation would end, and one for an output, which may be another.
    pub fn carries_another(&mut self, action: Action) {
        self.by_action.retain(|waiting, wait| {
            let is_for_output = wait.cause == Cause::Answer(Class::OutputBusy);
            *waiting != action || !(wait.cause.ends_with_generation() || is_for_output)
        });
    }

    /// Calls of the action pass again on an account where none did: who was throttled there need not sit out a wait that has doubled meanwhile. The
    /// service's own delay, until `not_before`, stays, and so does the doubling should this fail again.
    pub fn account_recovered(&mut self, action: Action, not_before: Duration) {
        if let Some(wait) = self.by_action.get_mut(&action)
            && let Cause::Answer(Class::Throttled | Class::ServiceUnavailable) = wait.cause
        {
            wait.next = wait.next.min(not_before);
        }
    }

    /// Calls are signed with others now: what was refused for the old ones is worth another attempt.
    pub fn other_credentials(&mut self) {
        self.by_action
            .retain(|_, wait| !wait.cause.ends_with_credentials());
    }

    /// The action succeeded.
    pub fn clear(&mut self, action: Action) {
        self.by_action.remove(&action);
    }

    /// The action failed. `jitter` is uniform in 0..1.
    pub fn fail(
        &mut self,
        action: Action,
        trouble: &Trouble<'_>,
        generation: i64,
        paces: &Paces,
        now: Moment,
        jitter: f64,
    ) {
        let before = self.by_action.get(&action);
        let failures = before.map_or(1, |wait| wait.failures.saturating_add(1));
        let before = before.filter(|wait| wait.cause == trouble.cause);
        let attempts = before.map_or(1, |wait| wait.attempts.saturating_add(1));
        let band = band(trouble.cause, attempts, failures, paces);
        let least = trouble
            .retry_after
            .unwrap_or_default()
            .max(trouble.not_before.saturating_sub(now.mono));
        let wait = (band.0 + (band.1.saturating_sub(band.0)).mul_f64(jitter)).max(least);
        // In whole seconds, so that the words stay the same from one retry to the next.
        let least = Duration::from_secs(least.as_secs() + u64::from(least.subsec_nanos() > 0));
        let band = (band.0.max(least), band.1.max(least));
        self.by_action.insert(
            action,
            Wait {
                cause: trouble.cause,
                words: before.map_or_else(|| trouble.words.to_owned(), |wait| wait.words.clone()),
                since: before.map_or(now.wall, |wait| wait.since),
                attempts,
                failures,
                next: now.mono + wait,
                band,
                generation,
            },
        );
    }

    /// Whether the action waits for this cause.
    #[must_use]
    pub fn is_waiting_for(&self, action: Action, cause: Cause) -> bool {
        self.by_action
            .get(&action)
            .is_some_and(|wait| wait.cause == cause)
    }
}

/// What an answer is judged with.
#[derive(Debug)]
pub struct Turn<'a> {
    /// The waits of the object.
    pub waits: &'a mut Waits,
    /// The object's generation.
    pub generation: i64,
    /// The paces in force.
    pub paces: &'a Paces,
    /// When the answer came.
    pub now: Moment,
    /// Uniform in 0..1.
    pub jitter: f64,
    /// The call was sent ahead of the schedule, on request: the schedule stays as it was.
    pub bought: bool,
}

impl Turn<'_> {
    /// Remembers a failure.
    pub fn fail(&mut self, action: Action, trouble: &Trouble<'_>) {
        if self.bought && self.waits.is_waiting_for(action, trouble.cause) {
            return;
        }
        self.waits.fail(
            action,
            trouble,
            self.generation,
            self.paces,
            self.now,
            self.jitter,
        );
    }
}

#[cfg(test)]
impl Waits {
    /// Puts every moment elsewhere; every row of failures began at `since`. What a later decision cannot tell apart becomes equal.
    pub fn retime(
        &mut self,
        now: Duration,
        since: Timestamp,
        ours: &mut dyn FnMut(Duration) -> Duration,
    ) {
        for wait in self.by_action.values_mut() {
            wait.next = if wait.next > now {
                ours(wait.next)
            } else {
                Duration::ZERO
            };
            wait.since = since;
            wait.attempts = wait.attempts.min(3);
            wait.failures = wait.failures.min(3);
        }
    }
}

fn band(cause: Cause, attempts: u32, failures: u32, paces: &Paces) -> (Duration, Duration) {
    let doublings = failures.saturating_sub(1).min(30);
    let bound = paces
        .backoff_min
        .saturating_mul(1 << doublings)
        .min(paces.backoff_max);
    match cause.spacing() {
        Spacing::AtOnce(times) if attempts <= times => (Duration::ZERO, Duration::ZERO),
        Spacing::AtOnce(_) | Spacing::Doubling => (Duration::ZERO, bound),
        Spacing::Slow => (paces.slow_backoff_min, paces.slow_backoff_max),
    }
}

#[cfg(test)]
#[path = "retry_tests.rs"]
mod tests;
