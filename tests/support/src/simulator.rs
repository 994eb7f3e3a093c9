//! The simulator of the Live API as a process of its own, and a typed client of its admin port. The page on the simulator
//! says what each order and field means.

mod answers;
mod client;
mod crowd;
mod types;

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// How long the simulator may take to say where it listens.
const START: Duration = Duration::from_secs(20);

/// Why the simulator cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// Nobody has built it.
    #[error("{} does not exist: run `cargo build --workspace --bins`", .0.display())]
    NotBuilt(PathBuf),
    /// It did not start.
    #[error("the simulator did not start: {0}")]
    Start(io::Error),
    /// It did not say where it listens.
    #[error("the simulator did not say where it listens; what it wrote was {0:?}")]
    NotReady(String),
    /// The admin port did not answer, or not as expected.
    #[error("the simulator's admin port: {0}")]
    Http(#[from] reqwest::Error),
    /// An order was refused.
    #[error("the simulator refused {method} {path} with {status}: {answer}")]
    Refused {
        /// The method.
        method: Method,
        /// The path.
        path: String,
        /// The status.
        status: StatusCode,
        /// What it said.
        answer: String,
    },
}

pub use answers::{
    Answers, ChannelAbsent, StartExists, StartNotCleared, TaskQuota, TaskQuotaExceeded, UpdateGone,
};
pub use client::Admin;
pub use crowd::Mark;
pub use types::{
    By, Call, Change, ChangeKind, Channel, Clock, FaultState, Filter, NewTask, Task, TaskState,
    Usage,
};

type Result<T> = std::result::Result<T, SimulatorError>;

/// What the simulator prints when it is ready.
#[derive(Debug, Clone, Deserialize)]
pub struct Addresses {
    /// `address:port` of the API.
    pub api: String,
    /// `address:port` of the admin port.
    pub admin: String,
    /// `address:port` of the metadata server, where it was asked for.
    #[serde(default)]
    pub metadata: Option<String>,
}

/// A running simulator. It ends with this value, also when the test panics.
#[derive(Debug)]
pub struct Simulator {
    process: Child,
    admin: Admin,
    addresses: Addresses,
}

impl Simulator {
    /// Starts the built simulator on free ports, with one account (`testid`, `testsecret`) that owns every application.
    ///
    /// # Errors
    /// Where it is not built, or does not come up.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// Starts it with further flags, for instance `--seed FILE`.
    ///
    /// # Errors
    /// Where it is not built, or does not come up.
    pub async fn start_with(flags: &[&str]) -> Result<Self> {
        let mut process = Command::new(binary()?)
            .args([
                "--listen",
                "127.0.0.1:0",
                "--admin",
                "127.0.0.1:0",
                "--until-stdin-closes",
            ])
            .args(flags)
            // Held open by this process: the simulator ends with it, however it ends.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(SimulatorError::Start)?;
        let mut line = String::new();
        if let Some(stdout) = process.stdout.take() {
            let mut reader = BufReader::new(stdout);
            match tokio::time::timeout(START, reader.read_line(&mut line)).await {
                Ok(read) => read.map(drop).map_err(SimulatorError::Start)?,
                Err(_) => return Err(SimulatorError::NotReady(line)),
            }
        }
        let addresses: Addresses =
            serde_json::from_str(&line).map_err(|_| SimulatorError::NotReady(line))?;
        let admin = Admin::new(&addresses.admin)?;
        Ok(Self {
            process,
            admin,
            addresses,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The endpoint of the API, `http://address:port`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addresses.api)
    }

    /// The admin port.
    #[must_use]
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.id()
    }
}

impl std::ops::Deref for Simulator {
    type Target = Admin;

    fn deref(&self) -> &Admin {
        &self.admin
    }
}

/// The binary beside the running test: in the `debug` or `release` folder above it.
fn binary() -> Result<PathBuf> {
    let test = std::env::current_exe().map_err(SimulatorError::Start)?;
    let profile = |folder: &&Path| {
        folder
            .file_name()
            .is_some_and(|name| name == "debug" || name == "release")
    };
    let folder = test
        .ancestors()
        .find(profile)
        .or_else(|| test.parent())
        .unwrap_or(&test);
    let binary = folder.join("live-simulator");
    if binary.is_file() {
        Ok(binary)
    } else {
        Err(SimulatorError::NotBuilt(binary))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn orders_and_reports() {
        let simulator = Simulator::start().await.unwrap();
        let started = simulator
            .start_task("app", "t", &NewTask::default())
            .await
            .unwrap();
        assert_eq!(started.state, TaskState::Running);
        assert_eq!(
            simulator.channel("app", "channel-t").await.unwrap().users,
            ["host"]
        );
        assert!(matches!(
            simulator.start_task("app", "t", &NewTask::default()).await,
            Err(SimulatorError::Refused {
                status: StatusCode::CONFLICT,
                ..
            })
        ));
        simulator
            .set_users("app", "channel-t", &[], &[])
            .await
            .unwrap();
        simulator.advance(121.0).await.unwrap();
        assert_eq!(
            simulator.task("app", "t").await.unwrap().stopped_by,
            Some(By::Auto)
        );
        assert_eq!(simulator.tasks().await.unwrap().len(), 1);
        let changes = simulator
            .history(&Filter {
                since: 1,
                ..Filter::default()
            })
            .await
            .unwrap();
        assert_eq!(
            changes
                .iter()
                .map(|change| change.change)
                .collect::<Vec<_>>(),
            [ChangeKind::Stopped]
        );

        let id = simulator
            .order_fault(&json!({"kind": "reset", "times": 3}))
            .await
            .unwrap();
        assert_eq!(simulator.faults_left(id).await.unwrap(), Some(3));
        simulator.remove_fault(id).await.unwrap();
        simulator.remove_faults().await.unwrap();
        simulator
            .set_switches(&json!({"stopGone": "ok"}))
            .await
            .unwrap();
        simulator
            .set_account("default", &json!({"denied": ["ListRtcMPUTaskDetail"]}))
            .await
            .unwrap();
        simulator
            .seed(&json!({"accounts": [{"id": "other"}]}))
            .await
            .unwrap();

        let all = Filter::default();
        reqwest::get(format!(
            "{}/?Action=StopLiveMPUTask&TaskId=t",
            simulator.endpoint()
        ))
        .await
        .unwrap();
        let filter = Filter::of("StopLiveMPUTask", "t");
        let calls = simulator
            .await_calls(&filter, 1, Duration::from_secs(10))
            .await
            .unwrap();
        assert_eq!(calls[0].status, Some(400));
        assert_eq!(simulator.calls(&all).await.unwrap(), calls);
        assert_eq!(simulator.quota().await.unwrap(), []);
        let clock = simulator.clock().await.unwrap();
        assert_eq!(
            clock.real_us(clock.monotonic_us),
            i128::from(clock.real_millis) * 1000
        );
        simulator.reset().await.unwrap();
        assert_eq!(simulator.tasks().await.unwrap(), []);
        assert_eq!(simulator.clock().await.unwrap().offset_millis, 0);
    }
}
