//! The client of the admin port.

use std::time::Duration;

use reqwest::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Call, Change, Channel, Clock, FaultState, Filter, NewTask, Result, SimulatorError, Task, Usage,
};

/// A client of the admin port. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Admin {
    base: String,
    http: reqwest::Client,
}

/// A part of the call log.
#[derive(Deserialize)]
pub(super) struct Calls {
    /// The entries.
    pub calls: Vec<Call>,
    /// The sequence number of the next call.
    pub next: u64,
}

/// A part of the history.
#[derive(Deserialize)]
pub(super) struct Changes {
    /// The entries.
    pub changes: Vec<Change>,
    /// The sequence number of the next change.
    pub next: u64,
}

#[derive(Deserialize)]
struct Tasks {
    tasks: Vec<Task>,
}

#[derive(Deserialize)]
struct Usages {
    usage: Vec<Usage>,
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
        Ok(self.logged(filter).await?.calls)
    }

    pub(super) async fn logged(&self, filter: &Filter) -> Result<Calls> {
        self.get("/calls", filter).await
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
        Ok(self.changes(filter).await?.changes)
    }

    pub(super) async fn changes(&self, filter: &Filter) -> Result<Changes> {
        let filter = Filter {
            action: None,
            ..filter.clone()
        };
        self.get("/history", &filter).await
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

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &impl Serialize,
    ) -> Result<T> {
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
