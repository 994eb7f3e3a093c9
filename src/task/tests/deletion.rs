//! The finalizer goes on positive evidence and on nothing else.

use super::*;
use crate::api::{Phase, Reason};
use proptest::prelude::*;

pub const HOUR: Duration = Duration::from_hours(1);

/// Every class that is not evidence, whatever is asked.
const NOT_EVIDENCE: [Class; 11] = [
    Class::Throttled,
    Class::ServiceUnavailable,
    Class::AppIdRejected,
    Class::RequestRejected,
    Class::AccessDenied,
    Class::ServiceNotEnabled,
    Class::CredentialsRejected,
    Class::CredentialsStale,
    Class::CredentialsMissing,
    Class::ClockSkew,
    Class::NonceUsed,
];

pub fn unix(now: Duration) -> i64 {
    1_700_000_000 + i64::try_from(now.as_secs()).unwrap()
}

#[test]
fn an_accepted_stop_is_one_call_and_no_status() {
    let mut life = Life::of(deleting());
    let evidence = life.run(HOUR, |_, _| accepted());
    assert_eq!(
        evidence,
        Some(Evidence::StopAccepted {
            request_id: "REQUEST".to_owned()
        })
    );
    assert_eq!(life.calls, [(Duration::ZERO, Call::Stop { ripe: false })]);
    assert_eq!(life.told, []);
}

#[test]
fn a_task_that_is_gone_costs_one_stop_and_one_look() {
    let mut life = Life::of(deleting());
    let evidence = life.run(HOUR, |call, _| match call {
        Call::Stop { .. } => failed(Class::NotFoundLike),
        _ => Answer::Task(None),
    });
    assert_eq!(evidence, Some(Evidence::NotListed));
    assert_eq!(
        life.calls,
        [
            (Duration::ZERO, Call::Stop { ripe: false }),
            (Duration::ZERO, Call::ListTask)
        ]
    );
    assert_eq!(life.told, []);
}

#[test]
fn three_internal_errors_over_ten_seconds_stand_for_not_found() {
    for jitter in [0.0, 0.3, 0.999] {
        let mut life = Life {
            jitter,
            ..Life::of(deleting())
        };
        let evidence = life.run(HOUR, |call, _| match call {
            Call::Stop { .. } => failed(Class::InternalError),
            _ => Answer::Task(None),
        });
        assert_eq!(evidence, Some(Evidence::NotListed));
        let stops = life.stops();
        assert_eq!(stops.len(), 3, "{stops:?}");
        assert!(stops[2] - stops[0] >= 10 * SECOND, "{stops:?}");
    }
}

#[test]
fn internal_errors_of_a_running_task_are_not_evidence() {
    let mut life = Life::of(deleting());
    let mut stops = 0;
    let evidence = life.run(HOUR, |call, _| match call {
        Call::Stop { .. } => {
            stops += 1;
            if stops <= 3 {
                failed(Class::InternalError)
            } else {
                accepted()
            }
        }
        Call::Users(_) => Answer::Users {
            empty: false,
            timestamp: 0,
        },
        _ => Answer::Task(Some(shown(None))),
    });
    assert!(
        matches!(evidence, Some(Evidence::StopAccepted { .. })),
        "{evidence:?}"
    );
    assert_eq!(life.stops().len(), 4);
}

#[test]
fn an_outage_of_everything_is_not_evidence() {
    let mut life = Life::of(deleting());
    assert_eq!(life.run(HOUR, |_, _| failed(Class::InternalError)), None);
    let (_, told) = life.told.last().unwrap();
    assert_eq!(
        (told.phase, told.reason),
        (Phase::Stopping, Reason::ServiceUnavailable)
    );
    // When it is over, two complete reads of the list are needed, since the list by id has answered not-found-like itself.
    let evidence = life.run(2 * HOUR, |_, _| Answer::Page {
        shows: None,
        last: true,
    });
    assert_eq!(evidence, Some(Evidence::NotListed));
    let pages = life
        .calls
        .iter()
        .rev()
        .take(2)
        .map(|(_, call)| call.clone());
    assert_eq!(
        pages.collect::<Vec<_>>(),
        [Call::ListPage(1), Call::ListPage(1)]
    );
}

#[test]
fn no_other_failure_is_evidence_however_long_it_lasts() {
    for class in NOT_EVIDENCE {
        let mut life = Life::of(deleting());
        assert_eq!(life.run(24 * HOUR, |_, _| failed(class)), None, "{class:?}");
        assert_eq!(life.told.last().unwrap().1.phase, Phase::Stopping);
        // Also where only the look fails.
        let mut life = Life::of(deleting());
        let evidence = life.run(24 * HOUR, |call, _| match call {
            Call::Stop { .. } => failed(Class::NotFoundLike),
            _ => failed(class),
        });
        assert_eq!(evidence, None, "{class:?}");
    }
}

#[test]
fn a_list_that_does_not_know_ids_is_read_twice_to_its_end() {
    let mut life = Life::of(deleting());
    let evidence = life.run(HOUR, |call, _| match call {
        Call::Stop { .. } | Call::ListTask => failed(Class::NotFoundLike),
        Call::ListPage(page) => Answer::Page {
            shows: None,
            last: *page == 3,
        },
        Call::Users(_) | Call::Start | Call::Update | Call::Identify => panic!("not for this"),
    });
    assert_eq!(evidence, Some(Evidence::NotListed));
    let pages: Vec<u32> = life
        .calls
        .iter()
        .filter_map(|(_, call)| match call {
            Call::ListPage(page) => Some(*page),
            _ => None,
        })
        .collect();
    assert_eq!(pages, [1, 2, 3, 1, 2, 3]);
}

#[test]
fn a_task_that_the_second_read_shows_is_not_gone() {
    let mut life = Life::of(deleting());
    let mut reads = 0;
    let evidence = life.run(60 * SECOND, |call, _| match call {
        Call::Stop { .. } | Call::ListTask => failed(Class::NotFoundLike),
        Call::ListPage(_) => {
            reads += 1;
            Answer::Page {
                shows: if reads % 2 == 0 {
                    Some(shown(None))
                } else {
                    None
                },
                last: true,
            }
        }
        _ => Answer::Users {
            empty: false,
            timestamp: 0,
        },
    });
    assert_eq!(evidence, None);
    assert_eq!(life.told.last().unwrap().1.reason, Reason::StopUnconfirmed);
}

fn with_forbidden_list(says_gone: bool) -> (Life, Option<Evidence>) {
    let mut life = Life::of(deleting());
    let evidence = life.run(HOUR, |call, _| match call {
        Call::Stop { .. } => Answer::Failed {
            class: Class::NotFoundLike,
            words: "words".to_owned(),
            says_gone,
            may_act: false,
            retry_after: None,
        },
        _ => failed(Class::AccessDenied),
    });
    (life, evidence)
}

#[test]
fn where_the_list_is_forbidden_the_services_words_are_enough_if_they_name_the_task() {
    let (life, evidence) = with_forbidden_list(true);
    assert_eq!(evidence, Some(Evidence::StopSaidSo));
    assert_eq!(life.calls.len(), 2);
}

#[test]
fn where_the_list_is_forbidden_and_the_words_are_vague_the_permission_is_named() {
    let (life, evidence) = with_forbidden_list(false);
    assert_eq!(evidence, None);
    assert!(
        life.last_message().contains("live:ListRtcMPUTaskDetail"),
        "{}",
        life.last_message()
    );
    assert!(
        life.last_message().contains("retrying every 120 to 300 s"),
        "{}",
        life.last_message()
    );
    let stops = life.stops();
    assert!(
        stops
            .windows(2)
            .all(|pair| pair[1] - pair[0] >= 120 * SECOND),
        "asked again slowly: {stops:?}"
    );
    assert!(
        stops.len() > 2,
        "Stop is asked again, for it may say more: {stops:?}"
    );
}

#[test]
fn a_stop_that_was_accepted_is_the_evidence_whatever_is_changed_afterwards() {
    let mut life = Life::of(deleting());
    let Step::Call { call, bought } = life.step() else {
        panic!()
    };
    life.answer(call, accepted(), bought);
    life.view.policy = crate::api::DeletionPolicy::Orphan;
    assert!(matches!(
        life.step(),
        Step::Release(Evidence::StopAccepted { .. })
    ));
}

#[test]
fn a_person_can_release_it_but_only_after_a_stop_failed() {
    let annotated = |why: &str| {
        changed(
            deleting(),
            "/metadata",
            json!({"annotations": {"mixedstream.io/release-without-stop": why}}),
        )
    };
    let mut life = Life::of(annotated("account closed"));
    let evidence = life.run(HOUR, |_, _| failed(Class::AccessDenied));
    assert_eq!(
        evidence,
        Some(Evidence::Declared {
            why: "account closed".to_owned()
        })
    );
    assert_eq!(life.stops().len(), 1);
    // A Stop that works is better evidence.
    let mut life = Life::of(annotated("account closed"));
    assert!(matches!(
        life.run(HOUR, |_, _| accepted()),
        Some(Evidence::StopAccepted { .. })
    ));
    // An empty reason is none.
    let mut life = Life::of(annotated("  "));
    assert_eq!(life.run(HOUR, |_, _| failed(Class::AccessDenied)), None);
}

#[test]
fn orphan_and_contested_objects_are_released_without_a_call() {
    let mut life = Life::of(changed(
        deleting(),
        "/spec",
        json!({"deletionPolicy": "Orphan"}),
    ));
    assert_eq!(
        life.run(HOUR, |_, _| panic!("no call")),
        Some(Evidence::Orphaned)
    );
    let mut life = Life {
        standing: Standing::Contested(Rival { name: None }),
        ..Life::of(deleting())
    };
    assert_eq!(
        life.run(HOUR, |_, _| panic!("no call")),
        Some(Evidence::NeverOwned)
    );
}

#[test]
fn an_object_that_was_deleted_before_it_was_armed_claims_first_and_is_stopped() {
    let mut life = Life {
        standing: Standing::Entitled,
        ..Life::of(changed(deleting(), "", json!({"status": null})))
    };
    let Step::Record(verdict) = life.step() else {
        panic!("{:?}", life.step())
    };
    assert!(verdict.claim.is_some());
    life.record(*verdict);
    life.standing = Standing::Holder;
    assert!(matches!(
        life.run(HOUR, |_, _| accepted()),
        Some(Evidence::StopAccepted { .. })
    ));
}

#[test]
fn a_suspended_object_is_stopped_too() {
    let mut life = Life::of(changed(deleting(), "/spec", json!({"suspend": true})));
    assert!(matches!(
        life.run(HOUR, |_, _| accepted()),
        Some(Evidence::StopAccepted { .. })
    ));
}

#[test]
fn unreadable_ids_keep_the_finalizer_and_say_so_until_a_person_decides() {
    let object = changed(deleting(), "/spec", json!({"taskId": 42}));
    let mut life = Life::of(object.clone());
    assert_eq!(life.run(HOUR, |_, _| panic!("no call")), None);
    assert!(
        life.last_message().contains("spec.taskId"),
        "{}",
        life.last_message()
    );
    let mut life = Life::of(changed(
        object,
        "/metadata",
        json!({"annotations": {"mixedstream.io/release-without-stop": "by hand"}}),
    ));
    assert_eq!(
        life.run(HOUR, |_, _| panic!("no call")),
        Some(Evidence::Declared {
            why: "by hand".to_owned()
        })
    );
}

#[test]
fn a_defect_elsewhere_in_the_spec_does_not_block_the_stop() {
    let mut life = Life::of(changed(
        deleting(),
        "/spec",
        json!({"suspend": "perhaps", "deletionPolicy": 7}),
    ));
    assert!(matches!(
        life.run(HOUR, |_, _| accepted()),
        Some(Evidence::StopAccepted { .. })
    ));
}

#[test]
fn without_our_finalizer_there_is_nothing_to_do() {
    let life = Life::of(changed(
        deleting(),
        "/metadata",
        json!({"finalizers": ["example.com/other"]}),
    ));
    assert_eq!(life.step(), Step::Rest(None));
}

proptest! {
    /// Whatever the service answers: no release without one of the listed proofs, and the Stops stay spaced.
    #[test]
    fn no_sequence_of_answers_releases_a_listed_task(seed in proptest::collection::vec((0_usize..12, 0.0..1.0_f64), 1..60)) {
        let mut life = Life::of(deleting());
        let (mut turn, mut readings) = (0, 0);
        let evidence = life.run(6 * HOUR, |call, now| {
            let (pick, _) = seed[turn % seed.len()];
            turn += 1;
            if pick < NOT_EVIDENCE.len() && pick % 2 == 0 {
                return failed(NOT_EVIDENCE[pick]);
            }
            match call {
                Call::Stop { .. } if pick == 11 => failed(Class::InternalError),
                Call::Stop { .. } => failed(Class::NotFoundLike),
                Call::ListTask if pick == 9 => failed(Class::InternalError),
                Call::ListTask => Answer::Task(Some(shown(None))),
                // The task stands on the second page.
                Call::ListPage(page) => Answer::Page { shows: if *page == 2 { Some(shown(None)) } else { None }, last: *page == 2 },
                _ => {
                    readings += 1;
                    Answer::Users { empty: readings % 7 != 0, timestamp: unix(now) }
                }
            }
        });
        // Somebody comes by at least every seventh reading, long before the channel counts as empty.
        prop_assert_eq!(evidence, None);
        // Six hours at the longest spacing, half a minute on average, and some repetitions at once.
        prop_assert!(life.stops().len() < 4000, "{} Stops", life.stops().len());
    }
}
