//! One pacer, and calls by hand.
#![allow(
    clippy::panic,
    clippy::unchecked_time_subtraction,
    reason = "a test stops at the first surprise"
)]

use proptest::prelude::*;

use super::*;

const DEADLINE: Duration = Duration::from_secs(10);

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
