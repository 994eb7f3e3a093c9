//! A relay is deleted at any point of its life.

use serde_json::{Value, json};
use support::relay::{Relay, url};
use support::simulator::TaskState;

use super::orders::Cast;
use super::*;
use crate::oracle::{deletions, set_account, until_released_on};

/// The deletion overtakes a Start that is in flight.
#[tokio::test]
async fn a_deletion_overtakes_a_start_in_flight() {
    let scene = with("overtake", |launch| launch.flags(["--call-deadline", "2s"])).await;
    let slow = |when: &str| json!({"kind": "slow", "when": when, "millis": 1000});
    // Whether the outcome stays open: what took effect by then is found by looking.
    let faults: Vec<(&str, Value, bool)> = vec![
        ("slow-before", slow("before"), false),
        ("slow-after", slow("after"), false),
        (
            "drop-before",
            json!({"kind": "drop", "when": "before"}),
            true,
        ),
        (
            "drop-after",
            json!({"kind": "drop", "when": "after"}),
            false,
        ),
        ("late", json!({"kind": "lateEffect", "millis": 1000}), true),
    ];
    let mut cast = Cast::default();
    let mut are_open = Vec::new();
    for (kind, mut fault, is_open) in faults {
        fault["times"] = json!(1);
        for names_its_task in [true, false] {
            let name = format!("{kind}-{}", if names_its_task { "named" } else { "own" });
            let object = scene.early(&name, names_its_task).await;
            scene.order(START, &task_of(&object), fault.clone()).await;
            cast.add(&object);
            are_open.push(is_open);
        }
    }
    scene.join_all(&cast.names).await;
    for (name, task) in cast.pairs() {
        scene.until_calls(START, task, 1).await;
        scene.delete(name).await;
    }
    for name in &cast.names {
        scene.until_gone(name).await;
    }
    let released = deletions(&scene, cast.names.len()).await;
    let clock = scene.simulator.clock().await.unwrap();
    for ((name, task), is_open) in cast.pairs().zip(are_open) {
        assert!(!scene.runs(task).await, "{name}");
        let starts = scene.log(START, task).await;
        assert_eq!(starts.len(), 1, "{name}: {starts:?}");
        if is_open {
            // The settle time is 2 s; the simulator may note the end a moment late.
            let ended = clock.real_us(starts[0].end_us.unwrap());
            let patch = released[name].patches.last().unwrap();
            let waited = i128::from(patch.received.as_microsecond()) - ended;
            assert!(waited >= 1_900_000, "{name}: released after {waited} us");
        }
    }
    // Each open outcome may cost one more Stop.
    scene.kept(&cast.owners, 1).await;
}

/// A fresh operator may not start yet; what is deleted by then costs no call.
#[tokio::test]
async fn a_deletion_while_cooling_down() {
    let scene = scene("cooling").await;
    scene.join("cool").await;
    scene.relay(Relay::single(APP, "cool")).await;
    let object = scene.until_reason("cool", "CoolingDown").await;
    scene.end("cool").await;
    assert_eq!(scene.calls(START, &task_of(&object)).await, 0);
    assert_eq!(scene.calls(STOP, &task_of(&object)).await, 0);
    until_released_on(&scene, "never_started", 1).await;
}

/// Told or not, an open outcome keeps the object until the settle time is over.
#[tokio::test]
async fn a_deletion_while_the_outcome_is_unknown() {
    let scene = with("open", |launch| launch.flags(["--call-deadline", "1s"])).await;
    let mut cast = Cast::default();
    for (name, fault) in [
        (
            "none",
            json!({"kind": "drop", "when": "before", "times": 1}),
        ),
        (
            "late",
            json!({"kind": "lateEffect", "millis": 1500, "times": 1}),
        ),
    ] {
        for names_its_task in [true, false] {
            let name = format!("{name}-{}", if names_its_task { "named" } else { "own" });
            let object = scene.early(&name, names_its_task).await;
            scene.order(START, &task_of(&object), fault.clone()).await;
            cast.add(&object);
        }
    }
    scene.join_all(&cast.names).await;
    for (name, _) in cast.pairs() {
        scene.until_reason(name, "OutcomeUnknown").await;
        scene.delete(name).await;
    }
    for (name, task) in cast.pairs() {
        scene.until_gone(name).await;
        assert!(!scene.runs(task).await, "{name}");
        assert_eq!(scene.calls(START, task).await, 1, "{name}");
    }
    scene.kept(&cast.owners, 1).await;
}

/// Nobody may look and the outcome is open: our own task must not leak.
#[tokio::test]
async fn a_deletion_while_the_outcome_is_unknown_and_the_list_is_denied() {
    let scene = with("open-denied", |launch| {
        launch.flags(["--call-deadline", "1s"])
    })
    .await;
    let mut cast = Cast::default();
    for (name, when) in [("effect", "after"), ("none", "before")] {
        let object = scene.early(name, true).await;
        let fault = json!({"kind": "drop", "when": when, "times": 1});
        scene.order(START, name, fault).await;
        cast.add(&object);
    }
    set_account(&scene, json!({"denied": [LIST]})).await;
    scene.join_all(&cast.names).await;
    for (name, _) in cast.pairs() {
        scene.until_reason(name, "OutcomeUnknown").await;
        scene.delete(name).await;
    }
    for (name, task) in cast.pairs() {
        scene.until_gone(name).await;
        assert!(!scene.runs(task).await, "{name}");
    }
    scene.kept(&cast.owners, 1).await;
}

/// Running, updating, suspended, stopped as asked, completed, orphaned: all deleted at once.
#[tokio::test]
async fn deletions_at_every_other_point() {
    let scene = with("points", |launch| launch.flags(["--call-deadline", "5s"])).await;
    let names = [
        "running",
        "updating",
        "suspended",
        "paused",
        "completed",
        "orphaned",
    ];
    let mut cast = Cast::default();
    for name in names {
        let relay = Relay::single(APP, name).task_id(name);
        let relay = if name == "orphaned" {
            relay.with("/deletionPolicy", "Orphan")
        } else {
            relay
        };
        scene.relay(relay).await;
    }
    scene.join_all(&names.map(str::to_owned)).await;
    for name in names {
        let running = scene.until_reason(name, "Running").await;
        cast.add(&running);
    }
    cast.owners.last_mut().unwrap().orphans = true;
    let suspend = json!({"spec": {"suspend": true}});
    scene.merge("suspended", suspend).await;
    scene.until_reason("suspended", "Suspended").await;
    let pause = json!({"spec": {"desiredState": "Stopped"}});
    scene.merge("paused", pause).await;
    scene.until_reason("paused", "Stopped").await;
    scene.leave("completed").await;
    // The service stops it after two minutes; the others have their people.
    after_sweeps(&scene, 1).await;
    scene.simulator.advance(130.0).await.unwrap();
    scene.until_reason("completed", "Completed").await;
    let slow = json!({"kind": "slow", "when": "before", "millis": 1500, "times": 1});
    scene.order(UPDATE, "updating", slow).await;
    let change = json!({"spec": {"relay": {"outputs": [{"url": url("other")}]}}});
    scene.merge("updating", change).await;
    scene.until_calls(UPDATE, "updating", 1).await;
    for name in names {
        scene.delete(name).await;
    }
    for name in names {
        scene.until_gone(name).await;
    }
    for (name, stops, state) in [
        ("running", 1, TaskState::Stopped),
        ("updating", 1, TaskState::Stopped),
        ("suspended", 1, TaskState::Stopped),
        ("paused", 1, TaskState::Stopped),
        ("completed", 1, TaskState::Stopped),
        ("orphaned", 0, TaskState::Running),
    ] {
        assert_eq!(scene.calls(STOP, name).await, stops, "{name}");
        let task = scene.simulator.task(APP, name).await.unwrap();
        assert_eq!(task.state, state, "{name}");
    }
    until_released_on(&scene, "stopped_before", 1).await;
    scene.kept(&cast.owners, 0).await;
}

/// Created with our finalizer and deleted at once, and again by the same name: whatever was started is stopped.
#[tokio::test]
async fn objects_that_live_for_a_moment() {
    use mixed_stream_operator::api::FINALIZER;
    let scene = scene("moment").await;
    scene.running("first").await;
    scene.join("moment").await;
    let mut tasks = Vec::new();
    for _ in 0..5 {
        let relay = Relay::single(APP, "moment").finalizer(FINALIZER);
        let object = scene.relay(relay).await;
        let uid = object.metadata.uid.unwrap();
        tasks.push(format!("mso-{uid}"));
        scene.end("moment").await;
    }
    for task in &tasks {
        assert!(!scene.runs(task).await, "{task}");
    }
    // The last one of that name is one more object, and lives.
    let last = scene.relay(Relay::single(APP, "moment")).await;
    scene.until_reason("moment", "Running").await;
    let task = format!("mso-{}", last.metadata.uid.unwrap());
    assert!(scene.runs(&task).await);
    assert_eq!(scene.calls(START, &task).await, 1);
    scene.end("moment").await;
    scene.end("first").await;
    assert!(scene.simulator.running_tasks(APP).await.unwrap().is_empty());
}
