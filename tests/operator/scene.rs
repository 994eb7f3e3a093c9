//! What a test plays in: the shared cluster with the CRD, a namespace, a simulator and an operator of its own.

use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams,
};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::watch_object;
use mixed_stream_operator::api::{ConditionType, MixedStreamTask, crd_yaml};
use serde_json::{Value, json};
use support::audit::Entry;
use support::simulator::{Filter, NewTask};
use support::{Cluster, Launch, Operator, Simulator, eventually};
use tokio::sync::OnceCell;

/// How long a test waits for what takes a moment on an idle machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The application of every test.
pub const APP: &str = "app-01";

/// The shared cluster, which has the CRD.
pub async fn cluster() -> Cluster {
    static APPLIED: OnceCell<()> = OnceCell::const_new();
    let cluster = Cluster::shared().await;
    APPLIED
        .get_or_init(async || apply_crd(&cluster).await)
        .await;
    cluster
}

/// Applies the CRD and waits until the API server serves it.
pub async fn apply_crd(cluster: &Cluster) {
    cluster.apply_yaml(&crd_yaml().unwrap()).await;
    established(cluster).await;
}

/// Waits until the API server serves the CRD.
pub async fn established(cluster: &Cluster) {
    let crds: Api<CustomResourceDefinition> = Api::all(cluster.client());
    eventually("the CRD is established", PATIENCE, async || {
        let crd = crds.get("mixedstreamtasks.mixedstream.io").await;
        let conditions = crd
            .ok()
            .and_then(|crd| crd.status)
            .and_then(|status| status.conditions)
            .unwrap_or_default();
        let is_established = |name: &str, status: &str| {
            conditions
                .iter()
                .any(|condition| condition.type_ == name && condition.status == status)
        };
        if is_established("Established", "True") {
            Ok(())
        } else {
            Err(conditions)
        }
    })
    .await;
    let resource = ApiResource::erase::<MixedStreamTask>(&());
    let objects: Api<DynamicObject> = Api::all_with(cluster.client(), &resource);
    eventually("objects can be listed", PATIENCE, async || {
        objects.list(&ListParams::default()).await.map(drop)
    })
    .await;
}

/// A namespace, a simulator and an operator that watches that namespace.
pub struct Scene {
    pub cluster: Cluster,
    pub namespace: String,
    pub simulator: Simulator,
    pub operator: Operator,
}

impl Scene {
    /// With the operator's defaults, but short waits.
    pub async fn new(prefix: &str) -> Self {
        Self::with(prefix, |launch| launch).await
    }

    /// With the operator started in another way; it is ready then.
    pub async fn with(prefix: &str, change: impl FnOnce(Launch) -> Launch) -> Self {
        Self::on(cluster().await, prefix, change).await
    }

    /// On another cluster, which has the CRD.
    pub async fn on(cluster: Cluster, prefix: &str, change: impl FnOnce(Launch) -> Launch) -> Self {
        let namespace = cluster.namespace(prefix).await;
        Self::in_namespace(cluster, namespace, change).await
    }

    /// In a namespace that is there already.
    pub async fn in_namespace(
        cluster: Cluster,
        namespace: String,
        change: impl FnOnce(Launch) -> Launch,
    ) -> Self {
        let simulator = Simulator::start().await.unwrap();
        let launch =
            quick(Launch::new(cluster.kubeconfig(), &simulator.endpoint())).namespace(&namespace);
        let operator = change(launch).start().await;
        operator.ready().await;
        Self {
            cluster,
            namespace,
            simulator,
            operator,
        }
    }

    /// The objects of the namespace.
    pub fn objects(&self) -> Api<MixedStreamTask> {
        Api::namespaced(self.cluster.client(), &self.namespace)
    }

    /// Starts the task in the simulator.
    pub async fn start_task(&self, task: &str) {
        self.simulator
            .start_task(APP, task, &NewTask::default())
            .await
            .unwrap();
    }

    /// Creates the object of a task, with the same name.
    pub async fn create(&self, task: &str) -> MixedStreamTask {
        self.create_from(
            json!({"metadata": {"name": task}, "spec": {"appId": APP, "taskId": task}}),
        )
        .await
    }

    /// Creates an object from a manifest without `apiVersion` and `kind`.
    pub async fn create_from(&self, manifest: Value) -> MixedStreamTask {
        self.objects()
            .create(&PostParams::default(), &object(manifest))
            .await
            .unwrap()
    }

    /// Merges a patch into an object.
    pub async fn merge(&self, name: &str, patch: Value) -> MixedStreamTask {
        self.objects()
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap()
    }

    /// Asks for the object's deletion.
    pub async fn delete(&self, name: &str) {
        self.objects()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    /// Waits until the object is as wanted.
    pub async fn until(
        &self,
        name: &str,
        what: &str,
        wanted: impl Fn(&MixedStreamTask) -> bool,
    ) -> MixedStreamTask {
        let found = self.shown(name, what, |object| object.is_some_and(&wanted));
        found.await.unwrap()
    }

    /// Waits until `Ready` has that reason.
    pub async fn until_reason(&self, name: &str, reason: &str) -> MixedStreamTask {
        let what = format!("Ready has the reason {reason}");
        self.until(name, &what, |object| self::reason(object) == reason)
            .await
    }

    /// Waits until the object is gone.
    pub async fn until_gone(&self, name: &str) {
        self.shown(name, "gone", |object| object.is_none()).await;
    }

    async fn shown(
        &self,
        name: &str,
        what: &str,
        wanted: impl Fn(Option<&MixedStreamTask>) -> bool,
    ) -> Option<MixedStreamTask> {
        let mut last = None;
        let watch = async {
            let mut shown = pin!(watch_object(self.objects(), name).default_backoff());
            loop {
                match shown.next().await {
                    Some(Ok(object)) if wanted(object.as_ref()) => return object,
                    other => last = other,
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, watch).await;
        found.unwrap_or_else(|_| {
            panic!(
                "not within {PATIENCE:?}: {name}: {what}; the last state: {last:#?}\n{}",
                self.tail()
            )
        })
    }

    /// How many calls of an action for a task have reached the simulator.
    pub async fn calls(&self, action: &str, task: &str) -> usize {
        let filter = Filter::of(action, task);
        self.simulator.calls(&filter).await.unwrap().len()
    }

    /// How many calls of any kind have reached the simulator.
    pub async fn all_calls(&self) -> usize {
        self.simulator
            .calls(&Filter::default())
            .await
            .unwrap()
            .len()
    }

    /// Runs kubectl in the namespace; what it writes if it succeeds.
    pub async fn kubectl(&self, args: &[&str], stdin: &str) -> String {
        let output = self.cluster.kubectl(self.within(args), stdin).await;
        output.success()
    }

    /// Arguments for kubectl, in the namespace.
    pub fn within<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        ["-n", &self.namespace]
            .into_iter()
            .chain(args.iter().copied())
            .collect()
    }

    /// The last lines of the operator's log.
    pub fn tail(&self) -> String {
        let logs = String::from_utf8_lossy(&self.operator.logs()).into_owned();
        let lines: Vec<_> = logs.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

/// Short waits, so that tests are quick.
pub fn quick(launch: Launch) -> Launch {
    launch.flags([
        "--backoff-min",
        "100ms",
        "--backoff-max",
        "400ms",
        "--slow-backoff-min",
        "200ms",
        "--slow-backoff-max",
        "400ms",
        "--channel-poll",
        "500ms",
    ])
}

/// An object from a manifest without `apiVersion` and `kind`.
pub fn object(mut manifest: Value) -> MixedStreamTask {
    manifest["apiVersion"] = json!("mixedstream.io/v1alpha1");
    manifest["kind"] = json!("MixedStreamTask");
    serde_json::from_value(manifest).unwrap()
}

/// The reason of `Ready`; empty where the condition is missing.
pub fn reason(object: &MixedStreamTask) -> &str {
    condition(object, ConditionType::Ready).map_or("", |condition| &condition.reason)
}

/// A condition of the object.
pub fn condition(
    object: &MixedStreamTask,
    kind: ConditionType,
) -> Option<&k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition> {
    let conditions = &object.status.as_ref()?.conditions;
    conditions
        .iter()
        .find(|condition| condition.type_ == kind.as_str())
}

/// A kubeconfig for an operator of its own name, which may do in these namespaces what an operator needs, and nothing else.
pub async fn operator_user(cluster: &Cluster, name: &str, namespaces: &[&str]) -> PathBuf {
    let kubeconfig = cluster.user(name).await;
    for namespace in namespaces {
        grant(cluster, name, namespace).await;
    }
    kubeconfig
}

/// Lets a user do in a namespace what an operator needs, and nothing else.
pub async fn grant(cluster: &Cluster, user: &str, namespace: &str) {
    let manifests = format!(
        r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: operator, namespace: {namespace}}}
rules:
- {{apiGroups: [mixedstream.io], resources: [mixedstreamtasks], verbs: [get, list, watch, patch]}}
- {{apiGroups: [mixedstream.io], resources: [mixedstreamtasks/status], verbs: [patch]}}
- {{apiGroups: [events.k8s.io], resources: [events], verbs: [create, patch]}}
- {{apiGroups: [""], resources: [secrets], verbs: [get]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: operator, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: operator}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {user}}}]
"#
    );
    cluster.apply_yaml(&manifests).await;
}

/// What an entry of the audit log did: verb, resource and subresource.
pub fn deed(entry: &Entry) -> (&str, &str, &str) {
    (&entry.verb, &entry.resource, &entry.subresource)
}

/// The writes of a user, events apart.
pub fn writes(cluster: &Cluster, user: &str) -> Vec<Entry> {
    cluster.audit_of(user, |entry| {
        !["get", "list", "watch"].contains(&entry.verb.as_str()) && entry.resource != "events"
    })
}
