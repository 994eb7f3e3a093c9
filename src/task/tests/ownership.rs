//! Possession beats age, age beats uid, and nobody is judged too early.

mod outputs;

use super::*;
use crate::task::{ownership::Standing, store::Store, view::Key};

struct Sketch {
    namespace: &'static str,
    name: &'static str,
    second: u8,
    claimed_at: Option<u8>,
}

impl Sketch {
    fn object(&self) -> Value {
        let object = changed(
            armed(),
            "/metadata",
            json!({
                "namespace": self.namespace, "name": self.name, "uid": format!("uid-{}", self.name),
                "creationTimestamp": format!("2026-01-02T03:04:{:02}Z", self.second),
            }),
        );
        let claim = self
            .claimed_at
            .map(|second| json!({"at": format!("2026-01-02T03:05:{second:02}Z")}));
        changed(object, "", json!({"status": {"claim": claim}}))
    }

    fn key(&self) -> Key {
        Key {
            namespace: self.namespace.to_owned(),
            name: self.name.to_owned(),
        }
    }
}

const OLD: Sketch = Sketch {
    namespace: "a",
    name: "old",
    second: 1,
    claimed_at: None,
};
const NEW: Sketch = Sketch {
    namespace: "a",
    name: "new",
    second: 2,
    claimed_at: None,
};
const HELD: Sketch = Sketch {
    namespace: "b",
    name: "held",
    second: 3,
    claimed_at: Some(9),
};

fn store(objects: impl IntoIterator<Item = Value>) -> Store {
    let mut store = Store::default();
    for object in objects {
        store.watched(view(object));
    }
    store
}

fn standing(store: &Store, sketch: &Sketch) -> Standing {
    store.get(&sketch.key()).unwrap().standing
}

fn contested(by: Option<&str>) -> Standing {
    Standing::Contested(Rival {
        name: by.map(str::to_owned),
    })
}

#[test]
fn the_older_one_is_entitled_and_the_younger_one_is_told_by_whom() {
    let store = store([NEW.object(), OLD.object()]);
    assert_eq!(standing(&store, &OLD), Standing::Entitled);
    assert_eq!(standing(&store, &NEW), contested(Some("old")));
}

#[test]
fn a_claim_beats_age_and_another_namespace_is_not_named() {
    let store = store([OLD.object(), HELD.object()]);
    assert_eq!(standing(&store, &HELD), Standing::Holder);
    assert_eq!(standing(&store, &OLD), contested(None));
}

#[test]
fn of_two_claims_the_earlier_one_holds() {
    let later = Sketch {
        name: "later",
        claimed_at: Some(10),
        second: 0,
        ..HELD
    };
    let store = store([later.object(), HELD.object()]);
    assert_eq!(standing(&store, &HELD), Standing::Holder);
    assert_eq!(standing(&store, &later), contested(Some("held")));
}

#[test]
fn of_equal_age_the_smaller_uid_is_entitled() {
    let twin = Sketch {
        name: "twin",
        ..OLD
    };
    let store = store([twin.object(), OLD.object()]);
    assert_eq!(standing(&store, &OLD), Standing::Entitled);
    assert_eq!(standing(&store, &twin), contested(Some("old")));
}

/// Creation times are whole seconds, and uids are random: whoever names another one's default id must not win by luck.
#[test]
fn an_id_made_from_a_uid_belongs_to_that_object() {
    let mut owner = crate::task::tests::relay::by_uid();
    owner["metadata"]["creationTimestamp"] = json!("2026-01-02T03:04:01Z");
    let squatter = changed(
        OLD.object(),
        "/metadata",
        json!({"uid": "a-smaller-uid", "creationTimestamp": "2026-01-02T03:04:01Z"}),
    );
    let squatter = changed(squatter, "/spec", json!({"taskId": "mso-uid-1"}));
    let store = store([squatter, owner]);
    assert_eq!(standing(&store, &OLD), contested(None));
    let owner = Key {
        namespace: "team-a".to_owned(),
        name: "final-42".to_owned(),
    };
    assert_eq!(store.get(&owner).unwrap().standing, Standing::Entitled);
}

#[test]
fn other_tasks_and_other_applications_are_no_rivals() {
    let other_task = changed(OLD.object(), "/spec", json!({"taskId": "other"}));
    let other_app = changed(HELD.object(), "/spec", json!({"appId": "other"}));
    let store = store([other_task, other_app, NEW.object()]);
    assert_eq!(standing(&store, &NEW), Standing::Entitled);
}

#[test]
fn a_suspended_object_does_not_stand_in_the_way_but_one_with_a_claim_does() {
    let suspend = |sketch: &Sketch| changed(sketch.object(), "/spec", json!({"suspend": true}));
    assert_eq!(
        standing(&store([suspend(&OLD), NEW.object()]), &NEW),
        Standing::Entitled
    );
    assert_eq!(
        standing(&store([suspend(&HELD), NEW.object()]), &NEW),
        contested(None)
    );
}

#[test]
fn a_deleted_object_contends_only_if_it_will_stop_the_task() {
    let deleted = |object| {
        changed(
            object,
            "/metadata",
            json!({"deletionTimestamp": "2026-01-02T04:00:00Z"}),
        )
    };
    let stops = deleted(OLD.object());
    let orphans = changed(stops.clone(), "/spec", json!({"deletionPolicy": "Orphan"}));
    let released = changed(
        stops.clone(),
        "/metadata",
        json!({"finalizers": ["example.com/other"]}),
    );
    assert_eq!(
        standing(&store([stops, NEW.object()]), &NEW),
        contested(Some("old"))
    );
    assert_eq!(
        standing(&store([orphans, NEW.object()]), &NEW),
        Standing::Entitled
    );
    assert_eq!(
        standing(&store([released, NEW.object()]), &NEW),
        Standing::Entitled
    );
}

#[test]
fn nobody_is_entitled_before_the_watch_has_shown_the_finalizer() {
    let bare = changed(NEW.object(), "/metadata", json!({"finalizers": null}));
    let mut store = store([bare]);
    store.learned(view(changed(
        NEW.object(),
        "/metadata",
        json!({"resourceVersion": "11"}),
    )));
    assert_eq!(standing(&store, &NEW), Standing::Unsure);
    // An older object may be shown just now ...
    store.watched(view(OLD.object()));
    let changed_by_watch = store.watched(view(changed(
        NEW.object(),
        "/metadata",
        json!({"resourceVersion": "11"}),
    )));
    assert!(changed_by_watch.look.contains(&NEW.key()));
    // ... and then it comes first.
    assert_eq!(standing(&store, &NEW), contested(Some("old")));
}

#[test]
fn when_the_holder_goes_the_others_are_looked_at() {
    let mut store = store([OLD.object(), HELD.object()]);
    let gone = store.remove(&HELD.key());
    assert_eq!(
        gone.gone.map(|gone| gone.view.uid.clone()).as_deref(),
        Some("uid-held")
    );
    assert_eq!(gone.look, [OLD.key()]);
    assert_eq!(standing(&store, &OLD), Standing::Entitled);
}

#[test]
fn a_claim_makes_the_others_look_again() {
    let mut store = store([OLD.object(), NEW.object()]);
    let claimed = Sketch {
        claimed_at: Some(1),
        ..OLD
    };
    let change = store.learned(view(changed(
        claimed.object(),
        "/metadata",
        json!({"resourceVersion": "11"}),
    )));
    assert!(change.look.contains(&NEW.key()), "{change:?}");
}

#[test]
fn the_answer_to_our_write_is_not_undone_by_a_late_watch() {
    let mut store = store([OLD.object()]);
    let claimed = Sketch {
        claimed_at: Some(1),
        ..OLD
    };
    store.learned(view(changed(
        claimed.object(),
        "/metadata",
        json!({"resourceVersion": "12"}),
    )));
    store.watched(view(changed(
        OLD.object(),
        "/metadata",
        json!({"resourceVersion": "11"}),
    )));
    assert_eq!(standing(&store, &OLD), Standing::Holder);
}

/// Otherwise a task that is released already, and may be somebody else's by then, would be stopped again.
#[test]
fn a_release_is_not_undone_by_a_late_watch_of_the_same_version() {
    let deleting = |finalizers: Value| {
        view(changed(
            HELD.object(),
            "/metadata",
            json!({"deletionTimestamp": "2026-01-02T04:00:00Z", "resourceVersion": "12", "finalizers": finalizers}),
        ))
    };
    let mut store = store([HELD.object()]);
    store.learned(deleting(json!(["mixedstream.io/stop-task"])));
    store.learned(deleting(json!([])));
    store.watched(deleting(json!(["mixedstream.io/stop-task"])));
    let known = store.view(&HELD.key()).unwrap();
    assert!(!known.is_guarded());
}

#[test]
fn a_new_object_of_the_same_name_is_another_one() {
    let mut store = store([HELD.object()]);
    let reborn = changed(
        HELD.object(),
        "/metadata",
        json!({"uid": "uid-reborn", "resourceVersion": "20"}),
    );
    let change = store.watched(view(changed(reborn, "", json!({"status": null}))));
    assert_eq!(
        change.gone.map(|gone| gone.view.uid.clone()).as_deref(),
        Some("uid-held")
    );
    // What is learnt late of the old one is nothing to the new one.
    store.learned(view(changed(
        HELD.object(),
        "/metadata",
        json!({"resourceVersion": "30"}),
    )));
    assert_eq!(store.view(&HELD.key()).unwrap().uid, "uid-reborn");
}

#[test]
fn what_a_complete_list_does_not_show_is_gone_in_its_scope_only() {
    let mut store = store([OLD.object(), HELD.object()]);
    let lost = store.retain(
        |namespace| namespace == "a",
        &std::collections::HashSet::new(),
    );
    assert_eq!(lost.len(), 1);
    assert!(store.view(&OLD.key()).is_none() && store.view(&HELD.key()).is_some());
}

#[test]
fn a_claim_that_is_being_written_counts_already() {
    // The younger one was shown first and is about to record its claim; then the older one appears.
    let mut store = store([NEW.object()]);
    assert!(store.reserve(&NEW.key(), &[]));
    store.watched(view(OLD.object()));
    assert_eq!(standing(&store, &OLD), contested(Some("new")));
    assert!(!store.reserve(&OLD.key(), &[]));
    assert_eq!(
        standing(&store, &NEW),
        Standing::Entitled,
        "its own write goes on"
    );
    // Not even if it is suspended meanwhile: the write may be stored.
    let suspended = changed(NEW.object(), "/spec", json!({"suspend": true}));
    store.watched(view(changed(
        suspended,
        "/metadata",
        json!({"resourceVersion": "11"}),
    )));
    assert_eq!(standing(&store, &OLD), contested(Some("new")));
    store.watched(view(changed(
        NEW.object(),
        "/metadata",
        json!({"resourceVersion": "12"}),
    )));
    // If it is not recorded in the end, age decides, and the other one is looked at again.
    assert_eq!(store.settle(&NEW.key()), [OLD.key()]);
    assert_eq!(standing(&store, &OLD), Standing::Entitled);
    assert_eq!(standing(&store, &NEW), contested(Some("old")));
}

fn other_task(object: Value, task: &str) -> Value {
    changed(object, "/spec", json!({"taskId": task}))
}

#[test]
fn an_id_made_from_a_uid_waits_for_its_object_also_while_that_is_suspended() {
    let spec = json!({"spec": {"appId": "app-01", "suspend": true, "relay": {
        "channelId": "room-42", "outputs": [{"url": "rtmp://push.example.com/live/a"}], "single": {"userId": "host"}
    }}});
    let suspended = changed(NEW.object(), "", spec);
    let task = format!("mso-uid-{}", NEW.name);
    let store = store([suspended, other_task(OLD.object(), &task)]);
    assert_eq!(standing(&store, &OLD), contested(Some("new")));
}
