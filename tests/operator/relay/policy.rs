//! Which relays a namespace may have, as `--app-policy` says it.

use std::path::Path;

use serde_json::json;
use support::relay::Relay;

use super::*;
use crate::oracle::until_released_on;
use crate::scene::{cluster, condition};
use mixed_stream_operator::api::ConditionType;

/// Lets the namespace name the tasks of the application that begin like this.
fn allow(file: &Path, namespace: &str, prefix: &str) {
    let rule = format!(
        "rules:\n- namespaces: [{namespace}]\n  appIds: [{APP}]\n  taskIdPrefix: {prefix}\n"
    );
    std::fs::write(file, rule).unwrap();
}

fn is_refused(object: &MixedStreamTask) -> bool {
    condition(object, ConditionType::Stalled)
        .is_some_and(|stalled| stalled.reason == "AppNotAllowed" && stalled.status == "True")
}

/// Both ways, while the operator runs: what was allowed is stopped all the same, and what was not is not touched.
#[tokio::test]
async fn the_policy_in_force_decides_and_claims_outlive_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.yaml");
    let cluster = cluster().await;
    let namespace = cluster.namespace("policy").await;
    allow(&file, &namespace, "a-");
    let scene = Scene::in_namespace(cluster, namespace, |launch| {
        short(launch).flags(["--app-policy", file.to_str().unwrap()])
    })
    .await;
    for channel in ["a-1", "a-2", "b-1", "b-2", "own", "other-app"] {
        scene.join(channel).await;
    }
    for task in ["a-1", "b-1", "b-2"] {
        scene.relay(Relay::single(APP, task).task_id(task)).await;
    }
    // Its id is made from its uid, which limits it by itself.
    scene.relay(Relay::single(APP, "own")).await;
    scene.relay(Relay::single("other", "other-app")).await;
    scene.start_task("b-minimal").await;
    scene.create("b-minimal").await;

    for name in ["b-1", "b-2", "other-app", "b-minimal"] {
        let refused = scene.until(name, "refused", is_refused).await;
        let told = message(&refused);
        assert!(told.contains("--app-policy"), "{told}");
        assert_eq!(refused.status.unwrap().claim, None, "{name}");
    }
    let own = scene.until_reason("own", "Running").await;
    let first = scene.until_reason("a-1", "Running").await;
    // Released by declaration, without a call.
    for name in ["b-2", "other-app", "b-minimal"] {
        scene.end(name).await;
    }
    until_released_on(&scene, "not_allowed", 1).await;
    assert_eq!(scene.calls(STOP, "b-minimal").await, 0);
    assert_eq!(scene.calls(START, "b-1").await, 0);

    allow(&file, &scene.namespace, "b-");
    let second = scene.until_reason("b-1", "Running").await;
    let refused = scene.until("a-1", "refused", is_refused).await;
    assert_eq!(
        refused.status.as_ref().unwrap().claim,
        first.status.as_ref().unwrap().claim,
        "what it has it keeps"
    );
    assert_eq!(
        scene.calls(STOP, "a-1").await,
        0,
        "nothing is stopped by a policy"
    );
    // Nor is anything begun: no change is sent.
    let update = json!({"spec": {"relay": {"outputs": [{"url": support::relay::url("changed")}]}}});
    let changed = scene.merge("a-1", update).await;
    scene
        .until("a-1", "the change was looked at", |object| {
            object.status.as_ref().unwrap().observed_generation == changed.metadata.generation
        })
        .await;
    assert_eq!(scene.calls(UPDATE, "a-1").await, 0);

    allow(&file, &scene.namespace, "a-");
    scene.until_reason("a-1", "Running").await;
    assert_eq!(scene.calls(UPDATE, "a-1").await, 1);
    allow(&file, &scene.namespace, "c-");
    scene.until("a-1", "refused", is_refused).await;
    scene.until("b-1", "refused", is_refused).await;
    // A claim from before the policy changed is good for the deletion.
    for name in ["a-1", "b-1", "own"] {
        scene.end(name).await;
    }
    for object in [&first, &second, &own] {
        let task = task_of(object);
        assert_eq!(scene.calls(STOP, &task).await, 1, "{task}");
        assert_eq!(scene.calls(START, &task).await, 1, "{task}");
    }
    let owners = [owner(&first), owner(&second), owner(&own)];
    scene.kept(&owners, 0).await;
}
