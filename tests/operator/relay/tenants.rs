//! Two tenants of one operator, each with a namespace and a user who may do what tenants may; one of them is hostile. Whatever it does and
//! whenever, the other one's tasks run as their owner asks, and are stopped by their owner alone.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use support::cluster::connect;
use support::relay::{Relay, url};
use support::simulator::TaskState;

use super::*;
use crate::scene::{cluster, object};
use mixed_stream_operator::api::FINALIZER;

/// What a tenant may do: everything with the objects of its namespace, but nothing with their status.
async fn tenant(scene: &Scene, namespace: &str) -> Api<MixedStreamTask> {
    let user = format!("tenant-{namespace}");
    let kubeconfig = scene.cluster.user(&user).await;
    let role = format!(
        r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: tenant, namespace: {namespace}}}
rules:
- {{apiGroups: [mixedstream.io], resources: [mixedstreamtasks], verbs: ["*"]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: tenant, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: tenant}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {user}}}]
"#
    );
    scene.cluster.apply_yaml(&role).await;
    let objects = Api::namespaced(connect(&kubeconfig).await, namespace);
    eventually("the tenant may list", PATIENCE, async || {
        objects.list(&ListParams::default()).await.map(drop)
    })
    .await;
    objects
}

/// The hostile one.
struct Hostile {
    objects: Api<MixedStreamTask>,
    made: usize,
}

impl Hostile {
    /// An object of every kind that could reach for a task: it is never the first to name it.
    fn manifest(&mut self, kind: usize, task: &str, channel: &str) -> Value {
        self.made += 1;
        let name = format!("x-{}-{kind}", self.made);
        let minimal = json!({"metadata": {"name": name}, "spec": {"appId": APP, "taskId": task}});
        let relay = || Relay::single(APP, &name).channel(channel);
        let mut manifest = match kind {
            0 => minimal,
            1 => relay().task_id(task).manifest(),
            2 => relay().task_id(task).urls([&*url(channel)]).manifest(),
            4 => with(minimal, "/spec", "suspend", json!(true)),
            5 => with(minimal, "/spec", "deletionPolicy", json!("Orphan")),
            3 | Self::OWN_ID => relay().urls([&*url(channel)]).manifest(),
            _ => relay()
                .task_id(task)
                .with("/desiredState", "Stopped")
                .manifest(),
        };
        manifest["metadata"]["annotations"] = json!({
            "mixedstream.io/adopt-running-task": task,
            "mixedstream.io/release-without-stop": "because I say so",
            "mixedstream.io/reconcile-requested-at": name,
        });
        if kind == Self::OWN_ID {
            manifest["metadata"]["annotations"] = json!({});
        }
        // The API server drops a status that comes with a manifest.
        let now = Timestamp::now();
        manifest["status"] = json!({
            "taskId": task, "startedAt": now, "claim": {"at": "2020-01-01T00:00:00Z", "outputs": []}, "observedGeneration": 1,
            "intent": {"at": now, "generation": 1}, "accepted": {"at": now, "generation": 1},
        });
        if self.made.is_multiple_of(2) {
            manifest["metadata"]["finalizers"] = json!([FINALIZER]);
        }
        manifest
    }

    const KINDS: usize = 8;
    /// It reaches for the output alone.
    const OWN_ID: usize = 6;

    async fn create(&mut self, kind: usize, task: &str, channel: &str) -> String {
        let manifest = self.manifest(kind, task, channel);
        let made = self
            .objects
            .create(&PostParams::default(), &object(manifest))
            .await
            .unwrap();
        assert!(made.status.is_none_or(|status| status.claim.is_none()));
        made.metadata.name.unwrap()
    }

    async fn merge(&self, name: &str, patch: Value) -> kube::Result<MixedStreamTask> {
        self.objects
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
    }

    async fn names(&self) -> Vec<String> {
        let list = self.objects.list(&ListParams::default()).await.unwrap();
        let names = list.items.into_iter().map(|object| object.metadata.name);
        names.collect::<Option<_>>().unwrap()
    }

    /// One thing that a tenant can do. What the API server refuses, it refuses.
    async fn deed(&mut self, rng: &mut StdRng, task: &str, channel: &str) -> String {
        let names = self.names().await;
        let pick = rng.random_range(0..10);
        if names.is_empty() || pick < 4 {
            let kind = rng.random_range(0..Self::KINDS);
            return format!("creates {}", self.create(kind, task, channel).await);
        }
        let name = &names[rng.random_range(0..names.len())];
        let patch = match pick {
            4 | 5 => {
                let deleted = self.objects.delete(name, &DeleteParams::default()).await;
                return format!("deletes {name}: {}", deleted.is_ok());
            }
            6 => json!({"spec": {"relay": {"outputs": [{"url": url(channel)}]}}}),
            7 => {
                json!({"spec": {"desiredState": if rng.random() { "Stopped" } else { "Running" }}})
            }
            8 => json!({"spec": {"suspend": rng.random::<bool>(), "taskId": task}}),
            _ => {
                json!({"metadata": {"finalizers": null, "annotations": {"mixedstream.io/adopt-running-task": task}}})
            }
        };
        let patched = self.merge(name, patch.clone()).await;
        format!("patches {name} with {patch}: {}", patched.is_ok())
    }

    async fn delete_all(&self) {
        let (how, which) = (DeleteParams::default(), ListParams::default());
        self.objects.delete_collection(&how, &which).await.unwrap();
        eventually("the hostile objects are gone", PATIENCE, async || {
            let names = self.names().await;
            if names.is_empty() { Ok(()) } else { Err(names) }
        })
        .await;
    }
}

fn with(mut manifest: Value, place: &str, name: &str, value: Value) -> Value {
    manifest.pointer_mut(place).unwrap()[name] = value;
    manifest
}

/// Two namespaces of one operator; the second is the hostile one's.
async fn two_tenants(prefix: &str) -> (Scene, Hostile) {
    let cluster = cluster().await;
    let other = cluster.namespace("hostile").await;
    let scene = super::with(prefix, |launch| launch.namespace(&other)).await;
    let objects = tenant(&scene, &other).await;
    (scene, Hostile { objects, made: 0 })
}

/// By every field and annotation, while the tasks run, wait, have a break or were started by something else.
#[tokio::test]
async fn nothing_that_a_neighbour_declares_reaches_a_task() {
    let (scene, mut hostile) = two_tenants("victim").await;
    for channel in ["named", "default", "break"] {
        scene.join(channel).await;
    }
    scene
        .relay(Relay::single(APP, "named").task_id("named"))
        .await;
    scene.relay(Relay::single(APP, "default")).await;
    scene
        .relay(Relay::single(APP, "waiting").task_id("waiting"))
        .await;
    let stopped = Relay::single(APP, "break").task_id("break");
    scene.relay(stopped.with("/desiredState", "Stopped")).await;
    scene.start_task("outside").await;
    scene.create("outside").await;
    let states = [
        ("named", "Running"),
        ("default", "Running"),
        ("waiting", "WaitingForChannel"),
        ("break", "Stopped"),
        ("outside", "Armed"),
    ];
    let mut owners = Vec::new();
    for (name, state) in states {
        owners.push(owner(&scene.until_reason(name, state).await));
    }
    // It takes its outputs when they have cooled down, which in a fresh process is ten seconds later.
    let has_outputs = |object: &MixedStreamTask| {
        let claim = object
            .status
            .as_ref()
            .and_then(|status| status.claim.as_ref());
        claim.is_some_and(|claim| !claim.outputs.is_empty())
    };
    scene.until("break", "claims its output", has_outputs).await;
    let before = scene.objects().list(&ListParams::default()).await.unwrap();

    let mut made = Vec::new();
    for victim in &owners {
        for kind in 0..Hostile::KINDS {
            // Nobody of ours has an output of that name then.
            if victim.name == "outside" && kind == Hostile::OWN_ID {
                continue;
            }
            made.push((kind, hostile.create(kind, &victim.task, &victim.name).await));
        }
    }
    let own = hostile.objects.namespace().unwrap_or_default().to_owned();
    for (kind, name) in &made {
        // A suspended one asks for nothing.
        let what = format!("{name} has nothing");
        eventually(&what, PATIENCE, async || {
            let object = hostile.objects.get(name).await.unwrap();
            let is_told = match reason(&object) {
                "TaskIdInUse" | "OutputInUse" => true,
                "Suspended" => *kind == 4,
                _ => false,
            };
            let told = message(&object);
            let says_too_much = told.contains(&scene.namespace) || told.contains("rtmp");
            if is_told && !says_too_much {
                Ok(())
            } else {
                Err(object.status)
            }
        })
        .await;
    }
    // It may not write what the operator remembers.
    let forged = json!({"status": {"claim": {"at": "2020-01-01T00:00:00Z"}, "startedAt": "2020-01-01T00:00:00Z"}});
    let patch = Patch::Merge(forged);
    let written = hostile
        .objects
        .patch_status(&made[0].1, &PatchParams::default(), &patch)
        .await;
    assert!(matches!(written, Err(kube::Error::Api(refused)) if refused.code == 403));
    // Nor another's objects.
    let theirs: Api<MixedStreamTask> =
        Api::namespaced(hostile.objects.clone().into_client(), &scene.namespace);
    assert!(theirs.list(&ListParams::default()).await.is_err());
    assert_ne!(own, scene.namespace);
    hostile.delete_all().await;

    // Not a byte of the victim's objects has changed.
    let after = scene.objects().list(&ListParams::default()).await.unwrap();
    assert_eq!(json!(before.items), json!(after.items));
    for (name, started, stopped) in [
        ("named", 1, 0),
        ("waiting", 0, 0),
        ("break", 0, 0),
        ("outside", 0, 0),
    ] {
        assert_eq!(scene.calls(START, name).await, started, "{name}");
        assert_eq!(scene.calls(STOP, name).await, stopped, "{name}");
    }
    for victim in &owners {
        scene.end(&victim.name).await;
    }
    for task in ["named", "outside", &*owners[1].task] {
        assert_eq!(scene.calls(STOP, task).await, 1, "{task}");
        let task = scene.simulator.task(APP, task).await.unwrap();
        assert_eq!(task.state, TaskState::Stopped);
    }
    scene.kept(&owners, 0).await;
}

/// An id that is made from a uid is known to everybody who sees the object, within the same second.
#[tokio::test]
async fn an_id_made_from_a_uid_cannot_be_squatted_on() {
    let (mut scene, mut hostile) = two_tenants("squat").await;
    scene.operator.kill().await;
    let names: Vec<String> = (0..6).map(|number| format!("r-{number}")).collect();
    let mut squatters = Vec::new();
    for name in &names {
        scene.join(name).await;
        let relay = scene.relay(Relay::single(APP, name)).await;
        let task = format!("mso-{}", relay.metadata.uid.unwrap());
        // Both parities: with the finalizer in the manifest, and without.
        for kind in [0, 1] {
            squatters.push(hostile.create(kind, &task, name).await);
        }
    }
    scene.operator.restart().await;
    scene.operator.ready().await;
    let mut owners = Vec::new();
    for name in &names {
        owners.push(owner(&scene.until_reason(name, "Running").await));
    }
    for name in &squatters {
        eventually("the squatter has nothing", PATIENCE, async || {
            let object = hostile.objects.get(name).await.unwrap();
            if reason(&object) == "TaskIdInUse" {
                Ok(())
            } else {
                Err(object.status)
            }
        })
        .await;
    }
    hostile.delete_all().await;
    assert_eq!(scene.calls_of(STOP).await, 0);
    for name in &names {
        scene.end(name).await;
    }
    scene.kept(&owners, 0).await;
}

/// A whole life beside a neighbour who does at random whatever a tenant can.
#[tokio::test]
async fn a_life_beside_a_hostile_neighbour() {
    let seed = std::env::var("TENANTS_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        now.as_secs()
    });
    eprintln!("the hostile neighbour: TENANTS_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let (scene, mut hostile) = two_tenants("life").await;
    let mut deeds = Vec::new();
    // The victim was first. From then on anything goes.
    scene
        .relay(Relay::single(APP, "show").task_id("show"))
        .await;
    let victim = owner(&scene.until_reason("show", "WaitingForChannel").await);
    let patch = |spec: Value| json!({"spec": spec});
    let life = [
        (None, "WaitingForChannel"),
        (
            Some(patch(json!({"restartPolicy": "WhenChannelReturns"}))),
            "Running",
        ),
        (Some(patch(json!({"desiredState": "Stopped"}))), "Stopped"),
        (Some(patch(json!({"desiredState": "Running"}))), "Running"),
        (
            Some(patch(
                json!({"relay": {"outputs": [{"url": url("show")}, {"url": url("more")}]}}),
            )),
            "Running",
        ),
        (Some(patch(json!({"suspend": true}))), "Suspended"),
        (Some(patch(json!({"suspend": false}))), "Running"),
    ];
    for (step, (patch, state)) in life.into_iter().enumerate() {
        for _ in 0..6 {
            deeds.push(hostile.deed(&mut rng, "show", "show").await);
        }
        if step == 1 {
            scene.join("show").await;
        }
        let generation = match patch {
            Some(patch) => scene.merge("show", patch).await.metadata.generation,
            None => Some(1),
        };
        let reached = scene.until("show", state, |object| {
            let status = object.status.as_ref();
            let observed = status.and_then(|status| status.observed_generation);
            reason(object) == state && observed == generation
        });
        reached.await;
        for _ in 0..3 {
            deeds.push(hostile.deed(&mut rng, "show", "show").await);
        }
    }
    assert_eq!(scene.calls(START, "show").await, 2, "{deeds:#?}");
    assert_eq!(scene.calls(STOP, "show").await, 1, "{deeds:#?}");
    assert_eq!(scene.calls(UPDATE, "show").await, 1, "{deeds:#?}");
    // Its own deletion, and no neighbour's, ends it.
    hostile.delete_all().await;
    let task = scene.simulator.task(APP, "show").await.unwrap();
    assert_eq!(task.state, TaskState::Running, "{deeds:#?}");
    scene.end("show").await;
    scene.kept(&[victim], 0).await;
}
