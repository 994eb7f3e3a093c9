//! One account's dead credentials slow nobody else's.

use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt as _};
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use serde_json::json;
use support::eventually;
use support::relay::Relay;

use super::*;
use crate::scene::{PATIENCE, cluster};

/// Deletes them one after the other: how long each took from the request to its end, the longest last.
async fn deletions(scene: &Scene, names: &[String]) -> Vec<Duration> {
    let mut took = Vec::new();
    for name in names {
        let begun = Instant::now();
        scene.end(name).await;
        took.push(begun.elapsed());
    }
    took.sort();
    took
}

/// Objects that are armed and have a task.
async fn healthy(scene: &Scene, prefix: &str, count: usize) -> Vec<String> {
    let names: Vec<String> = (0..count)
        .map(|number| format!("{prefix}-{number}"))
        .collect();
    for name in &names {
        scene.start_task(name).await;
        scene.create(name).await;
    }
    for name in &names {
        scene.until_reason(name, "Armed").await;
    }
    names
}

/// That many objects with one key, half of them relays, so that there is something to observe with it, too.
async fn crowd_of(scene: &Scene, namespace: &str, count: usize) {
    stream::iter(0..count)
        .for_each_concurrent(16, async |number| {
            let name = format!("x-{number}");
            let (app, simulator) = ("app-2000", &scene.simulator);
            let manifest = if number % 2 == 0 {
                let task = NewTask::default();
                simulator.start_task(app, &name, &task).await.unwrap();
                with_key(&name, app, "live")
            } else {
                simulator
                    .set_users(app, &name, &["host"], &[])
                    .await
                    .unwrap();
                let reference = json!({"name": "live"});
                let relay = Relay::single(app, &name).with("/credentialsSecretRef", reference);
                relay.manifest()
            };
            create_in(scene, namespace, manifest).await;
        })
        .await;
    crate::storm::phase(scene, "Armed", count / 2).await;
    crate::storm::phase(scene, "Running", count / 2).await;
}

#[tokio::test]
async fn many_failing_objects_with_a_dead_key_are_not_noticed_elsewhere() {
    const FAILING: usize = 300;
    const HEALTHY: usize = 20;
    let _turn = crate::storm::TURN.acquire().await.unwrap();
    let crowd = cluster().await.namespace("deadkey").await;
    let scene = scene("healthy", |launch| launch.namespace(&crowd)).await;
    scene.put_key_in(&crowd, "live", "2000-1").await;
    let alone = healthy(&scene, "alone", HEALTHY).await;
    let alone = deletions(&scene, &alone).await;

    crowd_of(&scene, &crowd, FAILING).await;
    // The key dies, and half of the objects go: their Stops fail again and again, every 200 to 400 ms each.
    scene
        .simulator
        .set_account("2000", &json!({"keys": []}))
        .await
        .unwrap();
    let beside = healthy(&scene, "beside", HEALTHY).await;
    scene.join("shows").await;
    let objects: Api<MixedStreamTask> = Api::namespaced(scene.cluster.client(), &crowd);
    objects
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await
        .unwrap();
    eventually("the Stops fail", PATIENCE, async || {
        let stops = scene.calls_of(STOP).await;
        if stops > FAILING + 2 * HEALTHY {
            Ok(())
        } else {
            Err(stops)
        }
    })
    .await;
    let beside = deletions(&scene, &beside).await;
    let (alone, beside) = (alone[HEALTHY - 2], beside[HEALTHY - 2]);
    eprintln!(
        "the slowest but one of {HEALTHY} deletions took {alone:?} alone and {beside:?} beside {FAILING} that fail"
    );
    assert!(
        beside < alone * 3 + Duration::from_millis(500),
        "{alone:?} alone, {beside:?} beside"
    );
    // What is observed for others is observed on: a relay starts as soon as somebody joins, and is seen to stop.
    scene
        .relay(Relay::single(OWN, "shows").task_id("shows"))
        .await;
    scene.until_reason("shows", "Running").await;
    scene.simulator.stop_task(OWN, "shows").await.unwrap();
    scene.until_reason("shows", "Completed").await;
    scene.end("shows").await;

    // The key comes back to life: everything of the crowd goes.
    scene.simulator.seed(&accounts()).await.unwrap();
    eventually("the crowd is gone", Duration::from_mins(3), async || {
        let left = objects
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .len();
        if left == 0 { Ok(()) } else { Err(left) }
    })
    .await;
    let running = scene.simulator.running_tasks("app-2000").await.unwrap();
    assert!(running.is_empty(), "{running:?}");
}
