//! The scenes. Each checks what it shows.

mod balance;
mod minimal;
mod relay;

use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::Value;
use support::audit;
use support::simulator::{By, Call, Filter, TaskState};

use crate::stage::{NAMESPACE, Stage, until};
use crate::timeline::Timeline;

const APP: &str = "app-01";
const STOP: &str = "StopLiveMPUTask";
const LIST: &str = "ListRtcMPUTaskDetail";
/// Far longer than any step of a scene takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// One run of the scenes.
pub struct Scenes<'a> {
    stage: &'a Stage,
    timeline: &'a Timeline,
}

/// What is known of an object that is gone.
struct Gone {
    stops: Vec<Call>,
    lists: Vec<Call>,
    evidence: String,
    request_id: String,
}

impl<'a> Scenes<'a> {
    /// Nothing happens yet.
    pub fn new(stage: &'a Stage, timeline: &'a Timeline) -> Self {
        Self { stage, timeline }
    }

    /// All of them, one after the other.
    ///
    /// # Errors
    /// At the first expectation that does not hold.
    pub async fn play(&self) -> anyhow::Result<()> {
        self.minimal_objects().await?;
        self.a_relay().await?;
        self.balance().await
    }

    async fn condition(&self, name: &str) -> Option<Value> {
        let object = self.stage.objects.get_opt(name).await.ok()??;
        let conditions = object.data.pointer("/status/conditions")?.as_array()?;
        conditions
            .iter()
            .find(|condition| condition["type"] == "Ready")
            .cloned()
    }

    /// Waits until `Ready` has that reason.
    async fn await_reason(&self, name: &str, reason: &str) -> anyhow::Result<()> {
        let what = format!("{name} has a condition with the reason {reason}");
        let told = until(&what, PATIENCE, async || {
            let condition = self.condition(name).await?;
            (condition["reason"] == reason).then_some(())
        });
        told.await
    }

    async fn show_condition(&self, name: &str) -> anyhow::Result<()> {
        let condition = self
            .condition(name)
            .await
            .context("the object has no condition")?;
        let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
        self.timeline.step(&format!(
            "Ready={} {}: {}",
            text("status"),
            text("reason"),
            text("message")
        ));
        Ok(())
    }

    async fn kubectl(&self, arguments: &str) -> anyhow::Result<()> {
        self.timeline.step(&format!("$ kubectl {arguments}"));
        let output = self.stage.kubectl(arguments, "").await?;
        self.timeline.quote(&output);
        Ok(())
    }

    /// What the simulator and the operator's log say of an object that is gone, and of its task.
    async fn gone(&self, name: &str, task: &str) -> anyhow::Result<Gone> {
        let key = format!("{NAMESPACE}/{name}");
        let released = until("the operator logs the release", PATIENCE, async || {
            let is_it = |line: &Value| {
                line["message"] == "object released" && line["object"] == key.as_str()
            };
            self.stage.log().into_iter().find(is_it)
        });
        let released = released.await?;
        let text = |field: &str| released[field].as_str().unwrap_or_default().to_owned();
        Ok(Gone {
            stops: self.stage.admin.calls(&Filter::of(STOP, task)).await?,
            lists: self.stage.admin.calls(&Filter::of(LIST, task)).await?,
            evidence: text("evidence"),
            request_id: text("request_id"),
        })
    }

    async fn tell_gone(&self, name: &str, gone: Timestamp) -> anyhow::Result<()> {
        let deleted = until("the DELETE in the audit log", PATIENCE, async || {
            self.audit(name, "delete")
                .first()
                .map(|entry| entry.received)
        });
        let took = gone.duration_since(deleted.await?).as_millis();
        self.timeline.step(&format!(
            "{name} is gone, {took} ms after the DELETE reached the API server"
        ));
        Ok(())
    }

    async fn expect_stopped_by_us(&self, task: &str, gone: &Gone) -> anyhow::Result<()> {
        let task = self.stage.admin.task(APP, task).await?;
        self.timeline.expect(
            task.state == TaskState::Stopped && task.stopped_by == Some(By::Api),
            "the task is stopped, by a call of the operator",
            || format!("it is {task:?}"),
        )?;
        let accepted = gone
            .stops
            .iter()
            .find(|call| call.effect)
            .map(|call| call.request_id.as_str());
        self.timeline.expect(
            gone.evidence == "stop_accepted" && accepted == Some(gone.request_id.as_str()),
            "released since the service accepted Stop; the operator logged that very request",
            || {
                format!(
                    "it logged {} with request {:?}, not {accepted:?}",
                    gone.evidence, gone.request_id
                )
            },
        )
    }

    /// How often the object was written to since it was deleted.
    async fn patches(&self, name: &str) -> anyhow::Result<usize> {
        let counted = until(
            "a PATCH after the DELETE in the audit log",
            PATIENCE,
            async || {
                let deleted = self.audit(name, "delete").first()?.received;
                let patches = self.audit(name, "patch");
                let count = patches
                    .iter()
                    .filter(|entry| entry.received >= deleted)
                    .count();
                (count > 0).then_some(count)
            },
        );
        counted.await
    }

    fn audit(&self, name: &str, verb: &str) -> Vec<audit::Entry> {
        let wanted = |entry: &audit::Entry| {
            entry.resource == "mixedstreamtasks" && entry.name == name && entry.verb == verb
        };
        audit::read(&self.stage.plane().audit_log, wanted)
    }
}

/// A call as the simulator logged it.
fn told(call: &Call) -> String {
    let action = call.action.as_deref().unwrap_or("?");
    let status = call
        .status
        .map_or("no answer".to_owned(), |status| status.to_string());
    let code = call.code.as_deref().unwrap_or("OK");
    format!("the simulator's log: {action} -> {status} {code}")
}
