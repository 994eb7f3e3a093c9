//! Towards a Start: what comes before it, and what follows a refusal.

use super::*;

#[test]
fn the_intent_is_stored_with_the_claim_and_then_one_start_is_sent_on_it() {
    let mut life = Life {
        standing: Standing::Entitled,
        ..Life::relay(relay())
    };
    let Step::Record(told) = life.step() else {
        panic!("{:?}", life.step())
    };
    assert_eq!(
        (told.phase, told.reason),
        (Phase::Pending, Reason::Starting)
    );
    assert_eq!(told.claim.as_ref().unwrap().outputs, ["aaaa"]);
    let intent = told.ledger.as_ref().unwrap().intent.clone().unwrap();
    assert_eq!(
        (intent.generation, intent.parameters_hash.as_deref()),
        (Some(1), Some("h1"))
    );
    life.record(*told);
    life.standing = Standing::Holder;
    life.act(|_, _| accepted());
    assert_eq!(life.calls, [(Duration::ZERO, Call::Start)]);
    assert_eq!(life.reasons(), [Reason::Starting, Reason::Running]);
    let status = &life.view.status;
    assert_eq!(
        status.accepted.as_ref().unwrap().parameters_hash,
        status.intent.as_ref().unwrap().parameters_hash
    );
    assert!(status.started_at.is_some());
    life.now += Duration::from_hours(1);
    assert_eq!(life.step(), Step::Rest(None), "and then there is silence");
}

#[test]
fn what_changes_between_intent_and_start_is_recorded_anew_before_it_is_sent() {
    for change in [
        |life: &mut Life| life.edit(|_| ()),
        |life: &mut Life| life.wanted = parameters("h2", &["aaaa"]),
    ] {
        let mut life = Life::relay(relay());
        let Step::Record(told) = life.step() else {
            panic!("{:?}", life.step())
        };
        life.record(*told);
        change(&mut life);
        let Step::Record(told) = life.step() else {
            panic!("{:?}", life.step())
        };
        life.record(*told);
        assert!(matches!(
            life.step(),
            Step::Call {
                call: Call::Start,
                ..
            }
        ));
    }
}

/// An intent of an earlier process may have been sent.
#[test]
fn an_intent_that_this_process_did_not_record_is_never_sent_on() {
    let mut life = Life::relay(intended(relay()));
    assert!(matches!(
        life.step(),
        Step::Call {
            call: Call::Identify,
            ..
        }
    ));
    life.run(SETTLE - SECOND, |call, _| match call {
        Call::Identify => Answer::Task(None),
        other => panic!("{other:?}"),
    });
}

#[test]
fn nothing_is_started_into_an_empty_channel_and_one_read_after_asking_tells() {
    let mut life = Life::relay(relay());
    life.now = 5 * SECOND;
    life.channel(false);
    life.now = 6 * SECOND;
    assert_eq!(life.step(), Step::Look);
    life.be_silent();
    assert_eq!(life.told, [], "nothing is told on a read that began before");
    life.now = 7 * SECOND;
    life.channel(false);
    life.be_silent();
    assert_eq!(life.reason(), Reason::WaitingForChannel);
    assert!(life.last_message().contains("Nobody is in channel room-42"));
    assert!(life.last().claim.is_some(), "it keeps its place");
    for _ in 0..5 {
        life.now += 10 * SECOND;
        life.channel(false);
        life.be_silent();
    }
    assert_eq!(life.told.len(), 1);
    life.now += 10 * SECOND;
    life.channel(true);
    life.act(|_, _| accepted());
    assert_eq!(life.sent(&Call::Start).len(), 1);
}

#[test]
fn channels_that_cannot_be_read_are_said_and_denied_ones_are_not_waited_for() {
    let mut life = Life::relay(relay());
    life.seen = Seen {
        channels_fail: Some(fault(Class::Throttled, "Throttling: slowly")),
        ..Seen::default()
    };
    life.be_silent();
    assert_eq!(life.reason(), Reason::WaitingForChannel);
    let message = life.last_message();
    assert!(message.contains("Throttling: slowly"), "{message}");
    life.seen.channels_fail = Some(fault(Class::AccessDenied, "denied"));
    life.act(|_, _| accepted());
    assert_eq!(life.reason(), Reason::Running);
}

/// The service's refusals of a Start: what is told. The intent stays good for the next attempt.
#[test]
fn a_refused_start_is_told_and_waits_for_its_time() {
    let table = [
        (Class::Throttled, Reason::Throttled),
        (Class::InternalError, Reason::ServiceUnavailable),
        (Class::ServiceUnavailable, Reason::ServiceUnavailable),
        (Class::NotCleared, Reason::CoolingDown),
        (Class::OutputBusy, Reason::CoolingDown),
        (Class::NotFoundLike, Reason::ServiceUnavailable),
        (Class::QuotaExceeded, Reason::QuotaExceeded),
        (Class::AppIdRejected, Reason::AppIdRejected),
        (Class::AccessDenied, Reason::AccessDenied),
        (Class::ServiceNotEnabled, Reason::ServiceNotEnabled),
        (Class::CredentialsMissing, Reason::CredentialsMissing),
        (Class::CredentialsRejected, Reason::CredentialsRejected),
    ];
    for (class, reason) in table {
        let mut life = Life::relay(relay());
        life.act(|_, _| refused(class));
        assert_eq!(life.reason(), reason, "{class:?}");
        assert_eq!(life.sent(&Call::Start).len(), 1, "{class:?}");
        assert!(life.view.status.intent.is_some(), "{class:?}");
        let message = life.last_message().to_owned();
        assert!(message.contains("words of the service"), "{message}");
        let Step::Rest(Some(at)) = life.step() else {
            panic!("{class:?}: {:?}", life.step())
        };
        assert!(at > life.now);
        // A deletion in between has nothing to stop.
        life.view.deleted = Some(life.moment().wall);
        let evidence = life.be_silent();
        assert_eq!(evidence, Some(Evidence::NeverStarted), "{class:?}");
    }
}

#[test]
fn a_start_refused_for_an_output_that_does_not_get_free_says_who_may_hold_it() {
    let mut life = Life::relay(relay());
    let first = life.now;
    life.run(first + SETTLE - SECOND, |_, _| refused(Class::OutputBusy));
    assert_eq!(life.reason(), Reason::CoolingDown);
    life.run(first + 4 * SETTLE, |_, _| refused(Class::OutputBusy));
    assert_eq!(
        (life.last().phase, life.reason()),
        (Phase::Failed, Reason::OutputInUse)
    );
    let message = life.last_message();
    assert!(message.contains("no relay of this cluster"), "{message}");
    life.run(life.now + 4 * SETTLE, |_, _| accepted());
    assert_eq!(life.reason(), Reason::Running);
}

#[test]
fn a_refusal_that_may_be_for_the_channel_is_told_by_a_read_of_the_channels() {
    for class in [Class::ChannelAbsent, Class::RequestRejected] {
        let mut life = Life::relay(relay());
        life.now = SECOND;
        life.act(|_, _| refused(class));
        assert_eq!(life.told.len(), 1, "{class:?}: only the intent");
        assert_eq!(life.memory.asked, Some(life.now));
        life.now += SECOND;
        life.channel(false);
        life.be_silent();
        assert_eq!(life.reason(), Reason::WaitingForChannel, "{class:?}");
        assert!(life.view.status.intent.is_none());
        life.now += SECOND;
        life.channel(true);
        life.run(life.now + 10 * SETTLE, |_, _| accepted());
        assert_eq!(life.reason(), Reason::Running, "{class:?}");
        assert_eq!(life.sent(&Call::Start).len(), 2);
    }
}

#[test]
fn a_rejected_start_into_a_live_channel_is_told_and_a_changed_spec_is_tried_at_once() {
    let mut life = Life::relay(relay());
    life.act(|_, _| refused(Class::RequestRejected));
    life.now += SECOND;
    life.channel(true);
    life.be_silent();
    assert_eq!(life.reason(), Reason::RequestRejected);
    assert!(life.last_message().contains("The relay does not run."));
    life.edit(|_| ());
    life.act(|_, _| accepted());
    assert_eq!(life.reason(), Reason::Running);
}

#[test]
fn outputs_and_ids_in_use_a_moment_ago_are_waited_for() {
    let mut life = Life {
        cool_until: 10 * SECOND,
        ..Life::relay(relay())
    };
    life.be_silent();
    assert_eq!(life.reason(), Reason::CoolingDown);
    let claim = life.last().claim.as_ref().unwrap();
    assert!(claim.outputs.is_empty(), "an older one may want them yet");
    assert_eq!(life.step(), Step::Rest(Some(10 * SECOND)));
    life.run(SETTLE, |_, now| {
        assert_eq!(now, 10 * SECOND);
        accepted()
    });
    assert_eq!(life.reason(), Reason::Running);
}

#[test]
fn an_output_of_another_object_is_not_used_and_nothing_is_claimed() {
    for (name, words) in [
        (Some("final-41"), "the object final-41"),
        (None, "an object in another namespace"),
    ] {
        let mut life = Life {
            standing: Standing::Entitled,
            output_taken: Some(Rival {
                name: name.map(str::to_owned),
            }),
            ..Life::relay(relay())
        };
        life.be_silent();
        let told = life.last();
        assert_eq!(
            (told.phase, told.reason),
            (Phase::Failed, Reason::OutputInUse)
        );
        assert!(told.message.contains(words), "{}", told.message);
        assert!(told.claim.is_none());
        life.output_taken = None;
        life.act(|_, _| accepted());
        assert_eq!(life.reason(), Reason::Running);
    }
}

#[test]
fn parameters_that_cannot_be_told_are_waited_for() {
    for (reason, phase) in [
        (Reason::WaitingForSecret, Phase::Pending),
        (Reason::InvalidSpec, Phase::Failed),
    ] {
        let message = "Secret push does not exist in this namespace.".to_owned();
        let mut life = Life {
            wanted: Wanted::Unavailable { reason, message },
            ..Life::relay(relay())
        };
        life.be_silent();
        assert_eq!((life.last().phase, life.reason()), (phase, reason));
        assert!(life.last_message().ends_with("The relay is not started."));
    }
}

/// Neither of them claims anything, nor calls; their deletion is a declaration.
#[test]
fn a_relay_that_may_not_act_does_not() {
    let contested = Standing::Contested(Rival { name: None });
    let table = [
        (
            true,
            contested,
            false,
            Reason::TaskIdInUse,
            Evidence::NeverStarted,
        ),
        (
            false,
            Standing::Entitled,
            false,
            Reason::AppNotAllowed,
            Evidence::NeverStarted,
        ),
        (
            true,
            Standing::Entitled,
            true,
            Reason::Suspended,
            Evidence::NeverStarted,
        ),
    ];
    for (allowed, standing, suspend, reason, evidence) in table {
        let mut life = Life {
            standing,
            allowed,
            ..Life::relay(relay())
        };
        life.view.suspend = suspend;
        life.be_silent();
        assert_eq!(life.reason(), reason);
        assert!(life.last().claim.is_none(), "{reason}");
        life.view.deleted = Some(life.moment().wall);
        assert_eq!(life.be_silent(), Some(evidence));
    }
}

#[test]
fn nothing_is_judged_before_every_older_object_is_known() {
    let life = Life {
        standing: Standing::Unsure,
        ..Life::relay(relay())
    };
    assert_eq!(life.step(), Step::Rest(None));
}

/// The object's own schedule stays as it was, and the next request waits for its time.
#[test]
fn a_requested_reconcile_buys_one_attempt_and_not_two_within_ten_seconds() {
    let mut life = Life::relay(relay());
    life.act(|_, _| refused(Class::AccessDenied));
    let Step::Rest(Some(due)) = life.step() else {
        panic!("{:?}", life.step())
    };
    for (value, second) in [("one", 20), ("two", 31)] {
        life.now = second * SECOND;
        life.view.requested = Some(value.to_owned());
        life.act(|_, _| refused(Class::AccessDenied));
        assert_eq!(
            life.view.status.last_handled_reconcile_at.as_deref(),
            Some(value)
        );
    }
    assert_eq!(
        life.sent(&Call::Start),
        [Duration::ZERO, 20 * SECOND, 31 * SECOND]
    );
    life.view.requested = Some("three".to_owned());
    life.now += SECOND;
    life.be_silent();
    assert_eq!(life.step(), Step::Rest(Some(41 * SECOND)));
    life.view.requested = Some("two".to_owned());
    life.be_silent();
    assert_eq!(life.step(), Step::Rest(Some(due)));
}

#[test]
fn a_start_that_waits_is_not_sent_once_a_break_is_asked_for() {
    let mut life = Life::relay(relay());
    life.act(|_, _| refused(Class::Throttled));
    assert!(life.view.status.intent.is_some());
    life.edit(|view| view.desired = crate::api::DesiredState::Stopped);
    life.be_silent();
    assert_eq!(life.reason(), Reason::Stopped);
    assert!(
        life.view.status.intent.is_none(),
        "no Start was sent on it that can have taken effect"
    );
}
