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
/// Of these, at most for anything but deletions.
const IN_FLIGHT_OTHER: usize = 40;
/// Of these, at most for deletions: a service that swallows calls must not keep new objects from their finalizer.
const IN_FLIGHT_DELETE: usize = IN_FLIGHT - 8;

#[derive(Debug)]
struct Running {
    lane: Lane,
    /// Something happened meanwhile: look again at once.
    again: Option<Lane>,
}

/// The objects that wait to be looked at.
#[derive(Debug, Default)]
pub struct Queue {
    deletions: Line,
    others: Line,
    due: BTreeSet<(Instant, Key)>,
    due_of: HashMap<Key, Instant>,
    running: HashMap<Key, Running>,
}

/// One lane: who waits in it, and how many of it run.
#[derive(Debug, Default)]
struct Line {
    waiting: Turns<Key>,
    running: usize,
}

impl Line {
    fn pop(&mut self, most: usize) -> Option<Key> {
        if self.running >= most {
            return None;
        }
        let (_, _, key) = self.waiting.pop()?;
        self.running += 1;
        Some(key)
    }
}

impl Queue {
    /// Something happened to the object: look at it as soon as there is room.
    pub fn push(&mut self, key: Key, lane: Lane) {
        if let Some(running) = self.running.get_mut(&key) {
            running.again = Some(running.again.map_or(lane, |before| before.min(lane)));
            return;
        }
        self.clear_due(&key);
        match lane {
            Lane::Delete => self.others.waiting.remove(&key),
            Lane::Create | Lane::Update | Lane::Sweep => self.deletions.waiting.remove(&key),
        };
        let namespace = key.namespace.clone();
        self.line(lane).waiting.push(lane, &namespace, key);
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
        let (lane, key) = match self.deletions.pop(IN_FLIGHT_DELETE) {
            Some(key) => (Lane::Delete, key),
            None => (Lane::Create, self.others.pop(IN_FLIGHT_OTHER)?),
        };
        self.running
            .insert(key.clone(), Running { lane, again: None });
        Some(key)
    }

    fn line(&mut self, lane: Lane) -> &mut Line {
        match lane {
            Lane::Delete => &mut self.deletions,
            Lane::Create | Lane::Update | Lane::Sweep => &mut self.others,
        }
    }

    /// The reconcile of the object is over. `next`: when to look again if nothing happens.
    pub fn finished(&mut self, key: &Key, next: Option<Instant>) {
        let Some(running) = self.running.remove(key) else {
            return;
        };
        self.line(running.lane).running -= 1;
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
        let waiting = self.deletions.waiting.len() + self.others.waiting.len();
        (waiting, self.running.len())
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
            queue.push(key("crowd", name), Lane::Create);
        }
        queue.push(key("quiet", "1"), Lane::Create);
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
        queue.push(object.clone(), Lane::Create);
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
        queue.push(object.clone(), Lane::Create);
        assert_eq!(queue.next_due(), None);
        assert_eq!(queue.pop(), Some(object.clone()));
        queue.finished(&object, Some(now + Duration::from_secs(5)));
        queue.wake(now + Duration::from_secs(4), |_| Lane::Create);
        assert_eq!(queue.pop(), None, "not due yet");
        queue.wake(now + Duration::from_secs(5), |_| Lane::Create);
        assert_eq!(queue.pop(), Some(object));
    }

    #[test]
    fn neither_crowd_keeps_the_other_from_running() {
        let mut queue = Queue::default();
        for number in 0..300 {
            queue.push(key("crowd", &number.to_string()), Lane::Create);
        }
        assert_eq!(drain(&mut queue).len(), IN_FLIGHT_OTHER);
        for number in 0..300 {
            queue.push(key("gone", &number.to_string()), Lane::Delete);
        }
        assert_eq!(drain(&mut queue).len(), IN_FLIGHT - IN_FLIGHT_OTHER);
        queue.finished(&key("crowd", "0"), None);
        assert_eq!(queue.pop(), Some(key("gone", "72")));

        let mut queue = Queue::default();
        for number in 0..300 {
            queue.push(key("gone", &number.to_string()), Lane::Delete);
        }
        assert_eq!(drain(&mut queue).len(), IN_FLIGHT_DELETE);
        queue.push(key("new", "1"), Lane::Create);
        assert_eq!(
            queue.pop(),
            Some(key("new", "1")),
            "it gets its finalizer all the same"
        );
    }

    #[test]
    fn one_that_waits_can_become_a_deletion() {
        let mut queue = Queue::default();
        queue.push(key("a", "first"), Lane::Create);
        queue.push(key("a", "second"), Lane::Create);
        queue.push(key("a", "second"), Lane::Delete);
        assert_eq!(drain(&mut queue), ["a/second", "a/first"]);
    }
}
