//! Channels: who is in them, and which tasks depend on it.

use std::collections::BTreeSet;

use crate::clock::Millis;

/// One channel.
#[derive(Debug, Default)]
pub struct Channel {
    /// Interactive users.
    pub users: BTreeSet<String>,
    /// Viewers.
    pub viewers: BTreeSet<String>,
    /// Running tasks, in an order that does not change from run to run.
    pub tasks: BTreeSet<String>,
    /// Since when nobody is in it. None: somebody is, or nobody ever was.
    pub empty_since: Option<Millis>,
    /// New each time it is emptied or filled: an event planned for one emptiness says nothing about the next.
    pub epoch: u64,
}

/// What a caller is told about a channel.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ChannelState {
    /// It exists, the closing lag included.
    pub exists: bool,
    /// Interactive users.
    pub users: Vec<String>,
    /// Viewers.
    pub viewers: Vec<String>,
}

impl Channel {
    /// Whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.viewers.is_empty()
    }

    /// Whether it still exists, for a few seconds after everyone left (dossier 4.1).
    pub fn exists(&self, now: Millis, lag: Millis) -> bool {
        !self.is_empty() || now < self.gone_at(lag)
    }

    /// When an empty channel ceases to exist.
    pub fn gone_at(&self, lag: Millis) -> Millis {
        self.empty_since
            .map_or(Millis::MIN, |since| since.saturating_add(lag))
    }
}
