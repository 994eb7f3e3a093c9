//! What the logs say of one object and its task.

use super::{Breach, CLIENT_GONE, GRAIN_US, Logs, Owner, START, STOP};
use crate::audit::Entry;
use crate::simulator::{By, Call, Change, ChangeKind};

/// One object, and all that the logs say of it.
pub struct Case<'a> {
    pub owner: &'a Owner,
    pub logs: &'a Logs,
    pub calls: &'a [&'a Call],
    pub changes: &'a [&'a Change],
    pub requests: &'a [&'a Entry],
    /// Requests that deleted objects of the namespace without naming them.
    pub collective: &'a [&'a Entry],
    /// Somebody else may take the task over, and start it.
    pub shared: bool,
}

/// When an object was deleted, and the writes that may have let it go.
struct Deletion<'a> {
    asked: &'a Entry,
    releases: Vec<&'a Entry>,
}

impl<'a> Case<'a> {
    fn at(&self, monotonic_us: u64) -> i128 {
        self.logs.epoch_us + i128::from(monotonic_us)
    }

    fn calls_of(&self, action: &str) -> impl Iterator<Item = &'a Call> {
        self.calls
            .iter()
            .copied()
            .filter(move |call| call.action.as_deref() == Some(action))
    }

    fn is_operators(&self, entry: &Entry) -> bool {
        self.logs
            .operator
            .as_ref()
            .is_none_or(|user| *user == entry.user)
    }

    fn deletion(&self) -> Option<Deletion<'a>> {
        let of_verb = |entries: &[&'a Entry], verb: &str| {
            let mut entries = entries.iter().copied();
            entries.find(|entry| entry.verb == verb && entry.code == 200)
        };
        let asked = of_verb(self.requests, "delete")
            .or_else(|| of_verb(self.collective, "deletecollection"))?;
        let writes: Vec<&Entry> = self
            .requests
            .iter()
            .copied()
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
    pub fn let_go(&self, found: &mut Vec<Breach>) {
        let mut breach = |what: String| found.push(self.owner.breach(1, what));
        if self.logs.existing.contains(&self.owner.name) {
            return;
        }
        let releases = self.deletion().map(|deletion| deletion.releases);
        let releases = releases.unwrap_or_default();
        if releases.is_empty() {
            breach("is gone, and the audit log does not show how".to_owned());
        }
        if self.owner.orphans {
            return;
        }
        for release in releases {
            let at = i128::from(release.received.as_microsecond()) + GRAIN_US;
            let before = |us: u64| self.at(us) <= at;
            let last = self
                .changes
                .iter()
                .rfind(|change| before(change.monotonic_us));
            if let Some(last) = last
                && last.change != ChangeKind::Stopped
                && !self.stop_accepted(last.monotonic_us, &before)
            {
                breach(format!("its task ran when the finalizer went: {last:?}"));
            }
            for start in self.calls_of(START) {
                if before(start.arrival_us) && !start.end_us.is_some_and(before) {
                    breach(format!("a Start was on its way: {start:?}"));
                }
            }
            let later = self.changes.iter().find(|change| {
                change.change == ChangeKind::Started
                    && change.by == By::Api
                    && !before(change.monotonic_us)
            });
            if let Some(later) = later.filter(|_| !self.shared) {
                breach(format!("its task was started afterwards: {later:?}"));
            }
        }
    }

    /// Whether the service accepted a Stop after that instant. A fault may have answered 200 without having done anything.
    fn stop_accepted(&self, since: u64, before: &impl Fn(u64) -> bool) -> bool {
        self.calls_of(STOP).any(|stop| {
            let accepted = stop.status == Some(200) && stop.code.is_none();
            stop.arrival_us > since
                && accepted
                && (stop.fault.is_none() || stop.effect)
                && stop.end_us.is_some_and(before)
        })
    }

    /// Promise 3, and how the brief has a Start: finalizer, intent, a live look, and nothing of it after the deletion.
    pub fn started(&self, found: &mut Vec<Breach>) {
        let mut breach = |what: String| found.push(self.owner.breach(3, what));
        let deleted = self
            .deletion()
            .map(|deletion| deletion.asked.answered.as_microsecond());
        let stored = |subresource: &str, from: i128, until: i128| {
            self.requests.iter().copied().find(|entry| {
                is_patch(entry, subresource)
                    && entry.code == 200
                    && self.is_operators(entry)
                    && i128::from(entry.received.as_microsecond()) >= from
                    && i128::from(entry.answered.as_microsecond()) <= until
            })
        };
        let mut previous = i128::MIN;
        for start in self.calls_of(START) {
            let at = self.at(start.arrival_us) + GRAIN_US;
            let protected = if self.owner.protected {
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
                .requests
                .iter()
                .copied()
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
    pub fn stopped(&self, crashes: usize, found: &mut Vec<Breach>) {
        let Some(deletion) = self.deletion() else {
            return;
        };
        let asked = i128::from(deletion.asked.received.as_microsecond()) - GRAIN_US;
        let calls: Vec<&Call> = self
            .calls_of(STOP)
            .filter(|stop| self.at(stop.arrival_us) >= asked)
            .collect();
        let effective = calls.iter().filter(|stop| stop.effect).count();
        let spoilt = calls
            .iter()
            .filter(|stop| stop.fault.is_some() || stop.over_quota)
            .count();
        let (most_effective, most) = if self.owner.orphans {
            (0, 0)
        } else {
            (1, 1 + spoilt + crashes)
        };
        if effective > most_effective || calls.len() > most {
            let what = format!("{effective} effective of {} Stops: {calls:?}", calls.len());
            found.push(self.owner.breach(7, what));
        }
    }
}

fn is_patch(entry: &Entry, subresource: &str) -> bool {
    entry.verb == "patch" && entry.subresource == subresource
}
