//! Each kind of fault: what the client sees, what happens to the task, what the log says.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Call, Outcome, Sim};

fn stop(task: &str) -> Call {
    Call::new("StopLiveMPUTask", &[("AppId", "app"), ("TaskId", task)])
}

fn seen(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answer(answer) => format!(
            "{} {}",
            answer.status,
            answer.body.chars().take(12).collect::<String>()
        ),
        Outcome::Torn(answer) => format!("torn {}", answer.status),
        Outcome::Closed => "closed".to_owned(),
        Outcome::Reset => "reset".to_owned(),
        Outcome::Silence => "silence".to_owned(),
    }
}

#[test]
fn each_kind_before_and_after_the_effect() {
    let sim = Sim::start();
    let kinds = [
        (
            json!({"kind": "error", "status": 503, "code": "ServiceUnavailable"}),
            "503 ",
        ),
        (
            json!({"kind": "error", "status": 500, "body": "<oops>"}),
            "500 <oops>",
        ),
        (json!({"kind": "torn"}), "torn 200"),
        (json!({"kind": "reset"}), "reset"),
        (json!({"kind": "close"}), "closed"),
        (json!({"kind": "drop"}), "silence"),
        (json!({"kind": "emptyReply"}), "200 "),
        (json!({"kind": "foreignReply"}), "200 <html><body>"),
        (json!({"kind": "wrongJson"}), "200 {\"status\":\"o"),
    ];
    for (n, (kind, expected)) in kinds.into_iter().enumerate() {
        for (when, state) in [("before", "running"), ("after", "stopped")] {
            let task = format!("{n}-{when}");
            sim.run_task(&task);
            let mut fault = kind.clone();
            fault["when"] = json!(when);
            fault["action"] = json!("StopLiveMPUTask");
            fault["taskId"] = json!(task);
            let id = sim.fault(fault);
            let patience = if expected == "silence" {
                Duration::from_millis(300)
            } else {
                stop("t").patience
            };
            let outcome = Call {
                patience,
                ..stop(&task)
            }
            .send(&sim);
            assert!(
                seen(&outcome).starts_with(expected),
                "{kind} {when}: {outcome:?}"
            );
            assert_eq!(sim.state(&task), state, "{kind} {when}");

            let path = format!("/calls?taskId={task}&atLeast=1&withinMs=20000");
            let call = sim.get(&path)["calls"][0].clone();
            assert_eq!(call["fault"], id, "{call}");
            assert_eq!(call["effect"], when == "after", "{call}");
            assert_eq!(call["effectUs"].is_null(), when == "before", "{call}");
            assert!(!call["endUs"].is_null(), "{call}");
            let answered = matches!(outcome, Outcome::Answer(_) | Outcome::Torn(_));
            assert_eq!(!call["replyUs"].is_null(), answered, "{call}");
            assert_eq!(call["clientPresent"].is_null(), !answered, "{call}");
            let order = sim.get(&format!("/faults/{id}"));
            assert_eq!((&order["left"], &order["fired"]), (&json!(0), &json!(1)));

            let after = sim.stop(&task);
            assert_eq!(
                after.status,
                if when == "before" { 200 } else { 400 },
                "the fault is used up"
            );
        }
    }
}

#[test]
fn an_error_can_be_dressed() {
    let sim = Sim::start();
    sim.fault(json!({
        "kind": "error", "status": 429, "code": "Throttling.User", "message": "slow down",
        "headers": {"x-acs-retry-after": "700"}, "contentType": "text/plain",
    }));
    let answer = sim.stop("t");
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (429, "Throttling.User")
    );
    assert_eq!(answer.json()["Message"], "slow down");
    assert_eq!(answer.headers["x-acs-retry-after"], "700");
    assert_eq!(answer.headers["content-type"], "text/plain");
}

#[test]
fn slow_before_and_after() {
    let sim = Sim::start();
    for when in ["before", "after"] {
        sim.run_task(when);
        sim.fault(json!({"kind": "slow", "when": when, "millis": 500, "taskId": when}));
        let began = Instant::now();
        assert_eq!(sim.stop(when).status, 200);
        assert!(began.elapsed() >= Duration::from_millis(500));
        let call = sim.last_call();
        let us = |name: &str| call[name].as_u64().unwrap();
        let (to_effect, to_reply) = (
            us("effectUs") - us("arrivalUs"),
            us("replyUs") - us("effectUs"),
        );
        let (waited, other) = if when == "before" {
            (to_effect, to_reply)
        } else {
            (to_reply, to_effect)
        };
        assert!(waited >= 500_000, "{call}");
        assert!(other < 500_000, "{call}");
    }
}

#[test]
fn the_effect_comes_after_the_client_left() {
    let sim = Sim::start();
    sim.run_task("t");
    sim.fault(json!({"kind": "lateEffect", "millis": 100}));
    let call = Call {
        patience: Duration::from_millis(100),
        ..stop("t")
    };
    assert!(matches!(call.send(&sim), Outcome::Silence));
    sim.until("the late effect", |sim| sim.state("t") == "stopped");
    let call = sim.last_call();
    assert_eq!(
        (&call["effect"], &call["status"]),
        (&json!(true), &json!(null)),
        "{call}"
    );
    assert!(
        call["effectUs"].as_u64().unwrap() >= call["endUs"].as_u64().unwrap() + 100_000,
        "{call}"
    );
}

#[test]
fn a_stop_takes_effect_after_its_answer() {
    let sim = Sim::start();
    sim.run_task("t");
    sim.fault(json!({"kind": "lateStop", "seconds": 300}));
    assert_eq!(sim.stop("t").status, 200);
    assert_eq!(sim.state("t"), "running");
    assert_eq!(sim.last_call()["effect"], false);
    sim.advance(299.0);
    assert_eq!(sim.state("t"), "running");
    sim.advance(2.0);
    assert_eq!(sim.state("t"), "stopped");
    assert_eq!(
        sim.get("/calls?action=StopLiveMPUTask")["calls"][0]["effect"],
        true
    );
    assert_eq!(sim.get("/history")["changes"][1]["by"], "api");
}

#[test]
fn orders_are_served_in_turn_and_can_be_withdrawn() {
    let sim = Sim::start();
    sim.fault(json!({"kind": "error", "status": 500, "times": 2, "action": "StopLiveMPUTask"}));
    let open = sim.admin(
        "POST",
        "/faults",
        &json!({"kind": "error", "status": 503, "appId": "app"}),
    );
    assert_eq!(open["left"], json!(null));
    let statuses: Vec<u16> = (0..4).map(|_| sim.stop("t").status).collect();
    assert_eq!(statuses, [500, 500, 503, 503]);
    assert_eq!(
        sim.call("StopLiveMPUTask", &[("AppId", "other"), ("TaskId", "t")])
            .status,
        400
    );
    sim.admin("DELETE", &format!("/faults/{}", open["id"]), &json!({}));
    assert_eq!(sim.stop("t").status, 400);
    sim.admin("POST", "/faults", &json!({"kind": "reset"}));
    sim.admin("DELETE", "/faults", &json!({}));
    assert_eq!(sim.stop("t").status, 400);
    assert_eq!(
        sim.order("POST", "/faults", &json!({"kind": "reset", "task": "t"}))
            .status,
        400
    );
    assert_eq!(sim.order("DELETE", "/faults/99", &json!({})).status, 404);
}

#[test]
fn the_log_tells_whether_the_client_was_there() {
    let sim = Sim::start();
    sim.fault(json!({"kind": "slow", "millis": 1000}));
    let impatient = Call {
        patience: Duration::from_millis(20),
        ..stop("t")
    };
    assert!(matches!(impatient.send(&sim), Outcome::Silence));
    assert_eq!(sim.ended(1)[0]["clientPresent"], false);
    sim.stop("t");
    assert_eq!(sim.last_call()["clientPresent"], true);
}
