//! What the stopping of a task has learnt of whether it is stopped. The finalizer goes on positive evidence and on nothing else.

mod rows;

use super::{
    evidence::{Answer, Call, Evidence, Sighting},
    retry::{Cause, Moment, Paces, Trouble, Turn, Waits},
    seen::Seen,
};
use crate::live::{Action, ChannelId, Class};
use rows::{INTERNAL_ERROR_SPAN, INTERNAL_ERRORS, Quiet, Streak, time_to_live};
use std::time::Duration;

/// The service stops a task this long after the last person left (vendor page: StopLiveMPUTask).
pub const AUTO_STOP: Duration = Duration::from_mins(2);
/// Two readings of a channel that are further apart leave room for somebody who came and went.
pub const READING_GAP: Duration = Duration::from_secs(15);
/// Between two readings at most, so that a slow answer still keeps within [`READING_GAP`].
const READING_PACE: Duration = Duration::from_secs(10);
/// A complete read of the list by pages counts only if a second one agrees: pages drift while they are read.
const COMPLETE_READS: u8 = 2;
/// An empty channel whose task lives longer than this is not waited for in silence.
const SOON: Duration = Duration::from_mins(5);

/// What is too early to count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Early {
    /// A Stop sent before: until then a Start without an answer may still take effect.
    pub open: Option<Duration>,
    /// That the service does not know the task: until then one that has just been started need not be known everywhere.
    pub fresh: Option<Duration>,
}

/// What the last Stop was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stopped {
    /// Nothing that helps, or nothing was sent yet.
    #[default]
    Unknown,
    /// Accepted: the task is stopped.
    Accepted {
        /// The service's id of the request.
        request_id: String,
        /// When the Stop was sent.
        sent: Duration,
    },
    /// Not-found-like: it has to be verified.
    NotFound {
        /// When the Stop was sent.
        sent: Duration,
        /// When it was answered.
        answered: Duration,
        /// The words name the task as not existing.
        says_gone: bool,
        /// It was the one more Stop after the channel had been empty for long enough.
        ripe: bool,
    },
}

/// What the list says after a not-found-like Stop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Look {
    /// Not asked yet.
    #[default]
    Unknown,
    /// It does not show the task.
    Absent,
    /// It shows the task.
    Shown(Sighting),
    /// The account's policy does not grant it.
    Forbidden,
    /// By id it answers not-found-like itself, so that the pages have to be read.
    Paging {
        /// The next page, counted from 1.
        page: u32,
        /// Complete reads so far that did not show the task.
        reads: u8,
    },
}

/// Everything that one deletion has learnt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trail {
    /// The last Stop.
    pub stopped: Stopped,
    /// The list after it.
    pub look: Look,
    /// At least one Stop of this deletion failed or could not be sent.
    pub failed: bool,
    quiet: Option<Quiet>,
    next_reading: Duration,
    internal: Option<Streak>,
    round_was_bought: bool,
}

impl Trail {
    /// The evidence that the service has given, if it is enough and not too early. What the bulk reads show is shared by all that wait.
    #[must_use]
    pub fn evidence(&self, early: Early, seen: &Seen) -> Option<Evidence> {
        if self.too_early(early).is_some() {
            return None;
        }
        match (&self.stopped, &self.look) {
            (Stopped::Accepted { request_id, .. }, _) => Some(Evidence::StopAccepted {
                request_id: request_id.clone(),
            }),
            (Stopped::NotFound { answered, .. }, _)
                if seen.is_absent_since(early.fresh.unwrap_or_default().max(*answered)) =>
            {
                Some(Evidence::NotListed)
            }
            (Stopped::NotFound { .. }, Look::Absent) => Some(Evidence::NotListed),
            (
                Stopped::NotFound {
                    says_gone: true,
                    sent,
                    ..
                },
                Look::Forbidden,
            ) if early.fresh.is_none_or(|fresh| *sent >= fresh) => Some(Evidence::StopSaidSo),
            (Stopped::NotFound { ripe: true, .. }, Look::Shown(_)) => {
                Some(Evidence::MustHaveStopped)
            }
            (Stopped::NotFound { .. } | Stopped::Unknown, _) => None,
        }
    }

    /// The moment from which on a Stop counts, where the last answered one was sent before it.
    #[must_use]
    pub fn too_early(&self, early: Early) -> Option<Duration> {
        match self.stopped {
            Stopped::Accepted { sent, .. } | Stopped::NotFound { sent, .. } => {
                early.open.filter(|open| sent < *open)
            }
            Stopped::Unknown => None,
        }
    }

    /// The next call, and the moment before which it must not be sent. Not to be asked once there is evidence.
    #[must_use]
    pub fn next(
        &self,
        waits: &Waits,
        generation: i64,
        early: Early,
        paces: &Paces,
        now: Moment,
    ) -> (Call, Duration) {
        if let Some(from) = self.too_early(early) {
            return (Call::Stop { ripe: false }, from);
        }
        let due = |action: Action| waits.due(action, generation);
        let (stop_due, list_due) = (
            due(Action::StopLiveMpuTask),
            due(Action::ListRtcMpuTaskDetail),
        );
        let stop = (Call::Stop { ripe: false }, stop_due);
        match (&self.stopped, &self.look) {
            (Stopped::Unknown | Stopped::Accepted { .. }, _) => stop,
            (Stopped::NotFound { .. }, Look::Unknown | Look::Absent) => (
                Call::ListTask,
                list_due.max(early.fresh.unwrap_or_default()),
            ),
            (Stopped::NotFound { .. }, Look::Paging { page, .. }) => {
                (Call::ListPage(*page), list_due)
            }
            // The list may be allowed by now, or Stop may say more: begin again when both may be asked.
            (Stopped::NotFound { .. }, Look::Forbidden) => (stop.0, stop_due.max(list_due)),
            (Stopped::NotFound { .. }, Look::Shown(sighting)) => {
                let Some(channel) = &sighting.channel else {
                    return stop;
                };
                let quiet = self
                    .quiet
                    .as_ref()
                    .filter(|quiet| quiet.channel == *channel && quiet.is_fresh(now));
                if quiet.is_some_and(|quiet| quiet.is_ripe(sighting, paces)) {
                    return (Call::Stop { ripe: true }, Duration::ZERO);
                }
                // Beside the readings, on the doubling schedule: look again while nobody is there and that will be proof soon, for
                // the service may have cleared the task; otherwise Stop again, for the task may well run.
                let again = match quiet {
                    Some(_) if time_to_live(sighting) <= SOON => {
                        (Call::ListTask, list_due.max(stop_due))
                    }
                    Some(_) | None => stop,
                };
                let reading_due = self.next_reading.max(due(Action::DescribeChannelUsers));
                if reading_due <= again.1 {
                    (Call::Users(channel.clone()), reading_due)
                } else {
                    again
                }
            }
        }
    }

    /// Takes the answer to a call, which was sent at `sent`.
    pub fn absorb(&mut self, call: &Call, answer: Answer, sent: Duration, turn: &mut Turn<'_>) {
        let action = call.action();
        match answer {
            Answer::Accepted { request_id } => {
                self.stopped = Stopped::Accepted { request_id, sent };
                turn.waits.clear(action);
            }
            Answer::Task(shows) => {
                turn.waits.clear(action);
                match shows {
                    Some(sighting) => self.task_is_shown(sighting, turn),
                    None => self.look = Look::Absent,
                }
            }
            Answer::Page {
                shows: Some(sighting),
                ..
            } => {
                turn.waits.clear(action);
                self.task_is_shown(sighting, turn);
            }
            Answer::Page { shows: None, last } => {
                turn.waits.clear(action);
                self.page_was_clean(last);
            }
            Answer::Users { empty, timestamp } => {
                turn.waits.clear(action);
                self.next_reading = turn.now.mono + turn.paces.channel_poll.min(READING_PACE);
                if let Call::Users(channel) = call {
                    self.read_channel(channel, empty, timestamp, turn.now);
                }
            }
            Answer::Failed {
                class,
                words,
                says_gone,
                retry_after,
                may_act: _,
            } => {
                let trouble = Trouble {
                    cause: Cause::Answer(class),
                    words: &words,
                    retry_after,
                    not_before: Duration::ZERO,
                };
                match call {
                    Call::Stop { ripe } => {
                        self.stop_failed(class, says_gone, (*ripe, sent), &trouble, turn);
                    }
                    Call::ListTask
                        if class == Class::NotFoundLike || class == Class::InternalError =>
                    {
                        turn.waits.clear(action);
                        self.look = Look::Paging { page: 1, reads: 0 };
                    }
                    Call::ListTask | Call::ListPage(_) => {
                        if class == Class::AccessDenied {
                            self.look = Look::Forbidden;
                        }
                        turn.fail(action, &trouble);
                    }
                    Call::Users(_) | Call::Identify | Call::Start | Call::Update => {
                        turn.fail(action, &trouble);
                    }
                }
            }
        }
    }

    fn stop_failed(
        &mut self,
        class: Class,
        says_gone: bool,
        (ripe, sent): (bool, Duration),
        trouble: &Trouble<'_>,
        turn: &mut Turn<'_>,
    ) {
        self.failed = true;
        self.count_internal_errors(class, turn.now);
        let stands_for_not_found = self.internal.as_ref().is_some_and(Streak::is_enough);
        if class != Class::NotFoundLike && !(class == Class::InternalError && stands_for_not_found)
        {
            self.stopped = Stopped::Unknown;
            // So that the third InternalError is enough and no fourth is needed.
            let not_before = self
                .internal
                .as_ref()
                .filter(|streak| streak.count + 1 >= INTERNAL_ERRORS)
                .map_or(Duration::ZERO, |streak| streak.first + INTERNAL_ERROR_SPAN);
            turn.fail(
                Action::StopLiveMpuTask,
                &Trouble {
                    not_before,
                    ..*trouble
                },
            );
            return;
        }
        let ripe = ripe && matches!(self.look, Look::Shown(_));
        if !ripe {
            self.look = Look::Unknown;
        }
        self.stopped = Stopped::NotFound {
            sent,
            answered: turn.now.mono,
            says_gone,
            ripe,
        };
        self.round_was_bought = turn.bought;
        // The wait stays: if the task turns out to be listed still, the spacing goes on doubling from round to round.
    }

    fn count_internal_errors(&mut self, class: Class, now: Moment) {
        match class {
            Class::InternalError => {
                let streak = self.internal.get_or_insert(Streak {
                    first: now.mono,
                    last: now.mono,
                    count: 0,
                });
                streak.last = now.mono;
                streak.count = streak.count.saturating_add(1);
            }
            // Says nothing of the task: the row goes on.
            Class::Throttled
            | Class::ServiceUnavailable
            | Class::ClockSkew
            | Class::NonceUsed
            | Class::CredentialsStale
            | Class::CredentialsMissing => {}
            Class::NotFoundLike
            | Class::TaskExists
            | Class::NotCleared
            | Class::ChannelAbsent
            | Class::OutputBusy
            | Class::QuotaExceeded
            | Class::AppIdRejected
            | Class::RequestRejected
            | Class::AccessDenied
            | Class::ServiceNotEnabled
            | Class::CredentialsRejected => self.internal = None,
        }
    }

    fn task_is_shown(&mut self, sighting: Sighting, turn: &mut Turn<'_>) {
        let trouble = Trouble {
            cause: Cause::Unconfirmed,
            words: "",
            retry_after: None,
            not_before: Duration::ZERO,
        };
        turn.bought |= std::mem::take(&mut self.round_was_bought);
        turn.fail(Action::StopLiveMpuTask, &trouble);
        self.look = Look::Shown(sighting);
    }

    fn page_was_clean(&mut self, last: bool) {
        if let Look::Paging { page, reads } = self.look {
            self.look = match (last, reads + 1) {
                (false, _) => Look::Paging {
                    page: page.saturating_add(1),
                    reads,
                },
                (true, reads) if reads >= COMPLETE_READS => Look::Absent,
                (true, reads) => Look::Paging { page: 1, reads },
            };
        }
    }

    fn read_channel(&mut self, channel: &ChannelId, empty: bool, timestamp: i64, now: Moment) {
        if !empty {
            self.quiet = None;
            return;
        }
        let unbroken = self.quiet.as_ref().filter(|quiet| {
            let gap = timestamp
                .checked_sub(quiet.last)
                .and_then(|gap| u64::try_from(gap).ok());
            quiet.channel == *channel
                && gap.is_some_and(|gap| Duration::from_secs(gap) <= READING_GAP)
        });
        self.quiet = Some(Quiet {
            channel: channel.clone(),
            since: unbroken.map_or(timestamp, |quiet| quiet.since),
            last: timestamp,
            read_at: now.mono,
        });
    }

    /// Whether it is a row of `InternalError`s that stands for "not found".
    #[must_use]
    pub fn rests_on_internal_errors(&self) -> bool {
        self.internal.as_ref().is_some_and(Streak::is_enough)
    }

    /// Whether the channel was seen empty at the last reading.
    #[must_use]
    pub fn channel_is_empty(&self) -> bool {
        self.quiet.is_some()
    }
}

#[cfg(test)]
impl Trail {
    /// Puts every moment elsewhere, by our clock and by the service's. What a later decision cannot tell apart becomes equal.
    pub fn retime(
        &mut self,
        now: Duration,
        ours: &mut dyn FnMut(Duration) -> Duration,
        services: &mut dyn FnMut(i64) -> i64,
    ) {
        let Self {
            stopped,
            look: _,
            failed: _,
            quiet,
            next_reading,
            internal,
            round_was_bought: _,
        } = self;
        match stopped {
            Stopped::Unknown => {}
            Stopped::Accepted { sent, .. } => *sent = ours(*sent),
            Stopped::NotFound { sent, answered, .. } => {
                (*sent, *answered) = (ours(*sent), ours(*answered));
            }
        }
        if let Some(quiet) = quiet {
            (quiet.since, quiet.last) = (services(quiet.since), services(quiet.last));
            quiet.read_at = ours(quiet.read_at);
        }
        *next_reading = if *next_reading > now {
            ours(*next_reading)
        } else {
            Duration::ZERO
        };
        if let Some(streak) = internal {
            (streak.first, streak.last) = (ours(streak.first), ours(streak.last));
            streak.count = streak.count.min(INTERNAL_ERRORS);
        }
    }
}
