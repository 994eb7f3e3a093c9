//! What is told of an object that lives.

use super::*;
use crate::api::{ConditionType, Phase, Reason};

fn verdict(life: &Life) -> Verdict {
    match life.step() {
        Step::Record(verdict) => *verdict,
        other => panic!("{other:?}"),
    }
}

/// An object as the API server stores it at creation.
fn fresh() -> Value {
    changed(
        changed(armed(), "", json!({"status": {"observedGeneration": -1}})),
        "/metadata",
        json!({"finalizers": null}),
    )
}

#[test]
fn the_finalizer_comes_before_anything_else() {
    let objects = [
        fresh(),
        changed(fresh(), "/spec", json!({"suspend": true})),
        changed(fresh(), "/spec", json!({"deletionPolicy": "Orphan"})),
        changed(fresh(), "/spec", json!({"taskId": 1})),
        changed(
            fresh(),
            "/metadata",
            json!({"finalizers": ["example.com/other"]}),
        ),
    ];
    for object in objects {
        for standing in [
            Standing::Entitled,
            Standing::Unsure,
            Standing::Holder,
            Standing::Contested(Rival { name: None }),
        ] {
            let life = Life {
                standing,
                ..Life::of(object.clone())
            };
            assert_eq!(life.step(), Step::Guard);
        }
    }
}

#[test]
fn nothing_is_claimed_before_every_older_object_is_known() {
    let life = Life {
        standing: Standing::Unsure,
        ..Life::of(changed(armed(), "", json!({"status": null})))
    };
    assert_eq!(life.step(), Step::Rest(None));
}

#[test]
fn one_write_arms_and_claims_and_then_there_is_silence() {
    let mut life = Life {
        standing: Standing::Entitled,
        ..Life::of(changed(
            armed(),
            "",
            json!({"status": {"observedGeneration": -1}}),
        ))
    };
    let told = verdict(&life);
    assert_eq!((told.phase, told.reason), (Phase::Armed, Reason::Armed));
    assert!(told.claim.is_some());
    life.record(told);
    life.standing = Standing::Holder;
    life.now += Duration::from_hours(1);
    assert_eq!(life.step(), Step::Rest(None));
    let status = &life.view.status;
    assert_eq!(status.observed_generation, Some(1));
    assert_eq!(status.task_id.as_deref(), Some("final-42"));
}

#[test]
fn an_armed_object_rests_and_its_labels_change_nothing() {
    let mut life = Life::of(armed());
    assert_eq!(life.step(), Step::Rest(None));
    life.view.resource_version = "11".to_owned();
    assert_eq!(life.step(), Step::Rest(None));
}

#[test]
fn suspended_objects_keep_their_claim_and_make_none() {
    let suspended = changed(armed(), "/spec", json!({"suspend": true}));
    let told = verdict(&Life::of(suspended.clone()));
    assert_eq!(
        (told.phase, told.reason),
        (Phase::Suspended, Reason::Suspended)
    );
    assert!(told.claim.is_some());
    let unclaimed = changed(suspended, "", json!({"status": {"observedGeneration": -1}}));
    let told = verdict(&Life {
        standing: Standing::Entitled,
        ..Life::of(unclaimed)
    });
    assert_eq!(told.reason, Reason::Suspended);
    assert!(told.claim.is_none());
}

#[test]
fn a_contested_object_names_the_holder_only_within_its_namespace() {
    let object = changed(armed(), "", json!({"status": null}));
    for (by, words) in [
        (Some("other".to_owned()), "the object other"),
        (None, "an object in another namespace"),
    ] {
        let told = verdict(&Life {
            standing: Standing::Contested(Rival { name: by }),
            ..Life::of(object.clone())
        });
        assert_eq!(
            (told.phase, told.reason),
            (Phase::Failed, Reason::TaskIdInUse)
        );
        assert!(told.message.contains(words), "{}", told.message);
        assert!(told.claim.is_none());
    }
}

#[test]
fn an_unreadable_object_says_what_is_wrong_and_keeps_its_claim() {
    let told = verdict(&Life::of(changed(
        armed(),
        "/spec",
        json!({"suspend": "perhaps"}),
    )));
    assert_eq!(
        (told.phase, told.reason),
        (Phase::Failed, Reason::InvalidSpec)
    );
    assert!(
        told.message.contains("perhaps") && told.claim.is_some(),
        "{}",
        told.message
    );
    let told = verdict(&Life::of(changed(armed(), "/spec", json!({"appId": null}))));
    assert!(told.message.contains("spec.appId"), "{}", told.message);
}

#[test]
fn a_request_for_a_reconcile_is_answered() {
    let mut life = Life::of(changed(
        armed(),
        "/metadata",
        json!({"annotations": {"mixedstream.io/reconcile-requested-at": "now"}}),
    ));
    let told = verdict(&life);
    life.record(told);
    assert_eq!(
        life.view.status.last_handled_reconcile_at.as_deref(),
        Some("now")
    );
    assert_eq!(life.step(), Step::Rest(None));
}

#[test]
fn conditions_are_what_kstatus_reads() {
    for reason in Reason::ALL {
        let verdict = Verdict {
            phase: Phase::Pending,
            reason,
            message: "words".to_owned(),
            claim: None,
            handled: None,
            ledger: None,
            caveats: Vec::new(),
        };
        let status = verdict.status(&view(fresh()), &[], Timestamp::UNIX_EPOCH);
        let conditions: Vec<(&str, &str)> = status
            .conditions
            .iter()
            .map(|condition| (condition.type_.as_str(), condition.status.as_str()))
            .collect();
        let expected = match reason.condition() {
            ConditionType::Ready => vec![("Ready", "True")],
            other => vec![("Ready", "False"), (other.as_str(), "True")],
        };
        assert_eq!(conditions, expected, "{reason}");
        assert!(
            status
                .conditions
                .iter()
                .all(|condition| condition.reason == reason.as_str())
        );
    }
}

#[test]
fn the_transition_time_moves_only_with_the_status() {
    let object = view(armed());
    let before = object.status.conditions[0].last_transition_time.clone();
    let ready = |reason| Verdict {
        phase: Phase::Armed,
        reason,
        message: "words".to_owned(),
        claim: None,
        handled: None,
        ledger: None,
        caveats: Vec::new(),
    };
    let later = Timestamp::UNIX_EPOCH;
    let still_true = ready(Reason::Suspended).status(&object, &[], later);
    assert_eq!(still_true.conditions[0].last_transition_time, before);
    let now_false = ready(Reason::Throttled).status(&object, &[], later);
    assert_eq!(now_false.conditions[0].last_transition_time.0, later);
}

#[test]
fn a_standing_release_without_stop_is_told_before_it_matters() {
    let annotation = |why: &str| {
        let annotations = json!({"annotations": {"mixedstream.io/release-without-stop": why}});
        verdict(&Life::of(changed(armed(), "/metadata", annotations))).message
    };
    let told = annotation("ticket 4711");
    assert!(told.contains("if the first Stop succeeds"), "{told}");
    let life = Life::of(changed(
        armed(),
        "/metadata",
        json!({"annotations": {"mixedstream.io/release-without-stop": "  "}}),
    ));
    assert_eq!(life.view.declared(), None);
}
