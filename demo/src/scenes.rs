//! The four scenes. Each checks what it shows.

use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use support::audit;
use support::simulator::{By, Call, Filter, NewTask, TaskState};

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
        self.running_task().await?;
        self.stopped_by_the_service().await?;
        self.throttled_account().await?;
        self.errors_for_a_while().await?;
        self.balance().await
    }

    async fn running_task(&self) -> anyhow::Result<()> {
        let line = self.timeline;
        let name = "final-42";
        line.scene("1. A relay task runs; deleting its object stops it");
        self.start_task(name).await?;
        let manifest = manifest(name);
        line.step("$ kubectl apply -f final-42.yaml");
        line.quote(&manifest);
        line.quote(&self.stage.kubectl("apply -f -", &manifest).await?);
        self.await_armed(name).await?;
        self.kubectl("get mst").await?;

        let gone = self.stage.await_gone(name).await?;
        self.kubectl("delete mst final-42").await?;
        let gone_at = gone.await??;
        let gone = self.gone(name).await?;
        let stop = gone.stops.first().context("no Stop reached the service")?;
        line.step(&format!("{}, request {}", told(stop), stop.request_id));
        self.tell_gone(name, gone_at).await?;
        self.expect_stopped_by_us(name, &gone).await?;
        self.expect_stops(&gone, 1)?;
        let patches = self.patches(name).await?;
        line.expect(
            patches == 1,
            "exactly one PATCH after the delete, by the API server's audit log",
            || format!("there were {patches}"),
        )
    }

    async fn stopped_by_the_service(&self) -> anyhow::Result<()> {
        let line = self.timeline;
        let name = "early-43";
        line.scene(
            "2. The service stopped the task by itself, two minutes after the last person had left",
        );
        self.arm(name).await?;
        let admin = &self.stage.admin;
        admin.set_users(APP, &channel(name), &[], &[]).await?;
        admin.advance(125.0).await?;
        let task = admin.task(APP, name).await?;
        line.step(&format!(
            "everybody leaves channel {}; the simulated clock goes on by 125 s",
            channel(name)
        ));
        line.expect(
            task.stopped_by == Some(By::Auto),
            "the service has stopped the task, and nobody told the operator",
            || format!("it is {task:?}"),
        )?;

        let gone = self.stage.await_gone(name).await?;
        self.kubectl(&format!("delete mst {name}")).await?;
        let gone_at = gone.await??;
        let gone = self.gone(name).await?;
        for call in gone.stops.iter().chain(&gone.lists) {
            line.step(&told(call));
        }
        self.tell_gone(name, gone_at).await?;
        line.expect(
            gone.evidence == "not_listed",
            "released since Stop found nothing to stop and the list does not show the task",
            || format!("the evidence was {}", gone.evidence),
        )?;
        let is_lean = gone.stops.len() == 1 && gone.lists.len() == 1;
        line.expect(is_lean, "exactly one Stop and one look at the list", || {
            format!("there were {} and {}", gone.stops.len(), gone.lists.len())
        })
    }

    async fn throttled_account(&self) -> anyhow::Result<()> {
        let line = self.timeline;
        let name = "busy-44";
        line.scene("3. The account is throttled");
        self.arm(name).await?;
        let fault = json!({
            "action": STOP, "kind": "error", "status": 400, "code": "Throttling.User",
            "message": "Request was denied due to user flow control.",
        });
        let fault = self.stage.admin.order_fault(&fault).await?;
        line.step("from now on the service answers every Stop with Throttling.User");
        let gone = self.delete_in_vain(name, "Throttled").await?;
        // The message is about a schedule: let it be followed once.
        let refused = self
            .stage
            .admin
            .await_calls(&Filter::of(STOP, name), 3, PATIENCE)
            .await?;
        self.show_condition(name).await?;
        let task = self.stage.admin.task(APP, name).await?;
        line.expect(
            task.state == TaskState::Running && refused.len() >= 3,
            "the task runs, so the object stays; Stop was tried again meanwhile",
            || {
                format!(
                    "there were {} Stops and the task is {:?}",
                    refused.len(),
                    task.state
                )
            },
        )?;
        self.stage.admin.remove_fault(fault).await?;
        let relief = Timestamp::now();
        line.step("the throttling ends");
        let gone_at = gone.await??;
        let gone = self.gone(name).await?;
        line.step(&format!(
            "{name} is gone, {} ms after the relief",
            gone_at.duration_since(relief).as_millis()
        ));
        self.expect_stopped_by_us(name, &gone).await?;
        self.expect_effective_stop(&gone)
    }

    async fn errors_for_a_while(&self) -> anyhow::Result<()> {
        let line = self.timeline;
        let name = "shaky-45";
        line.scene("4. The service answers with errors for a while");
        self.arm(name).await?;
        let fault = json!({
            "action": STOP, "taskId": name, "times": 3, "kind": "error", "status": 500, "code": "InternalError",
            "message": "The request processing has failed due to some unknown error.",
        });
        self.stage.admin.order_fault(&fault).await?;
        line.step("the next three Stops are answered with InternalError, which may also mean: no such task");
        let gone = self.delete_in_vain(name, "ServiceUnavailable").await?;
        let gone_at = gone.await??;
        let gone = self.gone(name).await?;
        for call in &gone.stops {
            line.step(&told(call));
        }
        self.tell_gone(name, gone_at).await?;
        line.expect(
            !gone.lists.is_empty(),
            "after the third error the list was asked: the task was still there, so it was not taken for gone",
            || "the list was not asked".to_owned(),
        )?;
        self.expect_stopped_by_us(name, &gone).await?;
        self.expect_stops(&gone, 4)?;
        self.expect_effective_stop(&gone)
    }

    /// What must hold over the whole run.
    async fn balance(&self) -> anyhow::Result<()> {
        let line = self.timeline;
        line.scene("The balance");
        let usages = self.stage.admin.quota().await?;
        let is_clean = usages.iter().all(|usage| {
            usage.over_quota + usage.signature_failures + usage.nonce_reuses + usage.date_violations
                == 0
        });
        line.expect(
            is_clean,
            "every signature, nonce and date was good, and no call was over quota",
            || format!("the simulator counted {usages:?}"),
        )?;
        let metrics = self.stage.get("/metrics").await?;
        for (evidence, count) in [("stop_accepted", 3), ("not_listed", 1)] {
            let wanted = format!("mixed_stream_releases_total{{evidence=\"{evidence}\"}} {count}");
            line.expect(
                metrics.lines().any(|line| line == wanted),
                &format!("the operator's metrics say {wanted}"),
                || {
                    format!(
                        "they say\n{}",
                        lines_with(&metrics, "mixed_stream_releases_total")
                    )
                },
            )?;
        }
        let log = std::fs::read_to_string(&self.stage.operator_log)?;
        line.expect(
            !log.contains("testsecret"),
            "the account's secret is not in the operator's log",
            || "it is".to_owned(),
        )?;
        let tasks = self.stage.admin.tasks().await?;
        let left = self
            .stage
            .objects
            .list(&kube::api::ListParams::default())
            .await?
            .items
            .len();
        let running = tasks
            .iter()
            .filter(|task| task.state == TaskState::Running)
            .count();
        line.expect(
            left + running == 0,
            "no object is left, and no task runs",
            || format!("{left} objects are left, and {running} tasks run"),
        )
    }

    async fn start_task(&self, name: &str) -> anyhow::Result<()> {
        let new = NewTask {
            channel_id: Some(channel(name)),
            ..NewTask::default()
        };
        let task = self.stage.admin.start_task(APP, name, &new).await?;
        self.timeline.step(&format!(
            "somebody starts relay task {name} of application {APP}, in channel {}",
            task.channel_id
        ));
        Ok(())
    }

    async fn await_armed(&self, name: &str) -> anyhow::Result<()> {
        self.kubectl(&format!("wait --for=condition=Ready mst/{name}"))
            .await
    }

    /// A task and its object, ready, in few words.
    async fn arm(&self, name: &str) -> anyhow::Result<()> {
        self.start_task(name).await?;
        self.timeline
            .step(&format!("$ kubectl apply -f {name}.yaml"));
        self.timeline
            .quote(&self.stage.kubectl("apply -f -", &manifest(name)).await?);
        self.await_armed(name).await
    }

    /// Deletes an object that cannot go yet, and shows the condition that says why.
    async fn delete_in_vain(
        &self,
        name: &str,
        reason: &str,
    ) -> anyhow::Result<tokio::task::JoinHandle<anyhow::Result<Timestamp>>> {
        let gone = self.stage.await_gone(name).await?;
        self.kubectl(&format!("delete mst {name} --wait=false"))
            .await?;
        until(
            &format!("a condition with the reason {reason}"),
            PATIENCE,
            async || {
                let condition = self.condition(name).await?;
                (condition["reason"] == reason).then_some(())
            },
        )
        .await?;
        self.kubectl("get mst -o wide").await?;
        self.show_condition(name).await?;
        Ok(gone)
    }

    async fn condition(&self, name: &str) -> Option<Value> {
        let object = self.stage.objects.get_opt(name).await.ok()??;
        let conditions = object.data.pointer("/status/conditions")?.as_array()?;
        conditions
            .iter()
            .find(|condition| condition["type"] == "Ready")
            .cloned()
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

    /// What the simulator and the operator's log say of an object that is gone.
    async fn gone(&self, name: &str) -> anyhow::Result<Gone> {
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
            stops: self.stage.admin.calls(&Filter::of(STOP, name)).await?,
            lists: self.stage.admin.calls(&Filter::of(LIST, name)).await?,
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

    async fn expect_stopped_by_us(&self, name: &str, gone: &Gone) -> anyhow::Result<()> {
        let task = self.stage.admin.task(APP, name).await?;
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

    fn expect_stops(&self, gone: &Gone, count: usize) -> anyhow::Result<()> {
        let sentence = match count {
            1 => "exactly one Stop".to_owned(),
            more => format!("exactly {more} Stops: one more than errors"),
        };
        let stops = gone.stops.len();
        self.timeline
            .expect(stops == count, &sentence, || format!("there were {stops}"))
    }

    fn expect_effective_stop(&self, gone: &Gone) -> anyhow::Result<()> {
        let effective = gone.stops.iter().filter(|call| call.effect).count();
        let is_last = gone.stops.last().is_some_and(|call| call.effect);
        self.timeline.expect(
            effective == 1 && is_last,
            "one Stop had an effect, and none followed it",
            || format!("{effective} had"),
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

/// The smallest manifest: its own finalizer protects it from its creation on.
fn manifest(name: &str) -> String {
    format!(
        "apiVersion: mixedstream.io/v1alpha1
kind: MixedStreamTask
metadata:
  name: {name}
  finalizers: [mixedstream.io/stop-task]
spec:
  appId: {APP}
  taskId: {name}
"
    )
}

fn channel(name: &str) -> String {
    format!("room-{name}")
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

fn lines_with<'a>(text: &'a str, needle: &str) -> String {
    let lines: Vec<&'a str> = text.lines().filter(|line| line.contains(needle)).collect();
    lines.join("\n")
}
