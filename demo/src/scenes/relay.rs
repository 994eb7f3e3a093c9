//! The whole life of a relay.

use anyhow::Context as _;
use serde_json::{Value, json};
use support::simulator::{By, Filter, TaskState};

use super::{APP, PATIENCE, Scenes, told};
use crate::stage::until;

const START: &str = "StartLiveMPUTask";
const UPDATE: &str = "UpdateLiveMPUTask";
const NAME: &str = "gala-46";
const CHANNEL: &str = "gala";
/// Who has it may publish: a part of every output address of the scene.
pub(super) const STREAM_KEY: &str = "demo-stream-key";

impl Scenes<'_> {
    pub(super) async fn a_relay(&self) -> anyhow::Result<()> {
        self.timeline.scene(
            "5. An object declares a relay; its output address is in a Secret, and nobody is in the channel yet",
        );
        let task = self.waits_for_channel().await?;
        self.timeline.scene("6. Somebody joins");
        self.starts(&task).await?;
        self.timeline
            .scene("7. The manifest gets a second output while the relay runs");
        self.is_updated(&task).await?;
        self.timeline.scene("8. A break");
        self.pauses(&task).await?;
        self.timeline
            .scene("9. Everybody leaves, and the service stops the task by itself");
        self.completes(&task).await?;
        self.timeline
            .scene("10. The relay shall follow its channel, and somebody is back");
        self.follows_channel(&task).await?;
        self.timeline.scene("11. The relay's end");
        self.is_deleted(&task).await
    }

    async fn waits_for_channel(&self) -> anyhow::Result<String> {
        let manifests = manifests();
        self.timeline.step("$ kubectl apply -f gala-46.yaml");
        self.timeline.quote(&manifests);
        let applied = self.stage.kubectl("apply -f -", &manifests).await?;
        self.timeline.quote(&applied);
        self.await_reason(NAME, "WaitingForChannel").await?;
        self.show_condition(NAME).await?;
        let task = until("the object tells its task id", PATIENCE, async || {
            let object = self.stage.objects.get(NAME).await.ok()?;
            Some(object.data.pointer("/status/taskId")?.as_str()?.to_owned())
        });
        let task = task.await?;
        self.expect_calls(
            &task,
            START,
            0,
            "nothing was started, and nothing was tried",
        )
        .await?;
        Ok(task)
    }

    async fn starts(&self, task: &str) -> anyhow::Result<()> {
        self.join().await?;
        self.kubectl(&format!("wait --for=condition=Ready mst/{NAME}"))
            .await?;
        self.kubectl("get mst -o wide").await?;
        self.expect_runs(task).await?;
        self.expect_calls(task, START, 1, "exactly one Start")
            .await?;
        let urls = self.outputs(task).await?;
        self.timeline.expect(
            urls == [address("main")],
            "the service pushes to the address from the Secret",
            || format!("it pushes to {} addresses", urls.len()),
        )
    }

    async fn is_updated(&self, task: &str) -> anyhow::Result<()> {
        let second = json!([reference("main"), reference("second")]);
        self.patch(&json!({"relay": {"outputs": second}})).await?;
        let filter = Filter::of(UPDATE, task);
        let updates = self.stage.admin.await_calls(&filter, 1, PATIENCE).await?;
        let update = updates.first().context("no Update reached the service")?;
        self.timeline.step(&told(update));
        let urls = self.outputs(task).await?;
        self.timeline.expect(
            urls == [address("main"), address("second")],
            "the service pushes to both addresses",
            || format!("it pushes to {} addresses", urls.len()),
        )?;
        self.expect_calls(task, UPDATE, 1, "exactly one Update")
            .await?;
        self.expect_calls(task, START, 1, "and no other Start")
            .await
    }

    async fn pauses(&self, task: &str) -> anyhow::Result<()> {
        self.patch(&json!({"desiredState": "Stopped"})).await?;
        self.await_reason(NAME, "Stopped").await?;
        self.show_condition(NAME).await?;
        let stopped = self.stage.admin.task(APP, task).await?;
        self.timeline.expect(
            stopped.state == TaskState::Stopped && stopped.stopped_by == Some(By::Api),
            "the task is stopped, and the object is still there",
            || format!("it is {stopped:?}"),
        )?;
        self.patch(&json!({"desiredState": "Running"})).await?;
        self.await_reason(NAME, "CoolingDown").await?;
        self.show_condition(NAME).await?;
        self.await_reason(NAME, "Running").await?;
        self.timeline.step("the relay runs again");
        self.expect_runs(task).await?;
        let sentence = "one Start more, after the time in which the service refuses the output";
        self.expect_calls(task, START, 2, sentence).await
    }

    async fn completes(&self, task: &str) -> anyhow::Result<()> {
        let admin = &self.stage.admin;
        admin.set_users(APP, CHANNEL, &[], &[]).await?;
        admin.advance(125.0).await?;
        self.timeline.step(&format!(
            "everybody leaves channel {CHANNEL}; the simulated clock goes on by 125 s"
        ));
        self.await_reason(NAME, "Completed").await?;
        self.kubectl("get mst -o wide").await?;
        self.show_condition(NAME).await?;
        let ended = admin.task(APP, task).await?;
        self.timeline.expect(
            ended.stopped_by == Some(By::Auto),
            "the service stopped the task; two reads of the list told the operator",
            || format!("it is {ended:?}"),
        )?;
        let sentence = "that is an outcome, not drift: no other Start";
        self.expect_calls(task, START, 2, sentence).await
    }

    async fn follows_channel(&self, task: &str) -> anyhow::Result<()> {
        self.patch(&json!({"restartPolicy": "WhenChannelReturns"}))
            .await?;
        self.join().await?;
        self.await_reason(NAME, "Running").await?;
        self.timeline.step("the relay runs once more");
        self.expect_runs(task).await?;
        self.expect_calls(task, START, 3, "one Start more").await
    }

    async fn is_deleted(&self, task: &str) -> anyhow::Result<()> {
        let gone = self.stage.await_gone(NAME).await?;
        self.kubectl(&format!("delete mst {NAME}")).await?;
        let gone_at = gone.await??;
        let mut gone = self.gone(NAME, task).await?;
        // The first was the break's.
        gone.stops.retain(|call| call.effect);
        self.timeline.expect(
            gone.stops.len() == 2,
            "one Stop for the break and one for the end",
            || format!("there were {}", gone.stops.len()),
        )?;
        gone.stops.remove(0);
        self.tell_gone(NAME, gone_at).await?;
        self.expect_stopped_by_us(task, &gone).await
    }

    async fn join(&self) -> anyhow::Result<()> {
        let joined = self.stage.admin.set_users(APP, CHANNEL, &["host"], &[]);
        joined.await?;
        self.timeline.step(&format!("host joins channel {CHANNEL}"));
        Ok(())
    }

    /// Changes the spec.
    async fn patch(&self, spec: &Value) -> anyhow::Result<()> {
        let command = format!("patch mst {NAME} --type=merge -p");
        let patch = json!({"spec": spec});
        self.timeline
            .step(&format!("$ kubectl {command} '{patch}'"));
        // Arguments are told apart by spaces, of which the patch has none.
        let output = self
            .stage
            .kubectl(&format!("{command} {patch}"), "")
            .await?;
        self.timeline.quote(&output);
        Ok(())
    }

    /// The addresses that the service pushes to.
    async fn outputs(&self, task: &str) -> anyhow::Result<Vec<String>> {
        let detail = self.stage.admin.task_detail(APP, task).await?;
        let text = |url: &Value| url.as_str().unwrap_or_default().to_owned();
        Ok(match detail["MultiStreamURL"].as_array() {
            Some(urls) => urls.iter().map(|url| text(&url["URL"])).collect(),
            None => vec![text(&detail["StreamURL"])],
        })
    }

    async fn expect_runs(&self, task: &str) -> anyhow::Result<()> {
        let running = self.stage.admin.task(APP, task).await?;
        self.timeline.expect(
            running.state == TaskState::Running && running.started_by == By::Api,
            "the task runs, started by the operator",
            || format!("it is {running:?}"),
        )
    }

    async fn expect_calls(
        &self,
        task: &str,
        action: &str,
        count: usize,
        sentence: &str,
    ) -> anyhow::Result<()> {
        let calls = self.stage.admin.calls(&Filter::of(action, task)).await?;
        self.timeline.expect(calls.len() == count, sentence, || {
            format!("there were {} calls of {action}", calls.len())
        })
    }
}

fn address(stream: &str) -> String {
    format!("rtmp://push.example.com/live/{stream}?auth_key={STREAM_KEY}")
}

fn reference(key: &str) -> Value {
    json!({"urlFrom": {"secretKeyRef": {"name": "push", "key": key}}})
}

fn manifests() -> String {
    let (main, second) = (address("main"), address("second"));
    format!(
        "apiVersion: v1
kind: Secret
metadata:
  name: push
stringData:
  main: {main}
  second: {second}
---
apiVersion: mixedstream.io/v1alpha1
kind: MixedStreamTask
metadata:
  name: {NAME}
spec:
  appId: {APP}
  relay:
    channelId: {CHANNEL}
    single:
      userId: host
    outputs:
    - urlFrom:
        secretKeyRef: {{name: push, key: main}}
"
    )
}
