//! What people were told of an object.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::ListParams;
use support::eventually;

use crate::scene::{PATIENCE, Scene};

/// The events about an object: how often each reason was told.
pub async fn told(scene: &Scene, name: &str) -> BTreeMap<String, i32> {
    let mut counts = BTreeMap::new();
    for event in events(scene, name).await {
        let count = event.series.and_then(|series| series.count);
        *counts.entry(event.reason.unwrap_or_default()).or_default() += count.unwrap_or(1);
    }
    counts
}

/// Waits until exactly these events were told about an object.
pub async fn until_told(scene: &Scene, name: &str, wanted: &[(&str, i32)]) {
    let wanted: BTreeMap<String, i32> = wanted
        .iter()
        .map(|(reason, count)| ((*reason).to_owned(), *count))
        .collect();
    eventually(
        &format!("{name}: events {wanted:?}"),
        PATIENCE,
        async || {
            let counts = told(scene, name).await;
            if counts == wanted {
                Ok(())
            } else {
                Err(counts)
            }
        },
    )
    .await;
}

/// Waits for events with that reason about an object, and returns their words.
pub async fn words(scene: &Scene, name: &str, reason: &str) -> Vec<String> {
    eventually(&format!("{name}: event {reason}"), PATIENCE, async || {
        let of_reason = events(scene, name)
            .await
            .into_iter()
            .filter(|event| event.reason.as_deref() == Some(reason));
        let words: Vec<String> = of_reason.filter_map(|event| event.message).collect();
        if words.is_empty() { Err(()) } else { Ok(words) }
    })
    .await
}

async fn events(scene: &Scene, name: &str) -> Vec<Event> {
    let events: Api<Event> = Api::namespaced(scene.cluster.client(), &scene.namespace);
    let mut list = events.list(&ListParams::default()).await.unwrap().items;
    list.retain(|event| event.involved_object.name.as_deref() == Some(name));
    list
}
