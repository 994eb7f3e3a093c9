//! Faults for the calls of one task, and what the simulator's log says of it.

use serde_json::{Value, json};
use support::relay::Relay;
use support::simulator::{By, Call, ChangeKind, Filter, TaskState};

use super::{APP, Scene, owner, task_of};
use mixed_stream_operator::api::MixedStreamTask;
use support::promises::Owner;

impl Scene {
    /// Orders a fault for a task's calls of an action.
    pub async fn order(&self, action: &str, task: &str, mut fault: Value) -> u64 {
        fault["action"] = json!(action);
        fault["taskId"] = json!(task);
        self.simulator.order_fault(&fault).await.unwrap()
    }

    /// The calls of an action for a task, in their order.
    pub async fn log(&self, action: &str, task: &str) -> Vec<Call> {
        let filter = Filter::of(action, task);
        self.simulator.calls(&filter).await.unwrap()
    }

    /// How often the task was started by a call.
    pub async fn starts(&self, task: &str) -> usize {
        let filter = Filter {
            task_id: Some(task.to_owned()),
            ..Filter::default()
        };
        let history = self.simulator.history(&filter).await.unwrap();
        history
            .iter()
            .filter(|change| change.change == ChangeKind::Started && change.by == By::Api)
            .count()
    }

    /// Whether the task runs.
    pub async fn runs(&self, task: &str) -> bool {
        let tasks = self.simulator.running_tasks(APP).await.unwrap();
        tasks
            .iter()
            .any(|running| running.task_id == task && running.state == TaskState::Running)
    }

    /// Creates a relay, with a task id of its own where that is said, whose channel is still empty, and waits until that is told.
    pub async fn early(&self, name: &str, names_its_task: bool) -> MixedStreamTask {
        let relay = Relay::single(APP, name);
        let relay = if names_its_task {
            relay.task_id(name)
        } else {
            relay
        };
        self.relay(relay).await;
        self.until_reason(name, "WaitingForChannel").await
    }

    /// Somebody joins all these channels, at one moment.
    pub async fn join_all(&self, channels: &[String]) {
        self.simulator
            .set_all_users(APP, channels, &["host"])
            .await
            .unwrap();
    }
}

/// Names, tasks and owners of some objects.
#[derive(Default)]
pub struct Cast {
    pub names: Vec<String>,
    pub tasks: Vec<String>,
    pub owners: Vec<Owner>,
}

impl Cast {
    /// Takes an object that knows its task.
    pub fn add(&mut self, object: &MixedStreamTask) {
        self.names.push(object.metadata.name.clone().unwrap());
        self.tasks.push(task_of(object));
        self.owners.push(owner(object));
    }

    /// Each name with its task.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let names = self.names.iter().map(String::as_str);
        names.zip(self.tasks.iter().map(String::as_str))
    }
}
