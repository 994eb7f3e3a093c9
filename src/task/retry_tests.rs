use super::*;
use proptest::prelude::*;

fn at(seconds: u64) -> Moment {
    Moment {
        mono: Duration::from_secs(seconds),
        wall: Timestamp::UNIX_EPOCH,
    }
}

fn trouble(cause: Cause) -> Trouble<'static> {
    Trouble {
        cause,
        words: "words",
        retry_after: None,
        not_before: Duration::ZERO,
    }
}

const STOP: Action = Action::StopLiveMpuTask;
const THROTTLED: Cause = Cause::Answer(Class::Throttled);
const DENIED: Cause = Cause::Answer(Class::AccessDenied);

#[test]
fn transient_waits_double_up_to_the_bound() {
    let paces = Paces::default();
    let mut waits = Waits::default();
    for bound in [1, 2, 4, 8, 16, 32, 60, 60] {
        waits.fail(STOP, &trouble(THROTTLED), 1, &paces, at(100), 1.0);
        assert_eq!(waits.due(STOP, 1), Duration::from_secs(100 + bound));
    }
    let schedule = waits.get(STOP).map(Wait::schedule);
    assert_eq!(
        schedule.as_deref(),
        Some("since 1970-01-01 00:00 UTC, retrying every 0 to 60 s")
    );
}

#[test]
fn a_refusal_is_asked_again_slowly_and_says_so() {
    let mut waits = Waits::default();
    for jitter in [0.0, 0.5, 0.999] {
        waits.fail(STOP, &trouble(DENIED), 1, &Paces::default(), at(0), jitter);
        let due = waits.due(STOP, 1);
        assert!(
            (Duration::from_mins(2)..=Duration::from_mins(5)).contains(&due),
            "{due:?}"
        );
    }
    assert!(
        waits
            .get(STOP)
            .is_some_and(|wait| wait.schedule().ends_with("retrying every 120 to 300 s"))
    );
}

#[test]
fn causes_that_take_turns_go_on_doubling_and_each_tells_its_own_beginning() {
    let mut waits = Waits::default();
    for second in 0..4 {
        waits.fail(
            STOP,
            &trouble(THROTTLED),
            1,
            &Paces::default(),
            at(second),
            1.0,
        );
    }
    let other = Cause::Answer(Class::ServiceUnavailable);
    waits.fail(STOP, &trouble(other), 1, &Paces::default(), at(100), 1.0);
    assert_eq!(waits.due(STOP, 1), Duration::from_secs(100 + 16));
    assert_eq!(
        waits.get(STOP).map(|wait| (wait.cause, wait.attempts)),
        Some((other, 1))
    );
    waits.clear(STOP);
    waits.fail(STOP, &trouble(other), 1, &Paces::default(), at(200), 1.0);
    assert_eq!(
        waits.due(STOP, 1),
        Duration::from_secs(201),
        "a success begins the doubling anew"
    );
}

#[test]
fn the_services_own_delay_is_honoured() {
    let mut waits = Waits::default();
    let asked = Trouble {
        retry_after: Some(Duration::from_secs(7)),
        ..trouble(THROTTLED)
    };
    waits.fail(STOP, &asked, 1, &Paces::default(), at(0), 0.0);
    assert_eq!(waits.due(STOP, 1), Duration::from_secs(7));
    let schedule = waits.get(STOP).map(Wait::schedule);
    assert!(schedule.is_some_and(|words| words.ends_with("retrying every 7 s")));
}

#[test]
fn where_the_account_has_recovered_a_throttled_wait_ends_but_for_the_services_own_delay() {
    for (cause, ends) in [
        (THROTTLED, true),
        (Cause::Answer(Class::ServiceUnavailable), true),
        (DENIED, false),
        (Cause::Unconfirmed, false),
    ] {
        let mut waits = Waits::default();
        for _ in 0..5 {
            waits.fail(STOP, &trouble(cause), 1, &Paces::default(), at(100), 1.0);
        }
        let due = waits.due(STOP, 1);
        waits.account_recovered(STOP, Duration::from_secs(103));
        let expected = if ends { Duration::from_secs(103) } else { due };
        assert_eq!(waits.due(STOP, 1), expected, "{cause:?}");
        waits.account_recovered(STOP, Duration::from_secs(200));
        assert_eq!(waits.due(STOP, 1), expected, "nothing becomes later");
    }
    let mut waits = Waits::default();
    for _ in 0..3 {
        waits.fail(STOP, &trouble(THROTTLED), 1, &Paces::default(), at(0), 1.0);
        waits.account_recovered(STOP, Duration::ZERO);
    }
    let band = waits.get(STOP).map(|wait| wait.band.1);
    assert_eq!(band, Some(Duration::from_secs(4)), "the doubling goes on");
}

#[test]
fn a_new_generation_ends_the_wait_of_a_rejected_request_only() {
    for (class, ends) in [
        (Class::RequestRejected, true),
        (Class::AppIdRejected, true),
        (Class::AccessDenied, false),
        (Class::Throttled, false),
        (Class::CredentialsRejected, false),
    ] {
        let mut waits = Waits::default();
        waits.fail(
            STOP,
            &trouble(Cause::Answer(class)),
            1,
            &Paces::default(),
            at(0),
            0.9,
        );
        assert!(waits.due(STOP, 1) > Duration::ZERO, "{class:?}");
        assert_eq!(waits.due(STOP, 2) == Duration::ZERO, ends, "{class:?}");
    }
}

/// A changed Secret brings no new generation, and what it changes may be the output that was refused.
#[test]
fn other_parameters_end_the_wait_that_the_old_ones_were_for() {
    for (class, ends) in [
        (Class::OutputBusy, true),
        (Class::RequestRejected, true),
        (Class::QuotaExceeded, false),
        (Class::Throttled, false),
    ] {
        let mut waits = Waits::default();
        let fails = trouble(Cause::Answer(class));
        for action in [Action::StartLiveMpuTask, STOP] {
            waits.fail(action, &fails, 1, &Paces::default(), at(0), 0.9);
        }
        waits.carries_another(Action::StartLiveMpuTask);
        assert_eq!(
            waits.get(Action::StartLiveMpuTask).is_none(),
            ends,
            "{class:?}"
        );
        assert!(waits.get(STOP).is_some(), "{class:?}: it carries the same");
    }
}

#[test]
fn a_resigned_request_goes_at_once_then_backs_off() {
    let mut waits = Waits::default();
    let skew = trouble(Cause::Answer(Class::ClockSkew));
    waits.fail(STOP, &skew, 1, &Paces::default(), at(5), 1.0);
    assert_eq!(waits.due(STOP, 1), Duration::from_secs(5));
    waits.fail(STOP, &skew, 1, &Paces::default(), at(5), 1.0);
    assert_eq!(waits.due(STOP, 1), Duration::from_secs(7));
}

proptest! {
    #[test]
    fn a_wait_is_never_outside_its_band(attempts in 1_u32..50, jitter in 0.0..1.0_f64) {
        let paces = Paces::default();
        let mut waits = Waits::default();
        for _ in 0..attempts {
            waits.fail(STOP, &trouble(THROTTLED), 1, &paces, at(0), jitter);
        }
        prop_assert!(waits.due(STOP, 1) <= paces.backoff_max);
        let bound = waits.get(STOP).map(|wait| wait.band.1);
        prop_assert!(bound.is_some_and(|bound| waits.due(STOP, 1) <= bound));
    }
}
