//! Who may use an output.

use super::*;

fn with_outputs(sketch: &Sketch, outputs: &[&str]) -> Value {
    changed(
        sketch.object(),
        "/status",
        json!({"claim": {"at": "2026-01-02T03:05:00Z", "outputs": outputs}}),
    )
}

fn texts(outputs: &[&str]) -> Vec<String> {
    outputs.iter().map(|&output| output.to_owned()).collect()
}

fn taken(store: &Store, sketch: &Sketch) -> Option<Rival> {
    store.get(&sketch.key()).unwrap().output_taken
}

fn by(name: Option<&str>) -> Rival {
    let name = name.map(str::to_owned);
    Rival { name }
}

#[test]
fn an_output_in_a_claim_is_taken_whoever_is_older() {
    let mut store = store([
        other_task(OLD.object(), "a"),
        other_task(with_outputs(&NEW, &["o1", "o2"]), "b"),
        other_task(HELD.object(), "c"),
    ]);
    assert_eq!(taken(&store, &OLD), None);
    let look = store.wants(&OLD.key(), &texts(&["o2"]));
    assert_eq!(look, [NEW.key()]);
    assert_eq!(taken(&store, &OLD), Some(by(Some("new"))));
    store.wants(&HELD.key(), &texts(&["o1"]));
    assert_eq!(taken(&store, &HELD), Some(by(None)), "another namespace");
    assert_eq!(taken(&store, &NEW), None, "what it has it may want");
    // When it is gone the others are looked at.
    let look = store.remove(&NEW.key()).look;
    assert_eq!(look, [OLD.key(), HELD.key()]);
    assert_eq!(taken(&store, &OLD), None);
}

#[test]
fn an_output_that_nobody_has_is_the_older_ones() {
    let mut store = store([other_task(OLD.object(), "a"), other_task(NEW.object(), "b")]);
    for sketch in [OLD, NEW] {
        store.wants(&sketch.key(), &texts(&["o1"]));
    }
    assert_eq!(taken(&store, &OLD), None);
    assert_eq!(taken(&store, &NEW), Some(by(Some("old"))));
    // One that is deleted or has its hands off starts nothing.
    for change in [
        (
            "/metadata",
            json!({"deletionTimestamp": "2026-01-02T04:00:00Z", "resourceVersion": "11"}),
        ),
        ("/spec", json!({"suspend": true})),
    ] {
        let gone = changed(other_task(OLD.object(), "a"), change.0, change.1);
        store.watched(view(changed(
            gone,
            "/metadata",
            json!({"resourceVersion": "12"}),
        )));
        assert_eq!(taken(&store, &NEW), None);
    }
}

#[test]
fn what_is_reserved_is_taken_until_it_is_settled() {
    let mut store = store([other_task(OLD.object(), "a"), other_task(NEW.object(), "b")]);
    assert!(store.reserve(&NEW.key(), &texts(&["o1"])));
    store.wants(&OLD.key(), &texts(&["o1"]));
    assert_eq!(taken(&store, &OLD), Some(by(Some("new"))));
    assert!(!store.reserve(&OLD.key(), &texts(&["o1"])));
    assert_eq!(store.settle(&NEW.key()), [OLD.key()]);
    assert_eq!(taken(&store, &OLD), None);
    assert!(store.reserve(&OLD.key(), &texts(&["o1"])));
}

/// A claim on them, which is made at once, shortens nothing.
#[test]
fn what_was_in_use_cools_down_for_whoever_wants_it_next() {
    let claimed = changed(with_outputs(&OLD, &["o1"]), "/spec", json!({"taskId": "a"}));
    let mut store = store([claimed, other_task(NEW.object(), "b")]);
    let cool = |store: &Store, sketch: &Sketch| store.get(&sketch.key()).unwrap().cool_until;
    store.wants(&OLD.key(), &texts(&["o1"]));
    store.wants(&NEW.key(), &texts(&["o2"]));
    store.cool(None, &texts(&["o1"]), SECOND, 11 * SECOND);
    assert_eq!(cool(&store, &OLD), 11 * SECOND);
    assert_eq!(cool(&store, &NEW), Duration::ZERO);
    // The task id of an object that is gone cools down too; what has cooled down is forgotten.
    let gone = view(other_task(HELD.object(), "b"));
    store.cool(Some(&gone), &[], 12 * SECOND, 22 * SECOND);
    assert_eq!(cool(&store, &NEW), 22 * SECOND);
    assert_eq!(cool(&store, &OLD), Duration::ZERO);
}

/// The Stop was sent by this process, for this object and no other of its name.
#[test]
fn what_an_object_had_cools_down_after_it() {
    let paces = Paces::default();
    let gone = |store: &mut Store, sketch: &Sketch| store.remove(&sketch.key()).gone.unwrap();
    let claimed_now = |outputs: &[&str]| {
        let claim = json!({"at": "2026-01-02T03:04:05Z", "outputs": outputs});
        changed(OLD.object(), "/status", json!({"claim": claim}))
    };
    let now = Moment {
        wall: "2026-01-02T03:04:05Z".parse().unwrap(),
        mono: SECOND,
    };
    for (stop_open, outputs, until) in [
        (None, [].as_slice(), None),
        (Some(SECOND), &[], None),
        (Some(2 * SECOND), &[], Some(2 * SECOND)),
        (None, &["o1"], Some(11 * SECOND)),
        (Some(2 * SECOND), &["o1"], Some(11 * SECOND)),
        (Some(12 * SECOND), &["o1"], Some(12 * SECOND)),
    ] {
        let mut store = store([claimed_now(outputs)]);
        let mut other = View::clone(store.view(&OLD.key()).unwrap());
        store.stops(&other, stop_open);
        other.uid.push('2');
        store.stops(&other, Some(99 * SECOND));
        store.watched(view(changed(
            claimed_now(outputs),
            "/metadata",
            json!({"resourceVersion": "99"}),
        )));
        let freed = gone(&mut store, &OLD).frees(&paces, now);
        assert_eq!(freed, until, "{stop_open:?}, {outputs:?}");
    }
    // An earlier process may have sent one; an object without a claim had nothing.
    let mut store = store([HELD.object(), NEW.object()]);
    let minutes_later = Moment {
        wall: "2026-01-02T03:07:00Z".parse().unwrap(),
        mono: SECOND,
    };
    let earlier = gone(&mut store, &HELD).frees(&paces, minutes_later);
    assert_eq!(earlier, Some(paces.settle_time));
    assert_eq!(gone(&mut store, &NEW).frees(&paces, minutes_later), None);
}

#[test]
fn a_claim_that_adds_no_output_is_recorded_though_one_is_taken() {
    let mut store = store([
        other_task(with_outputs(&OLD, &["o1"]), "a"),
        other_task(NEW.object(), "b"),
    ]);
    store.wants(&NEW.key(), &texts(&["o1"]));
    assert_eq!(taken(&store, &NEW), Some(by(Some("old"))));
    assert!(!store.reserve(&NEW.key(), &texts(&["o1"])));
    assert!(store.reserve(&NEW.key(), &[]));
}
