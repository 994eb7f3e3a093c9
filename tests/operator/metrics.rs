//! The metrics' form, and that nothing but closed words is in their labels.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use support::eventually;
use support::relay::Relay;

use crate::relay::ROOMS;
use crate::scene::{APP, PATIENCE, Scene};

const CLASSES: &str = "not_found_like internal_error throttled service_unavailable app_id_rejected request_rejected access_denied service_not_enabled \
    credentials_rejected credentials_stale clock_skew nonce_used credentials_missing channel_absent task_exists not_cleared output_busy quota_exceeded";

/// The label names, each with the values that it may have.
fn values_of(label: &str) -> Vec<&'static str> {
    let values = match label {
        "action" => "start update stop list channel_users rooms",
        "result" => {
            let others =
                "accepted done gone changed failed sent dropped refreshed answered read missing denied"
                    .split(' ');
            return CLASSES.split_whitespace().chain(others).collect();
        }
        "sign" => "refused unanswered",
        "reason" => {
            "Throttled ServiceUnavailable RequestRejected StopUnconfirmed OutcomeUnknown WaitingForChannel CoolingDown TaskIdInUse OutputInUse QuotaExceeded AppIdRejected AccessDenied ServiceNotEnabled CredentialsMissing CredentialsRejected"
        }
        "evidence" => {
            "stop_accepted not_listed stop_said_so must_have_stopped never_started stopped_before found_foreign orphaned never_owned not_allowed declared"
        }
        "phase" => "Pending Armed Running Stopping Stopped Suspended Failed",
        "write" => "guard status release",
        "outcome" => "settled waiting queued released failed",
        "state" => "waiting running",
        "source" => "rrsa ecs_role",
        other => panic!("unknown label {other}"),
    };
    values.split(' ').collect()
}

/// Every metric that a scrape shows, by the name that its samples have, with its labels, but for a histogram's own.
fn shown(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut shown: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let (family, kind) = family.split_once(' ').unwrap();
            let suffix = if kind == "counter" { "_total" } else { "" };
            name = format!("{family}{suffix}");
            shown.insert(name.clone(), BTreeSet::new());
        } else if let Some((_, labels)) = line.split_once('{') {
            let labels = labels.split_once('}').unwrap().0.split(',');
            let names = labels.map(|label| label.split_once('=').unwrap().0.to_owned());
            let known = shown.get_mut(&name).unwrap();
            known.extend(names.filter(|name| name != "le"));
        }
    }
    shown
}

/// Whether the metric tells of credentials that are fetched.
fn is_of_fetched_credentials(name: &str) -> bool {
    name.starts_with("mixed_stream_credential")
}

/// Checks that what a scrape shows of fetched credentials is what the page on the operation says.
pub fn assert_shows_fetched_credentials(text: &str) {
    let of_them = |metrics: BTreeMap<String, BTreeSet<String>>| {
        let them = metrics
            .into_iter()
            .filter(|(name, _)| is_of_fetched_credentials(name));
        them.collect::<Vec<_>>()
    };
    assert_eq!(of_them(shown(text)), of_them(documented()));
}

/// The same as the page on the operation has it.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operation.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, table) = page.split_once("| metric (`mixed_stream_…`) |").unwrap();
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let code = |cell: &str| -> Vec<String> {
        let parts = cell.split('`').skip(1).step_by(2);
        parts.map(str::to_owned).collect()
    };
    let mut documented = BTreeMap::new();
    for row in rows {
        let mut cells = row.trim_matches('|').split('|');
        let (names, labels) = (cells.next().unwrap(), cells.next().unwrap());
        let all: BTreeSet<String> = code(labels).into_iter().collect();
        for name in code(names) {
            // Two that share a row: only the first, a count, has the label.
            let is_plain = name == "reconcile_duration_seconds";
            let labels = if is_plain {
                BTreeSet::new()
            } else {
                all.clone()
            };
            assert!(
                documented
                    .insert(format!("mixed_stream_{name}"), labels)
                    .is_none(),
                "{name} stands twice"
            );
        }
    }
    documented
}

/// Checks text in OpenMetrics form, and that no label has a value that is not known.
pub fn assert_closed(text: &str) {
    for (label, value) in labels_of(text) {
        if label == "le" {
            assert!(value == "+Inf" || value.parse::<f64>().is_ok(), "{value}");
            continue;
        }
        assert!(
            values_of(&label).contains(&value.as_str()),
            "{label}={value}"
        );
        assert!(
            value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
            "{label}={value}"
        );
    }
}

/// Checks text in OpenMetrics form; returns every label with its value.
fn labels_of(text: &str) -> Vec<(String, String)> {
    assert!(text.ends_with("# EOF\n"), "{text}");
    let mut labels = Vec::new();
    let mut family = ("", "");
    let mut families = Vec::new();
    for line in text.lines() {
        if line == "# EOF" {
            continue;
        }
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            let (what, name, value) = (words.next(), words.next().unwrap(), words.next());
            match what {
                Some("TYPE") => {
                    family = (name, value.unwrap());
                    assert!(!families.contains(&name), "{name} comes twice");
                    families.push(name);
                }
                Some("HELP") => assert!(value.is_some_and(|help| !help.is_empty()), "{line}"),
                Some("UNIT") => assert!(name.ends_with(value.unwrap()), "{line}"),
                other => panic!("{other:?} in {line}"),
            }
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        value.parse::<f64>().unwrap();
        let (name, inner) = match sample.split_once('{') {
            Some((name, inner)) => (name, inner.strip_suffix('}').unwrap()),
            None => (sample, ""),
        };
        assert!(name.starts_with("mixed_stream_"), "{line}");
        let suffix = name
            .strip_prefix(family.0)
            .unwrap_or_else(|| panic!("{line} outside of its family"));
        let suffixes: &[&str] = match family.1 {
            "counter" => &["_total"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_sum", "_count"],
            other => panic!("{other} in {line}"),
        };
        assert!(suffixes.contains(&suffix), "{line}");
        for label in inner.split(',').filter(|label| !label.is_empty()) {
            let (label, value) = label.split_once('=').unwrap();
            let value = value.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
            labels.push((label.to_owned(), value.to_owned()));
        }
    }
    assert!(families.len() >= 10, "{families:?}");
    labels
}

#[tokio::test]
async fn metrics_are_open_metrics_with_closed_labels() {
    let scene = Scene::new("counted").await;
    let failure = json!({"action": "StopLiveMPUTask", "times": 2, "kind": "error", "status": 400, "code": "WordOfTheService", "message": "words of the service"});
    scene.simulator.order_fault(&failure).await.unwrap();
    scene.start_task("task-in-question").await;
    scene.create("task-in-question").await;
    scene.until_reason("task-in-question", "Armed").await;
    // The status is stored a moment before the operator counts it.
    eventually("the armed object is counted", PATIENCE, async || {
        let armed = [("phase", "Armed")];
        let armed = scene.operator.metric("mixed_stream_tasks", &armed).await;
        if (armed - 1.0).abs() < f64::EPSILON {
            Ok(())
        } else {
            Err(armed)
        }
    })
    .await;
    scene.delete("task-in-question").await;
    scene.until_gone("task-in-question").await;
    // The object is gone a moment before its reconcile is counted.
    let text = eventually("the release is counted", PATIENCE, async || {
        let text = scene.operator.metrics().await;
        if text.contains("outcome=\"released\"") && text.contains("mixed_stream_events_total{") {
            Ok(text)
        } else {
            Err(text)
        }
    })
    .await;
    for word in [
        "task-in-question",
        "counted-",
        "service",
        "WordOfTheService",
        APP,
        "127.0.0.1",
    ] {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        for line in samples {
            assert!(!line.contains(word), "{line}");
        }
    }
    assert_closed(&text);
    let released = scene
        .operator
        .metric("mixed_stream_releases_total", &[])
        .await;
    assert!((released - 1.0).abs() < f64::EPSILON, "{released}");
    let refused = scene
        .operator
        .metric("mixed_stream_live_calls_total", &[])
        .await;
    assert!((refused - 3.0).abs() < f64::EPSILON, "{text}");
    // An access key is not fetched: those of a role are held against the page where there is one.
    let (fetched, others): (BTreeMap<_, _>, BTreeMap<_, _>) = documented()
        .into_iter()
        .partition(|(name, _)| is_of_fetched_credentials(name));
    assert_eq!(fetched.len(), 2);
    assert_eq!(shown(&text), others);
    let limit = [("action", "stop")];
    let limit = scene
        .operator
        .metric("mixed_stream_limiter_limit", &limit)
        .await;
    assert!((limit - 500.0).abs() < f64::EPSILON, "{limit}");
}

/// What the limiter does is to be seen: the share of the quota, a throttled call, and what that leaves.
#[tokio::test]
async fn a_throttled_action_shows_in_its_limit() {
    let scene = Scene::with("limited", |launch| {
        launch.flags([
            "--quota-share",
            "0.5",
            "--backoff-min",
            "2s",
            "--backoff-max",
            "2s",
        ])
    })
    .await;
    let limit = async |action: &str| {
        let labels = [("action", action)];
        scene
            .operator
            .metric("mixed_stream_limiter_limit", &labels)
            .await
    };
    let is = |value: f64, expected: f64| (value - expected).abs() < f64::EPSILON;
    for (action, expected) in [("stop", 250.0), ("list", 25.0), ("channel_users", 50.0)] {
        let shown = limit(action).await;
        assert!(is(shown, expected), "{action}: {shown}");
    }
    let all = json!({"neighbourShare": 1.0});
    scene.simulator.set_account("default", &all).await.unwrap();
    scene.start_task("x").await;
    scene.create("x").await;
    scene.until_reason("x", "Armed").await;
    scene.delete("x").await;
    scene.until_reason("x", "Throttled").await;
    let refused = [("action", "stop"), ("sign", "refused")];
    let refused = scene
        .operator
        .metric("mixed_stream_throttles_total", &refused)
        .await;
    assert!(refused >= 1.0, "{refused}");
    assert!(is(limit("stop").await, 0.0), "nothing is left");
    assert!(is(limit("list").await, 25.0), "the others are as they were");
    let none = json!({"neighbourShare": 0.0});
    scene.simulator.set_account("default", &none).await.unwrap();
    scene.until_gone("x").await;
    assert!(limit("stop").await > 0.0);
}

/// The pages of a bulk read stand in line like any other call, and that is counted like theirs.
#[tokio::test]
async fn a_bulk_read_shows_in_the_waits_for_a_turn() {
    let scene = crate::relay::scene("sweeping").await;
    scene.relay(Relay::single(APP, "x")).await;
    scene.until_reason("x", "WaitingForChannel").await;
    let turns = async |action: &str| {
        let labels = [("action", action)];
        let name = "mixed_stream_limiter_wait_seconds_count";
        scene.operator.metric(name, &labels).await
    };
    let read = scene.calls_of(ROOMS).await;
    assert!(read >= 1, "{read}");
    assert!(
        turns("rooms").await >= 1.0,
        "{}",
        scene.operator.metrics().await
    );
    assert!(turns("start").await < 1.0);
    scene.end("x").await;
}
