//! The life of an object whose task nobody disputes.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;
use mixed_stream_operator::api::{ConditionType, FINALIZER, MixedStreamTask, Phase};
use serde_json::{Value, json};
use support::eventually;
use support::simulator::TaskState;

use crate::scene::{APP, PATIENCE, Scene, cluster, condition, deed, operator_user, reason, writes};

const STOP: &str = "StopLiveMPUTask";

/// A scene whose operator has a name in the audit log and the rights that it needs, and no more.
async fn named(user: &str, flags: &[&str]) -> Scene {
    let cluster = cluster().await;
    let namespace = cluster.namespace("life").await;
    let kubeconfig = operator_user(&cluster, user, &[&namespace]).await;
    Scene::in_namespace(cluster, namespace, |launch| {
        launch.kubeconfig(&kubeconfig).flags(flags.iter().copied())
    })
    .await
}

#[tokio::test]
async fn the_main_job() {
    let scene = Scene::new("main").await;
    scene.start_task("final-42").await;
    scene.create("final-42").await;
    let armed = scene.until_reason("final-42", "Armed").await;
    let status = armed.status.clone().unwrap();
    assert_eq!(status.phase, Some(Phase::Armed));
    assert_eq!(status.task_id.as_deref(), Some("final-42"));
    assert_eq!(status.observed_generation, armed.metadata.generation);
    assert!(status.claim.unwrap().at.is_some());
    assert_eq!(status.conditions.len(), 1, "{:?}", status.conditions);
    assert_eq!(scene.all_calls().await, 0);
    scene.delete("final-42").await;
    scene.until_gone("final-42").await;
    assert_eq!(scene.calls(STOP, "final-42").await, 1);
    assert_eq!(scene.all_calls().await, 1);
    let task = scene.simulator.task(APP, "final-42").await.unwrap();
    assert_eq!(task.state, TaskState::Stopped);
}

/// Every request of an operator over the life of objects, by the API server's own account.
#[tokio::test]
async fn a_life_costs_two_writes_and_a_deletion_one() {
    let user = "operator-life";
    let scene = named(user, &[]).await;
    for task in ["plain", "guarded"] {
        scene.start_task(task).await;
        let finalizers: &[&str] = if task == "guarded" { &[FINALIZER] } else { &[] };
        let manifest = json!({
            "metadata": {"name": task, "finalizers": finalizers},
            "spec": {"appId": APP, "taskId": task},
        });
        scene.create_from(manifest).await;
        scene.until_reason(task, "Armed").await;
        scene.delete(task).await;
        scene.until_gone(task).await;
    }
    let of = |task: &str| -> Vec<_> {
        let all = writes(&scene.cluster, user);
        all.into_iter().filter(|entry| entry.name == task).collect()
    };
    let finalizer = ("patch", "mixedstreamtasks", "");
    let status = ("patch", "mixedstreamtasks", "status");
    for (task, wanted) in [
        ("plain", &[finalizer, status, finalizer][..]),
        ("guarded", &[status, finalizer]),
    ] {
        let written = eventually("the log has the writes", PATIENCE, async || {
            let written = of(task);
            if written.len() >= wanted.len() {
                Ok(written)
            } else {
                Err(written)
            }
        })
        .await;
        assert_eq!(
            written.iter().map(deed).collect::<Vec<_>>(),
            wanted,
            "{task}"
        );
        for pair in written.windows(2) {
            assert!(pair[0].answered <= pair[1].received, "{pair:?}");
        }
        assert!(written.iter().all(|entry| entry.code == 200), "{written:?}");
        assert_eq!(scene.calls(STOP, task).await, 1);
    }
    let all = scene.cluster.audit_of(user, |_| true);
    let deeds: BTreeSet<_> = all
        .iter()
        .map(|entry| (entry.group.as_str(), deed(entry)))
        .collect();
    let group = "mixedstream.io";
    let mut wanted = BTreeSet::from([
        (group, ("list", "mixedstreamtasks", "")),
        (group, ("watch", "mixedstreamtasks", "")),
        (group, finalizer),
        (group, status),
        ("events.k8s.io", ("create", "events", "")),
    ]);
    // A repeated event is patched.
    if deeds.contains(&("events.k8s.io", ("patch", "events", ""))) {
        wanted.insert(("events.k8s.io", ("patch", "events", "")));
    }
    assert_eq!(deeds, wanted);
    let lists = all.iter().filter(|entry| entry.verb == "list").count();
    assert_eq!(lists, 1, "one list for everything");
    assert!(all.iter().all(|entry| entry.code < 300), "{all:?}");
}

#[tokio::test]
async fn nothing_is_written_when_nothing_changes() {
    let user = "operator-idle";
    let mut scene = named(user, &["--watch-silence", "2s"]).await;
    scene.create("idle").await;
    scene
        .create_from(json!({"metadata": {"name": "off"}, "spec": {"appId": APP, "taskId": "off", "suspend": true}}))
        .await;
    let armed = scene.until_reason("idle", "Armed").await;
    let off = scene.until_reason("off", "Suspended").await;
    let counts = || {
        let watches = scene.cluster.audit_of(user, |entry| {
            entry.verb == "watch" && entry.stage == "ResponseStarted"
        });
        (writes(&scene.cluster, user).len(), watches.len())
    };
    eventually("the log has the writes", PATIENCE, async || {
        match counts() {
            (4, _) => Ok(()),
            other => Err(other),
        }
    })
    .await;
    let (_, before) = counts();
    let mut label = 0;
    eventually("ten watches have ended", PATIENCE, async || {
        // Churn that is none of the operator's business.
        label += 1;
        if label % 10 == 0 {
            let patch = json!({"metadata": {"labels": {"churn": label.to_string()}}});
            scene.merge("idle", patch).await;
        }
        match counts() {
            (_, now) if now >= before + 10 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    assert!(label >= 10);
    scene.operator.restart().await;
    scene.operator.ready().await;
    // Something that has to be answered shows that everything before it has been looked at.
    let request =
        json!({"metadata": {"annotations": {"mixedstream.io/reconcile-requested-at": "now"}}});
    for name in ["idle", "off"] {
        scene.merge(name, request.clone()).await;
        scene
            .until(name, "answered", |object| handled(object) == "now")
            .await;
    }
    let written = eventually("the log has the answers", PATIENCE, async || {
        let written = writes(&scene.cluster, user);
        if written.len() >= 6 {
            Ok(written)
        } else {
            Err(written.len())
        }
    })
    .await;
    assert_eq!(written.len(), 6, "{written:#?}");
    assert_eq!(scene.all_calls().await, 0);
    for (name, before) in [("idle", armed), ("off", off)] {
        let after = scene.objects().get(name).await.unwrap();
        assert_eq!(
            after.status.unwrap().conditions,
            before.status.unwrap().conditions
        );
    }
}

fn handled(object: &MixedStreamTask) -> &str {
    let status = object.status.as_ref();
    status
        .and_then(|status| status.last_handled_reconcile_at.as_deref())
        .unwrap_or_default()
}

#[tokio::test]
async fn a_requested_reconcile_is_answered_each_time() {
    let scene = Scene::new("request").await;
    scene.create("x").await;
    let armed = scene.until_reason("x", "Armed").await;
    for value in ["1", "2026-07-01T00:00:00Z", "anything at all, é"] {
        scene
            .merge("x", json!({"metadata": {"annotations": {"mixedstream.io/reconcile-requested-at": value}}}))
            .await;
        let answered = scene
            .until("x", "answered", |object| handled(object) == value)
            .await;
        assert_eq!(
            answered.status.unwrap().conditions,
            armed.status.as_ref().unwrap().conditions
        );
    }
    assert_eq!(scene.all_calls().await, 0);
}

/// What belongs to others: labels, annotations, finalizers but ours, owner references and the spec.
fn foreign(object: &MixedStreamTask) -> Value {
    let meta = &object.metadata;
    let finalizers: Vec<_> = meta
        .finalizers
        .iter()
        .flatten()
        .filter(|name| *name != FINALIZER)
        .collect();
    json!([
        meta.labels,
        meta.annotations,
        finalizers,
        meta.owner_references,
        object.spec
    ])
}

#[tokio::test]
async fn what_belongs_to_others_stays_as_it_is() {
    let scene = Scene::new("foreign").await;
    // An owner that exists: the cluster's garbage collector deletes the objects of one that does not.
    let owner: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "x"}})).unwrap();
    let owner = Api::<ConfigMap>::namespaced(scene.cluster.client(), &scene.namespace)
        .create(&PostParams::default(), &owner)
        .await
        .unwrap();
    let lists: [&[&str]; 3] = [
        &["example.com/a", "example.com/b"],
        &["example.com/a", FINALIZER, "example.com/b"],
        &[FINALIZER, "example.com/a", "example.com/b"],
    ];
    for (index, finalizers) in lists.into_iter().enumerate() {
        let name = format!("x{index}");
        scene.start_task(&name).await;
        let created = scene
            .create_from(json!({
                "metadata": {
                    "name": name,
                    "labels": {"app.kubernetes.io/name": "x", "empty": ""},
                    "annotations": {"example.com/note": " é\n\"quoted\" ", "mixedstream.io/unknown": "1"},
                    "finalizers": finalizers,
                    "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": owner.metadata.uid}],
                },
                "spec": {"appId": APP, "taskId": name, "deletionPolicy": "Stop", "suspend": false},
            }))
            .await;
        let armed = scene.until_reason(&name, "Armed").await;
        assert_eq!(foreign(&armed), foreign(&created));
        scene.delete(&name).await;
        let released = scene
            .until(&name, "without our finalizer", |object| {
                !object
                    .metadata
                    .finalizers
                    .iter()
                    .flatten()
                    .any(|name| name == FINALIZER)
            })
            .await;
        assert_eq!(foreign(&released), foreign(&created));
        assert_eq!(scene.calls(STOP, &name).await, 1);
        scene
            .merge(&name, json!({"metadata": {"labels": {"touched": "yes"}}}))
            .await;
        scene
            .merge(
                &name,
                json!({"metadata": {"finalizers": ["example.com/b"]}}),
            )
            .await;
        scene
            .merge(&name, json!({"metadata": {"finalizers": null}}))
            .await;
        scene.until_gone(&name).await;
        assert_eq!(
            scene.calls(STOP, &name).await,
            1,
            "nothing is stopped twice"
        );
    }
}

#[tokio::test]
async fn suspended_and_back() {
    let scene = Scene::new("suspend").await;
    scene.start_task("x").await;
    scene.create("x").await;
    let armed = scene.until_reason("x", "Armed").await;
    let since = |object: &MixedStreamTask| {
        condition(object, ConditionType::Ready)
            .unwrap()
            .last_transition_time
            .clone()
    };
    let claim = |object: &MixedStreamTask| object.status.clone().unwrap().claim;
    // Times are kept in whole seconds: in the next one, a time that wrongly moves is seen to move.
    eventually("a second has passed", PATIENCE, async || {
        let now = Timestamp::now();
        if now.as_second() > since(&armed).0.as_second() {
            Ok(())
        } else {
            Err(now)
        }
    })
    .await;
    scene.merge("x", json!({"spec": {"suspend": true}})).await;
    let suspended = scene.until_reason("x", "Suspended").await;
    assert_eq!(
        suspended.status.as_ref().unwrap().phase,
        Some(Phase::Suspended)
    );
    assert_eq!(
        condition(&suspended, ConditionType::Ready).unwrap().status,
        "True"
    );
    assert_eq!(
        suspended.status.as_ref().unwrap().observed_generation,
        Some(2)
    );
    assert_eq!(
        (since(&suspended), claim(&suspended)),
        (since(&armed), claim(&armed))
    );
    scene.merge("x", json!({"spec": {"suspend": null}})).await;
    let again = scene.until_reason("x", "Armed").await;
    assert_eq!(
        (since(&again), claim(&again)),
        (since(&armed), claim(&armed))
    );
    assert_eq!(scene.all_calls().await, 0);

    let failure =
        json!({"action": STOP, "kind": "error", "status": 503, "code": "ServiceUnavailable"});
    let fault = scene.simulator.order_fault(&failure).await.unwrap();
    scene.merge("x", json!({"spec": {"suspend": true}})).await;
    scene.delete("x").await;
    let stuck = scene.until_reason("x", "ServiceUnavailable").await;
    assert!(since(&stuck).0 > since(&armed).0, "the status changed");
    let reconciling = condition(&stuck, ConditionType::Reconciling).unwrap();
    assert_eq!(
        (reconciling.status.as_str(), reconciling.reason.as_str()),
        ("True", "ServiceUnavailable")
    );
    assert!(condition(&stuck, ConditionType::Stalled).is_none());
    assert_eq!(stuck.status.as_ref().unwrap().phase, Some(Phase::Stopping));
    scene.simulator.remove_fault(fault).await.unwrap();
    scene.until_gone("x").await;
    assert_eq!(
        scene.simulator.task(APP, "x").await.unwrap().state,
        TaskState::Stopped
    );
}

/// An object that was suspended from its beginning has no claim; its deletion makes one, and stops.
#[tokio::test]
async fn suspended_from_the_beginning() {
    let scene = Scene::new("suspended").await;
    scene.start_task("x").await;
    scene
        .create_from(json!({"metadata": {"name": "x"}, "spec": {"appId": APP, "taskId": "x", "suspend": true}}))
        .await;
    let suspended = scene.until_reason("x", "Suspended").await;
    assert_eq!(suspended.status.unwrap().claim, None);
    scene.delete("x").await;
    scene.until_gone("x").await;
    assert_eq!(scene.calls(STOP, "x").await, 1);
}

#[tokio::test]
async fn an_orphan_runs_on() {
    let scene = Scene::new("orphan").await;
    scene.start_task("x").await;
    scene.create("x").await;
    scene.until_reason("x", "Armed").await;
    scene
        .merge("x", json!({"spec": {"deletionPolicy": "Orphan"}}))
        .await;
    scene
        .until("x", "observed", |object| {
            object
                .status
                .as_ref()
                .is_some_and(|status| status.observed_generation == Some(2))
        })
        .await;
    scene.delete("x").await;
    scene.until_gone("x").await;
    assert_eq!(scene.all_calls().await, 0);
    assert_eq!(
        scene.simulator.task(APP, "x").await.unwrap().state,
        TaskState::Running
    );
}

#[tokio::test]
async fn kubectl_can_wait_for_it() {
    let scene = Scene::new("wait").await;
    scene.create("x").await;
    let wait = ["wait", "--for=condition=Ready", "--timeout=60s", "mst/x"];
    scene.kubectl(&wait, "").await;
    assert_eq!(reason(&scene.objects().get("x").await.unwrap()), "Armed");
    scene
        .kubectl(&["delete", "--wait", "--timeout=60s", "mst/x"], "")
        .await;
    assert_eq!(scene.objects().get_opt("x").await.unwrap(), None);
}
