//! STS away: whose a key is, nobody tells. Nothing leaks, nothing of others is touched, and nothing is stuck once it is back.

use serde_json::json;
use support::eventually;
use support::simulator::TaskState;

use super::*;
use crate::relay::message;
use crate::scene::PATIENCE;

/// STS answers nobody, until the fault is removed.
async fn outage(scene: &Scene) -> u64 {
    let fault = json!({
        "action": "GetCallerIdentity", "kind": "error", "status": 503, "code": "ServiceUnavailable", "message": "away"
    });
    scene.simulator.order_fault(&fault).await.unwrap()
}

async fn effects(scene: &Scene, task: &str) -> usize {
    let calls = scene.calls_for(STOP, task).await;
    calls.iter().filter(|call| call.effect).count()
}

/// The operator dies, and begins again without STS. What was claimed is stopped, or shown to be gone, with the key that its claim remembers; with a
/// key that came in its place nothing is sent before STS tells whose that is.
#[tokio::test]
async fn after_a_restart_without_sts_what_was_claimed_is_stopped_and_nothing_is_taken_for_gone() {
    let mut scene = scene("nosts", |launch| launch).await;
    // Each account has an application of this name, so that a wrong key finds no such task.
    for id in ["2000", "3000"] {
        let apps = json!({"apps": [format!("app-{id}"), format!("shared@{id}")]});
        scene.simulator.set_account(id, &apps).await.unwrap();
    }
    for (secret, key) in [
        ("kept", "2000-1"),
        ("rotated", "2000-1"),
        ("swapped", "2000-1"),
    ] {
        scene.put_key(secret, key).await;
    }
    let app = "shared@2000";
    let all = [
        ("stays", "kept"),
        ("ended", "kept"),
        ("turns", "rotated"),
        ("strays", "swapped"),
    ];
    for (name, secret) in all {
        let task = NewTask::default();
        scene.simulator.start_task(app, name, &task).await.unwrap();
        scene.create_from(with_key(name, "shared", secret)).await;
        let armed = scene.until_reason(name, "Armed").await;
        assert_eq!(account_of(&armed).as_deref(), Some("2000"), "{name}");
    }
    scene.operator.kill().await;
    let fault = outage(&scene).await;
    scene.put_key("rotated", "2000-2").await;
    scene.put_key("swapped", "3000-1").await;
    scene.simulator.stop_task(app, "ended").await.unwrap();
    for (name, _) in all {
        scene.delete(name).await;
    }
    scene.operator.restart().await;
    let stopped = async |name: &str| {
        scene.until_gone(name).await;
        let task = scene.simulator.task(app, name).await.unwrap();
        assert_eq!(task.state, TaskState::Stopped, "{name}");
    };
    stopped("stays").await;
    stopped("ended").await;
    for name in ["turns", "strays"] {
        let told = scene.until_reason(name, "CredentialsRejected").await;
        let words = message(&told);
        assert!(
            words.contains("account 2000") && words.contains("STS"),
            "{words}"
        );
        assert_eq!(scene.calls_for(STOP, name).await.len(), 0, "{name}");
    }
    // Back again: it is known by now that it is another account's, and nothing more is sent.
    scene.simulator.remove_fault(fault).await.unwrap();
    stopped("turns").await;
    scene
        .until(
            "strays",
            "the key is known to be of another account",
            |object| message(object).contains("is of another one"),
        )
        .await;
    let task = scene.simulator.task(app, "strays").await.unwrap();
    assert_eq!(task.state, TaskState::Running);
    scene.put_key("swapped", "2000-2").await;
    scene.until_gone("strays").await;
    assert_eq!(effects(&scene, "strays").await, 1);
    for name in ["stays", "turns"] {
        assert_eq!(effects(&scene, name).await, 1, "{name}");
    }
}

/// Whoever looks after the operator sees that STS does not answer, in a metric and in one line of the log, and that it does again; and what became
/// of the readings of Secrets.
#[tokio::test]
async fn an_outage_of_sts_is_counted_and_said_once() {
    let scene = scene("stsseen", |launch| launch).await;
    let fault = outage(&scene).await;
    scene.put_key("kept", "2000-1").await;
    scene.stops_with("x", "app-2000", "kept").await;
    scene.stops_with("y", "app-2000", "not-there").await;
    let counted = async |metric: &str, result: &str, least: f64| {
        let name = format!("mixed_stream_{metric}_total");
        let what = format!("{metric}: {result}");
        eventually(&what, PATIENCE, async || {
            let labels = [("result", result)];
            match scene.operator.metric(&name, &labels).await {
                counted if counted >= least => Ok(()),
                counted => Err(counted),
            }
        })
        .await;
    };
    let said = |words: &str| {
        let logs = String::from_utf8_lossy(&scene.operator.logs()).into_owned();
        logs.lines().filter(|line| line.contains(words)).count()
    };
    // Of both keys, several times.
    counted("account_questions", "service_unavailable", 6.0).await;
    counted("account_questions", "answered", 0.0).await;
    assert_eq!(said("STS does not tell whose"), 1, "{}", scene.tail());
    counted("secret_reads", "read", 1.0).await;
    counted("secret_reads", "missing", 1.0).await;
    assert_eq!(said("STS tells whose"), 0);
    scene.simulator.remove_fault(fault).await.unwrap();
    counted("account_questions", "answered", 2.0).await;
    assert_eq!(said("STS does not tell whose"), 1);
    eventually("it is said", PATIENCE, async || {
        match said("STS tells whose") {
            1 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    scene.end("x").await;
    assert_silent(&scene, &["2000-1"]).await;
}

/// Secrets that are of no use to begin with, many of them, hold up nobody who comes after them: neither their readings nor the questions about them.
#[tokio::test]
async fn a_crowd_that_is_dead_from_the_start_holds_up_nobody() {
    const DEAD: usize = 150;
    let crowd = crate::scene::cluster().await.namespace("dead").await;
    let scene = scene("alive", |launch| launch.namespace(&crowd)).await;
    for number in 0..DEAD {
        let name = format!("x-{number}");
        if number % 2 == 0 {
            scene
                .put_key_in(&crowd, &name, &format!("nobodys-{number}"))
                .await;
        }
        create_in(&scene, &crowd, with_key(&name, "app-2000", &name)).await;
    }
    scene.put_key("live", "2000-1").await;
    for number in 0..10 {
        let name = format!("y-{number}");
        let begun = std::time::Instant::now();
        scene.stops_with(&name, "app-2000", "live").await;
        scene.until_reason(&name, "Armed").await;
        scene.end(&name).await;
        let took = begun.elapsed();
        assert!(
            took < std::time::Duration::from_secs(5),
            "{name} took {took:?}"
        );
        assert_eq!(effects(&scene, &name).await, 1);
    }
}

/// Two Secrets with keys of one account share its quota.
#[tokio::test]
async fn two_keys_of_one_account_share_its_quota() {
    const EACH: usize = 40;
    // Ten Stops a second.
    let scene = scene("twokeys", |launch| launch.flags(["--quota-share", "0.02"])).await;
    let quotas = json!({"quotas": {"StopLiveMPUTask": 10}});
    scene.simulator.set_account("2000", &quotas).await.unwrap();
    let mut names = Vec::new();
    for (secret, key) in [("one", "2000-1"), ("two", "2000-2")] {
        scene.put_key(secret, key).await;
        for number in 0..EACH {
            let name = format!("{secret}-{number}");
            scene.stops_with(&name, "app-2000", secret).await;
            names.push(name);
        }
    }
    for name in &names {
        scene.until_reason(name, "Armed").await;
    }
    let begun = std::time::Instant::now();
    for name in &names {
        scene.delete(name).await;
    }
    for name in &names {
        scene.until_gone(name).await;
    }
    let took = begun.elapsed();
    assert!(took.as_secs() >= 6, "eighty at ten a second in {took:?}");
    assert_eq!(
        keys_of(&scene, STOP, "app-2000").await,
        ["2000-1", "2000-2"]
    );
    let usage = scene.simulator.quota().await.unwrap();
    assert_eq!(support::promises::over_limits(&usage), []);
}

/// Until STS tells, the calls count in the line of the operator's own account; then they move into their own, which may not add to what was sent.
#[tokio::test]
async fn calls_that_move_into_the_line_of_their_account_add_nothing_to_its_quota() {
    const OBJECTS: usize = 60;
    // Ten Stops a second.
    let scene = scene("moves", |launch| {
        launch.flags(["--quota-share", "0.02", "--call-deadline", "2s"])
    })
    .await;
    let quotas = json!({"quotas": {"StopLiveMPUTask": 10}});
    scene.simulator.set_account("2000", &quotas).await.unwrap();
    let fault = outage(&scene).await;
    scene.put_key("live", "2000-1").await;
    let names: Vec<String> = (0..OBJECTS).map(|number| format!("x-{number}")).collect();
    for name in &names {
        scene.stops_with(name, "app-2000", "live").await;
    }
    for name in &names {
        scene.until_reason(name, "Armed").await;
    }
    for name in &names {
        scene.delete(name).await;
    }
    scene.until_gone(&names[0]).await;
    scene.simulator.remove_fault(fault).await.unwrap();
    for name in &names {
        scene.until_gone(name).await;
        assert_eq!(effects(&scene, name).await, 1, "{name}");
    }
    let usage = scene.simulator.quota().await.unwrap();
    assert_eq!(support::promises::over_limits(&usage), []);
}
