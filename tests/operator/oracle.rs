//! What the logs of the API server and of the simulator say, apart from what the operator says of itself.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::Api;
use serde_json::{Value, json};
use support::audit::Entry;
use support::promises::{Owner, assert_kept};
use support::simulator::{Call, ChangeKind, Filter, TaskState};
use support::{Launch, Simulator, eventually};

pub use support::promises::{LIST, STOP, USERS};

use crate::scene::{APP, PATIENCE, Scene, cluster};

/// What the audit log says of a request whose client left before the answer.
const CLIENT_GONE: u16 = 504;

/// Short waits. A deletion that is not confirmed is looked at again within a second.
pub const QUICK: [&str; 7] = [
    "--backoff-min=100ms",
    "--backoff-max=400ms",
    "--slow-backoff-min=300ms",
    "--slow-backoff-max=600ms",
    "--channel-poll=500ms",
    "--idle-margin=1s",
    "--call-deadline=3s",
];

/// A scene with short waits.
pub async fn quick(prefix: &str) -> Scene {
    scene_with(prefix, &QUICK).await
}

/// A scene whose operator has these flags and no others.
pub async fn scene_with(prefix: &str, flags: &[&str]) -> Scene {
    scene_as(prefix, flags, |launch| launch).await
}

/// The same with something else changed too.
pub async fn scene_as(
    prefix: &str,
    flags: &[&str],
    change: impl FnOnce(Launch) -> Launch,
) -> Scene {
    let cluster = cluster().await;
    let namespace = cluster.namespace(prefix).await;
    let simulator = Simulator::start().await.unwrap();
    let launch = Launch::new(cluster.kubeconfig(), &simulator.endpoint())
        .namespace(&namespace)
        .flags(flags.iter().copied());
    let operator = change(launch).start().await;
    operator.ready().await;
    Scene {
        cluster,
        namespace,
        simulator,
        operator,
    }
}

/// The deletion of one object, from the audit log.
#[derive(Debug, Clone)]
pub struct Deletion {
    /// When the DELETE came.
    pub asked: Timestamp,
    /// The successful writes to the object itself from then on.
    pub patches: Vec<Entry>,
    /// Writes to the object whose client was gone before the answer: whether they were stored is not in the log.
    pub unheard: Vec<Entry>,
    /// The successful writes to its status from then on.
    pub status_writes: usize,
}

impl Deletion {
    /// Every write that may have removed the finalizer.
    pub fn writes(&self) -> impl Iterator<Item = &Entry> {
        self.patches.iter().chain(&self.unheard)
    }
}

/// The deletions of all objects of the scene's namespace, once `count` of them have been released.
pub async fn deletions(scene: &Scene, count: usize) -> BTreeMap<String, Deletion> {
    eventually("the audit log shows the releases", PATIENCE, async || {
        let found = deletions_now(scene);
        let released = found
            .values()
            .filter(|deletion| deletion.writes().next().is_some())
            .count();
        if released >= count {
            Ok(found)
        } else {
            Err(format!("{released} of {count}"))
        }
    })
    .await
}

fn deletions_now(scene: &Scene) -> BTreeMap<String, Deletion> {
    let entries = scene.cluster.audit(|entry| {
        entry.namespace == scene.namespace
            && entry.resource == "mixedstreamtasks"
            && (entry.code == 200 || entry.code == CLIENT_GONE)
            && !entry.name.is_empty()
    });
    let mut found: BTreeMap<String, Deletion> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.verb == "delete") {
        let deletion = Deletion {
            asked: entry.received,
            patches: Vec::new(),
            unheard: Vec::new(),
            status_writes: 0,
        };
        // The last one, where the name came again.
        found.insert(entry.name.clone(), deletion);
    }
    for entry in entries {
        if entry.verb != "patch" {
            continue;
        }
        let Some(deletion) = found.get_mut(&entry.name) else {
            continue;
        };
        if entry.received < deletion.asked {
            continue;
        }
        if entry.subresource == "status" {
            deletion.status_writes += 1;
        } else if entry.code == CLIENT_GONE {
            deletion.unheard.push(entry);
        } else {
            deletion.patches.push(entry);
        }
    }
    found
}

/// Asserts from the logs alone that the promises are kept for these objects, whose tasks have their names. `crashes` is how many Stops more
/// than one a deletion may have cost, those with a fault apart.
pub async fn assert_promises(scene: &Scene, names: &[&str], crashes: usize) {
    let owners: Vec<Owner> = names
        .iter()
        .map(|name| Owner::new(name, APP, name))
        .collect();
    assert_promises_of(scene, &owners, crashes).await;
}

/// The same for objects whose tasks have other names.
pub async fn assert_promises_of(scene: &Scene, owners: &[Owner], crashes: usize) {
    let Scene {
        cluster,
        namespace,
        simulator,
        operator: _,
    } = scene;
    assert_kept(simulator, cluster, namespace, None, owners, crashes).await;
}

/// Asserts that none of these tasks ran when the write that removed the object's finalizer came. Name and task id are the same.
pub async fn assert_stopped_first(scene: &Scene, deletions: &BTreeMap<String, Deletion>) {
    let ran = running_at_release(scene, deletions).await;
    assert!(ran.is_empty(), "ran when the finalizer went: {ran:?}");
}

/// The tasks that ran when the write that removed the object's finalizer came.
pub async fn running_at_release(
    scene: &Scene,
    deletions: &BTreeMap<String, Deletion>,
) -> Vec<String> {
    let clock = scene.simulator.clock().await.unwrap();
    let history = scene.simulator.history(&Filter::default()).await.unwrap();
    let ran = |name: &str, write: &Entry| {
        // Both clocks are this machine's; the simulator gives its own to the millisecond.
        let at = i128::from(write.received.as_microsecond()) + 1_000;
        let last = history
            .iter()
            .rfind(|change| change.task_id == name && clock.real_us(change.monotonic_us) <= at);
        last.is_some_and(|change| change.change != ChangeKind::Stopped)
    };
    deletions
        .iter()
        .filter(|(name, deletion)| deletion.writes().any(|write| ran(name, write)))
        .map(|(name, _)| name.clone())
        .collect()
}

/// The calls of an action for a task, in the order of their arrival.
pub async fn calls_of(scene: &Scene, action: &str, task: &str) -> Vec<Call> {
    scene
        .simulator
        .calls(&Filter::of(action, task))
        .await
        .unwrap()
}

/// Every call, by task; those without one are left out.
pub async fn calls_by_task(scene: &Scene, action: &str) -> BTreeMap<String, Vec<Call>> {
    let mut found: BTreeMap<String, Vec<Call>> = BTreeMap::new();
    for call in scene.simulator.calls(&of_action(action)).await.unwrap() {
        if let Some(task) = call.task_id.clone() {
            found.entry(task).or_default().push(call);
        }
    }
    found
}

/// All calls of an action.
pub fn of_action(action: &str) -> Filter {
    Filter {
        action: Some(action.to_owned()),
        ..Filter::default()
    }
}

/// Waits until there have been this many calls of an action for a task.
pub async fn until_calls(scene: &Scene, action: &str, task: &str, at_least: usize) -> Vec<Call> {
    let filter = Filter::of(action, task);
    let calls = scene
        .simulator
        .await_calls(&filter, at_least, PATIENCE)
        .await
        .unwrap();
    assert!(
        calls.len() >= at_least,
        "{task}: {} of {at_least} {action}\n{}",
        calls.len(),
        scene.tail()
    );
    calls
}

/// Waits for an event about an object, and returns its type and note.
pub async fn until_event(scene: &Scene, name: &str, reason: &str) -> (String, String) {
    let events: Api<Event> = Api::namespaced(scene.cluster.client(), &scene.namespace);
    eventually(&format!("{name}: event {reason}"), PATIENCE, async || {
        let list = events.list(&kube::api::ListParams::default()).await;
        let list = list.map_err(|error| error.to_string())?;
        let about = |event: &&Event| event.involved_object.name.as_deref() == Some(name);
        let seen: Vec<_> = list
            .items
            .iter()
            .filter(about)
            .map(|event| event.reason.clone())
            .collect();
        list.items
            .iter()
            .filter(about)
            .find(|event| event.reason.as_deref() == Some(reason))
            .map(|event| {
                (
                    event.type_.clone().unwrap_or_default(),
                    event.message.clone().unwrap_or_default(),
                )
            })
            .ok_or_else(|| format!("{seen:?}"))
    })
    .await
}

/// How many objects were released on that evidence by now.
pub async fn released_on(scene: &Scene, evidence: &str) -> u64 {
    let labels = [("evidence", evidence)];
    let counted = scene
        .operator
        .metric("mixed_stream_releases_total", &labels)
        .await;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count"
    )]
    {
        counted.round() as u64
    }
}

/// Waits until so many objects were released on that evidence: the operator counts a moment after the object is gone.
pub async fn until_released_on(scene: &Scene, evidence: &str, count: u64) {
    let what = format!("{count} objects are released on {evidence}");
    eventually(&what, PATIENCE, async || {
        match released_on(scene, evidence).await {
            counted if counted == count => Ok(()),
            counted => Err((counted, scene.tail())),
        }
    })
    .await;
}

/// Starts a task and arms an object of the same name.
pub async fn armed_with_task(scene: &Scene, name: &str) {
    scene.start_task(name).await;
    scene.create(name).await;
    scene.until_reason(name, "Armed").await;
}

/// Whether the task runs.
pub async fn running(scene: &Scene, task: &str) -> bool {
    scene.simulator.task(APP, task).await.unwrap().state == TaskState::Running
}

/// Orders a fault of Stop for a task.
pub async fn order(scene: &Scene, task: &str, mut fault: Value) {
    fault["action"] = json!(STOP);
    fault["taskId"] = json!(task);
    scene.simulator.order_fault(&fault).await.unwrap();
}

/// Changes the account.
pub async fn set_account(scene: &Scene, fields: Value) {
    let changed = scene.simulator.set_account("default", &fields).await;
    changed.unwrap();
}
