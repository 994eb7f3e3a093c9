//! How long answers usually take, and from when on one is overdue.

use std::time::Duration;

/// No call is overdue sooner than this; and before anything is known of the service, not before [`FIRST_OVERDUE`].
const LEAST_OVERDUE: Duration = Duration::from_millis(200);
pub(super) const FIRST_OVERDUE: Duration = Duration::from_secs(1);

/// Smoothed time to an answer, and its variation, as TCP has it (RFC 6298).
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Latency(Option<(Duration, Duration)>);

impl Latency {
    /// An answer took so long.
    pub fn answered(&mut self, took: Duration) {
        self.0 = Some(match self.0 {
            None => (took, took / 2),
            Some((mean, variation)) => (
                (mean * 7 + took) / 8,
                (variation * 3 + mean.abs_diff(took)) / 4,
            ),
        });
    }

    /// Within what time answers come, where that is known.
    pub fn usual(&self) -> Option<Duration> {
        self.0.map(|(mean, variation)| mean + variation * 4)
    }

    /// From when on a call without an answer is overdue.
    pub fn overdue_after(&self) -> Duration {
        self.usual().unwrap_or(FIRST_OVERDUE).max(LEAST_OVERDUE)
    }
}
