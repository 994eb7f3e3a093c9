//! The operator as a process of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use serde::Deserialize;

use crate::{Process, binary, eventually, process};

/// How long the operator may take for what it does in a moment on an idle machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// How an operator is to be started. Nothing of the caller's environment reaches it.
#[derive(Debug, Clone)]
pub struct Launch {
    kubeconfig: PathBuf,
    endpoint: String,
    namespaces: Vec<String>,
    credentials: Option<(String, String)>,
    log_format: &'static str,
    log_filter: String,
    listen: String,
    allow_http: bool,
    flags: Vec<String>,
    environment: Vec<(String, String)>,
}

/// A running operator. It ends with this value, or with this process.
#[derive(Debug)]
pub struct Operator {
    launch: Launch,
    process: Process,
    listen: SocketAddr,
    http: reqwest::Client,
    /// What its earlier processes wrote.
    earlier: Vec<u8>,
}

#[derive(Deserialize)]
struct Started {
    listen: SocketAddr,
}

impl Launch {
    /// With the simulator's default credentials, on a free port, for all namespaces, logging in JSON form from `debug` on.
    #[must_use]
    pub fn new(kubeconfig: &Path, endpoint: &str) -> Self {
        Self {
            kubeconfig: kubeconfig.to_owned(),
            endpoint: endpoint.to_owned(),
            namespaces: Vec::new(),
            credentials: Some(("testid".to_owned(), "testsecret".to_owned())),
            log_format: "json",
            log_filter: "info,mixed_stream_operator=debug".to_owned(),
            listen: "127.0.0.1:0".to_owned(),
            allow_http: true,
            flags: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Watches one more namespace instead of all.
    #[must_use]
    pub fn namespace(mut self, name: &str) -> Self {
        self.namespaces.push(name.to_owned());
        self
    }

    /// Other credentials: key id and secret.
    #[must_use]
    pub fn credentials(mut self, id: &str, secret: &str) -> Self {
        self.credentials = Some((id.to_owned(), secret.to_owned()));
        self
    }

    /// No credentials.
    #[must_use]
    pub fn no_credentials(mut self) -> Self {
        self.credentials = None;
        self
    }

    /// Another kubeconfig.
    #[must_use]
    pub fn kubeconfig(mut self, path: &Path) -> Self {
        path.clone_into(&mut self.kubeconfig);
        self
    }

    /// Another endpoint of the Live API.
    #[must_use]
    pub fn endpoint(mut self, endpoint: &str) -> Self {
        endpoint.clone_into(&mut self.endpoint);
        self
    }

    /// Another log filter.
    #[must_use]
    pub fn log_filter(mut self, filter: &str) -> Self {
        filter.clone_into(&mut self.log_filter);
        self
    }

    /// Logs as text. [`Launch::start`] needs JSON.
    #[must_use]
    pub fn text(mut self) -> Self {
        self.log_format = "text";
        self
    }

    /// Another address for probes and metrics.
    #[must_use]
    pub fn listen(mut self, address: &str) -> Self {
        address.clone_into(&mut self.listen);
        self
    }

    /// Without `--allow-http`.
    #[must_use]
    pub fn https_only(mut self) -> Self {
        self.allow_http = false;
        self
    }

    /// Further flags, `["--backoff-min", "100ms"]` for instance. One that was given before gets its new value.
    #[must_use]
    pub fn flags<'a>(mut self, flags: impl IntoIterator<Item = &'a str>) -> Self {
        for flag in flags {
            let is_name = flag.starts_with("--");
            if is_name && let Some(at) = self.flags.iter().position(|given| given == flag) {
                let rest = self.flags[at + 1..].iter();
                let values = rest.take_while(|given| !given.starts_with("--")).count();
                self.flags.drain(at..=at + values);
            }
            self.flags.push(flag.to_owned());
        }
        self
    }

    /// One more environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the process and waits for nothing: it may be one that refuses to start.
    #[must_use]
    pub fn process(&self) -> Process {
        let mut command = process::tied(&binary("mixed-stream-operator"));
        command
            .env_clear()
            .env("KUBECONFIG", &self.kubeconfig)
            .arg("run")
            .args(["--live-endpoint", &self.endpoint])
            .args(["--listen", &self.listen])
            .args(["--log-format", self.log_format])
            .args(["--log-filter", &self.log_filter]);
        if self.allow_http {
            command
                .arg("--allow-http")
                // Whoever serves the Live API of a test serves STS, too.
                .env("ALIBABA_CLOUD_STS_ENDPOINT", &self.endpoint);
        }
        if !self.namespaces.is_empty() {
            command.args(["--namespaces", &self.namespaces.join(",")]);
        }
        if let Some((id, secret)) = &self.credentials {
            command
                .env("ALIBABA_CLOUD_ACCESS_KEY_ID", id)
                .env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", secret);
        }
        command.args(&self.flags);
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        Process::start("the operator", command)
    }

    /// Starts it and waits until it says where it listens. It may not be ready yet.
    pub async fn start(self) -> Operator {
        // Fails where the process has a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .expect("an HTTP client");
        let (process, listen) = self.started().await;
        Operator {
            launch: self,
            process,
            listen,
            http,
            earlier: Vec::new(),
        }
    }

    async fn started(&self) -> (Process, SocketAddr) {
        let mut process = self.process();
        let line = process
            .wait_for_line("\"message\":\"started\"", PATIENCE)
            .await;
        let started: Started =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"));
        (process, started.listen)
    }
}

impl Operator {
    /// Where probes and metrics are served.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Status code and text of a path of its own port.
    ///
    /// # Errors
    /// When there was no answer; says why.
    pub async fn get(&self, path: &str) -> Result<(u16, String), String> {
        let url = format!("http://{}{path}", self.listen);
        let answer = self.http.get(url).send().await;
        let answer = answer.map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        let text = answer.text().await.map_err(|error| error.to_string())?;
        Ok((status, text))
    }

    /// Waits until it is ready.
    pub async fn ready(&self) {
        eventually("the operator is ready", PATIENCE, async || {
            match self.get("/readyz").await {
                Ok((200, _)) => Ok(()),
                other => Err((other, self.process.last_lines())),
            }
        })
        .await;
    }

    /// Every metric, as text.
    pub async fn metrics(&self) -> String {
        match self.get("/metrics").await {
            Ok((200, text)) => text,
            other => panic!("no metrics: {other:?}\n{}", self.process.last_lines()),
        }
    }

    /// The sum of a metric's samples that have these labels, whatever others they have; 0 where there is none. `name` is the
    /// sample's whole name, for instance `mixed_stream_live_calls_total`.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let wanted = |line: &&str| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with([' ', '{']))
                && labels
                    .iter()
                    .all(|(label, value)| line.contains(&format!("{label}=\"{value}\"")))
        };
        let value = |line: &str| {
            let value = line.rsplit(' ').next().unwrap_or_default();
            value
                .parse::<f64>()
                .unwrap_or_else(|error| panic!("{error} in {line:?}"))
        };
        self.metrics().await.lines().filter(wanted).map(value).sum()
    }

    /// All bytes that it wrote to both streams so far, those of its earlier processes included.
    #[must_use]
    pub fn logs(&self) -> Vec<u8> {
        let mut logs = self.earlier.clone();
        logs.extend(self.process.stdout());
        logs.extend(self.process.stderr());
        logs
    }

    /// Sends SIGTERM.
    pub fn terminate(&mut self) {
        self.process.terminate();
    }

    /// Kills it with SIGKILL and waits for the end.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Waits for the end.
    pub async fn wait(&mut self, timeout: Duration) -> ExitStatus {
        self.process.wait(timeout).await
    }

    /// Kills it if it still runs, and starts it again in the same way, on a port of its own choice.
    pub async fn restart(&mut self) {
        self.kill().await;
        self.earlier = self.logs();
        (self.process, self.listen) = self.launch.started().await;
    }
}
