//! The metrics' form, and that nothing but closed words is in their labels.

use serde_json::json;
use support::eventually;

use crate::scene::{APP, PATIENCE, Scene};

/// The label names, each with the values that it may have.
const LABELS: [(&str, &str); 8] = [
    ("action", "stop list users"),
    ("result", ""),
    ("reason", ""),
    ("evidence", ""),
    (
        "phase",
        "Pending Armed Running Stopping Stopped Suspended Failed",
    ),
    ("write", "guard status release"),
    ("outcome", "settled waiting queued released failed"),
    ("state", "waiting running"),
];

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
        if text.contains("outcome=\"released\"") {
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
    for (label, value) in labels_of(&text) {
        if label == "le" {
            assert!(value == "+Inf" || value.parse::<f64>().is_ok(), "{value}");
            continue;
        }
        let known = LABELS.iter().find(|(name, _)| *name == label);
        let (_, values) = known.unwrap_or_else(|| panic!("unknown label {label}={value}"));
        let is_known = values.is_empty() || values.split(' ').any(|known| known == value);
        assert!(is_known, "{label}={value}");
        assert!(
            value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
            "{label}={value}"
        );
    }
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
}
