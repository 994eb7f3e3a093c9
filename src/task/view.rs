//! What the operator keeps of an object: read once from the watch, leniently, so that an object that is stored in an
//! unreadable shape can still be told about and deleted.

use crate::{
    api::{self, Claim, DeletionPolicy, MixedStreamTaskSpec, MixedStreamTaskStatus},
    live::{AppId, TaskId},
};
use jiff::Timestamp;
use kube::core::DynamicObject;
use serde::Deserialize;
use serde_json::Value;
use std::fmt;

/// Namespace and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The address of a task in the service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ids {
    /// The application.
    pub app: AppId,
    /// The task within it.
    pub task: TaskId,
}

/// One object at one resourceVersion.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Namespace and name.
    pub key: Key,
    /// The uid: the name can come again, the uid cannot.
    pub uid: String,
    /// The version that this is; a fence for writes.
    pub resource_version: String,
    /// Counts changes of the spec; the deletion counts as one.
    pub generation: i64,
    /// When it was created.
    pub created: Timestamp,
    /// When its deletion was asked for.
    pub deleted: Option<Timestamp>,
    /// All finalizers, in order: a JSON patch addresses ours by its index.
    pub finalizers: Vec<String>,
    /// Application and task, or why they cannot be read.
    pub ids: Result<Ids, String>,
    /// Why the rest of the spec cannot be read, where that is so.
    pub defect: Option<String>,
    /// What deletion means; Stop where it cannot be read.
    pub policy: DeletionPolicy,
    /// Hands off while it lives.
    pub suspend: bool,
    /// The annotation that asks for a reconcile now.
    pub requested: Option<String>,
    /// The annotation that releases without a confirmed Stop.
    pub release: Option<String>,
    /// What was told last.
    pub status: MixedStreamTaskStatus,
}

impl View {
    /// Reads an object of the watch. `None` where the metadata lacks what the API server always sets.
    #[must_use]
    pub fn read(object: &DynamicObject) -> Option<Self> {
        let meta = &object.metadata;
        let spec = object.data.get("spec").unwrap_or(&Value::Null);
        let status = object.data.get("status").unwrap_or(&Value::Null);
        let (policy, suspend, defect) = match MixedStreamTaskSpec::deserialize(spec) {
            Ok(spec) => (
                spec.deletion_policy.unwrap_or_default(),
                spec.suspend.unwrap_or(false),
                None,
            ),
            Err(error) => (
                lenient(spec, "deletionPolicy").unwrap_or_default(),
                lenient(spec, "suspend").unwrap_or(false),
                Some(error.to_string()),
            ),
        };
        let annotation = |name: &str| meta.annotations.as_ref()?.get(name).cloned();
        Some(Self {
            key: Key {
                namespace: meta.namespace.clone()?,
                name: meta.name.clone()?,
            },
            uid: meta.uid.clone()?,
            resource_version: meta.resource_version.clone()?,
            generation: meta.generation.unwrap_or_default(),
            created: meta.creation_timestamp.as_ref()?.0,
            deleted: meta.deletion_timestamp.as_ref().map(|time| time.0),
            finalizers: meta.finalizers.clone().unwrap_or_default(),
            ids: read_ids(spec),
            defect,
            policy,
            suspend,
            requested: annotation(api::RECONCILE_REQUESTED_AT).filter(|value| !value.is_empty()),
            release: annotation(api::RELEASE_WITHOUT_STOP),
            status: read_status(status),
        })
    }

    /// Whether our finalizer is stored.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        self.finalizers.iter().any(|name| name == api::FINALIZER)
    }

    /// Whether deletion was asked for.
    #[must_use]
    pub fn is_deleting(&self) -> bool {
        self.deleted.is_some()
    }

    /// Whether a claim is recorded.
    #[must_use]
    pub fn has_claim(&self) -> bool {
        self.status.claim.is_some()
    }

    /// The resourceVersion as a number, to tell which of two views of one uid is newer. API servers store it as one.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.resource_version.parse().unwrap_or_default()
    }
}

fn lenient<'de, T: Deserialize<'de>>(value: &'de Value, field: &str) -> Option<T> {
    T::deserialize(value.get(field)?).ok()
}

fn read_ids(spec: &Value) -> Result<Ids, String> {
    let text = |field: &str| {
        spec.get(field)
            .and_then(Value::as_str)
            .ok_or_else(|| format!("spec.{field} is not a text"))
    };
    Ok(Ids {
        app: AppId::try_from(text("appId")?).map_err(|error| format!("spec.appId: {error}"))?,
        task: TaskId::try_from(text("taskId")?).map_err(|error| format!("spec.taskId: {error}"))?,
    })
}

/// The status, or what can be saved of it: a claim must not be lost because some other field cannot be read.
fn read_status(status: &Value) -> MixedStreamTaskStatus {
    MixedStreamTaskStatus::deserialize(status).unwrap_or_else(|_| MixedStreamTaskStatus {
        claim: status
            .get("claim")
            .filter(|claim| !claim.is_null())
            .map(|claim| Claim::deserialize(claim).unwrap_or_default()),
        intent: lenient(status, "intent"),
        ..MixedStreamTaskStatus::default()
    })
}
