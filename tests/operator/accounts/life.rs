//! Whole lives with credentials of several accounts, and what becomes of them when these rotate.

use std::collections::HashMap;

use futures::stream::{self, StreamExt as _};
use serde_json::json;
use support::eventually;
use support::promises::over_limits;
use support::relay::Relay;
use support::simulator::TaskState;

use super::*;
use crate::relay::message;
use crate::scene::PATIENCE;

/// Each by its own account's key, sweeps included, side by side in one namespace: the same ids in three accounts are three tasks.
#[tokio::test]
async fn own_credentials_beside_those_of_two_other_accounts() {
    let scene = scene("accounts", |launch| launch.log_filter("trace")).await;
    let accounts = [None, Some("2000"), Some("3000")];
    // What the account's application is called on the admin port.
    let app = |account: Option<&str>| match account {
        None => OWN.to_owned(),
        Some(id) => format!("{OWN}@{id}"),
    };
    let suffix = |account: Option<&str>| account.unwrap_or("own").to_owned();
    for account in accounts {
        let (app, suffix) = (app(account), suffix(account));
        let mut manifest = with_key(&format!("armed-{suffix}"), OWN, &format!("live-{suffix}"));
        manifest["spec"]["taskId"] = json!("hold");
        let channel = format!("relay-{suffix}");
        let mut relay = Relay::single(OWN, &channel).task_id("show");
        match account {
            None => {
                let spec = manifest["spec"].as_object_mut().unwrap();
                spec.remove("credentialsSecretRef");
            }
            Some(id) => {
                let secret = format!("live-{id}");
                scene.put_key(&secret, &format!("{id}-1")).await;
                let apps = json!({"apps": [format!("app-{id}"), app]});
                scene.simulator.set_account(id, &apps).await.unwrap();
                relay = relay.with("/credentialsSecretRef", json!({"name": secret}));
            }
        }
        let simulator = &scene.simulator;
        simulator
            .set_users(&app, &channel, &["host"], &[])
            .await
            .unwrap();
        let task = NewTask::default();
        simulator.start_task(&app, "hold", &task).await.unwrap();
        scene.relay(relay).await;
        scene.create_from(manifest).await;
    }
    for account in accounts {
        for (what, reason) in [("relay", "Running"), ("armed", "Armed")] {
            let name = format!("{what}-{}", suffix(account));
            let object = scene.until_reason(&name, reason).await;
            assert_eq!(account_of(&object).as_deref(), account, "{name}");
        }
    }
    // One after the other: that of one account ends, and those of the others run on.
    let state = async |account, task: &str| {
        let task = scene.simulator.task(&app(account), task).await;
        task.unwrap().state
    };
    for (number, account) in accounts.into_iter().enumerate() {
        let relay = format!("relay-{}", suffix(account));
        scene
            .simulator
            .stop_task(&app(account), "show")
            .await
            .unwrap();
        scene.until_reason(&relay, "Completed").await;
        scene.end(&relay).await;
        scene.end(&format!("armed-{}", suffix(account))).await;
        for (other, account) in accounts.into_iter().enumerate() {
            let expected = if other <= number {
                TaskState::Stopped
            } else {
                TaskState::Running
            };
            assert_eq!(state(account, "hold").await, expected, "{account:?}");
            assert_eq!(state(account, "show").await, expected, "{account:?}");
        }
    }
    for (action, task) in [(START, "show"), (STOP, "hold")] {
        let calls = scene.calls_for(action, task).await;
        let effects = calls.iter().filter(|call| call.effect);
        let mut keys: Vec<&str> = effects.filter_map(|call| call.key_id.as_deref()).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["2000-1", "3000-1", "testid"], "{action}");
    }
    for action in ["ListRtcMPUTaskDetail", "ListRTCLiveRooms"] {
        let keys = keys_of(&scene, action, OWN).await;
        assert_eq!(keys, ["2000-1", "3000-1", "testid"], "{action}");
    }
    let usage = scene.simulator.quota().await.unwrap();
    assert_eq!(over_limits(&usage), []);
    // Each key was asked for once, the operator's own too.
    let asked = scene.calls_of("GetCallerIdentity").await;
    assert_eq!(asked, 3);
    assert_silent(&scene, &["2000-1", "3000-1"]).await;
}

/// What happens in the middle of a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Middle {
    /// The old key dies, before the Secret has the new one.
    Rotated,
    /// The Secret is deleted.
    Gone,
}

async fn drain(prefix: &str, middle: Middle) {
    const COUNT: usize = 1000;
    let _turn = crate::storm::TURN.acquire().await.unwrap();
    let slow = ["--slow-backoff-min", "5m", "--slow-backoff-max", "5m"];
    let scene = scene(prefix, |launch| launch.flags(slow)).await;
    scene.put_key("live", "2000-1").await;
    let names: Vec<String> = (0..COUNT).map(|number| format!("x-{number}")).collect();
    stream::iter(&names)
        .for_each_concurrent(16, async |name| {
            scene.stops_with(name, "app-2000", "live").await;
        })
        .await;
    crate::storm::phase(&scene, "Armed", COUNT).await;
    scene
        .simulator
        .set_switches(&json!({"latencyMillis": 100}))
        .await
        .unwrap();
    let stops = Filter {
        action: Some(STOP.to_owned()),
        ..Filter::default()
    };
    // In the middle, the objects being deleted a few at a time.
    let happens = async {
        let first = scene.simulator.await_calls(&stops, 200, PATIENCE).await;
        let first = first.unwrap().len();
        match middle {
            Middle::Rotated => {
                let second = json!([{"id": "2000-2", "secret": secret_of("2000-2")}]);
                scene
                    .simulator
                    .set_account("2000", &json!({"keys": second}))
                    .await
                    .unwrap();
            }
            Middle::Gone => {
                scene.cluster.delete_secret(&scene.namespace, "live").await;
            }
        }
        first
    };
    let delete = stream::iter(&names).for_each_concurrent(2, async |name| scene.delete(name).await);
    let (first, ()) = tokio::join!(happens, delete);
    assert!(first < COUNT, "not in the middle: {first}");
    if middle == Middle::Rotated {
        eventually("a Stop was refused for its key", PATIENCE, async || {
            let calls = scene.simulator.calls(&stops).await.unwrap();
            let is_refused = |status| matches!(status, Some(400 | 403 | 404));
            if calls.iter().any(|call| is_refused(call.status)) {
                Ok(())
            } else {
                Err(calls.len())
            }
        })
        .await;
        scene.put_key("live", "2000-2").await;
    }
    for name in &names {
        scene.until_gone(name).await;
    }
    let running = scene.simulator.running_tasks("app-2000").await.unwrap();
    assert!(running.is_empty(), "{running:?}");
    // One that failed with the old key, and perhaps one more before the Secret was read.
    let most = match middle {
        Middle::Rotated => 3,
        Middle::Gone => 1,
    };
    let mut calls: HashMap<String, (usize, usize)> = HashMap::new();
    for call in scene.simulator.calls(&stops).await.unwrap() {
        let (all, effects) = calls.entry(call.task_id.unwrap_or_default()).or_default();
        *all += 1;
        *effects += usize::from(call.effect);
    }
    for name in &names {
        let (all, effects) = calls.get(name).copied().unwrap_or_default();
        assert!(
            effects == 1 && all <= most,
            "{name}: {all} Stops, {effects} with an effect"
        );
    }
    let usage = scene.simulator.quota().await.unwrap();
    assert!(usage.iter().all(|usage| usage.over_quota == 0), "{usage:?}");
}

#[tokio::test]
async fn rotation_in_the_middle_of_a_drain_loses_nothing() {
    drain("rotation", Middle::Rotated).await;
}

/// The last value that was read is kept.
#[tokio::test]
async fn a_secret_that_goes_in_the_middle_of_a_drain_loses_nothing() {
    drain("secretgone", Middle::Gone).await;
}

/// Which Secret is named may change; whose task it is does not.
#[tokio::test]
async fn another_secret_may_be_named_but_not_another_account() {
    let scene = scene("reference", |launch| launch).await;
    for (secret, key) in [("one", "2000-1"), ("two", "2000-2"), ("other", "3000-1")] {
        scene.put_key(secret, key).await;
    }
    scene.stops_with("x", "app-2000", "one").await;
    scene.until_reason("x", "Armed").await;
    let name = |secret: &str| json!({"spec": {"credentialsSecretRef": {"name": secret}}});
    scene.merge("x", name("other")).await;
    let told = scene.until_reason("x", "CredentialsRejected").await;
    let words = message(&told);
    assert!(
        words.contains("account 2000") && words.contains("/other"),
        "{words}"
    );
    assert_eq!(account_of(&told).as_deref(), Some("2000"));
    // Its deletion waits for a key of that account, and sends nothing with another one.
    scene.delete("x").await;
    scene
        .until("x", "Stop could not be sent", |object| {
            message(object).contains("StopLiveMPUTask")
        })
        .await;
    assert_eq!(scene.calls("StopLiveMPUTask", "x").await, 0);
    scene.merge("x", name("two")).await;
    scene.until_gone("x").await;
    let stops = scene.calls_for(STOP, "x").await;
    assert_eq!(stops.len(), 1, "{stops:?}");
    assert_eq!(stops[0].key_id.as_deref(), Some("2000-2"));
}
