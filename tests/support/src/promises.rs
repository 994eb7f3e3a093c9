//! The operator's promises, judged from the simulator's logs and the API server's audit log, apart from what the operator says of itself.
//! Their numbers are those of the brief's section on invariants.

mod case;
mod read;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::hash::Hash;

use serde::Serialize;
use serde_json::{Value, json};

use crate::audit::Entry;
use crate::simulator::{Call, Change, ChangeKind, Usage};

pub use read::assert_kept;

use case::Case;

/// Starts a task.
pub const START: &str = "StartLiveMPUTask";
/// Changes a running task.
pub const UPDATE: &str = "UpdateLiveMPUTask";
/// Stops a task.
pub const STOP: &str = "StopLiveMPUTask";
/// Lists tasks.
pub const LIST: &str = "ListRtcMPUTaskDetail";
/// Tells who is in a channel.
pub const USERS: &str = "DescribeChannelUsers";
/// Lists the channels that exist.
pub const ROOMS: &str = "ListRTCLiveRooms";

/// The most calls of an action in any second (dossier 2; for the rooms none is published).
#[must_use]
pub fn limit(action: &str) -> u64 {
    match action {
        START | UPDATE | STOP => 500,
        USERS | "AssumeRoleWithOIDC" | "GetCallerIdentity" => 100,
        LIST | ROOMS => 50,
        other => panic!("{other} has no limit"),
    }
}

/// The simulator gives its own clock to the millisecond.
const GRAIN_US: i128 = 1_000;

/// What the audit log says of a request whose client left before the answer.
const CLIENT_GONE: u16 = 504;

/// An object that owns a task, as the test that made it knows it. Its name is used once in its namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its name.
    pub name: String,
    /// The application.
    pub app: String,
    /// The task.
    pub task: String,
    /// Whether its manifest brought the finalizer.
    pub protected: bool,
    /// Whether its deletion lets the task run on.
    pub orphans: bool,
}

impl Owner {
    /// An object whose deletion stops its task, and that got its finalizer from the operator.
    #[must_use]
    pub fn new(name: &str, app: &str, task: &str) -> Self {
        Self {
            name: name.to_owned(),
            app: app.to_owned(),
            task: task.to_owned(),
            protected: false,
            orphans: false,
        }
    }

    /// Of an object as the API server shows it; None as long as it has no task id.
    #[must_use]
    pub fn of(object: &impl Serialize) -> Option<Self> {
        let object = json!(object);
        let text = |place: &str| object.pointer(place).and_then(Value::as_str);
        let task = text("/spec/taskId").or_else(|| text("/status/taskId"))?;
        let new = Self::new(text("/metadata/name")?, text("/spec/appId")?, task);
        Some(Self {
            orphans: text("/spec/deletionPolicy") == Some("Orphan"),
            ..new
        })
    }

    /// Whose manifest brought the finalizer.
    #[must_use]
    pub fn protected(mut self) -> Self {
        self.protected = true;
        self
    }
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Its number.
    pub promise: u8,
    /// The object, or the task where it has none, or the action.
    pub whose: String,
    /// What happened.
    pub what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "promise {}: {}: {}", self.promise, self.whose, self.what)
    }
}

/// What the logs say of one namespace and one simulator.
#[derive(Debug, Clone)]
pub struct Logs {
    /// The simulator's calls.
    pub calls: Vec<Call>,
    /// What happened to its tasks.
    pub changes: Vec<Change>,
    /// Its count of calls.
    pub usage: Vec<Usage>,
    /// When it began, in UNIX microseconds.
    pub epoch_us: i128,
    /// The requests about the namespace's objects, in the order of their answers.
    pub requests: Vec<Entry>,
    /// The objects that are still there.
    pub existing: BTreeSet<String>,
    /// The operator's user; None where it is the tests' own, whose requests are taken for the operator's then.
    pub operator: Option<String>,
}

impl Logs {
    /// Every breach of promises 1 to 5 and 7. `crashes` is how many more Stops than one a deletion may cost besides those whose answer the
    /// simulator spoilt.
    #[must_use]
    pub fn breaches(&self, owners: &[Owner], crashes: usize) -> Vec<Breach> {
        let calls = grouped(&self.calls, key_of);
        let changes = grouped(&self.changes, |change| {
            (change.app_id.as_str(), change.task_id.as_str())
        });
        let requests = grouped(&self.requests, |entry| entry.name.as_str());
        let of_task = grouped(owners, Owner::key);
        let mut found = Vec::new();
        for owner in owners {
            let others = of_task[&owner.key()].iter();
            let case = Case {
                owner,
                logs: self,
                calls: all(&calls, &owner.key()),
                changes: all(&changes, &owner.key()),
                requests: all(&requests, &owner.name.as_str()),
                collective: all(&requests, &""),
                shared: others.clone().any(|other| other.name != owner.name),
            };
            case.let_go(&mut found);
            case.started(&mut found);
            case.stopped(crashes, &mut found);
        }
        self.owned(&of_task, &mut found);
        self.one_at_a_time(&of_task, &mut found);
        found.extend(over_limits(&self.usage));
        found
    }

    /// Promise 2: Start, Update and Stop are for tasks that an object owns.
    fn owned(&self, of_task: &Groups<'_, (&str, &str), Owner>, found: &mut Vec<Breach>) {
        for call in self.calls.iter().filter(|call| call.authenticated) {
            let writes =
                [START, UPDATE, STOP].contains(&call.action.as_deref().unwrap_or_default());
            let owned = of_task.contains_key(&key_of(call));
            if writes && !owned {
                found.push(Breach {
                    promise: 2,
                    whose: call.task_id.clone().unwrap_or_default(),
                    what: format!("no object owns it: {call:?}"),
                });
            }
        }
    }

    /// Promise 5: at most one live task for each object.
    fn one_at_a_time(&self, of_task: &Groups<'_, (&str, &str), Owner>, found: &mut Vec<Breach>) {
        let mut live: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for change in &self.changes {
            let key = (change.app_id.as_str(), change.task_id.as_str());
            let Some(owner) = of_task.get(&key).and_then(|owners| owners.first()) else {
                continue;
            };
            let tasks = live.entry(&owner.name).or_default();
            match change.change {
                ChangeKind::Started => {
                    tasks.insert(&change.task_id);
                    if tasks.len() > 1 {
                        found.push(owner.breach(5, format!("{tasks:?} run at a time")));
                    }
                }
                ChangeKind::Stopped => {
                    tasks.remove(change.task_id.as_str());
                }
                ChangeKind::Updated => {}
            }
        }
    }
}

/// Promise 4: in no sliding second more calls than the limit, and none over the quota; and promise 15, that each was signed well.
#[must_use]
pub fn over_limits(usage: &[Usage]) -> Vec<Breach> {
    let mut found = Vec::new();
    for usage in usage {
        let most = usage
            .max_per_second_by_arrival
            .max(usage.max_per_second_by_reply);
        let wrong = usage.signature_failures + usage.nonce_reuses + usage.date_violations;
        let mut breach = |promise, what: &str| {
            found.push(Breach {
                promise,
                whose: usage.action.clone(),
                what: format!("{what}: {usage:?}"),
            });
        };
        if most > limit(&usage.action) || usage.over_quota > 0 {
            breach(4, "over the limit");
        }
        if wrong > 0 {
            breach(15, "signed wrongly");
        }
    }
    found
}

impl Owner {
    fn key(&self) -> (&str, &str) {
        (&self.app, &self.task)
    }

    fn breach(&self, promise: u8, what: String) -> Breach {
        Breach {
            promise,
            whose: self.name.clone(),
            what,
        }
    }
}

/// Entries of a log by what they are about, in their order.
type Groups<'a, K, T> = HashMap<K, Vec<&'a T>>;

fn grouped<'a, K: Eq + Hash, T>(entries: &'a [T], key: impl Fn(&'a T) -> K) -> Groups<'a, K, T> {
    let mut groups: Groups<'a, K, T> = HashMap::new();
    for entry in entries {
        groups.entry(key(entry)).or_default().push(entry);
    }
    groups
}

fn all<'g, 'a, K: Eq + Hash, T>(groups: &'g Groups<'a, K, T>, key: &K) -> &'g [&'a T] {
    groups.get(key).map_or(&[], Vec::as_slice)
}

/// What addresses the task of a call.
fn key_of(call: &Call) -> (&str, &str) {
    (
        call.app_id.as_deref().unwrap_or_default(),
        call.task_id.as_deref().unwrap_or_default(),
    )
}
