//! The application policy limits what the operator's own credentials may be used for, and nothing else.

use serde_json::json;
use support::relay::{Relay, url};

use super::*;
use crate::scene::{cluster, condition};
use mixed_stream_operator::api::ConditionType;

#[tokio::test]
async fn the_policy_is_for_the_operators_own_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.yaml");
    std::fs::write(&file, "rules: []\n").unwrap();
    let cluster = cluster().await;
    let namespace = cluster.namespace("keypolicy").await;
    let scene = Scene::in_namespace(cluster, namespace, |launch| {
        short(launch).flags(["--app-policy", file.to_str().unwrap()])
    })
    .await;
    scene.simulator.seed(&accounts()).await.unwrap();
    scene.put_key("live", "2000-1").await;
    scene.start_task("own").await;
    scene.create("own").await;
    scene.stops_with("theirs", "app-2000", "live").await;
    scene.until_reason("own", "AppNotAllowed").await;
    scene.until_reason("theirs", "Armed").await;
    // A reference that leads nowhere is no way around it, and neither is one to another account.
    scene.start_task("lost").await;
    scene.create_from(with_key("lost", OWN, "nothing")).await;
    scene.until_reason("lost", "CredentialsMissing").await;
    scene.start_task("foreign").await;
    scene.create_from(with_key("foreign", OWN, "live")).await;
    scene.until_reason("foreign", "Armed").await;
    scene.delete("foreign").await;
    scene
        .until("foreign", "the service refuses it", |object| {
            condition(object, ConditionType::Stalled).is_some()
        })
        .await;
    for name in ["own", "lost"] {
        let how =
            json!({"metadata": {"annotations": {"mixedstream.io/release-without-stop": "test"}}});
        scene.merge(name, how).await;
        scene.end(name).await;
        assert_eq!(scene.calls(STOP, name).await, 0, "{name}");
    }
    assert!(
        scene
            .calls_for(STOP, "foreign")
            .await
            .iter()
            .all(|call| !call.effect)
    );
    scene.end("theirs").await;
    assert_eq!(keys_of(&scene, STOP, "app-2000").await, ["2000-1"]);
    assert!(crate::oracle::running(&scene, "foreign").await);
}

/// Whoever has no credentials of any use keeps nobody from an output, however old.
#[tokio::test]
async fn an_output_is_not_kept_by_whoever_can_start_nothing() {
    let scene = scene("squat", |launch| launch).await;
    scene.put_key("junk", "nobodys").await;
    for (name, secret, reason) in [
        ("lost", "nothing", "CredentialsMissing"),
        ("junk", "junk", "CredentialsRejected"),
    ] {
        let relay = Relay::single("app-2000", name)
            .with("/credentialsSecretRef", json!({"name": secret}))
            .with("/relay/outputs", json!([{"url": url("evening")}]));
        scene.relay(relay).await;
        let told = scene.until_reason(name, reason).await;
        assert!(told.status.unwrap().claim.is_none(), "{name}");
    }
    scene.join("evening").await;
    scene.relay(Relay::single(OWN, "evening")).await;
    scene.until_reason("evening", "Running").await;
    for name in ["evening", "lost", "junk"] {
        scene.end(name).await;
    }
}
