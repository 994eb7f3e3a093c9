//! The three programs and how each is started.

use std::fmt;
use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tokio::process::Child;

use crate::Error;
use crate::binaries::Binaries;
use crate::tied::{self, Shim};

/// A program of the control plane.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Component {
    /// The store.
    Etcd,
    /// The API server.
    KubeApiserver,
    /// Empties deleted namespaces, collects garbage, makes service accounts and their tokens, fills aggregated roles.
    KubeControllerManager,
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
        })
    }
}

/// What a component needs to know of the others.
#[derive(Debug)]
pub struct Layout {
    /// The folder with all files.
    pub folder: PathBuf,
    /// Where etcd listens.
    pub etcd: SocketAddr,
    /// Where the API server listens.
    pub server: SocketAddr,
}

impl Layout {
    /// The log of a component, both of its streams.
    pub fn log(&self, component: Component) -> PathBuf {
        self.folder.join(format!("{component}.log"))
    }

    /// The API server's audit log.
    pub fn audit_log(&self) -> PathBuf {
        self.folder.join("audit.log")
    }

    /// Starts a component. Its log goes on where an earlier run of it ended.
    pub fn start(
        &self,
        component: Component,
        binaries: &Binaries,
        shim: &Shim,
    ) -> Result<Child, Error> {
        let (program, arguments) = match component {
            Component::Etcd => (&binaries.etcd, self.etcd_arguments()),
            Component::KubeApiserver => (&binaries.kube_apiserver, self.server_arguments()),
            Component::KubeControllerManager => (
                &binaries.kube_controller_manager,
                self.controllers_arguments(),
            ),
        };
        let path = self.log(component);
        let log = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        let copy = log.try_clone().map_err(Error::io("open", &path))?;
        let mut command = shim.command(program);
        command
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(copy)
            .stderr(log);
        tied::spawn(command).map_err(Error::io("start", program))
    }

    fn etcd_arguments(&self) -> Vec<String> {
        vec![
            format!("--data-dir={}", self.file("etcd")),
            format!("--listen-client-urls=http://{}", self.etcd),
            format!("--advertise-client-urls=http://{}", self.etcd),
            // A single member talks to no peer, so any port will do.
            "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
            "--socket-reuse-port".to_owned(),
            // Nothing has to survive a power failure.
            "--unsafe-no-fsync".to_owned(),
            "--log-level=warn".to_owned(),
        ]
    }

    fn server_arguments(&self) -> Vec<String> {
        vec![
            format!("--etcd-servers=http://{}", self.etcd),
            format!("--bind-address={}", self.server.ip()),
            format!("--secure-port={}", self.server.port()),
            "--permit-port-sharing".to_owned(),
            // It publishes no address of its own: a loopback address is refused, and there may be no other.
            format!("--advertise-address={}", self.server.ip()),
            "--endpoint-reconciler-type=none".to_owned(),
            format!("--cert-dir={}", self.file("apiserver")),
            format!("--tls-cert-file={}", self.file("server.crt")),
            format!("--tls-private-key-file={}", self.file("server.key")),
            format!("--client-ca-file={}", self.file("ca.crt")),
            format!("--token-auth-file={}", self.file("tokens.csv")),
            format!(
                "--service-account-key-file={}",
                self.file("service-account.pub")
            ),
            format!(
                "--service-account-signing-key-file={}",
                self.file("service-account.key")
            ),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            "--service-cluster-ip-range=10.96.0.0/24".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            format!("--audit-policy-file={}", self.file("audit-policy.yaml")),
            format!("--audit-log-path={}", self.audit_log().display()),
            // In MB: large enough that no test makes it rotate and loses lines.
            "--audit-log-maxsize=4096".to_owned(),
        ]
    }

    fn controllers_arguments(&self) -> Vec<String> {
        let controllers = [
            "namespace-controller",
            "garbage-collector-controller",
            "serviceaccount-controller",
            "serviceaccount-token-controller",
            "root-ca-certificate-publisher-controller",
            // Fills the roles `view`, `edit` and `admin`.
            "clusterrole-aggregation-controller",
        ];
        vec![
            format!(
                "--kubeconfig={}",
                self.file("controller-manager.kubeconfig")
            ),
            format!("--controllers={}", controllers.join(",")),
            format!(
                "--service-account-private-key-file={}",
                self.file("service-account.key")
            ),
            format!("--root-ca-file={}", self.file("ca.crt")),
            "--leader-elect=false".to_owned(),
            // It serves nobody.
            "--secure-port=0".to_owned(),
        ]
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

/// The last lines of a log.
pub fn tail(path: &Path) -> String {
    let text = std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    match text {
        Ok(text) => {
            let lines: Vec<_> = text.lines().collect();
            lines[lines.len().saturating_sub(20)..].join("\n")
        }
        Err(error) => format!("(no log: {error})"),
    }
}
