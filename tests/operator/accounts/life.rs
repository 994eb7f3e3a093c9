//! Whole lives with credentials of several accounts, and what becomes of them when these rotate.

use futures::stream::{self, StreamExt as _};
use serde_json::json;
use support::eventually;
use support::promises::over_limits;
use support::relay::Relay;
use support::simulator::TaskState;

use super::*;
use crate::relay::message;
use crate::scene::PATIENCE;

/// Each by its own account's key, sweeps included, side by side in one namespace.
#[tokio::test]
async fn own_credentials_beside_those_of_two_other_accounts() {
    let scene = scene("accounts", |launch| launch).await;
    for id in ["2000", "3000"] {
        scene
            .put_key(&format!("live-{id}"), &format!("{id}-1"))
            .await;
    }
    let apps = [
        (OWN, None),
        ("app-2000", Some("2000")),
        ("app-3000", Some("3000")),
    ];
    for (app, account) in apps {
        let relay = format!("relay-{app}");
        scene
            .simulator
            .set_users(app, &relay, &["host"], &[])
            .await
            .unwrap();
        let manifest = Relay::single(app, &relay).task_id("show");
        let armed = format!("armed-{app}");
        match account {
            None => {
                scene.relay(manifest).await;
                scene.start_task(&armed).await;
                scene.create(&armed).await;
            }
            Some(account) => {
                let secret = format!("live-{account}");
                let reference = json!({"name": secret});
                scene
                    .relay(manifest.with("/credentialsSecretRef", reference))
                    .await;
                scene.stops_with(&armed, app, &secret).await;
            }
        }
    }
    // The same task id in three accounts is three tasks.
    for (app, account) in apps {
        for (name, reason) in [
            (format!("relay-{app}"), "Running"),
            (format!("armed-{app}"), "Armed"),
        ] {
            let object = scene.until_reason(&name, reason).await;
            assert_eq!(account_of(&object).as_deref(), account, "{name}");
        }
    }
    // The people leave, and come back: seen with each one's own key.
    for (app, _) in apps {
        let relay = format!("relay-{app}");
        scene.simulator.stop_task(app, "show").await.unwrap();
        scene.until_reason(&relay, "Completed").await;
        assert_eq!(
            scene.simulator.task(app, "show").await.unwrap().state,
            TaskState::Stopped
        );
    }
    for (app, account) in apps {
        let key = account.map_or("testid".to_owned(), |id| format!("{id}-1"));
        for name in [format!("relay-{app}"), format!("armed-{app}")] {
            scene.end(&name).await;
        }
        for action in [START, STOP, "ListRtcMPUTaskDetail", "ListRTCLiveRooms"] {
            assert_eq!(
                keys_of(&scene, action, app).await,
                [key.as_str()],
                "{action} of {app}"
            );
        }
        let armed = scene
            .simulator
            .task(app, &format!("armed-{app}"))
            .await
            .unwrap();
        assert_eq!(armed.state, TaskState::Stopped);
    }
    let usage = scene.simulator.quota().await.unwrap();
    assert_eq!(over_limits(&usage), []);
    // Each key was asked for once, the operator's own too.
    let asked = scene.calls_of("GetCallerIdentity").await;
    assert_eq!(asked, 3);
    assert_silent(&scene).await;
}

/// The old key dies in the middle, before the Secret has the new one.
#[tokio::test]
async fn rotation_in_the_middle_of_a_drain_loses_nothing() {
    const COUNT: usize = 200;
    let slow = ["--slow-backoff-min", "5m", "--slow-backoff-max", "5m"];
    let scene = scene("rotation", |launch| launch.flags(slow)).await;
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
    // In the middle, the objects being deleted one after the other.
    let rotate = async {
        let first = scene.simulator.await_calls(&stops, 40, PATIENCE).await;
        let second = json!([{"id": "2000-2", "secret": secret_of("2000-2")}]);
        scene
            .simulator
            .set_account("2000", &json!({"keys": second}))
            .await
            .unwrap();
        first.unwrap().len()
    };
    let delete = stream::iter(&names).for_each(async |name| scene.delete(name).await);
    let (first, ()) = tokio::join!(rotate, delete);
    assert!(first < COUNT, "not in the middle: {first}");
    eventually("a Stop was refused for its key", PATIENCE, async || {
        let calls = scene.simulator.calls(&stops).await.unwrap();
        let refused = calls.iter().filter(|call| {
            call.status == Some(404) || call.status == Some(403) || call.status == Some(400)
        });
        if refused.count() > 0 {
            Ok(())
        } else {
            Err(calls.len())
        }
    })
    .await;
    scene.put_key("live", "2000-2").await;
    for name in &names {
        scene.until_gone(name).await;
        let task = scene.simulator.task("app-2000", name).await.unwrap();
        assert_eq!(task.state, TaskState::Stopped, "{name}");
        let calls = scene.calls_for(STOP, name).await;
        assert_eq!(
            calls.iter().filter(|call| call.effect).count(),
            1,
            "{calls:?}"
        );
        // One that failed with the old key, and perhaps one more before the Secret was read.
        assert!(calls.len() <= 3, "{calls:?}");
    }
    let usage = scene.simulator.quota().await.unwrap();
    assert!(usage.iter().all(|usage| usage.over_quota == 0), "{usage:?}");
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
