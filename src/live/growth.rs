//! How a limit grows again after it was lowered.

use std::time::Duration;

/// From a little less than what is known to pass, to that, and beyond.
#[derive(Debug, Clone, Copy)]
pub(super) struct Growth {
    pub from: f64,
    pub known: f64,
    pub step: f64,
    pub plateau: Duration,
    pub doubling: Duration,
    /// For how long the limit has been in full use.
    pub busy: Duration,
}

impl Growth {
    /// What is sent at first of what is known to pass: calls are delayed on the way, and the service counts them unevenly.
    pub const EASED: f64 = 0.97;

    /// Calls per second that may be sent now.
    pub fn limit(&self) -> f64 {
        let eased = self.known * Self::EASED;
        let doublings = |time: Duration| time.as_secs_f64() / self.doubling.as_secs_f64();
        let catching_up = if self.from < eased {
            self.doubling.mul_f64((eased / self.from).log2())
        } else {
            Duration::ZERO
        };
        if self.busy < catching_up {
            return self.from * doublings(self.busy).exp2();
        }
        let start = self.from.max(eased).min(self.known);
        let time = self.busy.saturating_sub(catching_up);
        if time < self.plateau {
            let way = time.as_secs_f64() / self.plateau.as_secs_f64();
            return start + (self.known - start) * way;
        }
        // A huge exponent is infinity, which the ceiling cuts.
        self.known + self.step * (doublings(time.saturating_sub(self.plateau)).exp2() - 1.0)
    }
}
