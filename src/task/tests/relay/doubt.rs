//! A named task whose Start has no answer, in a break, at its end, while the list fails, and for hours.

use super::*;
use crate::{
    api::DesiredState,
    task::{memory::Memory, reconcile::fresh_until, retry::Paces},
};

/// The channel is read every ten seconds until then, and nobody is in it.
fn nobody_comes(life: &mut Life, until: Duration) {
    while life.now < until {
        life.channel(false);
        let next = life.now + 10 * SECOND;
        life.run(next, |call, _| match call {
            Call::Identify => Answer::Task(None),
            other => panic!("{other:?}"),
        });
    }
}

/// A Start without an answer, which the list does not show; then everybody leaves.
fn waiting_in_doubt() -> Life {
    let mut life = Life::relay(relay());
    life.now = SETTLE;
    life.run(SETTLE + 5 * SECOND, |call, _| match call {
        Call::Start => silence(),
        Call::Identify => Answer::Task(None),
        other => panic!("{other:?}"),
    });
    nobody_comes(&mut life, 4 * SETTLE);
    assert_eq!(life.reason(), Reason::WaitingForChannel);
    life
}

#[test]
fn a_break_in_doubt_asks_the_list_once_and_stops() {
    let mut life = waiting_in_doubt();
    let before = life.calls.len();
    life.edit(|view| view.desired = DesiredState::Stopped);
    let until = life.now + SETTLE;
    life.run(until, |call, _| match call {
        Call::Identify | Call::ListTask => Answer::Task(None),
        Call::Stop { .. } => refused(Class::NotFoundLike),
        other => panic!("{other:?}"),
    });
    let calls: Vec<_> = life.calls[before..].iter().map(|(_, call)| call).collect();
    assert!(
        matches!(
            calls[..],
            [Call::Identify, Call::Stop { .. }, Call::ListTask]
        ),
        "{calls:?}"
    );
    assert_eq!(life.reason(), Reason::Stopped);
}

#[test]
fn what_is_listed_in_doubt_is_looked_at_anew_before_a_break_stops_it() {
    let mut life = waiting_in_doubt();
    life.edit(|view| view.desired = DesiredState::Stopped);
    let until = life.now + SETTLE;
    life.run(until, |call, _| match call {
        Call::Identify => another(),
        other => panic!("{other:?}"),
    });
    assert!(life.stops().is_empty(), "{:?}", life.stops());
}

/// The end of a relay's time, in a process that does not know whether its last Start was sent.
#[test]
fn the_end_of_its_time_in_doubt_asks_the_list_once_and_stops() {
    let mut object = with_story(
        relay(),
        json!({
            "intent": {"at": "1970-01-01T00:10:00Z", "generation": 1, "parametersHash": "h1"},
            "startedAt": "1970-01-01T00:00:00Z", "stoppedAt": "1970-01-01T00:05:00Z",
        }),
    );
    object["spec"]["maxDurationSeconds"] = json!(1);
    let mut life = Life::relay(object);
    life.now = 20 * SETTLE;
    let until = life.now + 5 * SETTLE;
    life.run(until, |call, _| match call {
        Call::Identify | Call::ListTask => Answer::Task(None),
        Call::Stop { .. } => refused(Class::NotFoundLike),
        other => panic!("{other:?}"),
    });
    assert_eq!(life.sent(&Call::Identify).len(), 1, "{:?}", life.calls);
    assert_eq!(life.reason(), Reason::Completed);
}

/// Start says that the task exists, but the list does not show it: it has ended, and is cleared one day.
#[test]
fn what_exists_and_is_not_listed_is_tried_again() {
    let mut life = Life::relay(relay());
    life.now = SETTLE;
    let mut starts = 0;
    life.run(20 * SETTLE, |call, _| match call {
        Call::Start => {
            starts += 1;
            match starts {
                1 => silence(),
                2 => refused(Class::TaskExists),
                _ => accepted(),
            }
        }
        Call::Identify => Answer::Task(None),
        other => panic!("{other:?}"),
    });
    assert_eq!(life.reason(), Reason::Running);
    assert_eq!(starts, 3);
}

#[test]
fn the_list_is_asked_ever_more_rarely() {
    let mut life = Life::relay(relay());
    life.now = SETTLE;
    life.jitter = 1.0;
    life.run(SETTLE + 59 * SECOND, |call, _| match call {
        Call::Start => silence(),
        Call::Identify => Answer::Task(None),
        other => panic!("{other:?}"),
    });
    let begun = life.sent(&Call::Start)[0];
    let looks: Vec<u64> = life
        .sent(&Call::Identify)
        .iter()
        .map(|at| (*at - begun).as_secs())
        .collect();
    assert_eq!(looks, [0, 1, 3, 7, 15, 31]);
}

/// The list has to tell whose the task is before it is stopped, and does not answer.
#[test]
fn a_list_that_fails_does_not_keep_an_object_that_is_to_go_without_a_stop() {
    for class in [
        Class::CredentialsRejected,
        Class::Throttled,
        Class::ServiceUnavailable,
    ] {
        let mut life = Life::relay(deleted(intended(relay())));
        life.view.release = Some("its channel is closed for good".to_owned());
        let evidence = life.run(SETTLE, |call, _| match call {
            Call::Identify => refused(class),
            other => panic!("{other:?}"),
        });
        assert!(
            matches!(evidence, Some(Evidence::Declared { .. })),
            "{class:?}: {evidence:?}"
        );
        assert_eq!(life.sent(&Call::Identify).len(), 1);
    }
}

/// A process that has just begun does not know what an earlier one had sent for an object that is gone.
#[test]
fn a_new_process_starts_no_named_task_that_a_stop_may_be_on_its_way_to() {
    let claimed = |object: Value, at: &str| {
        let claim = json!({"at": at, "outputs": ["aaaa"]});
        let object = changed(object, "/status", json!({"claim": claim}));
        Life::relay(object).view
    };
    let wanted = parameters("h1", &["aaaa"]);
    let now = |mono| Moment {
        mono,
        wall: "2026-01-01T00:10:00Z".parse().unwrap(),
    };
    let paces = Paces::default();
    let (new, older) = ("2026-01-01T00:09:30Z", "2026-01-01T00:08:00Z");
    for (object, at, expected) in [
        (relay(), new, SETTLE),
        (relay(), older, Duration::ZERO),
        (by_uid(), new, Duration::ZERO),
        // It has been started: whoever did that had waited.
        (started(relay()), new, Duration::ZERO),
    ] {
        let view = claimed(object, at);
        let until = fresh_until(&view, &wanted, &paces, now(SECOND));
        assert_eq!(until, expected, "{:?} {at}", view.ids);
        let later = fresh_until(&view, &wanted, &paces, now(SETTLE));
        assert_eq!(later, Duration::ZERO);
    }
    let unclaimed = Life::relay(relay()).view;
    let until = fresh_until(&unclaimed, &wanted, &paces, now(SECOND));
    assert_eq!(until, SETTLE);
}

/// In a process that has run for long its beginning says nothing of a Start that was sent a moment ago.
#[test]
fn after_a_panic_what_was_sent_may_still_take_effect() {
    let mut life = Life::relay(deleted(intended(relay())));
    let until = 21 * SETTLE;
    life.now = 20 * SETTLE;
    life.memory = Memory::unsure(until);
    let nothing = |call: &Call, _: Duration| match call {
        Call::Identify | Call::ListTask => Answer::Task(None),
        Call::Stop { .. } => refused(Class::NotFoundLike),
        other => panic!("{other:?}"),
    };
    assert_eq!(life.run(until - SECOND, nothing), None);
    assert!(life.run(until + SETTLE, nothing).is_some());
}
