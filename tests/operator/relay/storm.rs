//! A thousand relays at a time: each is started once, observed in bulk, and completed when the service has stopped it; and crowds of objects
//! whose tasks are gone, which share their looks at the list.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt as _};
use jiff::Timestamp;
use kube::api::ListParams;
use serde_json::json;
use support::promises::over_limits;
use support::simulator::{By, Change, ChangeKind, Filter, Mark};

use super::*;
use crate::storm::{CLIENTS, Figures, LONG, TURN, crowd, delete_all, phase, until_none};

/// Relays at a time.
const COUNT: usize = 1000;
/// How often they are observed.
const SWEEP: Duration = Duration::from_secs(20);
/// Pages of a complete read of so many: with the one after the last full page.
const PAGES: usize = COUNT / 100 + 2;

/// Relays in live channels, all created at once.
async fn relays(scene: &Scene) -> Vec<String> {
    let names: Vec<String> = (0..COUNT).map(|number| format!("relay-{number}")).collect();
    let host = ["host"];
    let live = scene.simulator.set_all_users(APP, &names, &host);
    live.await.unwrap();
    stream::iter(&names)
        .for_each_concurrent(CLIENTS, async |name| {
            scene.relay(Relay::single(APP, name)).await;
        })
        .await;
    names
}

/// The changes of a kind since a moment, and the tasks that they are of.
async fn changes(scene: &Scene, since: u64, kind: ChangeKind, by: By) -> (usize, HashSet<String>) {
    let filter = Filter {
        since,
        ..Filter::default()
    };
    let mut changes: Vec<Change> = scene.simulator.history(&filter).await.unwrap();
    changes.retain(|change| change.change == kind && change.by == by);
    let tasks = changes.iter().map(|change| change.task_id.clone());
    (changes.len(), tasks.collect())
}

#[tokio::test]
async fn a_thousand_relays_start_run_quietly_and_complete_together() {
    let _turn = TURN.acquire().await.unwrap();
    let sweep = format!("{}s", SWEEP.as_secs());
    let flags = ["--settle-time", "2s", "--sweep-period", &sweep];
    let mut scene = Scene::with("relays", |launch| launch.flags(flags)).await;
    let latency = json!({"latencyMillis": 20});
    scene.simulator.set_switches(&latency).await.unwrap();

    let begun = Instant::now();
    let names = relays(&scene).await;
    phase(&scene, "Running", COUNT).await;
    eprintln!("{COUNT} relays run after {:?}", begun.elapsed());
    let (starts, tasks) = changes(&scene, 0, ChangeKind::Started, By::Api).await;
    assert_eq!((starts, tasks.len()), (COUNT, COUNT));
    assert_quota_kept(&scene).await;

    run_quietly(&scene).await;
    complete_together(&scene).await;

    // Their tasks are gone, which the list has to confirm.
    let objects = scene.objects().list(&ListParams::default()).await.unwrap();
    let owners: Vec<Owner> = objects.items.iter().map(owner).collect();
    let before = scene.simulator.mark().await.unwrap();
    delete_all(&scene, &names).await;
    until_none(&mut scene, &mut Figures::default()).await;
    let counts = scene.simulator.counts_between(before, None).await.unwrap();
    assert_eq!(counts[STOP], COUNT, "{counts:?}");
    assert_quota_kept(&scene).await;
    scene.kept(&owners, 0).await;
}

/// In steady state the two lists are read once in each sweep, nothing else is asked, and nothing is written.
async fn run_quietly(scene: &Scene) {
    const SWEEPS: u32 = 1;
    let (from, at, begun) = (mark(scene).await, Timestamp::now(), Instant::now());
    let sweeps = async || {
        let counts = scene.simulator.counts_between(from, None).await.unwrap();
        if begun.elapsed() >= SWEEPS * SWEEP {
            Ok(counts)
        } else {
            Err(counts)
        }
    };
    let counts = eventually("a sweep", LONG, sweeps).await;
    // Of one sweep at each end a part may be in the window.
    let most = PAGES * (SWEEPS as usize + 1);
    let actions: Vec<&str> = counts.keys().map(String::as_str).collect();
    assert_eq!(actions, [ROOMS, LIST], "nothing else is asked: {counts:?}");
    assert!(counts.values().all(|calls| *calls <= most), "{counts:?}");
    // The events of the starts are written slowly, and may still be.
    let written = scene.cluster.audit(|entry| {
        let writes = !["get", "list", "watch"].contains(&entry.verb.as_str());
        let is_event = entry.resource == "events";
        writes && !is_event && entry.namespace == scene.namespace && entry.received > at
    });
    assert!(written.is_empty(), "{}: {:?}", written.len(), written[0]);
}

/// Everybody leaves at one moment: the service stops every task, and every relay tells it and starts nothing.
async fn complete_together(scene: &Scene) {
    let before = mark(scene).await;
    let names: Vec<String> = (0..COUNT).map(|number| format!("relay-{number}")).collect();
    let empty = scene.simulator.set_all_users(APP, &names, &[]);
    empty.await.unwrap();
    scene.simulator.advance(121.0).await.unwrap();
    let stopped = Instant::now();
    let (ends, tasks) = changes(scene, before.change, ChangeKind::Stopped, By::Auto).await;
    assert_eq!((ends, tasks.len()), (COUNT, COUNT));
    phase(scene, "Stopped", COUNT).await;
    let took = stopped.elapsed();
    let objects = scene.objects().list(&ListParams::default()).await.unwrap();
    let reasons: HashSet<&str> = objects.items.iter().map(reason).collect();
    assert_eq!(reasons, HashSet::from(["Completed"]));
    eprintln!("{COUNT} relays are completed {took:?} after their end");
    assert!(took <= 3 * SWEEP, "{took:?}");
    let counts = scene.simulator.counts_between(before, None).await.unwrap();
    let actions: Vec<&str> = counts.keys().map(String::as_str).collect();
    assert_eq!(
        actions,
        [ROOMS, LIST],
        "nothing is started or stopped: {counts:?}"
    );
}

async fn mark(scene: &Scene) -> Mark {
    scene.simulator.mark().await.unwrap()
}

async fn assert_quota_kept(scene: &Scene) {
    let usage = scene.simulator.quota().await.unwrap();
    assert_eq!(over_limits(&usage), []);
}

#[tokio::test]
async fn a_crowd_whose_tasks_are_gone_shares_its_looks_at_the_list() {
    crowds_of_gone_tasks("taskDoesNotExist", 1).await;
}

#[tokio::test]
async fn a_crowd_shares_its_looks_where_stop_and_list_say_internal_error() {
    crowds_of_gone_tasks("internalError", 3).await;
}

/// Objects whose tasks had all stopped by themselves are deleted at once, whatever the list answers by id: with a look of its own for each they
/// would need as many calls as they are, and more where the pages have to be read.
async fn crowds_of_gone_tasks(stop_gone: &str, stops: usize) {
    const CROWD: usize = 400;
    let _turn = TURN.acquire().await.unwrap();
    let mut scene = Scene::new("gone").await;
    for list_gone in ["empty", "invalidParam", "internalError"] {
        let switches = json!({"stopGone": stop_gone, "listGone": list_gone, "latencyMillis": 20});
        scene.simulator.set_switches(&switches).await.unwrap();
        let prefix = list_gone.to_lowercase();
        let names = crowd(&scene, &prefix, CROWD).await;
        stream::iter(&names)
            .for_each_concurrent(CLIENTS, async |name| {
                scene.simulator.stop_task(APP, name).await.unwrap();
            })
            .await;
        // Until all of them want to look at the list, it cannot be read.
        let fault =
            json!({"action": LIST, "kind": "error", "status": 503, "code": "ServiceUnavailable"});
        let fault = scene.simulator.order_fault(&fault).await.unwrap();
        let before = mark(&scene).await;
        delete_all(&scene, &names).await;
        let all_stops = Filter {
            since: before.call,
            action: Some(STOP.to_owned()),
            ..Filter::default()
        };
        let sent = scene.simulator.await_calls(&all_stops, stops * CROWD, LONG);
        assert_eq!(sent.await.unwrap().len(), stops * CROWD, "{list_gone}");
        scene.simulator.remove_fault(fault).await.unwrap();
        let (relief, begun) = (mark(&scene).await, Instant::now());
        until_none(&mut scene, &mut Figures::default()).await;
        let counts = scene.simulator.counts_between(relief, None).await.unwrap();
        eprintln!(
            "{CROWD} under {stop_gone} and {list_gone}: {counts:?} in {:?}",
            begun.elapsed()
        );
        assert_eq!(counts.get(STOP), None, "{list_gone}: {counts:?}");
        assert!(counts[LIST] < CROWD / 2, "{list_gone}: {counts:?}");
        assert_quota_kept(&scene).await;
    }
}
