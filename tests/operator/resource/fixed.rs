//! What can be changed of a relay while it lives, and what cannot.

use kube::Api;
use kube::api::{Patch, PatchParams};
use mixed_stream_operator::api::MixedStreamTask;
use serde_json::{Value, json};

use super::relay::{mixed, single, sound, with, without};
use super::{create, manifest, place};

/// An object with one spec that is replaced by another.
async fn change(objects: &Api<MixedStreamTask>, name: &str, to: &Value) -> Result<Value, String> {
    let patch = json!([{"op": "replace", "path": "/spec", "value": to}]);
    let patch = Patch::<()>::Json(serde_json::from_value(patch).unwrap());
    let changed = objects.patch(name, &PatchParams::default(), &patch).await;
    changed
        .map(|object| serde_json::to_value(&object.spec).unwrap())
        .map_err(|error| error.to_string())
}

fn refused() -> Vec<(Value, Value, &'static str, &'static str)> {
    let without_sei = || without(mixed(), "/relay/sei");
    let typeless = || without(mixed(), "/relay/sei/payloadType");
    let minimal = || {
        without(
            without(
                without(without(mixed(), "/relay"), "/desiredState"),
                "/restartPolicy",
            ),
            "/maxDurationSeconds",
        )
    };
    let added = "neither added nor taken away";
    let fixed = "cannot be changed";
    vec![
        (minimal(), mixed(), "spec.relay", added),
        (mixed(), minimal(), "spec.relay", added),
        (
            single(),
            with(single(), "/taskId", json!("t")),
            "spec.taskId",
            added,
        ),
        (mixed(), without(mixed(), "/taskId"), "spec.taskId", added),
        (
            mixed(),
            with(mixed(), "/taskId", json!("t2")),
            "spec.taskId",
            fixed,
        ),
        (
            mixed(),
            with(mixed(), "/appId", json!("other")),
            "spec.appId",
            fixed,
        ),
        (
            mixed(),
            with(mixed(), "/relay/channelId", json!("other")),
            "spec.relay.channelId",
            fixed,
        ),
        (
            mixed(),
            with(mixed(), "/relay/region", json!("EMAA-Saudi")),
            "spec.relay.region",
            fixed,
        ),
        (
            mixed(),
            without(mixed(), "/relay/region"),
            "spec.relay.region",
            fixed,
        ),
        (
            single(),
            with(single(), "/relay/region", json!("CN-Shanghai")),
            "spec.relay.region",
            fixed,
        ),
        (
            mixed(),
            with(mixed(), "/relay/maxIdleSeconds", json!(121)),
            "spec.relay.maxIdleSeconds",
            fixed,
        ),
        (
            mixed(),
            without(mixed(), "/relay/maxIdleSeconds"),
            "spec.relay.maxIdleSeconds",
            fixed,
        ),
        (
            single(),
            with(single(), "/relay/maxIdleSeconds", json!(10)),
            "spec.relay.maxIdleSeconds",
            fixed,
        ),
        (
            mixed(),
            with(mixed(), "/relay/sei/payloadType", json!(101)),
            "spec.relay.sei.payloadType",
            fixed,
        ),
        (mixed(), typeless(), "spec.relay.sei.payloadType", fixed),
        (mixed(), without_sei(), "spec.relay.sei.payloadType", fixed),
        (typeless(), mixed(), "spec.relay.sei.payloadType", fixed),
        (without_sei(), mixed(), "spec.relay.sei.payloadType", fixed),
        (
            single(),
            without(single(), "/relay/single"),
            "spec.relay",
            "exactly one of single",
        ),
    ]
}

fn taken() -> Vec<(Value, Value)> {
    let typeless = || without(mixed(), "/relay/sei/payloadType");
    let paused = with(mixed(), "/desiredState", json!("Stopped"));
    let mut to_mixed = single();
    to_mixed["relay"]["mixed"] = mixed()["relay"]["mixed"].clone();
    vec![
        (single(), without(to_mixed.clone(), "/relay/single")),
        (without(to_mixed, "/relay/single"), single()),
        (
            sound(),
            with(sound(), "/relay/mixed/encode/audioBitrate", json!(65)),
        ),
        (typeless(), without(mixed(), "/relay/sei")),
        (without(mixed(), "/relay/sei"), typeless()),
        (
            mixed(),
            with(mixed(), "/relay/sei", json!({"payloadType": 100})),
        ),
        (mixed(), paused.clone()),
        (paused, mixed()),
        (mixed(), without(mixed(), "/desiredState")),
        (
            mixed(),
            with(mixed(), "/restartPolicy", json!("WhenChannelReturns")),
        ),
        (mixed(), with(mixed(), "/maxDurationSeconds", json!(1))),
        (mixed(), without(mixed(), "/maxDurationSeconds")),
        (single(), with(single(), "/maxDurationSeconds", json!(5))),
        (
            mixed(),
            with(
                mixed(),
                "/relay/outputs",
                json!([{"url": "rtmp://elsewhere/a"}]),
            ),
        ),
        (mixed(), without(mixed(), "/relay/mixed/background")),
        (
            single(),
            with(single(), "/relay/single/userId", json!("other")),
        ),
    ]
}

#[tokio::test]
async fn what_update_cannot_change_is_fixed_and_the_rest_is_not() {
    let (cluster, namespace) = place().await;
    let client = cluster.client();
    let objects: Api<MixedStreamTask> = Api::namespaced(client.clone(), &namespace);
    let made = async |spec: &Value| {
        let created = create(&client, &namespace, &manifest(spec)).await;
        let created = created.unwrap_or_else(|message| panic!("{spec}: {message}"));
        created.metadata.name.unwrap()
    };
    for (from, to, field, words) in refused() {
        let name = made(&from).await;
        let told = change(&objects, &name, &to).await.err().unwrap_or_default();
        assert!(
            told.contains(&format!("{field}: ")) && told.contains(words),
            "{from}\n{to}\n{told}"
        );
        let kept = objects.get(&name).await.unwrap().spec;
        assert_eq!(serde_json::to_value(kept).unwrap(), from);
    }
    for (from, to) in taken() {
        let name = made(&from).await;
        assert_eq!(
            change(&objects, &name, &to).await.as_ref(),
            Ok(&to),
            "{from}"
        );
    }
}
