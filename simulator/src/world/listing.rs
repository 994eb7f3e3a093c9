//! What the list shows: its own view of the tasks, behind the truth by a lag, in the order of update time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use crate::clock::Millis;

/// Newest first: update time, then the order of changes.
type Place = Reverse<(Millis, u64)>;

#[derive(Debug)]
struct Entry {
    place: Place,
    running: bool,
    detail: Arc<Value>,
}

/// The entries of one application.
#[derive(Debug, Default)]
struct AppView {
    entries: HashMap<String, Entry>,
    running: BTreeMap<Place, String>,
    all: BTreeMap<Place, String>,
}

#[derive(Debug)]
enum Change {
    Put {
        app: String,
        task: String,
        detail: Arc<Value>,
    },
    Stopped {
        app: String,
        task: String,
    },
}

/// The view, and the changes that it has not seen yet.
#[derive(Debug, Default)]
pub struct Listing {
    apps: HashMap<String, AppView>,
    pending: VecDeque<(Millis, Change)>,
    changes: u64,
}

impl Listing {
    /// A task was started or updated.
    pub fn put(&mut self, at: Millis, app: &str, task: &str, detail: Arc<Value>) {
        self.pending.push_back((
            at,
            Change::Put {
                app: app.to_owned(),
                task: task.to_owned(),
                detail,
            },
        ));
    }

    /// A task was stopped.
    pub fn stopped(&mut self, at: Millis, app: &str, task: &str) {
        self.pending.push_back((
            at,
            Change::Stopped {
                app: app.to_owned(),
                task: task.to_owned(),
            },
        ));
    }

    /// Lets the view see what is at least `lag` old.
    pub fn settle(&mut self, now: Millis, lag: Millis) {
        while self
            .pending
            .front()
            .is_some_and(|(at, _)| at.saturating_add(lag) <= now)
        {
            if let Some((at, change)) = self.pending.pop_front() {
                self.see(at, change);
            }
        }
    }

    /// One task.
    pub fn one(&self, app: &str, task: &str, with_stopped: bool) -> Option<Arc<Value>> {
        let entry = self.apps.get(app)?.entries.get(task)?;
        (entry.running || with_stopped).then(|| Arc::clone(&entry.detail))
    }

    /// One page, newest first; pages count from 1.
    pub fn page(&self, app: &str, page: usize, size: usize, with_stopped: bool) -> Vec<Arc<Value>> {
        let Some(view) = self.apps.get(app) else {
            return Vec::new();
        };
        let order = if with_stopped {
            &view.all
        } else {
            &view.running
        };
        order
            .values()
            .skip(page.saturating_sub(1).saturating_mul(size))
            .take(size)
            .filter_map(|task| {
                view.entries
                    .get(task)
                    .map(|entry| Arc::clone(&entry.detail))
            })
            .collect()
    }

    fn see(&mut self, at: Millis, change: Change) {
        match change {
            Change::Put { app, task, detail } => {
                self.changes += 1;
                let place = Reverse((at, self.changes));
                let view = self.apps.entry(app).or_default();
                let entry = Entry {
                    place,
                    running: true,
                    detail,
                };
                if let Some(old) = view.entries.insert(task.clone(), entry) {
                    view.running.remove(&old.place);
                    view.all.remove(&old.place);
                }
                view.running.insert(place, task.clone());
                view.all.insert(place, task);
            }
            Change::Stopped { app, task } => {
                let Some(view) = self.apps.get_mut(&app) else {
                    return;
                };
                if let Some(entry) = view.entries.get_mut(&task) {
                    entry.running = false;
                    view.running.remove(&entry.place);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(listing: &Listing, page: usize, size: usize, with_stopped: bool) -> Vec<Value> {
        listing
            .page("app", page, size, with_stopped)
            .iter()
            .map(|detail| (**detail).clone())
            .collect()
    }

    #[test]
    fn newest_first_in_pages() {
        let mut listing = Listing::default();
        for n in 0..5 {
            listing.put(n, "app", &format!("t{n}"), Arc::new(json!(n)));
        }
        listing.put(9, "app", "t0", Arc::new(json!("again")));
        listing.stopped(10, "app", "t3");
        listing.settle(10, 0);
        assert_eq!(shown(&listing, 1, 2, false), [json!("again"), json!(4)]);
        assert_eq!(shown(&listing, 2, 2, false), [json!(2), json!(1)]);
        assert_eq!(shown(&listing, 3, 2, false), Vec::<Value>::new());
        assert_eq!(
            shown(&listing, 1, 9, true),
            [json!("again"), json!(4), json!(3), json!(2), json!(1)]
        );
    }

    #[test]
    fn it_lags() {
        let mut listing = Listing::default();
        listing.put(100, "app", "t", Arc::new(json!(1)));
        listing.settle(109, 10);
        assert!(listing.one("app", "t", false).is_none());
        listing.settle(110, 10);
        assert!(listing.one("app", "t", false).is_some());
        listing.stopped(120, "app", "t");
        listing.settle(129, 10);
        assert!(listing.one("app", "t", false).is_some());
        listing.settle(130, 10);
        assert!(listing.one("app", "t", false).is_none());
        assert!(listing.one("app", "t", true).is_some());
    }
}
