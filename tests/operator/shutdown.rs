//! SIGTERM: what is in flight is finished, within bounds.

use std::time::Duration;

use mixed_stream_operator::api::FINALIZER;
use serde_json::json;
use support::eventually;
use support::simulator::{Filter, TaskState};

use crate::scene::{APP, PATIENCE, Scene};

/// Waits until a call has arrived that is not answered yet.
async fn in_flight(scene: &Scene) {
    eventually("a call is in flight", PATIENCE, async || {
        let calls = scene.simulator.calls(&Filter::default()).await.unwrap();
        if calls.len() == 1 { Ok(()) } else { Err(calls) }
    })
    .await;
}

#[tokio::test]
async fn the_call_in_flight_is_finished_before_the_end() {
    let mut scene = Scene::new("drain").await;
    let slow = json!({"action": "StopLiveMPUTask", "times": 1, "kind": "slow", "when": "before", "millis": 3000});
    scene.simulator.order_fault(&slow).await.unwrap();
    scene.start_task("x").await;
    scene.create("x").await;
    scene.until_reason("x", "Armed").await;
    scene.delete("x").await;
    in_flight(&scene).await;
    scene.operator.terminate();
    let status = scene.operator.wait(Duration::from_secs(25)).await;
    assert_eq!(status.code(), Some(0));
    assert_eq!(scene.objects().get_opt("x").await.unwrap(), None);
    let calls = scene.simulator.calls(&Filter::default()).await.unwrap();
    assert_eq!(calls.len(), 1);
    assert_eq!(
        (calls[0].status, calls[0].client_present),
        (Some(200), Some(true))
    );
    let task = scene.simulator.task(APP, "x").await.unwrap();
    assert_eq!(task.state, TaskState::Stopped);
}

#[tokio::test]
async fn a_call_without_answer_does_not_delay_the_end_for_ever() {
    let mut scene = Scene::with("hang", |launch| launch.flags(["--call-deadline", "1s"])).await;
    let silence = json!({"action": "StopLiveMPUTask", "times": 1, "kind": "drop", "when": "after"});
    scene.simulator.order_fault(&silence).await.unwrap();
    scene.start_task("x").await;
    scene.create("x").await;
    scene.until_reason("x", "Armed").await;
    scene.delete("x").await;
    in_flight(&scene).await;
    scene.operator.terminate();
    let status = scene.operator.wait(Duration::from_secs(10)).await;
    assert_eq!(status.code(), Some(0));
    let kept = scene.objects().get("x").await.unwrap();
    assert_eq!(kept.metadata.finalizers.unwrap(), [FINALIZER]);
    scene.operator.restart().await;
    scene.until_gone("x").await;
}
