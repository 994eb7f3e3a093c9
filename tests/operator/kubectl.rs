//! The resource as people meet it: through kubectl.

use kube::Api;
use mixed_stream_operator::api::{FINALIZER, MixedStreamTask};
use serde_json::json;
use support::eventually;

use crate::resource::{PATTERN, place};
use crate::scene::{APP, PATIENCE, Scene};

/// What YAML makes of words without quotes.
#[tokio::test]
async fn kubectl_tells_what_yaml_made_of_an_id() {
    let (cluster, namespace) = place().await;
    for (written, wanted) in [
        (
            "007",
            "spec.taskId in body must be of type string: \"integer\"",
        ),
        ("1e3", "spec.taskId in body must be of type string"),
        ("1.0", "spec.taskId in body must be of type string"),
        ("0x1F", "spec.taskId in body must be of type string"),
        (
            "yes",
            "spec.taskId in body must be of type string: \"boolean\"",
        ),
        (
            "off",
            "spec.taskId in body must be of type string: \"boolean\"",
        ),
        (
            "True",
            "spec.taskId in body must be of type string: \"boolean\"",
        ),
        ("null", "spec.taskId"),
        ("~", "spec.taskId"),
        ("", "spec.taskId"),
        (
            "[a]",
            "spec.taskId in body must be of type string: \"array\"",
        ),
        ("{a: b}", "unknown field \"spec.taskId.a\""),
        ("|\n    a", PATTERN),
        (">-\n    a\n    b", PATTERN),
        ("\"a\\u00e9\"", PATTERN),
        ("a # b\n  taskid: b", "unknown field \"spec.taskid\""),
    ] {
        let yaml = yaml(&namespace, "x", written);
        let output = cluster.kubectl(["create", "-f", "-"], &yaml).await;
        assert!(!output.status.success(), "{yaml}");
        assert!(output.stderr.contains(wanted), "{yaml}{}", output.stderr);
    }
    for (name, written, meant) in [
        ("quoted-number", "\"007\"", "007"),
        ("quoted-word", "'yes'", "yes"),
        ("quoted-null", "\"null\"", "null"),
        ("commented", "a # b", "a"),
        ("folded", ">-\n    a", "a"),
    ] {
        let yaml = yaml(&namespace, name, written);
        let _created = cluster
            .kubectl(["create", "-f", "-"], &yaml)
            .await
            .success();
        let objects: Api<MixedStreamTask> = Api::namespaced(cluster.client(), &namespace);
        assert_eq!(
            objects.get(name).await.unwrap().spec.task_id.as_deref(),
            Some(meant)
        );
    }
}

fn yaml(namespace: &str, name: &str, task: &str) -> String {
    format!(
        "apiVersion: mixedstream.io/v1alpha1\nkind: MixedStreamTask\n\
         metadata:\n  name: {name}\n  namespace: {namespace}\n\
         spec:\n  appId: {APP}\n  taskId: {task}\n"
    )
}

#[tokio::test]
async fn kubectl_shows_and_explains() {
    let scene = Scene::new("shown").await;
    scene.create("final-42").await;
    scene.until_reason("final-42", "Armed").await;
    let words = |table: &str| -> Vec<Vec<String>> {
        let lines = table.lines();
        lines
            .map(|line| line.split_whitespace().map(str::to_owned).collect())
            .collect()
    };
    let table = words(&scene.kubectl(&["get", "mst"], "").await);
    assert_eq!(table[0], ["NAME", "PHASE", "READY", "TASK", "AGE"]);
    assert_eq!(table[1][..4], ["final-42", "Armed", "True", "final-42"]);
    let table = words(&scene.kubectl(&["get", "mst", "-o", "wide"], "").await);
    assert_eq!(
        table[0],
        ["NAME", "PHASE", "READY", "TASK", "REASON", "AGE"]
    );
    assert_eq!(table[1][4], "Armed");
    for word in ["live", "mixedstreamtask", "mixedstreamtasks.mixedstream.io"] {
        // Discovery is served a moment after the definition is established.
        let shown = eventually(word, PATIENCE, async || {
            let output = scene
                .cluster
                .kubectl(scene.within(&["get", word, "-o", "name"]), "")
                .await;
            if output.status.success() {
                Ok(output.stdout)
            } else {
                Err(output.stderr)
            }
        })
        .await;
        assert_eq!(
            shown.trim(),
            "mixedstreamtask.mixedstream.io/final-42",
            "{word}"
        );
    }
    for (path, wanted) in [
        ("mst", "the promise to stop it when this object is deleted"),
        ("mst.spec", "-required-"),
        ("mst.spec.appId", "It cannot be changed"),
        ("mst.spec.taskId", "1 to 55 letters"),
        ("mst.spec.deletionPolicy", "Orphan: the task runs on"),
        ("mst.spec.suspend", "Deletion still stops the task"),
        ("mst.status.claim", "no other object can take it"),
    ] {
        let text = eventually(path, PATIENCE, async || {
            let output = scene.cluster.kubectl(["explain", path], "").await;
            if output.status.success() {
                Ok(output.stdout)
            } else {
                Err(output.stderr)
            }
        })
        .await;
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(wanted), "{path}: {text}");
    }
}

/// Applying the same manifest again changes nothing, at no moment of an object's life.
#[tokio::test]
async fn a_manifest_shows_no_difference_as_long_as_the_object_lives() {
    let scene = Scene::new("diff").await;
    let plain = yaml(&scene.namespace, "plain", "plain");
    let guarded = yaml(&scene.namespace, "guarded", "guarded").replace(
        "metadata:",
        &format!("metadata:\n  finalizers: [{FINALIZER}]"),
    );
    let failure = json!({"action": "StopLiveMPUTask", "kind": "error", "status": 503, "code": "ServiceUnavailable"});
    let fault = scene.simulator.order_fault(&failure).await.unwrap();
    let same = async |manifest: &str| {
        scene.kubectl(&["diff", "-f", "-"], manifest).await;
        let again = scene.kubectl(&["apply", "-f", "-"], manifest).await;
        assert!(again.contains("unchanged"), "{again}");
        scene
            .kubectl(&["diff", "--server-side=false", "-f", "-"], manifest)
            .await;
    };
    for (name, manifest) in [("plain", &plain), ("guarded", &guarded)] {
        scene.start_task(name).await;
        let created = scene.kubectl(&["apply", "-f", "-"], manifest).await;
        assert!(created.contains("created"), "{created}");
        same(manifest).await;
        scene.until_reason(name, "Armed").await;
        same(manifest).await;
        let suspended = format!("{manifest}  suspend: true\n");
        let changed = scene.kubectl(&["apply", "-f", "-"], &suspended).await;
        assert!(changed.contains("configured"), "{changed}");
        scene.until_reason(name, "Suspended").await;
        same(&suspended).await;
        scene.delete(name).await;
        scene.until_reason(name, "ServiceUnavailable").await;
        same(&suspended).await;
    }
    scene.simulator.remove_fault(fault).await.unwrap();
    for name in ["plain", "guarded"] {
        scene.until_gone(name).await;
    }
}

/// The same with server-side apply, as tools like Flux use it.
#[tokio::test]
async fn a_manifest_applied_by_the_server_shows_no_difference_either() {
    let scene = Scene::new("ssa").await;
    let manifest = yaml(&scene.namespace, "x", "x");
    let args = ["apply", "--server-side", "-f", "-"];
    scene.kubectl(&args, &manifest).await;
    // Armed first: a status that is written between the two reads of a diff would be its difference.
    let armed = scene.until_reason("x", "Armed").await;
    scene
        .kubectl(&["diff", "--server-side", "-f", "-"], &manifest)
        .await;
    scene.kubectl(&args, &manifest).await;
    let again = scene.objects().get("x").await.unwrap();
    assert_eq!(
        again.metadata.resource_version,
        armed.metadata.resource_version
    );
    assert_eq!(again.metadata.finalizers.unwrap(), [FINALIZER]);
}
