//! The kstatus library as tests ask it, with objects by hand: it can say each of its words.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use serde_json::{Value, json};
use support::Kstatus;
use support::kstatus::Kind;

/// An object of generation 2 with this status, and with this in its metadata.
fn object(metadata: &Value, status: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "example.com/v1",
        "kind": "Example",
        "metadata": {"name": "example", "generation": 2},
        "status": status,
    });
    for (field, value) in metadata.as_object().unwrap() {
        object["metadata"][field] = value.clone();
    }
    object
}

fn condition(kind: &str, status: &str) -> Value {
    json!({"type": kind, "status": status, "reason": "Because", "message": format!("{kind} it is")})
}

#[tokio::test]
async fn it_says_each_of_its_words() {
    let mut kstatus = Kstatus::start().await;
    let plain = json!({});
    let deleted = json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
    let with = |conditions: &[Value]| json!({"observedGeneration": 2, "conditions": conditions});
    for (object, wanted, words) in [
        (Value::Null, Kind::NotFound, ""),
        (object(&plain, &json!({})), Kind::Current, ""),
        (
            object(&plain, &with(&[condition("Ready", "True")])),
            Kind::Current,
            "",
        ),
        (
            object(&plain, &with(&[condition("Ready", "False")])),
            Kind::InProgress,
            "Ready it is",
        ),
        (
            object(&plain, &json!({"observedGeneration": -1})),
            Kind::InProgress,
            "observed generation is -1",
        ),
        (
            object(
                &plain,
                &with(&[
                    condition("Ready", "False"),
                    condition("Reconciling", "True"),
                ]),
            ),
            Kind::InProgress,
            "Reconciling it is",
        ),
        (
            object(
                &plain,
                &with(&[condition("Ready", "False"), condition("Stalled", "True")]),
            ),
            Kind::Failed,
            "Stalled it is",
        ),
        (
            object(&deleted, &with(&[condition("Ready", "True")])),
            Kind::Terminating,
            "deletion",
        ),
        (
            object(&plain, &json!({"observedGeneration": "two"})),
            Kind::Unknown,
            "observedGeneration",
        ),
    ] {
        let verdict = kstatus.ask(&object).await;
        assert_eq!(verdict.status, wanted, "{object:#}: {verdict:?}");
        assert!(verdict.message.contains(words), "{object:#}: {verdict:?}");
    }
}

#[tokio::test]
#[should_panic(expected = "kstatus has ended")]
async fn what_is_no_object_is_not_judged() {
    Kstatus::start().await.ask(&json!({})).await;
}
