#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::unchecked_time_subtraction,
    reason = "a test stops at the first surprise"
)]

use proptest::prelude::*;

use super::*;

#[path = "limiter_quota_tests.rs"]
mod quota;

const DEADLINE: Duration = Duration::from_secs(10);
const STOP: Action = Action::StopLiveMpuTask;
const LIST: Action = Action::ListRtcMpuTaskDetail;

fn account() -> Account {
    Account::new("one")
}

fn ticket(key: u32) -> Ticket<u32> {
    Ticket {
        lane: Lane::Create,
        namespace: "default".to_owned(),
        key,
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A limiter, and the first moment at which it gives anything.
fn open() -> (Limiter<u32>, Instant) {
    let started = Instant::now();
    (
        Limiter::new(started, DEADLINE, QuotaShare::WHOLE),
        started + WINDOW,
    )
}

/// The same, and answers are known to take long: silence is none yet.
fn slow() -> (Limiter<u32>, Instant) {
    let (limiter, opens) = open();
    permit(&limiter, opens, LIST, 0).ended(opens + DEADLINE);
    (limiter, opens + DEADLINE * 2)
}

fn permit(limiter: &Limiter<u32>, now: Instant, action: Action, key: u32) -> Permit {
    match limiter.take(now, &account(), action, ticket(key)) {
        Taken::Permit(mut permit) => {
            permit.sent(now);
            permit
        }
        Taken::Wait => panic!("{key} has to wait"),
    }
}

fn waits(limiter: &Limiter<u32>, now: Instant, action: Action, key: u32) -> bool {
    match limiter.take(now, &account(), action, ticket(key)) {
        Taken::Permit(permit) => {
            permit.unused();
            false
        }
        Taken::Wait => true,
    }
}

/// Takes the whole quota of the list, as fast as the pace allows; ends at the moment of the last permit.
fn exhaust(limiter: &Limiter<u32>, mut now: Instant) -> (Vec<Permit>, Instant) {
    let permits = (0..50)
        .map(|key| {
            now += millis(20);
            permit(limiter, now, LIST, 1000 + key)
        })
        .collect();
    (permits, now)
}

#[test]
fn nothing_in_the_first_second() {
    let (limiter, opens) = open();
    assert!(waits(&limiter, opens - WINDOW, STOP, 1));
    assert_eq!(limiter.grants(opens - millis(1)), Vec::<u32>::new());
    assert_eq!(limiter.next_at(opens - millis(1)), Some(opens));
    assert_eq!(limiter.grants(opens), [1]);
    assert_eq!(
        limiter.grants(opens),
        Vec::<u32>::new(),
        "each turn is told once"
    );
    permit(&limiter, opens, STOP, 1).unused();
    assert_eq!(limiter.next_at(opens), None);
}

#[test]
fn permits_are_spread_over_the_second() {
    let (limiter, opens) = open();
    permit(&limiter, opens, LIST, 1).ended(opens);
    assert!(waits(&limiter, opens, LIST, 2));
    assert_eq!(limiter.next_at(opens), Some(opens + millis(20)));
    assert!(waits(&limiter, opens + millis(19), LIST, 2));
    permit(&limiter, opens + millis(20), LIST, 2).ended(opens);
}

#[test]
fn a_late_timer_is_made_up_for_and_idle_time_is_not() {
    let (limiter, opens) = open();
    permit(&limiter, opens + millis(3), LIST, 1).ended(opens);
    assert!(waits(&limiter, opens + millis(3), LIST, 2));
    assert_eq!(
        limiter.next_at(opens),
        Some(opens + millis(20)),
        "on schedule, though the one before was late"
    );
    // After a long rest no more than what [`CATCH_UP`] holds comes at once: here the second one, and then the pace rules again.
    let later = opens + DEADLINE;
    permit(&limiter, later, LIST, 2).ended(later);
    let second = later + millis(20) - CATCH_UP;
    permit(&limiter, second, LIST, 3).ended(second);
    assert!(waits(&limiter, second, LIST, 4));
    assert_eq!(limiter.next_at(second), Some(second + millis(20)));
}

#[test]
fn a_place_is_free_a_second_after_the_reply() {
    let (limiter, opens) = open();
    let (permits, now) = exhaust(&limiter, opens);
    let replied = now + millis(700);
    assert!(waits(&limiter, replied, LIST, 1));
    assert_eq!(
        limiter.next_at(replied),
        None,
        "nobody knows when a reply comes"
    );
    for permit in permits {
        permit.ended(replied);
    }
    assert_eq!(limiter.next_at(replied), Some(replied + WINDOW));
    assert!(waits(&limiter, replied + millis(999), LIST, 1));
    permit(&limiter, replied + WINDOW, LIST, 1).unused();
}

#[test]
fn a_place_without_a_reply_is_free_a_second_after_the_deadline() {
    type End = fn(Permit, Instant);
    let ends: [(&str, End); 2] = [
        ("told", Permit::unanswered),
        ("dropped", |permit, _| drop(permit)),
    ];
    for (what, end) in ends {
        let (limiter, opens) = open();
        let (permits, now) = exhaust(&limiter, opens);
        let first_sent = opens + millis(20);
        for permit in permits {
            end(permit, now + millis(1));
        }
        assert!(waits(&limiter, now + WINDOW * 2, LIST, 1), "{what}");
        assert_eq!(
            limiter.next_at(now),
            Some(first_sent + DEADLINE + WINDOW),
            "{what}"
        );
        permit(&limiter, first_sent + DEADLINE + WINDOW, LIST, 1).unused();
    }
}

#[test]
fn giving_up_late_counts_from_then() {
    let (limiter, opens) = open();
    let (permits, now) = exhaust(&limiter, opens);
    let late = now + DEADLINE * 2;
    for permit in permits {
        permit.unanswered(late);
    }
    assert!(waits(&limiter, late, LIST, 1));
    assert_eq!(limiter.next_at(late), Some(late + WINDOW));
}

#[test]
fn an_unused_place_is_free_at_once() {
    let (limiter, opens) = slow();
    let (mut permits, now) = exhaust(&limiter, opens);
    assert!(waits(&limiter, now + millis(20), LIST, 1));
    permits.pop().unwrap().unused();
    assert_eq!(limiter.grants(now + millis(20)), [1]);
    drop(permits);
}

#[test]
fn what_is_kept_aside_is_for_its_key_and_not_for_ever() {
    let (limiter, before) = slow();
    permit(&limiter, before, LIST, 0).ended(before + DEADLINE);
    let before = before + DEADLINE;
    for _ in 0..2 {
        permit(&limiter, before, LIST, 0).unused();
    }
    let opens = before + millis(20);
    assert!(waits(&limiter, before, LIST, 1));
    assert!(waits(&limiter, before, LIST, 2));
    assert_eq!(limiter.grants(opens), [1]);
    assert!(
        waits(&limiter, opens, LIST, 2),
        "the permit is not for whoever comes first"
    );
    permit(&limiter, opens + millis(1), LIST, 1).ended(opens + millis(1));

    assert_eq!(limiter.grants(opens + millis(20)), [2]);
    let gone = opens + millis(20) + KEPT_ASIDE;
    let (rest, _) = {
        let mut now = opens + millis(20);
        let rest: Vec<Permit> = (0..49)
            .map(|key| {
                now += millis(30);
                permit(&limiter, now, LIST, 100 + key)
            })
            .collect();
        (rest, now)
    };
    assert!(
        waits(&limiter, gone - millis(1), LIST, 3),
        "its place is taken while it is kept"
    );
    assert_eq!(limiter.next_at(gone - millis(1)), Some(gone));
    assert_eq!(
        limiter.grants(gone),
        [2, 3],
        "then it goes on to the next, and its key is told to ask again"
    );
    assert!(
        waits(&limiter, gone + millis(20), LIST, 2),
        "and its key stands in line again"
    );
    drop(rest);
}

/// A process that was stopped for longer than permits are kept: whoever lost one without ever being told still hears of it.
#[test]
fn a_key_that_was_never_told_is_told_when_its_permit_lapsed() {
    let (limiter, opens) = open();
    let before = opens - WINDOW;
    assert!(waits(&limiter, before, LIST, 1));
    assert!(
        waits(&limiter, opens, LIST, 2),
        "1 is served, and not told yet"
    );
    let later = opens + KEPT_ASIDE + millis(100);
    assert!(limiter.grants(later).contains(&1));
    assert!(
        !waits(&limiter, later + millis(60), LIST, 1),
        "and it is served when it asks again"
    );
}

/// Nothing gathers in a line whose keys are all served at once.
#[test]
fn what_was_taken_is_not_told() {
    let (limiter, opens) = open();
    permit(&limiter, opens, LIST, 1).unused();
    assert_eq!(limiter.next_at(opens), None);
    assert_eq!(limiter.grants(opens), Vec::<u32>::new());
    assert!(waits(&limiter, opens, LIST, 2));
    assert!(!waits(&limiter, opens + millis(20), LIST, 2));
    assert_eq!(limiter.grants(opens + millis(40)), Vec::<u32>::new());
    let inner = locked(&limiter.0);
    assert!(
        inner
            .lines
            .values()
            .all(|line| line.untold.is_empty() && line.aside.is_empty())
    );
}

#[test]
fn a_forgotten_key_leaves_nothing_behind() {
    let (limiter, opens) = slow();
    let (mut permits, now) = exhaust(&limiter, opens);
    for key in [2, 3] {
        assert!(waits(&limiter, now + millis(20), LIST, key));
    }
    permits.pop().unwrap().unused();
    assert_eq!(limiter.grants(now + millis(40)), [2]);
    limiter.forget(&2);
    limiter.forget(&3);
    assert_eq!(limiter.next_at(now + millis(40)), None);
    assert!(
        !waits(&limiter, now + millis(60), LIST, 4),
        "its place is free again"
    );
    drop(permits);
}

#[test]
fn accounts_and_actions_have_lines_of_their_own() {
    let (limiter, opens) = open();
    let (permits, now) = exhaust(&limiter, opens);
    let now = now + millis(20);
    assert!(waits(&limiter, now, LIST, 1));
    assert!(!waits(&limiter, now, STOP, 1));
    let other = limiter
        .clone()
        .take(now, &Account::new("two"), LIST, ticket(1));
    assert!(matches!(other, Taken::Permit(_)));
    drop(permits);
}

#[test]
fn deletions_go_first_bulk_reads_last_and_namespaces_take_turns() {
    let (limiter, opens) = open();
    let line = [
        (6, Lane::Sweep, "a"),
        (5, Lane::Update, "a"),
        (7, Lane::Sweep, "b"),
        (1, Lane::Create, "a"),
        (2, Lane::Create, "a"),
        (3, Lane::Create, "b"),
        (4, Lane::Delete, "a"),
        (2, Lane::Delete, "a"),
        (1, Lane::Create, "a"),
    ];
    for (key, lane, namespace) in line {
        let taken = limiter.take(
            opens - WINDOW,
            &account(),
            LIST,
            Ticket {
                lane,
                namespace: namespace.to_owned(),
                key,
            },
        );
        assert!(matches!(taken, Taken::Wait));
    }
    let mut now = opens;
    let order: Vec<u32> = (0..7)
        .flat_map(|_| {
            let granted = limiter.grants(now);
            now += millis(20);
            granted
        })
        .collect();
    assert_eq!(order, [4, 2, 1, 3, 5, 6, 7]);
}
