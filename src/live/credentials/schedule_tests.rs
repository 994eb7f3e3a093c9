#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use proptest::prelude::*;
use secrecy::SecretString;

use super::*;
use crate::live::class::Class;

const HOUR: Duration = Duration::from_hours(1);

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn triple(id: &str) -> Arc<Credentials> {
    Arc::new(Credentials::new(
        id,
        SecretString::from("secret"),
        Some(SecretString::from("token")),
    ))
}

fn outage() -> Failure {
    Failure::no_credentials(Class::ServiceUnavailable, "outage")
}

/// One word for what is advised.
fn advice(schedule: &Schedule, at: u64) -> String {
    match schedule.advise(s(at)) {
        Advice::Use(credentials) => format!("use {}", credentials.key_id()),
        Advice::UseAndFetch(credentials) => format!("use {} and fetch", credentials.key_id()),
        Advice::Fetch => "fetch".to_owned(),
        Advice::Fail(failure) => failure.message,
    }
}

#[test]
fn an_hours_credentials_are_fetched_a_quarter_of_an_hour_before_their_end() {
    let mut schedule = Schedule::default();
    assert_eq!(advice(&schedule, 0), "fetch");
    schedule.fetched(triple("a"), HOUR, s(100));
    assert_eq!(schedule.next(), s(100 + 2700));
    assert_eq!(advice(&schedule, 100), "use a");
    assert_eq!(advice(&schedule, 100 + 2699), "use a");
    assert_eq!(advice(&schedule, 100 + 2700), "use a and fetch");
    assert_eq!(advice(&schedule, 100 + 3599), "use a and fetch");
    assert_eq!(advice(&schedule, 100 + 3600), "fetch");
    schedule.fetched(triple("b"), HOUR, s(2800));
    assert_eq!(advice(&schedule, 100 + 3600), "use b");
}

#[test]
fn the_margin_is_a_quarter_of_a_short_life_and_a_quarter_of_an_hour_of_a_long_one() {
    for (life, ageing) in [(900, 675), (8, 6), (43_200, 42_300)] {
        let mut schedule = Schedule::default();
        schedule.fetched(triple("a"), s(life), s(0));
        assert_eq!(schedule.next(), s(ageing), "{life}");
    }
}

#[test]
fn after_a_failure_the_old_ones_do_until_their_end_and_then_the_failure_is_told() {
    let mut schedule = Schedule::default();
    schedule.fetched(triple("a"), HOUR, s(0));
    let mut tries = 0;
    let mut at = s(2700);
    while at < HOUR {
        assert!(matches!(schedule.advise(at), Advice::UseAndFetch(_)));
        let wait = schedule.failed(outage(), at, 1.0);
        assert_eq!(wait, s(60).min(s(1 << tries.min(6))));
        assert!(matches!(schedule.advise(at), Advice::Use(_)), "at {at:?}");
        assert_eq!(schedule.next(), at + wait);
        (at, tries) = (at + wait, tries + 1);
    }
    assert!(tries > 15, "{tries}");
    // At the end it is no longer too early for another try.
    schedule.failed(outage(), s(3599), 1.0);
    assert_eq!(advice(&schedule, 3600), "outage");
    assert_eq!(advice(&schedule, 3599 + 60), "fetch");
    schedule.fetched(triple("b"), HOUR, s(3700));
    assert_eq!(advice(&schedule, 3700), "use b");
    assert_eq!(
        schedule.failed(outage(), s(6400), 1.0),
        s(1),
        "the row of failures is over"
    );
}

#[test]
fn a_wait_is_never_less_than_half_of_its_bound_or_than_what_sts_asks_for() {
    let mut schedule = Schedule::default();
    assert_eq!(
        schedule.failed(outage(), s(0), 0.0),
        Duration::from_millis(500)
    );
    let throttled = Failure {
        retry_after: Some(s(30)),
        ..outage()
    };
    assert_eq!(schedule.failed(throttled, s(10), 0.5), s(30));
    assert_eq!(advice(&schedule, 39), "outage");
    assert_eq!(advice(&schedule, 40), "fetch");
}

#[test]
fn refused_ones_are_replaced_at_once() {
    let mut schedule = Schedule::default();
    let a = triple("a");
    schedule.fetched(a.clone(), HOUR, s(0));
    assert!(schedule.refused(&a, s(10)));
    assert!(
        schedule.refused(&a, s(10)),
        "everybody who was refused is told so"
    );
    assert_eq!(advice(&schedule, 10), "fetch");
    // They may be good after all.
    schedule.failed(outage(), s(10), 1.0);
    assert_eq!(advice(&schedule, 10), "use a");
    assert_eq!(advice(&schedule, 11), "fetch");
    schedule.fetched(triple("b"), HOUR, s(11));
    assert_eq!(advice(&schedule, 11), "use b");
    assert!(schedule.refused(&a, s(12)), "others are held");
    assert_eq!(advice(&schedule, 12), "use b");
}

#[test]
fn what_is_refused_time_and_again_is_fetched_ever_more_rarely() {
    let mut schedule = Schedule::default();
    let mut now = s(0);
    let mut fetches = 0;
    while now < HOUR {
        if matches!(schedule.advise(now), Advice::Fetch) {
            fetches += 1;
            schedule.fetched(triple(&fetches.to_string()), HOUR, now);
        }
        if let Advice::Use(held) = schedule.advise(now) {
            let is_soon = schedule.refused(&held, now);
            assert_eq!(is_soon, matches!(schedule.advise(now), Advice::Fetch));
        }
        now += Duration::from_millis(100);
    }
    // 1 + 9 until the distance is five minutes, and then one each time.
    assert!((15..=25).contains(&fetches), "{fetches}");
    // A calm time, and a refusal is answered at once again.
    let calm = HOUR + HOUR;
    schedule.fetched(triple("calm"), 3 * HOUR, HOUR);
    assert!(schedule.refused(&triple("calm"), calm));
    schedule.fetched(triple("next"), HOUR, calm);
    assert!(!schedule.refused(&triple("next"), calm));
    assert!(matches!(schedule.advise(calm + s(1)), Advice::Fetch));
}

#[test]
fn the_same_ones_again_after_a_refusal_are_no_better() {
    let mut schedule = Schedule::default();
    let a = triple("a");
    schedule.fetched(a.clone(), HOUR, s(0));
    assert!(schedule.refused(&a, s(10)));
    schedule.fetched(triple("a"), HOUR, s(10));
    assert_eq!(advice(&schedule, 10), "use a");
    assert!(!schedule.refused(&a, s(10)));
    assert_eq!(advice(&schedule, 11), "fetch");
    schedule.fetched(triple("a"), HOUR, s(11));
    assert_eq!(advice(&schedule, 12), "use a");
    assert_eq!(advice(&schedule, 13), "fetch");
}

/// What may happen to the schedule.
#[derive(Debug, Clone)]
enum Event {
    /// So many milliseconds pass.
    Wait(u64),
    /// A fetch, where one is due, gives something that lives so many seconds; or fails.
    Fetch(Option<u64>),
    /// The service refuses what is held.
    Refuse,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (1..600_000_u64).prop_map(Event::Wait),
        prop_oneof![Just(None), (0..7200_u64).prop_map(Some)].prop_map(Event::Fetch),
        Just(Event::Refuse),
    ]
}

proptest! {
    /// Whatever happens: nothing expired is used, what is not refused is used to its end, a failed fetch is not repeated within half a second,
    /// and who is to look again by himself is never told to do so without end.
    #[test]
    fn never_expired_never_hammering(events in proptest::collection::vec(event(), 0..60), jitter in 0.0..1.0_f64) {
        let mut schedule = Schedule::default();
        let (mut now, mut end, mut failed_at) = (Duration::ZERO, None, None::<Duration>);
        for (number, event) in events.into_iter().enumerate() {
            match event {
                Event::Wait(millis) => now += Duration::from_millis(millis),
                Event::Fetch(outcome) => {
                    let is_due = matches!(schedule.advise(now), Advice::Fetch | Advice::UseAndFetch(_));
                    if is_due {
                        if let Some(failed) = failed_at {
                            prop_assert!(now >= failed + Duration::from_millis(500));
                        }
                        if let Some(life) = outcome {
                            schedule.fetched(triple(&number.to_string()), s(life), now);
                            (end, failed_at) = (Some(now + s(life)), None);
                        } else {
                            schedule.failed(outage(), now, jitter);
                            failed_at = Some(now);
                        }
                    }
                }
                Event::Refuse => {
                    if let Advice::Use(held) = schedule.advise(now) {
                        schedule.refused(&held, now);
                    }
                }
            }
            match schedule.advise(now) {
                Advice::Use(_) | Advice::UseAndFetch(_) => prop_assert!(end.is_some_and(|end| now < end)),
                Advice::Fail(_) => {
                    prop_assert!(end.is_none_or(|end| now >= end));
                    prop_assert!(failed_at.is_some());
                }
                Advice::Fetch => {}
            }
            if let Advice::Use(_) | Advice::Fail(_) = schedule.advise(now) {
                prop_assert!(schedule.next() > now, "{:?} at {now:?}", schedule);
                let then = schedule.next();
                let is_due = matches!(schedule.advise(then), Advice::Fetch | Advice::UseAndFetch(_));
                prop_assert!(is_due, "{:?} at {then:?}", schedule);
            }
        }
    }
}
