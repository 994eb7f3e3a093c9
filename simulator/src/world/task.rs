//! Tasks, and what is recorded of them.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::clock::Millis;
use crate::switches::Switches;

/// What addresses a task.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TaskKey {
    /// Application.
    pub app: String,
    /// Task id.
    pub task: String,
}

impl TaskKey {
    /// From both ids.
    pub fn new(app: &str, task: &str) -> Self {
        Self {
            app: app.to_owned(),
            task: task.to_owned(),
        }
    }
}

/// Who caused a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum By {
    /// A call of the API.
    Api,
    /// The service itself: the channel was empty for too long.
    Auto,
    /// The admin port.
    Admin,
}

/// Whether a task runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// It runs.
    Running,
    /// It has ended.
    Stopped,
}

/// What a task was asked to do.
#[derive(Debug, Clone)]
pub struct Order {
    /// Channel.
    pub channel: String,
    /// `0` single, `1` mixed.
    pub mix_mode: String,
    /// Outputs.
    pub urls: Vec<String>,
    /// Seconds, where given.
    pub max_idle: Option<u32>,
    /// Started by a client SDK: not listed (dossier 3.4).
    pub client_made: bool,
    /// A free word of the admin's.
    pub owner: Option<String>,
    /// What the list shows.
    pub detail: Arc<Value>,
}

impl Order {
    /// How long its channel may be empty, in milliseconds.
    pub fn idle_limit(&self, otherwise: Millis) -> Millis {
        self.max_idle
            .map_or(otherwise, |seconds| Millis::from(seconds) * 1000)
    }
}

/// One task.
#[derive(Debug, Clone)]
pub struct Task {
    /// What it does.
    pub order: Order,
    /// Whether it runs.
    pub state: State,
    /// Tells this run from another of the same id.
    pub incarnation: u64,
    /// Who started it.
    pub started_by: By,
    /// When.
    pub started_at: Millis,
    /// Last Start or Update.
    pub updated_at: Millis,
    /// Who stopped it.
    pub stopped_by: Option<By>,
    /// When.
    pub stopped_at: Option<Millis>,
}

impl Task {
    /// A task that starts now.
    pub fn started(order: Order, incarnation: u64, by: By, now: Millis) -> Self {
        Self {
            order,
            state: State::Running,
            incarnation,
            started_by: by,
            started_at: now,
            updated_at: now,
            stopped_by: None,
            stopped_at: None,
        }
    }

    /// Until when its id cannot be started again.
    pub fn blocked_until(&self, switches: &Switches) -> Millis {
        self.stopped_at.map_or(Millis::MAX, |at| {
            at.saturating_add(Millis::from(switches.clear_millis))
        })
    }
}

/// What happened to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ChangeKind {
    /// It was started.
    Started,
    /// It got other parameters.
    Updated,
    /// It ended.
    Stopped,
}

/// One change of one task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Sequence number, from 0.
    pub seq: usize,
    /// Application.
    pub app_id: String,
    /// Task id.
    pub task_id: String,
    /// Channel.
    pub channel_id: String,
    /// What happened.
    #[serde(rename = "change")]
    pub kind: ChangeKind,
    /// Who caused it.
    pub by: By,
    /// When, simulated.
    pub simulated_millis: Millis,
    /// When, in microseconds since the start of the program.
    pub monotonic_us: u64,
    /// The call that caused it.
    pub call: Option<u64>,
}
