//! Objects that bring their own credentials, of several accounts.

mod life;
mod neighbours;
mod outage;
mod policy;
mod secret;

use kube::Api;
use kube::api::PostParams;
use mixed_stream_operator::api::{FINALIZER, MixedStreamTask};
use serde_json::{Value, json};
use support::Launch;
use support::simulator::{Call, Filter, NewTask};

use crate::relay::short;
use crate::scene::{APP, Scene, object};

const STOP: &str = "StopLiveMPUTask";
const START: &str = "StartLiveMPUTask";

/// A second and a third account, with two keys each, and their applications.
pub fn accounts() -> Value {
    let account = |id: &str| {
        let key = |number: u32| json!({"id": format!("{id}-{number}"), "secret": secret_of(&format!("{id}-{number}"))});
        json!({"id": id, "keys": [key(1), key(2)], "apps": [format!("app-{id}")]})
    };
    json!({"accounts": [account("2000"), account("3000")]})
}

/// The secret of a key, of which every half is told from everything else that may be shown.
pub fn secret_of(key_id: &str) -> String {
    format!("hU5h+kEpT/oUtOfAlL=sIgHt{key_id}+bYeVeRyOnE/wHoIsAsKeDf0r=iT")
}

/// A scene with these accounts and the paces of a relay as short as they may be.
pub async fn scene(prefix: &str, change: impl FnOnce(Launch) -> Launch) -> Scene {
    let scene = Scene::with(prefix, |launch| change(short(launch))).await;
    scene.simulator.seed(&accounts()).await.unwrap();
    scene
}

impl Scene {
    /// A Secret of the namespace holds this key.
    pub async fn put_key(&self, secret: &str, key_id: &str) {
        self.put_key_in(&self.namespace, secret, key_id).await;
    }

    /// A Secret of that namespace holds this key.
    pub async fn put_key_in(&self, namespace: &str, secret: &str, key_id: &str) {
        let values = [
            ("accessKeyId", key_id),
            ("accessKeySecret", &secret_of(key_id)),
        ];
        self.cluster.put_secret(namespace, secret, &values).await;
    }

    /// A running task, and an object that is to stop it with the key of a Secret.
    pub async fn stops_with(&self, name: &str, app: &str, secret: &str) -> MixedStreamTask {
        self.simulator
            .start_task(app, name, &NewTask::default())
            .await
            .unwrap();
        self.create_from(with_key(name, app, secret)).await
    }

    /// Its calls of an action.
    pub async fn calls_for(&self, action: &str, task: &str) -> Vec<Call> {
        self.simulator
            .calls(&Filter::of(action, task))
            .await
            .unwrap()
    }
}

/// The manifest of an object that stops the task of its name with the key of a Secret.
pub fn with_key(name: &str, app: &str, secret: &str) -> Value {
    json!({
        "metadata": {"name": name, "finalizers": [FINALIZER]},
        "spec": {"appId": app, "taskId": name, "credentialsSecretRef": {"name": secret}}
    })
}

/// No secret of these keys, in whatever form, is in what the operator logs, nor in what it tells of objects. Its most verbose level is for the
/// launch to ask for.
pub async fn assert_silent(scene: &Scene, keys: &[&str]) {
    let secrets: Vec<String> = keys.iter().map(|key| secret_of(key)).collect();
    let logs = String::from_utf8_lossy(&scene.operator.logs()).into_owned();
    let objects = scene
        .kubectl(&["get", "mst,events", "-o", "yaml"], "")
        .await;
    for text in [&logs, &objects, &scene.operator.metrics().await] {
        assert_eq!(crate::secrets::leaks(&secrets, text), Vec::<String>::new());
    }
}

/// What the claim says of the account.
pub fn account_of(object: &MixedStreamTask) -> Option<String> {
    let status = object.status.as_ref()?;
    status.claim.as_ref()?.account.clone()
}

/// Creates an object in any namespace.
pub async fn create_in(scene: &Scene, namespace: &str, manifest: Value) {
    let objects: Api<MixedStreamTask> = Api::namespaced(scene.cluster.client(), namespace);
    objects
        .create(&PostParams::default(), &object(manifest))
        .await
        .unwrap();
}

/// The keys by which the calls of an action were signed, each once.
pub async fn keys_of(scene: &Scene, action: &str, app: &str) -> Vec<String> {
    let filter = Filter {
        action: Some(action.to_owned()),
        app_id: Some(app.to_owned()),
        ..Filter::default()
    };
    let calls = scene.simulator.calls(&filter).await.unwrap();
    let mut keys: Vec<String> = calls.into_iter().filter_map(|call| call.key_id).collect();
    keys.sort();
    keys.dedup();
    keys
}

/// The application of the operator's own account.
pub const OWN: &str = APP;
