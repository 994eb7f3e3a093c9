//! What the scenes play on: a control plane, the simulator and the operator, each a process of its own that ends with this one.

use crate::timeline::Timeline;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use control_plane::tied::{self, Shim};
use control_plane::{Ready, Supervised};
use futures::TryStreamExt as _;
use jiff::Timestamp;
use kube::Api;
use kube::api::{ApiResource, WatchEvent, WatchParams};
use kube::core::{DynamicObject, GroupVersionKind};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::simulator::{Addresses, Admin};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// How long a process may take to be ready.
const START: Duration = Duration::from_secs(30);
/// How long the operator may take to end.
const END: Duration = Duration::from_secs(15);
/// Between two questions of [`until`].
const PAUSE: Duration = Duration::from_millis(10);
/// Where the first operator listens.
const ANY_PORT: &str = "127.0.0.1:0";
/// How often the operator looks at channels and tasks, so that nobody watches a timeline that stands still.
const PACES: [&str; 5] = [
    "--channel-poll=1s",
    "--sweep-period=2s",
    "--settle-time=2s",
    "--idle-margin=1s",
    "--secret-refresh=2s",
];
/// Every object of the demo is in it.
pub const NAMESPACE: &str = "default";

/// The processes, and what is known of them.
pub struct Stage {
    ready: Ready,
    shim: Shim,
    simulator: Child,
    /// Where the simulator listens.
    pub addresses: Addresses,
    /// The simulator's admin port.
    pub admin: Admin,
    operator: Child,
    /// `address:port` of the operator's probes and metrics.
    pub operator_port: String,
    /// The operator's log.
    pub operator_log: PathBuf,
    /// The objects, by a client of our own.
    pub objects: Api<DynamicObject>,
    http: reqwest::Client,
}

impl Stage {
    /// The simulator, the resource's definition and the operator on a control plane that is ready.
    pub async fn set(plane: &Supervised, timeline: &Timeline) -> anyhow::Result<Self> {
        let ready = plane.ready().clone();
        let shim = Shim::at(support::binary("control-plane"));
        let (simulator, addresses) = simulator(&ready, &shim).await?;
        timeline.step(&format!(
            "simulator up: process {}, API at http://{}",
            simulator.id().unwrap_or_default(),
            addresses.api
        ));
        let admin = Admin::new(&addresses.admin)?;
        let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds");
        let apply =
            ["apply", "--server-side", "-f", &crds.display().to_string()].map(str::to_owned);
        kubectl(&ready, &shim, &apply, "").await?;
        let established = [
            "wait",
            "--for=condition=Established",
            "--timeout=30s",
            "crd/mixedstreamtasks.mixedstream.io",
        ]
        .map(str::to_owned);
        kubectl(&ready, &shim, &established, "").await?;
        timeline.step("crds/ applied");
        let operator_log = ready.folder.join("operator.log");
        File::create(&operator_log)?;
        let mut operator = operator(&ready, &shim, &addresses, &operator_log, ANY_PORT)?;
        let operator_port = started(&mut operator, &operator_log).await?;
        let kind = GroupVersionKind::gvk("mixedstream.io", "v1alpha1", "MixedStreamTask");
        let objects = Api::namespaced_with(
            control_plane::client(&ready.kubeconfig).await?,
            NAMESPACE,
            &ApiResource::from_gvk_with_plural(&kind, "mixedstreamtasks"),
        );
        let stage = Self {
            ready,
            shim,
            simulator,
            addresses,
            admin,
            operator,
            operator_port,
            operator_log,
            objects,
            http: reqwest::Client::builder().no_proxy().build()?,
        };
        until("the operator is ready", START, async || {
            stage.get("/readyz").await.ok()
        })
        .await?;
        timeline.step(&format!(
            "operator up and ready: process {}, probes and metrics at http://{}",
            stage.operator.id().unwrap_or_default(),
            stage.operator_port
        ));
        timeline.step(&format!(
            "short paces for a short demo: {}",
            PACES.join(" ")
        ));
        Ok(stage)
    }

    /// What the control plane told of itself.
    pub fn plane(&self) -> &Ready {
        &self.ready
    }

    /// Runs kubectl to its end; what it wrote.
    pub async fn kubectl(&self, arguments: &str, stdin: &str) -> anyhow::Result<String> {
        let arguments: Vec<_> = arguments.split(' ').map(str::to_owned).collect();
        kubectl(&self.ready, &self.shim, &arguments, stdin).await
    }

    /// The operator's process.
    pub fn operator_id(&self) -> u32 {
        self.operator.id().unwrap_or_default()
    }

    /// A successful answer of the operator's own port.
    pub async fn get(&self, path: &str) -> anyhow::Result<String> {
        let url = format!("http://{}{path}", self.operator_port);
        let response = self.http.get(url).send().await?.error_for_status()?;
        Ok(response.text().await?)
    }

    /// Waits, from now on, until the object is gone; the moment when the watch said so.
    pub async fn await_gone(
        &self,
        name: &str,
    ) -> anyhow::Result<JoinHandle<anyhow::Result<Timestamp>>> {
        let version = self.objects.get(name).await?.metadata.resource_version;
        let version = version.context("an object without a resourceVersion")?;
        let params = WatchParams::default().fields(&format!("metadata.name={name}"));
        let objects = self.objects.clone();
        Ok(tokio::spawn(async move {
            let mut events = Box::pin(objects.watch(&params, &version).await?);
            while let Some(event) = events.try_next().await? {
                match event {
                    WatchEvent::Deleted(_) => return Ok(Timestamp::now()),
                    WatchEvent::Error(error) => bail!("the watch ended: {error:?}"),
                    WatchEvent::Added(_) | WatchEvent::Modified(_) | WatchEvent::Bookmark(_) => {}
                }
            }
            bail!("the watch ended")
        }))
    }

    /// The lines of the operator's log.
    pub fn log(&self) -> Vec<Value> {
        lines(&self.operator_log)
    }

    /// Ends the simulator and the operator; how the operator ended.
    pub async fn strike(mut self) -> anyhow::Result<()> {
        let is_over = self.operator.try_wait()?;
        if is_over.is_none()
            && let Some(pid) = self
                .operator
                .id()
                .and_then(|pid| Pid::from_raw(pid.cast_signed()))
        {
            kill_process(pid, Signal::TERM)?;
        }
        let ended = tokio::time::timeout(END, self.operator.wait()).await;
        self.simulator.kill().await?;
        let status = ended.context("the operator does not end after SIGTERM")??;
        if is_over.is_some() || !status.success() {
            bail!("the operator ended with {status}");
        }
        Ok(())
    }

    /// Waits until one of the two ends by itself.
    pub async fn ended(&mut self) -> Ended {
        tokio::select! {
            status = self.simulator.wait() => Ended::Simulator(format!("{status:?}")),
            status = self.operator.wait() => Ended::Operator(
                status.map_or_else(|error| error.to_string(), |status| status.to_string()),
            ),
        }
    }

    /// Starts another operator in the place of one that has ended: the same port, the same log.
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn replace_operator(&mut self, timeline: &Timeline) -> anyhow::Result<()> {
        let (ready, log) = (&self.ready, &self.operator_log);
        self.operator = operator(ready, &self.shim, &self.addresses, log, &self.operator_port)?;
        until("the operator is ready again", START, async || {
            self.get("/readyz").await.ok()
        })
        .await
        .with_context(|| format!("its log:\n{}", tail(&self.operator_log)))?;
        timeline.step(&format!(
            "operator up and ready again: process {}",
            self.operator.id().unwrap_or_default()
        ));
        Ok(())
    }
}

/// What has ended by itself, or by somebody's hand; how.
pub enum Ended {
    /// The simulator: nothing can go on.
    Simulator(String),
    /// The operator.
    Operator(String),
}

/// Asks until there is an answer.
///
/// # Errors
/// When there is none in time.
pub async fn until<T>(
    what: &str,
    timeout: Duration,
    mut question: impl AsyncFnMut() -> Option<T>,
) -> anyhow::Result<T> {
    let end = Instant::now() + timeout;
    let asking = async {
        loop {
            if let Some(answer) = question().await {
                return answer;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout_at(end.into(), asking)
        .await
        .map_err(|_| anyhow::anyhow!("expected within {} s: {what}", timeout.as_secs()))
}

/// The last lines of a log, for a person.
pub fn tail(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

async fn simulator(ready: &Ready, shim: &Shim) -> anyhow::Result<(Child, Addresses)> {
    let log = File::create(ready.folder.join("simulator.log"))?;
    let mut command = apart(shim, &support::binary("live-simulator"));
    command
        .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(log);
    let mut child = tied::spawn(command)?;
    let stdout = child.stdout.take().context("the simulator has no output")?;
    let mut line = String::new();
    let mut reader = BufReader::new(stdout);
    tokio::time::timeout(START, reader.read_line(&mut line)).await??;
    let addresses =
        serde_json::from_str(&line).context("the simulator did not say where it listens")?;
    Ok((child, addresses))
}

fn operator(
    ready: &Ready,
    shim: &Shim,
    addresses: &Addresses,
    log: &Path,
    listen: &str,
) -> anyhow::Result<Child> {
    let mut command = apart(shim, &support::binary("mixed-stream-operator"));
    // The demo shows the defaults but for the paces, whatever this shell is set up for.
    for (name, _) in std::env::vars_os() {
        if ["MSO_", "ALIBABA_CLOUD_"]
            .iter()
            .any(|prefix| name.to_string_lossy().starts_with(prefix))
        {
            command.env_remove(name);
        }
    }
    command
        .args(["run", "--allow-http", "--log-format", "json"])
        .args(["--listen", listen])
        .args(PACES)
        .arg("--live-endpoint")
        .arg(format!("http://{}", addresses.api))
        .env("KUBECONFIG", &ready.kubeconfig)
        .env("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid")
        .env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret")
        .stdout(Stdio::null())
        .stderr(File::options().append(true).open(log)?);
    Ok(tied::spawn(command)?)
}

/// Waits until the operator serves; where.
async fn started(operator: &mut Child, log: &Path) -> anyhow::Result<String> {
    let found = until("the operator starts", START, async || {
        let line = lines(log)
            .into_iter()
            .find(|line| line["message"] == "started");
        match (line, operator.try_wait()) {
            (Some(line), _) => Some(line["listen"].as_str().map(str::to_owned)),
            (None, Ok(None)) => None,
            (None, Ok(Some(_)) | Err(_)) => Some(None),
        }
    });
    let found = found.await?;
    found.with_context(|| format!("the operator does not start; its log:\n{}", tail(log)))
}

async fn kubectl(
    ready: &Ready,
    shim: &Shim,
    arguments: &[String],
    stdin: &str,
) -> anyhow::Result<String> {
    let mut command = apart(shim, &ready.kubectl);
    command
        .args(arguments)
        .env("KUBECONFIG", &ready.kubeconfig)
        // Otherwise it would write to the home folder.
        .env("KUBECACHEDIR", ready.folder.join("kubectl-cache"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = tied::spawn(command)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(stdin.as_bytes()).await?;
    }
    let output = child.wait_with_output().await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("kubectl {}: {}{}", arguments.join(" "), text, error);
    }
    Ok(text)
}

/// A tied command in a process group of its own: Ctrl-C is ours to answer, in our order.
fn apart(shim: &Shim, program: &Path) -> Command {
    let mut command = shim.command(program);
    command.stdin(Stdio::null()).process_group(0);
    command
}
