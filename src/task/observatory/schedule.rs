//! When an application is read again.

use super::{App, What, interest::Interest};
use crate::{live::PAGE_SIZE, task::retry::Paces};
use std::time::Duration;

/// More deletions than this wait for the list before they share a read.
const CROWD: usize = 10;
/// What was read of an application that nobody asks about is kept this long: a crowd of deletions needs two reads in a row.
const KEPT: Duration = Duration::from_mins(1);

/// When something is read.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// The last read began.
    pub begun: Option<Duration>,
    pub is_reading: bool,
    /// Whether a read is wanted is judged at this moment again.
    pub check: Duration,
}

/// Whether a read is wanted.
pub(super) enum Verdict {
    /// Now.
    Now,
    /// That is to be judged again then.
    At(Duration),
    /// That is judged when the read under way has ended.
    AfterThis,
}

impl App {
    pub(super) fn board(&mut self, what: What) -> &mut Board {
        match what {
            What::Tasks => &mut self.tasks,
            What::Channels => &mut self.channels,
        }
    }

    /// Nobody waits for a read, and there has been none for a while.
    pub(super) fn is_idle(&self, now: Duration) -> bool {
        let boards = [&self.tasks, &self.channels];
        let is_quiet = boards.iter().all(|board| {
            let is_old = board.begun.is_none_or(|begun| begun + KEPT <= now);
            is_old && !board.is_reading
        });
        is_quiet && self.crowd.is_empty() && self.asked.is_empty()
    }

    pub(super) fn is_crowded(&self) -> bool {
        let listed = self.lists[1].as_ref().map_or(0, |(_, ids)| ids.len());
        self.crowd.len() > CROWD.max(4 * (listed / PAGE_SIZE + 1))
    }

    /// Whether a read is wanted now, and when that is to be judged again if it is not.
    pub(super) fn judge(
        &self,
        what: What,
        interest: impl Fn() -> Interest,
        paces: &Paces,
        now: Duration,
    ) -> Verdict {
        let board = match what {
            What::Tasks => &self.tasks,
            What::Channels => &self.channels,
        };
        let not_before = self.waits.due(what.action(), 0);
        if board.is_reading {
            return Verdict::AfterThis;
        }
        let is_asked = match what {
            What::Tasks => self.is_crowded(),
            What::Channels => !self.asked.is_empty(),
        };
        if is_asked {
            return if not_before <= now {
                Verdict::Now
            } else {
                Verdict::At(not_before)
            };
        }
        if board.check > now {
            return Verdict::At(board.check);
        }
        let interest = interest();
        let pace = match what {
            What::Tasks if interest.running + interest.open > 0 => paces.sweep_period,
            What::Channels if interest.waiting > 0 || (self.is_away && interest.running > 0) => {
                paces.channel_poll.min(paces.sweep_period)
            }
            What::Channels if interest.running > 0 => paces.sweep_period,
            What::Tasks | What::Channels => {
                return Verdict::At(now + paces.channel_poll.min(paces.sweep_period));
            }
        };
        let due = board
            .begun
            .map_or(now, |begun| begun + pace)
            .max(not_before);
        if due <= now {
            Verdict::Now
        } else {
            // What is wanted may change meanwhile.
            Verdict::At(due.min(now + paces.channel_poll.min(paces.sweep_period)))
        }
    }
}
