//! A waiting line in which nobody can crowd out the others.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Which calls go first. The order of the variants is the order of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// What a deletion waits for, and every Stop.
    Delete,
    /// What a new relay waits for.
    Create,
    /// Changes of running relays.
    Update,
    /// Bulk reads.
    Sweep,
}

impl Lane {
    const ALL: [Self; 4] = [Self::Delete, Self::Create, Self::Update, Self::Sweep];
}

/// A waiting line: lanes by precedence; within a lane namespaces take turns; within a namespace first come, first served. A key stands in it
/// once. Every operation costs the logarithm of what waits.
#[derive(Debug)]
pub struct Turns<K> {
    lanes: [Rounds<K>; Lane::ALL.len()],
    places: HashMap<K, Place>,
    /// Numbers the arrivals and the turns; never repeats.
    counter: u64,
}

#[derive(Debug)]
struct Place {
    lane: Lane,
    namespace: String,
    arrival: u64,
}

/// The namespaces of one lane, by whose turn it is.
#[derive(Debug)]
struct Rounds<K> {
    order: BTreeMap<u64, String>,
    namespaces: HashMap<String, Waiting<K>>,
}

#[derive(Debug)]
struct Waiting<K> {
    turn: u64,
    keys: BTreeMap<u64, K>,
}

impl<K> Default for Turns<K> {
    fn default() -> Self {
        let rounds = || Rounds {
            order: BTreeMap::new(),
            namespaces: HashMap::new(),
        };
        Self {
            lanes: [rounds(), rounds(), rounds(), rounds()],
            places: HashMap::new(),
            counter: 0,
        }
    }
}

impl<K: Clone + Eq + Hash> Turns<K> {
    /// An empty line.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `key` at its namespace's end, and tells whether it is new in the line. One that stands in the line keeps its place, unless `lane` goes
    /// before its own: then it moves there.
    pub fn push(&mut self, lane: Lane, namespace: &str, key: K) -> bool {
        let known = match self.places.get(&key) {
            Some(place) if place.lane <= lane => return false,
            Some(_) => self.remove(&key),
            None => false,
        };
        let arrival = self.number();
        let turn = self.number();
        let Rounds { order, namespaces } = &mut self.lanes[lane as usize];
        let waiting = namespaces.entry(namespace.to_owned()).or_insert_with(|| {
            order.insert(turn, namespace.to_owned());
            Waiting {
                turn,
                keys: BTreeMap::new(),
            }
        });
        waiting.keys.insert(arrival, key.clone());
        self.places.insert(
            key,
            Place {
                lane,
                namespace: namespace.to_owned(),
                arrival,
            },
        );
        !known
    }

    /// Takes out whose turn it is.
    pub fn pop(&mut self) -> Option<(Lane, String, K)> {
        let next_turn = self.number();
        for lane in Lane::ALL {
            let Rounds { order, namespaces } = &mut self.lanes[lane as usize];
            let Some((_, namespace)) = order.pop_first() else {
                continue;
            };
            let Some(waiting) = namespaces.get_mut(&namespace) else {
                continue;
            };
            let Some((_, key)) = waiting.keys.pop_first() else {
                continue;
            };
            if waiting.keys.is_empty() {
                namespaces.remove(&namespace);
            } else {
                waiting.turn = next_turn;
                order.insert(next_turn, namespace.clone());
            }
            self.places.remove(&key);
            return Some((lane, namespace, key));
        }
        None
    }

    /// Takes `key` out, wherever it stands, and tells whether it stood there.
    pub fn remove(&mut self, key: &K) -> bool {
        let Some(Place {
            lane,
            namespace,
            arrival,
        }) = self.places.remove(key)
        else {
            return false;
        };
        let Rounds { order, namespaces } = &mut self.lanes[lane as usize];
        if let Some(waiting) = namespaces.get_mut(&namespace) {
            waiting.keys.remove(&arrival);
            if waiting.keys.is_empty() {
                order.remove(&waiting.turn);
                namespaces.remove(&namespace);
            }
        }
        true
    }

    /// Whether `key` waits.
    #[must_use]
    pub fn contains(&self, key: &K) -> bool {
        self.places.contains_key(key)
    }

    /// How many keys wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    fn number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }
}

#[cfg(test)]
#[path = "turns_tests.rs"]
mod tests;
