//! A task that stays listed although Stop finds nothing: it runs, or its channel has been empty for long enough.

use super::deletion::{HOUR, unix};
use super::*;

#[test]
fn a_running_task_is_never_released_and_released_once_it_stopped() {
    let mut life = Life::of(deleting());
    let mut running = |call: &Call, now: Duration| match call {
        Call::Stop { .. } => failed(Class::NotFoundLike),
        Call::Users(_) => Answer::Users {
            empty: false,
            timestamp: unix(now),
        },
        _ => Answer::Task(Some(shown(None))),
    };
    assert_eq!(life.run(24 * HOUR, &mut running), None);
    let message = life.last_message();
    assert!(
        message.contains("still lists task final-42")
            && message.contains("retrying every 0 to 60 s"),
        "{message}"
    );
    let evidence = life.run(25 * HOUR, |call, _| match call {
        Call::Stop { .. } => failed(Class::NotFoundLike),
        _ => Answer::Task(None),
    });
    assert_eq!(evidence, Some(Evidence::NotListed));
}

/// A task that the service stopped by itself but goes on listing; `readings` says who is in the channel.
fn still_listed(
    max_idle: Option<Duration>,
    mut readings: impl FnMut(Duration) -> (bool, i64),
) -> (Life, Option<Evidence>) {
    let mut life = Life::of(deleting());
    let evidence = life.run(2 * HOUR, |call, now| match call {
        Call::Stop { .. } => failed(Class::NotFoundLike),
        Call::Users(_) => {
            let (empty, timestamp) = readings(now);
            Answer::Users { empty, timestamp }
        }
        _ => Answer::Task(Some(shown(max_idle))),
    });
    (life, evidence)
}

#[test]
fn a_channel_that_stays_empty_is_the_weakest_evidence() {
    let (life, evidence) = still_listed(None, |now| (true, unix(now)));
    assert_eq!(evidence, Some(Evidence::MustHaveStopped));
    assert_eq!(life.stops().len(), 2, "the first and one more");
    assert!(
        life.now > 150 * SECOND && life.now <= 165 * SECOND,
        "{:?}",
        life.now
    );
    let (life, evidence) = still_listed(Some(600 * SECOND), |now| (true, unix(now)));
    assert_eq!(evidence, Some(Evidence::MustHaveStopped));
    assert!(
        life.now > 630 * SECOND && life.now <= 645 * SECOND,
        "{:?}",
        life.now
    );
}

#[test]
fn anybody_in_the_channel_begins_the_wait_anew() {
    let (life, evidence) = still_listed(None, |now| {
        (now < 100 * SECOND || now > 120 * SECOND, unix(now))
    });
    assert_eq!(evidence, Some(Evidence::MustHaveStopped));
    assert!(life.now > 270 * SECOND, "{:?}", life.now);
}

#[test]
fn a_gap_between_readings_begins_the_wait_anew() {
    // The service's clock jumps ahead once by more than a reading may be away, and once back.
    for jump in [1000, -1000] {
        let (life, evidence) = still_listed(None, |now| {
            (true, unix(now) + if now > 100 * SECOND { jump } else { 0 })
        });
        assert_eq!(evidence, Some(Evidence::MustHaveStopped));
        assert!(life.now > 250 * SECOND, "{jump}: {:?}", life.now);
    }
    // A clock that runs too fast shows a gap every time.
    let (_, evidence) = still_listed(None, |now| (true, 16 * unix(now)));
    assert_eq!(evidence, None);
}

#[test]
fn the_one_more_stop_may_be_accepted() {
    let mut life = Life::of(deleting());
    let evidence = life.run(HOUR, |call, now| match call {
        Call::Stop { ripe: false } => failed(Class::NotFoundLike),
        Call::Stop { ripe: true } => accepted(),
        Call::Users(_) => Answer::Users {
            empty: true,
            timestamp: unix(now),
        },
        _ => Answer::Task(Some(shown(None))),
    });
    assert!(
        matches!(evidence, Some(Evidence::StopAccepted { .. })),
        "{evidence:?}"
    );
}

#[test]
fn a_channel_that_cannot_be_read_any_more_does_not_silence_stop() {
    let mut life = Life::of(deleting());
    let mut readings = 0;
    let evidence = life.run(HOUR, |call, now| match call {
        Call::Stop { .. } => failed(Class::NotFoundLike),
        Call::Users(_) if readings == 0 => {
            readings += 1;
            Answer::Users {
                empty: true,
                timestamp: unix(now),
            }
        }
        Call::Users(_) => failed(Class::AccessDenied),
        _ => Answer::Task(Some(shown(None))),
    });
    assert_eq!(evidence, None);
    assert!(life.stops().len() > 30, "{:?}", life.stops().len());
}

#[test]
fn a_task_that_may_live_long_in_an_empty_channel_is_stopped_again_meanwhile() {
    let (life, evidence) = still_listed(Some(HOUR), |now| (true, unix(now)));
    assert_eq!(evidence, Some(Evidence::MustHaveStopped));
    assert!(life.stops().len() > 30, "{:?}", life.stops().len());
}

#[test]
fn a_throttled_one_more_stop_is_no_evidence_by_itself() {
    let mut life = Life::of(deleting());
    let evidence = life.run(HOUR, |call, now| match call {
        Call::Stop { ripe: false } => failed(Class::NotFoundLike),
        Call::Stop { ripe: true } => failed(Class::Throttled),
        Call::Users(_) => Answer::Users {
            empty: true,
            timestamp: unix(now),
        },
        _ => Answer::Task(Some(shown(None))),
    });
    assert_eq!(evidence, None);
}
