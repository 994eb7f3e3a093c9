//! Relays that are not to run: a break, a limit, hands off.

use serde_json::json;
use support::relay::Relay;
use support::simulator::TaskState;

use super::events::{until_told, words};
use super::*;
use mixed_stream_operator::api::{Phase, StopReason};

impl Scene {
    async fn limited(&self, name: &str, seconds: u32) -> MixedStreamTask {
        self.join(name).await;
        let relay = Relay::single(APP, name).with("/maxDurationSeconds", seconds);
        self.relay(relay).await;
        self.until_reason(name, "Running").await
    }

    async fn state(&self, object: &MixedStreamTask) -> TaskState {
        let task = self.simulator.task(APP, &task_of(object)).await;
        task.unwrap().state
    }

    async fn set(&self, name: &str, field: &str, value: impl Into<Value>) {
        let patch = json!({"spec": {field: value.into()}});
        self.merge(name, patch).await;
    }
}

#[tokio::test]
async fn a_relay_stops_after_its_longest_time_and_stays_stopped() {
    let mut scene = scene("limit").await;
    let (object, long) = tokio::join!(scene.limited("x", 3), scene.limited("long", 3600));
    let completed = scene.until_reason("x", "Completed").await;
    let status = completed.status.clone().unwrap();
    assert_eq!(status.phase, Some(Phase::Stopped));
    assert_eq!(status.stop_reason, Some(StopReason::MaxDuration));
    let ran = status
        .stopped_at
        .unwrap()
        .0
        .duration_since(status.started_at.clone().unwrap().0);
    assert!(ran.as_secs() >= 3, "{ran:?}");
    let says = message(&completed);
    assert!(says.contains("raise it beyond that"), "{says}");
    assert_eq!(scene.state(&object).await, TaskState::Stopped);
    let by = words(&scene, "x", "Stopped").await;
    assert!(by[0].contains("after spec.maxDurationSeconds"), "{by:?}");
    // Neither the channel, which is live, nor another process starts it again.
    after_sweeps(&scene, 3).await;
    scene.operator.restart().await;
    scene.operator.ready().await;
    let rooms = scene.calls_of(ROOMS).await;
    scene.until_all(ROOMS, rooms + 12).await;
    let task = task_of(&object);
    assert_eq!(scene.calls(START, &task).await, 1);
    assert_eq!(scene.calls(STOP, &task).await, 1);
    // What it has left is counted from the first Start.
    scene.set("x", "maxDurationSeconds", 3600).await;
    let again = scene.until_reason("x", "Running").await;
    assert_eq!(again.status.unwrap().started_at, status.started_at);
    assert_eq!(scene.calls(START, &task).await, 2);
    until_told(
        &scene,
        "x",
        &[("Started", 2), ("Stopped", 1), ("Completed", 1)],
    )
    .await;
    assert_eq!(scene.calls(STOP, &task_of(&long)).await, 0);
    for name in ["x", "long"] {
        scene.end(name).await;
    }
    scene.kept(&[owner(&object), owner(&long)], 0).await;
}

#[tokio::test]
async fn the_longest_time_counts_while_the_operator_is_down() {
    let mut scene = scene("limitdown").await;
    let object = scene.limited("x", 5).await;
    let never = Relay::single(APP, "never").with("/maxDurationSeconds", 1);
    scene.relay(never).await;
    scene.until_reason("never", "WaitingForChannel").await;
    scene.operator.kill().await;
    let started = object.status.clone().unwrap().started_at.unwrap().0;
    eventually("the time has passed", PATIENCE, async || {
        let ran = jiff::Timestamp::now().duration_since(started);
        if ran.as_secs() >= 6 { Ok(()) } else { Err(ran) }
    })
    .await;
    assert_eq!(scene.state(&object).await, TaskState::Running);
    scene.operator.restart().await;
    let completed = scene.until_reason("x", "Completed").await;
    assert_eq!(
        completed.status.unwrap().stop_reason,
        Some(StopReason::MaxDuration)
    );
    assert_eq!(scene.state(&object).await, TaskState::Stopped);
    // One that has not been started has used nothing up.
    scene.join("never").await;
    let late = scene.until_reason("never", "Running").await;
    assert_eq!(scene.calls(START, &task_of(&object)).await, 1);
    scene.until_reason("never", "Completed").await;
    for name in ["x", "never"] {
        scene.end(name).await;
    }
    scene.kept(&[owner(&object), owner(&late)], 1).await;
}

#[tokio::test]
async fn hands_off_means_no_call_at_all_until_it_goes_on_or_is_deleted() {
    let scene = scene("suspended").await;
    let (object, gone) = tokio::join!(scene.running("x"), scene.running("gone"));
    scene.join("never").await;
    scene
        .relay(Relay::single(APP, "never").with("/suspend", true))
        .await;
    let never = scene.until_reason("never", "Suspended").await;
    assert_eq!(never.status.clone().unwrap().claim, None);
    for name in ["x", "gone"] {
        scene.set(name, "suspend", true).await;
        let suspended = scene.until_reason(name, "Suspended").await;
        let status = suspended.status.unwrap();
        assert_eq!(status.phase, Some(Phase::Suspended));
        assert!(status.claim.is_some() && status.intent.is_some());
    }
    // What was under way has ended.
    let calm = eventually("no call within two sweeps", PATIENCE, async || {
        let from = scene.simulator.mark().await.unwrap();
        eventually("two sweeps' time", PATIENCE, async || {
            let now = scene.simulator.clock().await.unwrap().monotonic_us;
            if now >= from.monotonic_us + 2_000_000 {
                Ok(())
            } else {
                Err(now)
            }
        })
        .await;
        let counts = scene.simulator.counts_between(from, None).await.unwrap();
        if counts.is_empty() {
            Ok(from)
        } else {
            Err(counts)
        }
    })
    .await;
    // A changed spec, an end by the service, a request: nothing is asked.
    let user = json!({"relay": {"single": {"userId": "guest"}}});
    scene.merge("x", json!({"spec": user})).await;
    scene
        .simulator
        .stop_task(APP, &task_of(&gone))
        .await
        .unwrap();
    let request =
        json!({"metadata": {"annotations": {"mixedstream.io/reconcile-requested-at": "now"}}});
    for name in ["x", "gone", "never"] {
        scene.merge(name, request.clone()).await;
        scene
            .until(name, "the request is answered", |object| {
                let status = object.status.as_ref().unwrap();
                status.last_handled_reconcile_at.as_deref() == Some("now")
            })
            .await;
    }
    let since = scene.simulator.counts_between(calm, None).await.unwrap();
    assert!(since.is_empty(), "{since:?}");

    scene.set("x", "suspend", false).await;
    let goes_on = scene
        .until("x", "the change is accepted", |object| {
            let status = object.status.as_ref().unwrap();
            let accepted = status.accepted.as_ref().unwrap();
            accepted.generation == object.metadata.generation && reason(object) == "Running"
        })
        .await;
    assert_eq!(scene.calls(UPDATE, &task_of(&goes_on)).await, 1);
    assert_eq!(scene.calls(START, &task_of(&goes_on)).await, 1);
    scene.set("gone", "suspend", Value::Null).await;
    scene.until_reason("gone", "Completed").await;
    scene.set("x", "suspend", true).await;
    scene.until_reason("x", "Suspended").await;
    scene.end("x").await;
    assert_eq!(scene.state(&object).await, TaskState::Stopped);
    scene.end("never").await;
    scene.end("gone").await;
    assert_eq!(scene.calls(START, &task_of(&never)).await, 0);
    assert_eq!(scene.calls(STOP, &task_of(&never)).await, 0);
    let owners = [&object, &gone, &never].map(owner);
    scene.kept(&owners, 0).await;
}

/// A break that begins before the first Start, or after the end, and one while Stop fails.
#[tokio::test]
async fn a_break_is_kept_whenever_it_begins() {
    let scene = scene("breaks").await;
    scene.join("early").await;
    scene
        .relay(Relay::single(APP, "early").with("/desiredState", "Stopped"))
        .await;
    let early = scene.until_reason("early", "Stopped").await;
    assert!(
        message(&early).starts_with("Not started"),
        "{}",
        message(&early)
    );
    let (over, fails) = tokio::join!(scene.running("over"), scene.running("fails"));
    assert_eq!(scene.calls(START, &task_of(&early)).await, 0);

    scene
        .simulator
        .stop_task(APP, &task_of(&over))
        .await
        .unwrap();
    scene.until_reason("over", "Completed").await;
    let fault = json!({"action": STOP, "taskId": task_of(&fails), "kind": "error", "status": 503, "code": "ServiceUnavailable"});
    let fault = scene.simulator.order_fault(&fault).await.unwrap();
    for name in ["over", "fails"] {
        scene.set(name, "desiredState", "Stopped").await;
    }
    scene.until_reason("over", "Stopped").await;
    // It was only taken for stopped: a Stop makes it certain.
    assert_eq!(scene.calls(STOP, &task_of(&over)).await, 1);
    let stopping = scene.until_reason("fails", "ServiceUnavailable").await;
    assert_eq!(stopping.status.unwrap().phase, Some(Phase::Stopping));
    scene.simulator.remove_fault(fault).await.unwrap();
    let stopped = scene.until_reason("fails", "Stopped").await;
    assert_eq!(
        stopped.status.unwrap().stop_reason,
        Some(StopReason::Requested)
    );
    assert_eq!(scene.state(&fails).await, TaskState::Stopped);
    // What was stopped by somebody runs again once that has been asked for.
    for name in ["early", "over", "fails"] {
        scene.set(name, "desiredState", "Running").await;
        scene.until_reason(name, "Running").await;
    }
    for name in ["early", "over", "fails"] {
        scene.end(name).await;
    }
    let owners = [&early, &over, &fails].map(owner);
    scene.kept(&owners, 0).await;
}
