//! What the bulk reads of an application show of one object. All moments are when a read began, since the process started.

use crate::live::Class;
use std::time::Duration;

/// What the bulk reads show of one object's task and channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seen {
    /// The last two complete reads of the task list, if neither shows the task: when each began. Pages drift while they are read, so that
    /// one alone says nothing.
    pub absent: Option<(Duration, Duration)>,
    /// The last complete read of the task list, if it shows the task and the one before did not: when it began.
    pub back: Option<Duration>,
    /// The list cannot be read, and that does not pass: that the task is gone would not be noticed.
    pub list_lost: Option<Fault>,
    /// The object's channel.
    pub channel: Channel,
    /// Why the channels cannot be read now.
    pub channels_fail: Option<Fault>,
}

/// Why something cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// What the answer means.
    pub class: Class,
    /// The service's words, redacted.
    pub words: String,
}

/// What the reads of the channels show of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Channel {
    /// The last complete read.
    pub read: Option<Duration>,
    /// The last one that showed the channel.
    pub live: Option<Duration>,
    /// The last one that did not.
    pub away: Option<Duration>,
    /// The first of an unbroken row of reads, up to the last one, that did not show it.
    pub away_since: Option<Duration>,
    /// Neither the last read nor the one before showed it, whatever lay between them.
    pub away_twice: bool,
    /// The first and the last of the latest unbroken row of several reads that did not show it. Pages drift: one alone says nothing.
    pub was_away: Option<(Duration, Duration)>,
}

impl Channel {
    /// Takes a complete read. Two that are further apart than `gap` leave room for somebody who came and went.
    pub fn take(&mut self, begun: Duration, shows: bool, gap: Duration) {
        self.away_twice = !shows && self.is_away();
        if shows {
            self.live = Some(begun);
            self.away_since = None;
        } else {
            let unbroken = self
                .read
                .is_some_and(|last| begun.saturating_sub(last) <= gap);
            let row = self.away_since.filter(|_| unbroken);
            self.was_away = row.map(|since| (since, begun)).or(self.was_away);
            self.away_since = row.or(Some(begun));
            self.away = Some(begun);
        }
        self.read = Some(begun);
    }

    /// Whether the last read showed it.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.read.is_some() && self.read == self.live
    }

    /// Whether the last read did not show it.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.read.is_some() && self.read == self.away
    }
}

impl Seen {
    /// The account's policy does not let the channels be read: nothing but Start itself tells then whether somebody is there.
    #[must_use]
    pub fn channels_denied(&self) -> bool {
        self.channels_fail
            .as_ref()
            .is_some_and(|fault| fault.class == Class::AccessDenied)
    }

    /// Whether two complete reads of the list, both begun at `moment` or later, do not show the task.
    #[must_use]
    pub fn is_absent_since(&self, moment: Duration) -> bool {
        self.absent.is_some_and(|(first, _)| first >= moment)
    }
}
