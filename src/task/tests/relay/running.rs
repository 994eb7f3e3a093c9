//! A relay that runs: gone, paused, started again.

use super::*;
use crate::api::{DesiredState, RestartPolicy, StopReason};

const SWEEP: Duration = Duration::from_secs(30);

/// A relay that runs, ten minutes after its Start, as its spec asks; that is told.
pub fn running() -> Life {
    let mut life = Life::relay(started(relay()));
    life.now = 10 * SETTLE;
    life.channel(true);
    life.be_silent();
    assert_eq!(life.reasons(), [Reason::Running]);
    life
}

fn with_restart(restart: RestartPolicy) -> Life {
    let mut life = running();
    life.view.restart = restart;
    life
}

/// Two sweeps that do not show the task, and a read of the channels after them.
fn gone(life: &mut Life, channel_is_live: bool) {
    let first = life.now + SWEEP;
    life.now = first + SWEEP;
    life.seen.absent = Some((first, life.now));
    life.channel(channel_is_live);
}

#[test]
fn what_two_reads_of_the_list_do_not_show_is_gone_and_the_channel_tells_why() {
    for (live, reason, words) in [
        (false, StopReason::ChannelEmpty, "nobody was in its channel"),
        (true, StopReason::StoppedElsewhere, "by something else"),
    ] {
        let mut life = running();
        gone(&mut life, live);
        life.be_silent();
        assert_eq!(
            (life.last().phase, life.reason()),
            (Phase::Stopped, Reason::Completed)
        );
        assert_eq!(life.view.status.stop_reason, Some(reason));
        let message = life.last_message();
        assert!(message.contains(words), "{message}");
        assert_eq!(life.step(), Step::Rest(None), "and it stays so");
        // It is not proven yet: two reads of a list that lags say less than a Stop.
        life.view.deleted = Some(life.moment().wall);
        let evidence = life.act(|_, _| accepted());
        assert!(matches!(evidence, Some(Evidence::StopAccepted { .. })));
    }
}

#[test]
fn what_cannot_be_trusted_yet_changes_nothing() {
    // The first of the two reads began before the Start had had its time.
    let mut life = Life::relay(started(relay()));
    life.be_silent();
    life.now = 3 * SETTLE;
    life.channel(true);
    life.seen.absent = Some((SETTLE - SECOND, 2 * SETTLE));
    life.be_silent();
    assert_eq!(life.reasons(), [Reason::Running]);
    // Without a later read of the channels nobody can tell why it is gone.
    let mut life = running();
    gone(&mut life, true);
    life.seen.absent = Some((life.now, life.now + SECOND));
    life.be_silent();
    assert_eq!(life.reasons(), [Reason::Running]);
    // Unless they can never be read.
    life.seen.channels_fail = Some(fault(Class::AccessDenied, "denied"));
    life.be_silent();
    assert_eq!(life.view.status.stop_reason, Some(StopReason::Unknown));
    assert!(life.last_message().contains("live:ListRTCLiveRooms"));
}

/// A service may list a stopped task; but it stops one whose channel stays empty.
#[test]
fn a_channel_that_stays_empty_for_long_enough_ends_the_relay() {
    let table = [
        // Idle time in seconds; whether others' channels are relayed; how long the channel is away; whether the relay is over.
        (None, false, 160, true),
        (None, false, 150, false),
        (Some(600), false, 160, false),
        (Some(600), false, 640, true),
        (None, true, 640, false),
    ];
    for (idle, crosses, away, is_over) in table {
        let mut life = running();
        life.view.max_idle = idle.map(Duration::from_secs);
        life.view.crosses_channels = crosses;
        let begun = life.now + SECOND;
        while life.now < begun + Duration::from_secs(away) {
            life.now += SECOND;
            if (life.now - begun).as_secs().is_multiple_of(10) {
                life.channel(false);
                life.be_silent();
            }
        }
        let expected = is_over.then_some(StopReason::ChannelEmpty);
        assert_eq!(
            life.view.status.stop_reason, expected,
            "idle {idle:?}, {away} s"
        );
    }
}

#[test]
fn reads_too_far_apart_prove_no_empty_channel() {
    let mut life = running();
    for _ in 0..30 {
        life.now += READING_GAP + SECOND;
        life.channel(false);
        life.be_silent();
    }
    assert_eq!(life.reasons(), [Reason::Running]);
}

#[test]
fn a_relay_that_the_service_stopped_is_started_again_only_where_that_is_asked() {
    let mut life = with_restart(RestartPolicy::WhenChannelReturns);
    gone(&mut life, false);
    life.be_silent();
    let stopped = life.now;
    life.now += 12 * SECOND;
    life.channel(false);
    life.be_silent();
    assert_eq!(life.reason(), Reason::WaitingForChannel);
    assert_eq!(life.last().phase, Phase::Stopped);
    assert!(life.last_message().contains("again"));
    life.now += 10 * SECOND;
    life.channel(true);
    life.act(|_, _| accepted());
    assert_eq!(life.reason(), Reason::Running);
    assert_eq!(life.sent(&Call::Start), [stopped + 22 * SECOND]);

    let mut life = with_restart(RestartPolicy::Never);
    gone(&mut life, false);
    life.be_silent();
    life.now += SETTLE;
    life.channel(true);
    life.be_silent();
    assert_eq!(life.reason(), Reason::Completed);
}

#[test]
fn an_output_is_not_used_again_before_its_cool_down_ends() {
    let mut life = with_restart(RestartPolicy::WhenChannelReturns);
    gone(&mut life, false);
    life.be_silent();
    let stopped = life.now;
    life.now += SECOND;
    life.channel(true);
    life.be_silent_or_start();
    let starts = life.sent(&Call::Start);
    assert_eq!(starts.len(), 1);
    assert!(starts[0] >= stopped + 10 * SECOND, "{starts:?}");
}

/// Whoever stopped it while people were in the channel meant it.
#[test]
fn a_relay_that_somebody_stopped_waits_until_the_channel_has_been_away() {
    let mut life = with_restart(RestartPolicy::WhenChannelReturns);
    gone(&mut life, true);
    life.be_silent();
    assert_eq!(life.reason(), Reason::WaitingForChannel);
    let message = life.last_message();
    assert!(message.contains("by something else"), "{message}");
    for (live, leaves) in [
        (true, false),
        (false, false),
        (true, false),
        (false, false),
        (false, true),
    ] {
        life.now += 12 * SECOND;
        life.channel(live);
        life.be_silent();
        let left = life.view.status.channel_left_at.is_some();
        assert_eq!(left, leaves, "two reads in a row");
    }
    life.now += 12 * SECOND;
    life.channel(true);
    life.act(|_, _| accepted());
    assert_eq!(life.reason(), Reason::Running);
    assert!(life.view.status.channel_left_at.is_none());
}

#[test]
fn a_break_stops_once_and_starts_again_after_the_cool_down() {
    let mut life = running();
    life.edit(|view| view.desired = DesiredState::Stopped);
    life.act(|_, _| accepted());
    let stopped = life.now;
    assert_eq!(life.stops(), [stopped]);
    assert_eq!(
        (life.last().phase, life.reason()),
        (Phase::Stopped, Reason::Stopped)
    );
    assert_eq!(life.view.status.stop_reason, Some(StopReason::Requested));
    life.now += SECOND;
    life.edit(|view| view.desired = DesiredState::Running);
    life.channel(true);
    life.be_silent_or_start();
    let starts = life.sent(&Call::Start);
    assert_eq!(starts.len(), 1);
    assert!(
        starts[0] >= stopped + 10 * SECOND && starts[0] <= stopped + 12 * SECOND,
        "{starts:?}"
    );
    assert_eq!(
        life.view.status.started_at.as_ref().unwrap().0,
        Timestamp::UNIX_EPOCH,
        "the first Start counts"
    );
}

#[test]
fn after_an_unanswered_stop_nothing_is_started_within_the_settle_time() {
    let mut life = running();
    life.edit(|view| view.desired = DesiredState::Stopped);
    let first = life.now;
    let mut stops = 0;
    life.run(first + 5 * SECOND, |_, _| {
        stops += 1;
        if stops == 1 { silence() } else { accepted() }
    });
    assert_eq!(life.reason(), Reason::Stopped);
    life.edit(|view| view.desired = DesiredState::Running);
    life.channel(true);
    life.be_silent_or_start();
    let starts = life.sent(&Call::Start);
    assert!(
        starts.len() == 1 && starts[0] >= first + SETTLE,
        "{starts:?}"
    );
}

/// A break that was taken back before its Stop was answered.
#[test]
fn a_relay_that_goes_after_an_unanswered_stop_of_ours_is_started_again() {
    let mut life = running();
    life.edit(|view| view.desired = DesiredState::Stopped);
    life.act(|_, _| silence());
    life.edit(|view| view.desired = DesiredState::Running);
    life.be_silent();
    gone(&mut life, true);
    // One more Stop makes certain that nothing runs.
    life.run(life.now + 10 * SETTLE, |call, _| match call {
        Call::Stop { .. } => refused(Class::NotFoundLike),
        Call::ListTask => Answer::Task(None),
        Call::Start => accepted(),
        other => panic!("{other:?}"),
    });
    assert_eq!((life.stops().len(), life.sent(&Call::Start).len()), (2, 1));
    assert_eq!(life.reason(), Reason::Running);
}

#[test]
fn the_longest_duration_counts_by_the_clock_of_the_day_and_stops_once() {
    // It passed while the operator was down.
    let object = changed(
        started(relay()),
        "/status",
        json!({"startedAt": "1969-12-31T22:00:00Z"}),
    );
    let mut down = Life::relay(object);
    down.view.max_duration = Some(Duration::from_hours(1));
    down.act(|_, _| accepted());
    assert_eq!(down.reason(), Reason::Completed);
    assert!(down.last_message().contains("spec.maxDurationSeconds"));

    let mut life = running();
    life.view.max_duration = Some(Duration::from_hours(1));
    let at = Duration::from_hours(1);
    assert_eq!(
        life.step(),
        Step::Rest(Some(life.now + Duration::from_mins(1)))
    );
    life.run(2 * at, |call, now| {
        assert_eq!((call, now), (&Call::Stop { ripe: false }, at));
        accepted()
    });
    assert_eq!(life.view.status.stop_reason, Some(StopReason::MaxDuration));
    assert_eq!(life.reason(), Reason::Completed);
    life.channel(true);
    life.be_silent();
    // Raised, it may run again.
    life.edit(|view| view.max_duration = Some(Duration::from_hours(3)));
    life.be_silent_or_start();
    assert_eq!(life.reason(), Reason::Running);
    life.run(4 * at, |call, now| {
        assert_eq!((call, now), (&Call::Stop { ripe: false }, 3 * at));
        accepted()
    });
    assert_eq!(life.stops().len(), 2, "counted from the first Start");
}

#[test]
fn an_update_that_waits_does_not_outlast_the_longest_duration() {
    let mut life = running();
    life.edit(|view| view.max_duration = Some(Duration::from_secs(605)));
    life.wanted = parameters("h2", &["aaaa"]);
    life.run(Duration::from_hours(1), |call, _| match call {
        Call::Update => refused(Class::AccessDenied),
        _ => accepted(),
    });
    assert_eq!(life.stops(), [Duration::from_secs(605)]);
}

#[test]
fn hands_off_means_hands_off_and_deletion_still_stops() {
    let mut life = running();
    life.edit(|view| view.suspend = true);
    life.wanted = parameters("h2", &["aaaa"]);
    gone(&mut life, false);
    life.be_silent();
    assert_eq!(life.reason(), Reason::Suspended);
    assert!(life.view.status.claim.is_some() && life.view.status.intent.is_some());
    life.view.deleted = Some(life.moment().wall);
    let evidence = life.act(|_, _| accepted());
    assert!(matches!(evidence, Some(Evidence::StopAccepted { .. })));
}

impl Life {
    /// Goes on for ten minutes, in which nothing but a Start may be called.
    fn be_silent_or_start(&mut self) {
        self.run(self.now + 10 * SETTLE, |call, _| {
            assert_eq!(*call, Call::Start);
            accepted()
        });
    }
}

/// A break that was taken back while its Stop was on the way, and the Stop was accepted.
#[test]
fn an_accepted_stop_is_not_forgotten_when_the_break_is_taken_back() {
    let mut life = running();
    life.edit(|view| view.desired = DesiredState::Stopped);
    let Step::Call { call, bought } = life.step() else {
        panic!("{:?}", life.step())
    };
    life.edit(|view| view.desired = DesiredState::Running);
    life.answer(call, accepted(), bought);
    life.be_silent();
    assert_eq!(life.view.status.stop_reason, Some(StopReason::Requested));
    life.channel(true);
    life.be_silent_or_start();
    assert_eq!(life.sent(&Call::Start).len(), 1);
}

/// An unanswered Stop of before the last Start says nothing of why the relay is gone now.
#[test]
fn a_stop_of_an_earlier_break_explains_nothing() {
    let mut life = running();
    life.memory.stop_open = Some(life.now);
    life.view.status = view(ended(relay(), "Requested")).status;
    life.now += 2 * SETTLE;
    life.channel(true);
    life.be_silent_or_start();
    assert_eq!(life.sent(&Call::Start).len(), 1);
    assert_eq!(life.memory.stop_open, None);
}

/// A change that is not sent does not keep the relay from ending in time.
#[test]
fn a_relay_whose_change_is_not_sent_still_ends_in_time() {
    let mut life = running();
    let end = life.now + SETTLE;
    life.edit(|view| view.max_duration = Some(end));
    life.wanted = parameters("h2", &["bbbb"]);
    life.output_taken = Some(Rival { name: None });
    life.be_silent();
    assert_eq!(life.reason(), Reason::OutputInUse);
    assert_eq!(life.step(), Step::Rest(Some(end)));
}

/// The Stop that makes certain of it may fail: that says so, and not that the relay runs.
#[test]
fn a_break_of_a_relay_that_is_over_says_what_its_stop_is_for() {
    for (object, says) in [
        (ended(relay(), "ChannelEmpty"), "makes certain"),
        (started(relay()), "may still run"),
    ] {
        let mut life = Life::relay(object);
        life.now = 10 * SETTLE;
        life.channel(true);
        life.edit(|view| view.desired = DesiredState::Stopped);
        life.act(|_, _| refused(Class::AccessDenied));
        assert_eq!(life.reason(), Reason::AccessDenied);
        assert!(
            life.last_message().contains(says),
            "{}",
            life.last_message()
        );
    }
}
