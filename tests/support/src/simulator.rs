//! The simulator of the Live API as a process of its own, and a typed client of its admin port. The page on the simulator
//! says what each order and field means.

mod types;

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
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
}

/// A running simulator. It ends with this value, also when the test panics.
#[derive(Debug)]
pub struct Simulator {
    process: Child,
    admin: Admin,
    addresses: Addresses,
}

/// A client of the admin port. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Admin {
    base: String,
    http: reqwest::Client,
}

#[derive(Deserialize)]
struct Calls {
    calls: Vec<Call>,
}

#[derive(Deserialize)]
struct Changes {
    changes: Vec<Change>,
}

#[derive(Deserialize)]
struct Tasks {
    tasks: Vec<Task>,
}

#[derive(Deserialize)]
struct Usages {
    usage: Vec<Usage>,
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
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(flags)
            .stdin(Stdio::null())
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

impl Admin {
    /// A client of the admin port at `address:port`.
    ///
    /// # Errors
    /// Where no HTTP client can be made.
    pub fn new(address: &str) -> Result<Self> {
        // Fails where the process has a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_mins(1))
            .build()?;
        Ok(Self {
            base: format!("http://{address}"),
            http,
        })
    }

    /// Makes a running task.
    ///
    /// # Errors
    /// Where the task runs already or its output is in use.
    pub async fn start_task(&self, app: &str, task: &str, new: &NewTask) -> Result<Task> {
        self.order(
            Method::PUT,
            &format!("/apps/{app}/tasks/{task}"),
            &json!(new),
        )
        .await
    }

    /// Stops a running task, as somebody else would.
    ///
    /// # Errors
    /// Where it does not run.
    pub async fn stop_task(&self, app: &str, task: &str) -> Result<Task> {
        self.order(
            Method::DELETE,
            &format!("/apps/{app}/tasks/{task}"),
            &Value::Null,
        )
        .await
    }

    /// A task, running or stopped.
    ///
    /// # Errors
    /// Where there never was one.
    pub async fn task(&self, app: &str, task: &str) -> Result<Task> {
        self.get(&format!("/apps/{app}/tasks/{task}"), &()).await
    }

    /// Every task.
    ///
    /// # Errors
    /// Where the admin port does not answer.
    pub async fn tasks(&self) -> Result<Vec<Task>> {
        Ok(self.get::<Tasks>("/tasks", &()).await?.tasks)
    }

    /// Says who is in a channel from now on.
    ///
    /// # Errors
    /// Where the admin port does not answer.
    pub async fn set_users(
        &self,
        app: &str,
        channel: &str,
        users: &[&str],
        viewers: &[&str],
    ) -> Result<Channel> {
        let body = json!({"users": users, "viewers": viewers});
        self.order(
            Method::PUT,
            &format!("/apps/{app}/channels/{channel}"),
            &body,
        )
        .await
    }

    /// Who is in a channel.
    ///
    /// # Errors
    /// Where the admin port does not answer.
    pub async fn channel(&self, app: &str, channel: &str) -> Result<Channel> {
        self.get(&format!("/apps/{app}/channels/{channel}"), &())
            .await
    }

    /// The clocks.
    ///
    /// # Errors
    /// Where the admin port does not answer.
    pub async fn clock(&self) -> Result<Clock> {
        self.get("/clock", &()).await
    }

    /// Moves simulated time.
    ///
    /// # Errors
    /// Where it would leave the range of calendars.
    pub async fn advance(&self, seconds: f64) -> Result<Clock> {
        self.order(Method::POST, "/clock", &json!({"advanceSeconds": seconds}))
            .await
    }

    /// Sets switches, for instance `json!({"stopGone": "noSuchTask"})`.
    ///
    /// # Errors
    /// Where there is no such switch or value.
    pub async fn set_switches(&self, switches: &Value) -> Result<Value> {
        self.order(Method::PATCH, "/switches", switches).await
    }

    /// Replaces fields of an account, for instance `json!({"serviceEnabled": false})`.
    ///
    /// # Errors
    /// Where there is no such account or field.
    pub async fn set_account(&self, id: &str, fields: &Value) -> Result<()> {
        self.order::<Value>(Method::PATCH, &format!("/accounts/{id}"), fields)
            .await
            .map(drop)
    }

    /// Adds or replaces accounts and channels.
    ///
    /// # Errors
    /// Where the seed is not valid.
    pub async fn seed(&self, seed: &Value) -> Result<()> {
        self.order::<Value>(Method::POST, "/seed", seed)
            .await
            .map(drop)
    }

    /// Orders a fault, for instance `json!({"action": "StopLiveMPUTask", "times": 1, "kind": "reset", "when": "after"})`, and
    /// answers with its id.
    ///
    /// # Errors
    /// Where the order is not valid.
    pub async fn order_fault(&self, fault: &Value) -> Result<u64> {
        Ok(self
            .order::<FaultState>(Method::POST, "/faults", fault)
            .await?
            .id)
    }

    /// How far a fault has been served.
    ///
    /// # Errors
    /// Where there is no such fault.
    pub async fn fault(&self, id: u64) -> Result<FaultState> {
        self.get(&format!("/faults/{id}"), &()).await
    }

    /// How often a fault will still fire; None: until removed.
    ///
    /// # Errors
    /// Where there is no such fault.
    pub async fn faults_left(&self, id: u64) -> Result<Option<u64>> {
        Ok(self.fault(id).await?.left)
    }

    /// Removes a fault.
    ///
    /// # Errors
    /// Where there is no such fault.
    pub async fn remove_fault(&self, id: u64) -> Result<()> {
        self.order::<Value>(Method::DELETE, &format!("/faults/{id}"), &Value::Null)
            .await
            .map(drop)
    }

    /// Removes all faults.
    ///
    /// # Errors
    /// Where the admin port does not answer.
    pub async fn remove_faults(&self) -> Result<()> {
        self.order::<Value>(Method::DELETE, "/faults", &Value::Null)
            .await
            .map(drop)
    }

    /// The call log.
    ///
    /// # Errors
    /// Where the admin port does not answer.
    pub async fn calls(&self, filter: &Filter) -> Result<Vec<Call>> {
        Ok(self.get::<Calls>("/calls", filter).await?.calls)
    }

    /// The call log as soon as this many such calls have ended, or after this time.
    ///
    /// # Errors
    /// Where the admin port does not answer.
    pub async fn await_calls(
        &self,
        filter: &Filter,
        at_least: usize,
        within: Duration,
    ) -> Result<Vec<Call>> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Wait<'a> {
            #[serde(flatten)]
            filter: &'a Filter,
            at_least: usize,
            within_ms: u128,
        }
        let wait = Wait {
            filter,
            at_least,
            within_ms: within.as_millis(),
        };
        Ok(self.get::<Calls>("/calls", &wait).await?.calls)
    }

    /// What happened to tasks; of a filter `since`, `app_id` and `task_id` count.
    ///
    /// # Errors
    /// Where the admin port does not answer.
    pub async fn history(&self, filter: &Filter) -> Result<Vec<Change>> {
        let filter = Filter {
            action: None,
            ..filter.clone()
        };
        Ok(self.get::<Changes>("/history", &filter).await?.changes)
    }

    /// What each account did with each action.
    ///
    /// # Errors
    /// Where the admin port does not answer.
    pub async fn quota(&self) -> Result<Vec<Usage>> {
        Ok(self.get::<Usages>("/quota", &()).await?.usage)
    }

    /// Everything as after the start.
    ///
    /// # Errors
    /// Where the admin port does not answer.
    pub async fn reset(&self) -> Result<()> {
        self.order::<Value>(Method::POST, "/reset", &Value::Null)
            .await
            .map(drop)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, query: &impl Serialize) -> Result<T> {
        self.send(
            Method::GET,
            path,
            self.http.get(format!("{}{path}", self.base)).query(query),
        )
        .await
    }

    async fn order<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<T> {
        let request = self
            .http
            .request(method.clone(), format!("{}{path}", self.base));
        let request = if body.is_null() {
            request
        } else {
            request.json(body)
        };
        self.send(method, path, request).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        request: reqwest::RequestBuilder,
    ) -> Result<T> {
        let response = request.send().await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response.json().await?);
        }
        let answer = response.text().await?;
        Err(SimulatorError::Refused {
            method,
            path: path.to_owned(),
            status,
            answer,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
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
