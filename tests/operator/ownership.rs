//! Two objects that name the same task.

use mixed_stream_operator::api::{ConditionType, MixedStreamTask};
use serde_json::{Value, json};
use support::simulator::TaskState;

use crate::scene::{APP, Scene, cluster, condition, reason};

const STOP: &str = "StopLiveMPUTask";

/// An object of that name for the task `shared`.
fn claimant(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"appId": APP, "taskId": "shared"}})
}

fn message(object: &MixedStreamTask) -> &str {
    &condition(object, ConditionType::Ready).unwrap().message
}

#[tokio::test]
async fn the_second_one_does_nothing_until_the_first_is_gone() {
    let scene = Scene::new("rivals").await;
    scene.start_task("shared").await;
    scene.create_from(claimant("holder-1")).await;
    scene.until_reason("holder-1", "Armed").await;
    scene.create_from(claimant("second")).await;
    let second = scene.until_reason("second", "TaskIdInUse").await;
    assert!(
        message(&second).contains("holder-1"),
        "{}",
        message(&second)
    );
    let stalled = condition(&second, ConditionType::Stalled).unwrap();
    assert_eq!(
        (stalled.status.as_str(), stalled.reason.as_str()),
        ("True", "TaskIdInUse")
    );
    assert_eq!(second.status.unwrap().claim, None);

    scene.delete("second").await;
    scene.until_gone("second").await;
    assert_eq!(scene.all_calls().await, 0, "the task is the other one's");

    scene.create_from(claimant("third")).await;
    scene.until_reason("third", "TaskIdInUse").await;
    scene.delete("holder-1").await;
    scene.until_gone("holder-1").await;
    assert_eq!(scene.calls(STOP, "shared").await, 1);
    let third = scene.until_reason("third", "Armed").await;
    assert!(third.status.unwrap().claim.is_some());
    assert!(
        condition(
            &scene.objects().get("third").await.unwrap(),
            ConditionType::Stalled
        )
        .is_none()
    );

    scene
        .simulator
        .set_switches(&json!({"clearMillis": 0}))
        .await
        .unwrap();
    scene.simulator.advance(20.0).await.unwrap();
    scene.start_task("shared").await;
    scene.delete("third").await;
    scene.until_gone("third").await;
    let task = scene.simulator.task(APP, "shared").await.unwrap();
    assert_eq!(task.state, TaskState::Stopped);
}

/// Possession beats age, also in the eyes of a new process.
#[tokio::test]
async fn the_one_that_has_it_keeps_it() {
    let mut scene = Scene::new("possession").await;
    scene.start_task("shared").await;
    let mut older = claimant("older");
    older["spec"]["suspend"] = json!(true);
    scene.create_from(older).await;
    scene.until_reason("older", "Suspended").await;
    scene.create_from(claimant("younger")).await;
    let younger = scene.until_reason("younger", "Armed").await;
    let claim = younger.status.unwrap().claim;
    scene
        .merge("older", json!({"spec": {"suspend": false}}))
        .await;
    let older = scene.until_reason("older", "TaskIdInUse").await;
    assert!(message(&older).contains("younger"), "{}", message(&older));
    for round in ["1", "2"] {
        scene.operator.restart().await;
        scene.operator.ready().await;
        let request =
            json!({"metadata": {"annotations": {"mixedstream.io/reconcile-requested-at": round}}});
        for name in ["older", "younger"] {
            scene.merge(name, request.clone()).await;
        }
        for (name, wanted) in [("older", "TaskIdInUse"), ("younger", "Armed")] {
            let looked_at = scene
                .until(name, "answered", |object| {
                    let status = object.status.as_ref();
                    status.is_some_and(|status| {
                        status.last_handled_reconcile_at.as_deref() == Some(round)
                    })
                })
                .await;
            assert_eq!(reason(&looked_at), wanted);
        }
    }
    let younger = scene.objects().get("younger").await.unwrap();
    assert_eq!(younger.status.unwrap().claim, claim);
    // The contested one goes first, while the operator is down.
    scene.operator.kill().await;
    scene.delete("older").await;
    scene.operator.restart().await;
    scene.until_gone("older").await;
    assert_eq!(scene.all_calls().await, 0);
    scene.delete("younger").await;
    scene.until_gone("younger").await;
    assert_eq!(scene.calls(STOP, "shared").await, 1);
}

/// Another namespace is another tenant's: it learns that the task is taken, not by whom.
#[tokio::test]
async fn the_holder_in_another_namespace_is_not_named() {
    let cluster = cluster().await;
    let other = cluster.namespace("tenant").await;
    let scene = Scene::with("neighbour", |launch| launch.namespace(&other)).await;
    scene.start_task("shared").await;
    scene.create_from(claimant("secret-plan")).await;
    scene.until_reason("secret-plan", "Armed").await;
    let neighbour = Scene {
        namespace: other,
        ..scene
    };
    neighbour.create_from(claimant("x")).await;
    let contested = neighbour.until_reason("x", "TaskIdInUse").await;
    let told = serde_json::to_string(&contested.status).unwrap();
    assert!(
        !told.contains("secret-plan") && !told.contains("neighbour"),
        "{told}"
    );
    assert!(message(&contested).contains("another namespace"), "{told}");
    neighbour.delete("x").await;
    neighbour.until_gone("x").await;
    assert_eq!(neighbour.all_calls().await, 0);
    let task = neighbour.simulator.task(APP, "shared").await.unwrap();
    assert_eq!(task.state, TaskState::Running);
}
