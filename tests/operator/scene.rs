//! What a test plays in: the shared cluster with the CRD, a namespace, a simulator and an operator of its own.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use mixed_stream_operator::api::{ConditionType, MixedStreamTask, crd_yaml};
use serde_json::{Value, json};
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
    let objects: Api<MixedStreamTask> = Api::all(cluster.client());
    eventually("objects can be listed", PATIENCE, async || {
        objects.list(&Default::default()).await.map(drop)
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
        let what = format!("{name}: {what}");
        eventually(&what, PATIENCE, async || {
            match self.objects().get(name).await {
                Ok(object) if wanted(&object) => Ok(object),
                other => Err(format!("{other:?}\n{}", self.tail())),
            }
        })
        .await
    }

    /// Waits until `Ready` has that reason.
    pub async fn until_reason(&self, name: &str, reason: &str) -> MixedStreamTask {
        self.until(name, &format!("Ready has the reason {reason}"), |object| {
            self::reason(object) == reason
        })
        .await
    }

    /// Waits until the object is gone.
    pub async fn until_gone(&self, name: &str) {
        eventually(&format!("{name} is gone"), PATIENCE, async || {
            match self.objects().get_opt(name).await {
                Ok(None) => Ok(()),
                other => Err(format!("{other:?}\n{}", self.tail())),
            }
        })
        .await;
    }

    /// How many calls of an action for a task have reached the simulator.
    pub async fn calls(&self, action: &str, task: &str) -> usize {
        let filter = Filter::of(action, task);
        self.simulator.calls(&filter).await.unwrap().len()
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

#[tokio::test]
async fn the_main_job() {
    let scene = Scene::new("main").await;
    scene.start_task("final-42").await;
    scene.create("final-42").await;
    scene.until_reason("final-42", "Armed").await;
    scene.delete("final-42").await;
    scene.until_gone("final-42").await;
    assert_eq!(scene.calls("StopLiveMPUTask", "final-42").await, 1);
    let task = scene.simulator.task(APP, "final-42").await.unwrap();
    assert_eq!(task.state, support::simulator::TaskState::Stopped);
}
