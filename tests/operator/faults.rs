//! What goes wrong with the service, with the API server and with the operator itself. In the end every object is gone and its task stopped.

use std::time::Instant;

use futures::future::join_all;
use mixed_stream_operator::api::{
    ConditionType, FINALIZER, MixedStreamTask, RECONCILE_REQUESTED_AT,
};
use serde_json::{Value, json};
use support::eventually;
use support::simulator::{Call, ChangeKind, Filter, TaskState};

use crate::oracle::{
    STOP, assert_stopped_first, calls_by_task, calls_of, deletions, scene_as, scene_with,
    until_calls, until_released_on,
};
use crate::scene::{APP, PATIENCE, Scene, condition};

const QUICK: [&str; 4] = [
    "--backoff-min=100ms",
    "--backoff-max=400ms",
    "--channel-poll=500ms",
    "--call-deadline=2s",
];

async fn armed_with_task(scene: &Scene, name: &str) {
    scene.start_task(name).await;
    scene.create(name).await;
    scene.until_reason(name, "Armed").await;
}

async fn running(scene: &Scene, task: &str) -> bool {
    scene.simulator.task(APP, task).await.unwrap().state == TaskState::Running
}

async fn order(scene: &Scene, task: &str, mut fault: Value) {
    fault["action"] = json!(STOP);
    fault["taskId"] = json!(task);
    scene.simulator.order_fault(&fault).await.unwrap();
}

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
            json!({"kind": "slow", "when": "before", "millis": 2500, "times": 1}),
            2,
        ),
        case(
            "too-slow-after",
            json!({"kind": "slow", "when": "after", "millis": 2500, "times": 1}),
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
    let scene = scene_with("faults", &QUICK).await;
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
    let mut found = deletions(&scene, cases.len()).await;
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
    found.remove("late-stop");
    assert_stopped_first(&scene, &found).await;
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
        let scene = scene_with("throttled", &QUICK).await;
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

async fn set_account(scene: &Scene, fields: Value) {
    scene
        .simulator
        .set_account("default", &fields)
        .await
        .unwrap();
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
    let slow = ["--slow-backoff-min=500ms", "--slow-backoff-max=800ms"];
    let flags: Vec<&str> = QUICK.into_iter().chain(slow).collect();
    let scene = scene_with("refusals", &flags).await;
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
    let slow = ["--slow-backoff-min=300ms", "--slow-backoff-max=500ms"];
    let flags: Vec<&str> = QUICK.into_iter().chain(slow).collect();
    let scene = scene_with("account", &flags).await;
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

/// Labels that change twenty times a second shorten no wait and cost no writes.
#[tokio::test]
async fn outside_events_do_not_cut_a_wait_short() {
    const CHURN: u64 = 6_000_000;
    let flags = [
        "--backoff-min=400ms",
        "--backoff-max=1600ms",
        "--slow-backoff-min=1500ms",
        "--slow-backoff-max=2s",
    ];
    let scene = scene_with("churn", &flags).await;
    let cases = [
        ("churn-denied", 403, "Forbidden"),
        ("churn-down", 503, "ServiceUnavailable"),
    ];
    for (name, status, code) in cases {
        armed_with_task(&scene, name).await;
        order(
            &scene,
            name,
            json!({"kind": "error", "status": status, "code": code}),
        )
        .await;
        scene.delete(name).await;
        until_calls(&scene, STOP, name, 1).await;
    }
    let changes = join_all(cases.map(async |(name, ..)| churn(&scene, name, CHURN).await)).await;

    let denied = calls_of(&scene, STOP, "churn-denied").await;
    for gap in gaps(&denied) {
        // It can be late on a busy machine, never early.
        assert!(gap >= 1_500_000, "{gap} us: {denied:?}");
    }
    // On average 0.8 s apart once the waits have doubled up; twice as many would be luck beyond belief, twenty a second a cut schedule.
    let down = calls_of(&scene, STOP, "churn-down").await;
    assert!(down.len() < 24, "{}", down.len());
    assert!(denied.len() >= 3 && down.len() >= 3, "it goes on trying");

    scene.simulator.remove_faults().await.unwrap();
    for (name, ..) in cases {
        scene.until_gone(name).await;
    }
    // The test writes to the objects too, but never to their status.
    let found = deletions(&scene, 2).await;
    eprintln!(
        "labels changed {changes:?} times in 6 s: {} and {} calls, {} and {} status writes",
        denied.len(),
        down.len(),
        found["churn-denied"].status_writes,
        found["churn-down"].status_writes
    );
    assert!(found["churn-denied"].status_writes <= 2);
    // 0.4, 0.8 and 1.6 seconds.
    assert!(found["churn-down"].status_writes <= 4);
}

/// Changes a label every 50 ms for so many microseconds of the simulator's time.
async fn churn(scene: &Scene, name: &str, microseconds: u64) -> u64 {
    let now = async || scene.simulator.clock().await.unwrap().monotonic_us;
    let begun = now().await;
    let mut changes = 0;
    eventually(
        "labels have changed for long enough",
        PATIENCE,
        async || {
            let elapsed = now().await - begun;
            if elapsed >= microseconds {
                return Ok(());
            }
            if elapsed >= changes * 50_000 {
                changes += 1;
                let labels = json!({"metadata": {"labels": {"turn": changes.to_string()}}});
                scene.merge(name, labels).await;
            }
            Err(elapsed)
        },
    )
    .await;
    changes
}

fn gaps(calls: &[Call]) -> Vec<u64> {
    calls
        .windows(2)
        .map(|pair| pair[1].arrival_us - pair[0].reply_us.unwrap_or(pair[0].arrival_us))
        .collect()
}

/// A request for a reconcile buys exactly one attempt, and at most one in ten seconds.
#[tokio::test]
async fn a_requested_reconcile_buys_one_attempt() {
    let flags = ["--slow-backoff-min=10m", "--slow-backoff-max=10m"];
    let scene = scene_with("bought", &flags).await;
    armed_with_task(&scene, "bought").await;
    set_account(&scene, json!({"denied": [STOP]})).await;
    scene.delete("bought").await;
    scene.until_reason("bought", "AccessDenied").await;
    assert_eq!(scene.calls(STOP, "bought").await, 1);
    scene
        .merge("bought", json!({"metadata": {"labels": {"some": "label"}}}))
        .await;

    let request =
        |value: &str| json!({"metadata": {"annotations": {RECONCILE_REQUESTED_AT: value}}});
    let handled = |object: &MixedStreamTask, value: &str| {
        let status = object.status.as_ref();
        status.and_then(|status| status.last_handled_reconcile_at.as_deref()) == Some(value)
    };
    scene.merge("bought", request("first")).await;
    scene
        .until("bought", "the first request is answered", |object| {
            handled(object, "first")
        })
        .await;
    assert_eq!(scene.calls(STOP, "bought").await, 2);
    // The next one has to wait, and what happens meanwhile buys nothing.
    set_account(&scene, json!({"denied": []})).await;
    scene.merge("bought", request("second")).await;
    scene
        .merge(
            "bought",
            json!({"metadata": {"labels": {"another": "label"}}}),
        )
        .await;
    scene.until_gone("bought").await;
    let calls = calls_of(&scene, STOP, "bought").await;
    assert_eq!(calls.len(), 3, "{calls:?}");
    let wait = calls[2].arrival_us - calls[1].reply_us.unwrap();
    assert!(wait >= 9_900_000, "{wait} us");
    assert!(!running(&scene, "bought").await);
}

/// The node's clock is twenty minutes off: the refused call is signed again by the service's own date.
#[tokio::test]
async fn a_wrong_clock_costs_one_call() {
    let scene = scene_with("skew", &QUICK).await;
    for (name, skew) in [("skew-ahead", 1200.0), ("skew-behind", -2400.0)] {
        armed_with_task(&scene, name).await;
        scene
            .simulator
            .set_users(APP, &format!("channel-{name}"), &["host"], &[])
            .await
            .unwrap();
        scene.simulator.advance(skew).await.unwrap();
        scene.delete(name).await;
        scene.until_gone(name).await;
        let calls = calls_of(&scene, STOP, name).await;
        assert_eq!(calls.len(), 2, "{calls:?}");
        assert_eq!(calls[0].violation.as_deref(), Some("date"));
        assert!(calls[1].authenticated);
        assert!(!running(&scene, name).await);
    }
}

/// Stop has had its effect, its answer has not come, and the operator is killed.
#[tokio::test]
async fn killed_between_the_effect_of_stop_and_its_answer() {
    let mut scene = scene_with("killed", &["--call-deadline=30s"]).await;
    armed_with_task(&scene, "killed").await;
    order(
        &scene,
        "killed",
        json!({"kind": "slow", "when": "after", "millis": 20_000, "times": 1}),
    )
    .await;
    scene.delete("killed").await;
    eventually("Stop has its effect", PATIENCE, async || {
        let history = scene.simulator.history(&Filter::default()).await.unwrap();
        match history
            .iter()
            .find(|change| change.change == ChangeKind::Stopped)
        {
            Some(_) => Ok(()),
            None => Err(history),
        }
    })
    .await;
    scene.operator.restart().await;
    scene.until_gone("killed").await;
    assert_crash_cost_at_most_one_stop(&scene, "killed").await;
}

/// Stop was accepted, the finalizer could not be removed, and the operator is killed.
#[tokio::test]
async fn killed_between_the_answer_of_stop_and_the_patch() {
    let cluster = crate::scene::cluster().await;
    let user = format!("between-{}", std::process::id());
    let kubeconfig = cluster.user(&user).await;
    let rights = |verbs: &str| {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: {user}}}
rules:
- {{apiGroups: [mixedstream.io], resources: [mixedstreamtasks], verbs: [{verbs}]}}
- {{apiGroups: [mixedstream.io], resources: [mixedstreamtasks/status], verbs: [get, patch]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: {user}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {user}}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {user}}}]
"
        )
    };
    cluster.apply_yaml(&rights("get, list, watch, patch")).await;
    let mut scene = scene_as("between", &QUICK, |launch| launch.kubeconfig(&kubeconfig)).await;
    armed_with_task(&scene, "between").await;
    // Without the right to patch, what follows the accepted Stop fails, again and again.
    cluster.apply_yaml(&rights("get, list, watch")).await;
    let refused = async |at_least: usize| {
        eventually("the PATCH is refused", PATIENCE, async || {
            let refused = scene.cluster.audit(|entry| {
                entry.user == user
                    && entry.verb == "patch"
                    && entry.name == "between"
                    && entry.code == 403
            });
            if refused.len() >= at_least {
                Ok(())
            } else {
                Err(refused)
            }
        })
        .await;
    };
    scene.delete("between").await;
    refused(3).await;
    assert!(!running(&scene, "between").await);
    assert_eq!(
        scene.calls(STOP, "between").await,
        1,
        "the answer is remembered"
    );
    scene.operator.kill().await;
    cluster.apply_yaml(&rights("get, list, watch, patch")).await;
    scene.operator.restart().await;
    scene.until_gone("between").await;
    assert_crash_cost_at_most_one_stop(&scene, "between").await;
    for kind in ["clusterrolebinding", "clusterrole"] {
        let output = cluster.kubectl(["delete", kind, user.as_str()], "").await;
        let _ = output.success();
    }
}

async fn assert_crash_cost_at_most_one_stop(scene: &Scene, name: &str) {
    let calls = calls_of(scene, STOP, name).await;
    assert!(calls.len() <= 2, "{calls:?}");
    assert!(!running(scene, name).await);
    let found = deletions(scene, 1).await;
    assert_eq!(found[name].patches.len(), 1);
    assert_stopped_first(scene, &found).await;
    eprintln!(
        "{name} by SIGKILL between Stop and PATCH: gone after the restart, {} Stops",
        calls.len()
    );
}

/// Somebody forces the finalizer off and creates the object again while its Stop is in flight: the late answer does not touch the new one.
#[tokio::test]
async fn a_late_answer_does_not_touch_a_new_object_of_the_same_name() {
    let scene = scene_with("again", &QUICK).await;
    armed_with_task(&scene, "again").await;
    order(
        &scene,
        "again",
        json!({"kind": "slow", "when": "after", "millis": 1500, "times": 1}),
    )
    .await;
    let old = scene.objects().get("again").await.unwrap().metadata.uid;
    scene.delete("again").await;
    eventually("Stop is in flight", PATIENCE, async || {
        let calls = calls_of(&scene, STOP, "again").await;
        if calls.is_empty() { Err(calls) } else { Ok(()) }
    })
    .await;
    scene
        .merge("again", json!({"metadata": {"finalizers": null}}))
        .await;
    scene.until_gone("again").await;
    let manifest = json!({"metadata": {"name": "again", "finalizers": [FINALIZER]}, "spec": {"appId": APP, "taskId": "again"}});
    let new = scene.create_from(manifest).await.metadata.uid;
    assert_ne!(new, old);
    until_calls(&scene, STOP, "again", 1).await;
    let object = scene.until_reason("again", "Armed").await;
    assert_eq!(object.metadata.uid, new);
    assert_eq!(
        object.metadata.finalizers.as_deref(),
        Some(&[FINALIZER.to_owned()][..])
    );
    assert_eq!(object.metadata.deletion_timestamp, None);
    // The new one is deleted as any other: the task is stopped already.
    scene.delete("again").await;
    scene.until_gone("again").await;
    until_released_on(&scene, "not_listed", 1).await;
    assert_eq!(scene.calls(STOP, "again").await, 2);
}
