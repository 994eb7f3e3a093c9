//! Relays whose spec changes while they run.

use serde_json::json;
use support::relay::{Relay, STREAM_KEY, url};
use support::simulator::{TaskState, UpdateGone};

use super::events::{until_told, words};
use super::*;
use mixed_stream_operator::api::{Phase, StopReason};

impl Scene {
    /// Waits until the newest spec is told about, with this reason.
    async fn until_judged(&self, name: &str, wanted: &str) -> MixedStreamTask {
        let what = format!("the newest spec is told as {wanted}");
        self.until(name, &what, |object| {
            let status = object.status.as_ref().unwrap();
            status.observed_generation == object.metadata.generation && reason(object) == wanted
        })
        .await
    }
}

fn other_user(user: &str) -> Value {
    json!({"spec": {"relay": {"single": {"userId": user}}}})
}

#[tokio::test]
async fn only_what_the_service_has_to_know_is_sent() {
    let scene = scene("updates").await;
    scene.join("room").await;
    let relay = Relay::single(APP, "room").task_id("room");
    scene.relay(relay.with("/relay/maxIdleSeconds", 600)).await;
    let first = scene.until_reason("room", "Running").await;
    let restart =
        json!({"spec": {"restartPolicy": "WhenChannelReturns", "maxDurationSeconds": 3600}});
    scene.merge("room", restart).await;
    let same = scene.until_judged("room", "Running").await;
    assert_eq!(scene.calls(UPDATE, "room").await, 0);
    let accepted = |object: &MixedStreamTask| object.status.clone().unwrap().accepted.unwrap();
    assert_eq!(accepted(&first), accepted(&same), "nothing was accepted");

    scene.merge("room", other_user("guest")).await;
    let updated = scene.until_judged("room", "Running").await;
    assert_eq!(scene.calls(UPDATE, "room").await, 1);
    let detail = scene.simulator.task_detail(APP, "room").await.unwrap();
    let text = detail.to_string();
    assert!(text.contains("guest"), "{text}");
    assert_eq!(detail["StreamURL"], Value::from(url("room")), "complete");
    let (before, after) = (accepted(&same), accepted(&updated));
    assert_eq!(after.generation, updated.metadata.generation);
    assert_ne!(before.parameters_hash, after.parameters_hash);
    let calls = &updated.status.as_ref().unwrap().calls;
    let last = calls.last().unwrap();
    assert_eq!(last.action, UPDATE);
    assert!(last.request_id.is_some(), "{last:?}");
    until_told(&scene, "room", &[("Started", 1), ("Updated", 1)]).await;

    // Nothing is sent a second time.
    after_sweeps(&scene, 3).await;
    assert_eq!(scene.calls(UPDATE, "room").await, 1);
    assert_eq!(scene.calls(START, "room").await, 1);
    scene.end("room").await;
    scene.kept(&[owner(&updated)], 0).await;
}

#[tokio::test]
async fn a_rejected_change_is_told_and_the_running_task_stays_owned() {
    let scene = scene("rejected").await;
    let (reverts, dies) = tokio::join!(scene.running("reverts"), scene.running("dies"));
    let echo = format!("parameter SingleSubParams is wrong, got {}", url("reverts"));
    let fault = json!({"action": UPDATE, "kind": "error", "status": 400, "code": "InvalidParam", "message": echo});
    let fault = scene.simulator.order_fault(&fault).await.unwrap();
    for name in ["reverts", "dies"] {
        scene.merge(name, other_user("nobody")).await;
    }
    for (name, object) in [("reverts", &reverts), ("dies", &dies)] {
        let told = scene.until_judged(name, "RequestRejected").await;
        let message = message(&told);
        assert!(
            message.contains("parameter SingleSubParams is wrong"),
            "{message}"
        );
        assert!(
            message.contains("runs on as it was before the change"),
            "{message}"
        );
        assert!(!message.contains(STREAM_KEY), "{message}");
        let (before, after) = (object.status.clone().unwrap(), told.status.clone().unwrap());
        assert_eq!(after.phase, Some(Phase::Running));
        assert_eq!(
            (after.accepted, after.claim),
            (before.accepted, before.claim)
        );
    }
    // Many refusals are one event.
    let task = task_of(&reverts);
    scene.until_calls(UPDATE, &task, 4).await;
    until_told(&scene, "reverts", &[("Started", 1), ("RequestRejected", 1)]).await;
    assert!(
        !format!("{:?}", words(&scene, "reverts", "RequestRejected").await).contains(STREAM_KEY)
    );

    scene.merge("reverts", other_user("host")).await;
    scene.until_judged("reverts", "Running").await;
    let calls = scene.calls(UPDATE, &task).await;
    after_sweeps(&scene, 3).await;
    assert_eq!(scene.calls(UPDATE, &task).await, calls, "it is as it was");
    let waiting = [("action", "update")];
    let gauge = scene
        .operator
        .metric("mixed_stream_retrying", &waiting)
        .await;
    // The other one waits still.
    assert!((gauge - 1.0).abs() < 0.1, "{gauge}");

    scene.end("dies").await;
    scene.simulator.remove_fault(fault).await.unwrap();
    scene.end("reverts").await;
    for object in [&reverts, &dies] {
        let task = scene.simulator.task(APP, &task_of(object)).await.unwrap();
        assert_eq!(task.state, TaskState::Stopped);
        assert_eq!(scene.calls(STOP, &task_of(object)).await, 1);
    }
    scene.kept(&[owner(&reverts), owner(&dies)], 0).await;
}

#[tokio::test]
async fn a_change_into_an_output_of_another_object_is_not_sent() {
    let scene = scene("outputinuse").await;
    let (holder, wants) = tokio::join!(scene.running("holder"), scene.running("wants"));
    let outputs = json!({"spec": {"relay": {"outputs": [{"url": url("holder")}]}}});
    scene.merge("wants", outputs).await;
    let told = scene.until_judged("wants", "OutputInUse").await;
    let words = message(&told);
    assert!(
        words.contains("the object holder in this namespace"),
        "{words}"
    );
    assert!(words.contains("runs on as it was"), "{words}");
    assert!(!words.contains(STREAM_KEY), "{words}");
    let status = told.status.unwrap();
    assert_eq!(status.phase, Some(Phase::Running));
    assert_eq!(status.claim, wants.status.clone().unwrap().claim);
    after_sweeps(&scene, 3).await;
    let task = task_of(&wants);
    assert_eq!(scene.calls(UPDATE, &task).await, 0);
    let version = scene.objects().get("holder").await.unwrap();
    assert_eq!(
        version.metadata.resource_version, holder.metadata.resource_version,
        "the holder is not touched"
    );
    // It follows when the output is free and has cooled down.
    scene.end("holder").await;
    scene.until_judged("wants", "Running").await;
    assert_eq!(scene.calls(UPDATE, &task).await, 1);
    let detail = scene.simulator.task_detail(APP, &task).await.unwrap();
    assert_eq!(detail["StreamURL"], Value::from(url("holder")));
    scene.end("wants").await;
    scene.kept(&[owner(&holder), owner(&wants)], 0).await;
}

/// An Update that finds no task is no proof that it is gone, and no failure of the object: the list tells.
#[tokio::test]
async fn an_update_of_a_task_that_is_gone_ends_as_what_happened_to_it() {
    let scene = scene("updategone").await;
    let object = scene.running("x").await;
    let task = task_of(&object);
    let answers = support::simulator::Answers {
        update_gone: Some(UpdateGone::TaskDoesNotExist),
        ..Default::default()
    };
    scene.simulator.set_answers(answers).await.unwrap();
    let hidden =
        json!({"action": LIST, "kind": "error", "status": 503, "code": "ServiceUnavailable"});
    let hidden = scene.simulator.order_fault(&hidden).await.unwrap();
    scene.simulator.stop_task(APP, &task).await.unwrap();
    scene.merge("x", other_user("guest")).await;
    scene.until_calls(UPDATE, &task, 1).await;
    let told = scene.until_judged("x", "Updating").await;
    assert!(told.status.unwrap().intent.is_some(), "it may run");
    scene.simulator.remove_fault(hidden).await.unwrap();
    let completed = scene.until_judged("x", "Completed").await;
    let status = completed.status.unwrap();
    assert_eq!(status.stop_reason, Some(StopReason::StoppedElsewhere));
    assert_eq!(scene.calls(START, &task).await, 1);
    scene.end("x").await;
    scene.kept(&[owner(&object)], 0).await;
}
