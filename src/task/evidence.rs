//! What is asked of the service, what an answer is reduced to, and what proves that a task is stopped.

use crate::live::{Action, ChannelId, Class};
use std::time::Duration;

/// One call to the service about one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `StopLiveMPUTask`. `ripe`: the channel has just been seen empty for long enough, so this is the one more Stop.
    Stop {
        /// See above.
        ripe: bool,
    },
    /// `ListRtcMPUTaskDetail` by task id.
    ListTask,
    /// `ListRtcMPUTaskDetail`, one page of the application, counted from 1.
    ListPage(u32),
    /// `DescribeChannelUsers`.
    Users(ChannelId),
    /// `StartLiveMPUTask`, on a recorded intent.
    Start,
    /// `UpdateLiveMPUTask` with the complete parameters.
    Update,
    /// `ListRtcMPUTaskDetail` by task id, to tell whose the task is.
    Identify,
}

impl Call {
    /// The action that is called.
    #[must_use]
    pub fn action(&self) -> Action {
        match self {
            Self::Stop { .. } => Action::StopLiveMpuTask,
            Self::ListTask | Self::ListPage(_) | Self::Identify => Action::ListRtcMpuTaskDetail,
            Self::Users(_) => Action::DescribeChannelUsers,
            Self::Start => Action::StartLiveMpuTask,
            Self::Update => Action::UpdateLiveMpuTask,
        }
    }
}

/// What the list says of a task that it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Its channel, where the entry names a legal one.
    pub channel: Option<ChannelId>,
    /// Its `MaxIdleTime`, where it has one.
    pub max_idle: Option<Duration>,
    /// Its `MixMode`, where the entry has one.
    pub mix_mode: Option<String>,
    /// The hashes of its outputs, sorted; none where they cannot be read.
    pub outputs: Option<Vec<String>>,
}

/// An answer, reduced to what a decision needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Start, Update or Stop was accepted.
    Accepted {
        /// The service's id of the request.
        request_id: String,
    },
    /// The list by id shows the task, or does not.
    Task(Option<Sighting>),
    /// A page of the list.
    Page {
        /// The task, if it stands on the page.
        shows: Option<Sighting>,
        /// No page follows.
        last: bool,
    },
    /// Who is in the channel.
    Users {
        /// Nobody is.
        empty: bool,
        /// The service's time of the answer, UNIX seconds.
        timestamp: i64,
    },
    /// No answer that says so.
    Failed {
        /// What it means.
        class: Class,
        /// The service's words, redacted.
        words: String,
        /// The words name the task as not existing.
        says_gone: bool,
        /// The call may have taken effect all the same, now or later.
        may_act: bool,
        /// The delay that the service asks for.
        retry_after: Option<Duration>,
    },
}

/// Why the finalizer may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Stop was accepted.
    StopAccepted {
        /// The service's id of the request.
        request_id: String,
    },
    /// Stop was answered not-found-like and the list does not show the task.
    NotListed,
    /// Stop named the task as not existing, and the list is forbidden.
    StopSaidSo,
    /// Stop is answered not-found-like, and the channel has been empty for longer than the service lets a task live. The weakest.
    MustHaveStopped,
    /// The object has a relay, and none was ever started.
    NeverStarted,
    /// The operator had stopped the task before, and started none since.
    StoppedBefore,
    /// The task of that id was started by something else.
    FoundForeign,
    /// `deletionPolicy: Orphan`.
    Orphaned,
    /// The task belongs to another object.
    NeverOwned,
    /// The application policy never let the object name its task.
    NotAllowed,
    /// A person said so.
    Declared {
        /// The person's reason.
        why: String,
    },
}

impl Evidence {
    /// Every kind, as metrics and logs name it.
    pub const KINDS: [&'static str; 11] = [
        "stop_accepted",
        "not_listed",
        "stop_said_so",
        "must_have_stopped",
        "never_started",
        "stopped_before",
        "found_foreign",
        "orphaned",
        "never_owned",
        "not_allowed",
        "declared",
    ];

    /// The kind as metrics and logs name it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::StopAccepted { .. } => "stop_accepted",
            Self::NotListed => "not_listed",
            Self::StopSaidSo => "stop_said_so",
            Self::MustHaveStopped => "must_have_stopped",
            Self::NeverStarted => "never_started",
            Self::StoppedBefore => "stopped_before",
            Self::FoundForeign => "found_foreign",
            Self::Orphaned => "orphaned",
            Self::NeverOwned => "never_owned",
            Self::NotAllowed => "not_allowed",
            Self::Declared { .. } => "declared",
        }
    }

    /// Whether a Stop stands behind it. A release without one is fenced by resourceVersion too, so that nobody's last-moment change is lost.
    #[must_use]
    pub fn rests_on_stop(&self) -> bool {
        match self {
            Self::StopAccepted { .. }
            | Self::NotListed
            | Self::StopSaidSo
            | Self::MustHaveStopped => true,
            Self::NeverStarted
            | Self::StoppedBefore
            | Self::FoundForeign
            | Self::Orphaned
            | Self::NeverOwned
            | Self::NotAllowed
            | Self::Declared { .. } => false,
        }
    }
}
