//! What several answers in a row show that one alone does not: an empty channel, and errors that stand for "not found".

use super::{AUTO_STOP, READING_GAP};
use crate::{
    live::ChannelId,
    task::{
        evidence::Sighting,
        retry::{Moment, Paces},
    },
};
use std::time::Duration;

/// `InternalError` stands for "not found" only after this many in a row ...
pub(super) const INTERNAL_ERRORS: u32 = 3;
/// ... over at least this long.
pub(super) const INTERNAL_ERROR_SPAN: Duration = Duration::from_secs(10);

/// An empty channel under observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quiet {
    pub(super) channel: ChannelId,
    /// First and last reading that found it empty, by the service's clock, UNIX seconds.
    pub(super) since: i64,
    pub(super) last: i64,
    /// The last reading by our clock.
    pub(super) read_at: Duration,
}

/// `InternalError`s in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Streak {
    pub(super) first: Duration,
    pub(super) last: Duration,
    pub(super) count: u32,
}

impl Quiet {
    /// The last reading is recent enough to say anything of now.
    pub(super) fn is_fresh(&self, now: Moment) -> bool {
        now.mono.saturating_sub(self.read_at) <= READING_GAP
    }

    /// Empty for longer than the service lets a task live in an empty channel.
    pub(super) fn is_ripe(&self, sighting: &Sighting, paces: &Paces) -> bool {
        let needed = time_to_live(sighting).saturating_add(paces.idle_margin);
        u64::try_from(self.last.saturating_sub(self.since))
            .is_ok_and(|seconds| Duration::from_secs(seconds) > needed)
    }
}

/// How long the service lets the task live in an empty channel.
pub(super) fn time_to_live(sighting: &Sighting) -> Duration {
    AUTO_STOP.max(sighting.max_idle.unwrap_or_default())
}

impl Streak {
    pub(super) fn is_enough(&self) -> bool {
        self.count >= INTERNAL_ERRORS && self.last.saturating_sub(self.first) >= INTERNAL_ERROR_SPAN
    }
}
