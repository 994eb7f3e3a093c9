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
/// Of these, at most for whose turn at the service has come, while others wait: these may be deletions that have only their release left, and a
/// slow service must not hold them up.
const IN_FLIGHT_GRANTED: usize = 72;

/// Why an object is looked at. Earlier ones go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// Its turn at the service has come: a permit is kept for it, which nobody else can use meanwhile.
    Granted,
    Deletion,
    Other,
}

impl Class {
    fn of(lane: Lane) -> Self {
        match lane {
            Lane::Delete => Self::Deletion,
            Lane::Create | Lane::Update | Lane::Sweep => Self::Other,
        }
    }
}

#[derive(Debug)]
struct Running {
    class: Class,
    /// Something happened meanwhile: look again at once.
    again: Option<Class>,
}

/// The objects that wait to be looked at.
#[derive(Debug, Default)]
pub struct Queue {
    granted: Line,
    deletions: Line,
    others: Line,
    due: BTreeSet<(Instant, Key)>,
    due_of: HashMap<Key, Instant>,
    running: HashMap<Key, Running>,
}

/// Who waits for one reason, and how many of them run.
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
        self.put(key, Class::of(lane));
    }

    /// Its turn at the service has come: look at it before all others.
    pub fn grant(&mut self, key: Key) {
        self.put(key, Class::Granted);
    }

    fn put(&mut self, key: Key, class: Class) {
        if let Some(running) = self.running.get_mut(&key) {
            running.again = Some(running.again.map_or(class, |before| before.min(class)));
            return;
        }
        self.clear_due(&key);
        if self.granted.waiting.contains(&key) {
            return;
        }
        for other in [Class::Deletion, Class::Other] {
            if other != class {
                self.line(other).waiting.remove(&key);
            }
        }
        let namespace = key.namespace.clone();
        // Each line has one lane.
        self.line(class).waiting.push(Lane::Delete, &namespace, key);
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
        let (class, key) = self
            .pop_first()
            .or_else(|| Some((Class::Other, self.others.pop(IN_FLIGHT_OTHER)?)))?;
        self.running
            .insert(key.clone(), Running { class, again: None });
        Some(key)
    }

    /// Of those that go first.
    fn pop_first(&mut self) -> Option<(Class, Key)> {
        let room = IN_FLIGHT_DELETE.saturating_sub(self.granted.running + self.deletions.running);
        if room == 0 {
            return None;
        }
        let granted = |queue: &mut Self, most| Some((Class::Granted, queue.granted.pop(most)?));
        granted(self, IN_FLIGHT_GRANTED)
            .or_else(|| Some((Class::Deletion, self.deletions.pop(IN_FLIGHT_DELETE)?)))
            .or_else(|| granted(self, IN_FLIGHT_DELETE))
    }

    fn line(&mut self, class: Class) -> &mut Line {
        match class {
            Class::Granted => &mut self.granted,
            Class::Deletion => &mut self.deletions,
            Class::Other => &mut self.others,
        }
    }

    /// The reconcile of the object is over. `next`: when to look again if nothing happens.
    pub fn finished(&mut self, key: &Key, next: Option<Instant>) {
        let Some(running) = self.running.remove(key) else {
            return;
        };
        self.line(running.class).running -= 1;
        match (running.again, next) {
            (Some(class), _) => self.put(key.clone(), class),
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
        let lines = [&self.granted, &self.deletions, &self.others];
        let waiting = lines.iter().map(|line| line.waiting.len()).sum();
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
    fn whose_turn_has_come_goes_first_and_leaves_room_for_releases() {
        let mut queue = Queue::default();
        for number in 0..200 {
            queue.push(key("a", &format!("release-{number}")), Lane::Delete);
            queue.push(key("a", &format!("stop-{number}")), Lane::Delete);
            queue.grant(key("a", &format!("stop-{number}")));
        }
        let first = drain(&mut queue);
        let (stops, releases) = first.split_at(IN_FLIGHT_GRANTED);
        assert!(stops.iter().all(|name| name.starts_with("a/stop")));
        assert!(releases.iter().all(|name| name.starts_with("a/release")));
        assert_eq!(first.len(), IN_FLIGHT_DELETE);
        queue.finished(&key("a", "release-0"), None);
        assert_eq!(queue.pop(), Some(key("a", "release-32")));
        queue.finished(&key("a", "stop-0"), None);
        assert_eq!(queue.pop(), Some(key("a", "stop-72")));
        // It is the first again although something else happened to it, also while it ran.
        queue.push(key("a", "stop-73"), Lane::Create);
        queue.grant(key("a", "stop-1"));
        queue.push(key("a", "stop-1"), Lane::Create);
        queue.finished(&key("a", "stop-1"), None);
        assert_eq!(queue.pop(), Some(key("a", "stop-73")));

        let mut queue = Queue::default();
        for number in 0..200 {
            queue.grant(key("a", &number.to_string()));
        }
        assert_eq!(
            drain(&mut queue).len(),
            IN_FLIGHT_DELETE,
            "nobody else waits"
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
