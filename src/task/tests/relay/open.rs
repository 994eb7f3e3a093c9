//! A Start whose outcome is open, and a task id that is taken: nothing is guessed.

use super::*;

/// The first Start is not answered; what the list says afterwards.
fn unanswered(object: Value, list: impl Fn(Duration) -> Answer) -> Life {
    let mut life = Life::relay(object);
    let mut starts = 0;
    life.run(3 * SETTLE, |call, now| match call {
        Call::Start => {
            starts += 1;
            if starts == 1 { silence() } else { accepted() }
        }
        Call::Identify => list(now),
        other => panic!("{other:?}"),
    });
    life
}

#[test]
fn an_unanswered_start_that_the_list_shows_is_ours() {
    let life = unanswered(relay(), |_| Answer::Task(Some(shown(None))));
    assert_eq!(life.reason(), Reason::Running);
    assert_eq!(life.calls.len(), 2, "{:?}", life.calls);
}

#[test]
fn an_unanswered_start_that_the_list_does_not_show_is_sent_again_after_the_settle_time_only() {
    let life = unanswered(relay(), |_| Answer::Task(None));
    assert_eq!(life.reason(), Reason::Running);
    let starts = life.sent(&Call::Start);
    assert_eq!(starts.len(), 2);
    assert!(starts[1] >= SETTLE, "{starts:?}");
    let looks = life.sent(&Call::Identify);
    assert!(looks.iter().any(|at| *at >= SETTLE), "{looks:?}");
    let unknown = life
        .told
        .iter()
        .find(|(_, verdict)| verdict.reason == Reason::OutcomeUnknown);
    assert!(unknown.is_some(), "{:?}", life.reasons());
}

#[test]
fn a_start_that_takes_effect_late_is_found() {
    let life = unanswered(relay(), |now| {
        Answer::Task((now > SETTLE / 2).then(|| shown(None)))
    });
    assert_eq!(life.reason(), Reason::Running);
    assert_eq!(life.sent(&Call::Start).len(), 1);
}

/// After a restart nobody knows when the Start was sent: the settle time counts from the beginning of the process.
#[test]
fn after_a_crash_the_settle_time_begins_with_the_process() {
    let mut life = Life::relay(intended(relay()));
    life.run(3 * SETTLE, |call, _| match call {
        Call::Identify => Answer::Task(None),
        _ => accepted(),
    });
    let starts = life.sent(&Call::Start);
    assert!(starts.len() == 1 && starts[0] >= SETTLE, "{starts:?}");
    assert_eq!(life.reason(), Reason::Running);
}

#[test]
fn another_ones_task_of_that_id_is_left_alone() {
    let task = |change: fn(&mut Sighting)| {
        let mut task = shown(None);
        change(&mut task);
        task
    };
    let foreign = [
        task(|task| task.channel = Some(ChannelId::try_from("elsewhere").unwrap())),
        task(|task| task.channel = None),
        task(|task| task.mix_mode = Some("1".to_owned())),
        task(|task| task.outputs = Some(vec!["bbbb".to_owned()])),
        task(|task| task.outputs = Some(vec!["aaaa".to_owned(), "bbbb".to_owned()])),
    ];
    for sighting in foreign {
        let life = unanswered(relay(), |_| Answer::Task(Some(sighting.clone())));
        assert_eq!(life.reason(), Reason::TaskIdInUse, "{sighting:?}");
        assert_eq!(life.sent(&Call::Start).len(), 1);
        assert!(life.view.status.intent.is_none(), "the intent is withdrawn");
        let mut life = life;
        life.view.deleted = Some(life.moment().wall);
        assert_eq!(life.be_silent(), Some(Evidence::FoundForeign));
    }
}

#[test]
fn a_task_whose_outputs_cannot_be_read_is_neither_ours_nor_foreign() {
    let unclear = || {
        let mut task = shown(None);
        task.outputs = None;
        Answer::Task(Some(task))
    };
    let mut life = unanswered(relay(), |_| unclear());
    assert_eq!(life.reason(), Reason::OutcomeUnknown);
    assert_eq!(life.sent(&Call::Start).len(), 1);
    // It may be ours, so that it must not leak.
    life.view.deleted = Some(life.moment().wall);
    let evidence = life.act(|call, _| match call {
        Call::Identify => unclear(),
        _ => accepted(),
    });
    assert!(matches!(evidence, Some(Evidence::StopAccepted { .. })));
}

#[test]
fn an_id_made_from_the_uid_is_ours_whatever_stands_beside_it() {
    let life = unanswered(by_uid(), |_| another());
    assert_eq!(life.reason(), Reason::Running);
    let mut life = Life::relay(by_uid());
    life.act(|_, _| refused(Class::TaskExists));
    assert_eq!(life.reason(), Reason::Running);
    assert_eq!(life.calls.len(), 1);
}

#[test]
fn an_id_that_exists_at_the_first_start_is_foreign_and_asked_about_slowly() {
    let mut life = Life::relay(relay());
    life.run(Duration::from_hours(1), |call, _| match call {
        Call::Start => refused(Class::TaskExists),
        Call::Identify => Answer::Task(Some(shown(None))),
        other => panic!("{other:?}"),
    });
    assert_eq!(
        life.sent(&Call::Start).len(),
        1,
        "nobody else's id is tried again"
    );
    assert_eq!(life.reason(), Reason::TaskIdInUse);
    let message = life.last_message();
    assert!(message.contains("adopt-running-task"), "{message}");
    let looks = life.sent(&Call::Identify).len();
    assert!((10..=31).contains(&looks), "{looks} looks in an hour");
    life.view.deleted = Some(life.moment().wall);
    assert_eq!(life.be_silent(), Some(Evidence::FoundForeign));
}

#[test]
fn a_foreign_task_that_is_gone_makes_room() {
    let mut life = Life::relay(relay());
    let mut starts = 0;
    life.run(Duration::from_hours(1), |call, now| match call {
        Call::Start => {
            starts += 1;
            if starts == 1 {
                refused(Class::TaskExists)
            } else {
                accepted()
            }
        }
        _ => Answer::Task((now < 10 * SETTLE).then(|| shown(None))),
    });
    assert_eq!(life.reason(), Reason::Running);
    assert_eq!(starts, 2);
}

/// The told status is all that a new process has.
#[test]
fn a_foreign_task_is_foreign_in_the_eyes_of_a_new_process() {
    let mut life = Life::relay(relay());
    life.act(|call, _| match call {
        Call::Start => refused(Class::TaskExists),
        _ => Answer::Task(Some(shown(None))),
    });
    life.memory = Memory::default();
    life.act(|call, _| match call {
        Call::Identify => Answer::Task(Some(shown(None))),
        other => panic!("{other:?}"),
    });
    assert_eq!(life.reason(), Reason::TaskIdInUse);
    life.memory = Memory::default();
    life.view.deleted = Some(life.moment().wall);
    assert_eq!(life.be_silent(), Some(Evidence::FoundForeign));
}

#[test]
fn a_task_to_adopt_is_taken_over_with_one_update_where_its_channel_is_ours() {
    for (listed, reason) in [
        (Answer::Task(Some(shown(None))), Reason::Running),
        (another(), Reason::TaskIdInUse),
        (Answer::Task(None), Reason::Running),
    ] {
        let object = changed(
            relay(),
            "/metadata",
            json!({"annotations": {"mixedstream.io/adopt-running-task": "final-42"}}),
        );
        let mut life = Life::relay(object);
        life.act(|call, _| match call {
            Call::Identify => listed.clone(),
            _ => accepted(),
        });
        assert_eq!(life.reason(), reason, "{listed:?}");
        let calls: Vec<_> = life.calls.iter().map(|(_, call)| call.clone()).collect();
        match (&listed, reason) {
            (Answer::Task(None), _) => assert_eq!(calls, [Call::Identify, Call::Start]),
            (_, Reason::Running) => assert_eq!(calls, [Call::Identify, Call::Update]),
            _ => assert_eq!(calls, [Call::Identify]),
        }
    }
}

/// As the message advises: the annotation comes to an object that waits, with its claim, for the foreign task to go.
#[test]
fn a_task_in_the_way_is_asked_for_at_once_and_is_this_objects_before_it_is_changed() {
    let mut life = Life::relay(relay());
    life.act(|call, _| match call {
        Call::Start => refused(Class::TaskExists),
        _ => Answer::Task(Some(shown(None))),
    });
    assert_eq!(life.reason(), Reason::TaskIdInUse);
    life.be_silent();
    life.view.adopt = Some("final-42".to_owned());
    life.memory.look_again();
    let Step::Call { call, .. } = life.step() else {
        panic!("{:?}", life.step())
    };
    assert_eq!(call, Call::Identify, "not when its time would have come");
    let mut recorded = false;
    let mut updates = 0;
    // What is told before the Update is what a process finds that follows a crash after it.
    life.act(|call, _| match call {
        Call::Identify => Answer::Task(Some(shown(None))),
        Call::Update => {
            updates += 1;
            silence()
        }
        other => panic!("{other:?}"),
    });
    for (_, told) in &life.told {
        recorded |= told.reason == Reason::Updating
            && told
                .ledger
                .as_ref()
                .is_some_and(|ledger| ledger.accepted.is_some());
    }
    assert!(recorded, "{:?}", life.reasons());
    assert_eq!(updates, 1);
    life.memory = Memory::default();
    life.view.deleted = Some(life.moment().wall);
    let evidence = life.act(|call, _| match call {
        Call::Stop { .. } => accepted(),
        other => panic!("{other:?}"),
    });
    assert!(matches!(evidence, Some(Evidence::StopAccepted { .. })));
}

#[test]
fn the_list_that_fails_is_no_answer() {
    for class in [
        Class::Throttled,
        Class::ServiceUnavailable,
        Class::AccessDenied,
        Class::CredentialsRejected,
    ] {
        let life = unanswered(relay(), |_| refused(class));
        assert_eq!(life.sent(&Call::Start).len(), 1, "{class:?}");
        assert_eq!(life.reason(), Reason::OutcomeUnknown, "{class:?}");
        if class == Class::AccessDenied {
            let message = life.last_message();
            assert!(message.contains("live:ListRtcMPUTaskDetail"), "{message}");
        }
    }
}

/// The list by id answers many things with such an error: it alone must not make a relay that runs look as if it never had.
#[test]
fn an_error_of_the_list_by_id_is_absence_only_where_two_complete_reads_agree() {
    for class in [Class::InternalError, Class::NotFoundLike] {
        let mut life = unanswered(relay(), |_| refused(class));
        assert_eq!(life.sent(&Call::Start).len(), 1, "{class:?}");
        assert_eq!(life.reason(), Reason::OutcomeUnknown, "{class:?}");
        let service = |call: &Call, _| match call {
            Call::Identify => refused(class),
            _ => accepted(),
        };
        // One of the reads began while the Start may still have been on its way.
        life.seen.absent = Some((SETTLE - SECOND, 2 * SETTLE));
        life.act(service);
        assert_eq!(life.sent(&Call::Start).len(), 1, "{class:?}");
        life.seen.absent = Some((SETTLE, 2 * SETTLE));
        life.act(service);
        assert_eq!(life.sent(&Call::Start).len(), 2, "{class:?}");
        assert_eq!(life.reason(), Reason::Running, "{class:?}");
    }
}

/// A relay that was started again, without an answer; the list shows a task under its id, which may be the one of before.
fn restarted() -> Life {
    let mut life = Life::relay(ended(relay(), "Requested"));
    life.now = 2 * SETTLE;
    life.channel(true);
    let mut starts = 0;
    life.run(4 * SETTLE, |call, _| match call {
        Call::Start => {
            starts += 1;
            if starts == 1 {
                silence()
            } else {
                refused(Class::Throttled)
            }
        }
        _ => Answer::Task(Some(shown(None))),
    });
    assert!(life.sent(&Call::Start).len() > 1, "{:?}", life.calls);
    life
}

#[test]
fn a_second_start_tells_whether_a_listed_task_is_the_one_of_before() {
    let mut life = restarted();
    life.run(5 * SETTLE, |call, _| match call {
        Call::Start => refused(Class::TaskExists),
        _ => Answer::Task(Some(shown(None))),
    });
    assert_eq!(life.reason(), Reason::Running);
    let mut life = restarted();
    life.run(5 * SETTLE, |_, _| accepted());
    assert_eq!(life.reason(), Reason::Running);
}

#[test]
fn what_may_run_is_stopped_though_the_last_start_was_refused() {
    let mut broken = restarted();
    broken.edit(|view| view.desired = crate::api::DesiredState::Stopped);
    broken.act(accepted_where_listed);
    assert_eq!(broken.stops().len(), 1);
    assert_eq!(broken.reason(), Reason::Stopped);
    for class in [Class::Throttled, Class::QuotaExceeded] {
        let mut life = restarted();
        life.run(5 * SETTLE, |call, _| match call {
            Call::Start => refused(class),
            other => panic!("{other:?}"),
        });
        life.view.deleted = Some(life.moment().wall);
        let evidence = life.act(accepted_where_listed);
        assert!(
            matches!(evidence, Some(Evidence::StopAccepted { .. })),
            "{class:?}: {evidence:?}"
        );
    }
}
