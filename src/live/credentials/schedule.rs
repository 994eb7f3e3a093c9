//! When held credentials are used, and when others are fetched. Pure: time and chance are arguments.

use std::sync::Arc;
use std::time::Duration;

use super::Credentials;
use crate::live::outcome::Failure;

/// How long before their end credentials are fetched anew: a quarter of their life, at most this (as the vendor's Python SDK, dossier 9.2).
const LONGEST_MARGIN: Duration = Duration::from_mins(15);

/// The first wait after a failed fetch; it doubles.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Where the doubling after failed fetches ends: within the margin of an hour's credentials there are still more than ten tries.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Where the doubling ends between fetches that were asked for because the service refused what had just been fetched.
const LONGEST_EARLY_WAIT: Duration = Duration::from_mins(5);

/// What to do for one who wants to sign.
#[derive(Debug, Clone)]
pub enum Advice {
    /// Sign with these.
    Use(Arc<Credentials>),
    /// Sign with these, and have others fetched meanwhile.
    UseAndFetch(Arc<Credentials>),
    /// Fetch first.
    Fetch,
    /// There are none, and it is too early for another try.
    Fail(Failure),
}

/// What is held, and what became of the last tries. Times are since an origin of the caller's choice.
#[derive(Debug, Default)]
pub struct Schedule {
    held: Option<Held>,
    failed: Option<Failed>,
    early: Early,
}

#[derive(Debug)]
struct Held {
    credentials: Arc<Credentials>,
    /// From here on others are fetched ahead of time.
    ageing: Duration,
    end: Duration,
    /// The service refused them; others may be fetched from this moment on.
    refused: Option<Duration>,
}

#[derive(Debug)]
struct Failed {
    failure: Failure,
    times: u32,
    next: Duration,
}

/// Fetches that the service's refusals asked for, in a row.
#[derive(Debug, Default)]
struct Early {
    times: u32,
    next: Duration,
}

impl Schedule {
    /// What to do now.
    #[must_use]
    pub fn advise(&self, now: Duration) -> Advice {
        let may_fetch = self.failed.as_ref().is_none_or(|failed| failed.next <= now);
        match (&self.held, &self.failed) {
            (Some(held), _) if now < held.end => {
                let credentials = held.credentials.clone();
                match held.refused {
                    Some(from) if may_fetch && from <= now => Advice::Fetch,
                    None if may_fetch && held.ageing <= now => Advice::UseAndFetch(credentials),
                    // Refused ones are better than none: the refusal may be an error of its own.
                    Some(_) | None => Advice::Use(credentials),
                }
            }
            (_, Some(failed)) if !may_fetch => Advice::Fail(failed.failure.clone()),
            _ => Advice::Fetch,
        }
    }

    /// Credentials were fetched that live that long from now on.
    pub fn fetched(&mut self, credentials: Arc<Credentials>, lives: Duration, now: Duration) {
        let margin = (lives / 4).min(LONGEST_MARGIN);
        let are_refused = self.held.as_ref().is_some_and(|held| {
            held.refused.is_some() && held.credentials.is_same_as(&credentials)
        });
        self.held = Some(Held {
            credentials,
            // What nears its end and is given again and again is not asked for more often than after failures.
            ageing: now + lives.saturating_sub(margin).max(FIRST_WAIT),
            end: now + lives,
            // The same ones again are no better.
            refused: are_refused.then(|| self.early.grant(now)),
        });
        self.failed = None;
    }

    /// A fetch failed. `jitter` is uniform in 0..1. Returns the wait until the next try.
    pub fn failed(&mut self, failure: Failure, now: Duration, jitter: f64) -> Duration {
        let times = self.failed.as_ref().map_or(0, |failed| failed.times);
        let bound = doubled(FIRST_WAIT, times, LONGEST_WAIT);
        let asked = failure.retry_after.unwrap_or_default();
        // Never less than half, so that a row of unlucky throws is no storm.
        let wait = (bound / 2 + (bound / 2).mul_f64(jitter)).max(asked);
        self.failed = Some(Failed {
            failure,
            times: times.saturating_add(1),
            next: now + wait,
        });
        wait
    }

    /// The service refused these. Whether others are held already or may be fetched now.
    pub fn refused(&mut self, refused: &Credentials, now: Duration) -> bool {
        let Some(held) = self
            .held
            .as_mut()
            .filter(|held| held.credentials.is_same_as(refused))
        else {
            return true;
        };
        let from = *held.refused.get_or_insert_with(|| self.early.grant(now));
        from <= now
    }

    /// When to look again without being asked; nothing is held or due before.
    #[must_use]
    pub fn next(&self) -> Duration {
        let retry = self.failed.as_ref().map(|failed| failed.next);
        let due = self.held.as_ref().map_or(Duration::ZERO, |held| {
            held.refused.unwrap_or(held.ageing).min(held.end)
        });
        retry.map_or(due, |retry| retry.max(due))
    }
}

impl Early {
    /// The next moment at which a refusal may cause a fetch. One at once, then ever more rarely while what is fetched is refused too.
    fn grant(&mut self, now: Duration) -> Duration {
        if now >= self.next + LONGEST_EARLY_WAIT {
            self.times = 0;
        }
        let granted = self.next.max(now);
        self.next = granted + doubled(FIRST_WAIT, self.times, LONGEST_EARLY_WAIT);
        self.times = self.times.saturating_add(1);
        granted
    }
}

fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << times.min(20)).min(longest)
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
