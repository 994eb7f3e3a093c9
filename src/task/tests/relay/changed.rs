//! A relay that runs while its spec, a Secret or what is known of it changes.

use super::{running::running, *};
use crate::api::RestartPolicy;

#[test]
fn changed_parameters_are_one_update() {
    let mut life = running();
    life.edit(|_| ());
    life.wanted = parameters("h2", &["aaaa"]);
    life.act(|_, _| accepted());
    assert_eq!(life.calls, [(life.now, Call::Update)]);
    let accepted = life.view.status.accepted.clone().unwrap();
    assert_eq!(
        (accepted.generation, accepted.parameters_hash.as_deref()),
        (Some(2), Some("h2"))
    );
    assert_eq!(life.reason(), Reason::Running);
    assert_eq!(life.step(), Step::Rest(None));
}

#[test]
fn a_change_that_alters_no_parameter_is_no_update() {
    let mut life = running();
    life.edit(|view| view.restart = RestartPolicy::WhenChannelReturns);
    life.be_silent();
    assert_eq!(life.view.status.observed_generation, Some(2));
}

/// Claimed before it is sent; what is dropped is kept until the Update is accepted.
#[test]
fn new_outputs_are_claimed_first_and_old_ones_let_go_last() {
    let mut life = running();
    life.wanted = parameters("h2", &["bbbb"]);
    let mut claim_at_update = None;
    let Step::Record(told) = life.step() else {
        panic!("{:?}", life.step())
    };
    assert_eq!(told.reason, Reason::Updating);
    life.record(*told);
    let claim = life.view.status.claim.clone();
    life.act(|call, _| {
        assert_eq!(*call, Call::Update);
        claim_at_update = claim.clone();
        accepted()
    });
    assert_eq!(claim_at_update.unwrap().outputs, ["aaaa", "bbbb"]);
    assert_eq!(life.view.status.claim.as_ref().unwrap().outputs, ["bbbb"]);
    assert_eq!(life.reason(), Reason::Running);
}

#[test]
fn a_change_into_another_ones_output_is_not_sent_and_the_relay_runs_on() {
    let mut life = running();
    life.edit(|_| ());
    life.wanted = parameters("h2", &["bbbb"]);
    life.output_taken = Some(Rival {
        name: Some("final-41".to_owned()),
    });
    life.be_silent();
    assert_eq!(
        (life.last().phase, life.reason()),
        (Phase::Running, Reason::OutputInUse)
    );
    assert!(life.last_message().contains("the object final-41"));
    assert_eq!(life.last().claim.as_ref().unwrap().outputs, ["aaaa"]);
    // What it has is what is stopped.
    life.view.deleted = Some(life.moment().wall);
    let evidence = life.act(|_, _| accepted());
    assert!(matches!(evidence, Some(Evidence::StopAccepted { .. })));
}

#[test]
fn a_new_output_that_cools_down_is_waited_for() {
    let mut life = running();
    life.wanted = parameters("h2", &["bbbb"]);
    life.cool_until = life.now + 10 * SECOND;
    life.be_silent();
    assert_eq!(
        (life.last().phase, life.reason()),
        (Phase::Running, Reason::CoolingDown)
    );
    let until = life.cool_until;
    life.run(until, |_, now| {
        assert_eq!(now, until);
        accepted()
    });
    assert_eq!(life.reason(), Reason::Running);
}

#[test]
fn a_refused_update_is_told_and_the_relay_stays_owned() {
    for (class, reason) in [
        (Class::RequestRejected, Reason::RequestRejected),
        (Class::Throttled, Reason::Throttled),
        (Class::AccessDenied, Reason::AccessDenied),
        (Class::NotFoundLike, Reason::Updating),
        (Class::ChannelAbsent, Reason::Updating),
    ] {
        let mut life = running();
        life.edit(|_| ());
        life.wanted = parameters("h2", &["aaaa"]);
        life.act(|_, _| failed(class));
        assert_eq!(
            (life.last().phase, life.reason()),
            (Phase::Running, reason),
            "{class:?}"
        );
        let accepted_hash = life.view.status.accepted.clone().unwrap().parameters_hash;
        assert_eq!(accepted_hash.as_deref(), Some("h1"));
        // Back to what runs: there is nothing to send.
        life.edit(|_| ());
        life.wanted = parameters("h1", &["aaaa"]);
        life.be_silent();
        assert_eq!(life.reason(), Reason::Running);
        life.view.deleted = Some(life.moment().wall);
        let evidence = life.act(|_, _| accepted());
        assert!(matches!(evidence, Some(Evidence::StopAccepted { .. })));
    }
}

#[test]
fn an_update_without_an_answer_is_sent_again_whatever_the_spec_asks_for_by_then() {
    let mut life = running();
    life.edit(|_| ());
    life.wanted = parameters("h2", &["aaaa"]);
    life.act(|_, _| failed(Class::ServiceUnavailable));
    assert_eq!(life.reason(), Reason::ServiceUnavailable);
    // Which parameters the service has is not known, so that going back is an Update, too.
    life.edit(|_| ());
    life.wanted = parameters("h1", &["aaaa"]);
    life.now += SECOND;
    life.act(|_, _| accepted());
    assert_eq!(life.reason(), Reason::Running);
    assert_eq!(life.sent(&Call::Update).len(), 2);
}

#[test]
fn a_rejected_update_of_a_newer_spec_is_tried_at_once() {
    let mut life = running();
    life.edit(|_| ());
    life.wanted = parameters("h2", &["aaaa"]);
    life.act(|_, _| refused(Class::RequestRejected));
    life.be_silent();
    life.edit(|_| ());
    life.wanted = parameters("h3", &["aaaa"]);
    life.act(|_, _| accepted());
    assert_eq!(life.calls.len(), 2);
    assert_eq!(life.reason(), Reason::Running);
}

/// The relay runs with the address that it was started with: it stays ready, and only a changed spec is told to wait.
#[test]
fn a_secret_that_is_gone_makes_only_a_changed_spec_wait() {
    let mut life = running();
    life.wanted = Wanted::Unavailable {
        reason: Reason::WaitingForSecret,
        message: "Secret push does not exist.".to_owned(),
    };
    life.be_silent();
    assert_eq!(life.reason(), Reason::Running);
    assert_eq!(life.caveats(), ["OutputAddressLost"]);
    let message = life.last_message();
    assert!(message.contains("Secret push does not exist."), "{message}");
    assert_eq!(life.step(), Step::Rest(None));
    life.edit(|_| ());
    life.be_silent();
    assert_eq!(
        (life.last().phase, life.reason()),
        (Phase::Running, Reason::WaitingForSecret)
    );
    assert!(
        life.last_message()
            .ends_with("The relay runs on as it was.")
    );
    life.wanted = parameters("h1", &["aaaa"]);
    life.be_silent();
    assert_eq!((life.reason(), life.caveats().len()), (Reason::Running, 0));
}

/// A list that is denied is said whatever else there is to say of a relay that runs.
#[test]
fn that_a_relay_is_not_seen_any_more_is_told_beside_everything_else() {
    let mut life = running();
    life.seen.list_lost = Some(lost(Class::AccessDenied));
    life.be_silent();
    assert_eq!(life.reason(), Reason::Running);
    assert_eq!(life.caveats(), ["TaskNotSeen"]);
    life.edit(|_| ());
    life.wanted = parameters("h2", &["bbbb"]);
    life.act(|_, _| refused(Class::NotFoundLike));
    assert_eq!(life.reason(), Reason::Updating);
    assert!(
        life.told
            .iter()
            .skip(1)
            .all(|(_, told)| told.caveats.len() == 1),
        "never left out between two verdicts, which would be an event anew"
    );
    assert_eq!(life.caveats(), ["TaskNotSeen"]);
    assert!(life.last_message().contains("is not seen"));
    life.wanted = Wanted::Unavailable {
        reason: Reason::InvalidSpec,
        message: "No address.".to_owned(),
    };
    life.be_silent();
    assert_eq!(
        (life.reason(), life.caveats()),
        (Reason::InvalidSpec, vec!["TaskNotSeen"])
    );
    life.wanted = parameters("h1", &["aaaa"]);
    life.seen.list_lost = None;
    life.be_silent();
    assert_eq!((life.reason(), life.caveats().len()), (Reason::Running, 0));
}

/// The service lets an output rest for ten seconds; one that is refused for much longer is held by a task that is no object's.
#[test]
fn an_output_that_something_else_holds_is_told_once_it_cannot_be_a_cool_down_any_more() {
    let mut life = running();
    life.edit(|_| ());
    life.wanted = parameters("h2", &["aaaa"]);
    let first = life.now;
    life.run(first + SETTLE - SECOND, |_, _| refused(Class::OutputBusy));
    assert_eq!(
        (life.last().phase, life.reason()),
        (Phase::Running, Reason::CoolingDown)
    );
    life.run(first + 4 * SETTLE, |_, _| refused(Class::OutputBusy));
    assert_eq!(
        (life.last().phase, life.reason()),
        (Phase::Running, Reason::OutputInUse)
    );
    life.run(life.now + 4 * SETTLE, |_, _| accepted());
    assert_eq!(life.reason(), Reason::Running);
}

#[test]
fn a_change_without_an_answer_is_not_said_to_be_without_effect() {
    for (answer, words) in [
        (silence(), "no answer tells"),
        (
            refused(Class::RequestRejected),
            "as it was before the change",
        ),
    ] {
        let mut life = Life::relay(started(relay()));
        life.wanted = parameters("h2", &["aaaa"]);
        life.now = SETTLE;
        life.act(|call, _| match call {
            Call::Update => answer.clone(),
            other => panic!("{other:?}"),
        });
        let message = life.last_message();
        assert!(message.contains(words), "{message}");
    }
}

/// The list fails so, and goes on.
fn lost(class: Class) -> crate::task::seen::Fault {
    crate::task::seen::Fault {
        class,
        words: "words of the service".to_owned(),
    }
}

#[test]
fn a_list_that_goes_on_failing_is_told_beside_a_relay_that_runs() {
    let mut life = running();
    life.seen.list_lost = Some(lost(Class::CredentialsRejected));
    life.be_silent();
    assert_eq!(life.reason(), Reason::Running);
    let message = life.last_message();
    assert!(
        message.contains("fails (words of the service)"),
        "{message}"
    );
    assert!(!message.contains("The relay runs."), "{message}");
}

/// Two reads of the list missed the task, whose pages drifted; the next one shows it.
#[test]
fn a_relay_that_was_taken_for_stopped_and_is_listed_again_has_run_all_the_time() {
    let taken = |object: Value| {
        let mut life = Life::relay(ended(object, "StoppedElsewhere"));
        life.now = SETTLE;
        life.channel(true);
        life.be_silent();
        assert_eq!(life.reason(), Reason::Completed);
        life.seen.back = Some(life.now);
        life
    };
    for object in [relay(), by_uid()] {
        let mut life = taken(object);
        life.act(accepted_where_listed);
        assert_eq!(life.reason(), Reason::Running);
        assert_eq!(life.calls.len(), 1, "{:?}", life.calls);
        let started = life.view.status.started_at.as_ref().unwrap().0;
        assert_eq!(started, Timestamp::UNIX_EPOCH, "it has run since then");
        // What missed it before says nothing of it any more.
        life.seen.absent = Some((Duration::ZERO, SECOND));
        life.be_silent();
        assert_eq!(life.reason(), Reason::Running);
    }
    // By now the name is another one's, or nothing is there.
    for shown in [another(), Answer::Task(None)] {
        let mut life = taken(relay());
        life.act(|call, _| match call {
            Call::Identify => shown.clone(),
            other => panic!("{other:?}"),
        });
        life.be_silent();
        assert_eq!(life.reason(), Reason::Completed);
        assert_eq!(life.calls.len(), 1, "{:?}", life.calls);
    }
}

/// What the task may have used until now cools down when it is let go of, whether or not it is stored by then that it runs.
#[test]
fn outputs_that_a_task_may_have_used_are_told_when_they_are_let_go_of() {
    let dropped = |object: Value| {
        let mut life = Life::relay(object);
        life.view.status.claim.as_mut().unwrap().outputs =
            vec!["aaaa".to_owned(), "bbbb".to_owned()];
        life.memory.drops(&life.view, &["aaaa".to_owned()])
    };
    let never = with_story(relay(), json!({}));
    for object in [never, ended(relay(), "Requested")] {
        assert_eq!(dropped(object), [""; 0]);
    }
    for object in [started(relay()), intended(relay())] {
        assert_eq!(dropped(object), ["bbbb"]);
    }
    let mut life = Life::relay(ended(relay(), "Requested"));
    let running = view(started(relay()));
    life.memory
        .learn(crate::task::ledger::Ledger::of(&running.status));
    assert_eq!(life.memory.drops(&life.view, &[]), ["aaaa"]);
}
