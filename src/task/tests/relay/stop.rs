//! The deletion of a relay, at every point of its life.

use super::*;

fn stop_accepted() -> Evidence {
    Evidence::StopAccepted {
        request_id: "REQUEST".to_owned(),
    }
}

#[test]
fn each_state_has_its_own_evidence_and_only_two_of_them_cost_a_call() {
    let table = [
        (relay(), Evidence::NeverStarted, 0),
        (started(relay()), stop_accepted(), 1),
        (ended(relay(), "Requested"), Evidence::StoppedBefore, 0),
        (ended(relay(), "MaxDuration"), Evidence::StoppedBefore, 0),
        (ended(relay(), "ChannelEmpty"), stop_accepted(), 1),
        (ended(relay(), "StoppedElsewhere"), stop_accepted(), 1),
        (ended(relay(), "Unknown"), stop_accepted(), 1),
    ];
    for (object, expected, calls) in table {
        let mut life = Life::relay(deleted(object.clone()));
        let evidence = life.run(SETTLE, |_, _| accepted());
        assert_eq!(evidence, Some(expected), "{object}");
        assert_eq!(life.calls.len(), calls, "{object}");
        assert_eq!(life.told, [], "{object}");
    }
}

#[test]
fn deletion_needs_neither_parameters_nor_a_readable_spec_nor_the_policy() {
    let broken = changed(
        started(relay()),
        "/spec",
        json!({"relay": {"channelId": 7}}),
    );
    let lives = [
        Life::relay(deleted(broken)),
        Life {
            wanted: Wanted::Nothing,
            ..Life::relay(deleted(started(relay())))
        },
        Life {
            allowed: false,
            ..Life::relay(deleted(started(relay())))
        },
        Life::relay(deleted(changed(
            started(relay()),
            "/spec",
            json!({"suspend": true, "desiredState": "Stopped"}),
        ))),
    ];
    for mut life in lives {
        assert_eq!(life.act(|_, _| accepted()), Some(stop_accepted()));
        assert_eq!(life.calls.len(), 1);
    }
}

#[test]
fn an_orphan_runs_on() {
    let object = changed(
        started(relay()),
        "/spec",
        json!({"deletionPolicy": "Orphan"}),
    );
    let mut life = Life::relay(deleted(object));
    assert_eq!(life.be_silent(), Some(Evidence::Orphaned));
}

/// Whatever is answered to the Stops before it: the Start may come after them.
#[test]
fn while_a_start_is_open_no_evidence_counts_and_one_more_stop_follows() {
    for first in [accepted(), refused(Class::NotFoundLike)] {
        let mut life = Life::relay(by_uid());
        life.act(|call, _| match call {
            Call::Start => silence(),
            _ => refused(Class::Throttled),
        });
        life.now = 5 * SECOND;
        life.view.deleted = Some(life.moment().wall);
        let evidence = life.run(10 * SETTLE, |call, now| match call {
            Call::Stop { .. } if now < SETTLE => first.clone(),
            Call::Stop { .. } => refused(Class::NotFoundLike),
            Call::ListTask => Answer::Task(None),
            other => panic!("{other:?}"),
        });
        assert_eq!(evidence, Some(Evidence::NotListed));
        let stops = life.stops();
        assert_eq!(stops[0], 5 * SECOND, "the first Stop waits for nothing");
        assert_eq!(stops.last(), Some(&SETTLE), "{stops:?}");
        assert_eq!(stops.len(), 2, "{stops:?}");
        assert!(life.now >= SETTLE);
    }
}

#[test]
fn after_a_restart_an_open_start_is_open_for_the_settle_time_of_the_new_process() {
    let mut life = Life::relay(deleted(intended(by_uid())));
    let evidence = life.run(10 * SETTLE, |_, _| accepted());
    assert_eq!(evidence, Some(stop_accepted()));
    assert_eq!(life.stops(), [Duration::ZERO, SETTLE]);
}

#[test]
fn whose_task_it_is_is_asked_before_an_open_start_is_stopped() {
    let mut life = Life::relay(deleted(intended(relay())));
    let evidence = life.run(10 * SETTLE, |call, _| match call {
        Call::Identify => another(),
        other => panic!("{other:?}"),
    });
    assert_eq!(evidence, Some(Evidence::FoundForeign));
    // Where that cannot be told, a task of ours must not leak.
    let mut life = Life::relay(deleted(intended(relay())));
    let evidence = life.run(10 * SETTLE, |call, _| match call {
        Call::Identify => refused(Class::AccessDenied),
        _ => accepted(),
    });
    assert_eq!(evidence, Some(stop_accepted()));
    assert_eq!(life.sent(&Call::Identify).len(), 1);
}

/// The intent is this process's own, and what the service answered leaves no doubt.
#[test]
fn an_intent_on_which_no_start_was_sent_needs_no_stop() {
    let mut life = Life::relay(relay());
    let Step::Record(told) = life.step() else {
        panic!("{:?}", life.step())
    };
    life.record(*told);
    life.view.deleted = Some(life.moment().wall);
    assert_eq!(life.be_silent(), Some(Evidence::NeverStarted));
    // Another process does not know that.
    life.memory = Memory::default();
    assert!(matches!(life.step(), Step::Call { .. }));
}

#[test]
fn a_relay_started_again_is_stopped_though_it_was_stopped_before() {
    let mut life = Life::relay(ended(relay(), "Requested"));
    life.now = 2 * SETTLE;
    life.channel(true);
    life.act(|call, _| match call {
        Call::Start => silence(),
        _ => refused(Class::Throttled),
    });
    life.view.deleted = Some(life.moment().wall);
    let evidence = life.run(10 * SETTLE, |call, _| match call {
        Call::Identify => Answer::Task(None),
        _ => accepted(),
    });
    assert_eq!(evidence, Some(stop_accepted()));
    assert!(life.now >= 3 * SETTLE);
}

#[test]
fn a_task_that_the_bulk_reads_do_not_show_needs_no_look_of_its_own() {
    let mut life = Life::relay(deleted(started(relay())));
    life.now = SECOND;
    life.now = 2 * SETTLE;
    let mut absent = None;
    let evidence = life.act(|call, now| match call {
        Call::Stop { .. } => {
            absent = Some((now + SECOND, now + 2 * SECOND));
            refused(Class::NotFoundLike)
        }
        _ => refused(Class::Throttled),
    });
    assert_eq!(evidence, None);
    // One of the two began before the Stop was answered: no proof.
    life.seen.absent = Some((Duration::ZERO, 2 * SECOND));
    life.now += 3 * SECOND;
    let (Step::Call { .. } | Step::Rest(Some(_))) = life.step() else {
        panic!("{:?}", life.step())
    };
    life.seen.absent = absent;
    assert_eq!(life.be_silent(), Some(Evidence::NotListed));
}

/// A person's word frees an object whose Stop fails, and not before.
#[test]
fn a_declared_release_comes_after_a_failed_stop() {
    let mut life = Life::relay(deleted(started(relay())));
    life.view.release = Some("seen stopped in the console".to_owned());
    let evidence = life.act(|_, _| refused(Class::AccessDenied));
    assert!(matches!(evidence, Some(Evidence::Declared { .. })));
    assert_eq!(life.stops().len(), 1);
}

#[test]
fn one_that_is_not_entitled_stops_nothing() {
    let minimal = changed(armed(), "", json!({"status": {"observedGeneration": -1}}));
    for (standing, allowed, evidence) in [
        (
            Standing::Contested(Rival { name: None }),
            true,
            Evidence::NeverOwned,
        ),
        (Standing::Entitled, false, Evidence::NotAllowed),
        (Standing::Unsure, false, Evidence::NotAllowed),
    ] {
        let mut life = Life {
            standing,
            allowed,
            ..Life::of(deleted(minimal.clone()))
        };
        assert_eq!(life.be_silent(), Some(evidence));
    }
}

#[test]
fn a_task_started_a_moment_ago_is_not_gone_because_the_service_does_not_know_it_yet() {
    let mut life = Life::relay(deleted(started(relay())));
    life.now = 2 * SECOND;
    let mut stops = 0;
    let evidence = life.run(Duration::from_hours(1), |call, now| match call {
        Call::Stop { .. } => {
            stops += 1;
            if stops == 1 {
                failed(Class::NotFoundLike)
            } else {
                accepted()
            }
        }
        Call::Users(_) => Answer::Users {
            empty: false,
            timestamp: 0,
        },
        // By then it is known everywhere.
        _ if now > SETTLE => Answer::Task(Some(shown(None))),
        _ => Answer::Task(None),
    });
    assert_eq!(evidence, Some(stop_accepted()));
    assert_eq!(life.sent(&Call::ListTask)[0], SETTLE + SECOND);
    assert_eq!(life.told[0].1.reason, Reason::StopUnconfirmed);

    // One that has run for a while is gone at once.
    let mut life = Life::relay(deleted(started(relay())));
    life.now = 2 * SETTLE;
    let evidence = life.act(|call, _| match call {
        Call::Stop { .. } => failed(Class::NotFoundLike),
        _ => Answer::Task(None),
    });
    assert_eq!(evidence, Some(Evidence::NotListed));
}

/// What a break has learnt before is no evidence of the deletion, and its wait is not the deletion's; an accepted Stop is both's.
#[test]
fn a_deletion_begins_anew_but_for_an_accepted_stop() {
    let mut life = Life::relay(started(relay()));
    life.view.desired = crate::api::DesiredState::Stopped;
    life.act(|_, _| refused(Class::AccessDenied));
    assert!(life.memory.trail.failed);
    assert!(matches!(life.step(), Step::Rest(Some(at)) if at > life.now));
    life.view.deleted = Some(life.moment().wall);
    life.memory.begin_deletion();
    assert!(!life.memory.trail.failed);
    let Step::Call { call, bought } = life.step() else {
        panic!("{:?}", life.step())
    };
    life.answer(call, accepted(), bought);
    life.memory.begin_deletion();
    assert_eq!(life.step(), Step::Release(stop_accepted()));
}
