//! Quotas: how many pass, how excess is answered, when a call counts.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Call, Outcome, Sim};

fn stop() -> Call {
    Call::new("StopLiveMPUTask", &[("AppId", "app"), ("TaskId", "t")])
}

/// A simulator with a quota of three Stops a second, where Stop succeeds.
fn narrow() -> Sim {
    let sim = Sim::start();
    sim.switch(&json!({"stopGone": "ok"}));
    sim.admin(
        "PATCH",
        "/accounts/default",
        &json!({"quotas": {"StopLiveMPUTask": 3}}),
    );
    sim
}

/// How many of these calls, sent at the same time, were answered with 200; and the others.
fn burst(sim: &Sim, calls: usize, patience: Duration) -> (usize, Vec<Outcome>) {
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let sent: Vec<_> = (0..calls)
            .map(|_| scope.spawn(|| Call { patience, ..stop() }.send(sim)))
            .collect();
        sent.into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let (fine, others): (Vec<_>, Vec<_>) = outcomes
        .into_iter()
        .partition(|outcome| matches!(outcome, Outcome::Answer(answer) if answer.status == 200));
    (fine.len(), others)
}

#[test]
fn excess_is_answered_as_chosen() {
    for (excess, status) in [
        ("throttling400", 400),
        ("throttling429", 429),
        ("throttling503", 503),
    ] {
        let sim = narrow();
        sim.switch(&json!({"excess": excess, "excessRetryAfterMillis": 1500}));
        let (fine, others) = burst(&sim, 5, stop().patience);
        assert_eq!(fine, 3, "{excess}");
        for other in others {
            let answer = other.answer();
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (status, "Throttling.User")
            );
            assert_eq!(answer.headers["x-acs-retry-after"], "1500");
        }
        let usage = &sim.get("/quota")["usage"][0];
        assert_eq!(
            (&usage["calls"], &usage["overQuota"]),
            (&json!(5), &json!(2)),
            "{usage}"
        );
        assert_eq!(
            (
                &usage["maxPerSecondByArrival"],
                &usage["maxPerSecondByReply"]
            ),
            (&json!(5), &json!(5))
        );
    }
    let sim = narrow();
    sim.switch(&json!({"excess": "close"}));
    let (fine, others) = burst(&sim, 5, stop().patience);
    assert_eq!(fine, 3);
    assert!(
        others.iter().all(|other| matches!(other, Outcome::Closed)),
        "{others:?}"
    );

    let sim = narrow();
    sim.switch(&json!({"excess": "drop"}));
    let (fine, others) = burst(&sim, 5, Duration::from_millis(500));
    assert_eq!(fine, 3);
    assert!(
        others.iter().all(|other| matches!(other, Outcome::Silence)),
        "{others:?}"
    );
    assert_eq!(
        sim.ended(5)
            .iter()
            .filter(|call| call["overQuota"] == true)
            .count(),
        2
    );
}

#[test]
fn the_quota_is_the_accounts_and_the_actions_own() {
    let sim = narrow();
    let keys =
        json!([{"id": "testid", "secret": "testsecret"}, {"id": "second", "secret": "testsecret"}]);
    sim.admin("PATCH", "/accounts/default", &json!({"keys": keys}));
    let other =
        json!({"id": "other", "keys": [{"id": "third", "secret": "testsecret"}], "apps": ["*"]});
    sim.admin("POST", "/seed", &json!({"accounts": [other]}));
    assert_eq!(burst(&sim, 3, stop().patience).0, 3);
    assert_eq!(
        stop()
            .with("AccessKeyId", "second")
            .send(&sim)
            .answer()
            .code(),
        "Throttling.User"
    );
    assert_eq!(
        stop()
            .with("AccessKeyId", "third")
            .send(&sim)
            .answer()
            .status,
        200
    );
    assert_eq!(sim.list("t").status, 200);
    // It slides: a second later there is room again.
    sim.until("room", |sim| stop().send(sim).answer().status == 200);
}

#[test]
fn a_neighbour_leaves_less() {
    let sim = narrow();
    sim.admin(
        "PATCH",
        "/accounts/default",
        &json!({"neighbourShare": 0.5}),
    );
    assert_eq!(burst(&sim, 4, stop().patience).0, 1);
    sim.admin(
        "PATCH",
        "/accounts/default",
        &json!({"neighbourShare": 1.0}),
    );
    assert_eq!(burst(&sim, 2, stop().patience).0, 0);
}

/// What becomes of a call whose quota shrinks to nothing while it is on its way.
fn counted(count_at: &str) -> String {
    let sim = Sim::start();
    sim.switch(&json!({"countAt": count_at, "latencyMillis": 1500}));
    let code = std::thread::scope(|scope| {
        let call = scope.spawn(|| stop().send(&sim).answer().code());
        sim.until("the call arrives", |sim| sim.get("/calls")["next"] == 1);
        sim.admin(
            "PATCH",
            "/accounts/default",
            &json!({"quotas": {"StopLiveMPUTask": 0}}),
        );
        call.join().unwrap()
    });
    let call = sim.last_call();
    assert_eq!(call["overQuota"], code == "Throttling.User", "{call}");
    code
}

#[test]
fn a_call_counts_at_the_chosen_moment() {
    std::thread::scope(|scope| {
        let arrival = scope.spawn(|| counted("arrival"));
        let reply = scope.spawn(|| counted("reply"));
        let random = scope.spawn(|| counted("random"));
        assert_eq!(arrival.join().unwrap(), "InvalidParam");
        assert_eq!(reply.join().unwrap(), "Throttling.User");
        let random = random.join().unwrap();
        assert!(
            ["InvalidParam", "Throttling.User"].contains(&random.as_str()),
            "{random}"
        );
    });
}
