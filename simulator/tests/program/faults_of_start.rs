//! Faults of the calls that a relay's life begins with and changes by: what the client sees, and what has happened all the same.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Call, Outcome, Sim, URL, start, update};

const SHORT: Duration = Duration::from_millis(200);

/// Every kind that leaves a client in the dark or with a wrong word.
fn kinds() -> [Value; 9] {
    [
        json!({"kind": "error", "status": 503, "code": "ServiceUnavailable"}),
        json!({"kind": "error", "status": 500}),
        json!({"kind": "torn"}),
        json!({"kind": "reset"}),
        json!({"kind": "close"}),
        json!({"kind": "drop"}),
        json!({"kind": "emptyReply"}),
        json!({"kind": "foreignReply"}),
        json!({"kind": "wrongJson"}),
    ]
}

/// Sends a call that meets this fault. Silence is not waited for long.
fn faulty(sim: &Sim, call: Call, mut fault: Value) -> Outcome {
    let silent = fault["kind"] == "drop" || fault["kind"] == "lateEffect";
    let patience = if silent { SHORT } else { call.patience };
    fault["action"] = json!(call.params["Action"]);
    fault["taskId"] = json!(call.params["TaskId"]);
    sim.fault(fault);
    Call { patience, ..call }.send(sim)
}

fn is_accepted(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Answer(answer) if answer.status == 200 && answer.body.contains("RequestId"))
}

#[test]
fn a_start_before_and_after_its_effect() {
    let sim = Sim::start();
    sim.users("c", &["host"]);
    for (n, kind) in kinds().into_iter().enumerate() {
        for when in ["before", "after"] {
            let (task, url) = (format!("{n}-{when}"), format!("rtmp://x/{n}-{when}"));
            let mut fault = kind.clone();
            fault["when"] = json!(when);
            let outcome = faulty(&sim, start(&task, &url), fault);
            assert!(!is_accepted(&outcome), "{kind} {when}: {outcome:?}");
            let started = sim.get(&format!("/history?taskId={task}"))["changes"].clone();
            let call = sim.get(&format!("/calls?taskId={task}&atLeast=1&withinMs=20000"))["calls"]
                [0]
            .clone();
            assert_eq!(call["effect"], when == "after", "{kind}: {call}");
            let again = start(&task, &url).send(&sim).answer();
            if when == "before" {
                assert_eq!(started, json!([]), "{kind}");
                assert_eq!(again.status, 200, "{kind}: {}", again.body);
            } else {
                assert_eq!(started[0]["change"], "started", "{kind}");
                assert_eq!(started[0]["call"], call["seq"], "{kind}");
                assert_eq!(
                    again.json()["Message"],
                    "The task already exists.",
                    "{kind}"
                );
            }
        }
    }
}

#[test]
fn an_update_before_and_after_its_effect() {
    let sim = Sim::start();
    sim.users("c", &["host"]);
    for (n, kind) in kinds().into_iter().enumerate() {
        for when in ["before", "after"] {
            let task = format!("{n}-{when}");
            let (old, new) = (format!("rtmp://old/{task}"), format!("rtmp://new/{task}"));
            assert_eq!(start(&task, &old).send(&sim).answer().status, 200);
            let mut fault = kind.clone();
            fault["when"] = json!(when);
            let outcome = faulty(&sim, update(&task, &new), fault);
            assert!(!is_accepted(&outcome), "{kind} {when}: {outcome:?}");
            let expected = if when == "before" { old } else { new };
            let listed = sim.list(&task).json()["MPUTasks"][0]["StreamURL"].clone();
            assert_eq!(listed, expected, "{kind} {when}");
        }
    }
}

#[test]
fn a_start_takes_effect_after_the_client_left() {
    let sim = Sim::start();
    sim.users("c", &["host"]);
    let outcome = faulty(
        &sim,
        start("t", URL),
        json!({"kind": "lateEffect", "millis": 300}),
    );
    assert!(matches!(outcome, Outcome::Silence), "{outcome:?}");
    let ended = sim.ended(1)[0].clone();
    sim.until("the late effect", |sim| {
        sim.get("/history")["changes"] != json!([])
    });
    assert_eq!(sim.state("t"), "running");
    let call = sim.get("/calls?action=StartLiveMPUTask")["calls"][0].clone();
    assert_eq!(
        (&call["effect"], &call["status"]),
        (&json!(true), &json!(null)),
        "{call}"
    );
    let end = ended["endUs"].as_u64().unwrap();
    assert!(
        call["effectUs"].as_u64().unwrap() >= end + 300_000,
        "{call}"
    );
    assert_eq!(sim.get("/history")["changes"][0]["call"], call["seq"]);
}

#[test]
fn rooms_that_cannot_be_read() {
    let sim = Sim::start();
    sim.users("c", &["host"]);
    let rooms = || Call::new("ListRTCLiveRooms", &[("AppId", "app")]);
    for kind in kinds() {
        let mut fault = kind.clone();
        fault["action"] = json!("ListRTCLiveRooms");
        sim.fault(fault);
        let patience = if kind["kind"] == "drop" {
            SHORT
        } else {
            rooms().patience
        };
        let outcome = Call {
            patience,
            ..rooms()
        }
        .send(&sim);
        let told = matches!(&outcome, Outcome::Answer(answer) if answer.body.contains("Rooms"));
        assert!(!told, "{kind}: {outcome:?}");
        assert_eq!(
            rooms().send(&sim).answer().json()["Rooms"],
            json!(["c"]),
            "{kind}"
        );
    }
}
