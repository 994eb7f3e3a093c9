//! The user's side of a supervisor: start it, give it orders, let it go.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};

use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};

use crate::supervisor::Answer;
use crate::{Component, Error};

/// What the supervisor tells when everything is ready.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    /// The administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    /// The URL of the API server.
    pub server: String,
    /// The administrator's token.
    pub token: String,
    /// The audit log: lines of JSON, one for each request that was answered. A line can come a moment after the answer.
    pub audit_log: PathBuf,
    /// The folder with everything, the components' logs (`kube-apiserver.log`) included. It is removed at the end.
    pub folder: PathBuf,
    /// The kubectl to use.
    pub kubectl: PathBuf,
    /// The process ids at the start.
    pub pids: BTreeMap<Component, u32>,
}

/// A control plane that runs as long as this value, or this process, lives.
///
/// It belongs to no tokio runtime: it can be shared by the runtimes of several tests.
#[derive(Debug)]
pub struct Supervised {
    ready: Ready,
    pid: u32,
    conversation: Mutex<Conversation>,
}

#[derive(Debug)]
struct Conversation {
    orders: ChildStdin,
    answers: mpsc::UnboundedReceiver<String>,
}

impl Conversation {
    async fn answer<T: for<'de> Deserialize<'de>>(&mut self) -> Result<T, Error> {
        let line = self.answers.recv().await;
        let line = line.ok_or_else(|| {
            Error::Supervisor("has ended; it says why on standard error".to_owned())
        })?;
        serde_json::from_str(&line)
            .map_err(|error| Error::Supervisor(format!("said {line:?}: {error}")))
    }
}

impl Supervised {
    /// Starts the supervisor `binary` and waits until its control plane is ready, which includes building it the first time. Its
    /// folder is made in `parent`, or else in the system's folder for temporary files.
    ///
    /// # Errors
    /// When the supervisor cannot be started or gives up; it says why on standard error, which it shares with this process.
    pub async fn start(binary: &Path, parent: Option<&Path>) -> Result<Self, Error> {
        let mut command = Command::new(binary);
        command.arg("run");
        if let Some(parent) = parent {
            command.arg("--dir").arg(parent);
        }
        // In a process group of its own, a signal to ours leaves it alive to clean up.
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0);
        let mut child = command.spawn().map_err(Error::io("start", binary))?;
        let pid = child.id();
        let missing = || Error::Supervisor("has no standard input or output".to_owned());
        let orders = child.stdin.take().ok_or_else(missing)?;
        let lines = BufReader::new(child.stdout.take().ok_or_else(missing)?).lines();
        let (sender, answers) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // Nobody may be interested any more; what counts is to read on to the end.
                let _ = sender.send(line);
            }
            // Its exit is known only by waiting for it; whoever waits for the answers' end then finds it gone.
            let _ = child.wait();
            drop(sender);
        });
        let mut conversation = Conversation { orders, answers };
        let ready = conversation.answer().await?;
        Ok(Self {
            ready,
            pid,
            conversation: Mutex::new(conversation),
        })
    }

    /// What the supervisor told when it was ready.
    #[must_use]
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// The supervisor's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Kills a component with SIGKILL.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill(&self, component: Component) -> Result<(), Error> {
        self.running(&format!("kill {component}")).await.map(drop)
    }

    /// Starts a killed component again on its old port and waits until it is ready; returns its process id.
    ///
    /// # Errors
    /// When it runs already or does not become ready.
    pub async fn resume(&self, component: Component) -> Result<u32, Error> {
        let pids = self.running(&format!("start {component}")).await?;
        pids.get(&component).copied().ok_or(Error::State {
            component,
            state: "does not run",
        })
    }

    /// [`kill`](Self::kill), then [`resume`](Self::resume).
    ///
    /// # Errors
    /// Those of the two.
    pub async fn restart(&self, component: Component) -> Result<u32, Error> {
        self.kill(component).await?;
        self.resume(component).await
    }

    /// A kubeconfig for a user of that name (a client certificate), who may do nothing until RBAC allows it.
    ///
    /// # Errors
    /// When the name does not fit a file's name.
    pub async fn user(&self, name: &str) -> Result<PathBuf, Error> {
        match self.order(&format!("user {name}")).await? {
            Answer::Kubeconfig(path) => Ok(path),
            Answer::Running(_) => Err(Error::Supervisor(
                "did not answer with a kubeconfig".to_owned(),
            )),
            Answer::Error(reason) => Err(Error::Supervisor(format!("refused: {reason}"))),
        }
    }

    /// Lets the supervisor stop everything, and waits until it has: nothing runs any more, and the folder is gone.
    pub async fn stop(self) {
        let Conversation {
            orders,
            mut answers,
        } = self.conversation.into_inner();
        drop(orders);
        while answers.recv().await.is_some() {}
    }

    async fn running(&self, order: &str) -> Result<BTreeMap<Component, u32>, Error> {
        match self.order(order).await? {
            Answer::Running(pids) => Ok(pids),
            Answer::Kubeconfig(_) => Err(Error::Supervisor(
                "did not answer with process ids".to_owned(),
            )),
            Answer::Error(reason) => Err(Error::Supervisor(format!("refused: {reason}"))),
        }
    }

    async fn order(&self, order: &str) -> Result<Answer, Error> {
        let mut conversation = self.conversation.lock().await;
        writeln!(conversation.orders, "{order}").map_err(|source| Error::Io {
            doing: format!("order {order:?}"),
            source,
        })?;
        conversation.answer().await
    }
}
