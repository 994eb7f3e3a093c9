//! Reducing what was measured.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Durations, sorted.
#[derive(Debug, Clone, Default)]
pub struct Sample(Vec<Duration>);

impl Sample {
    /// Of these.
    pub fn new(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        Self(durations)
    }

    /// The value that `share` (0 to 1) of the sample does not exceed, by the nearest rank.
    pub fn quantile(&self, share: f64) -> Duration {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank within the sample"
        )]
        let rank = (share * self.0.len() as f64).ceil() as usize;
        self.0[rank.clamp(1, self.0.len()) - 1]
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// All of several samples.
    pub fn all(samples: &[Self]) -> Self {
        Self::new(samples.iter().flat_map(|sample| sample.0.clone()).collect())
    }
}

/// Milliseconds with a fraction.
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Whether a bound is met, in words.
pub fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "NOT met" }
}

/// Seconds with a fraction, for a table.
pub fn in_seconds(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64())
}

/// The least and the most of a quantile over blocks, in milliseconds.
pub fn spread(blocks: &[Sample], share: f64) -> RangeInclusive<f64> {
    let values = || blocks.iter().map(|block| ms(block.quantile(share)));
    values().fold(f64::INFINITY, f64::min)..=values().fold(0.0, f64::max)
}

/// The most moments (in microseconds) in any window of one second.
pub fn most_in_a_second(mut moments: Vec<u64>) -> usize {
    moments.sort_unstable();
    let mut first = 0;
    let mut most = 0;
    for (last, moment) in moments.iter().enumerate() {
        while moments[first] + 1_000_000 <= *moment {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(milliseconds: &[u64]) -> Sample {
        Sample::new(
            milliseconds
                .iter()
                .copied()
                .map(Duration::from_millis)
                .collect(),
        )
    }

    #[test]
    fn quantiles_are_of_the_nearest_rank() {
        let hundred: Vec<u64> = (1..=100).rev().collect();
        let hundred = sample(&hundred);
        for (share, expected) in [(0.0, 1), (0.5, 50), (0.99, 99), (1.0, 100)] {
            assert_eq!(
                hundred.quantile(share),
                Duration::from_millis(expected),
                "{share}"
            );
        }
        assert_eq!(sample(&[7]).quantile(0.5), Duration::from_millis(7));
    }

    #[test]
    fn a_window_is_half_open() {
        assert_eq!(most_in_a_second(vec![]), 0);
        assert_eq!(most_in_a_second(vec![1_000_000, 0]), 1);
        assert_eq!(most_in_a_second(vec![999_999, 0, 1_000_000, 5_000_000]), 2);
    }

    #[test]
    fn a_spread_is_over_blocks() {
        assert_eq!(
            spread(&[sample(&[1, 2, 3]), sample(&[4, 5, 6])], 0.5),
            2.0..=5.0
        );
    }
}
