//! Objects that stop a task which something else has started.

use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::json;
use support::simulator::{By, Filter, NewTask, TaskState};

use super::{APP, Gone, PATIENCE, STOP, Scenes, told};

impl Scenes<'_> {
    pub(super) async fn minimal_objects(&self) -> anyhow::Result<()> {
        self.running_task().await?;
        self.stopped_by_the_service().await?;
        self.throttled_account().await?;
        self.errors_for_a_while().await
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
        let gone = self.gone(name, name).await?;
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
        let gone = self.gone(name, name).await?;
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
        let gone = self.gone(name, name).await?;
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
        let gone = self.gone(name, name).await?;
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
        self.await_reason(name, reason).await?;
        self.kubectl("get mst -o wide").await?;
        self.show_condition(name).await?;
        Ok(gone)
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
