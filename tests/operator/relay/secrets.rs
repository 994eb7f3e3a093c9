//! Relays whose addresses are in Secrets.

use serde_json::json;
use support::relay::{Relay, STREAM_KEY, url};

use super::events::until_told;
use super::*;
use crate::scene::operator_user;
use mixed_stream_operator::api::Phase;

impl Scene {
    async fn put(&self, secret: &str, key: &str, value: &str) {
        self.cluster
            .put_secret(&self.namespace, secret, &[(key, value)])
            .await;
    }

    /// Creates a relay to an output in a Secret, in a live channel.
    async fn secretly(&self, name: &str, secret: &str) -> MixedStreamTask {
        self.join(name).await;
        self.relay(Relay::single(APP, name).url_from(secret, "url"))
            .await
    }
}

#[tokio::test]
async fn a_relay_waits_for_its_secret_and_says_what_is_wrong_with_it() {
    let scene = scene("secretwait").await;
    scene.put("keyless", "address", &url("keyless")).await;
    let web = format!("https://push.example.com/{STREAM_KEY}");
    scene.put("web", "url", &web).await;
    for name in ["missing", "keyless", "web"] {
        scene.secretly(name, name).await;
    }
    for (name, wanted, phase, says) in [
        (
            "missing",
            "WaitingForSecret",
            Phase::Pending,
            "Secret missing does not exist",
        ),
        (
            "keyless",
            "WaitingForSecret",
            Phase::Pending,
            "Secret keyless has no key url",
        ),
        (
            "web",
            "InvalidSpec",
            Phase::Failed,
            "key url of Secret web): ",
        ),
    ] {
        let told = scene.until_reason(name, wanted).await;
        let words = message(&told);
        assert!(words.contains(says), "{words}");
        assert!(words.contains("not started"), "{words}");
        assert!(!words.contains(STREAM_KEY), "{words}");
        assert_eq!(told.status.unwrap().phase, Some(phase));
    }
    for name in ["missing", "keyless"] {
        scene.put(name, "url", &url(name)).await;
    }
    // Files often end with a newline.
    scene.put("web", "url", &format!("{}\n", url("web"))).await;
    let mut owners = Vec::new();
    for name in ["missing", "keyless", "web"] {
        let running = scene.until_reason(name, "Running").await;
        let task = task_of(&running);
        assert_eq!(scene.calls(START, &task).await, 1);
        let detail = scene.simulator.task_detail(APP, &task).await.unwrap();
        assert_eq!(detail["StreamURL"], Value::from(url(name)));
        scene.end(name).await;
        owners.push(owner(&running));
    }
    scene.kept(&owners, 0).await;
}

#[tokio::test]
async fn a_changed_secret_is_one_update_and_a_lost_one_is_told_while_the_relay_runs_on() {
    let mut scene = scene("secretchange").await;
    for name in ["changes", "loses"] {
        scene.put(name, "url", &url(name)).await;
        scene.secretly(name, name).await;
    }
    let changes = scene.until_reason("changes", "Running").await;
    let loses = scene.until_reason("loses", "Running").await;
    let task = task_of(&changes);
    let streams_to = async |address: &str| {
        let what = format!("the task streams to {}", address.len());
        eventually(&what, PATIENCE, async || {
            let detail = scene.simulator.task_detail(APP, &task).await.unwrap();
            if detail["StreamURL"] == address {
                Ok(())
            } else {
                Err("elsewhere")
            }
        })
        .await;
    };
    // A new key for the same output, then another output.
    let signed = format!("{}9", url("changes"));
    scene.put("changes", "url", &signed).await;
    streams_to(&signed).await;
    scene.put("changes", "url", &url("elsewhere")).await;
    streams_to(&url("elsewhere")).await;
    let claim = |object: &MixedStreamTask| object.status.clone().unwrap().claim.unwrap().outputs;
    let told = scene
        .until("changes", "the new output is claimed alone", |object| {
            claim(object) != claim(&changes) && claim(object).len() == 1
        })
        .await;
    assert_eq!(scene.calls(UPDATE, &task).await, 2);
    assert_eq!(told.metadata.generation, changes.metadata.generation);
    until_told(&scene, "changes", &[("Started", 1), ("Updated", 2)]).await;

    scene.cluster.delete_secret(&scene.namespace, "loses").await;
    let told = scene
        .until("loses", "the loss is told", |object| {
            message(object).contains("Secret loses does not exist")
        })
        .await;
    assert_eq!(reason(&told), "Running");
    until_told(&scene, "loses", &[("Started", 1), ("OutputAddressLost", 1)]).await;
    // The same for a process that has never seen it, which writes nothing; and the deletion does not need it.
    scene.operator.restart().await;
    scene.operator.ready().await;
    after_sweeps(&scene, 3).await;
    let same = scene.objects().get("loses").await.unwrap();
    assert_eq!(
        same.metadata.resource_version,
        told.metadata.resource_version
    );
    until_told(&scene, "loses", &[("Started", 1), ("OutputAddressLost", 1)]).await;
    scene.end("loses").await;
    scene.end("changes").await;
    assert_eq!(scene.calls(STOP, &task_of(&loses)).await, 1);
    scene.kept(&[owner(&changes), owner(&loses)], 0).await;
}

/// A rejected address is sent again as soon as the Secret has another one, however slowly refusals are retried.
#[tokio::test]
async fn a_mended_secret_ends_the_wait_of_a_rejected_change() {
    let slow = with("secretmended", |launch| {
        short(launch).flags(["--slow-backoff-min", "5m", "--slow-backoff-max", "5m"])
    });
    let scene = slow.await;
    scene.put("x", "url", &url("x")).await;
    let created = scene.secretly("x", "x").await;
    let running = scene.until_reason("x", "Running").await;
    let task = task_of(&running);
    let fault = json!({"action": UPDATE, "times": 1, "kind": "error", "status": 400, "code": "InvalidParam", "message": "StreamURL is wrong."});
    scene.simulator.order_fault(&fault).await.unwrap();
    scene.put("x", "url", &format!("{}9", url("x"))).await;
    scene.until_reason("x", "RequestRejected").await;
    scene.put("x", "url", &format!("{}8", url("x"))).await;
    let told = scene.until_reason("x", "Running").await;
    assert_eq!(scene.calls(UPDATE, &task).await, 2);
    assert_eq!(told.metadata.generation, created.metadata.generation);
    scene.end("x").await;
    scene.kept(&[owner(&running)], 0).await;
}

#[tokio::test]
async fn an_operator_that_may_not_read_secrets_says_so() {
    let user = "operator-no-secrets";
    let cluster = crate::scene::cluster().await;
    let namespace = cluster.namespace("nosecrets").await;
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
    scene.put("x", "url", &url("x")).await;
    scene.secretly("x", "x").await;
    let told = scene.until_reason("x", "WaitingForSecret").await;
    let words = message(&told);
    assert!(words.contains("may not read Secret x"), "{words}");
    crate::scene::grant(&scene.cluster, user, &namespace).await;
    let running = scene.until_reason("x", "Running").await;
    // By `get` alone: nobody's Secrets can be enumerated.
    let read = scene
        .cluster
        .audit_of(user, |entry| entry.resource == "secrets");
    assert!(
        !read.is_empty() && read.iter().all(|entry| entry.verb == "get"),
        "{read:?}"
    );
    scene.end("x").await;
    scene.kept(&[owner(&running)], 0).await;
}
