//! A life that keeps every promise, and one change for each way to break one.

use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::simulator::By;

const EPOCH: i128 = 1_800_000_000_000_000;
const SECOND: u64 = 1_000_000;

fn stamp(us: u64) -> Timestamp {
    let at = EPOCH + i128::from(us);
    Timestamp::from_microsecond(i64::try_from(at).unwrap()).unwrap()
}

/// A request of the operator's that took two milliseconds.
fn request(verb: &str, subresource: &str, us: u64) -> Entry {
    Entry {
        stage: "ResponseComplete".to_owned(),
        user: "operator".to_owned(),
        user_agent: String::new(),
        verb: verb.to_owned(),
        uri: String::new(),
        group: "mixedstream.io".to_owned(),
        resource: "mixedstreamtasks".to_owned(),
        subresource: subresource.to_owned(),
        namespace: "ns".to_owned(),
        name: "object".to_owned(),
        code: 200,
        received: stamp(us),
        answered: stamp(us + 2_000),
    }
}

/// An accepted call that took two milliseconds.
fn call(action: &str, us: u64) -> Call {
    serde_json::from_value(json!({
        "seq": us, "simulatedMillis": 0, "arrivalUs": us, "effectUs": us + 1_000, "replyUs": us + 2_000, "endUs": us + 2_000,
        "remotePort": 1, "account": "default", "keyId": "k", "action": action, "appId": "app", "taskId": "task", "channelId": null,
        "nonce": "n", "requestId": "r", "status": 200, "code": null, "authenticated": true, "violation": null, "fault": null,
        "effect": true, "overQuota": false, "clientPresent": true,
    }))
    .unwrap()
}

fn change(kind: ChangeKind, us: u64) -> Change {
    Change {
        seq: 0,
        app_id: "app".to_owned(),
        task_id: "task".to_owned(),
        channel_id: "c".to_owned(),
        change: kind,
        by: By::Api,
        simulated_millis: 0,
        monotonic_us: us,
        call: Some(us),
    }
}

/// What each action did, at its limit.
fn usage(action: &str) -> Usage {
    Usage {
        account: "default".to_owned(),
        action: action.to_owned(),
        calls: 1,
        over_quota: 0,
        max_per_second_by_arrival: limit(action),
        max_per_second_by_reply: limit(action),
        signature_failures: 0,
        nonce_reuses: 0,
        date_violations: 0,
    }
}

/// Finalizer, intent, look, Start; an Update; deletion, Stop, release.
fn life() -> Logs {
    Logs {
        calls: vec![
            call(START, 4 * SECOND),
            call(UPDATE, 5 * SECOND),
            call(STOP, 11 * SECOND),
        ],
        changes: vec![
            change(ChangeKind::Started, 4 * SECOND + 1_000),
            change(ChangeKind::Updated, 5 * SECOND + 1_000),
            change(ChangeKind::Stopped, 11 * SECOND + 1_000),
        ],
        usage: [START, UPDATE, STOP, LIST, USERS, ROOMS].map(usage).into(),
        epoch_us: EPOCH,
        requests: vec![
            request("patch", "", SECOND),
            request("patch", "status", 2 * SECOND),
            request("get", "", 3 * SECOND),
            request("patch", "status", 6 * SECOND),
            request("delete", "", 10 * SECOND),
            request("patch", "", 12 * SECOND),
        ],
        existing: BTreeSet::new(),
        operator: Some("operator".to_owned()),
    }
}

fn owner() -> Owner {
    Owner::new("object", "app", "task")
}

/// The promises that a changed life breaks.
fn broken(change: impl FnOnce(&mut Logs)) -> Vec<u8> {
    broken_by(&[owner()], change)
}

fn broken_by(owners: &[Owner], change: impl FnOnce(&mut Logs)) -> Vec<u8> {
    let mut logs = life();
    change(&mut logs);
    let breaches = logs.breaches(owners, 0);
    breaches.iter().map(|breach| breach.promise).collect()
}

const NONE: [u8; 0] = [];

#[test]
fn a_life_that_keeps_them_all() {
    assert_eq!(broken(|_| {}), NONE);
    // While it lives, too; and one whose manifest brought the finalizer.
    let living = |logs: &mut Logs| {
        logs.existing.insert("object".to_owned());
        logs.requests.truncate(4);
        logs.calls.truncate(2);
        logs.changes.truncate(2);
    };
    assert_eq!(broken(living), NONE);
    let protected = owner().protected();
    assert_eq!(
        broken_by(&[protected], |logs| drop(logs.requests.remove(0))),
        NONE
    );
}

#[test]
fn the_task_does_not_run_when_the_finalizer_goes() {
    // The Stop comes after the release, or has no effect, or there is none at all.
    let late = |logs: &mut Logs| logs.changes[2].monotonic_us = 13 * SECOND;
    assert_eq!(broken(late), NONE, "accepted: it counts as stopped");
    let hollow = |logs: &mut Logs| {
        late(logs);
        logs.calls[2].fault = Some(1);
        logs.calls[2].effect = false;
    };
    assert_eq!(broken(hollow), [1]);
    let refused = |logs: &mut Logs| {
        late(logs);
        logs.calls[2].code = Some("InvalidParam".to_owned());
    };
    assert_eq!(broken(refused), [1]);
    let unanswered = |logs: &mut Logs| {
        late(logs);
        logs.calls[2].end_us = None;
    };
    assert_eq!(broken(unanswered), [1]);
    let never = |logs: &mut Logs| {
        logs.calls.pop();
        logs.changes.pop();
    };
    assert_eq!(broken(never), [1]);
    // A Stop before the last Start proves nothing.
    let before = |logs: &mut Logs| {
        never(logs);
        logs.calls.insert(0, call(STOP, 2 * SECOND));
    };
    assert_eq!(broken(before), [1]);
    // The audit log is behind, or the object was forced off.
    assert_eq!(broken(|logs| drop(logs.requests.pop())), [1]);
    let by_somebody = |logs: &mut Logs| logs.requests[5].user = "somebody".to_owned();
    assert_eq!(broken(by_somebody), [1]);
    // A write that nobody heard of may have been the release.
    let unheard = |logs: &mut Logs| {
        let mut write = request("patch", "", 10 * SECOND + SECOND / 2);
        write.code = CLIENT_GONE;
        logs.requests.insert(5, write);
    };
    assert_eq!(broken(unheard), [1]);
}

#[test]
fn a_deletion_may_name_nobody() {
    let together = |logs: &mut Logs| {
        logs.requests[4].verb = "deletecollection".to_owned();
        logs.requests[4].name = String::new();
    };
    assert_eq!(broken(together), NONE);
    let runs = |logs: &mut Logs| {
        together(logs);
        logs.calls.pop();
        logs.changes.pop();
    };
    assert_eq!(broken(runs), [1]);
}

#[test]
fn no_start_is_on_its_way_when_the_finalizer_goes() {
    let outstanding = |logs: &mut Logs| {
        logs.calls[0].end_us = None;
    };
    assert_eq!(broken(outstanding), [1]);
    let comes_later = |logs: &mut Logs| {
        logs.changes.push(change(ChangeKind::Started, 13 * SECOND));
    };
    assert_eq!(broken(comes_later), [1]);
    // Unless another object has the task by then.
    let next = Owner {
        name: "next".to_owned(),
        ..owner()
    };
    let taken_over = |logs: &mut Logs| {
        comes_later(logs);
        logs.existing.insert("next".to_owned());
    };
    let broken = broken_by(&[owner(), next], taken_over);
    assert!(!broken.contains(&1), "{broken:?}");
}

#[test]
fn nobody_elses_task_is_touched() {
    for action in [START, UPDATE, STOP] {
        for (app, task) in [("app", "foreign"), ("other", "task")] {
            let foreign = |logs: &mut Logs| {
                let mut call = call(action, SECOND);
                call.app_id = Some(app.to_owned());
                call.task_id = Some(task.to_owned());
                logs.calls.push(call);
            };
            assert_eq!(broken(foreign), [2], "{action} {app} {task}");
        }
    }
    let reading = |logs: &mut Logs| {
        let mut call = call(LIST, SECOND);
        call.task_id = Some("foreign".to_owned());
        logs.calls.push(call);
    };
    assert_eq!(broken(reading), NONE);
}

#[test]
fn a_start_follows_finalizer_intent_and_look() {
    let without = |n: usize| broken(|logs| drop(logs.requests.remove(n)));
    assert_eq!([without(0), without(1), without(2)], [[3], [3], [3]]);
    // Each of them too late.
    for n in 0..3 {
        let late = |logs: &mut Logs| {
            logs.requests[n].received = stamp(4 * SECOND + 500_000);
            logs.requests[n].answered = stamp(4 * SECOND + 502_000);
        };
        assert_eq!(broken(late), [3], "{n}");
    }
    // Of another user, or refused.
    for n in 0..3 {
        let others = |logs: &mut Logs| logs.requests[n].user = "somebody".to_owned();
        assert_eq!(broken(others), [3], "{n}");
        assert_eq!(broken(|logs| logs.requests[n].code = 409), [3], "{n}");
    }
    // The look was before the intent.
    let early = |logs: &mut Logs| logs.requests[2].received = stamp(SECOND + 500_000);
    assert_eq!(broken(early), [3]);
    // A second Start has a look of its own.
    let again = |logs: &mut Logs| {
        let mut refused = call(START, 4 * SECOND + 500_000);
        refused.effect = false;
        logs.calls.insert(1, refused);
    };
    assert_eq!(broken(again), [3]);
    let looked = |logs: &mut Logs| {
        again(logs);
        logs.requests
            .insert(3, request("get", "", 4 * SECOND + 400_000));
    };
    assert_eq!(broken(looked), NONE);
}

#[test]
fn no_start_while_deleting() {
    let deleted_first = |logs: &mut Logs| {
        logs.requests[4].received = stamp(2 * SECOND + 500_000);
        logs.requests[4].answered = stamp(2 * SECOND + 502_000);
    };
    assert_eq!(broken(deleted_first), [3]);
    // What came after the look could not be known.
    let meanwhile = |logs: &mut Logs| {
        logs.requests[4].received = stamp(3 * SECOND + 500_000);
        logs.requests[4].answered = stamp(3 * SECOND + 502_000);
    };
    assert_eq!(broken(meanwhile), NONE);
}

#[test]
fn no_second_is_too_full() {
    let found = |change: &dyn Fn(&mut Usage)| {
        (0..6)
            .map(|n| broken(|logs| change(&mut logs.usage[n])))
            .collect::<Vec<_>>()
    };
    let four = vec![vec![4]; 6];
    assert_eq!(found(&|usage| usage.max_per_second_by_arrival += 1), four);
    assert_eq!(found(&|usage| usage.max_per_second_by_reply += 1), four);
    assert_eq!(found(&|usage| usage.over_quota = 1), four);
    assert_eq!(found(&|usage| usage.nonce_reuses = 1), vec![vec![15]; 6]);
}

#[test]
fn one_task_at_a_time() {
    let second = Owner {
        task: "task-2".to_owned(),
        ..owner()
    };
    let start_second = |logs: &mut Logs, us: u64| {
        let mut started = change(ChangeKind::Started, us);
        started.task_id = "task-2".to_owned();
        let place = logs
            .changes
            .partition_point(|change| change.monotonic_us < us);
        logs.changes.insert(place, started);
        // Its end is of no account here.
        logs.existing.insert("object".to_owned());
    };
    let owners = [owner(), second];
    assert_eq!(
        broken_by(&owners, |logs| start_second(logs, 5 * SECOND)),
        [5]
    );
    assert_eq!(
        broken_by(&owners, |logs| start_second(logs, 13 * SECOND)),
        NONE
    );
}

#[test]
fn one_stop_for_each_deletion() {
    let twice = |logs: &mut Logs| {
        let mut second = call(STOP, 11 * SECOND + 500_000);
        second.effect = false;
        logs.calls.push(second);
    };
    assert_eq!(broken(twice), [7]);
    let mut logs = life();
    twice(&mut logs);
    assert_eq!(logs.breaches(&[owner()], 1), [], "a crash explains it");
    // So does an answer that was spoilt, but not two effects.
    let spoilt = |logs: &mut Logs| {
        twice(logs);
        logs.calls[2].fault = Some(1);
    };
    assert_eq!(broken(spoilt), NONE);
    let both = |logs: &mut Logs| {
        spoilt(logs);
        logs.calls[3].effect = true;
    };
    assert_eq!(broken(both), [7]);
    // A Stop before the deletion is another matter.
    let paused = |logs: &mut Logs| logs.calls.push(call(STOP, 8 * SECOND));
    assert_eq!(broken(paused), NONE);
    let orphan = Owner {
        orphans: true,
        ..owner()
    };
    assert_eq!(broken_by(std::slice::from_ref(&orphan), |_| {}), [7]);
    let lets_run = |logs: &mut Logs| {
        logs.calls.pop();
        logs.changes.pop();
    };
    assert_eq!(broken_by(&[orphan], lets_run), NONE);
}

#[test]
fn an_owner_as_the_api_server_shows_it() {
    let object = json!({
        "metadata": {"name": "object"}, "spec": {"appId": "app"}, "status": {"taskId": "task"},
    });
    assert_eq!(Owner::of(&object), Some(owner()));
    let orphan = json!({
        "metadata": {"name": "object"}, "spec": {"appId": "app", "taskId": "task", "deletionPolicy": "Orphan"},
    });
    assert!(Owner::of(&orphan).unwrap().orphans);
    assert_eq!(
        Owner::of(&json!({"metadata": {"name": "new"}, "spec": {"appId": "app"}})),
        None
    );
}
