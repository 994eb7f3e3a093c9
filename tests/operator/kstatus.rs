//! What others take an object for, at every step of its life: the kstatus library, which Flux and Helm ask, and `kubectl wait`.

use futures::TryStreamExt as _;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, WatchEvent, WatchParams};
use mixed_stream_operator::api::{FINALIZER, MixedStreamTask};
use serde_json::{Value, json};
use support::Kstatus;
use support::kstatus::{Kind, Verdict};

use crate::scene::{APP, PATIENCE, Scene};

/// An object as the API server shows it: nothing of it passes through our own types.
pub async fn stored(scene: &Scene, name: &str) -> Value {
    let found = dynamic(scene).get_opt(name).await.unwrap();
    serde_json::to_value(found).unwrap()
}

fn dynamic(scene: &Scene) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<MixedStreamTask>(&());
    Api::namespaced_with(scene.cluster.client(), &scene.namespace, &resource)
}

pub async fn judged(kstatus: &mut Kstatus, scene: &Scene, name: &str) -> Verdict {
    kstatus.ask(&stored(scene, name).await).await
}

/// Whether `kubectl wait` finds the condition true now, without waiting.
pub async fn waited(scene: &Scene, name: &str, condition: &str) -> bool {
    let wanted = format!("--for=condition={condition}");
    let args = ["wait", "mst", name, &wanted, "--timeout=0"];
    let output = scene.cluster.kubectl(scene.within(&args), "").await;
    let met = output.status.success();
    // A failure for another reason is no answer.
    assert!(
        met || output.stderr.contains("condition not met"),
        "{output:?}"
    );
    met
}

/// One after the other, all versions of an object after `version`, to the first that is as wanted, or to its end.
pub async fn versions(
    scene: &Scene,
    name: &str,
    version: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Vec<Value> {
    let only = WatchParams::default().fields(&format!("metadata.name={name}"));
    let mut seen = Vec::new();
    let watch = async {
        let shown = dynamic(scene).watch(&only, version).await.unwrap();
        let mut shown = std::pin::pin!(shown);
        while let Some(event) = shown.try_next().await.unwrap() {
            let is_last = matches!(event, WatchEvent::Deleted(_));
            let (WatchEvent::Added(object)
            | WatchEvent::Modified(object)
            | WatchEvent::Deleted(object)) = event
            else {
                panic!("{event:?}");
            };
            seen.push(serde_json::to_value(object).unwrap());
            if is_last || seen.last().is_some_and(&wanted) {
                return;
            }
        }
        panic!("the watch has ended");
    };
    let ended = tokio::time::timeout(PATIENCE, watch).await;
    ended.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {name}: {seen:#?}"));
    seen
}

fn ready(object: &Value) -> bool {
    let conditions = object
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    conditions.is_some_and(|conditions| {
        conditions
            .iter()
            .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    })
}

/// From its creation, which the operator misses, to its end.
#[tokio::test]
async fn a_life_is_judged_rightly_at_every_step() {
    let mut scene = Scene::new("kstatus").await;
    let mut kstatus = Kstatus::start().await;
    scene.operator.kill().await;
    scene.start_task("final-42").await;
    let manifest = json!({
        "metadata": {"name": "final-42", "finalizers": [FINALIZER]},
        "spec": {"appId": APP, "taskId": "final-42"},
    });
    let created = scene.create_from(manifest).await;
    let version = created.metadata.resource_version.unwrap();
    assert_eq!(
        stored(&scene, "final-42").await["status"],
        json!({"observedGeneration": -1})
    );
    let unseen = judged(&mut kstatus, &scene, "final-42").await;
    assert_eq!(unseen.status, Kind::InProgress, "{unseen:?}");
    assert!(unseen.message.contains("is -1"), "{unseen:?}");
    assert!(!waited(&scene, "final-42", "Ready").await);

    // Armed. A wait that was begun before returns then.
    let wait = [
        "wait",
        "mst",
        "final-42",
        "--for=condition=Ready",
        "--timeout=60s",
    ];
    let cluster = scene.cluster.clone();
    let wait = cluster.kubectl(
        scene
            .within(&wait)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>(),
        "",
    );
    let (waited_for, ()) = tokio::join!(wait, scene.operator.restart());
    let _condition_met = waited_for.success();
    scene.until_reason("final-42", "Armed").await;
    let seen = versions(&scene, "final-42", &version, ready).await;
    let (last, before) = seen.split_last().unwrap();
    for object in before {
        let verdict = kstatus.ask(object).await;
        assert_eq!(verdict.status, Kind::InProgress, "{object:#}: {verdict:?}");
    }
    assert_eq!(kstatus.ask(last).await.status, Kind::Current, "{last:#}");
    assert!(waited(&scene, "final-42", "Ready").await);

    // Changed while the operator is away: what the status says is of the old spec.
    scene.operator.kill().await;
    let changed = scene
        .merge("final-42", json!({"spec": {"suspend": true}}))
        .await;
    let version = changed.metadata.resource_version.unwrap();
    let stale = judged(&mut kstatus, &scene, "final-42").await;
    assert_eq!(stale.status, Kind::InProgress, "{stale:?}");
    assert!(!waited(&scene, "final-42", "Ready").await);
    scene.operator.restart().await;
    scene.until_reason("final-42", "Suspended").await;
    let suspended = |object: &Value| ready(object) && object["status"]["phase"] == "Suspended";
    for object in versions(&scene, "final-42", &version, suspended).await {
        let verdict = kstatus.ask(&object).await;
        let wanted = if suspended(&object) {
            Kind::Current
        } else {
            Kind::InProgress
        };
        assert_eq!(verdict.status, wanted, "{object:#}: {verdict:?}");
    }
    assert!(waited(&scene, "final-42", "Ready").await);

    // Deleted while the operator is away.
    scene.operator.kill().await;
    scene.delete("final-42").await;
    let deleted = stored(&scene, "final-42").await;
    let leaving = kstatus.ask(&deleted).await;
    assert_eq!(leaving.status, Kind::Terminating, "{leaving:?}");
    assert!(!waited(&scene, "final-42", "Ready").await);
    let version = deleted["metadata"]["resourceVersion"].as_str().unwrap();
    scene.operator.restart().await;
    scene
        .kubectl(
            &["wait", "mst", "final-42", "--for=delete", "--timeout=60s"],
            "",
        )
        .await;
    for object in versions(&scene, "final-42", version, |_| false).await {
        let verdict = kstatus.ask(&object).await;
        assert_eq!(verdict.status, Kind::Terminating, "{object:#}");
    }
    let end = judged(&mut kstatus, &scene, "final-42").await;
    assert_eq!(end.status, Kind::NotFound, "{end:?}");
}

/// An object that waits for somebody to act has failed, and is as its spec asks once that was done.
#[tokio::test]
async fn a_stalled_object_has_failed_until_somebody_acts() {
    let scene = Scene::new("kstatus-stalled").await;
    let mut kstatus = Kstatus::start().await;
    scene.start_task("one").await;
    scene.create("one").await;
    scene.until_reason("one", "Armed").await;
    let other = json!({"metadata": {"name": "other"}, "spec": {"appId": APP, "taskId": "one"}});
    let created = scene.create_from(other).await;
    let version = created.metadata.resource_version.unwrap();
    scene.until_reason("other", "TaskIdInUse").await;
    let failed = judged(&mut kstatus, &scene, "other").await;
    assert_eq!(failed.status, Kind::Failed, "{failed:?}");
    assert!(failed.message.contains("one"), "{failed:?}");
    assert!(!waited(&scene, "other", "Ready").await);
    assert!(waited(&scene, "other", "Stalled").await);

    scene.delete("one").await;
    scene.until_gone("one").await;
    scene.until_reason("other", "Armed").await;
    let mut words = Vec::new();
    for object in versions(&scene, "other", &version, ready).await {
        words.push(kstatus.ask(&object).await.status);
    }
    words.dedup();
    assert_eq!(words, [Kind::InProgress, Kind::Failed, Kind::Current]);
    assert!(waited(&scene, "other", "Ready").await);
    assert!(!waited(&scene, "other", "Stalled").await);
}
