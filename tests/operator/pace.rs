//! Waits hold whatever happens outside, and a person can ask for one attempt more.

use futures::future::join_all;
use mixed_stream_operator::api::{MixedStreamTask, RECONCILE_REQUESTED_AT};
use serde_json::json;
use support::eventually;
use support::simulator::Call;

use crate::oracle::{
    STOP, armed_with_task, calls_of, deletions, order, quick, running, scene_with, set_account,
    until_calls,
};
use crate::scene::{APP, PATIENCE, Scene};

/// Labels that change twenty times a second shorten no wait and cost no writes.
#[tokio::test]
async fn outside_events_do_not_cut_a_wait_short() {
    /// In how many microseconds, and how often, the labels change at least.
    const CHURN: u64 = 5_000_000;
    const CHANGES: u64 = 60;
    let flags = [
        "--backoff-min=400ms",
        "--backoff-max=1600ms",
        "--slow-backoff-min=1500ms",
        "--slow-backoff-max=2s",
    ];
    let scene = scene_with("churn", &flags).await;
    let cases = [
        ("churn-denied", 403, "Forbidden"),
        ("churn-down", 503, "ServiceUnavailable"),
    ];
    for (name, status, code) in cases {
        armed_with_task(&scene, name).await;
        order(
            &scene,
            name,
            json!({"kind": "error", "status": status, "code": code}),
        )
        .await;
        scene.delete(name).await;
        until_calls(&scene, STOP, name, 1).await;
    }
    let changes =
        join_all(cases.map(async |(name, ..)| churn(&scene, name, CHURN, CHANGES).await)).await;

    let denied = calls_of(&scene, STOP, "churn-denied").await;
    for gap in gaps(&denied) {
        // It can be late on a busy machine, never early.
        assert!(gap >= 1_500_000, "{gap} us: {denied:?}");
    }
    // On average 0.8 s apart once the waits have doubled up; every 0.25 s would be luck beyond belief, twenty a second is a cut schedule.
    let down = calls_of(&scene, STOP, "churn-down").await;
    let span = down.last().unwrap().arrival_us - down[0].arrival_us;
    let most = 4 + span / 250_000;
    assert!(
        down.len() as u64 <= most,
        "{} calls in {span} us",
        down.len()
    );
    assert!(denied.len() >= 3 && down.len() >= 3, "it goes on trying");

    scene.simulator.remove_faults().await.unwrap();
    for (name, ..) in cases {
        scene.until_gone(name).await;
    }
    // The test writes to the objects too, but never to their status.
    let found = deletions(&scene, 2).await;
    eprintln!(
        "labels changed {changes:?} times in {} ms: {} and {} calls, {} and {} status writes",
        span / 1000,
        denied.len(),
        down.len(),
        found["churn-denied"].status_writes,
        found["churn-down"].status_writes
    );
    assert!(found["churn-denied"].status_writes <= 2);
    // 0.4, 0.8 and 1.6 seconds.
    assert!(found["churn-down"].status_writes <= 4);
}

/// Changes a label every 50 ms, for so many microseconds of the simulator's time and so many times at least.
async fn churn(scene: &Scene, name: &str, microseconds: u64, at_least: u64) -> u64 {
    let now = async || scene.simulator.clock().await.unwrap().monotonic_us;
    let begun = now().await;
    let mut changes = 0;
    eventually(
        "labels have changed for long enough",
        PATIENCE,
        async || {
            let elapsed = now().await - begun;
            if elapsed >= microseconds && changes >= at_least {
                return Ok(());
            }
            if elapsed >= changes * 50_000 {
                changes += 1;
                let labels = json!({"metadata": {"labels": {"turn": changes.to_string()}}});
                scene.merge(name, labels).await;
            }
            Err(elapsed)
        },
    )
    .await;
    changes
}

fn gaps(calls: &[Call]) -> Vec<u64> {
    calls
        .windows(2)
        .map(|pair| pair[1].arrival_us - pair[0].reply_us.unwrap_or(pair[0].arrival_us))
        .collect()
}

/// A request for a reconcile buys exactly one attempt, and at most one in ten seconds.
#[tokio::test]
async fn a_requested_reconcile_buys_one_attempt() {
    let flags = ["--slow-backoff-min=10m", "--slow-backoff-max=10m"];
    let scene = scene_with("bought", &flags).await;
    armed_with_task(&scene, "bought").await;
    set_account(&scene, json!({"denied": [STOP]})).await;
    scene.delete("bought").await;
    scene.until_reason("bought", "AccessDenied").await;
    assert_eq!(scene.calls(STOP, "bought").await, 1);
    scene
        .merge("bought", json!({"metadata": {"labels": {"some": "label"}}}))
        .await;

    let request =
        |value: &str| json!({"metadata": {"annotations": {RECONCILE_REQUESTED_AT: value}}});
    let handled = |object: &MixedStreamTask, value: &str| {
        let status = object.status.as_ref();
        status.and_then(|status| status.last_handled_reconcile_at.as_deref()) == Some(value)
    };
    scene.merge("bought", request("first")).await;
    scene
        .until("bought", "the first request is answered", |object| {
            handled(object, "first")
        })
        .await;
    assert_eq!(scene.calls(STOP, "bought").await, 2);
    // The next one has to wait, and what happens meanwhile buys nothing.
    set_account(&scene, json!({"denied": []})).await;
    scene.merge("bought", request("second")).await;
    scene
        .merge(
            "bought",
            json!({"metadata": {"labels": {"another": "label"}}}),
        )
        .await;
    scene.until_gone("bought").await;
    let calls = calls_of(&scene, STOP, "bought").await;
    assert_eq!(calls.len(), 3, "{calls:?}");
    let wait = calls[2].arrival_us - calls[1].reply_us.unwrap();
    assert!(wait >= 9_900_000, "{wait} us");
    assert!(!running(&scene, "bought").await);
}

/// The node's clock is twenty minutes off: the refused call is signed again by the service's own date.
#[tokio::test]
async fn a_wrong_clock_costs_one_call() {
    let scene = quick("skew").await;
    for (name, skew) in [("skew-ahead", 1200.0), ("skew-behind", -2400.0)] {
        armed_with_task(&scene, name).await;
        scene
            .simulator
            .set_users(APP, &format!("channel-{name}"), &["host"], &[])
            .await
            .unwrap();
        scene.simulator.advance(skew).await.unwrap();
        scene.delete(name).await;
        scene.until_gone(name).await;
        let calls = calls_of(&scene, STOP, name).await;
        assert_eq!(calls.len(), 2, "{calls:?}");
        assert_eq!(calls[0].violation.as_deref(), Some("date"));
        assert!(calls[1].authenticated);
        assert!(!running(&scene, name).await);
    }
}
