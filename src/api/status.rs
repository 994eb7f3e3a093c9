//! What the operator says.

use super::Phase;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator knows of the task. Written by the operator alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
// kstatus takes an object without a status for Current, so a new object says that nothing was observed yet.
#[schemars(extend("default" = {"observedGeneration": -1}))]
pub struct MixedStreamTaskStatus {
    /// The generation that these conditions judge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Ready, and Reconciling or Stalled while they hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// Where the object stands, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,

    /// The id of the task that this object is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,

    /// The last value of the annotation mixedstream.io/reconcile-requested-at that was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,

    /// What this object possesses. Kept until the object is gone; no other object can take it meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,

    /// That a Start is about to be sent, recorded before it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Mark>,

    /// The parameters that the service accepted last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Mark>,

    /// When the service accepted the first Start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,

    /// When the task was stopped, or was found stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Time>,

    /// Why the task is stopped.
    // Not nullable, as in the spec.
    #[schemars(with = "StopReason")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<StopReason>,

    /// After somebody else stopped the task: when its channel was first seen without anybody. Only then can somebody have come back to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_left_at: Option<Time>,

    /// The last five calls to the service, oldest first. They ride on writes that happen anyway, so the newest may be missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    pub calls: Vec<CallRecord>,
}

/// Why a relay is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum StopReason {
    /// The operator stopped it, as spec.desiredState asks.
    Requested,
    /// The operator stopped it after spec.maxDurationSeconds.
    MaxDuration,
    /// The service stopped it, since nobody was in the channel.
    ChannelEmpty,
    /// Somebody else stopped it while the channel was live.
    StoppedElsewhere,
    /// It is gone, and the channels cannot be read to tell why.
    Unknown,
}

/// Possession of a task id and of outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// The cloud account of the task. Absent: the account of the operator's own credentials. Beginning with unconfirmed-: that of a key of which
    /// the service has not told yet whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,

    /// A key of a Secret that is known to be of that account, as SHA-256 of its id cut to 64 bits, in hexadecimal: with the same one STS need not be
    /// asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,

    /// The outputs, each as SHA-256 of the URL without its query, cut to 64 bits, in hexadecimal: an ingest URL is a secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,

    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
}

/// A set of parameters at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,

    /// The generation of the spec that the parameters came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,

    /// SHA-256 of the parameters, salted with the object's uid, cut to 64 bits, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters_hash: Option<String>,
}

/// One call to the service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallRecord {
    /// The vendor's name of the action, for example StopLiveMPUTask.
    pub action: String,

    /// The service's id of the request, where it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,

    /// When the answer came, or when it was given up.
    pub time: Option<Time>,

    /// What the answer means: accepted, or the class of the failure.
    pub result: String,
}
