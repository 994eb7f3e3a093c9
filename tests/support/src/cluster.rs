//! A real API server for a test.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use control_plane::{Ready, Supervised, tied::spawn};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::OnceCell;

use crate::audit::{self, Entry};
use crate::{binary, process};

/// A control plane, and an administrator's client for it that belongs to the caller's runtime.
///
/// It ends when the last handle is dropped, or with this process.
#[derive(Clone)]
pub struct Cluster {
    plane: Arc<Supervised>,
    client: Client,
}

/// What a command wrote, and how it ended.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Standard output of a command that succeeded.
    #[must_use]
    pub fn success(self) -> String {
        assert!(
            self.status.success(),
            "{}: {}{}",
            self.status,
            self.stdout,
            self.stderr
        );
        self.stdout
    }
}

impl Cluster {
    /// The one control plane of this process, for tests that take a namespace each and leave its components alone.
    pub async fn shared() -> Self {
        static SHARED: OnceCell<Arc<Supervised>> = OnceCell::const_new();
        let plane = SHARED.get_or_init(async || Arc::new(start().await)).await;
        Self::of(Arc::clone(plane)).await
    }

    /// A control plane of the caller's own.
    pub async fn fresh() -> Self {
        Self::of(Arc::new(start().await)).await
    }

    async fn of(plane: Arc<Supervised>) -> Self {
        let client = connect(&plane.ready().kubeconfig).await;
        Self { plane, client }
    }

    /// The administrator's client. It tries nothing twice by itself.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.ready().kubeconfig
    }

    /// Paths, the URL and the token.
    #[must_use]
    pub fn ready(&self) -> &Ready {
        self.plane.ready()
    }

    /// The control plane itself, to kill and start its components. Only for [`Cluster::fresh`].
    #[must_use]
    pub fn plane(&self) -> &Supervised {
        &self.plane
    }

    /// A kubeconfig for a user of that name, who may do nothing until RBAC allows it. The audit log shows the name.
    pub async fn user(&self, name: &str) -> PathBuf {
        self.plane
            .user(name)
            .await
            .unwrap_or_else(|error| panic!("no user {name}: {error}"))
    }

    /// Creates a namespace whose name begins with `prefix` and is not used yet.
    pub async fn namespace(&self, prefix: &str) -> String {
        let metadata = ObjectMeta {
            generate_name: Some(format!("{prefix}-")),
            ..ObjectMeta::default()
        };
        let namespaces: Api<Namespace> = Api::all(self.client());
        let created = namespaces
            .create(
                &PostParams::default(),
                &Namespace {
                    metadata,
                    ..Namespace::default()
                },
            )
            .await;
        created
            .unwrap_or_else(|error| panic!("no namespace {prefix}: {error}"))
            .metadata
            .name
            .expect("a name")
    }

    /// Creates a Secret, or gives the one of that name these values; keys that are not named stay.
    pub async fn put_secret(&self, namespace: &str, name: &str, values: &[(&str, &str)]) {
        let values = values
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            string_data: Some(values),
            ..Secret::default()
        };
        let secrets: Api<Secret> = Api::namespaced(self.client(), namespace);
        let put = match secrets.create(&PostParams::default(), &secret).await {
            Err(kube::Error::Api(refused)) if refused.is_already_exists() => {
                let patch = Patch::Merge(&secret);
                secrets.patch(name, &PatchParams::default(), &patch).await
            }
            created => created,
        };
        // The values are not shown.
        put.unwrap_or_else(|error| panic!("no Secret {namespace}/{name}: {error}"));
    }

    /// Deletes a Secret.
    pub async fn delete_secret(&self, namespace: &str, name: &str) {
        let secrets: Api<Secret> = Api::namespaced(self.client(), namespace);
        secrets
            .delete(name, &DeleteParams::default())
            .await
            .unwrap_or_else(|error| panic!("Secret {namespace}/{name} is not deleted: {error}"));
    }

    /// Applies manifests, server-side. Those without a namespace go to `default`.
    pub async fn apply_yaml(&self, manifests: &str) {
        let output = self
            .kubectl(["apply", "--server-side", "-f", "-"], manifests)
            .await;
        let Output {
            status,
            stdout,
            stderr,
        } = output;
        assert!(
            status.success(),
            "kubectl apply: {stdout}{stderr}\nof\n{manifests}"
        );
    }

    /// Runs kubectl as the administrator.
    pub async fn kubectl<A: AsRef<std::ffi::OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        stdin: &str,
    ) -> Output {
        self.kubectl_as(self.kubeconfig(), args, stdin).await
    }

    /// Runs kubectl with another kubeconfig.
    pub async fn kubectl_as<A: AsRef<std::ffi::OsStr>>(
        &self,
        kubeconfig: &Path,
        args: impl IntoIterator<Item = A>,
        stdin: &str,
    ) -> Output {
        let mut command = process::tied(&self.ready().kubectl);
        command
            .args(args)
            .env("KUBECONFIG", kubeconfig)
            // Otherwise it would write to the home folder.
            .env("KUBECACHEDIR", self.ready().folder.join("kubectl-cache"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = spawn(command).expect("kubectl");
        let mut input = child.stdin.take().expect("kubectl's standard input");
        let stdin = stdin.to_owned();
        // At the same time as its output is read. It may end without reading all: how it ends tells.
        let write = tokio::spawn(async move { input.write_all(stdin.as_bytes()).await });
        let output = child.wait_with_output().await.expect("kubectl's output");
        write.abort();
        Output {
            status: output.status,
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// The entries of the audit log that are wanted. An entry can come a moment after its answer: ask [`eventually`](crate::eventually).
    #[must_use]
    pub fn audit(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        audit::read(&self.ready().audit_log, wanted)
    }

    /// As [`Cluster::audit`], of one user alone; much faster where others do a lot.
    #[must_use]
    pub fn audit_of(&self, user: &str, wanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        audit::read_of(&self.ready().audit_log, user, wanted)
    }
}

/// A client for a kubeconfig, in the caller's runtime. It tries nothing twice by itself.
pub async fn connect(kubeconfig: &Path) -> Client {
    control_plane::client(kubeconfig)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

async fn start() -> Supervised {
    Supervised::start(&binary("control-plane"), None)
        .await
        .unwrap_or_else(|error| panic!("no control plane: {error}"))
}
