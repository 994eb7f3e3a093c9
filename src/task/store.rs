//! The objects as they are known now: what the watch delivered, overtaken by the answers to our own writes.

use super::{
    ownership::{self, Standing},
    view::{Key, View},
};
use crate::api::Phase;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

/// Application and task id as texts: what two objects can quarrel about.
type Address = (String, String);

#[derive(Debug)]
struct Entry {
    view: Arc<View>,
    /// The watch itself has shown our finalizer on this uid: every older object has been shown before.
    guard_seen: bool,
    /// Its claim is being written: for the others it holds the task already.
    claiming: bool,
}

/// All objects, and who names which task.
#[derive(Debug, Default)]
pub struct Store {
    entries: HashMap<Key, Entry>,
    by_address: HashMap<Address, BTreeSet<Key>>,
}

/// What a change means for the queue.
#[derive(Debug, Default)]
pub struct Changed {
    /// Objects to look at again: the one that changed, and those that name the same task.
    pub look: Vec<Key>,
    /// The object that is gone for good, if one is, as it was last.
    pub gone: Option<Arc<View>>,
}

impl Store {
    /// Takes an object from the watch.
    pub fn watched(&mut self, view: View) -> Changed {
        let same = self
            .entries
            .get(&view.key)
            .filter(|entry| entry.view.uid == view.uid);
        let guard_seen = view.is_guarded() || same.is_some_and(|entry| entry.guard_seen);
        let newer = same.is_some_and(|entry| entry.view.version() > view.version());
        if newer && let Some(entry) = self.entries.get_mut(&view.key) {
            // The answer to our own write was faster than the watch. The watch may still have shown our finalizer by this.
            let first = guard_seen && !entry.guard_seen;
            entry.guard_seen = guard_seen;
            return Changed {
                look: if first { vec![view.key] } else { Vec::new() },
                gone: None,
            };
        }
        self.put(view, guard_seen)
    }

    /// Takes the answer to a write or a GET of ours, unless the watch has shown something newer. An object that the watch has
    /// not shown, or does not show any more, stays unknown.
    pub fn learned(&mut self, view: View) -> Changed {
        if let Some(entry) = self.entries.get(&view.key)
            && entry.view.uid == view.uid
            && entry.view.version() <= view.version()
        {
            let guard_seen = entry.guard_seen;
            return self.put(view, guard_seen);
        }
        Changed::default()
    }

    fn put(&mut self, view: View, guard_seen: bool) -> Changed {
        let key = view.key.clone();
        let mut changed = Changed::default();
        if let Some(old) = self.entries.get(&key)
            && (old.view.uid != view.uid || address(&old.view) != address(&view))
        {
            let is_another = old.view.uid != view.uid;
            changed = self.remove(&key);
            if !is_another {
                changed.gone = None;
            }
        }
        let rivalry_moved = self
            .entries
            .get(&key)
            .is_none_or(|old| ownership::changes_rivals(&old.view, &view));
        if let Some(address) = address(&view) {
            self.by_address
                .entry(address)
                .or_default()
                .insert(key.clone());
        }
        let claiming = self.entries.get(&key).is_some_and(|old| old.claiming);
        if rivalry_moved {
            changed
                .look
                .extend(self.rivals(&view).map(|(rival, _)| rival.key.clone()));
        }
        self.entries.insert(
            key.clone(),
            Entry {
                view: Arc::new(view),
                guard_seen,
                claiming,
            },
        );
        changed.look.push(key);
        changed
    }

    /// Forgets an object that is gone.
    pub fn remove(&mut self, key: &Key) -> Changed {
        let Some(entry) = self.entries.remove(key) else {
            return Changed::default();
        };
        let look = self
            .rivals(&entry.view)
            .map(|(rival, _)| rival.key.clone())
            .collect();
        if let Some(address) = address(&entry.view)
            && let Some(keys) = self.by_address.get_mut(&address)
        {
            keys.remove(key);
            if keys.is_empty() {
                self.by_address.remove(&address);
            }
        }
        Changed {
            look,
            gone: Some(entry.view),
        }
    }

    /// After a complete list of the namespaces for which `in_scope` holds: forgets what the list did not show.
    pub fn retain(
        &mut self,
        in_scope: impl Fn(&str) -> bool,
        shown: &HashSet<Key>,
    ) -> Vec<Changed> {
        let lost: Vec<Key> = self
            .entries
            .keys()
            .filter(|key| in_scope(&key.namespace) && !shown.contains(*key))
            .cloned()
            .collect();
        lost.iter().map(|key| self.remove(key)).collect()
    }

    /// The object and its standing among those that name the same task.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<(Arc<View>, Standing)> {
        let entry = self.entries.get(key)?;
        let standing = ownership::standing(
            (&entry.view, entry.claiming),
            entry.guard_seen,
            self.rivals(&entry.view),
        );
        Some((entry.view.clone(), standing))
    }

    /// Reserves the task for an object that is about to record its claim, so that no other is entitled meanwhile. False where the
    /// object may not claim it (any more).
    pub fn reserve(&mut self, key: &Key) -> bool {
        let is_entitled = self
            .get(key)
            .is_some_and(|(_, standing)| standing == Standing::Entitled);
        if let Some(entry) = self.entries.get_mut(key) {
            entry.claiming = is_entitled;
        }
        is_entitled
    }

    /// The claim is recorded, or is not to be: the others are judged by what is stored.
    pub fn settle(&mut self, key: &Key) -> Vec<Key> {
        let Some(entry) = self.entries.get_mut(key) else {
            return Vec::new();
        };
        if !std::mem::take(&mut entry.claiming) {
            return Vec::new();
        }
        let view = entry.view.clone();
        self.rivals(&view)
            .map(|(rival, _)| rival.key.clone())
            .collect()
    }

    /// The newest view, without judging it.
    #[must_use]
    pub fn view(&self, key: &Key) -> Option<&Arc<View>> {
        self.entries.get(key).map(|entry| &entry.view)
    }

    /// Every object's phase; one that was never told about is pending.
    pub fn phases(&self) -> impl Iterator<Item = Phase> {
        self.entries
            .values()
            .map(|entry| entry.view.status.phase.unwrap_or(Phase::Pending))
    }

    /// The others that name the same task, and whether each is about to record its claim.
    fn rivals<'a>(&'a self, view: &'a View) -> impl Iterator<Item = (&'a View, bool)> {
        address(view)
            .and_then(|address| self.by_address.get(&address))
            .into_iter()
            .flatten()
            .filter(move |key| **key != view.key)
            .filter_map(|key| {
                let entry = self.entries.get(key)?;
                Some((&*entry.view, entry.claiming))
            })
    }
}

fn address(view: &View) -> Option<Address> {
    view.ids
        .as_ref()
        .ok()
        .map(|ids| (ids.app.as_str().to_owned(), ids.task.as_str().to_owned()))
}
