//! Which part of an account's quotas is ours.

use std::str::FromStr;

/// A part of every quota, above 0 and at most 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuotaShare(f64);

/// Not a part of a quota.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no share of the quota; give a number above 0 and at most 1, like 0.5")]
pub struct ShareError(String);

impl QuotaShare {
    /// All of it.
    pub const WHOLE: Self = Self(1.0);

    /// What this part of a quota is, in whole calls per second: rounded down, but at least one.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 0 and the quota"
    )]
    pub fn of(self, quota: u32) -> u32 {
        // 0.29 of 100 is a hair less than 29.
        ((self.0 * f64::from(quota) + 1e-6).floor() as u32).clamp(1, quota.max(1))
    }
}

impl FromStr for QuotaShare {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        let share: Option<f64> = text.parse().ok();
        match share.filter(|share| *share > 0.0 && *share <= 1.0) {
            Some(share) => Ok(Self(share)),
            None => Err(ShareError(text.to_owned())),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_down_and_is_at_least_one_call() {
        for (share, quota, calls) in [
            ("1", 500, 500),
            ("1.0", 50, 50),
            ("0.5", 500, 250),
            ("0.29", 100, 29),
            ("0.333", 50, 16),
            ("0.999", 50, 49),
            ("0.001", 50, 1),
            ("1e-300", 500, 1),
        ] {
            let share: QuotaShare = share.parse().unwrap();
            assert_eq!(share.of(quota), calls, "{share:?} of {quota}");
        }
        for action in crate::live::Action::ALL {
            let quota = action.quota_per_second();
            assert_eq!(QuotaShare::WHOLE.of(quota), quota);
        }
    }

    #[test]
    fn what_is_no_share_is_refused_with_the_bounds() {
        for text in [
            "0", "-0.1", "1.0001", "2", "NaN", "inf", "-inf", "half", "", "50%",
        ] {
            let error = text.parse::<QuotaShare>().unwrap_err().to_string();
            assert!(error.contains("above 0 and at most 1"), "{error}");
        }
    }
}
