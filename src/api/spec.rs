//! What people write.

use super::MixedStreamTaskStatus;
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
pub struct MixedStreamTaskSpec {
    /// The Live application that the task belongs to: 1 to 64 letters, digits, underscores and hyphens.
    /// It cannot be changed: the task is addressed by it.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("appId cannot be changed: delete this object and create another one").reason(Reason::FieldValueForbidden))]
    pub app_id: String,

    /// The id of the task within its application, as given to StartLiveMPUTask: 1 to 55 letters, digits, underscores and hyphens.
    /// It cannot be changed: the task is addressed by it.
    #[schemars(length(min = 1, max = 55), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("taskId cannot be changed: delete this object and create another one").reason(Reason::FieldValueForbidden))]
    pub task_id: String,

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
