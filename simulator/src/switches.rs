//! Where the real answer is unknown, each candidate is a switch; and how fast the service is.

use serde::{Deserialize, Serialize};

use crate::clock::Millis;

mod unknown;

pub use unknown::{
    ChannelAbsent, ListGone, StartExists, StartNotCleared, StopGone, TaskQuotaExceeded, UpdateGone,
};

/// How a call over quota is answered (dossier 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Excess {
    /// `Throttling.User` with 400.
    Throttling400,
    /// `Throttling.User` with 429.
    Throttling429,
    /// `Throttling.User` with 503.
    Throttling503,
    /// The connection is closed.
    Close,
    /// No answer until the client leaves.
    Drop,
}

/// When the quota counts a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CountAt {
    /// When it arrives.
    Arrival,
    /// At the last moment before its effect and reply.
    Reply,
    /// At a random moment in between.
    Random,
}

/// How the machine's metadata server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MetadataServer {
    /// As it should.
    Works,
    /// With 403.
    Denies,
    /// With 503.
    Fails,
    /// Not at all.
    Silent,
}

/// How many tasks of an application may run at a time (dossier 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskQuota {
    /// Of the single kind.
    pub single: usize,
    /// Of the mixed kind.
    pub mixed: usize,
}

impl Default for TaskQuota {
    /// What an application has as long as nobody asks for more.
    fn default() -> Self {
        Self {
            single: 200,
            mixed: 40,
        }
    }
}

macro_rules! switches {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $default:expr,)*) => {
        /// All switches. The names on the wire are these in camelCase.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(rename_all = "camelCase")]
        pub struct Switches {
            $($(#[$doc])* pub $name: $type,)*
        }

        impl Default for Switches {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        /// New values for some of the switches.
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct SwitchesPatch {
            $(#[serde(default, deserialize_with = "given")] $name: Option<$type>,)*
        }

        impl Switches {
            /// Sets the given ones.
            pub fn apply(&mut self, patch: SwitchesPatch) {
                $(if let Some(value) = patch.$name { self.$name = value; })*
            }
        }
    };
}

/// A field that is there, be it null.
fn given<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

switches! {
    /// What Stop answers for an unknown or stopped task.
    stop_gone: StopGone = StopGone::TaskDoesNotExist,
    /// What Start answers for a running task's id.
    start_exists: StartExists = StartExists::TaskAlreadyExists,
    /// What Start answers for a stopped task's id that is not cleared yet.
    start_not_cleared: StartNotCleared = StartNotCleared::NotClearedYet,
    /// What Start answers where nobody is in the channel.
    channel_absent: ChannelAbsent = ChannelAbsent::ChannelDoesNotExist,
    /// What Update answers for an unknown or stopped task.
    update_gone: UpdateGone = UpdateGone::TaskDoesNotExist,
    /// How many tasks of an application may run at a time; null: any number.
    task_quota: Option<TaskQuota> = None,
    /// What Start answers beyond that.
    task_quota_exceeded: TaskQuotaExceeded = TaskQuotaExceeded::QuotaExceeded,
    /// What the list answers for an id that it does not know.
    list_gone: ListGone = ListGone::Empty,
    /// Stopped tasks stay listed.
    list_shows_stopped: bool = false,
    /// How far the list is behind, in simulated seconds.
    list_lag_seconds: u32 = 0,
    /// Real milliseconds before each reply.
    latency_millis: u32 = 0,
    /// How a call over quota is answered.
    excess: Excess = Excess::Throttling400,
    /// `x-acs-retry-after` with it, in milliseconds.
    excess_retry_after_millis: Option<u64> = None,
    /// When the quota counts a call.
    count_at: CountAt = CountAt::Arrival,
    /// How long a stopped task's id cannot be started again, in simulated milliseconds.
    clear_millis: u32 = 10_000,
    /// How long an emptied channel still exists, in simulated milliseconds.
    channel_lag_millis: u32 = 5_000,
    /// How long the triples live that are given out, in simulated seconds; null: as long as was asked.
    triple_seconds: Option<u32> = None,
    /// How the metadata server answers.
    metadata_server: MetadataServer = MetadataServer::Works,
}

impl Switches {
    /// The list's lag.
    pub fn list_lag(&self) -> Millis {
        Millis::from(self.list_lag_seconds) * 1000
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn a_patch_changes_what_it_names() {
        let mut switches = Switches::default();
        switches.apply(
            serde_json::from_str(r#"{"stopGone": "noSuchTask", "excessRetryAfterMillis": 700}"#)
                .unwrap(),
        );
        assert_eq!(switches.stop_gone, StopGone::NoSuchTask);
        assert_eq!(switches.excess_retry_after_millis, Some(700));
        assert_eq!(switches.list_gone, ListGone::Empty);
        switches.apply(serde_json::from_str(r#"{"excessRetryAfterMillis": null}"#).unwrap());
        assert_eq!(switches.excess_retry_after_millis, None);
        assert!(serde_json::from_str::<SwitchesPatch>(r#"{"stopgone": "ok"}"#).is_err());
    }

    #[test]
    fn a_task_quota_is_the_documented_one_unless_said_otherwise() {
        let quota = |json: &str| {
            let mut switches = Switches::default();
            switches.apply(serde_json::from_str(json).unwrap());
            switches.task_quota.map(|quota| (quota.single, quota.mixed))
        };
        assert_eq!(quota("{}"), None);
        assert_eq!(quota(r#"{"taskQuota": {}}"#), Some((200, 40)));
        assert_eq!(quota(r#"{"taskQuota": {"mixed": 2}}"#), Some((200, 2)));
        assert_eq!(quota(r#"{"taskQuota": null}"#), None);
        assert!(serde_json::from_str::<SwitchesPatch>(r#"{"taskQuota": {"x": 1}}"#).is_err());
    }
}
