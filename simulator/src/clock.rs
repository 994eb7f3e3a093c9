//! Simulated time: the real clock plus an offset that the admin port moves.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Milliseconds since the UNIX epoch, of the simulated clock.
pub type Millis = i64;

/// One instant, on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Simulated time.
    pub simulated: Millis,
    /// Microseconds of real, monotonic time since the start of the program.
    pub monotonic: u64,
}

/// Tells the time. Real time is monotonic from the start on: a step of the machine's clock is not seen.
#[derive(Debug)]
pub struct Clock {
    origin: Instant,
    origin_millis: Millis,
    offset: Millis,
}

impl Clock {
    /// A clock without offset.
    pub fn new() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            origin: Instant::now(),
            origin_millis: Millis::try_from(since_epoch.as_millis()).unwrap_or(Millis::MAX),
            offset: 0,
        }
    }

    /// Now.
    pub fn now(&self) -> Moment {
        let monotonic = u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX);
        Moment {
            simulated: self.real(monotonic).saturating_add(self.offset),
            monotonic,
        }
    }

    /// Real time in UNIX milliseconds at a monotonic instant.
    pub fn real(&self, monotonic: u64) -> Millis {
        self.origin_millis
            .saturating_add(Millis::try_from(monotonic / 1000).unwrap_or(Millis::MAX))
    }

    /// How far simulated time is ahead of real time, in milliseconds.
    pub fn offset(&self) -> Millis {
        self.offset
    }

    /// Moves simulated time.
    pub fn advance(&mut self, by: Millis) {
        self.offset = self.offset.saturating_add(by);
    }

    /// Simulated time is real time again.
    pub fn reset(&mut self) {
        self.offset = 0;
    }
}

/// The time as people and JSON write it.
pub fn rfc3339(at: Millis) -> String {
    Timestamp::from_millisecond(at)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_string()
}

/// The time as the HTTP header `Date` writes it.
pub fn http_date(at: Millis) -> String {
    Timestamp::from_millisecond(at)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}
