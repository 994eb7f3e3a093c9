//! A relay from its creation to its deletion.

use serde_json::json;
use support::relay::{Relay, url};
use support::simulator::TaskState;

use super::*;
use mixed_stream_operator::api::Phase;

#[tokio::test]
async fn a_relay_in_a_live_channel_is_started_once_and_stopped_once() {
    let scene = scene("relay").await;
    let running = scene.running("final-42").await;
    let status = running.status.clone().unwrap();
    assert_eq!(status.phase, Some(Phase::Running));
    assert_eq!(status.observed_generation, running.metadata.generation);
    let uid = running.metadata.uid.clone().unwrap();
    assert_eq!(status.task_id.as_deref(), Some(&*format!("mso-{uid}")));
    assert_eq!(status.claim.unwrap().outputs.len(), 1);
    assert_eq!(
        status.accepted.unwrap().parameters_hash,
        status.intent.unwrap().parameters_hash
    );
    assert!(status.started_at.is_some());
    let task = task_of(&running);
    assert_eq!(scene.calls(START, &task).await, 1);
    scene.end("final-42").await;
    assert_eq!(scene.calls(STOP, &task).await, 1);
    let stopped = scene.simulator.task(APP, &task).await.unwrap();
    assert_eq!(stopped.state, TaskState::Stopped);
    scene.kept(&[owner(&running)], 0).await;
}

#[tokio::test]
async fn a_relay_waits_for_its_channel_without_a_call_of_start() {
    let scene = scene("wait").await;
    scene
        .relay(Relay::single(APP, "early").task_id("early"))
        .await;
    let waiting = scene.until_reason("early", "WaitingForChannel").await;
    assert!(
        message(&waiting).contains("channel early"),
        "{}",
        message(&waiting)
    );
    scene.join("early").await;
    scene.until_reason("early", "Running").await;
    assert_eq!(scene.calls(START, "early").await, 1);
    scene.end("early").await;
    scene.kept(&[owner(&waiting)], 0).await;
}

#[tokio::test]
async fn a_relay_that_was_never_started_is_released_without_a_call() {
    let scene = scene("never").await;
    scene
        .relay(Relay::single(APP, "early").task_id("early"))
        .await;
    scene.until_reason("early", "WaitingForChannel").await;
    scene.end("early").await;
    assert_eq!(scene.calls(STOP, "early").await, 0);
    assert_eq!(scene.calls(START, "early").await, 0);
}

#[tokio::test]
async fn a_changed_spec_is_one_update_with_the_complete_parameters() {
    let scene = scene("update").await;
    scene.join("room").await;
    let relay = Relay::single(APP, "room").task_id("room");
    scene.relay(relay).await;
    let first = scene.until_reason("room", "Running").await;
    let patch =
        json!({"spec": {"relay": {"outputs": [{"url": url("other")}, {"url": url("third")}]}}});
    let changed = scene.merge("room", patch).await;
    let wanted = changed.metadata.generation;
    let updated = scene
        .until("room", "the change is told", |object| {
            let status = object.status.clone().unwrap_or_default();
            status.observed_generation == wanted && reason(object) == "Running"
        })
        .await;
    assert_eq!(scene.calls(UPDATE, "room").await, 1);
    assert_eq!(scene.calls(START, "room").await, 1);
    let (before, after) = (first.status.unwrap(), updated.status.clone().unwrap());
    assert_ne!(
        before.accepted.unwrap().parameters_hash,
        after.accepted.unwrap().parameters_hash
    );
    assert_eq!(after.claim.unwrap().outputs.len(), 2);
    let detail = scene.simulator.task_detail(APP, "room").await.unwrap();
    assert_eq!(
        detail["MultiStreamURL"][1]["URL"],
        Value::from(url("third"))
    );
    scene.end("room").await;
    scene.kept(&[owner(&updated)], 0).await;
}

#[tokio::test]
async fn a_break_stops_and_starts_again() {
    let scene = scene("break").await;
    scene.join("show").await;
    scene
        .relay(Relay::single(APP, "show").task_id("show"))
        .await;
    let first = scene.until_reason("show", "Running").await;
    scene
        .merge("show", json!({"spec": {"desiredState": "Stopped"}}))
        .await;
    let stopped = scene.until_reason("show", "Stopped").await;
    let status = stopped.status.clone().unwrap();
    assert_eq!(status.phase, Some(Phase::Stopped));
    assert!(status.intent.is_none() && status.stopped_at.is_some());
    assert_eq!(scene.calls(STOP, "show").await, 1);
    scene
        .merge("show", json!({"spec": {"desiredState": "Running"}}))
        .await;
    let again = scene.until_reason("show", "Running").await;
    assert_eq!(scene.calls(START, "show").await, 2);
    assert_eq!(
        first.status.unwrap().started_at,
        again.status.clone().unwrap().started_at,
        "the first Start counts"
    );
    scene.end("show").await;
    scene.kept(&[owner(&again)], 0).await;
}
