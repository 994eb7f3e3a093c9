//! The objects as they are known now: what the watch delivered, overtaken by the answers to our own writes.

use super::{
    access::{Accounts, Concern, Site},
    gone::Gone,
    ownership::{self, Namesake, OutputRight, Rival, Standing},
    view::{Key, View},
};
use crate::api::Phase;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

/// What two objects can quarrel about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Good {
    /// A task: application and id. Whether two objects mean the same account is judged apart, since it need not be known.
    Task(String, String),
    /// An output, by its hash. Its address is the same in every account.
    Output(String),
}

#[derive(Debug)]
struct Entry {
    view: Arc<View>,
    /// The watch itself has shown our finalizer on this uid: every older object has been shown before.
    guard_seen: bool,
    /// Its claim is being written, on the task and on these outputs: for the others it holds them already.
    claiming: Option<Vec<String>>,
    /// The outputs that it would start with.
    wanted: Vec<String>,
    /// Until then a Stop of its task that this process sent may still take effect.
    stop_open: Option<Duration>,
}

/// All objects, and who names what.
#[derive(Debug, Default)]
pub struct Store {
    entries: HashMap<Key, Entry>,
    by_good: HashMap<Good, BTreeSet<Key>>,
    /// Objects with a relay, by application and credentials.
    relays: HashMap<Site, BTreeSet<Key>>,
    /// What was in use until a moment ago, and until when nobody else may use it.
    cooling: HashMap<Good, Duration>,
    /// What is known of accounts.
    accounts: Arc<Accounts>,
}

/// What a change means for the queue.
#[derive(Debug, Default)]
pub struct Changed {
    /// Objects to look at again: the one that changed, and those that name the same task or output.
    pub look: Vec<Key>,
    /// The object that is gone for good, if one is.
    pub gone: Option<Gone>,
}

/// How an object stands among the others.
#[derive(Clone, Debug)]
pub struct Place {
    /// The object.
    pub view: Arc<View>,
    /// Among those that name the same task.
    pub standing: Standing,
    /// The object that has an output which this one wants beyond its claim.
    pub output_taken: Option<Rival>,
    /// Until when its task id or an output of it cools down.
    pub cool_until: Duration,
}

impl Store {
    /// Takes an object from the watch.
    pub fn watched(&mut self, view: View) -> Changed {
        let same = self
            .entries
            .get(&view.key)
            .filter(|entry| entry.view.uid == view.uid);
        let guard_seen = view.is_guarded() || same.is_some_and(|entry| entry.guard_seen);
        // The API server answers the removal of the last finalizer with the version of before: by that version a late watch still shows it.
        let is_released = |known: &View| {
            known.version() == view.version() && !known.is_guarded() && view.is_guarded()
        };
        let newer = same
            .is_some_and(|entry| entry.view.version() > view.version() || is_released(&entry.view));
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
            && (old.view.uid != view.uid || task(&old.view) != task(&view))
        {
            let is_another = old.view.uid != view.uid;
            changed = self.remove(&key);
            if !is_another {
                changed.gone = None;
            }
        }
        let old = self.entries.remove(&key);
        if let Some(old) = &old {
            self.leave_site(&key, &old.view);
        }
        let rivalry_moved = old
            .as_ref()
            .is_none_or(|old| ownership::changes_rivals(&old.view, &view));
        let (claiming, wanted, stop_open) = match &old {
            Some(old) => (old.claiming.clone(), old.wanted.clone(), old.stop_open),
            None => (None, Vec::new(), None),
        };
        let entry = Entry {
            view: Arc::new(view),
            guard_seen,
            claiming,
            wanted,
            stop_open,
        };
        let before = old.as_ref().map(goods).unwrap_or_default();
        let after = goods(&entry);
        if rivalry_moved {
            let touched = before.iter().chain(&after);
            changed.look.extend(self.rivals(touched, &key));
        }
        self.index(&key, &before, &after);
        if let Some(site) = relay_site(&entry.view) {
            self.relays.entry(site).or_default().insert(key.clone());
        }
        self.entries.insert(key.clone(), entry);
        changed.look.push(key);
        changed
    }

    fn index(&mut self, key: &Key, before: &HashSet<Good>, after: &HashSet<Good>) {
        for good in before.difference(after) {
            if let Some(keys) = self.by_good.get_mut(good) {
                keys.remove(key);
                if keys.is_empty() {
                    self.by_good.remove(good);
                }
            }
        }
        for good in after.difference(before) {
            let keys = self.by_good.entry(good.clone()).or_default();
            keys.insert(key.clone());
        }
    }

    /// Forgets an object that is gone.
    pub fn remove(&mut self, key: &Key) -> Changed {
        let Some(entry) = self.entries.remove(key) else {
            return Changed::default();
        };
        let goods = goods(&entry);
        let look = self.rivals(&goods, key);
        self.index(key, &goods, &HashSet::new());
        self.leave_site(key, &entry.view);
        Changed {
            look,
            gone: Some(Gone {
                view: entry.view,
                stop_open: entry.stop_open,
            }),
        }
    }

    fn leave_site(&mut self, key: &Key, view: &View) {
        if let Some(site) = relay_site(view)
            && let Some(keys) = self.relays.get_mut(&site)
        {
            keys.remove(key);
            if keys.is_empty() {
                self.relays.remove(&site);
            }
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

    /// The object, and how it stands among the others.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Place> {
        let entry = self.entries.get(key)?;
        let task_rivals = task(&entry.view)
            .and_then(|task| self.by_good.get(&task))
            .into_iter()
            .flatten()
            .filter(|rival| *rival != key)
            .filter_map(|rival| {
                let rival = self.entries.get(rival)?;
                let concern = self.accounts.concerns(&rival.view, &entry.view);
                (concern != Concern::No).then_some(Namesake {
                    view: &rival.view,
                    claiming: rival.claiming.is_some(),
                    certain: concern == Concern::Certainly,
                })
            });
        let standing = ownership::standing(
            (&entry.view, entry.claiming.is_some()),
            entry.guard_seen,
            task_rivals,
        );
        Some(Place {
            view: entry.view.clone(),
            standing,
            output_taken: self.output_rival(key, entry),
            cool_until: self.cool_until(entry),
        })
    }

    /// The outputs that the object would start with.
    pub fn wants(&mut self, key: &Key, outputs: &[String]) -> Vec<Key> {
        let Some(entry) = self.entries.get_mut(key) else {
            return Vec::new();
        };
        if entry.wanted == outputs {
            return Vec::new();
        }
        let before = goods(entry);
        entry.wanted = outputs.to_vec();
        let after = goods(entry);
        let look = self.rivals(before.symmetric_difference(&after), key);
        self.index(key, &before, &after);
        look
    }

    fn output_rival(&self, key: &Key, entry: &Entry) -> Option<Rival> {
        let claimed = entry.view.claimed_outputs();
        let wanted = entry
            .wanted
            .iter()
            .filter(|output| !claimed.contains(output));
        let rivals = wanted.flat_map(|output| {
            let good = Good::Output(output.clone());
            let keys = self.by_good.get(&good).into_iter().flatten();
            keys.filter(|rival| *rival != key).filter_map(|rival| {
                let rival = self.entries.get(rival)?;
                if self.accounts.is_void(&rival.view) {
                    return None;
                }
                let is_claimed = rival.view.claimed_outputs().contains(output)
                    || rival
                        .claiming
                        .as_ref()
                        .is_some_and(|outputs| outputs.contains(output));
                let right = if is_claimed {
                    OutputRight::Claimed
                } else {
                    OutputRight::Wanted
                };
                Some((&*rival.view, right))
            })
        });
        ownership::output_rival(&entry.view, rivals)
    }

    /// Whoever claims them while they cool down waits all the same.
    fn cool_until(&self, entry: &Entry) -> Duration {
        let outputs = entry.wanted.iter().cloned().map(Good::Output);
        outputs
            .chain(task(&entry.view))
            .filter_map(|good| self.cooling.get(&good))
            .max()
            .copied()
            .unwrap_or_default()
    }

    /// Until then a Stop of this object's task may still take effect, also after the object: one that is on its way counts.
    pub fn stops(&mut self, view: &View, until: Option<Duration>) {
        if let Some(entry) = self.entries.get_mut(&view.key)
            && entry.view.uid == view.uid
        {
            entry.stop_open = until;
        }
    }

    /// These outputs, and the task of an object that is gone, cool down until then; what has cooled down by `now` is forgotten.
    pub fn cool(
        &mut self,
        gone: Option<&View>,
        outputs: &[String],
        now: Duration,
        until: Duration,
    ) {
        self.cooling.retain(|_, until| *until > now);
        let outputs = outputs.iter().map(|output| Good::Output(output.clone()));
        for good in outputs.chain(gone.and_then(task)) {
            self.cooling.insert(good, until);
        }
    }

    /// Reserves the task and these outputs for an object that is about to record its claim on them, so that no other is entitled meanwhile.
    /// False where the object may not claim them (any more).
    pub fn reserve(&mut self, key: &Key, outputs: &[String]) -> bool {
        let is_entitled = self.get(key).is_some_and(|place| {
            let has_task = match place.standing {
                Standing::Entitled | Standing::Holder => true,
                Standing::Unsure | Standing::Contested(_) | Standing::Disputed(_) => false,
            };
            let claimed = place.view.claimed_outputs();
            let adds = outputs.iter().any(|output| !claimed.contains(output));
            has_task && (!adds || place.output_taken.is_none())
        });
        if let Some(entry) = self.entries.get_mut(key) {
            let before = goods(entry);
            entry.claiming = is_entitled.then(|| outputs.to_vec());
            let after = goods(entry);
            self.index(key, &before, &after);
        }
        is_entitled
    }

    /// The claim is recorded, or is not to be: the others are judged by what is stored.
    pub fn settle(&mut self, key: &Key) -> Vec<Key> {
        let Some(entry) = self.entries.get_mut(key) else {
            return Vec::new();
        };
        let before = goods(entry);
        if entry.claiming.take().is_none() {
            return Vec::new();
        }
        let after = goods(entry);
        let look = self.rivals(&before, key);
        self.index(key, &before, &after);
        look
    }

    /// More is known of the accounts of these objects: they are judged by that from now on. Names them and those that quarrel with them.
    pub fn know(&mut self, accounts: Arc<Accounts>, objects: Vec<Key>) -> Vec<Key> {
        self.accounts = accounts;
        let entries = objects.iter().filter_map(|key| self.entries.get(key));
        let goods: HashSet<Good> = entries.flat_map(goods).collect();
        let named = goods.iter().filter_map(|good| self.by_good.get(good));
        let mut look: Vec<Key> = named.flatten().cloned().collect();
        look.extend(objects);
        look.sort();
        look.dedup();
        look
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

    /// Every object.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.entries.keys()
    }

    /// The objects with a relay in an application, of the same credentials.
    pub fn relays<'a>(&'a self, site: &Site) -> impl Iterator<Item = &'a Arc<View>> {
        self.relays
            .get(site)
            .into_iter()
            .flatten()
            .filter_map(|key| self.view(key))
    }

    /// The others that name one of these.
    fn rivals<'a>(&self, goods: impl IntoIterator<Item = &'a Good>, key: &Key) -> Vec<Key> {
        let mut rivals: Vec<Key> = goods
            .into_iter()
            .filter_map(|good| self.by_good.get(good))
            .flatten()
            .filter(|rival| *rival != key)
            .cloned()
            .collect();
        rivals.sort();
        rivals.dedup();
        rivals
    }
}

fn task(view: &View) -> Option<Good> {
    let ids = view.ids.as_ref().ok()?;
    Some(Good::Task(
        ids.app.as_str().to_owned(),
        ids.task.as_str().to_owned(),
    ))
}

/// Everything that an entry names.
fn goods(entry: &Entry) -> HashSet<Good> {
    let claimed = entry.view.claimed_outputs().iter();
    let claiming = entry.claiming.iter().flatten();
    claimed
        .chain(claiming)
        .chain(&entry.wanted)
        .map(|output| Good::Output(output.clone()))
        .chain(task(&entry.view))
        .collect()
}

fn relay_site(view: &View) -> Option<Site> {
    view.has_relay.then(|| Site::of(view)).flatten()
}
