//! Faults to order: by action, application and task, with counts.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::actions::Action;

/// Whether the effect has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum When {
    /// No effect.
    #[default]
    Before,
    /// The effect has happened.
    After,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Fault {
    /// This answer.
    Error {
        /// Effect or not.
        #[serde(default)]
        when: When,
        /// HTTP status.
        #[serde(default = "internal_status")]
        status: u16,
        /// The code of the usual JSON.
        #[serde(default = "internal_code")]
        code: String,
        /// The message of the usual JSON; the code where it is not given.
        #[serde(default)]
        message: Option<String>,
        /// Further headers.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// Instead of the usual content type.
        #[serde(default)]
        content_type: Option<String>,
        /// Instead of the usual JSON.
        #[serde(default)]
        body: Option<String>,
    },
    /// A reply cut in the middle.
    Torn {
        /// Effect or not.
        #[serde(default)]
        when: When,
    },
    /// The usual answer, late.
    Slow {
        /// Whether the wait lies before or after the effect.
        #[serde(default)]
        when: When,
        /// How long.
        millis: u64,
    },
    /// The connection is reset.
    Reset {
        /// Effect or not.
        #[serde(default)]
        when: When,
    },
    /// The connection is closed.
    Close {
        /// Effect or not.
        #[serde(default)]
        when: When,
    },
    /// No answer until the client leaves.
    Drop {
        /// Effect or not.
        #[serde(default)]
        when: When,
    },
    /// No answer; the effect comes after the client left.
    LateEffect {
        /// How long after.
        millis: u64,
    },
    /// A Stop's 200 at once, its effect later.
    LateStop {
        /// How many simulated seconds later.
        seconds: u32,
    },
    /// 200 without a body.
    EmptyReply {
        /// Effect or not.
        #[serde(default)]
        when: When,
    },
    /// 200 with an HTML page.
    ForeignReply {
        /// Effect or not.
        #[serde(default)]
        when: When,
    },
    /// 200 with JSON that is not the service's.
    WrongJson {
        /// Effect or not.
        #[serde(default)]
        when: When,
    },
}

fn internal_status() -> u16 {
    500
}

fn internal_code() -> String {
    "InternalError".to_owned()
}

/// An order.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct Order {
    aim: Aim,
    fault: Fault,
}

/// Which calls an order is for, and how many.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Aim {
    /// None: every one.
    action: Option<Action>,
    /// None: every one.
    app_id: Option<String>,
    /// None: every one.
    task_id: Option<String>,
    /// None: until removed.
    times: Option<u64>,
}

impl TryFrom<Map<String, Value>> for Order {
    type Error = serde_json::Error;

    /// The members of the aim are told from those of the fault by name, so that a misspelt one is an error.
    fn try_from(mut members: Map<String, Value>) -> Result<Self, Self::Error> {
        let mut aim = Map::new();
        for name in ["action", "appId", "taskId", "times"] {
            if let Some((name, value)) = members.remove_entry(name) {
                aim.insert(name, value);
            }
        }
        Ok(Self {
            aim: serde_json::from_value(Value::Object(aim))?,
            fault: serde_json::from_value(Value::Object(members))?,
        })
    }
}

/// An order, and how far it has been served.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ordered {
    id: u64,
    #[serde(flatten)]
    aim: Aim,
    left: Option<u64>,
    fired: u64,
    #[serde(flatten)]
    fault: Fault,
}

impl Ordered {
    fn fits(&self, action: Action, app: Option<&str>) -> bool {
        self.aim.action.is_none_or(|wanted| wanted == action)
            && self
                .aim
                .app_id
                .as_deref()
                .is_none_or(|wanted| Some(wanted) == app)
    }
}

/// All orders. Those with something left are found by task id, so that thousands of orders cost a call nothing.
#[derive(Debug, Default)]
pub struct Faults {
    orders: BTreeMap<u64, Ordered>,
    open: HashMap<Option<String>, BTreeSet<u64>>,
    next: u64,
}

impl Faults {
    /// Takes an order.
    pub fn order(&mut self, order: Order) -> Ordered {
        let Order { aim, fault } = order;
        self.next += 1;
        let ordered = Ordered {
            id: self.next,
            left: aim.times,
            aim,
            fired: 0,
            fault,
        };
        if ordered.left != Some(0) {
            self.open
                .entry(ordered.aim.task_id.clone())
                .or_default()
                .insert(ordered.id);
        }
        self.orders.insert(ordered.id, ordered.clone());
        ordered
    }

    /// The first order that fits a call; it is served by this.
    pub fn take(
        &mut self,
        action: Action,
        app: Option<&str>,
        task: Option<&str>,
    ) -> Option<(u64, Fault)> {
        let of = |bucket: Option<String>| {
            let ids = self.open.get(&bucket)?;
            ids.iter().copied().find(|id| {
                self.orders
                    .get(id)
                    .is_some_and(|order| order.fits(action, app))
            })
        };
        let general = of(None);
        let special = task.and_then(|task| of(Some(task.to_owned())));
        let id = general.into_iter().chain(special).min()?;
        let order = self.orders.get_mut(&id)?;
        order.fired += 1;
        if let Some(left) = &mut order.left {
            *left = left.saturating_sub(1);
        }
        let (fault, bucket, spent) = (
            order.fault.clone(),
            order.aim.task_id.clone(),
            order.left == Some(0),
        );
        if spent {
            self.close(bucket, id);
        }
        Some((id, fault))
    }

    /// All orders.
    pub fn all(&self) -> impl Iterator<Item = &Ordered> {
        self.orders.values()
    }

    /// One order.
    pub fn get(&self, id: u64) -> Option<&Ordered> {
        self.orders.get(&id)
    }

    /// Removes an order. False where there is none.
    pub fn remove(&mut self, id: u64) -> bool {
        let Some(order) = self.orders.remove(&id) else {
            return false;
        };
        self.close(order.aim.task_id, id);
        true
    }

    /// Removes all orders.
    pub fn clear(&mut self) {
        self.orders.clear();
        self.open.clear();
    }

    fn close(&mut self, bucket: Option<String>, id: u64) {
        if let Entry::Occupied(mut ids) = self.open.entry(bucket) {
            ids.get_mut().remove(&id);
            if ids.get().is_empty() {
                ids.remove();
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;

    fn order(faults: &mut Faults, json: &str) -> u64 {
        faults.order(serde_json::from_str(json).unwrap()).id
    }

    #[test]
    fn first_ordered_first_served_with_counts() {
        let mut faults = Faults::default();
        let a = order(
            &mut faults,
            r#"{"action": "StopLiveMPUTask", "taskId": "t", "times": 2, "kind": "reset"}"#,
        );
        let b = order(
            &mut faults,
            r#"{"kind": "slow", "millis": 5, "appId": "app", "times": 1}"#,
        );
        let c = order(&mut faults, r#"{"kind": "drop", "when": "after"}"#);
        let mut take = |action, app, task| faults.take(action, Some(app), task).map(|(id, _)| id);
        assert_eq!(take(Action::Stop, "other", Some("u")), Some(c));
        assert_eq!(take(Action::Stop, "app", Some("t")), Some(a));
        assert_eq!(take(Action::List, "app", Some("t")), Some(b));
        assert_eq!(take(Action::Stop, "app", Some("t")), Some(a));
        assert_eq!(take(Action::Stop, "app", Some("t")), Some(c));
        assert_eq!(faults.get(a).unwrap().left, Some(0));
        assert_eq!(faults.get(c).unwrap().fired, 2);
        assert!(faults.remove(c) && !faults.remove(c));
        assert!(faults.take(Action::Stop, Some("app"), Some("t")).is_none());
        assert!(faults.open.is_empty());
    }

    #[test]
    fn every_kind_of_the_page_can_be_ordered() {
        for json in [
            r#"{"kind": "error", "status": 503, "headers": {"x-acs-retry-after": "700"}, "body": "<", "contentType": "text/html"}"#,
            r#"{"kind": "torn", "when": "after"}"#,
            r#"{"kind": "slow", "millis": 1}"#,
            r#"{"kind": "reset"}"#,
            r#"{"kind": "close"}"#,
            r#"{"kind": "drop"}"#,
            r#"{"kind": "lateEffect", "millis": 1}"#,
            r#"{"kind": "lateStop", "seconds": 1}"#,
            r#"{"kind": "emptyReply"}"#,
            r#"{"kind": "foreignReply"}"#,
            r#"{"kind": "wrongJson"}"#,
        ] {
            assert!(serde_json::from_str::<Order>(json).is_ok(), "{json}");
        }
        for json in [
            r#"{"kind": "late"}"#,
            r#"{"kind": "reset", "task": "t"}"#,
            r#"{"action": "Stop", "kind": "reset"}"#,
        ] {
            assert!(serde_json::from_str::<Order>(json).is_err(), "{json}");
        }
    }
}
