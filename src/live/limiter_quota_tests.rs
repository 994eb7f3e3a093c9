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
    /// No reply; the service may count the call until the deadline.
    Silence,
    Dropped,
}

/// Sends as many calls as the limiter lets through in `run` from its opening on, with a timer that is late by each of `lateness` in turn, and gives
/// the moments at which the service counted them.
fn simulate(action: Action, courses: &[Course], lateness: &[u64], run: Duration) -> Vec<Instant> {
    let (limiter, opens) = open();
    let mut courses = courses.iter().cycle();
    let mut lateness = lateness.iter().cycle();
    let mut out: BinaryHeap<Reverse<(Instant, u32)>> = BinaryHeap::new();
    let mut permits: HashMap<u32, (Permit, End)> = HashMap::new();
    let mut counted = Vec::new();
    let mut now = opens - WINDOW;
    let demand = action.quota_per_second() * 2;
    let waiting: BTreeSet<u32> = (0..demand).collect();
    for key in waiting {
        assert!(waits(&limiter, now, action, key));
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
                End::Silence => permit.unanswered(now),
                End::Dropped => drop(permit),
            }
        }
        for key in limiter.grants(now) {
            let course = courses.next().unwrap();
            let (over, last_count) = match course.end {
                End::Reply => (millis(course.latency), millis(course.latency)),
                End::Silence | End::Dropped => (millis(course.latency), DEADLINE),
            };
            counted.push(
                now + last_count.mul_f64(f64::from(u32::try_from(course.counted).unwrap()) / 100.0),
            );
            permits.insert(key, (permit(&limiter, now, action, key), course.end));
            out.push(Reverse((now + over, key)));
            // Somebody else takes the place in line at once.
            let _ = limiter.take(now, &account(), action, ticket(next_key));
            next_key += 1;
        }
    }
    counted.sort();
    counted
}

fn assert_within_quota(counted: &[Instant], quota: usize) {
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

fn course() -> impl Strategy<Value = Course> {
    let end = prop_oneof![20 => Just(End::Reply), 1 => Just(End::Silence), 1 => Just(End::Dropped)];
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

    /// The promise: wherever between sending and reply the service counts, no sliding second has more than the quota.
    #[test]
    fn no_sliding_second_has_more_than_the_quota(
        action in action(),
        courses in proptest::collection::vec(course(), 1..200),
        lateness in proptest::collection::vec(0..30_u64, 1..20),
    ) {
        let counted = simulate(action, &courses, &lateness, Duration::from_secs(6));
        prop_assert!(!counted.is_empty());
        assert_within_quota(&counted, usize::try_from(action.quota_per_second()).unwrap());
    }

    /// The price: a place is taken for the latency and a second, and little more is lost, with timers as late as they are.
    #[test]
    fn most_of_the_quota_is_used(action in action(), latency in 1..1_000_u64, lateness in proptest::collection::vec(0..=2_u64, 1..20)) {
        let run = Duration::from_secs(20);
        let course = Course { latency, counted: 0, end: End::Reply };
        let counted = simulate(action, &[course], &lateness, run);
        let best = f64::from(action.quota_per_second()) * run.as_secs_f64() / (1.0 + millis(latency).as_secs_f64());
        let used = f64::from(u32::try_from(counted.len()).unwrap());
        prop_assert!(used >= 0.95 * best, "{used} of {best}");
    }
}
