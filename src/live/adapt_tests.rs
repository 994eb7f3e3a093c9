//! The whole limiter against a model of the service, by the clock of the test.
#![allow(
    clippy::panic,
    clippy::unchecked_time_subtraction,
    reason = "a test stops at the first surprise"
)]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use super::*;
use crate::live::actions::{Account, Action};
use crate::live::latency::FIRST_OVERDUE;
use crate::live::limiter::{Limiter, Permit, Taken, Ticket};
use crate::live::share::QuotaShare;
use crate::live::turns::Lane;

const DEADLINE: Duration = Duration::from_secs(10);
const LATENCY: Duration = Duration::from_millis(20);
/// Calls that the operator has out at a time, at most.
const IN_FLIGHT: usize = 104;
const STOP: Action = Action::StopLiveMpuTask;
const LIST: Action = Action::ListRtcMpuTaskDetail;

/// What the service does with a call that is too much (the simulator's switch `excess`; its three statuses are one to the limiter).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Excess {
    Code,
    CodeAndWait(Duration),
    Close,
    Drop,
}

const WAYS: [Excess; 4] = [
    Excess::Code,
    Excess::CodeAndWait(Duration::from_millis(1500)),
    Excess::Close,
    Excess::Drop,
];

/// What somebody else takes.
#[derive(Clone, Copy)]
enum Neighbour {
    /// This part of the quota is not there for us, as a function of the seconds since the start.
    Share(fn(f64) -> f64),
    /// Sends evenly, this part of the quota, into the same window; what is refused is not sent again.
    Sends(f64),
}

#[derive(Debug, Default)]
struct Figures {
    passed: usize,
    excess: usize,
    /// What was left for us over the whole run.
    left: f64,
    /// The most of our calls without an answer at a time.
    out: usize,
    passed_by_second: Vec<usize>,
    excess_by_second: Vec<usize>,
}

impl Figures {
    fn used(&self) -> f64 {
        f64::from(u32::try_from(self.passed).unwrap_or(u32::MAX)) / self.left
    }
}

struct Model {
    quota: usize,
    neighbour: Neighbour,
    counted: VecDeque<Instant>,
    /// When the neighbour sends next.
    theirs: Instant,
    opens: Instant,
}

impl Model {
    fn left(&self, at: Instant) -> f64 {
        let quota = f64::from(u32::try_from(self.quota).unwrap_or(u32::MAX));
        match self.neighbour {
            Neighbour::Share(share) => {
                let left = 1.0 - share(at.saturating_duration_since(self.opens).as_secs_f64());
                (quota * left).floor()
            }
            Neighbour::Sends(share) => quota * (1.0 - share),
        }
    }

    fn admit(&mut self, at: Instant, limit: f64) -> bool {
        while self
            .counted
            .front()
            .is_some_and(|counted| *counted + WINDOW <= at)
        {
            self.counted.pop_front();
        }
        let has_room = f64::from(u32::try_from(self.counted.len()).unwrap_or(u32::MAX)) < limit;
        if has_room {
            self.counted.push_back(at);
        }
        has_room
    }

    fn takes(&mut self, at: Instant) -> bool {
        if let Neighbour::Sends(share) = self.neighbour {
            let quota = f64::from(u32::try_from(self.quota).unwrap_or(u32::MAX));
            while share > 0.0 && self.theirs <= at {
                let theirs = self.theirs;
                self.admit(theirs, quota);
                self.theirs += WINDOW.div_f64(quota * share);
            }
            return self.admit(at, quota);
        }
        let limit = self.left(at);
        self.admit(at, limit)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Passed,
    Refused(Option<Duration>),
    Silent,
}

/// As many calls as the limiter lets through for so long, of callers who never end.
fn run(
    action: Action,
    way: Excess,
    neighbour: Neighbour,
    latency: Duration,
    length: Duration,
) -> Figures {
    let started = Instant::now();
    let opens = started + WINDOW;
    let limiter: Limiter<u32> = Limiter::new(started, DEADLINE, QuotaShare::WHOLE);
    let account = Account::new("one");
    let ticket = |key| Ticket {
        lane: Lane::Delete,
        namespace: String::new(),
        key,
    };
    let mut service = Model {
        quota: usize::try_from(action.quota_per_second()).unwrap_or(usize::MAX),
        neighbour,
        counted: VecDeque::new(),
        theirs: started,
        opens,
    };
    let mut figures = Figures::default();
    let mut ends: BinaryHeap<Reverse<(Instant, u32, End)>> = BinaryHeap::new();
    let mut out: HashMap<u32, Permit> = HashMap::new();
    let mut ready: VecDeque<u32> = VecDeque::new();
    for key in 0..1000 {
        assert!(matches!(
            limiter.take(started, &account, action, ticket(key)),
            Taken::Wait
        ));
    }
    let mut next_key = 1000;
    let mut now = started;
    loop {
        let reply = ends.peek().map(|Reverse((at, ..))| *at);
        let turn = limiter.next_at(now);
        let Some(next) = reply.into_iter().chain(turn).min() else {
            panic!("nothing will ever happen again");
        };
        // A timer is as good as a busy machine lets it be.
        now = next.max(now + Duration::from_micros(100));
        if now >= opens + length {
            break;
        }
        while let Some(Reverse((at, key, end))) = ends.peek().copied()
            && at <= now
        {
            ends.pop();
            let Some(permit) = out.remove(&key) else {
                panic!("{key} has no permit");
            };
            match end {
                End::Passed => permit.ended(at),
                End::Refused(wait) => permit.throttled(at, wait),
                End::Silent => permit.unanswered(at),
            }
        }
        ready.extend(limiter.grants(now));
        while out.len() < IN_FLIGHT
            && let Some(key) = ready.pop_front()
        {
            let Taken::Permit(mut permit) = limiter.take(now, &account, action, ticket(key)) else {
                continue;
            };
            permit.sent(now);
            let arrives = now + latency / 4;
            let second =
                usize::try_from(now.saturating_duration_since(opens).as_secs()).unwrap_or(0);
            let of_second = |counts: &mut Vec<usize>| {
                counts.resize(counts.len().max(second + 1), 0);
                counts[second] += 1;
            };
            let (after, end) = if service.takes(arrives) {
                figures.passed += 1;
                of_second(&mut figures.passed_by_second);
                (latency, End::Passed)
            } else {
                figures.excess += 1;
                of_second(&mut figures.excess_by_second);
                match way {
                    Excess::Code => (latency, End::Refused(None)),
                    Excess::CodeAndWait(wait) => (latency, End::Refused(Some(wait))),
                    Excess::Close => (latency, End::Silent),
                    Excess::Drop => (DEADLINE, End::Silent),
                }
            };
            ends.push(Reverse((now + after, key, end)));
            out.insert(key, permit);
            figures.out = figures.out.max(out.len());
            let _ = limiter.take(now, &account, action, ticket(next_key));
            next_key += 1;
        }
    }
    // In steps of 10 ms.
    let step = Duration::from_millis(10);
    let mut at = opens;
    while at < opens + length {
        figures.left += service.left(at) * step.as_secs_f64();
        at += step;
    }
    figures
}

/// What our excess may be: what was on its way when the quota turned out to be smaller, and the probes.
fn bound(way: Excess, shrinks: f64, quota: u32, length: Duration) -> f64 {
    let quota = f64::from(quota);
    let (feedback, probes) = match way {
        Excess::Code | Excess::CodeAndWait(_) | Excess::Close => (LATENCY.as_secs_f64(), 3.0),
        Excess::Drop => (FIRST_OVERDUE.as_secs_f64(), 3.0),
    };
    shrinks * (2.5 * quota * feedback + 8.0) + probes * length.as_secs_f64()
}

#[test]
fn most_of_what_others_leave_is_used_and_of_the_excess_the_probes_alone_are_ours() {
    const LONG: Duration = Duration::from_secs(40);
    let steady: [(&str, Neighbour); 7] = [
        ("0 %", Neighbour::Share(|_| 0.0)),
        ("25 %", Neighbour::Share(|_| 0.25)),
        ("50 %", Neighbour::Share(|_| 0.5)),
        ("75 %", Neighbour::Share(|_| 0.75)),
        ("90 %", Neighbour::Share(|_| 0.9)),
        ("25 %, sending", Neighbour::Sends(0.25)),
        ("50 %, sending", Neighbour::Sends(0.5)),
    ];
    for action in [STOP, LIST] {
        for way in WAYS {
            for (what, neighbour) in steady {
                let figures = run(action, way, neighbour, LATENCY, LONG);
                let (used, excess) = (figures.used(), figures.excess);
                eprintln!(
                    "{action} {way:?}, neighbour {what}: {used:.3} of what is left, {excess} too many, at most {} out",
                    figures.out
                );
                assert!(used >= 0.9, "{figures:?}");
                let bound = bound(way, 1.0, action.quota_per_second(), LONG);
                assert!(
                    f64::from(u32::try_from(excess).unwrap_or(u32::MAX)) <= bound,
                    "{bound}: {figures:?}"
                );
            }
        }
    }
}

#[test]
fn where_nothing_is_left_only_probes_are_sent_and_a_second_or_two_after_it_ends_all_is_used() {
    let until_30 = Neighbour::Share(|at| if (5.0..30.0).contains(&at) { 1.0 } else { 0.0 });
    for action in [STOP, LIST] {
        for way in WAYS {
            let figures = run(action, way, until_30, LATENCY, Duration::from_secs(45));
            let excess = &figures.excess_by_second;
            eprintln!(
                "{action} {way:?}, nothing left from 5 s to 30 s: too many {excess:?}, passed {:?}",
                figures.passed_by_second
            );
            // Within the first two seconds it is clear; then one probe in one, two, four seconds.
            let probes: usize = excess.iter().skip(7).sum();
            assert!(probes <= 10, "{way:?}: {excess:?}");
            let quota = usize::try_from(action.quota_per_second()).unwrap_or(0);
            let at_first: usize = excess.iter().take(7).sum();
            let most = if way == Excess::Drop {
                IN_FLIGHT
            } else {
                quota / 10 + 10
            };
            assert!(at_first <= most, "{way:?}: {excess:?}");
            let back: usize = figures.passed_by_second[38..].iter().sum();
            assert!(back >= 7 * quota * 9 / 10, "{way:?}: {figures:?}");
        }
    }
}

#[test]
fn a_neighbour_that_comes_and_goes_is_followed() {
    let half = Neighbour::Share(|at| if at % 30.0 < 15.0 { 0.0 } else { 0.5 });
    for way in WAYS {
        let figures = run(STOP, way, half, LATENCY, Duration::from_mins(2));
        let (used, excess) = (figures.used(), figures.excess);
        eprintln!(
            "{way:?}, half and nothing every 15 s: {used:.3} of what is left, {excess} too many"
        );
        assert!(used >= 0.9, "{way:?}: {figures:?}");
        let bound = bound(way, 4.0, 500, Duration::from_mins(2));
        assert!(
            f64::from(u32::try_from(excess).unwrap_or(u32::MAX)) <= bound,
            "{way:?}: {bound}: {figures:?}"
        );
    }
}

#[test]
fn long_answers_do_not_pass_for_silence() {
    for latency in [100, 400] {
        let latency = Duration::from_millis(latency);
        let figures = run(
            LIST,
            Excess::Drop,
            Neighbour::Share(|_| 0.0),
            latency,
            Duration::from_secs(20),
        );
        let best = 1.0 / (1.0 + latency.as_secs_f64());
        assert!(figures.used() >= 0.95 * best, "{latency:?}: {figures:?}");
        assert_eq!(figures.excess, 0);
    }
}
