#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::unchecked_time_subtraction,
    reason = "a test stops at the first surprise"
)]

use proptest::prelude::*;

use super::*;

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
fn deletions_go_first_and_namespaces_take_turns() {
    let (limiter, opens) = open();
    let line = [
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
    let order: Vec<u32> = (0..4)
        .flat_map(|_| {
            let granted = limiter.grants(now);
            now += millis(20);
            granted
        })
        .collect();
    assert_eq!(order, [4, 2, 1, 3]);
}

/// What one simulated call does, all times in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Course {
    latency: u64,
    /// When within the latency the service counts the call, in percent of it.
    counted: u64,
    end: End,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Reply,
    /// Refused for the quota, with the service's own delay; the service may count it all the same.
    Throttled(Option<u64>),
    /// No reply; the service may count the call until the deadline.
    Silence,
    Dropped,
}

/// Sends on each of so many accounts as many calls as the limiter lets through in `run` from its opening on, with a timer that is late by each of
/// `lateness` in turn, and gives the moments at which the service counted them, by account.
fn simulate(
    (action, share, accounts): (Action, QuotaShare, u32),
    courses: &[Course],
    lateness: &[u64],
    run: Duration,
) -> Vec<Vec<Instant>> {
    let started = Instant::now();
    let (limiter, opens) = (Limiter::new(started, DEADLINE, share), started + WINDOW);
    let account = |key: u32| Account::new(format!("account-{}", key % accounts));
    let mut courses = courses.iter().cycle();
    let mut lateness = lateness.iter().cycle();
    let mut out: BinaryHeap<Reverse<(Instant, u32)>> = BinaryHeap::new();
    let mut permits: HashMap<u32, (Permit, End)> = HashMap::new();
    let mut counted = vec![Vec::new(); usize::try_from(accounts).unwrap()];
    let mut now = started;
    let demand = action.quota_per_second() * 2 * accounts;
    for key in 0..demand {
        let taken = limiter.take(now, &account(key), action, ticket(key));
        assert!(matches!(taken, Taken::Wait));
    }
    let mut next_key = demand;
    loop {
        let reply = out.peek().map(|Reverse((at, _))| *at);
        let timer = limiter
            .next_at(now)
            .map(|at| at + millis(*lateness.next().unwrap()));
        let Some(next) = reply.into_iter().chain(timer).min() else {
            break;
        };
        now = now.max(next);
        if now >= opens + run {
            break;
        }
        while let Some(Reverse((at, key))) = out.peek().copied()
            && at <= now
        {
            out.pop();
            let (permit, end) = permits.remove(&key).unwrap();
            match end {
                End::Reply => permit.ended(now),
                End::Throttled(wait) => permit.throttled(now, wait.map(millis)),
                End::Silence => permit.unanswered(now),
                End::Dropped => drop(permit),
            }
        }
        for key in limiter.grants(now) {
            let course = courses.next().unwrap();
            let (over, last_count) = match course.end {
                End::Reply | End::Throttled(_) => (millis(course.latency), millis(course.latency)),
                End::Silence | End::Dropped => (millis(course.latency), DEADLINE),
            };
            let percent = f64::from(u32::try_from(course.counted).unwrap());
            let Taken::Permit(mut permit) = limiter.take(now, &account(key), action, ticket(key))
            else {
                panic!("{key} has to wait");
            };
            permit.sent(now);
            counted[usize::try_from(key % accounts).unwrap()]
                .push(now + last_count.mul_f64(percent / 100.0));
            permits.insert(key, (permit, course.end));
            out.push(Reverse((now + over, key)));
            // Somebody else of the account takes the place in line at once.
            let other = next_key + key % accounts;
            let _ = limiter.take(now, &account(other), action, ticket(other));
            next_key += accounts;
        }
    }
    for counted in &mut counted {
        counted.sort();
    }
    counted
}

fn assert_within_quota(counted: &[Instant], quota: u32) {
    let quota = usize::try_from(quota).unwrap();
    for (first, beyond) in counted.iter().zip(counted.iter().skip(quota)) {
        assert!(
            *beyond - *first >= WINDOW,
            "{} calls within {:?}",
            quota + 1,
            *beyond - *first
        );
    }
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::StopLiveMpuTask),
        Just(Action::ListRtcMpuTaskDetail),
        Just(Action::DescribeChannelUsers)
    ]
}

fn share() -> impl Strategy<Value = QuotaShare> {
    prop_oneof![
        Just("1".to_owned()),
        (1..=1000_u32).prop_map(|part| format!("{}", f64::from(part) / 1000.0))
    ]
    .prop_map(|text| text.parse().unwrap())
}

/// `rarely`: one call in so many is throttled or lost.
fn course(rarely: u32) -> impl Strategy<Value = Course> {
    let end = prop_oneof![
        rarely => Just(End::Reply),
        1 => proptest::option::of(1..5_000_u64).prop_map(End::Throttled),
        1 => Just(End::Silence),
        1 => Just(End::Dropped)
    ];
    (
        prop_oneof![1..100_u64, 1..3_000_u64],
        prop_oneof![Just(0), Just(100), 0..=100_u64],
        end,
    )
        .prop_map(|(latency, counted, end)| Course {
            latency,
            counted,
            end,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The promise: wherever between sending and reply the service counts, no sliding second of any account has more than our share of the quota,
    /// however the limit is adapted meanwhile.
    #[test]
    fn no_sliding_second_has_more_than_the_quota(
        action in action(),
        share in share(),
        accounts in 1..=3_u32,
        courses in prop_oneof![
            proptest::collection::vec(course(20), 1..200),
            proptest::collection::vec(course(300), 100..1000),
            // Bursts of the same end.
            proptest::collection::vec((course(2), 1..150_usize), 1..10)
                .prop_map(|runs| runs.into_iter().flat_map(|(course, times)| std::iter::repeat_n(course, times)).collect()),
        ],
        lateness in proptest::collection::vec(0..30_u64, 1..20),
    ) {
        let counted = simulate((action, share, accounts), &courses, &lateness, Duration::from_secs(6));
        for counted in counted {
            prop_assert!(!counted.is_empty());
            assert_within_quota(&counted, share.of(action.quota_per_second()));
        }
    }

    /// The price: a place is taken for the latency and a second, and little more is lost, with timers as late as they are.
    #[test]
    fn most_of_the_quota_is_used(action in action(), latency in 1..1_000_u64, lateness in proptest::collection::vec(0..=2_u64, 1..20)) {
        let run = Duration::from_secs(20);
        let course = Course { latency, counted: 0, end: End::Reply };
        let counted = simulate((action, QuotaShare::WHOLE, 1), &[course], &lateness, run);
        let best = f64::from(action.quota_per_second()) * run.as_secs_f64() / (1.0 + millis(latency).as_secs_f64());
        let used = f64::from(u32::try_from(counted[0].len()).unwrap());
        prop_assert!(used >= 0.95 * best, "{used} of {best}");
    }
}

/// How a failure is told decides what the permit makes of it.
#[test]
fn a_throttled_call_slows_its_action_for_everybody_on_its_account_alone() {
    let (limiter, opens) = open();
    let failure = Failure {
        class: crate::live::Class::Throttled,
        delivery: crate::live::Delivery::Answered,
        status: Some(400),
        retry_after: Some(Duration::from_secs(3)),
        ..Failure::nothing_to_send()
    };
    permit(&limiter, opens, LIST, 1).close(Some(&failure), opens);
    let later = opens + Duration::from_millis(2_900);
    assert!(waits(&limiter, later, LIST, 2), "whoever asks");
    assert!(!waits(&limiter, later, STOP, 2), "another action");
    let other = limiter.take(later, &Account::new("two"), LIST, ticket(2));
    assert!(matches!(other, Taken::Permit(_)), "another account");
    let limit = |limiter: &Limiter<u32>, now| {
        let limits: HashMap<Action, f64> = limiter.limits(now).into_iter().collect();
        limits[&LIST]
    };
    assert!(limit(&limiter, later) < 0.5);
    let probe = opens + Duration::from_secs(3);
    assert_eq!(limiter.next_at(later), Some(probe));
    assert_eq!(limiter.grants(probe), [2]);
    permit(&limiter, probe, LIST, 2).ended(probe);
    assert!(limit(&limiter, probe) >= 1.0);
    // An error that is none of the quota's, and a call that was never sent, change nothing.
    for other in [
        Failure {
            class: crate::live::Class::InternalError,
            ..failure.clone()
        },
        Failure::nothing_to_send(),
    ] {
        let (limiter, opens) = open();
        permit(&limiter, opens, LIST, 1).close(Some(&other), opens);
        assert!(limit(&limiter, opens) > 49.0, "{other:?}");
    }
}

#[test]
fn a_permit_that_waits_for_its_call_is_no_sign_and_a_call_that_was_never_sent_is_none_either() {
    let limit = |limiter: &Limiter<u32>, now| {
        let limits: HashMap<Action, f64> = limiter.limits(now).into_iter().collect();
        limits[&LIST]
    };
    let (limiter, opens) = open();
    let Taken::Permit(mut held) = limiter.take(opens, &account(), LIST, ticket(1)) else {
        panic!("it has to wait");
    };
    let later = opens + DEADLINE;
    assert!(limit(&limiter, later) > 49.0, "nothing was sent");
    held.sent(later);
    let late = later + Duration::from_secs(3);
    assert!(limit(&limiter, late) < 2.0, "it is overdue");
    held.close(Some(&Failure::nothing_to_send()), late);
    assert!(limit(&limiter, late) > 49.0, "it found no connection");
    // What was sent late is counted late.
    let Taken::Permit(mut held) = limiter.take(late, &account(), LIST, ticket(1)) else {
        panic!("it has to wait");
    };
    held.sent(late + DEADLINE);
    assert_eq!(held.silent_until, late + DEADLINE * 2 + WINDOW);
    held.unused();
}

#[test]
fn who_was_throttled_hears_of_it_when_calls_pass_again_after_none_did() {
    let (limiter, opens) = open();
    let account = account();
    let mut now = opens;
    let sent = now;
    permit(&limiter, now, STOP, 1).throttled(now, None);
    limiter.hope(&account, STOP, 1, sent);
    for _ in 0..2 {
        now += Duration::from_secs(5);
        permit(&limiter, now, STOP, 2).throttled(now, None);
        limiter.hope(&account, STOP, 2, now);
        assert_eq!(limiter.woken(), Vec::<u32>::new());
        assert!(!limiter.has_recovered(&account, STOP, sent));
    }
    now += Duration::from_secs(5);
    permit(&limiter, now, STOP, 3).ended(now);
    assert_eq!(limiter.next_at(now), Some(now), "somebody has to be told");
    let mut woken = limiter.woken();
    woken.sort_unstable();
    assert_eq!(woken, [1, 2]);
    assert_eq!(limiter.woken(), Vec::<u32>::new(), "each once");
    assert!(limiter.has_recovered(&account, STOP, sent));
    assert!(!limiter.has_recovered(&account, STOP, now + millis(1)));
    limiter.hope(&account, STOP, 1, sent);
    limiter.forget(&1);
    assert_eq!(limiter.woken(), Vec::<u32>::new());
    // One that was throttled after that hopes for the next time.
    limiter.hope(&account, STOP, 1, sent);
    limiter.hope(&account, STOP, 2, now + millis(1));
    assert_eq!(limiter.woken(), [1]);
}

#[test]
fn of_each_quota_a_share_is_ours() {
    let started = Instant::now();
    let limiter = Limiter::new(started, DEADLINE, "0.1".parse().unwrap());
    for action in [STOP, LIST] {
        let ours = action.quota_per_second() / 10;
        let given = (0..2 * action.quota_per_second()).filter(|key| {
            // All of them within one second, and as many as there are.
            let now = started + WINDOW + WINDOW / 2 * (*key) / action.quota_per_second();
            match limiter.take(now, &account(), action, ticket(*key)) {
                Taken::Permit(mut permit) => {
                    permit.sent(now);
                    permit.ended(now);
                    true
                }
                Taken::Wait => {
                    limiter.forget(key);
                    false
                }
            }
        });
        let given = u32::try_from(given.count()).unwrap();
        assert!((1..=ours).contains(&given), "{action}: {given} of {ours}");
    }
}

#[test]
fn an_account_whose_calls_counted_elsewhere_begins_a_window_later() {
    let (limiter, opens) = open();
    let now = opens + millis(300);
    permit(&limiter, now, LIST, 1).ended(now);
    limiter.moved_to(now, &account());
    for action in [STOP, LIST] {
        assert!(waits(
            &limiter,
            now + DEADLINE + WINDOW - millis(1),
            action,
            2
        ));
        assert_eq!(
            limiter.next_at(now + millis(1)),
            Some(now + DEADLINE + WINDOW)
        );
        assert!(
            !waits(&limiter, now + DEADLINE + WINDOW, action, 2),
            "{action}"
        );
    }
    let other = Account::new("two");
    let taken = limiter.take(now, &other, STOP, ticket(3));
    assert!(matches!(taken, Taken::Permit(_)), "{taken:?}");
}
