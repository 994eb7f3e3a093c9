//! The Secret behind an object: missing, half filled, denied, gone before the object.

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use support::eventually;
use support::simulator::TaskState;

use super::*;
use crate::relay::message;
use crate::scene::{PATIENCE, cluster, grant, operator_user, reason};

async fn stopped(scene: &Scene, app: &str, task: &str) {
    let stopped = scene.simulator.task(app, task).await.unwrap();
    assert_eq!(stopped.state, TaskState::Stopped, "{task}");
    let calls = scene.calls_for(STOP, task).await;
    assert_eq!(
        calls.iter().filter(|call| call.effect).count(),
        1,
        "{calls:?}"
    );
}

/// `kubectl delete namespace` takes the Secret before the object.
#[tokio::test]
async fn a_namespace_deleted_at_once_still_has_its_tasks_stopped() {
    let scene = scene("nsgone", |launch| launch).await;
    scene.put_key("live", "2000-1").await;
    for name in ["a", "b", "c"] {
        scene.stops_with(name, "app-2000", "live").await;
        scene.until_reason(name, "Armed").await;
    }
    scene.cluster.delete_secret(&scene.namespace, "live").await;
    // Long enough for it to be known.
    let told = scene.until_reason("a", "CredentialsMissing").await;
    assert!(
        message(&told).contains("last ones that were read"),
        "{}",
        message(&told)
    );
    let namespaces: Api<Namespace> = Api::all(scene.cluster.client());
    let how = DeleteParams::default();
    namespaces.delete(&scene.namespace, &how).await.unwrap();
    eventually("the namespace is gone", PATIENCE, async || match namespaces
        .get_opt(&scene.namespace)
        .await
        .unwrap()
    {
        None => Ok(()),
        Some(namespace) => Err(namespace.status),
    })
    .await;
    for name in ["a", "b", "c"] {
        stopped(&scene, "app-2000", name).await;
    }
}

#[tokio::test]
async fn after_a_restart_without_its_secret_the_one_thing_to_restore_is_told() {
    let mut scene = scene("restore", |launch| {
        launch.flags(["--slow-backoff-min", "5m", "--slow-backoff-max", "5m"])
    })
    .await;
    scene.put_key("live", "2000-1").await;
    for name in ["lives", "goes"] {
        scene.stops_with(name, "app-2000", "live").await;
        scene.until_reason(name, "Armed").await;
    }
    scene.operator.kill().await;
    scene.cluster.delete_secret(&scene.namespace, "live").await;
    scene.delete("goes").await;
    scene.operator.restart().await;
    let secret = format!("Secret {}/live", scene.namespace);
    for name in ["lives", "goes"] {
        let told = scene.until_reason(name, "CredentialsMissing").await;
        let words = message(&told);
        for part in [&*secret, "does not exist", "accessKeyId", "accessKeySecret"] {
            assert!(words.contains(part), "{words}");
        }
        assert!(!words.contains("ALIBABA_CLOUD"), "{words}");
    }
    assert_eq!(scene.calls(STOP, "goes").await, 0);
    // However slowly refusals are retried.
    scene.put_key("live", "2000-1").await;
    scene.until_gone("goes").await;
    stopped(&scene, "app-2000", "goes").await;
    scene.until_reason("lives", "Armed").await;
    scene.end("lives").await;
    stopped(&scene, "app-2000", "lives").await;
}

#[tokio::test]
async fn a_half_filled_secret_is_told_by_its_key_and_healed_by_a_request() {
    // No re-reading by itself within this test.
    let scene = scene("half", |launch| {
        launch.flags([
            "--secret-refresh",
            "1h",
            "--backoff-max",
            "1h",
            "--backoff-min",
            "1s",
        ])
    })
    .await;
    let values = [("accessKeyId", "2000-1")];
    scene
        .cluster
        .put_secret(&scene.namespace, "live", &values)
        .await;
    scene.stops_with("x", "app-2000", "live").await;
    let told = scene.until_reason("x", "CredentialsMissing").await;
    let words = message(&told);
    assert!(words.contains("has no key accessKeySecret"), "{words}");
    assert!(!words.contains("2000-1"), "{words}");
    assert!(told.status.unwrap().claim.is_none());

    scene.put_key("live", "2000-1").await;
    let request =
        json!({"metadata": {"annotations": {"mixedstream.io/reconcile-requested-at": "now"}}});
    scene.merge("x", request).await;
    scene.until_reason("x", "Armed").await;
    scene.end("x").await;
    stopped(&scene, "app-2000", "x").await;
}

#[tokio::test]
async fn a_key_that_the_service_refuses_is_told_before_anything_depends_on_it() {
    let scene = scene("junk", |launch| launch).await;
    scene.put_key("live", "nobodys").await;
    scene.stops_with("x", "app-2000", "live").await;
    let told = scene.until_reason("x", "CredentialsRejected").await;
    let words = message(&told);
    assert!(
        words.contains(&format!("Secret {}/live", scene.namespace)),
        "{words}"
    );
    assert!(told.status.unwrap().claim.is_none());
    scene.put_key("live", "2000-1").await;
    scene.until_reason("x", "Armed").await;
    scene.end("x").await;
    stopped(&scene, "app-2000", "x").await;
}

/// Secrets are read by `get` alone, and one that may not be read is told as such.
#[tokio::test]
async fn an_operator_that_may_not_read_the_secret_says_so() {
    let user = "operator-no-keys";
    let cluster = cluster().await;
    let namespace = cluster.namespace("nokeys").await;
    let kubeconfig = operator_user(&cluster, user, &[&namespace]).await;
    let denies = "apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: operator, namespace: NAMESPACE}
rules:
- {apiGroups: [mixedstream.io], resources: [mixedstreamtasks], verbs: [get, list, watch, patch]}
- {apiGroups: [mixedstream.io], resources: [mixedstreamtasks/status], verbs: [patch]}
";
    cluster
        .apply_yaml(&denies.replace("NAMESPACE", &namespace))
        .await;
    let scene = Scene::in_namespace(cluster, namespace.clone(), |launch| {
        short(launch).kubeconfig(&kubeconfig)
    })
    .await;
    scene.simulator.seed(&accounts()).await.unwrap();
    scene.put_key("live", "2000-1").await;
    for number in 0..20 {
        let name = format!("x-{number}");
        scene.stops_with(&name, "app-2000", "live").await;
    }
    let told = scene.until_reason("x-0", "CredentialsMissing").await;
    let words = message(&told);
    assert!(
        words.contains("may not read Secret") && words.contains("/live"),
        "{words}"
    );
    grant(&scene.cluster, user, &namespace).await;
    for number in 0..20 {
        scene.until_reason(&format!("x-{number}"), "Armed").await;
    }
    let read = |entry: &support::audit::Entry| entry.resource == "secrets";
    let before = scene.cluster.audit_of(user, read).len();
    let settled = std::time::Instant::now();
    eventually("three more readings", PATIENCE, async || {
        let reads = scene.cluster.audit_of(user, read).len() - before;
        if reads >= 3 { Ok(()) } else { Err(reads) }
    })
    .await;
    // For twenty objects one reading a second, as the flag has it.
    let seconds = settled.elapsed().as_secs_f64();
    let reads = scene.cluster.audit_of(user, read);
    #[allow(clippy::cast_precision_loss, reason = "a small number")]
    let rate = (reads.len() - before) as f64 / seconds;
    assert!(rate < 3.0, "{rate} readings a second");
    assert!(reads.iter().all(|entry| entry.verb == "get"), "{reads:?}");
    for number in 0..20 {
        scene.end(&format!("x-{number}")).await;
    }
}

/// The operator's own credentials never stand in for what an object has named once.
#[tokio::test]
async fn the_reference_can_be_added_but_not_taken_away() {
    let scene = scene("addref", |launch| launch).await;
    scene.put_key("mine", "testid-2").await;
    let keys = json!([
        {"id": "testid", "secret": "testsecret"},
        {"id": "testid-2", "secret": secret_of("testid-2")}
    ]);
    scene
        .simulator
        .set_account("default", &json!({"keys": keys}))
        .await
        .unwrap();
    scene.start_task("x").await;
    scene.create("x").await;
    scene.until_reason("x", "Armed").await;
    let named = json!({"spec": {"credentialsSecretRef": {"name": "mine"}}});
    scene.merge("x", named).await;
    let patch = Patch::Merge(json!({"spec": {"credentialsSecretRef": null}}));
    let refused = scene
        .objects()
        .patch("x", &PatchParams::default(), &patch)
        .await;
    let words = refused.unwrap_err().to_string();
    assert!(words.contains("cannot be taken away"), "{words}");
    scene
        .until("x", "still armed in the operator's own account", |object| {
            reason(object) == "Armed"
                && object.status.as_ref().unwrap().observed_generation == object.metadata.generation
                && account_of(object).is_none()
        })
        .await;
    scene.end("x").await;
    stopped(&scene, OWN, "x").await;
    assert_eq!(keys_of(&scene, STOP, OWN).await, ["testid-2"]);
}
