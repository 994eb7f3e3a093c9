//! The rule of the permits against a service that counts a call at any moment between its being sent and its reply.

use super::*;

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
