//! Deletion, by what the service makes of it: the finalizer goes on positive evidence and on nothing else.

use std::time::Instant;

use futures::future::join_all;
use mixed_stream_operator::api::{ConditionType, FINALIZER, RELEASE_WITHOUT_STOP};
use serde_json::json;
use support::simulator::Filter;

use crate::oracle::{
    LIST, STOP, armed_with_task, assert_promises, assert_stopped_first, calls_of, deletions, order,
    quick, running, set_account, until_calls, until_event, until_released_on,
};
use crate::scene::{APP, condition};
use crate::switches::STOP_GONE;

#[tokio::test]
async fn a_deletion_is_one_stop_and_one_patch() {
    let scene = quick("happy").await;
    armed_with_task(&scene, "happy").await;
    let asked = Instant::now();
    scene.delete("happy").await;
    scene.until_gone("happy").await;
    eprintln!("one deletion, from DELETE to gone: {:?}", asked.elapsed());

    let found = deletions(&scene, 1).await;
    let deletion = &found["happy"];
    assert_eq!(deletion.patches.len(), 1, "{deletion:?}");
    assert_eq!(deletion.status_writes, 0, "{deletion:?}");
    assert_stopped_first(&scene, &found).await;
    assert_promises(&scene, &["happy"], 0).await;
    let all = scene.simulator.calls(&Filter::default()).await.unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0].action.as_deref(), Some(STOP));
    let (kind, note) = until_event(&scene, "happy", "Stopped").await;
    assert_eq!(kind, "Normal");
    assert!(note.contains(&all[0].request_id), "{note}");
}

/// The account's policy grants Stop alone, as the vendor's page asks.
#[tokio::test]
async fn where_the_list_is_forbidden_words_that_name_the_task_are_enough() {
    let scene = quick("words").await;
    set_account(&scene, json!({"denied": [LIST]})).await;
    let named = STOP_GONE.into_iter().filter(|gone| {
        ![
            "ok",
            "channelDoesNotExist",
            "verificationFailed",
            "internalError",
        ]
        .contains(gone)
    });
    let mut released = 0;
    for (number, stop_gone) in named.enumerate() {
        let name = format!("words-{number}");
        let switches = json!({"stopGone": stop_gone});
        scene.simulator.set_switches(&switches).await.unwrap();
        armed_with_task(&scene, &name).await;
        scene.simulator.stop_task(APP, &name).await.unwrap();
        scene.delete(&name).await;
        scene.until_gone(&name).await;
        assert_eq!(scene.calls(STOP, &name).await, 1, "{stop_gone}");
        assert_eq!(scene.calls(LIST, &name).await, 1, "{stop_gone}");
        released += 1;
        until_released_on(&scene, "stop_said_so", released).await;
    }
}

/// Words that may speak of something else are no evidence; a person can decide.
#[tokio::test]
async fn where_the_list_is_forbidden_and_the_words_are_vague_a_person_decides() {
    let vague = ["channelDoesNotExist", "verificationFailed", "internalError"];
    join_all(vague.map(a_person_decides)).await;
}

async fn a_person_decides(stop_gone: &str) {
    let scene = quick("vague").await;
    set_account(&scene, json!({"denied": [LIST]})).await;
    let switches = json!({"stopGone": stop_gone});
    scene.simulator.set_switches(&switches).await.unwrap();
    armed_with_task(&scene, "vague").await;
    scene.simulator.stop_task(APP, "vague").await.unwrap();
    scene.delete("vague").await;
    let object = scene.until_reason("vague", "StopUnconfirmed").await;
    let ready = condition(&object, ConditionType::Ready).unwrap();
    for words in [
        "live:ListRtcMPUTaskDetail",
        RELEASE_WITHOUT_STOP,
        "retrying every",
    ] {
        assert!(ready.message.contains(words), "{}", ready.message);
    }
    let reconciling = condition(&object, ConditionType::Reconciling).unwrap();
    assert_eq!(reconciling.status, "True");

    // Without a reason the annotation is answered with a warning and nothing else.
    let annotate = |why: &str| json!({"metadata": {"annotations": {RELEASE_WITHOUT_STOP: why}}});
    scene.merge("vague", annotate("")).await;
    let (kind, _) = until_event(&scene, "vague", "ReleaseReasonMissing").await;
    assert_eq!(kind, "Warning");
    let asked = scene.calls(LIST, "vague").await;
    until_calls(&scene, LIST, "vague", asked + 2).await;
    let object = scene.until_reason("vague", "StopUnconfirmed").await;
    assert!(
        object
            .metadata
            .finalizers
            .unwrap_or_default()
            .contains(&FINALIZER.to_owned())
    );

    scene
        .merge("vague", annotate("checked in the console"))
        .await;
    scene.until_gone("vague").await;
    let (kind, note) = until_event(&scene, "vague", "ReleasedWithoutStop").await;
    assert_eq!(kind, "Warning");
    assert!(note.contains("checked in the console"), "{note}");
    until_released_on(&scene, "declared", 1).await;
    let logs = String::from_utf8_lossy(&scene.operator.logs()).into_owned();
    let line = logs.lines().find(|line| line.contains("object released"));
    assert!(
        line.is_some_and(
            |line| line.contains("declared") && line.contains("checked in the console")
        ),
        "{line:?}"
    );
}

/// A Stop that works is better evidence than what a person declared.
#[tokio::test]
async fn a_declared_release_still_tries_to_stop() {
    let scene = quick("declared").await;
    armed_with_task(&scene, "declared").await;
    let annotation = json!({"metadata": {"annotations": {RELEASE_WITHOUT_STOP: "no matter"}}});
    scene.merge("declared", annotation).await;
    scene.delete("declared").await;
    scene.until_gone("declared").await;
    assert!(!running(&scene, "declared").await);
    until_released_on(&scene, "stop_accepted", 1).await;
}

/// Stop says that there is nothing to stop, yet the task runs: whatever else happens, the object stays.
#[tokio::test]
async fn a_task_that_runs_is_never_released() {
    const ROUNDS: usize = 20;
    let scene = quick("runs").await;
    for name in ["runs-until-stop-works", "runs-until-it-ends"] {
        armed_with_task(&scene, name).await;
        let fault = json!({"kind": "error", "status": 400, "code": "InvalidParam", "message": "The task does not exist."});
        order(&scene, name, fault).await;
        scene.delete(name).await;
    }
    let begun = Instant::now();
    for name in ["runs-until-stop-works", "runs-until-it-ends"] {
        let object = scene.until_reason(name, "StopUnconfirmed").await;
        let message = &condition(&object, ConditionType::Ready).unwrap().message;
        assert!(
            message.contains(&format!("still lists task {name}"))
                && message.contains("its channel is not empty")
                && message.contains("retrying every"),
            "{message}"
        );
        until_calls(&scene, STOP, name, ROUNDS).await;
        until_calls(&scene, LIST, name, ROUNDS - 1).await;
        let object = scene.until_reason(name, "StopUnconfirmed").await;
        let finalizers = object.metadata.finalizers.unwrap_or_default();
        assert!(finalizers.contains(&FINALIZER.to_owned()), "{finalizers:?}");
        assert!(running(&scene, name).await);
    }
    eprintln!(
        "not-found-like while the task runs: kept through {ROUNDS} rounds, {:?}",
        begun.elapsed()
    );

    // One stops by another hand: Stop still says the same, and the list shows it no more.
    let other = "runs-until-it-ends";
    scene.simulator.stop_task(APP, other).await.unwrap();
    scene.until_gone(other).await;
    until_released_on(&scene, "not_listed", 1).await;
    // The other one is stopped as soon as Stop works.
    assert!(running(&scene, "runs-until-stop-works").await);
    scene.simulator.remove_faults().await.unwrap();
    scene.until_gone("runs-until-stop-works").await;
    until_released_on(&scene, "stop_accepted", 1).await;
    let found = deletions(&scene, 2).await;
    assert_stopped_first(&scene, &found).await;
    // One status write for each change of class and each doubling: 0.1, 0.2, 0.4, and a few words that change in between.
    for (name, deletion) in found {
        assert!(
            deletion.status_writes <= 8,
            "{name}: {}",
            deletion.status_writes
        );
    }
}

#[tokio::test]
async fn orphan_leaves_the_task_alone() {
    let scene = quick("orphan").await;
    scene.start_task("orphan").await;
    let manifest = json!({"metadata": {"name": "orphan"}, "spec": {"appId": APP, "taskId": "orphan", "deletionPolicy": "Orphan"}});
    scene.create_from(manifest).await;
    scene.until_reason("orphan", "Armed").await;
    scene.delete("orphan").await;
    scene.until_gone("orphan").await;
    assert!(running(&scene, "orphan").await);
    let calls = scene.simulator.calls(&Filter::default()).await.unwrap();
    assert_eq!(calls, []);
    until_event(&scene, "orphan", "Orphaned").await;
    until_released_on(&scene, "orphaned", 1).await;
}

#[tokio::test]
async fn orphan_can_be_chosen_in_the_middle_of_a_failing_deletion() {
    let scene = quick("choose").await;
    armed_with_task(&scene, "choose").await;
    set_account(&scene, json!({"denied": [STOP]})).await;
    scene.delete("choose").await;
    scene.until_reason("choose", "AccessDenied").await;
    scene
        .merge("choose", json!({"spec": {"deletionPolicy": "Orphan"}}))
        .await;
    scene.until_gone("choose").await;
    assert!(running(&scene, "choose").await);
    until_released_on(&scene, "orphaned", 1).await;
}

#[tokio::test]
async fn a_suspended_object_is_stopped_when_it_is_deleted() {
    let scene = quick("suspend").await;
    armed_with_task(&scene, "suspend").await;
    scene
        .merge("suspend", json!({"spec": {"suspend": true}}))
        .await;
    scene.until_reason("suspend", "Suspended").await;
    scene.delete("suspend").await;
    scene.until_gone("suspend").await;
    assert!(!running(&scene, "suspend").await);
    assert_eq!(scene.calls(STOP, "suspend").await, 1);
    // One that was suspended from the beginning has no claim, and makes one in order to stop its task.
    scene.start_task("asleep").await;
    let manifest = json!({"metadata": {"name": "asleep"}, "spec": {"appId": APP, "taskId": "asleep", "suspend": true}});
    scene.create_from(manifest).await;
    let object = scene.until_reason("asleep", "Suspended").await;
    assert!(object.status.unwrap().claim.is_none());
    scene.delete("asleep").await;
    scene.until_gone("asleep").await;
    assert!(!running(&scene, "asleep").await);
    let found = deletions(&scene, 2).await;
    assert_stopped_first(&scene, &found).await;
}

/// The finalizer in the manifest protects an object from its creation on.
#[tokio::test]
async fn created_and_deleted_while_the_operator_is_down() {
    let mut scene = quick("down").await;
    for name in ["guarded", "bare"] {
        scene.start_task(name).await;
    }
    scene.operator.kill().await;
    let spec = |task: &str| json!({"appId": APP, "taskId": task});
    let guarded = json!({"metadata": {"name": "guarded", "finalizers": [FINALIZER]}, "spec": spec("guarded")});
    scene.create_from(guarded).await;
    scene.create("bare").await;
    for name in ["guarded", "bare"] {
        scene.delete(name).await;
    }
    scene.until_gone("bare").await;
    scene.operator.restart().await;
    scene.until_gone("guarded").await;

    assert!(!running(&scene, "guarded").await);
    assert!(running(&scene, "bare").await, "nobody has seen that object");
    assert_eq!(scene.calls(STOP, "bare").await, 0);
    let found = deletions(&scene, 1).await;
    assert_stopped_first(&scene, &found).await;
    assert_eq!(found["guarded"].patches.len(), 1);
    let claim = scene.cluster.audit(|entry| {
        entry.namespace == scene.namespace
            && entry.name == "guarded"
            && entry.subresource == "status"
            && entry.code == 200
    });
    assert_eq!(claim.len(), 1, "{claim:?}");
    let clock = scene.simulator.clock().await.unwrap();
    let stops = calls_of(&scene, STOP, "guarded").await;
    assert_eq!(stops.len(), 1);
    let sent = clock.real_us(stops[0].arrival_us);
    let claimed = i128::from(claim[0].received.as_microsecond());
    assert!(claimed <= sent, "claimed at {claimed}, Stop at {sent}");
}

/// The one leak that a person can make is found in the log, in an event and in a metric.
#[tokio::test]
async fn a_finalizer_that_somebody_else_removes_is_told() {
    let scene = quick("byhand").await;
    armed_with_task(&scene, "byhand").await;
    set_account(&scene, json!({"denied": [STOP]})).await;
    scene.delete("byhand").await;
    scene.until_reason("byhand", "AccessDenied").await;
    scene
        .merge("byhand", json!({"metadata": {"finalizers": []}}))
        .await;
    scene.until_gone("byhand").await;
    let (kind, note) = until_event(&scene, "byhand", "TaskMayStillRun").await;
    assert_eq!(kind, "Warning");
    assert!(note.contains("task byhand of application"), "{note}");
    let lost = scene.operator.metric("mixed_stream_lost_total", &[]).await;
    assert!((0.5..1.5).contains(&lost), "{lost}");
    let logs = String::from_utf8(scene.operator.logs()).unwrap();
    assert!(logs.contains("the task may still run"), "{logs}");
    assert!(running(&scene, "byhand").await);
}
