//! When something is asked or written again, and that nothing from outside changes it.

use super::deletion::HOUR;
use super::*;

#[test]
fn one_status_write_for_each_doubling_and_none_after() {
    let mut life = Life {
        jitter: 0.9,
        ..Life::of(deleting())
    };
    assert_eq!(life.run(24 * HOUR, |_, _| failed(Class::Throttled)), None);
    let bands: Vec<&str> = life
        .told
        .iter()
        .map(|(_, verdict)| verdict.message.rsplit(' ').nth(1).unwrap())
        .collect();
    assert_eq!(bands, ["1", "2", "4", "8", "16", "32", "60"]);
    assert!(life.calls.len() > 1000, "and it goes on trying");
}

#[test]
fn after_a_failed_write_nothing_is_written_for_a_while_whatever_happens() {
    let mut life = Life::of(deleting());
    let Step::Call { call, bought } = life.step() else {
        panic!()
    };
    life.answer(call, accepted(), bought);
    life.memory.writable_at = SECOND;
    assert_eq!(life.step(), Step::Rest(Some(SECOND)));
    life.now = SECOND;
    assert!(matches!(life.step(), Step::Release(_)));
}

#[test]
fn a_request_buys_one_attempt_and_leaves_the_schedule_as_it_was() {
    let mut life = Life::of(deleting());
    let deny = |_: &Call, _: Duration| failed(Class::AccessDenied);
    assert_eq!(life.run(SECOND, deny), None);
    let Step::Rest(Some(due)) = life.step() else {
        panic!("{:?}", life.step())
    };
    life.view.requested = Some("first".to_owned());
    assert_eq!(life.run(2 * SECOND, deny), None);
    assert_eq!(life.stops().len(), 2);
    assert_eq!(
        life.step(),
        Step::Rest(Some(due)),
        "the schedule is as before"
    );
    assert_eq!(
        life.view.status.last_handled_reconcile_at.as_deref(),
        Some("first")
    );
    // The next request has to wait until ten seconds after the last one.
    life.view.requested = Some("second".to_owned());
    assert_eq!(life.run(5 * SECOND, deny), None);
    assert_eq!(life.stops().len(), 2);
    assert_eq!(life.run(30 * SECOND, deny), None);
    assert_eq!(life.stops(), [Duration::ZERO, SECOND, 11 * SECOND]);
    assert_eq!(
        life.view.status.last_handled_reconcile_at.as_deref(),
        Some("second")
    );
}

#[test]
fn an_event_does_not_cut_a_wait_short() {
    let mut life = Life::of(deleting());
    assert_eq!(
        life.run(SECOND / 10, |_, _| failed(Class::AccessDenied)),
        None
    );
    let rest = life.step();
    life.view.resource_version = "11".to_owned();
    life.view.generation += 1;
    // The status then judges another generation, which is told; the wait stays.
    if let Step::Record(verdict) = life.step() {
        life.record(*verdict);
    }
    assert_eq!(life.step(), rest);
}

#[test]
fn a_status_that_cannot_be_written_does_not_hold_up_the_calls() {
    let mut life = Life::of(deleting());
    life.memory.writable_at = 24 * HOUR;
    assert_eq!(life.run(HOUR, |_, _| failed(Class::Throttled)), None);
    assert!(life.stops().len() > 60);
    assert_eq!(life.told, []);
}
