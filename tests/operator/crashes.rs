//! The operator is killed, or its object replaced, in the middle of a deletion.

use mixed_stream_operator::api::FINALIZER;
use serde_json::json;
use support::eventually;
use support::simulator::{ChangeKind, Filter};

use crate::oracle::{
    QUICK, STOP, armed_with_task, assert_promises, assert_stopped_first, calls_of, deletions,
    order, quick, running, scene_as, scene_with, until_calls, until_released_on,
};
use crate::scene::{APP, PATIENCE, Scene, cluster};

/// Stop has had its effect, its answer has not come, and the operator is killed.
#[tokio::test]
async fn killed_between_the_effect_of_stop_and_its_answer() {
    let mut scene = scene_with("killed", &["--call-deadline=30s"]).await;
    armed_with_task(&scene, "killed").await;
    order(
        &scene,
        "killed",
        json!({"kind": "slow", "when": "after", "millis": 20_000, "times": 1}),
    )
    .await;
    scene.delete("killed").await;
    eventually("Stop has its effect", PATIENCE, async || {
        let history = scene.simulator.history(&Filter::default()).await.unwrap();
        match history
            .iter()
            .find(|change| change.change == ChangeKind::Stopped)
        {
            Some(_) => Ok(()),
            None => Err(history),
        }
    })
    .await;
    scene.operator.restart().await;
    scene.until_gone("killed").await;
    assert_crash_cost_at_most_one_stop(&scene, "killed").await;
}

/// Stop was accepted, the finalizer could not be removed, and the operator is killed.
#[tokio::test]
async fn killed_between_the_answer_of_stop_and_the_patch() {
    let cluster = cluster().await;
    let user = format!("between-{}", std::process::id());
    let kubeconfig = cluster.user(&user).await;
    let rights = |verbs: &str| {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: {user}}}
rules:
- {{apiGroups: [mixedstream.io], resources: [mixedstreamtasks], verbs: [{verbs}]}}
- {{apiGroups: [mixedstream.io], resources: [mixedstreamtasks/status], verbs: [get, patch]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: {user}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {user}}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {user}}}]
"
        )
    };
    cluster.apply_yaml(&rights("get, list, watch, patch")).await;
    let mut scene = scene_as("between", &QUICK, |launch| launch.kubeconfig(&kubeconfig)).await;
    armed_with_task(&scene, "between").await;
    // Without the right to patch, what follows the accepted Stop fails, again and again.
    cluster.apply_yaml(&rights("get, list, watch")).await;
    let refused = async |at_least: usize| {
        eventually("the PATCH is refused", PATIENCE, async || {
            let refused = scene.cluster.audit(|entry| {
                entry.user == user
                    && entry.verb == "patch"
                    && entry.name == "between"
                    && entry.code == 403
            });
            if refused.len() >= at_least {
                Ok(())
            } else {
                Err(refused)
            }
        })
        .await;
    };
    scene.delete("between").await;
    refused(3).await;
    assert!(!running(&scene, "between").await);
    assert_eq!(
        scene.calls(STOP, "between").await,
        1,
        "the answer is remembered"
    );
    scene.operator.kill().await;
    cluster.apply_yaml(&rights("get, list, watch, patch")).await;
    scene.operator.restart().await;
    scene.until_gone("between").await;
    assert_crash_cost_at_most_one_stop(&scene, "between").await;
    for kind in ["clusterrolebinding", "clusterrole"] {
        let output = cluster.kubectl(["delete", kind, user.as_str()], "").await;
        let _ = output.success();
    }
}

async fn assert_crash_cost_at_most_one_stop(scene: &Scene, name: &str) {
    let calls = calls_of(scene, STOP, name).await;
    assert!(calls.len() <= 2, "{calls:?}");
    assert!(!running(scene, name).await);
    let found = deletions(scene, 1).await;
    assert_eq!(found[name].patches.len(), 1);
    assert_stopped_first(scene, &found).await;
    assert_promises(scene, &[name], 1).await;
    eprintln!(
        "{name} by SIGKILL between Stop and PATCH: gone after the restart, {} Stops",
        calls.len()
    );
}

/// Somebody forces the finalizer off and creates the object again while its Stop is in flight: the late answer does not touch the new one.
#[tokio::test]
async fn a_late_answer_does_not_touch_a_new_object_of_the_same_name() {
    let scene = quick("again").await;
    armed_with_task(&scene, "again").await;
    order(
        &scene,
        "again",
        json!({"kind": "slow", "when": "after", "millis": 1500, "times": 1}),
    )
    .await;
    let old = scene.objects().get("again").await.unwrap().metadata.uid;
    scene.delete("again").await;
    eventually("Stop is in flight", PATIENCE, async || {
        let calls = calls_of(&scene, STOP, "again").await;
        if calls.is_empty() { Err(calls) } else { Ok(()) }
    })
    .await;
    scene
        .merge("again", json!({"metadata": {"finalizers": null}}))
        .await;
    scene.until_gone("again").await;
    let manifest = json!({"metadata": {"name": "again", "finalizers": [FINALIZER]}, "spec": {"appId": APP, "taskId": "again"}});
    let new = scene.create_from(manifest).await.metadata.uid;
    assert_ne!(new, old);
    until_calls(&scene, STOP, "again", 1).await;
    let object = scene.until_reason("again", "Armed").await;
    assert_eq!(object.metadata.uid, new);
    assert_eq!(
        object.metadata.finalizers.as_deref(),
        Some(&[FINALIZER.to_owned()][..])
    );
    assert_eq!(object.metadata.deletion_timestamp, None);
    // The new one is deleted as any other: the task is stopped already.
    scene.delete("again").await;
    scene.until_gone("again").await;
    until_released_on(&scene, "not_listed", 1).await;
    assert_eq!(scene.calls(STOP, "again").await, 2);
}
