//! One control plane: started, kept, stopped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Namespace;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use tokio::net::TcpStream;
use tokio::process::Child;

use crate::binaries::Binaries;
use crate::component::{self, Component, Layout};
use crate::credentials::Authority;
use crate::folder::Folder;
use crate::port::Port;
use crate::tied::Shim;
use crate::{Error, Ready};

/// How long a component may take to become ready: ready after 3 s on an idle machine with two cores.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long the pause between two probes is.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a probe may take.
const PROBE: Duration = Duration::from_secs(2);

/// A control plane in this process's care. Its programs are children of this process and end with it.
///
/// Call [`ControlPlane::stop`] before the last drop: only that waits for the programs' end before it removes the folder.
pub struct ControlPlane {
    // Dropped in this order: first the programs, then what they use.
    running: BTreeMap<Component, Child>,
    authority: Authority,
    layout: Layout,
    binaries: Binaries,
    shim: Shim,
    _ports: [Port; 2],
    folder: Folder,
}

impl ControlPlane {
    /// Chooses ports and makes a folder in `parent` with keys and configuration. Nothing runs yet.
    ///
    /// # Errors
    /// When the folder cannot be written or there is no free port.
    pub fn prepare(parent: &Path, binaries: Binaries, shim: Shim) -> Result<Self, Error> {
        let folder = Folder::create(parent)?;
        let ports = [Port::choose()?, Port::choose()?];
        let [etcd, server] = [ports[0].address(), ports[1].address()];
        let layout = Layout {
            folder: folder.path().to_owned(),
            etcd,
            server,
        };
        let policy = folder.path().join("audit-policy.yaml");
        std::fs::write(&policy, include_str!("../audit-policy.yaml"))
            .map_err(Error::io("write", &policy))?;
        let authority = Authority::create(folder.path(), server)?;
        Ok(Self {
            running: BTreeMap::new(),
            authority,
            layout,
            binaries,
            shim,
            _ports: ports,
            folder,
        })
    }

    /// Starts everything and waits until it is ready.
    ///
    /// # Errors
    /// When a component ends or is not ready in time.
    pub async fn start_all(&mut self) -> Result<(), Error> {
        self.start(Component::Etcd).await?;
        self.start(Component::KubeApiserver).await?;
        self.start(Component::KubeControllerManager).await
    }

    /// Starts one component that does not run, on its old port, and waits until it is ready.
    /// The controller manager has no probe: it counts as ready once it runs. The API server's readiness includes etcd's,
    /// so an etcd that is started while the API server runs is waited for through that.
    ///
    /// # Errors
    /// When it runs already, ends, or is not ready in time.
    pub async fn start(&mut self, component: Component) -> Result<(), Error> {
        if self.running.contains_key(&component) {
            return Err(Error::State {
                component,
                state: "runs already",
            });
        }
        let child = self.layout.start(component, &self.binaries, &self.shim)?;
        self.running.insert(component, child);
        match component {
            Component::Etcd => {
                let address = self.layout.etcd;
                self.wait(component, async || {
                    TcpStream::connect(address)
                        .await
                        .map(drop)
                        .map_err(|error| error.to_string())
                })
                .await?;
            }
            Component::KubeApiserver => {}
            Component::KubeControllerManager => return Ok(()),
        }
        if self.running.contains_key(&Component::KubeApiserver) {
            let client = client(&self.kubeconfig()).await?;
            self.wait(Component::KubeApiserver, async || ready(&client).await)
                .await?;
        }
        Ok(())
    }

    /// Kills a component with SIGKILL and waits for its end.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill(&mut self, component: Component) -> Result<(), Error> {
        let mut child = self.running.remove(&component).ok_or(Error::State {
            component,
            state: "does not run",
        })?;
        child.kill().await.map_err(|source| Error::Io {
            doing: format!("kill {component}"),
            source,
        })
    }

    /// Waits until a component ends that nobody killed; this is an error.
    pub async fn broken(&mut self) -> Error {
        if self.running.is_empty() {
            return std::future::pending().await;
        }
        let ends = self
            .running
            .iter_mut()
            .map(|(component, child)| Box::pin(async { (*component, child.wait().await) }));
        let ((component, status), ..) = futures::future::select_all(ends).await;
        match status {
            Ok(status) => Error::Ended {
                component,
                status,
                log: component::tail(&self.layout.log(component)),
            },
            Err(source) => Error::Io {
                doing: format!("wait for {component}"),
                source,
            },
        }
    }

    /// A kubeconfig for a user of that name who may do nothing until RBAC allows it.
    ///
    /// # Errors
    /// When the name does not fit a file's name, or the file cannot be written.
    pub fn user(&self, name: &str) -> Result<PathBuf, Error> {
        self.authority.user(name)
    }

    /// What a user of the control plane needs to know.
    #[must_use]
    pub fn describe(&self) -> Ready {
        Ready {
            kubeconfig: self.kubeconfig(),
            server: format!("https://{}", self.layout.server),
            token: self.authority.admin_token.clone(),
            audit_log: self.layout.audit_log(),
            folder: self.folder.path().to_owned(),
            kubectl: self.binaries.kubectl.clone(),
            pids: self
                .running
                .iter()
                .filter_map(|(component, child)| Some((*component, child.id()?)))
                .collect(),
        }
    }

    /// Kills everything, waits for the end of each program, and removes the folder.
    pub async fn stop(mut self) {
        for child in self.running.values_mut() {
            // It may have ended by itself, which is as good.
            let _ = child.kill().await;
        }
    }

    fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    fn check(&mut self, component: Component) -> Result<(), Error> {
        let ended = self
            .running
            .get_mut(&component)
            .and_then(|child| child.try_wait().ok().flatten());
        ended.map_or(Ok(()), |status| {
            Err(Error::Ended {
                component,
                status,
                log: component::tail(&self.layout.log(component)),
            })
        })
    }

    async fn wait(
        &mut self,
        component: Component,
        probe: impl AsyncFn() -> Result<(), String>,
    ) -> Result<(), Error> {
        let began = Instant::now();
        loop {
            let answer = tokio::time::timeout(PROBE, probe()).await;
            let last = match answer {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(reason)) => reason,
                Err(_) => "no answer".to_owned(),
            };
            for each in self.running.keys().copied().collect::<Vec<_>>() {
                self.check(each)?;
            }
            if began.elapsed() > PATIENCE {
                let log = component::tail(&self.layout.log(component));
                return Err(Error::NotReady {
                    component,
                    seconds: PATIENCE.as_secs(),
                    last,
                    log,
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Ready, and past the first start's work that `/readyz` does not cover: the namespace `default`.
async fn ready(client: &Client) -> Result<(), String> {
    let request = http::Request::get("/readyz")
        .body(Vec::new())
        .map_err(|error| error.to_string())?;
    client
        .request_text(request)
        .await
        .map_err(|error| error.to_string())?;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces
        .get("default")
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}

/// A client for the kubeconfig at `path` that tries nothing twice by itself.
///
/// # Errors
/// When the file cannot be read or used.
pub async fn client(path: &Path) -> Result<Client, Error> {
    let failed = |reason: String| Error::Client {
        path: path.to_owned(),
        reason,
    };
    // Fails only when a provider is installed already, which is what we want.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(path).map_err(|error| failed(error.to_string()))?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(|error| failed(error.to_string()))?;
    config.default_retry = false;
    Client::try_from(config).map_err(|error| failed(error.to_string()))
}
