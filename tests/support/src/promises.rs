//! The operator's promises, judged from the simulator's logs and the API server's audit log, apart from what the operator says of itself.
//! Their numbers are those of the brief's section on invariants.

mod read;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use crate::audit::Entry;
use crate::simulator::{By, Call, Change, ChangeKind, Usage};

pub use read::assert_kept;

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
        USERS => 100,
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

/// When an object was deleted, and the writes that may have let it go.
struct Deletion<'a> {
    asked: &'a Entry,
    releases: Vec<&'a Entry>,
}

impl Logs {
    /// Every breach of promises 1 to 5 and 7. `crashes` is how many more Stops than one a deletion may cost besides those whose answer the
    /// simulator spoilt.
    #[must_use]
    pub fn breaches(&self, owners: &[Owner], crashes: usize) -> Vec<Breach> {
        let mut found = Vec::new();
        for owner in owners {
            self.let_go(owner, owners, &mut found);
            self.started(owner, &mut found);
            self.stopped(owner, crashes, &mut found);
        }
        self.owned(owners, &mut found);
        self.one_at_a_time(owners, &mut found);
        found.extend(over_limits(&self.usage));
        found
    }

    fn at(&self, monotonic_us: u64) -> i128 {
        self.epoch_us + i128::from(monotonic_us)
    }

    fn calls_of<'a>(&'a self, action: &'a str, owner: &'a Owner) -> impl Iterator<Item = &'a Call> {
        self.calls.iter().filter(move |call| {
            call.action.as_deref() == Some(action)
                && call.app_id.as_deref() == Some(&owner.app)
                && call.task_id.as_deref() == Some(&owner.task)
        })
    }

    fn changes_of<'a>(&'a self, owner: &'a Owner) -> impl Iterator<Item = &'a Change> {
        self.changes
            .iter()
            .filter(move |change| change.app_id == owner.app && change.task_id == owner.task)
    }

    fn requests_for<'a>(&'a self, owner: &'a Owner) -> impl Iterator<Item = &'a Entry> {
        self.requests
            .iter()
            .filter(move |entry| entry.name == owner.name)
    }

    fn is_operators(&self, entry: &Entry) -> bool {
        self.operator
            .as_ref()
            .is_none_or(|user| *user == entry.user)
    }

    fn deletion<'a>(&'a self, owner: &'a Owner) -> Option<Deletion<'a>> {
        let asked = self
            .requests_for(owner)
            .find(|entry| entry.verb == "delete" && entry.code == 200)?;
        let writes: Vec<&Entry> = self
            .requests_for(owner)
            .filter(|entry| is_patch(entry, "") && self.is_operators(entry))
            .filter(|entry| entry.received >= asked.received)
            .collect();
        // The last one that was stored let it go; whether one was whose client had left is not in the log.
        let last = writes.iter().rfind(|entry| entry.code == 200);
        let unheard = writes.iter().filter(|entry| entry.code == CLIENT_GONE);
        Some(Deletion {
            asked,
            releases: last.into_iter().chain(unheard).copied().collect(),
        })
    }

    /// Promise 1: when the finalizer goes, the task does not run (an accepted Stop counts), and no Start is on its way.
    fn let_go(&self, owner: &Owner, owners: &[Owner], found: &mut Vec<Breach>) {
        let mut breach = |what: String| found.push(owner.breach(1, what));
        if self.existing.contains(&owner.name) {
            return;
        }
        let releases = self.deletion(owner).map(|deletion| deletion.releases);
        let releases = releases.unwrap_or_default();
        if releases.is_empty() {
            breach("is gone, and the audit log does not show how".to_owned());
        }
        if owner.orphans {
            return;
        }
        // Somebody else may take the task over, and start it.
        let shared = owners.iter().any(|other| {
            other.name != owner.name && other.app == owner.app && other.task == owner.task
        });
        for release in releases {
            let at = i128::from(release.received.as_microsecond()) + GRAIN_US;
            let before = |us: u64| self.at(us) <= at;
            let last = self
                .changes_of(owner)
                .filter(|change| before(change.monotonic_us))
                .last();
            if let Some(last) = last
                && last.change != ChangeKind::Stopped
                && !self.stop_accepted(owner, last.monotonic_us, &before)
            {
                breach(format!("its task ran when the finalizer went: {last:?}"));
            }
            for start in self.calls_of(START, owner) {
                if before(start.arrival_us) && !start.end_us.is_some_and(before) {
                    breach(format!("a Start was on its way: {start:?}"));
                }
            }
            let later = self.changes_of(owner).find(|change| {
                change.change == ChangeKind::Started
                    && change.by == By::Api
                    && !before(change.monotonic_us)
            });
            if let Some(later) = later.filter(|_| !shared) {
                breach(format!("its task was started afterwards: {later:?}"));
            }
        }
    }

    /// Whether the service accepted a Stop after that instant. A fault may have answered 200 without having done anything.
    fn stop_accepted(&self, owner: &Owner, since: u64, before: &impl Fn(u64) -> bool) -> bool {
        self.calls_of(STOP, owner).any(|stop| {
            let accepted = stop.status == Some(200) && stop.code.is_none();
            stop.arrival_us > since
                && accepted
                && (stop.fault.is_none() || stop.effect)
                && stop.end_us.is_some_and(before)
        })
    }

    /// Promise 3, and how the brief has a Start: finalizer, intent, a live look, and nothing of it after the deletion.
    fn started(&self, owner: &Owner, found: &mut Vec<Breach>) {
        let mut breach = |what: String| found.push(owner.breach(3, what));
        let deleted = self
            .deletion(owner)
            .map(|deletion| deletion.asked.answered.as_microsecond());
        let stored = |subresource: &str, from: i128, until: i128| {
            self.requests_for(owner).find(|entry| {
                is_patch(entry, subresource)
                    && entry.code == 200
                    && self.is_operators(entry)
                    && i128::from(entry.received.as_microsecond()) >= from
                    && i128::from(entry.answered.as_microsecond()) <= until
            })
        };
        let mut previous = i128::MIN;
        for start in self.calls_of(START, owner) {
            let at = self.at(start.arrival_us) + GRAIN_US;
            let protected = if owner.protected {
                Some(i128::MIN)
            } else {
                stored("", i128::MIN, at).map(|entry| i128::from(entry.answered.as_microsecond()))
            };
            let Some(protected) = protected else {
                breach(format!("a Start before the finalizer: {start:?}"));
                continue;
            };
            let Some(intent) = stored("status", protected, at) else {
                breach(format!("a Start before the intent: {start:?}"));
                continue;
            };
            let look = self
                .requests_for(owner)
                .filter(|entry| {
                    entry.verb == "get" && entry.code == 200 && self.is_operators(entry)
                })
                .filter(|entry| i128::from(entry.answered.as_microsecond()) <= at)
                .max_by_key(|entry| entry.received);
            match look {
                Some(look)
                    if look.received >= intent.answered
                        && i128::from(look.received.as_microsecond()) + GRAIN_US > previous =>
                {
                    let look = look.received.as_microsecond();
                    if deleted.is_some_and(|deleted| deleted < look) {
                        breach(format!("a Start while deleting: {start:?}"));
                    }
                }
                Some(_) | None => breach(format!("a Start without a live look: {start:?}")),
            }
            previous = self.at(start.arrival_us);
        }
    }

    /// Promise 7: one effective Stop for each deleted task, and no more calls than failures and crashes explain.
    fn stopped(&self, owner: &Owner, crashes: usize, found: &mut Vec<Breach>) {
        let Some(deletion) = self.deletion(owner) else {
            return;
        };
        let asked = i128::from(deletion.asked.received.as_microsecond()) - GRAIN_US;
        let calls: Vec<&Call> = self
            .calls_of(STOP, owner)
            .filter(|stop| self.at(stop.arrival_us) >= asked)
            .collect();
        let effective = calls.iter().filter(|stop| stop.effect).count();
        let spoilt = calls
            .iter()
            .filter(|stop| stop.fault.is_some() || stop.over_quota)
            .count();
        let (most_effective, most) = if owner.orphans {
            (0, 0)
        } else {
            (1, 1 + spoilt + crashes)
        };
        if effective > most_effective || calls.len() > most {
            let what = format!("{effective} effective of {} Stops: {calls:?}", calls.len());
            found.push(owner.breach(7, what));
        }
    }

    /// Promise 2: Start, Update and Stop are for tasks that an object owns.
    fn owned(&self, owners: &[Owner], found: &mut Vec<Breach>) {
        for call in self.calls.iter().filter(|call| call.authenticated) {
            let writes =
                [START, UPDATE, STOP].contains(&call.action.as_deref().unwrap_or_default());
            let owned = owners.iter().any(|owner| {
                call.app_id.as_deref() == Some(&owner.app)
                    && call.task_id.as_deref() == Some(&owner.task)
            });
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
    fn one_at_a_time(&self, owners: &[Owner], found: &mut Vec<Breach>) {
        let by_task: HashMap<(&str, &str), &Owner> = owners
            .iter()
            .map(|owner| ((owner.app.as_str(), owner.task.as_str()), owner))
            .collect();
        let mut live: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for change in &self.changes {
            let Some(owner) = by_task.get(&(change.app_id.as_str(), change.task_id.as_str()))
            else {
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
    fn breach(&self, promise: u8, what: String) -> Breach {
        Breach {
            promise,
            whose: self.name.clone(),
            what,
        }
    }
}

fn is_patch(entry: &Entry, subresource: &str) -> bool {
    entry.verb == "patch" && entry.subresource == subresource
}
