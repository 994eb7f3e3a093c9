//! Which object is looked at next: deletions first, namespaces in turn, one reconcile per object at a time, a bounded number in all.

use super::view::Key;
use crate::live::{Lane, Turns};
use std::{
    collections::{BTreeSet, HashMap},
    time::Instant,
};

/// Reconciles at a time. Each uses one connection at a time, to the service or to the API server, so that both pools together stay below
/// the 256 descriptors of a modest limit; at 200 ms a call this still reaches the quota of 500 Stops a second.
const IN_FLIGHT: usize = 112;
/// Of these, for anything but deletions.
const IN_FLIGHT_OTHER: usize = 40;

#[derive(Debug)]
struct Running {
    lane: Lane,
    /// Something happened meanwhile: look again at once.
    again: Option<Lane>,
}

/// The objects that wait to be looked at.
#[derive(Debug, Default)]
pub struct Queue {
    ready: Turns<Key>,
    /// Taken out of `ready` while there was no room for its lane.
    held: Option<Key>,
    due: BTreeSet<(Instant, Key)>,
    due_of: HashMap<Key, Instant>,
    running: HashMap<Key, Running>,
    others: usize,
}

impl Queue {
    /// Something happened to the object: look at it as soon as there is room.
    pub fn push(&mut self, key: Key, lane: Lane) {
        if let Some(running) = self.running.get_mut(&key) {
            running.again = Some(running.again.map_or(lane, |before| before.min(lane)));
        } else if self.held.as_ref() != Some(&key) || lane == Lane::Delete {
            if self.held.as_ref() == Some(&key) {
                self.held = None;
            }
            self.clear_due(&key);
            self.ready.push(lane, &key.namespace.clone(), key);
        }
    }

    /// Look at the object at this moment, unless something happens to it before.
    pub fn push_at(&mut self, key: Key, at: Instant) {
        self.clear_due(&key);
        self.due_of.insert(key.clone(), at);
        self.due.insert((at, key));
    }

    /// Takes out the next object, if there is room for it. It counts as running until [`Queue::finished`].
    pub fn pop(&mut self) -> Option<Key> {
        if self.running.len() >= IN_FLIGHT {
            return None;
        }
        let has_room_for_others = self.others < IN_FLIGHT_OTHER;
        let (lane, key) = match self.ready.pop() {
            Some((Lane::Delete, _, key)) => (Lane::Delete, key),
            Some((Lane::Other, _, key)) => match self.held.take() {
                // The held one came first; there is only ever one.
                Some(first) => {
                    self.ready.push(Lane::Other, &key.namespace.clone(), key);
                    (Lane::Other, first)
                }
                None => (Lane::Other, key),
            },
            None => (Lane::Other, self.held.take()?),
        };
        if lane == Lane::Other && !has_room_for_others {
            self.held = Some(key);
            return None;
        }
        if lane == Lane::Other {
            self.others += 1;
        }
        self.running
            .insert(key.clone(), Running { lane, again: None });
        Some(key)
    }

    /// The reconcile of the object is over. `next`: when to look again if nothing happens.
    pub fn finished(&mut self, key: &Key, next: Option<Instant>) {
        let Some(running) = self.running.remove(key) else {
            return;
        };
        if running.lane == Lane::Other {
            self.others -= 1;
        }
        match (running.again, next) {
            (Some(lane), _) => self.push(key.clone(), lane),
            (None, Some(at)) => self.push_at(key.clone(), at),
            (None, None) => {}
        }
    }

    /// Moves what is due by now to the waiting line; `lane` tells each one's lane.
    pub fn wake(&mut self, now: Instant, lane: impl Fn(&Key) -> Lane) {
        while let Some((at, _)) = self.due.first()
            && *at <= now
            && let Some((_, key)) = self.due.pop_first()
        {
            self.due_of.remove(&key);
            let lane = lane(&key);
            self.push(key, lane);
        }
    }

    /// When the next object is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// How many objects wait for room, and how many run.
    #[must_use]
    pub fn depth(&self) -> (usize, usize) {
        (
            self.ready.len() + usize::from(self.held.is_some()),
            self.running.len(),
        )
    }

    /// Forgets when an object is due that is gone.
    pub fn forget(&mut self, key: &Key) {
        self.clear_due(key);
    }

    fn clear_due(&mut self, key: &Key) {
        if let Some(at) = self.due_of.remove(key) {
            self.due.remove(&(at, key.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn key(namespace: &str, name: &str) -> Key {
        Key {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    fn drain(queue: &mut Queue) -> Vec<String> {
        std::iter::from_fn(|| queue.pop())
            .map(|key| key.to_string())
            .collect()
    }

    #[test]
    fn deletions_go_first_and_namespaces_take_turns() {
        let mut queue = Queue::default();
        for name in ["1", "2", "3"] {
            queue.push(key("crowd", name), Lane::Other);
        }
        queue.push(key("quiet", "1"), Lane::Other);
        queue.push(key("late", "deleted"), Lane::Delete);
        assert_eq!(
            drain(&mut queue),
            ["late/deleted", "crowd/1", "quiet/1", "crowd/2", "crowd/3"]
        );
    }

    #[test]
    fn what_happens_during_a_reconcile_is_looked_at_right_after_it() {
        let mut queue = Queue::default();
        let object = key("a", "x");
        queue.push(object.clone(), Lane::Other);
        assert_eq!(queue.pop(), Some(object.clone()));
        queue.push(object.clone(), Lane::Delete);
        assert_eq!(queue.pop(), None, "one reconcile per object at a time");
        queue.finished(&object, Some(Instant::now() + Duration::from_hours(1)));
        assert_eq!(queue.pop(), Some(object));
    }

    #[test]
    fn an_event_does_not_leave_a_second_turn_behind() {
        let mut queue = Queue::default();
        let (object, now) = (key("a", "x"), Instant::now());
        queue.push_at(object.clone(), now + Duration::from_secs(5));
        assert_eq!(queue.next_due(), Some(now + Duration::from_secs(5)));
        queue.push(object.clone(), Lane::Other);
        assert_eq!(queue.next_due(), None);
        assert_eq!(queue.pop(), Some(object.clone()));
        queue.finished(&object, Some(now + Duration::from_secs(5)));
        queue.wake(now + Duration::from_secs(4), |_| Lane::Other);
        assert_eq!(queue.pop(), None, "not due yet");
        queue.wake(now + Duration::from_secs(5), |_| Lane::Other);
        assert_eq!(queue.pop(), Some(object));
    }

    #[test]
    fn a_crowd_of_others_leaves_room_for_deletions() {
        let mut queue = Queue::default();
        for number in 0..300 {
            queue.push(key("crowd", &number.to_string()), Lane::Other);
        }
        assert_eq!(drain(&mut queue).len(), IN_FLIGHT_OTHER);
        for number in 0..300 {
            queue.push(key("gone", &number.to_string()), Lane::Delete);
        }
        assert_eq!(drain(&mut queue).len(), IN_FLIGHT - IN_FLIGHT_OTHER);
        queue.finished(&key("crowd", "0"), None);
        assert_eq!(queue.pop(), Some(key("gone", "72")));
    }

    #[test]
    fn the_one_that_was_held_back_keeps_its_place_and_can_become_a_deletion() {
        let mut queue = Queue::default();
        for number in 0..=IN_FLIGHT_OTHER {
            queue.push(key("a", &number.to_string()), Lane::Other);
        }
        assert_eq!(drain(&mut queue).len(), IN_FLIGHT_OTHER);
        let held = key("a", &IN_FLIGHT_OTHER.to_string());
        queue.push(held.clone(), Lane::Delete);
        assert_eq!(queue.pop(), Some(held));
        assert_eq!(queue.pop(), None);
    }
}
