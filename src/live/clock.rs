//! The service's clock, as far as it has told: requests are dated by it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::class::Class;
use super::outcome::Failure;
use super::redact;

/// A date of the service farther off than this is not believed.
const FARTHEST: Duration = Duration::from_hours(24);

/// Seconds by which two measurements of one offset may differ: answers take their time on the way.
const SAME: u64 = 5;

/// Before the next attempt, where a refused date came without one to sign by: the same again at once would be refused as well.
const NOTHING_TO_SIGN_BY: Duration = Duration::from_secs(1);

/// How far the service's clock is ahead of this machine's: nothing, until it refuses a date.
#[derive(Debug, Default)]
pub struct ServiceClock {
    seconds_ahead: AtomicI64,
}

impl ServiceClock {
    /// The service's time.
    pub fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        let ahead = SignedDuration::from_secs(self.seconds_ahead.load(Ordering::Relaxed));
        now.checked_add(ahead).unwrap_or(now)
    }

    /// Where a date was refused: goes by `theirs`, the date of the answer, from now on, and tells by how much the clocks differ. Other failures stay as
    /// they are.
    pub fn learn(&self, failure: Failure, theirs: Option<Timestamp>) -> Failure {
        if failure.class != Class::ClockSkew {
            return failure;
        }
        let measured = theirs.map(|theirs| theirs.duration_since(Timestamp::now()));
        let (told, least) = match measured {
            Some(ahead) if ahead.unsigned_abs() <= FARTHEST => (self.keep(ahead.as_secs()), None),
            Some(_) => (
                "the service's own date is more than a day off and is not believed".to_owned(),
                Some(NOTHING_TO_SIGN_BY),
            ),
            None => (
                "the service gives no date of its own".to_owned(),
                Some(NOTHING_TO_SIGN_BY),
            ),
        };
        Failure {
            message: redact::shown(&format!("{told}: {}", failure.message), &[]),
            retry_after: failure.retry_after.or(least),
            ..failure
        }
    }

    /// Keeps an offset, and says it. One that is the same as before but for its measurement is not moved, so that the words stay the same.
    fn keep(&self, measured: i64) -> String {
        let before = self.seconds_ahead.load(Ordering::Relaxed);
        let ahead = if before.abs_diff(measured) <= SAME {
            before
        } else {
            measured
        };
        self.seconds_ahead.store(ahead, Ordering::Relaxed);
        match ahead {
            0 => "the service's clock is right by this machine's".to_owned(),
            1.. => format!("the service's clock is {ahead} s ahead of this machine's"),
            _ => format!(
                "the service's clock is {} s behind this machine's",
                ahead.unsigned_abs()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::outcome::unavailable;

    fn refused() -> Failure {
        Failure {
            class: Class::ClockSkew,
            ..unavailable("Specified time stamp or date value is expired.".to_owned())
        }
    }

    fn off_by(seconds: i64) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(seconds)
    }

    fn ahead(clock: &ServiceClock) -> i64 {
        clock.seconds_ahead.load(Ordering::Relaxed)
    }

    #[test]
    fn the_measured_offset_is_told_and_kept() {
        let clock = ServiceClock::default();
        for (seconds, words) in [(1200, "ahead of"), (-1200, "behind")] {
            let failure = clock.learn(refused(), Some(off_by(seconds)));
            assert!((ahead(&clock) - seconds).abs() <= 1, "{failure}");
            let told = format!(
                "the service's clock is {} s {words} this machine's: Specified time",
                ahead(&clock).abs()
            );
            assert!(failure.message.starts_with(&told), "{failure}");
            assert_eq!(failure.retry_after, None, "at once");
            let dated = clock.now().duration_since(Timestamp::now()).as_secs();
            assert!((dated - seconds).abs() <= 2);
        }
        let before = ahead(&clock);
        let words = clock.learn(refused(), Some(off_by(before - 3))).message;
        assert_eq!(ahead(&clock), before, "the same offset: {words}");
        clock.learn(refused(), Some(off_by(0)));
        assert_eq!(ahead(&clock).abs(), 0, "a clock that was put right");
    }

    #[test]
    fn what_cannot_be_right_is_not_believed_and_not_tried_at_once() {
        let clock = ServiceClock::default();
        for theirs in [None, Some(off_by(86_460)), Some(off_by(-86_460))] {
            let failure = clock.learn(refused(), theirs);
            assert_eq!(ahead(&clock), 0);
            assert_eq!(failure.retry_after, Some(NOTHING_TO_SIGN_BY), "{failure}");
        }
    }

    #[test]
    fn other_failures_say_nothing_of_clocks() {
        let clock = ServiceClock::default();
        let other = unavailable("words".to_owned());
        assert_eq!(clock.learn(other.clone(), Some(off_by(1200))), other);
        assert_eq!(ahead(&clock), 0);
    }
}
