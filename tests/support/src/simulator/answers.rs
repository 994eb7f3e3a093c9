//! Which candidate the simulator takes where the real answer is not known, typed, so that a test can go through all of them.

use serde::{Deserialize, Serialize};

macro_rules! candidates {
    ($($(#[$doc:meta])* $name:ident { $($word:ident),* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
            #[serde(rename_all = "camelCase")]
            #[allow(missing_docs, reason = "the page on the simulator explains the words")]
            pub enum $name { $($word),* }

            impl $name {
                /// Every one.
                pub const ALL: &[Self] = &[$(Self::$word),*];
            }
        )*
    };
}

candidates! {
    /// Start of a running task's id.
    StartExists { TaskAlreadyExists, TaskIdDuplicated, TaskAlreadyExist, TaskExisted400, TaskExisted200 }
    /// Start of a stopped task's id that is not cleared yet.
    StartNotCleared { NotClearedYet, AsExists }
    /// Start where nobody is in the channel.
    ChannelAbsent { ChannelDoesNotExist, NoUserInTheChannel, ChannelNotExist, VerificationFailed }
    /// Update of an unknown or stopped task.
    UpdateGone { TaskDoesNotExist, VerificationFailed, Ok, InternalError }
    /// Start beyond the quota of tasks.
    TaskQuotaExceeded { QuotaExceeded, NumberExceedsLimit }
}

/// Answers to choose; None leaves one as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the page on the simulator explains the fields")]
pub struct Answers {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_exists: Option<StartExists>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_not_cleared: Option<StartNotCleared>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_absent: Option<ChannelAbsent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_gone: Option<UpdateGone>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_quota_exceeded: Option<TaskQuotaExceeded>,
}

/// How many tasks of an application may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskQuota {
    /// Single-stream ones.
    pub single: u32,
    /// Mixed ones.
    pub mixed: u32,
}
