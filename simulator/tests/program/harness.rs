//! Starts the simulator, signs calls, and tells exactly how an exchange ended.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use hmac::{KeyInit as _, Mac as _};
use serde_json::{Value, json};

/// Long enough for a busy machine, short enough for a test that fails.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Sim {
    pub child: Child,
    pub api: String,
    pub admin: String,
    /// Of the machine's metadata server; empty where there is none.
    pub metadata: String,
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub fn code(&self) -> String {
        self.json()["Code"].as_str().unwrap_or_default().to_owned()
    }
}

/// How an exchange ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    Answer(Answer),
    /// Less came than was announced.
    Torn(Answer),
    Closed,
    Reset,
    Silence,
}

impl Outcome {
    pub fn answer(self) -> Answer {
        match self {
            Self::Answer(answer) => answer,
            other @ (Self::Torn(_) | Self::Closed | Self::Reset | Self::Silence) => {
                panic!("{other:?}")
            }
        }
    }
}

/// One signed call, to be bent before it is sent.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: &'static str,
    pub params: BTreeMap<String, String>,
    /// Names that travel in a form body.
    pub in_body: Vec<&'static str>,
    pub secret: String,
    pub patience: Duration,
}

pub fn nonce() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!(
        "n-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

pub fn date(offset_seconds: i64) -> String {
    let now = jiff::Timestamp::now().as_second() + offset_seconds;
    jiff::Timestamp::from_second(now).unwrap().to_string()
}

pub fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

pub fn pairs<'a>(params: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    params
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
        .collect::<Vec<_>>()
        .join("&")
}

impl Call {
    pub fn new(action: &str, own: &[(&str, &str)]) -> Self {
        let mut params: BTreeMap<String, String> = [
            ("Action", action),
            ("Version", "2016-11-01"),
            ("Format", "JSON"),
            ("AccessKeyId", "testid"),
            ("SignatureMethod", "HMAC-SHA1"),
            ("SignatureVersion", "1.0"),
        ]
        .into_iter()
        .chain(own.iter().copied())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        params.insert("SignatureNonce".to_owned(), nonce());
        params.insert("Timestamp".to_owned(), date(0));
        Self {
            method: "POST",
            params,
            in_body: Vec::new(),
            secret: "testsecret".to_owned(),
            patience: PATIENCE,
        }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.params.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.params.remove(name);
        self
    }

    pub fn string_to_sign(&self) -> String {
        format!("{}&%2F&{}", self.method, escape(&pairs(self.params.iter())))
    }

    pub fn signature(&self) -> String {
        let key = format!("{}&", self.secret);
        let mut mac = hmac::Hmac::<sha1::Sha1>::new_from_slice(key.as_bytes()).unwrap();
        mac.update(self.string_to_sign().as_bytes());
        base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())
    }

    /// The request on the wire.
    pub fn request(&self) -> String {
        self.request_signed(&self.signature())
    }

    pub fn request_signed(&self, signature: &str) -> String {
        let in_body = |name: &String| self.in_body.iter().any(|other| other == name);
        let query = pairs(self.params.iter().filter(|(name, _)| !in_body(name)));
        let body = pairs(self.params.iter().filter(|(name, _)| in_body(name)));
        let form = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/x-www-form-urlencoded\r\n"
        };
        format!(
            "{} /?{query}&Signature={} HTTP/1.1\r\nHost: live.test\r\nConnection: close\r\n{form}Content-Length: {}\r\n\r\n{body}",
            self.method,
            escape(signature),
            body.len()
        )
    }

    pub fn send(&self, sim: &Sim) -> Outcome {
        exchange(&sim.api, &self.request(), self.patience)
    }
}

/// The least that a mixed task needs.
const MIXED: &str = r#"{"EncodeParams":{"AudioOnly":"true","AudioBitrate":"128","AudioSampleRate":"48000","AudioChannels":"2"}}"#;
/// An output.
pub const URL: &str = "rtmp://push.example.com/live/a?auth_key=1";

/// A Start of a mixed task in the channel `c`.
pub fn start(task: &str, url: &str) -> Call {
    let own = [
        ("AppId", "app"),
        ("ChannelId", "c"),
        ("TaskId", task),
        ("MixMode", "1"),
        ("TranscodeParams", MIXED),
        ("StreamURL", url),
    ];
    Call::new("StartLiveMPUTask", &own)
}

/// The Update of the same.
pub fn update(task: &str, url: &str) -> Call {
    start(task, url).with("Action", "UpdateLiveMPUTask")
}

/// Sends bytes and reads until the other side is done.
pub fn exchange(address: &str, request: &str, patience: Duration) -> Outcome {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(patience)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut received = Vec::new();
    match stream.read_to_end(&mut received) {
        Ok(_) => understand(&received),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Outcome::Reset,
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Outcome::Silence
        }
        Err(error) => panic!("{error}"),
    }
}

fn understand(received: &[u8]) -> Outcome {
    if received.is_empty() {
        return Outcome::Closed;
    }
    let text = String::from_utf8(received.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let headers: BTreeMap<String, String> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let announced: usize = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let answer = Answer {
        status,
        headers,
        body: body.to_owned(),
    };
    if body.len() < announced {
        Outcome::Torn(answer)
    } else {
        Outcome::Answer(answer)
    }
}

impl Sim {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    pub fn start_with(flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_live-simulator"))
            .args([
                "--listen",
                "127.0.0.1:0",
                "--admin",
                "127.0.0.1:0",
                "--until-stdin-closes",
            ])
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready: Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("not ready: {line}"));
        let address = |name: &str| ready[name].as_str().unwrap().to_owned();
        Self {
            api: address("api"),
            admin: address("admin"),
            metadata: ready["metadata"].as_str().unwrap_or_default().to_owned(),
            child,
        }
    }

    /// A signed call with the first key.
    pub fn call(&self, action: &str, own: &[(&str, &str)]) -> Answer {
        Call::new(action, own).send(self).answer()
    }

    pub fn stop(&self, task: &str) -> Answer {
        self.call("StopLiveMPUTask", &[("AppId", "app"), ("TaskId", task)])
    }

    pub fn list(&self, task: &str) -> Answer {
        self.call(
            "ListRtcMPUTaskDetail",
            &[("AppId", "app"), ("TaskId", task)],
        )
    }

    pub fn order(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = body.to_string();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        exchange(&self.admin, &request, PATIENCE).answer()
    }

    /// An order that has to be accepted.
    pub fn admin(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.order(method, path, body);
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.body);
        answer.json()
    }

    pub fn get(&self, path: &str) -> Value {
        self.admin("GET", path, &json!({}))
    }

    pub fn switch(&self, switches: &Value) {
        self.admin("PATCH", "/switches", switches);
    }

    pub fn run_task(&self, task: &str) {
        self.admin("PUT", &format!("/apps/app/tasks/{task}"), &json!({}));
    }

    pub fn users(&self, channel: &str, users: &[&str]) {
        self.admin(
            "PUT",
            &format!("/apps/app/channels/{channel}"),
            &json!({"users": users}),
        );
    }

    pub fn state(&self, task: &str) -> String {
        self.get(&format!("/apps/app/tasks/{task}"))["state"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub fn advance(&self, seconds: f64) {
        self.admin("POST", "/clock", &json!({"advanceSeconds": seconds}));
    }

    /// Orders a fault for Stop, once; answers with its id.
    pub fn fault(&self, mut fault: Value) -> u64 {
        if fault.get("times").is_none() {
            fault["times"] = json!(1);
        }
        self.admin("POST", "/faults", &fault)["id"]
            .as_u64()
            .unwrap()
    }

    /// The log, once so many calls have ended.
    pub fn ended(&self, at_least: usize) -> Vec<Value> {
        let path = format!("/calls?atLeast={at_least}&withinMs=20000");
        let calls = self.get(&path)["calls"].as_array().unwrap().clone();
        let ended = calls.iter().filter(|call| !call["endUs"].is_null()).count();
        assert!(ended >= at_least, "{ended} of {at_least} calls have ended");
        calls
    }

    pub fn last_call(&self) -> Value {
        self.get("/calls")["calls"]
            .as_array()
            .unwrap()
            .last()
            .unwrap()
            .clone()
    }

    /// Waits for a condition that the simulator brings about by itself.
    pub fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = std::time::Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(std::time::Instant::now() < deadline, "never: {what}");
            std::thread::yield_now();
        }
    }
}
