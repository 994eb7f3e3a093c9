//! What is measured on: a control plane, the simulator, the two programs, and one watch that sees objects go.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::Api;
use kube::api::{ApiResource, DeleteParams, ListParams, PostParams};
use kube::core::{DynamicObject, GroupVersionKind, PartialObjectMeta};
use kube::runtime::watcher::{self, Event};
use serde_json::json;
use support::process::{Process, tied};
use support::simulator::{Addresses, Admin, NewTask};
use support::{Cluster, binary};
use tokio::sync::mpsc;

/// Every object's application.
pub const APP: &str = "bench";
/// Nothing takes longer.
pub const PATIENCE: Duration = Duration::from_mins(1);
/// How many requests are in flight where many are made.
pub const CLIENTS: usize = 16;
/// How long the simulator takes for each reply.
pub const LATENCY: Duration = Duration::from_millis(20);

/// One of the two programs that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Watches, calls, patches.
    Floor,
    /// The operator.
    Operator,
}

impl Program {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Floor, Self::Operator];

    /// The name in the tables, and of its binary.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Floor => ("floor", "floor"),
            Self::Operator => ("operator", "mixed-stream-operator"),
        }
    }
}

/// What a program is compared at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Objects are deleted whose tasks run.
    Stop,
    /// Objects are deleted whose tasks are gone: so many Stops each.
    GiveUp(u32),
    /// Relays are created.
    Start,
}

impl Job {
    fn word(self) -> String {
        match self {
            Self::Stop => "stop".to_owned(),
            Self::GiveUp(stops) => format!("give-up-{stops}"),
            Self::Start => "start".to_owned(),
        }
    }
}

/// A program with the namespace that it serves alone.
pub struct Contender {
    /// Which.
    pub program: Program,
    /// Its namespace.
    pub namespace: String,
    /// The objects there.
    pub objects: Api<DynamicObject>,
    /// When its program was started.
    pub started: Instant,
    /// Objects that were deleted while it was down.
    pub names: Vec<String>,
    job: Job,
    flags: &'static [&'static str],
    process: Process,
}

/// Everything else.
pub struct Bed {
    /// The control plane.
    pub cluster: Cluster,
    /// The simulator's admin port.
    pub admin: Admin,
    api: String,
    resource: ApiResource,
    gone: mpsc::UnboundedReceiver<(String, Instant)>,
    _simulator: Process,
}

impl Bed {
    /// Makes it, with the resource's definition.
    pub async fn make() -> Self {
        let cluster = Cluster::fresh().await;
        let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds");
        let crds = crds.display().to_string();
        drop(
            cluster
                .kubectl(["apply", "--server-side", "-f", &crds], "")
                .await
                .success(),
        );
        let established = [
            "wait",
            "--for=condition=Established",
            "crd/mixedstreamtasks.mixedstream.io",
        ];
        drop(cluster.kubectl(established, "").await.success());

        let mut command = tied(&binary("live-simulator"));
        command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        let mut simulator = Process::start("the simulator", command);
        let addresses = simulator.wait_for_line("admin", PATIENCE).await;
        let addresses: Addresses = serde_json::from_str(&addresses).expect("addresses");
        let admin = Admin::new(&addresses.admin).expect("a client");
        let latency = json!({"latencyMillis": LATENCY.as_millis()});
        admin.set_switches(&latency).await.expect("a switch");

        let kind = GroupVersionKind::gvk("mixedstream.io", "v1alpha1", "MixedStreamTask");
        let resource = ApiResource::from_gvk_with_plural(&kind, "mixedstreamtasks");
        let (seen, gone) = mpsc::unbounded_channel();
        tokio::spawn(see_objects_go(
            Api::all_with(cluster.client(), &resource),
            seen,
        ));
        Self {
            cluster,
            admin,
            api: format!("http://{}", addresses.api),
            resource,
            gone,
            _simulator: simulator,
        }
    }

    /// Starts a program in a namespace of its own; the operator with these flags.
    pub async fn contender(
        &self,
        program: Program,
        job: Job,
        flags: &'static [&'static str],
    ) -> Contender {
        let namespace = self.cluster.namespace(program.names().0).await;
        let process = self.start(program, &namespace, job, flags);
        let objects = self.objects(&namespace);
        Contender {
            program,
            namespace,
            objects,
            started: Instant::now(),
            names: Vec::new(),
            job,
            flags,
            process,
        }
    }

    fn start(&self, program: Program, namespace: &str, job: Job, flags: &[&str]) -> Process {
        let (name, file) = program.names();
        let mut command = tied(&binary(file));
        command.env("KUBECONFIG", self.cluster.kubeconfig());
        match program {
            Program::Floor => command.args([namespace, &self.api, &job.word()]),
            Program::Operator => command
                .args([
                    "run",
                    "--allow-http",
                    "--listen",
                    "127.0.0.1:0",
                    "--log-format",
                    "json",
                ])
                .args(["--namespaces", namespace, "--live-endpoint", &self.api])
                .args(flags)
                .env("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid")
                .env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret"),
        };
        Process::start(name, command)
    }

    /// Starts the contender's program again.
    pub fn resume(&self, contender: &mut Contender) {
        let Contender {
            program,
            job,
            flags,
            ..
        } = *contender;
        contender.process = self.start(program, &contender.namespace, job, flags);
        contender.started = Instant::now();
    }

    /// Makes this many running tasks and objects for them, all guarded; their names.
    pub async fn fill(&self, contender: &Contender, prefix: &str, count: usize) -> Vec<String> {
        let names: Vec<String> = (0..count)
            .map(|number| format!("{prefix}-{number}"))
            .collect();
        stream::iter(&names)
            .for_each_concurrent(CLIENTS, async |name| {
                let object = json!({
                    "apiVersion": "mixedstream.io/v1alpha1", "kind": "MixedStreamTask",
                    "metadata": {"name": name, "finalizers": ["mixedstream.io/stop-task"]},
                    "spec": {"appId": APP, "taskId": name},
                });
                let object = serde_json::from_value(object).expect("an object");
                let task = NewTask::default();
                self.admin
                    .start_task(APP, name, &task)
                    .await
                    .expect("a task");
                contender
                    .objects
                    .create(&PostParams::default(), &object)
                    .await
                    .expect("an object");
            })
            .await;
        if contender.program == Program::Operator {
            // A list of many objects is work for the API server, which is better left alone.
            let pause = Duration::from_millis(100)
                .max(Duration::from_micros(300) * u32::try_from(count).expect("a count"));
            let end = Instant::now() + PATIENCE + 10 * pause;
            while contender.count_in("Armed").await < count {
                assert!(
                    Instant::now() < end,
                    "not all objects are armed:\n{}",
                    contender.last_lines()
                );
                tokio::time::sleep(pause).await;
            }
        }
        names
    }

    /// Waits until all of these are gone; when each was.
    pub async fn await_gone(&mut self, contender: &Contender, names: &[String]) -> Vec<Instant> {
        let mut left: HashSet<&str> = names.iter().map(String::as_str).collect();
        let mut moments = Vec::new();
        while !left.is_empty() {
            let next = tokio::time::timeout(PATIENCE, self.gone.recv()).await;
            let Ok(Some((name, at))) = next else {
                panic!(
                    "{} objects stay; {}",
                    left.len(),
                    contender.process.last_lines()
                );
            };
            if left.remove(name.as_str()) {
                moments.push(at);
            }
        }
        moments
    }
}

impl Bed {
    /// The objects of a namespace.
    pub fn objects(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.cluster.client(), namespace, &self.resource)
    }

    /// Waits until no more than `rest` of these are left; when the last one of the others went.
    pub async fn await_left(
        &mut self,
        contender: &Contender,
        left: &mut HashSet<String>,
        rest: usize,
    ) -> Instant {
        let mut last = Instant::now();
        while left.len() > rest {
            let next = tokio::time::timeout(PATIENCE, self.gone.recv()).await;
            let Ok(Some((name, at))) = next else {
                panic!(
                    "{} objects stay; {}",
                    left.len(),
                    contender.process.last_lines()
                );
            };
            if left.remove(&name) {
                last = at;
            }
        }
        last
    }
}

impl Contender {
    /// Kills its program.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid().expect("a running program")
    }

    /// Ends it, in its own way.
    pub async fn end(&mut self) {
        self.process.terminate();
        self.process.wait(PATIENCE).await;
    }

    /// Asks for the deletion of an object.
    pub async fn delete(&self, name: &str) {
        self.objects
            .delete(name, &DeleteParams::default())
            .await
            .expect("a deletion");
    }

    /// Tells from now on which of its objects are in which phase, and when this was seen.
    pub fn phases(&self) -> mpsc::UnboundedReceiver<(String, String, Instant)> {
        let (seen, phases) = mpsc::unbounded_channel();
        let objects = self.objects.clone();
        tokio::spawn(async move {
            let mut events = Box::pin(watcher::watcher(objects, watcher::Config::default()));
            loop {
                // A watch that was cut off is begun anew by the next call.
                let object = match events.try_next().await {
                    Ok(Some(Event::Apply(object) | Event::InitApply(object))) => object,
                    Ok(Some(Event::Delete(_) | Event::Init | Event::InitDone)) | Err(_) => continue,
                    Ok(None) => return,
                };
                let phase = object.data["status"]["phase"].as_str().unwrap_or_default();
                let name = object.metadata.name.clone().unwrap_or_default();
                if seen.send((name, phase.to_owned(), Instant::now())).is_err() {
                    return;
                }
            }
        });
        phases
    }

    /// The last lines that it wrote.
    pub fn last_lines(&self) -> String {
        self.process.last_lines()
    }

    /// How many objects are in a phase.
    pub async fn count_in(&self, phase: &str) -> usize {
        let list = self
            .objects
            .list(&ListParams::default())
            .await
            .expect("a list");
        list.items
            .iter()
            .filter(|object| object.data["status"]["phase"] == phase)
            .count()
    }
}

/// Tells which objects are gone, and when this was seen.
async fn see_objects_go(
    objects: Api<PartialObjectMeta<DynamicObject>>,
    seen: mpsc::UnboundedSender<(String, Instant)>,
) {
    let mut known = HashSet::new();
    let mut listed = HashSet::new();
    let mut events = Box::pin(watcher::watcher(objects, watcher::Config::default()));
    loop {
        // A watch that was cut off is begun anew by the next call.
        let Ok(event) = events.try_next().await else {
            continue;
        };
        let now = Instant::now();
        match event {
            Some(Event::Apply(object)) => {
                known.insert(object.metadata.name.unwrap_or_default());
            }
            Some(Event::Init) => listed.clear(),
            Some(Event::InitApply(object)) => {
                listed.insert(object.metadata.name.unwrap_or_default());
            }
            Some(Event::InitDone) => {
                for name in known.difference(&listed) {
                    let _ = seen.send((name.clone(), now));
                }
                known.clone_from(&listed);
            }
            Some(Event::Delete(object)) => {
                let name = object.metadata.name.unwrap_or_default();
                known.remove(&name);
                // Nobody may be interested any more.
                let _ = seen.send((name, now));
            }
            None => return,
        }
    }
}
