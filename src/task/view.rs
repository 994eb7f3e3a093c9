//! What the operator keeps of an object: read once from the watch, leniently, so that an object that is stored in an
//! unreadable shape can still be told about and deleted.

use super::access::Source;
use crate::{
    api::{
        self, Claim, ConditionType, DeletionPolicy, DesiredState, MixedStreamTaskSpec,
        MixedStreamTaskStatus, Reason, Relay, RestartPolicy,
    },
    live::{AppId, ChannelId, TaskId, redact},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::DynamicObject;
use serde::Deserialize;
use serde_json::Value;
use std::{fmt, sync::Arc, time::Duration};

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
    /// The spec does not name the task.
    pub is_default: bool,
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
    /// Where its credentials come from.
    pub source: Source,
    /// Why the rest of the spec cannot be read, where that is so.
    pub defect: Option<String>,
    /// What deletion means; Stop where it cannot be read.
    pub policy: DeletionPolicy,
    /// Hands off while it lives.
    pub suspend: bool,
    /// The spec has a relay, readable or not: the object starts its task itself.
    pub has_relay: bool,
    /// The relay, where it can be read.
    pub relay: Option<Arc<Relay>>,
    /// The relay's channel, where it can be read.
    pub channel: Option<ChannelId>,
    /// The relay's `MixMode` on the wire, where it can be read.
    pub mix_mode: Option<&'static str>,
    /// The relay's `MaxIdleTime`.
    pub max_idle: Option<Duration>,
    /// The relay takes people from other channels, too.
    pub crosses_channels: bool,
    /// Whether the relay is to run.
    pub desired: DesiredState,
    /// Whether it is started again after it stopped by itself.
    pub restart: RestartPolicy,
    /// The longest that it may run.
    pub max_duration: Option<Duration>,
    /// The annotation that names a running task to take over, whatever it says.
    pub adopt: Option<String>,
    /// The annotation that asks for a reconcile now.
    pub requested: Option<String>,
    /// The annotation that releases without a confirmed Stop.
    pub release: Option<String>,
    /// What was told last.
    pub status: MixedStreamTaskStatus,
}

impl View {
    /// Reads an object of the watch. `prefix`: what the ids of tasks begin with whose objects name none. `None` where the metadata lacks what
    /// the API server always sets.
    #[must_use]
    pub fn read(object: &DynamicObject, prefix: &str) -> Option<Self> {
        let meta = &object.metadata;
        let spec = object.data.get("spec").unwrap_or(&Value::Null);
        let status = read_status(object.data.get("status").unwrap_or(&Value::Null));
        let uid = meta.uid.clone()?;
        let annotation = |name: &str| {
            let value = meta.annotations.as_ref()?.get(name)?;
            Some(value.clone())
        };
        let adopt = annotation(api::ADOPT_RUNNING_TASK);
        let namespace = meta.namespace.clone()?;
        let has_relay = spec.get("relay").is_some_and(|relay| !relay.is_null());
        let (parsed, defect) = match MixedStreamTaskSpec::deserialize(spec) {
            Ok(spec) => (Some(spec), None),
            Err(error) => (None, Some(defect(spec, &error.to_string()))),
        };
        let policy = parsed.as_ref().map_or_else(
            || lenient(spec, "deletionPolicy"),
            |spec| spec.deletion_policy,
        );
        let suspend = parsed
            .as_ref()
            .map_or_else(|| lenient(spec, "suspend"), |spec| spec.suspend);
        let relay = parsed
            .as_ref()
            .and_then(|spec| spec.relay.clone())
            .map(Arc::new);
        let channel = spec
            .pointer("/relay/channelId")
            .and_then(Value::as_str)
            .and_then(|id| ChannelId::try_from(id).ok());
        Some(Self {
            source: Source::read(spec, &namespace),
            key: Key {
                namespace,
                name: meta.name.clone()?,
            },
            resource_version: meta.resource_version.clone()?,
            generation: meta.generation.unwrap_or_default(),
            created: meta.creation_timestamp.as_ref()?.0,
            deleted: meta.deletion_timestamp.as_ref().map(|time| time.0),
            finalizers: meta.finalizers.clone().unwrap_or_default(),
            ids: read_ids(spec, || {
                // A claim was made on one id, and something may have been started under it: whatever becomes of the annotation, which anybody
                // who may edit the object can change, and of the prefix.
                let has_begun = status.claim.is_some()
                    || status.intent.is_some()
                    || status.started_at.is_some();
                let told = status.task_id.clone().filter(|_| has_begun);
                let is_id = |id: &String| TaskId::try_from(id.as_str()).is_ok();
                let id = told.or_else(|| adopt.clone().filter(is_id));
                has_relay.then(|| id.unwrap_or_else(|| default_task_id(prefix, &uid)))
            }),
            defect,
            policy: policy.unwrap_or_default(),
            suspend: suspend.unwrap_or(false),
            has_relay,
            channel,
            mix_mode: relay
                .as_ref()
                .map(|relay| if relay.single.is_some() { "0" } else { "1" }),
            max_idle: relay.as_ref().and_then(|relay| {
                let seconds = u64::try_from(relay.max_idle_seconds?).ok()?;
                Some(Duration::from_secs(seconds))
            }),
            crosses_channels: relay.as_deref().is_some_and(crosses_channels),
            relay,
            desired: parsed
                .as_ref()
                .and_then(|spec| spec.desired_state)
                .unwrap_or_default(),
            restart: parsed
                .as_ref()
                .and_then(|spec| spec.restart_policy)
                .unwrap_or_default(),
            max_duration: parsed.as_ref().and_then(|spec| {
                let seconds = u64::try_from(spec.max_duration_seconds?).ok()?;
                Some(Duration::from_secs(seconds))
            }),
            adopt,
            requested: annotation(api::RECONCILE_REQUESTED_AT).filter(|value| !value.is_empty()),
            release: annotation(api::RELEASE_WITHOUT_STOP),
            status,
            uid,
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

    /// The hashes of the outputs in the claim.
    #[must_use]
    pub fn claimed_outputs(&self) -> &[String] {
        self.status
            .claim
            .as_ref()
            .map_or(&[], |claim| claim.outputs.as_slice())
    }

    /// Whether the task's id is made from this object's uid, so that nobody else can have given it.
    #[must_use]
    pub fn is_id_from_uid(&self) -> bool {
        self.ids
            .as_ref()
            .is_ok_and(|ids| ids.is_default && ids.task.as_str().ends_with(&self.uid))
    }

    /// Whether it is to take over a running task, by that task's id.
    #[must_use]
    pub fn is_adopting(&self) -> bool {
        let id = self.ids.as_ref().map(|ids| ids.task.as_str());
        self.adopt.as_deref().is_some_and(|named| id == Ok(named))
    }

    /// Whether the last word was that the task of its id was started by something else.
    #[must_use]
    pub fn is_told_foreign(&self) -> bool {
        let id = self.ids.as_ref().map(|ids| ids.task.as_str());
        self.has_claim()
            && self.told_reason() == Some(Reason::TaskIdInUse.as_str())
            && self
                .status
                .task_id
                .as_deref()
                .is_some_and(|told| id == Ok(told))
    }

    /// The reason that was told last.
    #[must_use]
    pub fn told_reason(&self) -> Option<&str> {
        self.ready().map(|condition| condition.reason.as_str())
    }

    /// Whether the last message says this.
    #[must_use]
    pub fn is_told(&self, text: &str) -> bool {
        self.ready()
            .is_some_and(|condition| condition.message.contains(text))
    }

    fn ready(&self) -> Option<&Condition> {
        let conditions = &self.status.conditions;
        conditions
            .iter()
            .find(|condition| condition.type_ == ConditionType::Ready.as_str())
    }

    /// Why the object may go without a confirmed Stop, where its annotation says so.
    #[must_use]
    pub fn declared(&self) -> Option<&str> {
        let why = self.release.as_deref().map(str::trim);
        why.filter(|why| !why.is_empty())
    }

    /// The resourceVersion as a number, to tell which of two views of one uid is newer. API servers store it as one.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.resource_version.parse().unwrap_or_default()
    }
}

/// Whether it takes people from other channels: then an empty channel of its own does not end it.
fn crosses_channels(relay: &Relay) -> bool {
    let own = &relay.channel_id;
    let users = relay
        .mixed
        .iter()
        .flat_map(|mixed| mixed.users.iter().flatten());
    users
        .filter_map(|user| user.channel_id.as_ref())
        .any(|channel| channel != own)
}

fn lenient<'de, T: Deserialize<'de>>(value: &'de Value, field: &str) -> Option<T> {
    T::deserialize(value.get(field)?).ok()
}

/// What is wrong with a spec. Where it is wrong in its relay, the text that is wrong is left out: it may be an ingest URL, or a key alone.
fn defect(spec: &Value, error: &str) -> String {
    let mut rest = spec.clone();
    if let Some(fields) = rest.as_object_mut() {
        fields.remove("relay");
    }
    if let Err(error) = MixedStreamTaskSpec::deserialize(&rest) {
        return redact::shown(&error.to_string(), &[]);
    }
    let hidden = match (error.find('"'), error.rfind('"')) {
        (Some(first), Some(last)) if first < last => {
            format!("{}…{}", &error[..=first], &error[last..])
        }
        (Some(_) | None, _) => error.to_owned(),
    };
    redact::shown(&hidden, &[])
}

/// The id of a task whose object names none: unique, and told from a neighbour's by the prefix.
fn default_task_id(prefix: &str, uid: &str) -> String {
    if prefix.is_empty() {
        uid.to_owned()
    } else {
        format!("{prefix}-{uid}")
    }
}

fn read_ids(spec: &Value, otherwise: impl Fn() -> Option<String>) -> Result<Ids, String> {
    let text = |field: &str| {
        spec.get(field)
            .and_then(Value::as_str)
            .ok_or_else(|| format!("spec.{field} is not a text"))
    };
    let app = AppId::try_from(text("appId")?).map_err(|error| format!("spec.appId: {error}"))?;
    let is_named = spec.get("taskId").is_some_and(|id| !id.is_null());
    let default = if is_named { None } else { otherwise() };
    let is_default = default.is_some();
    let task = match default {
        Some(id) => {
            TaskId::try_from(id.as_str()).map_err(|error| format!("the task id: {error}"))?
        }
        None => {
            TaskId::try_from(text("taskId")?).map_err(|error| format!("spec.taskId: {error}"))?
        }
    };
    Ok(Ids {
        app,
        task,
        is_default,
    })
}

/// The status, or what can be saved of it: a claim must not be lost because some other field cannot be read.
fn read_status(status: &Value) -> MixedStreamTaskStatus {
    MixedStreamTaskStatus::deserialize(status).unwrap_or_else(|_| MixedStreamTaskStatus {
        claim: status
            .get("claim")
            .filter(|claim| !claim.is_null())
            .map(|claim| {
                Claim::deserialize(claim).unwrap_or_else(|_| Claim {
                    account: lenient(claim, "account"),
                    key: lenient(claim, "key"),
                    outputs: lenient(claim, "outputs").unwrap_or_default(),
                    at: lenient(claim, "at"),
                })
            }),
        intent: lenient(status, "intent"),
        accepted: lenient(status, "accepted"),
        started_at: lenient(status, "startedAt"),
        stopped_at: lenient(status, "stoppedAt"),
        stop_reason: lenient(status, "stopReason"),
        task_id: lenient(status, "taskId"),
        ..MixedStreamTaskStatus::default()
    })
}
