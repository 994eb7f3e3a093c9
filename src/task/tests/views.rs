//! Objects are read leniently: what cannot be read is told, and nothing that protects the task is lost.

use super::*;
use crate::api::DeletionPolicy;

#[test]
fn a_sound_object_is_read_whole() {
    let object = changed(
        changed(
            deleting(),
            "/spec",
            json!({"deletionPolicy": "Orphan", "suspend": true}),
        ),
        "/metadata",
        json!({"annotations": {"mixedstream.io/reconcile-requested-at": "1", "mixedstream.io/release-without-stop": ""}}),
    );
    let view = view(object);
    assert_eq!(view.policy, DeletionPolicy::Orphan);
    assert!(view.suspend && view.is_deleting() && view.is_guarded() && view.has_claim());
    assert_eq!(view.requested.as_deref(), Some("1"));
    assert_eq!(view.release.as_deref(), Some(""));
    assert_eq!(view.ids.unwrap().task.as_str(), "final-42");
    assert_eq!(view.defect, None);
}

#[test]
fn unreadable_parts_do_not_hide_the_readable_ones() {
    for (spec, policy, suspend) in [
        (json!({"suspend": "yes"}), DeletionPolicy::Stop, false),
        (
            json!({"deletionPolicy": "Keep", "suspend": true}),
            DeletionPolicy::Stop,
            true,
        ),
        (
            json!({"deletionPolicy": "Orphan", "suspend": 1}),
            DeletionPolicy::Orphan,
            false,
        ),
    ] {
        let view = view(changed(armed(), "/spec", spec.clone()));
        assert!(view.ids.is_ok() && view.defect.is_some(), "{spec}");
        assert_eq!((view.policy, view.suspend), (policy, suspend), "{spec}");
    }
}

#[test]
fn ids_that_the_service_could_not_take_are_not_ids() {
    for (spec, field) in [
        (json!({"appId": null}), "spec.appId"),
        (json!({"appId": ""}), "spec.appId"),
        (json!({"appId": "a".repeat(65)}), "spec.appId"),
        (json!({"taskId": "a&Action=x"}), "spec.taskId"),
        (json!({"taskId": ["final-42"]}), "spec.taskId"),
        (json!({"taskId": "a".repeat(56)}), "spec.taskId"),
    ] {
        let view = view(changed(armed(), "/spec", spec.clone()));
        assert!(
            view.ids.as_ref().is_err_and(|why| why.starts_with(field)),
            "{spec}: {:?}",
            view.ids
        );
    }
}

#[test]
fn a_claim_survives_whatever_else_is_wrong_with_the_status() {
    for status in [
        json!({"phase": "Unheard", "claim": {"at": "2026-01-02T03:04:06Z"}}),
        json!({"conditions": "none", "claim": {"at": "2026-01-02T03:04:06Z"}}),
        json!({"claim": {"at": "yesterday"}}),
        json!({"claim": 1}),
    ] {
        assert!(
            view(changed(armed(), "", json!({"status": status.clone()}))).has_claim(),
            "{status}"
        );
    }
    for status in [
        json!({}),
        json!({"claim": null}),
        json!("nothing"),
        json!({"phase": "Unheard"}),
    ] {
        assert!(
            !view(changed(armed(), "", json!({"status": status.clone()}))).has_claim(),
            "{status}"
        );
    }
}

#[test]
fn an_object_without_metadata_is_no_object() {
    let bare: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "mixedstream.io/v1alpha1", "kind": "MixedStreamTask", "metadata": {"name": "x"}
    }))
    .unwrap();
    assert_eq!(View::read(&bare, "mso"), None);
}

#[test]
fn what_is_wrong_with_an_address_is_told_without_it() {
    let output = json!({"url": "rtmp://h.example/live/KEY"});
    for outputs in [
        json!("rtmp://h.example/live/KEY"),
        json!("KEY\" and KEY"),
        json!(["rtmp://h.example/live/KEY"]),
        json!([{"url": "rtmp://h.example/live/KEY", "aliCdn": "KEY"}]),
        json!([output, "KEY"]),
        json!([{"urlFrom": "KEY"}]),
        json!({"KEY": "KEY"}),
    ] {
        let relay = json!({"channelId": "room", "outputs": outputs});
        let view = view(changed(armed(), "/spec", json!({"relay": relay})));
        let defect = view.defect.unwrap();
        assert!(!defect.contains("KEY"), "{defect}");
    }
}

/// Whoever may edit an object can set the annotation: a claim that was made on one id must not become one on another.
#[test]
fn a_claim_fixes_the_id_that_it_was_made_on() {
    let spec = json!({"spec": {"appId": "app-01", "relay": {
        "channelId": "room-42", "outputs": [{"url": "rtmp://push.example.com/live/a"}], "single": {"userId": "host"}
    }}});
    let object = changed(
        changed(armed(), "", spec),
        "/metadata",
        json!({
            "annotations": {"mixedstream.io/adopt-running-task": "show"}
        }),
    );
    let id = |status: Value| {
        let view = view(changed(object.clone(), "", json!({"status": status})));
        view.ids.unwrap().task.as_str().to_owned()
    };
    assert_eq!(id(json!({})), "show");
    assert_eq!(id(json!({"taskId": "mso-uid-1"})), "show");
    let claimed = json!({"taskId": "mso-uid-1", "claim": {"at": "2026-01-02T03:04:06Z"}});
    assert_eq!(id(claimed), "mso-uid-1");
}
