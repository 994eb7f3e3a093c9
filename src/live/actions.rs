//! The actions of the service that are used, the names that they take, and what their answers hold.

use std::fmt;
use std::time::Duration;

use super::output::OutputId;

/// Entries of a full page of the task list and of the channel list; the most that the service gives (dossier 3.4, 4.3).
pub const PAGE_SIZE: usize = 100;

/// An action of the Live API, version `2016-11-01`. Quotas are counted for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Starts a task (dossier 3.1).
    StartLiveMpuTask,
    /// Changes a running task (dossier 3.2).
    UpdateLiveMpuTask,
    /// Stops a task (vendor page: `StopLiveMPUTask`).
    StopLiveMpuTask,
    /// Reads what tasks there are (dossier 3.4).
    ListRtcMpuTaskDetail,
    /// Reads who is in a channel (dossier 4.1).
    DescribeChannelUsers,
    /// Reads which channels of an application are alive (dossier 4.3).
    ListRtcLiveRooms,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 6] = [
        Self::StartLiveMpuTask,
        Self::UpdateLiveMpuTask,
        Self::StopLiveMpuTask,
        Self::ListRtcMpuTaskDetail,
        Self::DescribeChannelUsers,
        Self::ListRtcLiveRooms,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StartLiveMpuTask => "StartLiveMPUTask",
            Self::UpdateLiveMpuTask => "UpdateLiveMPUTask",
            Self::StopLiveMpuTask => "StopLiveMPUTask",
            Self::ListRtcMpuTaskDetail => "ListRtcMPUTaskDetail",
            Self::DescribeChannelUsers => "DescribeChannelUsers",
            Self::ListRtcLiveRooms => "ListRTCLiveRooms",
        }
    }

    /// The value of the label `action` of a metric.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::StartLiveMpuTask => "start",
            Self::UpdateLiveMpuTask => "update",
            Self::StopLiveMpuTask => "stop",
            Self::ListRtcMpuTaskDetail => "list",
            Self::DescribeChannelUsers => "channel_users",
            Self::ListRtcLiveRooms => "rooms",
        }
    }

    /// Calls per second that the service grants one account (vendor page for Stop; dossier 2 for the others). The quota of
    /// `ListRTCLiveRooms` is not published; it is taken to be the lowest that its family has.
    #[must_use]
    pub const fn quota_per_second(self) -> u32 {
        match self {
            Self::StartLiveMpuTask | Self::UpdateLiveMpuTask | Self::StopLiveMpuTask => 500,
            Self::ListRtcMpuTaskDetail | Self::ListRtcLiveRooms => 50,
            Self::DescribeChannelUsers => 100,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A question to the service: what an answer means depends on what was asked, not on the action alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// Start one task.
    Start,
    /// Update one task.
    Update,
    /// Stop one task.
    Stop,
    /// List one task by its id.
    ListTask,
    /// List a page of an application's tasks.
    ListPage,
    /// Who is in a channel.
    ChannelUsers,
    /// List a page of an application's live channels.
    LiveRooms,
}

impl Call {
    /// Every question.
    pub const ALL: [Self; 7] = [
        Self::Start,
        Self::Update,
        Self::Stop,
        Self::ListTask,
        Self::ListPage,
        Self::ChannelUsers,
        Self::LiveRooms,
    ];

    /// What is asked, in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Start => "Start",
            Self::Update => "Update",
            Self::Stop => "Stop",
            Self::ListTask => "the list by task id",
            Self::ListPage => "a page of the list",
            Self::ChannelUsers => "a channel's users",
            Self::LiveRooms => "the live channels",
        }
    }

    /// The action that carries it, whose quota it costs.
    #[must_use]
    pub const fn action(self) -> Action {
        match self {
            Self::Start => Action::StartLiveMpuTask,
            Self::Update => Action::UpdateLiveMpuTask,
            Self::Stop => Action::StopLiveMpuTask,
            Self::ListTask | Self::ListPage => Action::ListRtcMpuTaskDetail,
            Self::ChannelUsers => Action::DescribeChannelUsers,
            Self::LiveRooms => Action::ListRtcLiveRooms,
        }
    }
}

/// A name that the service would not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} must be 1 to {longest} characters, each a letter, a digit, an underscore or a hyphen"
)]
pub struct IdError {
    what: &'static str,
    longest: usize,
}

fn parse_id(what: &'static str, longest: usize, text: &str) -> Result<String, IdError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if (1..=longest).contains(&text.len()) && text.bytes().all(legal) {
        Ok(text.to_owned())
    } else {
        Err(IdError { what, longest })
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $longest:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The name as the service knows it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $name {
            type Error = IdError;

            fn try_from(text: &str) -> Result<Self, IdError> {
                parse_id($what, $longest, text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// An application: 1 to 64 letters, digits, `_`, `-` (vendor page: `StopLiveMPUTask`).
    AppId, "an application id", 64
);
id!(
    /// A task within an application: 1 to 55 letters, digits, `_`, `-` (vendor page: `StopLiveMPUTask`).
    TaskId, "a task id", 55
);
id!(
    /// A channel within an application: 1 to 64 letters, digits, `_`, `-` (dossier 3.1).
    ChannelId, "a channel id", 64
);

/// An account of the vendor, to which quotas belong (dossier 9.7): two keys of one account share them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account(String);

impl Account {
    /// The account of that name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A task that the service lists. To be listed does not mean to be running (dossier 3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedTask {
    /// The task's id, as the service gives it.
    pub task_id: String,
    /// The channel that it relays, where the entry names one.
    pub channel_id: Option<String>,
    /// How long it may be idle before the service stops it, where the entry says so.
    pub max_idle: Option<Duration>,
    /// `MixMode` as it stands on the wire, where the entry says it.
    pub mix_mode: Option<String>,
    /// Where it is pushed, each output once and in order; nothing where the entry's addresses cannot be read.
    pub outputs: Option<Vec<OutputId>>,
}

/// A page of the channels that are alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveRooms {
    /// The channels' ids, as the service gives them.
    pub rooms: Vec<String>,
    /// How many there are on all pages, where the service says it.
    pub total: Option<u64>,
}

/// Who is in a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelUsers {
    /// The channel exists; for some seconds after the last person left it still does (dossier 4.1).
    pub exists: bool,
    /// Streamers and co-streamers.
    pub interactive: u64,
    /// Viewers.
    pub viewers: u64,
    /// The service's own time of this reading, UNIX seconds.
    pub timestamp: i64,
}

impl ChannelUsers {
    /// Nobody is in the channel, whether it still exists or not.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.interactive == 0 && self.viewers == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_at_and_beyond_their_limits() {
        fn check<Id: for<'a> TryFrom<&'a str, Error = IdError>>(longest: usize, what: &str) {
            for legal in ["a", "Z", "0", "_", "-", "aZ0_-", &"x".repeat(longest)] {
                assert!(Id::try_from(legal).is_ok(), "{what} {legal}");
            }
            for illegal in [
                "",
                " ",
                "a b",
                "a.b",
                "a/b",
                "a%2Fb",
                "é",
                "a\n",
                "a&b",
                &"x".repeat(longest + 1),
            ] {
                let told = Id::try_from(illegal).err().map(|error| error.to_string());
                let expected = format!(
                    "{what} must be 1 to {longest} characters, each a letter, a digit, an underscore or a hyphen"
                );
                assert_eq!(told, Some(expected), "{illegal}");
            }
        }
        check::<AppId>(64, "an application id");
        check::<TaskId>(55, "a task id");
        check::<ChannelId>(64, "a channel id");
    }

    #[test]
    fn names_and_quotas() {
        let told =
            Action::ALL.map(|action| (action.name(), action.label(), action.quota_per_second()));
        let expected = [
            ("StartLiveMPUTask", "start", 500),
            ("UpdateLiveMPUTask", "update", 500),
            ("StopLiveMPUTask", "stop", 500),
            ("ListRtcMPUTaskDetail", "list", 50),
            ("DescribeChannelUsers", "channel_users", 100),
            ("ListRTCLiveRooms", "rooms", 50),
        ];
        assert_eq!(told, expected);
    }
}
