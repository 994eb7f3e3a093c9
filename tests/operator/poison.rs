//! Objects that are stored in a shape that the schema does not allow, as an older or newer version of it may have.

use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use mixed_stream_operator::api::{MixedStreamTask, crd};
use serde_json::{Value, json};
use support::{Cluster, eventually};

use crate::scene::{APP, PATIENCE, Scene, apply_crd};

/// Name, spec (if any), and what becomes of the object.
fn poison() -> Vec<(&'static str, Option<Value>, Fate)> {
    let long = "a".repeat(300);
    vec![
        (
            "number",
            Some(json!({"appId": 7, "taskId": "t"})),
            Fate::IsNotGuarded,
        ),
        ("empty", Some(json!({})), Fate::NeedsDeclaration),
        ("text", Some(json!("x")), Fate::IsNotGuarded),
        ("list", Some(json!([{"appId": APP}])), Fate::IsNotGuarded),
        (
            "null",
            Some(json!({"appId": APP, "taskId": null})),
            Fate::NeedsDeclaration,
        ),
        (
            "unicode",
            Some(json!({"appId": APP, "taskId": "ä b/c"})),
            Fate::NeedsDeclaration,
        ),
        (
            "long",
            Some(json!({"appId": APP, "taskId": long})),
            Fate::NeedsDeclaration,
        ),
        (
            "policy",
            Some(json!({"appId": APP, "taskId": "policy", "deletionPolicy": "Keep"})),
            Fate::IsStopped,
        ),
        (
            "suspend",
            Some(json!({"appId": APP, "taskId": "suspend", "suspend": "yes"})),
            Fate::IsStopped,
        ),
        ("nothing", None, Fate::IsNotGuarded),
    ]
}

/// What becomes of an object.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    /// Its ids can be read: its deletion stops the task.
    IsStopped,
    /// Its ids cannot be read: only a person can let it go.
    NeedsDeclaration,
    /// The API server takes no write to it, our finalizer included: a rule of the schema cannot be evaluated.
    IsNotGuarded,
}

fn objects(cluster: &Cluster, namespace: &str) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<MixedStreamTask>(&());
    Api::namespaced_with(cluster.client(), namespace, &resource)
}

fn manifest(name: &str, spec: Option<&Value>) -> DynamicObject {
    let mut manifest = json!({
        "apiVersion": "mixedstream.io/v1alpha1",
        "kind": "MixedStreamTask",
        "metadata": {"name": name},
    });
    if let Some(spec) = spec {
        manifest["spec"] = spec.clone();
    }
    serde_json::from_value(manifest).unwrap()
}

/// `Ready`'s reason and message.
fn told(object: &DynamicObject) -> (String, String) {
    let ready = object.data["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == "Ready")
        .cloned()
        .unwrap_or_default();
    let text = |field: &str| ready[field].as_str().unwrap_or_default().to_owned();
    (text("reason"), text("message"))
}

#[tokio::test]
async fn objects_in_a_wrong_shape_are_told_and_can_be_deleted() {
    let cluster = Cluster::fresh().await;
    let mut relaxed = serde_json::to_value(crd()).unwrap();
    relaxed["spec"]["versions"][0]["schema"]["openAPIV3Schema"] =
        json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    cluster.apply_yaml(&relaxed.to_string()).await;
    crate::scene::established(&cluster).await;
    let namespace = cluster.namespace("poison").await;
    let objects = objects(&cluster, &namespace);
    for (name, spec, _) in poison() {
        objects
            .create(&PostParams::default(), &manifest(name, spec.as_ref()))
            .await
            .unwrap();
    }
    let sound = json!({"appId": APP, "taskId": "status"});
    objects
        .create(&PostParams::default(), &manifest("status", Some(&sound)))
        .await
        .unwrap();
    let bad_status = json!({"status": {"conditions": "none", "phase": 7, "calls": {}, "observedGeneration": "x"}});
    objects
        .patch_status("status", &PatchParams::default(), &Patch::Merge(bad_status))
        .await
        .unwrap();
    apply_crd(&cluster).await;
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    eventually(
        "the schema is strict again",
        PATIENCE,
        async || match objects
            .create(&dry_run, &manifest("probe", Some(&json!({}))))
            .await
        {
            Ok(_) => Err("still taken"),
            Err(_) => Ok(()),
        },
    )
    .await;

    let scene = Scene::in_namespace(cluster, namespace, |launch| launch).await;
    // The healthy ones do not notice.
    scene.start_task("healthy").await;
    scene.create("healthy").await;
    scene.until_reason("healthy", "Armed").await;
    scene.delete("healthy").await;
    scene.until_gone("healthy").await;
    assert_eq!(scene.all_calls().await, 1);

    until(&scene, &objects, "status", |object| {
        told(object).0 == "Armed"
    })
    .await;
    for (name, _, fate) in poison() {
        if fate != Fate::IsNotGuarded {
            until(&scene, &objects, name, |object| {
                told(object).0 == "InvalidSpec"
            })
            .await;
        }
        if fate == Fate::IsStopped {
            scene.start_task(name).await;
        }
        objects
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
        if fate == Fate::NeedsDeclaration {
            until(&scene, &objects, name, |object| {
                let (reason, message) = told(object);
                reason == "InvalidSpec" && message.contains("mixedstream.io/release-without-stop")
            })
            .await;
            let release = json!({"metadata": {"annotations": {"mixedstream.io/release-without-stop": "checked by hand"}}});
            objects
                .patch(name, &PatchParams::default(), &Patch::Merge(release))
                .await
                .unwrap();
        }
        eventually(
            &format!("{name} is gone"),
            PATIENCE,
            async || match objects.get_opt(name).await {
                Ok(None) => Ok(()),
                other => Err(format!("{other:?}\n{}", scene.tail())),
            },
        )
        .await;
        let stops = usize::from(fate == Fate::IsStopped);
        assert_eq!(scene.calls("StopLiveMPUTask", name).await, stops, "{name}");
    }
}

async fn until(
    scene: &Scene,
    objects: &Api<DynamicObject>,
    name: &str,
    wanted: impl Fn(&DynamicObject) -> bool,
) {
    eventually(
        &format!("{name} is told of"),
        PATIENCE,
        async || match objects.get(name).await {
            Ok(object) if wanted(&object) => Ok(()),
            other => Err(format!("{other:?}\n{}", scene.tail())),
        },
    )
    .await;
}
