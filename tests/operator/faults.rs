//! What goes wrong with the service. In the end every object is gone and its task stopped.

use std::time::Instant;

use futures::future::join_all;
use mixed_stream_operator::api::{ConditionType, MixedStreamTask};
use serde_json::{Value, json};
use support::eventually;

use crate::oracle::{
    STOP, armed_with_task, assert_stopped_first, calls_by_task, calls_of, deletions, order, quick,
    running, running_at_release, set_account, until_calls,
};
use crate::scene::{PATIENCE, Scene, condition};

/// A fault of Stop, and how many calls of it there may be in all.
struct Case {
    name: &'static str,
    fault: Value,
    calls: usize,
}

fn cases() -> Vec<Case> {
    let case = |name, fault, calls| Case { name, fault, calls };
    let once = |kind: &str, when: &str| json!({"kind": kind, "when": when, "times": 1});
    let mut cases = vec![
        // The third one may stand for "not found": the list then shows the task, and Stop is tried again.
        case("internal-error", json!({"kind": "error", "times": 3}), 4),
        case(
            "throttled",
            json!({"kind": "error", "status": 400, "code": "Throttling.User", "times": 4}),
            5,
        ),
        case(
            "unavailable",
            json!({"kind": "error", "status": 503, "code": "ServiceUnavailable", "times": 4}),
            5,
        ),
        case(
            "slow-before",
            json!({"kind": "slow", "when": "before", "millis": 700, "times": 1}),
            1,
        ),
        case(
            "slow-after",
            json!({"kind": "slow", "when": "after", "millis": 700, "times": 1}),
            1,
        ),
        case(
            "late-effect",
            json!({"kind": "lateEffect", "millis": 100, "times": 1}),
            2,
        ),
        case(
            "late-stop",
            json!({"kind": "lateStop", "seconds": 60, "times": 1}),
            1,
        ),
        case(
            "too-slow-before",
            json!({"kind": "slow", "when": "before", "millis": 3500, "times": 1}),
            2,
        ),
        case(
            "too-slow-after",
            json!({"kind": "slow", "when": "after", "millis": 3500, "times": 1}),
            2,
        ),
    ];
    for (kind, before, after) in [
        ("reset", "reset-before", "reset-after"),
        ("close", "close-before", "close-after"),
        ("torn", "torn-before", "torn-after"),
        ("drop", "drop-before", "drop-after"),
        ("emptyReply", "empty-before", "empty-after"),
        ("foreignReply", "foreign-before", "foreign-after"),
        ("wrongJson", "wrong-json-before", "wrong-json-after"),
    ] {
        cases.push(case(before, once(kind, "before"), 2));
        cases.push(case(after, once(kind, "after"), 2));
    }
    cases
}

/// A call that went wrong is no evidence, whatever came back; one more call settles it.
#[tokio::test]
async fn every_fault_of_the_service_ends_with_the_task_stopped() {
    let scene = quick("faults").await;
    let cases = cases();
    join_all(cases.iter().map(async |case| {
        armed_with_task(&scene, case.name).await;
        order(&scene, case.name, case.fault.clone()).await;
    }))
    .await;
    let begun = Instant::now();
    join_all(cases.iter().map(async |case| {
        scene.delete(case.name).await;
        scene.until_gone(case.name).await;
    }))
    .await;
    let took = begun.elapsed();

    // Its 200 came before its effect: an accepted Stop counts as stopped.
    assert!(running(&scene, "late-stop").await);
    scene.simulator.advance(61.0).await.unwrap();
    let calls = calls_by_task(&scene, STOP).await;
    let found = deletions(&scene, cases.len()).await;
    for case in &cases {
        assert!(!running(&scene, case.name).await, "{}", case.name);
        let sent = calls[case.name].len();
        assert!(
            (1..=case.calls).contains(&sent),
            "{}: {sent} calls, not 1 to {}: {:?}",
            case.name,
            case.calls,
            calls[case.name]
        );
        assert_eq!(found[case.name].patches.len(), 1, "{}", case.name);
        let fault_fired = calls[case.name].iter().any(|call| call.fault.is_some());
        assert!(fault_fired, "{}", case.name);
    }
    assert_eq!(running_at_release(&scene, &found).await, ["late-stop"]);
    eprintln!(
        "{} faults of Stop at a time: all gone within {took:?}",
        cases.len()
    );
}

/// The account is throttled for five seconds, in every way in which the service may say so, or not.
#[tokio::test]
async fn a_throttled_account_recovers() {
    let ways = [
        ("throttling400", "Throttled"),
        ("throttling429", "Throttled"),
        ("throttling503", "Throttled"),
        ("close", "ServiceUnavailable"),
        ("drop", "ServiceUnavailable"),
    ];
    join_all(ways.map(async |(excess, reason)| {
        let scene = quick("throttled").await;
        armed_with_task(&scene, "throttled").await;
        let switches = json!({"excess": excess});
        scene.simulator.set_switches(&switches).await.unwrap();
        set_account(&scene, json!({"neighbourShare": 1.0})).await;
        scene.delete("throttled").await;
        let first = until_calls(&scene, STOP, "throttled", 1).await[0].arrival_us;
        let object = scene.until_reason("throttled", reason).await;
        assert_schedule(&object);
        eventually("five seconds pass", PATIENCE, async || {
            let now = scene.simulator.clock().await.unwrap().monotonic_us;
            if now >= first + 5_000_000 {
                Ok(())
            } else {
                Err(now)
            }
        })
        .await;
        assert!(running(&scene, "throttled").await);
        set_account(&scene, json!({"neighbourShare": 0.0})).await;
        scene.until_gone("throttled").await;

        let calls = calls_of(&scene, STOP, "throttled").await;
        let refused = calls.iter().filter(|call| call.over_quota).count();
        assert_eq!(calls.len(), refused + 1, "{excess}: {calls:?}");
        let found = deletions(&scene, 1).await;
        assert_stopped_first(&scene, &found).await;
        assert_eq!(found["throttled"].patches.len(), 1);
        eprintln!("throttled for 5 s ({excess}): {refused} calls refused, then gone");
    }))
    .await;
}

/// The message says since when, and how often it is tried.
fn assert_schedule(object: &MixedStreamTask) {
    let message = &condition(object, ConditionType::Ready).unwrap().message;
    let rest = message
        .split_once("since ")
        .and_then(|(_, rest)| rest.split_once(", retrying every "));
    let is_told = rest.is_some_and(|(since, band)| {
        since.ends_with(" UTC") && band.contains(" to ") && band.ends_with(" s.")
    });
    assert!(is_told, "{message}");
}

/// An answer of Stop: the object's name, status, code and message, then the reason that it is told as and a part of the advice.
type Refusal = (
    &'static str,
    u16,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

#[rustfmt::skip]
const REFUSALS: [Refusal; 10] = [
    ("throttled", 400, "Throttling.User", "words", "Throttled", "quota"),
    ("unavailable", 503, "ServiceUnavailable", "words", "ServiceUnavailable", "tried again"),
    ("gateway", 502, "", "words", "ServiceUnavailable", "tried again"),
    ("denied", 403, "Forbidden", "not authorized", "AccessDenied", "Grant this action"),
    ("no-permission", 403, "NoPermission", "words", "AccessDenied", "Grant this action"),
    ("key", 400, "InvalidAccessKeyId.Inactive", "words", "CredentialsRejected", "valid credentials"),
    ("not-enabled", 403, "OperationDenied", "Your account has not enabled the Live service", "ServiceNotEnabled", "Enable ApsaraVideo Live"),
    ("app-id", 400, "InvalidAppId", "words", "AppIdRejected", "spec.appId"),
    ("missing", 400, "MissingParam", "words", "RequestRejected", "does not take this request"),
    ("unknown", 400, "SomethingNew", "words", "RequestRejected", "does not take this request"),
];

/// Each refusal is told by its own reason, keeps the object, and is over when its cause is.
#[tokio::test]
async fn refusals_say_what_to_do_and_end_with_their_cause() {
    let scene = quick("refusals").await;
    join_all(REFUSALS.map(async |refusal| refuse(&scene, refusal).await)).await;
    scene.simulator.remove_faults().await.unwrap();
    join_all(REFUSALS.map(async |(name, ..)| scene.until_gone(name).await)).await;
    let found = deletions(&scene, REFUSALS.len()).await;
    assert_stopped_first(&scene, &found).await;
}

async fn refuse(scene: &Scene, (name, status, code, message, reason, advice): Refusal) {
    armed_with_task(scene, name).await;
    let fault = json!({"kind": "error", "status": status, "code": code, "message": message});
    order(scene, name, fault).await;
    scene.delete(name).await;
    let object = scene.until_reason(name, reason).await;
    let (is, is_not) = match reason {
        "Throttled" | "ServiceUnavailable" => (ConditionType::Reconciling, ConditionType::Stalled),
        _ => (ConditionType::Stalled, ConditionType::Reconciling),
    };
    assert_eq!(condition(&object, is).unwrap().status, "True", "{name}");
    assert!(condition(&object, is_not).is_none(), "{name}");
    let ready = condition(&object, ConditionType::Ready).unwrap();
    assert_eq!(ready.status, "False", "{name}");
    assert!(ready.message.contains(advice), "{name}: {}", ready.message);
    assert_schedule(&object);
    until_calls(scene, STOP, name, 3).await;
    assert!(running(scene, name).await, "{name}");
}

/// The same with the account itself: a disabled key, a service that is not enabled, an action that is not granted, somebody else's application.
#[tokio::test]
async fn an_account_that_is_put_right_is_used_again() {
    let key = |enabled: bool| json!({"keys": [{"id": "testid", "secret": "testsecret", "enabled": enabled}]});
    let troubles = [
        ("key", key(false), key(true), "CredentialsRejected"),
        (
            "service",
            json!({"serviceEnabled": false}),
            json!({"serviceEnabled": true}),
            "ServiceNotEnabled",
        ),
        (
            "denied",
            json!({"denied": [STOP]}),
            json!({"denied": []}),
            "AccessDenied",
        ),
        (
            "app",
            json!({"apps": ["another"]}),
            json!({"apps": ["*"]}),
            "AppIdRejected",
        ),
    ];
    let scene = quick("account").await;
    for (name, broken, right, reason) in troubles {
        armed_with_task(&scene, name).await;
        set_account(&scene, broken).await;
        scene.delete(name).await;
        let object = scene.until_reason(name, reason).await;
        assert_schedule(&object);
        assert!(running(&scene, name).await);
        set_account(&scene, right).await;
        scene.until_gone(name).await;
    }
    let found = deletions(&scene, 4).await;
    assert_stopped_first(&scene, &found).await;
}
