//! What is only taken for stopped, or only found to run: nothing is concluded from it that a call has not proven.

use super::*;
use crate::api::{DesiredState, RestartPolicy};

const INFERRED: [&str; 3] = ["ChannelEmpty", "StoppedElsewhere", "Unknown"];

fn resume(life: &mut Life) {
    life.edit(|view| view.desired = DesiredState::Running);
}

fn pause(life: &mut Life) {
    life.edit(|view| view.desired = DesiredState::Stopped);
}

/// Two complete reads, begun at these moments, that do not show the task; then the channel is read.
fn missed(life: &mut Life, first: Duration, second: Duration, is_channel_live: bool) {
    life.seen.absent = Some((first, second));
    life.now = second;
    life.channel(is_channel_live);
}

fn running() -> Life {
    let mut life = Life::relay(started(relay()));
    life.now = 3 * SETTLE;
    life.channel(true);
    life.be_silent();
    life
}

#[test]
fn a_break_of_a_relay_that_is_only_taken_for_stopped_stops_it() {
    for reason in INFERRED {
        let mut life = Life::relay(ended(relay(), reason));
        life.now = 3 * SETTLE;
        pause(&mut life);
        life.act(|call, _| match call {
            Call::Stop { .. } => refused(Class::NotFoundLike),
            Call::ListTask => Answer::Task(None),
            other => panic!("{other:?}"),
        });
        assert_eq!(life.stops().len(), 1, "{reason}");
        assert_eq!(life.reason(), Reason::Stopped, "{reason}");
        life.be_silent();
        // Now it is proven, so that a deletion needs no other, and asking for the contrary starts it again.
        life.view.deleted = Some(life.moment().wall);
        assert_eq!(life.be_silent(), Some(Evidence::StoppedBefore), "{reason}");
    }
}

#[test]
fn a_break_that_is_not_proven_yet_is_no_evidence_for_a_deletion() {
    for reason in INFERRED {
        let mut life = Life::relay(ended(relay(), reason));
        life.now = 3 * SETTLE;
        pause(&mut life);
        life.act(|_, _| silence());
        assert_ne!(life.reason(), Reason::Stopped, "{reason}");
        life.view.deleted = Some(life.moment().wall);
        life.memory.begin_deletion();
        let evidence = life.act(|_, _| accepted());
        assert!(
            matches!(evidence, Some(Evidence::StopAccepted { .. })),
            "{reason}: {evidence:?}"
        );
    }
}

#[test]
fn a_stop_without_an_answer_explains_only_what_is_missed_soon_after() {
    let broken = || {
        let mut life = running();
        pause(&mut life);
        life.act(|_, _| silence());
        resume(&mut life);
        life.be_silent();
        life
    };
    // Soon: another Stop makes certain that nothing runs, and it starts again.
    let mut life = broken();
    let at = life.now;
    missed(&mut life, at + 30 * SECOND, at + SETTLE, true);
    life.act(|call, _| match call {
        Call::Stop { .. } => refused(Class::NotFoundLike),
        Call::ListTask => Answer::Task(None),
        other => panic!("{other:?}"),
    });
    assert_eq!(life.stops().len(), 2);
    assert_eq!(
        life.view.status.stop_reason,
        Some(crate::api::StopReason::Requested)
    );
    // Hours later: the service has stopped it for its empty channel, and it stays so.
    let mut life = broken();
    let late = life.now + Duration::from_hours(6);
    life.now = late;
    life.channel(true);
    missed(&mut life, late + 30 * SECOND, late + SETTLE, false);
    life.be_silent();
    assert_eq!(life.reason(), Reason::Completed, "{:?}", life.reasons());
}

#[test]
fn what_a_break_that_was_taken_back_has_learnt_is_no_evidence_for_the_next_one() {
    let mut life = running();
    pause(&mut life);
    life.act(|call, _| match call {
        Call::Stop { .. } => refused(Class::NotFoundLike),
        _ => refused(Class::ServiceUnavailable),
    });
    resume(&mut life);
    life.be_silent();
    assert_eq!(life.memory.trail, Trail::default());
    assert_eq!(
        life.memory.waits.iter().count(),
        0,
        "nothing is tried again"
    );
    assert_eq!(life.reason(), Reason::Running);

    // A Start without an answer; a break; the break is taken back, and the Start has taken effect late.
    let mut life = Life::relay(ended(relay(), "Requested"));
    life.now = 2 * SETTLE;
    life.channel(true);
    life.act(|call, _| match call {
        Call::Start => silence(),
        _ => Answer::Task(None),
    });
    pause(&mut life);
    life.act(|call, _| match call {
        Call::Stop { .. } => refused(Class::NotFoundLike),
        _ => Answer::Task(None),
    });
    assert_eq!(life.stops().len(), 1);
    resume(&mut life);
    life.run(5 * SETTLE, |call, _| match call {
        Call::Start => refused(Class::Throttled),
        _ => Answer::Task(Some(shown(None))),
    });
    pause(&mut life);
    life.act(accepted_where_listed);
    assert_eq!(life.stops().len(), 2, "{:?}", life.calls);
    assert_eq!(life.reason(), Reason::Stopped);
}

#[test]
fn the_longest_time_counts_from_the_start_that_is_found() {
    let limited = |object| {
        let mut life = Life::relay(object);
        life.view.max_duration = Some(2 * SETTLE);
        life
    };
    // The process that sent it was lost; it ran for longer than it may before the next one looks.
    let mut life = limited(intended(relay()));
    life.booted = Duration::from_hours(5);
    life.run(SETTLE, |call, _| match call {
        Call::Identify => Answer::Task(Some(shown(None))),
        _ => accepted(),
    });
    assert_eq!(life.stops().len(), 1, "{:?}", life.calls);
    assert_eq!(life.reason(), Reason::Completed);
    // Nobody tells whether it runs.
    let mut life = limited(intended(relay()));
    life.run(4 * SETTLE, |call, _| match call {
        Call::Stop { .. } => accepted(),
        _ => refused(Class::AccessDenied),
    });
    let stops = life.stops();
    assert!(!stops.is_empty() && stops[0] >= 2 * SETTLE, "{stops:?}");
    assert_eq!(life.reason(), Reason::Completed);
    assert!(life.sent(&Call::Start).is_empty());
}

#[test]
fn a_task_that_is_not_cleared_is_waited_for_though_the_list_refuses_to_tell() {
    let mut life = Life::relay(ended(relay(), "Requested"));
    life.now = 2 * SETTLE;
    life.channel(true);
    let mut starts = 0;
    let end = 30 * SETTLE;
    while life.now < end && life.reasons().last() != Some(&Reason::Running) {
        let until = life.now + 10 * SECOND;
        life.run(until, |call, now| match call {
            Call::Start => {
                starts += 1;
                if now < 4 * SETTLE {
                    refused(Class::TaskExists)
                } else {
                    accepted()
                }
            }
            _ => refused(Class::NotFoundLike),
        });
        life.seen.absent = Some((life.now - 5 * SECOND, life.now));
        life.channel(true);
    }
    assert_eq!(life.reason(), Reason::Running, "{:?}", life.reasons());
    assert!(starts < 20, "{starts} Starts");
}

/// The list still shows the ended task, with what it was started with before the spec was changed.
#[test]
fn an_own_task_that_is_not_cleared_is_not_foreign_after_a_change() {
    let mut life = Life::relay(ended(relay(), "Requested"));
    life.now = SETTLE;
    life.view.status.stopped_at = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
        life.moment().wall,
    ));
    life.wanted = parameters("h2", &["bbbb"]);
    life.now += 15 * SECOND;
    life.channel(true);
    let cleared = life.now + 20 * SECOND;
    let end = life.now + 3 * SETTLE;
    life.run(end, |call, now| match call {
        Call::Start if now < cleared => refused(Class::TaskExists),
        Call::Start => accepted(),
        _ => Answer::Task(Some(shown(None))),
    });
    assert!(
        !life.reasons().contains(&Reason::TaskIdInUse),
        "{:?}",
        life.reasons()
    );
    assert_eq!(life.reason(), Reason::Running);
}

/// It was only taken for stopped, and it is still there long after it must have been cleared.
#[test]
fn an_own_task_that_was_only_taken_for_stopped_is_taken_up_again_after_a_change() {
    let object = |reason| ended(relay(), reason);
    let lives_on = |mut life: Life| {
        life.view.restart = RestartPolicy::WhenChannelReturns;
        life.now = 3 * SETTLE;
        life.wanted = parameters("h2", &["bbbb"]);
        life.channel(true);
        life.run(10 * SETTLE, |call, _| match call {
            Call::Start => refused(Class::TaskExists),
            Call::Update => accepted(),
            _ => Answer::Task(Some(shown(None))),
        });
        life
    };
    let mut life = lives_on(Life::relay(object("ChannelEmpty")));
    assert_eq!(life.reason(), Reason::Running, "{:?}", life.reasons());
    assert_eq!(life.sent(&Call::Update).len(), 1);
    life.view.deleted = Some(life.moment().wall);
    let evidence = life.act(|_, _| accepted());
    assert!(matches!(evidence, Some(Evidence::StopAccepted { .. })));
    // Where a Stop has proven it, it is somebody else's.
    let life = lives_on(Life::relay(object("Requested")));
    assert_eq!(life.reason(), Reason::TaskIdInUse);
}

#[test]
fn a_relay_is_not_told_to_run_as_asked_before_the_service_has_taken_what_is_asked() {
    let unusable = |reason| Wanted::Unavailable {
        reason,
        message: "The Secret is not there.".to_owned(),
    };
    // Adopted, and its Secret is missing.
    let mut life = Life::relay(changed(
        relay(),
        "/metadata",
        json!({"annotations": {"mixedstream.io/adopt-running-task": "final-42"}}),
    ));
    life.wanted = unusable(Reason::WaitingForSecret);
    life.act(|_, _| Answer::Task(Some(shown(None))));
    assert_eq!(life.reason(), Reason::WaitingForSecret);
    assert_eq!(life.last().phase, Phase::Running);
    // The Secret of one that runs becomes an address that is none; another time it is lost, which changes nothing.
    for (reason, told) in [
        (Reason::InvalidSpec, Reason::InvalidSpec),
        (Reason::WaitingForSecret, Reason::Running),
    ] {
        let mut life = running();
        life.wanted = unusable(reason);
        life.be_silent();
        assert_eq!(life.reason(), told);
    }
}

#[test]
fn what_is_over_is_told_with_what_starts_it_again() {
    for reason in INFERRED {
        let mut life = Life::relay(ended(relay(), reason));
        life.view.restart = RestartPolicy::WhenChannelReturns;
        life.view.max_duration = Some(SETTLE);
        life.now = 3 * SETTLE;
        life.be_silent();
        assert_eq!(life.reason(), Reason::Completed);
        let message = life.last_message();
        assert!(message.contains("raise it"), "{message}");
        assert!(
            !message.contains("restartPolicy") && !message.contains("desiredState"),
            "{message}"
        );
    }
    let mut life = Life::relay(ended(relay(), "Requested"));
    life.view.max_duration = Some(SETTLE);
    life.view.desired = DesiredState::Stopped;
    life.now = 3 * SETTLE;
    life.be_silent();
    assert!(
        life.last_message()
            .contains("raise spec.maxDurationSeconds")
    );
    let mut life = Life::relay(ended(relay(), "Unknown"));
    life.view.restart = RestartPolicy::WhenChannelReturns;
    life.now = 3 * SETTLE;
    life.be_silent();
    assert!(life.last_message().contains("live:ListRTCLiveRooms"));
}

#[test]
fn a_start_that_is_refused_for_its_channel_is_told_once_where_the_channels_cannot_be_listed() {
    let mut life = Life::relay(relay());
    life.seen.channel = crate::task::seen::Channel::default();
    life.seen.channels_fail = Some(fault(Class::AccessDenied, "Forbidden: no."));
    let end = Duration::from_hours(2);
    life.run(end, |_, _| refused(Class::ChannelAbsent));
    let starts = life.sent(&Call::Start).len();
    assert!(starts > 20, "{starts}");
    assert_eq!(life.reason(), Reason::WaitingForChannel);
    // One per doubling of the wait (1 s to 60 s), and what came before.
    assert!(
        life.told.len() <= 10,
        "{} writes: {:?}",
        life.told.len(),
        life.reasons()
    );
    life.view.deleted = Some(life.moment().wall);
    assert_eq!(life.be_silent(), Some(Evidence::NeverStarted));
}

#[test]
fn an_intent_of_a_process_that_was_lost_is_not_withdrawn_for_an_empty_channel() {
    let mut life = Life::relay(intended(relay()));
    life.now = SECOND;
    life.channel(false);
    life.run(2 * SETTLE, |_, _| refused(Class::NotFoundLike));
    life.seen.absent = Some((2 * SETTLE, 2 * SETTLE));
    life.act(|_, _| refused(Class::NotFoundLike));
    life.channel(false);
    life.act(|_, _| refused(Class::NotFoundLike));
    assert!(life.sent(&Call::Start).is_empty());
    assert_eq!(
        life.reason(),
        Reason::WaitingForChannel,
        "{:?}",
        life.reasons()
    );
    life.view.deleted = Some(life.moment().wall);
    let evidence = life.act(|_, _| accepted());
    assert!(
        matches!(evidence, Some(Evidence::StopAccepted { .. })),
        "{evidence:?}"
    );
}

#[test]
fn two_that_swap_outputs_while_they_do_not_run_do_not_wait_for_each_other() {
    let mut life = Life::relay(ended(relay(), "Requested"));
    life.now = 3 * SETTLE;
    life.wanted = parameters("h2", &["bbbb"]);
    life.output_taken = Some(Rival { name: None });
    life.be_silent();
    assert_eq!(life.reason(), Reason::OutputInUse);
    let claim = life.view.status.claim.clone().unwrap();
    assert!(claim.outputs.is_empty(), "{claim:?}");
    // What may still run keeps what it uses.
    let mut life = Life::relay(ended(relay(), "ChannelEmpty"));
    life.view.restart = RestartPolicy::WhenChannelReturns;
    life.now = 3 * SETTLE;
    life.wanted = parameters("h2", &["bbbb"]);
    life.output_taken = Some(Rival { name: None });
    life.be_silent();
    assert_eq!(life.view.status.claim.unwrap().outputs, ["aaaa"]);
}

#[test]
fn an_output_is_let_go_of_when_it_has_cooled_down() {
    let mut life = Life::relay(ended(relay(), "Requested"));
    life.now = SECOND;
    life.channel(true);
    life.wanted = parameters("h2", &["bbbb"]);
    life.output_taken = Some(Rival { name: None });
    let claimed = |life: &Life| life.view.status.claim.clone().unwrap().outputs;
    life.be_silent();
    assert_eq!(life.reason(), Reason::OutputInUse);
    assert_eq!(claimed(&life), ["aaaa"], "its task ended a second ago");
    life.run(2 * SETTLE, |call, _| panic!("{call:?}"));
    assert_eq!(claimed(&life), [""; 0]);
}

#[test]
fn a_channel_that_is_read_rarely_is_seen_to_leave() {
    let mut life = Life::relay(ended(relay(), "StoppedElsewhere"));
    life.view.restart = crate::api::RestartPolicy::WhenChannelReturns;
    life.now = 2 * SETTLE;
    life.channel(true);
    life.be_silent();
    for reads in [1, 2] {
        life.now += READING_GAP + SECOND;
        life.channel(false);
        life.be_silent();
        let has_left = life.memory.ledger(&life.view).channel_left_at.is_some();
        assert_eq!(has_left, reads == 2, "after {reads}");
    }
}

/// The clock that never steps does not tell of a machine that was paused, nor of a clock that was set.
#[test]
fn the_end_of_a_relay_is_noticed_whatever_the_clock_does() {
    let mut object = started(relay());
    object["spec"]["maxDurationSeconds"] = json!(7200);
    let mut life = Life::relay(object);
    life.now = 2 * SETTLE;
    life.channel(true);
    life.be_silent();
    let Step::Rest(Some(at)) = life.step() else {
        panic!("{:?}", life.step())
    };
    assert!(at <= life.now + SETTLE, "{at:?}");
    life.booted += Duration::from_hours(2);
    life.act(accepted_where_listed);
    assert_eq!(life.stops().len(), 1);
}
