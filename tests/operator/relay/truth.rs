//! What others take a relay for at every step of its life, and what is written and told when nothing changes.

use serde_json::json;
use support::Kstatus;
use support::kstatus::Kind;
use support::relay::{Relay, url};
use support::simulator::{Filter, Mark};

use super::events::{until_told, words};
use super::*;
use crate::kstatus::{judged, versions, waited};
use crate::scene::{operator_user, writes};

impl Scene {
    async fn spec(&self, name: &str, spec: Value) {
        self.merge(name, json!({"spec": spec})).await;
    }
}

/// The reason of `Ready` of a stored version; empty where it has none.
fn ready_of(object: &Value) -> (&str, &str) {
    let conditions = object["status"]["conditions"].as_array();
    let ready = conditions.and_then(|all| all.iter().find(|one| one["type"] == "Ready"));
    let text = |field| ready.and_then(|ready| ready[field].as_str()).unwrap_or("");
    (text("status"), text("reason"))
}

/// What a version has to be taken for, by the reason that it gives.
fn expected(object: &Value) -> Kind {
    let generation = object["metadata"]["generation"].as_i64();
    if object["metadata"]["deletionTimestamp"].is_string() {
        return Kind::Terminating;
    }
    if object["status"]["observedGeneration"].as_i64() != generation {
        return Kind::InProgress;
    }
    match ready_of(object).1 {
        "Running" | "Stopped" | "Completed" | "Suspended" => Kind::Current,
        "Starting" | "Updating" | "Stopping" | "WaitingForChannel" | "WaitingForSecret"
        | "CoolingDown" | "Throttled" | "ServiceUnavailable" | "OutcomeUnknown"
        | "StopUnconfirmed" => Kind::InProgress,
        "TaskIdInUse" | "OutputInUse" | "AppNotAllowed" | "InvalidSpec" | "RequestRejected"
        | "AccessDenied" => Kind::Failed,
        other => panic!("{other:?} in {object:#}"),
    }
}

/// That the versions of an object follow each other as they may.
fn assert_consistent(versions: &[Value]) {
    let of = |object: &Value, kind: &str| -> Option<Value> {
        let all = object["status"]["conditions"].as_array()?;
        all.iter().find(|one| one["type"] == kind).cloned()
    };
    for pair in versions.windows(2) {
        let (old, new) = (&pair[0], &pair[1]);
        for kind in ["Ready", "Reconciling", "Stalled"] {
            let (Some(old), Some(new)) = (of(old, kind), of(new, kind)) else {
                continue;
            };
            if old["status"] == new["status"] {
                let time = "lastTransitionTime";
                assert_eq!(old[time], new[time], "{kind}: {old:#} {new:#}");
            }
        }
    }
    for object in versions {
        let generation = object["metadata"]["generation"].as_i64();
        let observed = object["status"]["observedGeneration"].as_i64();
        assert!(observed <= generation, "{object:#}");
        let conditions = object["status"]["conditions"].as_array();
        for condition in conditions.into_iter().flatten() {
            assert_eq!(
                condition["observedGeneration"].as_i64(),
                observed,
                "{object:#}"
            );
        }
        // What does not hold is not there; what is not ready says why in a second condition.
        let held: Vec<&str> = conditions
            .into_iter()
            .flatten()
            .filter(|one| one["status"] == "True")
            .filter_map(|one| one["type"].as_str())
            .collect();
        assert!(conditions.is_none() || held.len() == 1, "{object:#}");
        let text = object["status"].to_string();
        assert!(!text.contains("push.example.com") && !text.contains(support::relay::STREAM_KEY));
    }
}

#[tokio::test]
async fn every_stored_version_of_a_life_is_judged_rightly() {
    let mut scene = scene("judged").await;
    let mut kstatus = Kstatus::start().await;
    scene.operator.kill().await;
    let relay = Relay::single(APP, "x").url_from("push", "url");
    let created = scene.relay(relay).await;
    let version = created.metadata.resource_version.unwrap();
    let judge = judged(&mut kstatus, &scene, "x").await;
    assert_eq!(
        judge.status,
        Kind::InProgress,
        "nobody has seen it: {judge:?}"
    );
    assert!(!waited(&scene, "x", "Ready").await);

    scene.operator.restart().await;
    scene.until_reason("x", "WaitingForSecret").await;
    let secret = [("url", &*url("x"))];
    scene
        .cluster
        .put_secret(&scene.namespace, "push", &secret)
        .await;
    scene.until_reason("x", "WaitingForChannel").await;
    assert!(!waited(&scene, "x", "Ready").await);
    scene.join("x").await;
    let running = scene.until_reason("x", "Running").await;
    let task = task_of(&running);
    assert!(waited(&scene, "x", "Ready").await);

    // A change whose Update fails for a while, then is refused, then is accepted.
    let fault =
        json!({"action": UPDATE, "kind": "error", "status": 503, "code": "ServiceUnavailable"});
    let fault = scene.simulator.order_fault(&fault).await.unwrap();
    let user = |user: &str| json!({"relay": {"single": {"userId": user}}});
    scene.spec("x", user("guest")).await;
    scene.until_reason("x", "ServiceUnavailable").await;
    assert!(!waited(&scene, "x", "Ready").await);
    scene.simulator.remove_fault(fault).await.unwrap();
    let fault = json!({"action": UPDATE, "kind": "error", "status": 400, "code": "NobodyKnows"});
    let fault = scene.simulator.order_fault(&fault).await.unwrap();
    scene.until_calls(UPDATE, &task, 2).await;
    scene.spec("x", user("other")).await;
    scene.until_reason("x", "RequestRejected").await;
    assert!(waited(&scene, "x", "Stalled").await);
    assert!(!waited(&scene, "x", "Ready").await);
    scene.simulator.remove_fault(fault).await.unwrap();
    scene.until_reason("x", "Running").await;

    // Changed while the operator is down. Events wait in a queue, which a kill would take along.
    words(&scene, "x", "Updated").await;
    scene.operator.kill().await;
    scene.spec("x", json!({"desiredState": "Stopped"})).await;
    let judge = judged(&mut kstatus, &scene, "x").await;
    assert_eq!(judge.status, Kind::InProgress, "{judge:?}");
    assert!(!waited(&scene, "x", "Ready").await);
    scene.operator.restart().await;
    scene.until_reason("x", "Stopped").await;
    assert!(waited(&scene, "x", "Ready").await);
    scene.spec("x", json!({"suspend": true})).await;
    scene.until_reason("x", "Suspended").await;
    scene
        .spec("x", json!({"suspend": null, "desiredState": null}))
        .await;
    scene.until_reason("x", "Running").await;
    scene.leave("x").await;
    scene.simulator.advance(130.0).await.unwrap();
    scene.until_reason("x", "Completed").await;
    assert!(waited(&scene, "x", "Ready").await);
    scene.end("x").await;

    let all = versions(&scene, "x", &version, |_| false).await;
    for object in &all {
        let verdict = kstatus.ask(object).await;
        assert_eq!(verdict.status, expected(object), "{object:#}: {verdict:?}");
    }
    assert_consistent(&all);
    let mut story: Vec<&str> = all.iter().map(|object| ready_of(object).1).collect();
    story.dedup();
    for reason in [
        "WaitingForSecret",
        "WaitingForChannel",
        "Starting",
        "Running",
        "ServiceUnavailable",
        "RequestRejected",
        "Stopped",
        "Suspended",
        "Completed",
    ] {
        assert!(story.contains(&reason), "{reason} in {story:?}");
    }
    // Each once, whatever was tried how often.
    let told = [
        ("Started", 2),
        ("Updated", 1),
        ("RequestRejected", 1),
        ("Completed", 1),
        // By spec.desiredState, by the service, and at its deletion.
        ("Stopped", 3),
    ];
    until_told(&scene, "x", &told).await;
    scene.kept(&[owner(&running)], 2).await;
}

/// Counts of what reads nothing.
async fn writing_calls(scene: &Scene, from: Mark) -> Vec<(String, usize)> {
    let counts = scene.simulator.counts_between(from, None).await.unwrap();
    let counts = counts.into_iter();
    counts
        .filter(|(action, _)| ![LIST, ROOMS].contains(&action.as_str()))
        .collect()
}

#[tokio::test]
async fn ten_resyncs_write_nothing_in_the_cluster_and_change_nothing_in_the_service() {
    let user = "operator-resyncs";
    let cluster = crate::scene::cluster().await;
    let namespace = cluster.namespace("resyncs").await;
    let kubeconfig = operator_user(&cluster, user, &[&namespace]).await;
    let mut scene = Scene::in_namespace(cluster, namespace, |launch| {
        short(launch)
            .kubeconfig(&kubeconfig)
            .flags(["--watch-silence", "2s"])
    })
    .await;
    let secret = [("url", &*url("secret"))];
    scene
        .cluster
        .put_secret(&scene.namespace, "push", &secret)
        .await;
    scene.join("secret").await;
    scene
        .relay(Relay::single(APP, "secret").url_from("push", "url"))
        .await;
    scene.relay(Relay::single(APP, "waits")).await;
    scene
        .relay(Relay::single(APP, "break").with("/desiredState", "Stopped"))
        .await;
    scene
        .relay(Relay::single(APP, "off").with("/suspend", true))
        .await;
    let over = scene.running("over").await;
    let stopped = scene.simulator.stop_task(APP, &task_of(&over)).await;
    stopped.unwrap();
    for (name, reason) in [
        ("secret", "Running"),
        ("waits", "WaitingForChannel"),
        ("break", "Stopped"),
        ("off", "Suspended"),
        ("over", "Completed"),
    ] {
        scene.until_reason(name, reason).await;
    }
    // The audit log is a moment late.
    after_sweeps(&scene, 2).await;
    let before = writes(&scene.cluster, user).len();
    let from = scene.simulator.mark().await.unwrap();
    let watches = || {
        let begun = scene.cluster.audit_of(user, |entry| {
            entry.verb == "watch" && entry.stage == "ResponseStarted"
        });
        begun.len()
    };
    let (first, mut label) = (watches(), 0);
    eventually("ten watches have ended", PATIENCE, async || {
        // Churn that is none of the operator's business.
        label += 1;
        if label % 10 == 0 {
            let patch = json!({"metadata": {"labels": {"churn": label.to_string()}}});
            scene.merge("secret", patch).await;
        }
        match watches() {
            now if now >= first + 10 => Ok(()),
            now => Err(now),
        }
    })
    .await;
    assert_eq!(writes(&scene.cluster, user).len(), before);
    assert_eq!(writing_calls(&scene, from).await, []);

    // A watch that goes on brings nothing anew; a new process lists and judges everything.
    for _ in 0..10 {
        scene.operator.restart().await;
        scene.operator.ready().await;
        after_sweeps(&scene, 1).await;
    }
    assert_eq!(writes(&scene.cluster, user).len(), before);
    assert_eq!(writing_calls(&scene, from).await, []);

    // Whoever reads managedFields sees whose writes they are.
    let managed = scene.objects().get("secret").await.unwrap().metadata;
    let of_status = managed.managed_fields.iter().flatten();
    let managers: Vec<_> = of_status
        .filter(|entry| entry.subresource.as_deref() == Some("status"))
        .map(|entry| entry.manager.as_deref())
        .collect();
    assert_eq!(managers, [Some("mixed-stream-operator")], "{managed:?}");

    // A request is answered, each time once, and by nothing more.
    for name in ["secret", "waits", "break", "off", "over"] {
        for value in ["1", "2"] {
            let annotation = json!({"mixedstream.io/reconcile-requested-at": value});
            scene
                .merge(name, json!({"metadata": {"annotations": annotation}}))
                .await;
            scene
                .until(name, "the request is answered", |object| {
                    let status = object.status.as_ref().unwrap();
                    status.last_handled_reconcile_at.as_deref() == Some(value)
                })
                .await;
        }
    }
    after_sweeps(&scene, 2).await;
    assert_eq!(writes(&scene.cluster, user).len(), before + 10);
    assert_eq!(writing_calls(&scene, from).await, []);
}

/// A failure that lasts is one event and few writes, and what is told of it stays the same; the calls are found by their request ids.
#[tokio::test]
async fn retries_are_not_told_one_by_one() {
    let scene = scene("retries").await;
    scene.join("x").await;
    let error = json!({"action": START, "kind": "error", "status": 400, "code": "NobodyKnows", "message": "no."});
    let fault = scene.simulator.order_fault(&error).await.unwrap();
    let created = scene.relay(Relay::single(APP, "x").task_id("x")).await;
    let version = created.metadata.resource_version.unwrap();
    scene.until_calls(START, "x", 10).await;
    let told = scene.until_reason("x", "RequestRejected").await;
    assert!(
        message(&told).contains("NobodyKnows: no."),
        "{}",
        message(&told)
    );
    until_told(&scene, "x", &[("RequestRejected", 1)]).await;
    scene.simulator.remove_fault(fault).await.unwrap();
    let running = scene.until_reason("x", "Running").await;
    let calls = &running.status.as_ref().unwrap().calls;
    assert_eq!(calls.len(), 5);
    let logged = scene.simulator.calls(&Filter::default()).await.unwrap();
    for call in calls {
        let id = call.request_id.as_deref().unwrap();
        let known = logged.iter().any(|one| one.request_id == id);
        assert!(known, "{call:?}");
        assert_eq!(call.action, START);
    }
    let is_running = |object: &Value| ready_of(object) == ("True", "Running");
    let seen = versions(&scene, "x", &version, is_running).await;
    assert_consistent(&seen);
    let rejected = seen
        .iter()
        .filter(|object| ready_of(object).1 == "RequestRejected");
    assert!(rejected.count() <= 11, "one at most for each attempt");
    scene.end("x").await;
    scene.kept(&[owner(&running)], 0).await;
}
