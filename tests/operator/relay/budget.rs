//! What it costs to observe relays, and what is told where the account does not let them be observed.

use kube::api::ListParams;
use serde_json::json;
use support::relay::Relay;
use support::simulator::Filter;

use super::*;
use crate::oracle::set_account;
use crate::scene::{operator_user, writes};
use mixed_stream_operator::api::StopReason;

const USERS: &str = "DescribeChannelUsers";

#[tokio::test]
async fn a_denied_list_is_told_and_not_asked_again_and_again() {
    let slow = with("listdenied", |launch| {
        short(launch).flags(["--slow-backoff-min", "5m", "--slow-backoff-max", "5m"])
    });
    let scene = slow.await;
    let object = scene.running("x").await;
    after_sweeps(&scene, 2).await;
    let denied = json!({"denied": [LIST]});
    set_account(&scene, denied).await;
    let blind = scene
        .until("x", "the missing permission is told", |object| {
            message(object).contains("live:ListRtcMPUTaskDetail")
        })
        .await;
    assert_eq!(crate::scene::reason(&blind), "Running");
    let before = scene.calls_of(LIST).await;
    let rooms = scene.calls_of(ROOMS).await;
    scene.until_all(ROOMS, rooms + 5).await;
    assert_eq!(scene.calls_of(LIST).await, before);
    let version = scene.version("x").await;
    assert_eq!(Some(version), blind.metadata.resource_version);
    // Stop alone is evidence.
    scene.end("x").await;
    scene.kept(&[owner(&object)], 0).await;
}

#[tokio::test]
async fn where_the_channels_cannot_be_listed_start_itself_tells() {
    let scene = scene("roomsdenied").await;
    set_account(&scene, json!({"denied": [ROOMS]})).await;
    scene
        .relay(Relay::single(APP, "early").task_id("early"))
        .await;
    let waiting = scene.until_reason("early", "WaitingForChannel").await;
    assert!(
        message(&waiting).contains("live:ListRTCLiveRooms"),
        "{}",
        message(&waiting)
    );
    scene.join("early").await;
    let running = scene.until_reason("early", "Running").await;
    // Why it is gone cannot be told without the channels.
    scene.simulator.stop_task(APP, "early").await.unwrap();
    let gone = scene.until_reason("early", "Completed").await;
    let status = gone.status.clone().unwrap();
    assert_eq!(status.stop_reason, Some(StopReason::Unknown));
    assert!(
        message(&gone).contains("grant live:ListRTCLiveRooms"),
        "{}",
        message(&gone)
    );
    scene.end("early").await;
    scene.kept(&[owner(&running)], 0).await;
}

/// As many as make three pages: what is read does not grow with the objects but with the pages.
#[tokio::test]
async fn healthy_relays_cost_some_pages_for_each_sweep_and_no_write() {
    const CROWD: usize = 250;
    const SWEEPS: usize = 10;
    let user = "operator-crowd";
    let cluster = crate::scene::cluster().await;
    let namespace = cluster.namespace("crowd").await;
    let kubeconfig = operator_user(&cluster, user, &[&namespace]).await;
    let scene = Scene::in_namespace(cluster, namespace, |launch| {
        short(launch).kubeconfig(&kubeconfig)
    })
    .await;
    let names: Vec<String> = (0..CROWD).map(|n| format!("room-{n}")).collect();
    scene
        .simulator
        .set_all_users(APP, &names, &["host"])
        .await
        .unwrap();
    for name in &names {
        scene.relay(Relay::single(APP, name)).await;
    }
    let starts = Filter {
        app_id: Some(APP.to_owned()),
        ..Filter::default()
    };
    let started = scene.simulator.await_starts(&starts, CROWD, PATIENCE).await;
    assert_eq!(started.unwrap().len(), CROWD);
    eventually("all are told to run", PATIENCE, async || {
        let list = scene.objects().list(&ListParams::default()).await.unwrap();
        let running = list
            .iter()
            .filter(|object| crate::scene::reason(object) == "Running")
            .count();
        if running == CROWD {
            Ok(())
        } else {
            Err(running)
        }
    })
    .await;
    let pages = CROWD.div_ceil(100);
    // The audit log is a moment late.
    after_sweeps(&scene, 3 * pages).await;
    let before = writes(&scene.cluster, user).len();
    assert!((3 * CROWD..=4 * CROWD).contains(&before), "{before}");
    let from = scene.simulator.mark().await.unwrap();
    after_sweeps(&scene, SWEEPS * pages).await;
    let until = scene.simulator.mark().await.unwrap();
    let mut counts = scene
        .simulator
        .counts_between(from, Some(until))
        .await
        .unwrap();
    let seconds = (until.monotonic_us - from.monotonic_us).div_ceil(1_000_000);
    // One that was under way at the beginning.
    let sweeps = usize::try_from(seconds).unwrap() + 1;
    for action in [LIST, ROOMS] {
        let calls = counts.remove(action).unwrap_or_default();
        let most = (CROWD / 100 + 2) * sweeps;
        assert!(calls <= most, "{calls} of {action} in {seconds} s");
        assert!(
            calls >= SWEEPS * pages / 2,
            "{calls} of {action}: it is observed"
        );
    }
    assert!(counts.is_empty(), "no other calls: {counts:?}");
    assert_eq!(writes(&scene.cluster, user).len(), before);
    assert_eq!(scene.calls_of(USERS).await, 0);
}
