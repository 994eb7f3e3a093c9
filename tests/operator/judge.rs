//! The judge of the promises, on the logs of real parts: it is not satisfied by everything.

use std::collections::BTreeSet;

use serde_json::json;
use support::audit::Entry;
use support::eventually;
use support::promises::{Logs, Owner};

use crate::oracle::{STOP, armed_with_task, assert_promises_of, order, quick, until_calls};
use crate::scene::{APP, PATIENCE, Scene, deed};

fn is_release(entry: &Entry) -> bool {
    deed(entry) == ("patch", "mixedstreamtasks", "") && entry.code == 200
}

/// The promises that the logs show broken once the release of `name` is in them.
async fn broken(scene: &Scene, name: &str, owners: &[Owner]) -> BTreeSet<u8> {
    eventually("the release is in the audit log", PATIENCE, async || {
        let logs = Logs::read(&scene.simulator, &scene.cluster, &scene.namespace, None).await;
        let mut requests = logs.requests.iter().filter(|entry| entry.name == name);
        let released = requests.any(|entry| entry.verb == "delete") && requests.any(is_release);
        if released && logs.existing.is_empty() {
            let breaches = logs.breaches(owners, 0);
            Ok(breaches.iter().map(|breach| breach.promise).collect())
        } else {
            Err(logs.requests)
        }
    })
    .await
}

#[tokio::test]
async fn a_task_that_runs_on_and_a_task_of_nobody_are_seen() {
    let scene = quick("judge").await;
    armed_with_task(&scene, "judge").await;
    let owner = Owner::new("judge", APP, "judge");
    assert_promises_of(&scene, std::slice::from_ref(&owner), 0).await;
    // Stop fails, and somebody forces the finalizer off.
    order(&scene, "judge", json!({"kind": "error", "status": 503})).await;
    scene.delete("judge").await;
    until_calls(&scene, STOP, "judge", 1).await;
    let off = json!({"metadata": {"finalizers": null}});
    scene.merge("judge", off).await;
    scene.until_gone("judge").await;
    let of_owner = broken(&scene, "judge", std::slice::from_ref(&owner)).await;
    assert_eq!(of_owner, BTreeSet::from([1]));
    assert_eq!(broken(&scene, "judge", &[]).await, BTreeSet::from([2]));
    // For one that lets its task run on, the Stop was the wrong.
    let orphan = Owner {
        orphans: true,
        ..owner
    };
    assert_eq!(
        broken(&scene, "judge", &[orphan]).await,
        BTreeSet::from([7])
    );
}
