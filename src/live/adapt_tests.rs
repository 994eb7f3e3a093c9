//! The whole limiter against a model of the service, by the clock of the test.
#![allow(
    clippy::panic,
    clippy::unchecked_time_subtraction,
    reason = "a test stops at the first surprise"
)]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use proptest::prelude::*;

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

/// One pacer, and calls by hand.
struct Hand {
    pacer: Pacer,
    now: Instant,
}

impl Hand {
    fn new() -> Self {
        Self {
            pacer: Pacer::new(500, DEADLINE),
            now: Instant::now(),
        }
    }

    fn pass_time(&mut self, time: Duration) {
        self.now += time;
        self.pacer.look(self.now);
    }

    fn may_send(&mut self) -> bool {
        self.pacer.look(self.now);
        self.pacer.may_send(self.now)
    }

    fn send(&mut self) -> CallId {
        self.pacer.reserve(self.now, true);
        self.pacer.sent(self.now)
    }

    /// Calls that pass, one after the other.
    fn warm(&mut self, calls: u32) {
        for _ in 0..calls {
            let call = self.send();
            self.pass_time(Duration::from_millis(4));
            self.pacer.passed(call, self.now);
        }
    }

    fn limit(&self) -> f64 {
        self.pacer.limit()
    }
}

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-6
}

#[test]
fn what_passed_in_the_second_before_is_what_there_is() {
    let mut hand = Hand::new();
    hand.warm(100);
    let call = hand.send();
    hand.pacer.refused(call, None, hand.now);
    assert!(near(hand.limit(), 97.0), "{}", hand.limit());
    assert!(!hand.may_send(), "the window is full");
    hand.pass_time(Duration::from_secs(1));
    assert!(hand.may_send());
}

#[test]
fn the_services_own_delay_puts_off_what_is_tried_beyond() {
    let mut hand = Hand::new();
    hand.warm(100);
    let call = hand.send();
    hand.pacer
        .refused(call, Some(Duration::from_secs(30)), hand.now);
    hand.warm(2000);
    assert!(hand.limit() <= 100.0, "{}", hand.limit());

    let mut hand = Hand::new();
    let call = hand.send();
    hand.pacer
        .refused(call, Some(Duration::from_secs(30)), hand.now);
    assert!(near(hand.limit(), 0.0), "nothing passed");
    hand.pass_time(Duration::from_millis(29_999));
    assert!(!hand.may_send());
    hand.pass_time(Duration::from_millis(1));
    assert!(hand.may_send());
}

#[test]
fn probes_go_one_at_a_time_and_ever_more_rarely() {
    let mut hand = Hand::new();
    let call = hand.send();
    hand.pacer.refused(call, None, hand.now);
    for pause in [1, 2, 4, 4, 4] {
        hand.pass_time(Duration::from_secs(pause) - Duration::from_millis(1));
        assert!(!hand.may_send(), "{pause}");
        hand.pass_time(Duration::from_millis(1));
        assert!(hand.may_send(), "{pause}");
        let probe = hand.send();
        assert!(!hand.may_send(), "one at a time");
        hand.pacer.refused(probe, None, hand.now);
    }
    assert_eq!(hand.pacer.recovered(), None);
    hand.pass_time(Duration::from_secs(4));
    // One that was given out and given back is no probe.
    hand.pacer.reserve(hand.now, true);
    hand.pacer.unused(None);
    let probe = hand.send();
    hand.pacer.passed(probe, hand.now);
    assert_eq!(hand.pacer.recovered(), Some(hand.now));
    assert!(hand.limit() >= 1.0);
}

#[test]
fn one_throttled_call_of_a_quiet_account_costs_little_and_is_no_standstill() {
    let mut hand = Hand::new();
    let call = hand.send();
    hand.pacer.refused(call, None, hand.now);
    hand.pass_time(Duration::from_secs(1));
    let probe = hand.send();
    hand.pacer.passed(probe, hand.now);
    assert_eq!(
        hand.pacer.recovered(),
        None,
        "it may have had its own reasons"
    );
    hand.pass_time(FORGOTTEN);
    assert!(near(hand.limit(), 500.0), "{}", hand.limit());
}

#[test]
fn an_overdue_call_that_is_answered_after_all_changes_nothing() {
    let mut hand = Hand::new();
    hand.warm(50);
    let late: Vec<CallId> = (0..20).map(|_| hand.send()).collect();
    hand.pass_time(Duration::from_secs(3));
    assert!(
        near(hand.limit(), 0.0),
        "it looks like silence: {}",
        hand.limit()
    );
    for call in late {
        hand.pacer.passed(call, hand.now);
    }
    assert!(near(hand.limit(), 500.0), "{}", hand.limit());
}

#[test]
fn one_lost_call_among_many_is_an_accident_and_a_second_one_is_a_sign() {
    let mut hand = Hand::new();
    hand.warm(200);
    let call = hand.send();
    hand.pacer.lost(call, hand.now);
    assert!(near(hand.limit(), 500.0), "{}", hand.limit());
    let call = hand.send();
    hand.pacer.lost(call, hand.now);
    assert!(hand.limit() < 250.0, "{}", hand.limit());
}

#[test]
fn a_permit_that_nobody_gives_back_is_forgotten() {
    let mut hand = Hand::new();
    for _ in 0..10 {
        let _ = hand.send();
    }
    hand.pass_time(DEADLINE * 2);
    hand.pass_time(Duration::from_secs(1));
    assert!(hand.pacer.traffic.is_empty());
}

/// Closes while a crowd is out, of which so many are answered late, when that undoes nothing any more.
fn closed_and_then_passed(passed: usize) -> Hand {
    let mut hand = Hand::new();
    let mut late: Vec<CallId> = (0..150).map(|_| hand.send()).collect();
    hand.pass_time(Duration::from_millis(2_500));
    assert!(near(hand.limit(), 0.0), "{}", hand.limit());
    let lost = late.remove(0);
    hand.pacer.lost(lost, hand.now);
    for call in late.drain(..passed) {
        hand.pacer.passed(call, hand.now);
    }
    for call in late {
        hand.pacer.lost(call, hand.now);
    }
    assert!(near(hand.limit(), 0.0), "{}", hand.limit());
    hand
}

#[test]
fn a_lost_probe_is_no_accident_however_many_have_passed() {
    for passed in [0, 120] {
        let mut hand = closed_and_then_passed(passed);
        hand.pass_time(Duration::from_secs(4));
        assert!(hand.may_send());
        let probe = hand.send();
        hand.pacer.lost(probe, hand.now);
        assert!(!hand.may_send(), "after {passed}: the pause is kept");
        hand.pass_time(Duration::from_secs(4));
        assert!(hand.may_send(), "after {passed}");
    }
}

#[test]
fn a_probe_that_is_over_is_out_no_more_whatever_is_taken_back() {
    let mut hand = Hand::new();
    let calls: Vec<CallId> = (0..4).map(|_| hand.send()).collect();
    hand.pass_time(Duration::from_millis(2_500));
    let (old, lost) = (calls[0], calls[1]);
    // From now on what is overdue is no more than late.
    hand.pacer.lost(lost, hand.now);
    assert!(near(hand.limit(), 0.0), "{}", hand.limit());
    hand.pass_time(Duration::from_secs(1));
    let probe = hand.send();
    hand.pass_time(Duration::from_secs(5));
    hand.pacer.passed(old, hand.now);
    assert!(near(hand.limit(), 0.0), "as it was: {}", hand.limit());
    assert!(hand.may_send(), "the probe is overdue");
    hand.pacer.lost(probe, hand.now);
    hand.pass_time(Duration::from_secs(4));
    assert!(hand.may_send());
}

#[test]
fn what_could_not_be_sent_after_all_is_no_sign() {
    let mut hand = Hand::new();
    hand.warm(50);
    let calls: Vec<CallId> = (0..10).map(|_| hand.send()).collect();
    hand.pass_time(Duration::from_secs(3));
    let (last, others) = calls.split_last().unwrap_or((&0, &[]));
    for call in others {
        hand.pacer.unused(Some(*call));
        assert!(near(hand.limit(), 0.0), "{}", hand.limit());
    }
    hand.pacer.unused(Some(*last));
    assert!(near(hand.limit(), 500.0), "{}", hand.limit());
    assert!(hand.may_send());
    // Nor does it count for a later silence.
    let call = hand.send();
    hand.pacer.lost(call, hand.now);
    assert!(hand.limit() >= 1.0, "{}", hand.limit());
}

#[test]
fn what_nobody_tells_of_undoes_nothing_later() {
    let mut hand = Hand::new();
    hand.warm(50);
    let _ = hand.send();
    hand.pass_time(DEADLINE * 2);
    assert!(hand.limit() < 500.0);
    assert!(hand.pacer.undo.is_none());
}

/// What happens to a pacer. A number picks one of the calls that are out.
#[derive(Debug, Clone)]
enum Event {
    Reserve(usize),
    Send(usize),
    Release,
    Passed(usize, usize),
    Refused(usize, Option<u64>),
    Lost(usize, usize),
    Unused(usize),
    Time(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let some = || prop_oneof![3 => 1..4_usize, 1 => 100..150_usize];
    prop_oneof![
        1 => some().prop_map(Event::Reserve),
        4 => some().prop_map(Event::Send),
        1 => Just(Event::Release),
        2 => (any::<usize>(), some()).prop_map(|(at, times)| Event::Passed(at, times)),
        1 => (any::<usize>(), proptest::option::of(0..5_000_u64)).prop_map(|(at, wait)| Event::Refused(at, wait)),
        2 => (any::<usize>(), 1..4_usize).prop_map(|(at, times)| Event::Lost(at, times)),
        1 => any::<usize>().prop_map(Event::Unused),
        4 => prop_oneof![1..50_u64, 200..5_000_u64].prop_map(Event::Time),
    ]
}

impl Hand {
    fn meets(&mut self, event: &Event, out: &mut Vec<CallId>, reserved: &mut usize) {
        fn pick(out: &mut Vec<CallId>, at: usize) -> Option<CallId> {
            (!out.is_empty()).then(|| out.swap_remove(at % out.len()))
        }
        match *event {
            Event::Reserve(times) => {
                for _ in 0..times {
                    if self.may_send() {
                        self.pacer.reserve(self.now, true);
                        *reserved += 1;
                    }
                }
            }
            Event::Send(times) => {
                for _ in 0..times {
                    if *reserved > 0 {
                        *reserved -= 1;
                        out.push(self.pacer.sent(self.now));
                    } else if self.may_send() {
                        out.push(self.send());
                    }
                }
            }
            Event::Release => {
                if *reserved > 0 {
                    *reserved -= 1;
                    self.pacer.unused(None);
                }
            }
            Event::Passed(at, times) => {
                for _ in 0..times {
                    if let Some(call) = pick(out, at) {
                        self.pacer.passed(call, self.now);
                    }
                }
            }
            Event::Refused(at, wait) => {
                if let Some(call) = pick(out, at) {
                    let wait = wait.map(Duration::from_millis);
                    self.pacer.refused(call, wait, self.now);
                }
            }
            Event::Lost(at, times) => {
                for _ in 0..times {
                    if let Some(call) = pick(out, at) {
                        self.pacer.lost(call, self.now);
                    }
                }
            }
            Event::Unused(at) => {
                if let Some(call) = pick(out, at) {
                    self.pacer.unused(Some(call));
                }
            }
            Event::Time(millis) => self.pass_time(Duration::from_millis(millis)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever has become of the calls: when none is out any more, the next one may be sent before long.
    #[test]
    fn no_action_stands_still_for_ever(events in proptest::collection::vec(event(), 1..60), is_told in any::<bool>()) {
        let mut hand = Hand::new();
        let (mut out, mut reserved) = (Vec::new(), 0);
        for event in &events {
            hand.meets(event, &mut out, &mut reserved);
        }
        for _ in 0..reserved {
            hand.pacer.unused(None);
        }
        if is_told {
            for call in out {
                hand.pacer.lost(call, hand.now);
            }
        }
        hand.pass_time(DEADLINE + WINDOW);
        hand.pass_time(PROBES.1);
        prop_assert!(hand.may_send(), "{:?}", hand.pacer);
        let next = hand.pacer.next_at(hand.now);
        prop_assert_eq!(next, hand.now);
    }
}
