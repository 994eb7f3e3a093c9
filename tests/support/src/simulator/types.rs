//! What the admin port is told and tells. The page on the simulator explains the fields.

use serde::{Deserialize, Serialize};

/// The state of a task.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the page on the simulator explains the fields")]
pub struct Task {
    pub app_id: String,
    pub task_id: String,
    pub channel_id: String,
    pub mix_mode: String,
    pub state: TaskState,
    pub started_by: By,
    pub stopped_by: Option<By>,
    pub started_at: i64,
    pub updated_at: i64,
    pub stopped_at: Option<i64>,
    pub max_idle_time: Option<u32>,
    pub client_made: bool,
    pub owner: Option<String>,
}

/// Whether a task runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum TaskState {
    Running,
    Stopped,
}

/// Who caused a change of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum By {
    /// A call of the API.
    Api,
    /// The service itself.
    Auto,
    /// The admin port.
    Admin,
}

/// What happened to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum ChangeKind {
    Started,
    Updated,
    Stopped,
}

/// One change of one task.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the page on the simulator explains the fields")]
pub struct Change {
    pub seq: u64,
    pub app_id: String,
    pub task_id: String,
    pub channel_id: String,
    pub change: ChangeKind,
    pub by: By,
    pub simulated_millis: i64,
    pub monotonic_us: u64,
    pub call: Option<u64>,
}

/// Who is in a channel.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the page on the simulator explains the fields")]
pub struct Channel {
    pub exists: bool,
    pub users: Vec<String>,
    pub viewers: Vec<String>,
}

/// The clocks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the page on the simulator explains the fields")]
pub struct Clock {
    pub simulated: String,
    pub simulated_millis: i64,
    pub offset_millis: i64,
    pub real_millis: i64,
    pub monotonic_us: u64,
}

impl Clock {
    /// The real time, in UNIX microseconds to the millisecond, of an instant that the log gives in microseconds since the
    /// simulator's start: for comparison with the logs of other programs on the same machine.
    #[must_use]
    pub fn real_us(&self, monotonic_us: u64) -> i128 {
        i128::from(self.real_millis) * 1000 - i128::from(self.monotonic_us)
            + i128::from(monotonic_us)
    }
}

/// One entry of the call log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the page on the simulator explains the fields")]
pub struct Call {
    pub seq: u64,
    pub simulated_millis: i64,
    pub arrival_us: u64,
    pub effect_us: Option<u64>,
    pub reply_us: Option<u64>,
    pub end_us: Option<u64>,
    pub remote_port: u16,
    pub signature: Option<String>,
    pub account: Option<String>,
    pub key_id: Option<String>,
    pub action: Option<String>,
    pub app_id: Option<String>,
    pub task_id: Option<String>,
    pub channel_id: Option<String>,
    pub nonce: Option<String>,
    pub request_id: String,
    pub status: Option<u16>,
    pub code: Option<String>,
    pub authenticated: bool,
    pub violation: Option<String>,
    pub fault: Option<u64>,
    pub effect: bool,
    pub over_quota: bool,
    pub client_present: Option<bool>,
}

/// Which calls, or changes, are asked for. The default is all.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the page on the simulator explains the fields")]
pub struct Filter {
    pub since: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
}

impl Filter {
    /// Calls of an action for a task.
    #[must_use]
    pub fn of(action: &str, task: &str) -> Self {
        Self {
            action: Some(action.to_owned()),
            task_id: Some(task.to_owned()),
            ..Self::default()
        }
    }
}

/// What an account did with an action.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the page on the simulator explains the fields")]
pub struct Usage {
    pub account: String,
    pub action: String,
    pub calls: u64,
    pub over_quota: u64,
    pub max_per_second_by_arrival: u64,
    pub max_per_second_by_reply: u64,
    pub signature_failures: u64,
    pub nonce_reuses: u64,
    pub date_violations: u64,
}

/// A task to make on the admin port. The default is a running, mixed task in a channel of its own with one user.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the page on the simulator explains the fields")]
pub struct NewTask {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mix_mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_urls: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_idle_time: Option<u32>,
    pub client_made: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// The progress of an ordered fault.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FaultState {
    /// Its id.
    pub id: u64,
    /// How often it will still fire; None: until removed.
    pub left: Option<u64>,
    /// How often it has fired.
    pub fired: u64,
}
