//! What people write.

use super::{MixedStreamTaskStatus, Relay};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// One mixed-stream relay task of ApsaraVideo Live. Deleting the object stops the task: the object stays until that is proven.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "mixedstream.io",
    version = "v1alpha1",
    kind = "MixedStreamTask",
    plural = "mixedstreamtasks",
    singular = "mixedstreamtask",
    shortname = "mst",
    category = "live",
    namespaced,
    status = "MixedStreamTaskStatus",
    derive = "PartialEq",
    doc = "A mixed-stream relay task of ApsaraVideo Live, and the promise to stop it when this object is deleted.",
    printcolumn = r#"{"name":"Phase","type":"string","jsonPath":".status.phase"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Task","type":"string","jsonPath":".status.taskId"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","priority":1,"jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.relay) || has(self.taskId)").message("taskId is needed where there is no relay: name the task that this object stops").field_path(".taskId").reason(Reason::FieldValueRequired),
    validation = Rule::new("has(self.relay) == has(oldSelf.relay)").message("relay can be neither added nor taken away: delete this object and create another one").field_path(".relay").reason(Reason::FieldValueForbidden),
    validation = Rule::new("has(self.taskId) == has(oldSelf.taskId)").message("taskId can be neither added nor taken away: delete this object and create another one").field_path(".taskId").reason(Reason::FieldValueForbidden),
    validation = Rule::new("has(self.credentialsSecretRef) || !has(oldSelf.credentialsSecretRef)").message("credentialsSecretRef cannot be taken away, since the operator's own credentials would then act for whoever claimed the task with others; name another Secret, or delete this object and create another one").field_path(".credentialsSecretRef").reason(Reason::FieldValueForbidden),
    validation = Rule::new("has(self.relay) || !has(self.desiredState)").message("desiredState needs a relay: without one the operator only stops the task when this object is deleted").field_path(".desiredState").reason(Reason::FieldValueForbidden),
    validation = Rule::new("has(self.relay) || !has(self.restartPolicy)").message("restartPolicy needs a relay: without one the operator starts nothing").field_path(".restartPolicy").reason(Reason::FieldValueForbidden),
    validation = Rule::new("has(self.relay) || !has(self.maxDurationSeconds)").message("maxDurationSeconds needs a relay: without one the operator does not know when the task was started").field_path(".maxDurationSeconds").reason(Reason::FieldValueForbidden)
)]
pub struct MixedStreamTaskSpec {
    /// The Live application that the task belongs to: 1 to 64 letters, digits, underscores and hyphens.
    /// It cannot be changed: the task is addressed by it.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("appId cannot be changed: delete this object and create another one").reason(Reason::FieldValueForbidden))]
    pub app_id: String,

    /// The id of the task within its application, as given to StartLiveMPUTask: 1 to 55 letters, digits, underscores and hyphens.
    /// Needed without a relay; with one, the operator makes an id of its own where it is absent. It can be neither changed nor added nor taken
    /// away: the task is addressed by it.
    #[schemars(
        with = "String",
        length(min = 1, max = 55),
        regex(pattern = r"^[A-Za-z0-9_-]+$")
    )]
    #[x_kube(validation = Rule::new("self == oldSelf").message("taskId cannot be changed: delete this object and create another one").reason(Reason::FieldValueForbidden))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,

    /// What is relayed, how and where to. With it the operator starts, updates and stops the task; without it something else started the task,
    /// and this object only stops it when it goes. It can be neither added nor taken away.
    #[schemars(with = "Relay")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<Relay>,

    /// Whether the relay should run: Running (the meaning when absent) or Stopped, a break without deleting the object. Needs a relay.
    #[schemars(with = "DesiredState")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_state: Option<DesiredState>,

    /// What follows when the service has stopped the task by itself, as it does some time after the channel emptied. Never (the meaning when
    /// absent): it stays stopped. WhenChannelReturns: it is started again when somebody is in the channel again. Needs a relay.
    #[schemars(with = "RestartPolicy")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<RestartPolicy>,

    /// How many seconds after its first start the relay is stopped and stays stopped, breaks counted too. At least 1; raising it permits
    /// a start again. Absent: no limit. Needs a relay.
    #[schemars(with = "i64", range(min = 1))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_duration_seconds: Option<i64>,

    /// What deletion of this object does to the task. Stop (the meaning when absent): the task is stopped, and the object stays until
    /// that is proven. Orphan: the task runs on.
    // Not nullable: the API server then takes null for absent.
    #[schemars(with = "DeletionPolicy")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,

    /// True: hands off; nothing is sent to the service while the object lives. Deletion still stops the task.
    /// Absent means false.
    #[schemars(with = "bool")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,

    /// The Secret whose access key the task is started, updated and stopped with. Absent: the operator's own credentials. It may be added, and
    /// another Secret may be named, but it cannot be taken away; the key has to be of the account that the task was claimed in
    /// (status.claim.account). Nothing is sent with one that is known to be of another account; with one of which that is not known nothing but a
    /// Stop, which counts only if it is accepted.
    #[schemars(with = "CredentialsSecretRef")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<CredentialsSecretRef>,
}

/// A Secret with an access key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsSecretRef {
    /// The name of the Secret, in this object's namespace: the keys accessKeyId and accessKeySecret, and securityToken for a temporary key. It is
    /// read again about once a minute, so that keys can be rotated.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub name: String,
}

/// What deletion of an object does to its task.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum DeletionPolicy {
    /// The task is stopped.
    #[default]
    Stop,
    /// The task runs on.
    Orphan,
}

/// Whether a relay should run.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum DesiredState {
    /// It should run.
    #[default]
    Running,
    /// It should be stopped, and may be started again.
    Stopped,
}

/// What follows when the service has stopped a task by itself.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum RestartPolicy {
    /// It stays stopped.
    #[default]
    Never,
    /// It is started again when the channel has people again.
    WhenChannelReturns,
}
