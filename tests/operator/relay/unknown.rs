//! A Start whose reply is lost: what became of it is found by looking, never by guessing.

use serde_json::{Value, json};
use support::relay::{STREAM_KEY, url};

use super::orders::Cast;
use super::*;
use crate::oracle::set_account;

/// Ways to lose a reply. `when` is added.
fn losses() -> Vec<(&'static str, Value)> {
    vec![
        ("reset", json!({"kind": "reset"})),
        ("close", json!({"kind": "close"})),
        ("drop", json!({"kind": "drop"})),
        (
            "internal",
            json!({"kind": "error", "status": 500, "code": "InternalError", "message": "InternalError"}),
        ),
        (
            "unavailable",
            json!({"kind": "error", "status": 503, "code": "ServiceUnavailable"}),
        ),
        ("torn", json!({"kind": "torn"})),
        ("empty", json!({"kind": "emptyReply"})),
        ("foreign", json!({"kind": "foreignReply"})),
        ("wrong", json!({"kind": "wrongJson"})),
    ]
}

/// Objects with a task id of their own and without one, each of which loses the reply to its first Start in another way.
async fn with_lost_replies(scene: &Scene, when: &str) -> Cast {
    let mut cast = Cast::default();
    for (loss, fault) in losses() {
        for names_its_task in [true, false] {
            let name = format!("{loss}-{}", if names_its_task { "named" } else { "own" });
            let object = scene.early(&name, names_its_task).await;
            cast.add(&object);
            let mut fault = fault.clone();
            fault["when"] = json!(when);
            fault["times"] = json!(1);
            scene.order(START, &task_of(&object), fault).await;
        }
    }
    scene.join_all(&cast.names).await;
    cast
}

async fn quick(prefix: &str) -> Scene {
    with(prefix, |launch| launch.flags(["--call-deadline", "1s"])).await
}

#[tokio::test]
async fn a_start_that_took_effect_without_a_reply_is_found_and_not_sent_again() {
    let scene = quick("lost-after").await;
    let cast = with_lost_replies(&scene, "after").await;
    for (name, task) in cast.pairs() {
        let running = scene.until_reason(name, "Running").await;
        let status = running.status.unwrap();
        assert_eq!(
            status.accepted.unwrap().parameters_hash,
            status.intent.unwrap().parameters_hash,
            "{name}"
        );
        assert_eq!(scene.starts(task).await, 1, "{name}");
        assert_eq!(scene.calls(START, task).await, 1, "{name}");
    }
    after_sweeps(&scene, 3).await;
    for (name, task) in cast.pairs() {
        assert_eq!(scene.calls(START, task).await, 1, "{name}");
        assert_eq!(scene.calls(UPDATE, task).await, 0, "{name}");
        scene.delete(name).await;
    }
    for (name, task) in cast.pairs() {
        scene.until_gone(name).await;
        assert_eq!(scene.calls(STOP, task).await, 1, "{name}");
        assert!(!scene.runs(task).await, "{name}");
    }
    scene.kept(&cast.owners, 0).await;
}

/// Without an effect it is sent again, but not before whatever was on its way has had its time.
async fn without_effect(list_gone: &str) {
    let scene = quick(&format!("lost-before-{}", list_gone.to_lowercase())).await;
    scene
        .simulator
        .set_switches(&json!({"listGone": list_gone}))
        .await
        .unwrap();
    let cast = with_lost_replies(&scene, "before").await;
    let unknown = scene.until_reason(&cast.names[0], "OutcomeUnknown").await;
    let told = message(&unknown);
    assert!(told.contains("ListRtcMPUTaskDetail"), "{told}");
    for (name, task) in cast.pairs() {
        scene.until_reason(name, "Running").await;
        let starts = scene.log(START, task).await;
        assert_eq!(starts.len(), 2, "{name}: {starts:?}");
        assert_eq!(scene.starts(task).await, 1, "{name}");
        // The settle time is 2 s; the simulator may note the end a moment late.
        let apart = starts[1].arrival_us - starts[0].end_us.unwrap();
        assert!(apart >= 1_900_000, "{name}: {apart} us apart");
        scene.delete(name).await;
    }
    for (name, task) in cast.pairs() {
        scene.until_gone(name).await;
        assert!(!scene.runs(task).await, "{name}");
    }
    scene.kept(&cast.owners, 0).await;
}

#[tokio::test]
async fn a_start_without_effect_or_reply_is_sent_again_after_the_settle_time() {
    without_effect("empty").await;
}

#[tokio::test]
async fn a_start_without_effect_or_reply_where_the_list_knows_no_such_id() {
    without_effect("invalidParam").await;
}

#[tokio::test]
async fn a_start_without_effect_or_reply_where_the_list_fails_for_an_unknown_id() {
    without_effect("internalError").await;
}

/// The effect comes when the client has left, within the settle time.
#[tokio::test]
async fn a_start_that_takes_effect_late_is_found_and_not_sent_again() {
    let scene = quick("late-effect").await;
    let mut cast = Cast::default();
    for (name, millis) in [("late-100", 100), ("late-1000", 1000), ("late-1500", 1500)] {
        for names_its_task in [true, false] {
            let name = format!("{name}-{}", if names_its_task { "named" } else { "own" });
            let object = scene.early(&name, names_its_task).await;
            let fault = json!({"kind": "lateEffect", "millis": millis, "times": 1});
            scene.order(START, &task_of(&object), fault).await;
            cast.add(&object);
        }
    }
    scene.join_all(&cast.names).await;
    for (name, task) in cast.pairs() {
        scene.until_reason(name, "Running").await;
        assert_eq!(scene.calls(START, task).await, 1, "{name}");
        assert_eq!(scene.starts(task).await, 1, "{name}");
        scene.delete(name).await;
    }
    for (name, task) in cast.pairs() {
        scene.until_gone(name).await;
        assert!(!scene.runs(task).await, "{name}");
    }
    scene.kept(&cast.owners, 0).await;
}

/// Nobody can look: nothing is sent again, and what to grant is told.
#[tokio::test]
async fn an_unknown_outcome_waits_for_the_permission_to_look() {
    let scene = quick("denied-list").await;
    let mut cast = Cast::default();
    for (name, when) in [("effect", "after"), ("none", "before")] {
        let object = scene.early(name, true).await;
        let fault = json!({"kind": "close", "when": when, "times": 1});
        scene.order(START, name, fault).await;
        cast.add(&object);
    }
    set_account(&scene, json!({"denied": [LIST]})).await;
    scene.join_all(&cast.names).await;
    for (name, _) in cast.pairs() {
        scene
            .until(name, "the permission is named", |object| {
                reason(object) == "OutcomeUnknown"
                    && message(object).contains("grant live:ListRtcMPUTaskDetail")
            })
            .await;
    }
    scene.until_calls(LIST, "effect", 8).await;
    scene.until_calls(LIST, "none", 8).await;
    for (name, task) in cast.pairs() {
        assert_eq!(scene.calls(START, task).await, 1, "{name}");
    }
    set_account(&scene, json!({"denied": []})).await;
    for (name, task) in cast.pairs() {
        scene.until_reason(name, "Running").await;
        assert_eq!(scene.starts(task).await, 1, "{name}");
    }
    assert_eq!(scene.calls(START, "effect").await, 1);
    assert_eq!(scene.calls(START, "none").await, 2);
    for name in &cast.names {
        scene.end(name).await;
    }
    scene.kept(&cast.owners, 0).await;
}

/// A task that is not ours came by the id while the outcome was open: it is found out by its parameters.
#[tokio::test]
async fn a_foreign_task_under_our_id_while_the_outcome_is_open() {
    let scene = quick("squat").await;
    let object = scene.early("squat", true).await;
    let fault = json!({"kind": "drop", "when": "before", "times": 1});
    scene.order(START, "squat", fault).await;
    scene.join("squat").await;
    scene.until_calls(START, "squat", 1).await;
    scene.start_task("squat").await;
    let told = scene.until_reason("squat", "TaskIdInUse").await;
    assert!(told.status.unwrap().intent.is_none());
    scene.end("squat").await;
    assert_eq!(scene.calls(STOP, "squat").await, 0);
    assert!(scene.runs("squat").await);
    assert_eq!(scene.starts("squat").await, 0);
    let theirs = support::promises::Owner {
        orphans: true,
        ..owner(&object)
    };
    scene.kept(&[theirs], 0).await;
    let logs = String::from_utf8_lossy(&scene.operator.logs()).into_owned();
    assert!(!logs.contains(STREAM_KEY) && !logs.contains(&url("squat")));
}
