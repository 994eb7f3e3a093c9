//! The vendor's clients, driven through the script beside this file.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// The longest that one call may take; the script's own limit is shorter.
const LONGEST: Duration = Duration::from_mins(1);

/// One of the vendor's clients, in one of its modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    /// `alibabacloud_live20161101` as it is.
    NewV3,
    /// The same, told to sign with V1 (which it calls v2).
    NewV1,
    /// `aliyun-python-sdk-live`.
    OldV1,
}

impl Vendor {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::NewV3, Self::NewV1, Self::OldV1];

    /// Its name in the script and in what is told.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NewV3 => "new-v3",
            Self::NewV1 => "new-v1",
            Self::OldV1 => "old-v1",
        }
    }

    /// The signature that it sends, as the simulator's log names it.
    pub const fn signature(self) -> &'static str {
        match self {
            Self::NewV3 => "v3",
            Self::NewV1 | Self::OldV1 => "v1",
        }
    }
}

/// A call; further fields of the script's are set in `more`.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who calls.
    pub vendor: Vendor,
    /// The action.
    pub action: &'static str,
    /// Its parameters, structured ones as JSON.
    pub parameters: Value,
    /// Key id, secret and token.
    pub key: (&'static str, &'static str, Option<&'static str>),
    /// What else the script is told.
    pub more: Value,
}

impl Call {
    /// With the simulator's first key.
    pub fn new(vendor: Vendor, action: &'static str, parameters: Value) -> Self {
        Self {
            vendor,
            action,
            parameters,
            key: ("testid", "testsecret", None),
            more: json!({}),
        }
    }

    /// With another key.
    pub fn key(
        mut self,
        id: &'static str,
        secret: &'static str,
        token: Option<&'static str>,
    ) -> Self {
        self.key = (id, secret, token);
        self
    }

    /// With a further field of the script's.
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.more[field] = value.into();
        self
    }
}

/// What a client made of an answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Its result.
    Body(Value),
    /// The error that it raised.
    Error(VendorError),
}

/// An error as the client tells it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VendorError {
    /// The service's code, or the client's own.
    pub code: Option<String>,
    /// HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// Its words.
    pub message: Option<String>,
    /// The request's id.
    pub request_id: Option<String>,
    /// How long it would wait, in milliseconds.
    pub retry_after: Option<u64>,
}

/// The running script.
pub struct Clients {
    _process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    endpoint: String,
}

impl Clients {
    /// Starts the script against `endpoint`, `host:port`. Nothing of the caller's environment reaches it.
    pub fn start(python: &Path, endpoint: &str) -> Result<Self, String> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vendor/clients.py");
        let mut process = Command::new(python)
            .args(["-W", "ignore", script])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| error.to_string())?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("the script has no pipes".to_owned());
        };
        Ok(Self {
            _process: process,
            input,
            output: BufReader::new(output).lines(),
            endpoint: endpoint.to_owned(),
        })
    }

    /// One call.
    pub async fn call(&mut self, call: &Call) -> Result<Outcome, String> {
        let (id, secret, token) = call.key;
        let mut line = json!({
            "client": call.vendor.name(),
            "endpoint": self.endpoint,
            "action": call.action,
            "parameters": call.parameters,
            "key": {"id": id, "secret": secret, "token": token},
        });
        for (field, value) in call.more.as_object().into_iter().flatten() {
            line[field] = value.clone();
        }
        let line = format!("{line}\n");
        let exchange = async {
            self.input.write_all(line.as_bytes()).await?;
            self.output.next_line().await
        };
        let answer = tokio::time::timeout(LONGEST, exchange)
            .await
            .map_err(|_| format!("no answer of the script within {LONGEST:?}"))?
            .map_err(|error| error.to_string())?
            .ok_or("the script ended")?;
        serde_json::from_str(&answer).map_err(|error| format!("{error} in {answer}"))
    }
}
