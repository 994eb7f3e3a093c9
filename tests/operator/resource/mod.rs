//! What the API server takes as a `MixedStreamTask` and what it refuses, by itself.

mod dependencies;
mod explain;
mod fixed;
mod good;
mod limits;
mod pages;
mod relay;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::core::Request;
use kube::{Api, Client};
use mixed_stream_operator::api::{DeletionPolicy, FINALIZER, MixedStreamTask};
use serde_json::{Value, json};
use support::Cluster;

use crate::scene::{APP, cluster, object};

/// What is said of a text with other characters.
pub const PATTERN: &str = "should match '^[A-Za-z0-9_-]+$'";
const SHORT: &str = "at least 1 chars long";
const TYPE: &str = "must be of type";
const REQUIRED: &str = "Required value";
const ENUM: &str = "supported values: \"Stop\", \"Orphan\"";
const UNKNOWN: &str = "unknown field";
const ENUM_WORDS: &str = "Unsupported value";

/// A cluster and a namespace without an operator.
pub async fn place() -> (Cluster, String) {
    let cluster = cluster().await;
    let namespace = cluster.namespace("resource").await;
    (cluster, namespace)
}

/// Creates an object as `kubectl create` does, with strict validation, and says what the API server answered.
async fn create(
    client: &Client,
    namespace: &str,
    manifest: &Value,
) -> Result<MixedStreamTask, String> {
    let path = format!("/apis/mixedstream.io/v1alpha1/namespaces/{namespace}/mixedstreamtasks");
    let body = serde_json::to_vec(manifest).unwrap();
    let mut request = Request::new(&path)
        .create(&PostParams::default(), body)
        .unwrap();
    *request.uri_mut() = format!("{path}?fieldValidation=Strict").parse().unwrap();
    client.request(request).await.map_err(|error| {
        let kube::Error::Api(status) = error else {
            panic!("{error}");
        };
        assert!((400..500).contains(&status.code), "{status:?}");
        status.message
    })
}

fn manifest(spec: &Value) -> Value {
    json!({
        "apiVersion": "mixedstream.io/v1alpha1",
        "kind": "MixedStreamTask",
        "metadata": {"generateName": "x-"},
        "spec": spec,
    })
}

/// A good spec with one field set.
fn spec(field: &str, value: &Value) -> Value {
    let mut spec = json!({"appId": APP, "taskId": "t"});
    spec[field] = value.clone();
    spec
}

/// Bad manifests: each with the field and the rule that the refusal names.
#[derive(Default)]
struct Table(Vec<(Value, String, String)>);

impl Table {
    fn add(&mut self, manifest: Value, field: &str, rule: &str) {
        self.0.push((manifest, field.to_owned(), rule.to_owned()));
    }

    /// Asserts that each is refused with its field and its rule, and that nothing of it is stored.
    async fn assert_refused(self, client: &Client, namespace: &str) {
        let mut wrong = Vec::new();
        for (manifest, field, rule) in self.0 {
            let answer = create(client, namespace, &manifest).await;
            let is_refused = answer
                .as_ref()
                .is_err_and(|message| message.contains(&field) && message.contains(&rule));
            if !is_refused {
                let mut shown = manifest.to_string();
                shown.truncate(shown.floor_char_boundary(300));
                let answer = answer.map_or_else(
                    |message| message.chars().take(600).collect(),
                    |_| "taken".to_owned(),
                );
                wrong.push(format!("{shown}\n  wanted {field}, {rule}\n  got {answer}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        let objects: Api<MixedStreamTask> = Api::namespaced(client.clone(), namespace);
        assert_eq!(
            objects.list(&ListParams::default()).await.unwrap().items,
            []
        );
    }
}

fn bad_ids(table: &mut Table) {
    let texts = [
        " ",
        "a b",
        " a",
        "a ",
        "a\n",
        "\na",
        "a\r\n",
        "a\tb",
        "a.b",
        "a/b",
        "../a",
        "a\\b",
        "a:b",
        "a,b",
        "a+b",
        "a=b",
        "a&b",
        "a%20b",
        "a?b",
        "a#b",
        "a@b",
        "a*",
        "a'b",
        "a\"b",
        "a$b",
        "${a}",
        "a|b",
        "a;b",
        "a~",
        "{a}",
        "[a]",
        "<a>",
        "é",
        "ß",
        "主播",
        "а",
        "a\u{200b}",
        "a\u{301}",
        "１",
        "٣",
        "😀",
        "a\u{0}b",
        "\u{feff}a",
    ];
    for (field, longest) in [("appId", 64), ("taskId", 55)] {
        let path = format!("spec.{field}");
        let too_long = format!("may not be more than {longest} bytes");
        for text in texts {
            table.add(manifest(&spec(field, &json!(text))), &path, PATTERN);
        }
        table.add(manifest(&spec(field, &json!(""))), &path, SHORT);
        for length in [longest + 1, longest * 2, 100_000] {
            let text = "a".repeat(length);
            table.add(manifest(&spec(field, &json!(text))), &path, &too_long);
        }
        for value in [
            json!(1),
            json!(-1),
            json!(1.5),
            json!(true),
            json!(false),
            json!([]),
            json!(["a"]),
            json!({}),
        ] {
            table.add(manifest(&spec(field, &value)), &path, TYPE);
        }
        table.add(manifest(&spec(field, &json!(null))), &path, REQUIRED);
        let inside = format!("\"{path}.a\"");
        table.add(manifest(&spec(field, &json!({"a": 1}))), &inside, UNKNOWN);
        let mut without = spec("suspend", &json!(false));
        without.as_object_mut().unwrap().remove(field);
        table.add(manifest(&without), &path, REQUIRED);
    }
}

fn bad_shapes(table: &mut Table) {
    for word in [
        "stop", "STOP", "orphan", "Delete", "Retain", "", " Stop", "Stop ", "Stop\n", "Ѕtop",
    ] {
        let spec = spec("deletionPolicy", &json!(word));
        table.add(manifest(&spec), "spec.deletionPolicy", ENUM);
    }
    for value in [json!(true), json!(1), json!([]), json!({}), json!(["Stop"])] {
        let spec = spec("deletionPolicy", &value);
        table.add(manifest(&spec), "spec.deletionPolicy", TYPE);
    }
    for value in [
        json!("true"),
        json!("yes"),
        json!(""),
        json!(1),
        json!(0),
        json!([]),
        json!({}),
    ] {
        table.add(manifest(&spec("suspend", &value)), "spec.suspend", TYPE);
    }
    for value in [json!("x"), json!(1), json!([]), json!(true)] {
        table.add(manifest(&value), "spec", TYPE);
    }
    table.add(manifest(&Value::Null), "spec", REQUIRED);
    let mut without = manifest(&json!({}));
    table.add(without.clone(), "spec.appId", REQUIRED);
    without.as_object_mut().unwrap().remove("spec");
    table.add(without, "spec", REQUIRED);
    for name in [
        "appid",
        "appID",
        "AppId",
        "app_id",
        "TaskId",
        "policy",
        "credentials",
        "relays",
        "Suspend",
        "status",
        "",
    ] {
        let manifest = manifest(&spec(name, &json!("x")));
        table.add(manifest, &format!("\"spec.{name}\""), UNKNOWN);
    }
    let mut more = manifest(&spec("suspend", &json!(true)));
    more["data"] = json!({});
    table.add(more, "\"data\"", UNKNOWN);
}

#[tokio::test]
async fn bad_manifests_are_refused_with_field_and_rule() {
    let (cluster, namespace) = place().await;
    let client = cluster.client();
    let mut table = Table::default();
    bad_ids(&mut table);
    bad_shapes(&mut table);
    assert!(table.0.len() >= 60, "{}", table.0.len());
    table.assert_refused(&client, &namespace).await;
}

#[tokio::test]
async fn good_manifests_are_taken_as_they_are() {
    let (cluster, namespace) = place().await;
    let client = cluster.client();
    let every = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    let mut specs = Vec::new();
    for (field, longest) in [("appId", 64), ("taskId", 55)] {
        for text in [
            "a".to_owned(),
            "Z".to_owned(),
            "0".to_owned(),
            "_".to_owned(),
            "-".to_owned(),
            "--help".to_owned(),
            "true".to_owned(),
            "null".to_owned(),
            "1e5".to_owned(),
            "9".repeat(longest),
            "-".repeat(longest),
            every[..longest].to_owned(),
            every[64 - longest..].to_owned(),
        ] {
            specs.push(spec(field, &json!(text)));
        }
    }
    for policy in [json!("Stop"), json!("Orphan"), json!(null)] {
        specs.push(spec("deletionPolicy", &policy));
    }
    for suspend in [json!(true), json!(false), json!(null)] {
        specs.push(spec("suspend", &suspend));
    }
    for spec in specs {
        let mut manifest = manifest(&spec);
        let created = create(&client, &namespace, &manifest).await;
        let created = created.unwrap_or_else(|message| panic!("{spec}: {message}"));
        let mut stored = serde_json::to_value(&created.spec).unwrap();
        for (field, value) in spec.as_object().unwrap() {
            assert_eq!(stored[field], *value, "{spec}");
            stored.as_object_mut().unwrap().remove(field);
        }
        assert_eq!(stored, json!({}), "nothing was added");
        manifest["metadata"] = json!({"generateName": "x-", "finalizers": [FINALIZER]});
        let guarded = create(&client, &namespace, &manifest).await.unwrap();
        assert_eq!(guarded.metadata.finalizers.unwrap(), [FINALIZER]);
    }
}

#[tokio::test]
async fn ids_cannot_be_changed_and_the_rest_can() {
    let (cluster, namespace) = place().await;
    let objects: Api<MixedStreamTask> = Api::namespaced(cluster.client(), &namespace);
    let manifest =
        object(json!({"metadata": {"name": "x"}, "spec": {"appId": APP, "taskId": "t"}}));
    objects
        .create(&PostParams::default(), &manifest)
        .await
        .unwrap();
    for field in ["appId", "taskId"] {
        let message =
            format!("{field} cannot be changed: delete this object and create another one");
        let refused = |result: Result<MixedStreamTask, kube::Error>| {
            let text = result.unwrap_err().to_string();
            assert!(
                text.contains(&message) && text.contains(&format!("spec.{field}")),
                "{text}"
            );
        };
        let params = PatchParams::default();
        let merge = Patch::Merge(json!({"spec": {field: "other"}}));
        refused(objects.patch("x", &params, &merge).await);
        let patch = json!([{"op": "replace", "path": format!("/spec/{field}"), "value": "other"}]);
        let patch = Patch::<()>::Json(serde_json::from_value(patch).unwrap());
        refused(objects.patch("x", &params, &patch).await);
        let mut whole = serde_json::to_value(objects.get("x").await.unwrap()).unwrap();
        whole["spec"][field] = json!("other");
        let whole: MixedStreamTask = serde_json::from_value(whole).unwrap();
        refused(objects.replace("x", &PostParams::default(), &whole).await);
        let mut other = serde_json::to_value(&manifest).unwrap();
        other["metadata"]["namespace"] = json!(namespace);
        other["spec"][field] = json!("other");
        for side in ["--server-side=false", "--server-side=true"] {
            let args = ["apply", side, "--force-conflicts=true", "-f", "-"];
            let args = args
                .iter()
                .filter(|arg| side.ends_with("true") || !arg.starts_with("--force"));
            let output = cluster.kubectl(args, &other.to_string()).await;
            assert!(!output.status.success());
            assert!(output.stderr.contains(&message), "{}", output.stderr);
        }
    }
    let patched = async |spec: Value| {
        let patch = Patch::Merge(json!({ "spec": spec }));
        objects
            .patch("x", &PatchParams::default(), &patch)
            .await
            .unwrap()
    };
    let before = objects.get("x").await.unwrap().metadata.generation.unwrap();
    let changed = patched(json!({"suspend": true})).await;
    assert_eq!(changed.spec.suspend, Some(true));
    let changed = patched(json!({"suspend": null, "deletionPolicy": "Orphan"})).await;
    assert_eq!(changed.spec.suspend, None);
    assert_eq!(changed.spec.deletion_policy, Some(DeletionPolicy::Orphan));
    let changed = patched(json!({"deletionPolicy": "Stop", "suspend": false})).await;
    assert_eq!(changed.metadata.generation.unwrap(), before + 3);
    let same = patched(json!({"appId": APP, "taskId": "t"})).await;
    assert_eq!(same.metadata.generation.unwrap(), before + 3);
}

#[tokio::test]
async fn the_status_is_a_matter_of_its_own() {
    let (cluster, namespace) = place().await;
    let client = cluster.client();
    let mut manifest = manifest(&spec("suspend", &json!(false)));
    manifest["metadata"] = json!({"name": "x"});
    manifest["status"] =
        json!({"phase": "Armed", "observedGeneration": 7, "claim": {"account": "mine"}});
    create(&client, &namespace, &manifest).await.unwrap();
    let objects: Api<MixedStreamTask> = Api::namespaced(client, &namespace);
    let fresh = json!({"observedGeneration": -1});
    let status = |object: &MixedStreamTask| serde_json::to_value(&object.status).unwrap();
    assert_eq!(status(&objects.get("x").await.unwrap()), fresh);
    let merge = Patch::Merge(json!({"status": {"phase": "Armed"}, "spec": {"suspend": true}}));
    let params = PatchParams::default();
    let patched = objects.patch("x", &params, &merge).await.unwrap();
    assert_eq!(status(&patched), fresh);
    assert_eq!(patched.spec.suspend, Some(true));
    let merge = Patch::Merge(json!({"status": {"phase": "Armed"}, "spec": {"suspend": false}}));
    let patched = objects.patch_status("x", &params, &merge).await.unwrap();
    assert_eq!(
        status(&patched),
        json!({"observedGeneration": -1, "phase": "Armed"})
    );
    assert_eq!(patched.spec.suspend, Some(true));
    assert_eq!(patched.metadata.generation, Some(2));
    for bad in [
        json!({"phase": "Dancing"}),
        json!({"observedGeneration": "1"}),
        json!({"conditions": [{"type": "Ready"}]}),
        json!({"calls": [1]}),
    ] {
        let merge = Patch::Merge(json!({ "status": bad }));
        let refused = objects.patch_status("x", &params, &merge).await;
        assert!(refused.is_err(), "{bad}");
    }
    let ready = json!({"type": "Ready", "status": "True", "reason": "Armed", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let merge = Patch::Merge(json!({"status": {"conditions": [ready, ready]}}));
    let refused = objects
        .patch_status("x", &params, &merge)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("Duplicate value"), "{refused}");
}

#[tokio::test]
async fn no_default_in_spec() {
    let cluster = cluster().await;
    let crds: Api<CustomResourceDefinition> = Api::all(cluster.client());
    let stored = crds.get("mixedstreamtasks.mixedstream.io").await.unwrap();
    for version in &stored.spec.versions {
        let schema = serde_json::to_value(&version.schema).unwrap();
        let properties = &schema["openAPIV3Schema"]["properties"];
        assert!(properties["spec"]["properties"]["appId"].is_object());
        assert_eq!(defaults(&properties["spec"]), 0);
        assert_eq!(
            properties["status"]["default"],
            json!({"observedGeneration": -1})
        );
        assert_eq!(defaults(&properties["status"]), 1);
    }
}

/// How often a schema, or a part of it, has a default.
fn defaults(schema: &Value) -> usize {
    match schema {
        Value::Object(map) => {
            usize::from(map.contains_key("default")) + map.values().map(defaults).sum::<usize>()
        }
        Value::Array(items) => items.iter().map(defaults).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}
