//! No secret leaves the operator but to the service: not in a log at the most verbose level, an event, a status or a metric.

mod leaks;
mod tap;

pub use leaks::{decoded, leaks};
pub use tap::Tap;

use serde_json::{Value, json};
use support::relay::{Relay, STREAM_KEY, url};
use support::simulator::Filter;

use leaks::percent;

use crate::relay::short;
use crate::scene::{APP, Scene};

const SECRET: &str = "Q7k+Zr/9wXvT2Lm=c4nArYhY6dPz";
const OTHER_SECRET: &str = "b3Wg/uR+81=jNcOtHeRkEy5sVfTa";
const TOKEN: &str = "CAISv+Tok/3nC4naRy0=pLqWz7HsXe2&BdMf";

/// A scene at trace level with temporary credentials, behind a tap, and everything that it has shown.
struct Watched {
    scene: Scene,
    tap: Tap,
    signature: &'static str,
    shown: String,
}

impl Watched {
    async fn new(prefix: &str, secret: &str) -> Self {
        Self::signing("v1", prefix, secret).await
    }

    async fn signing(signature: &'static str, prefix: &str, secret: &str) -> Self {
        let simulator = support::Simulator::start().await.unwrap();
        let tap = Tap::before(simulator.addresses().api.clone()).await;
        let key = json!({"id": "STS.canary", "secret": SECRET, "token": TOKEN, "expiresAt": "2099-01-01T00:00:00Z"});
        let seed = json!({"accounts": [{"id": "default", "keys": [key], "apps": ["*"]}]});
        simulator.seed(&seed).await.unwrap();
        let mut scene = Scene::with(&format!("{prefix}-{signature}"), |launch| {
            short(launch)
                .flags(["--signature", signature])
                .endpoint(&format!("http://{}", tap.address))
                .credentials("STS.canary", secret)
                .env("ALIBABA_CLOUD_SECURITY_TOKEN", TOKEN)
                .log_filter("trace")
        })
        .await;
        scene.simulator = simulator;
        Self {
            scene,
            tap,
            signature,
            shown: String::new(),
        }
    }

    /// Keeps what the cluster and the metrics show now.
    async fn look(&mut self) {
        let objects = self
            .scene
            .kubectl(
                &["get", "mst,events", "-o", "json", "--show-managed-fields"],
                "",
            )
            .await;
        let mut objects: Value = serde_json::from_str(&objects).unwrap();
        for object in objects["items"].as_array_mut().unwrap() {
            // Its author may have put an address there.
            object.as_object_mut().unwrap().remove("spec");
        }
        self.shown.push_str(&objects.to_string());
        self.shown.push_str(&self.scene.operator.metrics().await);
    }

    /// Everything, from now on without change.
    async fn all(mut self) -> (String, Vec<String>) {
        self.look().await;
        self.scene.operator.terminate();
        self.scene.operator.wait(crate::scene::PATIENCE).await;
        let logs = String::from_utf8_lossy(&self.scene.operator.logs()).into_owned();
        assert!(logs.contains("\"TRACE\""), "the most verbose level is on");
        // What is scanned for was really used.
        let sent = self.tap.text();
        match self.signature {
            "v1" => assert!(sent.contains(&format!("&SecurityToken={}", percent(TOKEN)))),
            _ => assert!(sent.contains(&format!("x-acs-security-token: {TOKEN}\r\n"))),
        }
        let signatures = self.tap.signatures();
        let calls = self
            .scene
            .simulator
            .calls(&Filter::default())
            .await
            .unwrap();
        assert_eq!(signatures.len(), calls.len());
        self.shown.push_str(&logs);
        (self.shown, signatures)
    }
}

fn assert_clean(shown: &str, mut secrets: Vec<String>) {
    secrets.extend([SECRET, OTHER_SECRET, TOKEN].map(str::to_owned));
    let leaks = leaks(&secrets, shown);
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}

#[tokio::test]
async fn a_service_that_echoes_everything_gives_nothing_away() {
    echo("v1").await;
}

#[tokio::test]
async fn a_service_that_echoes_everything_gives_nothing_away_with_v3() {
    echo("v3").await;
}

async fn echo(signature: &'static str) {
    let mut watched = Watched::signing(signature, "echo", SECRET).await;
    let echo = format!(
        "got {SECRET}, {}, AccessKeySecret={SECRET}&SecurityToken={}, {TOKEN}",
        percent(SECRET),
        percent(&percent(TOKEN)),
    );
    let error = |status: u16, code: &str| json!({"action": "StopLiveMPUTask", "times": 1, "kind": "error", "status": status, "code": code, "message": echo});
    let faults: Vec<Value> = vec![
        error(400, "NobodyKnows"),
        error(403, "Forbidden"),
        error(429, "Throttling.User"),
        error(503, "ServiceUnavailable"),
        json!({"action": "StopLiveMPUTask", "times": 1, "kind": "error", "status": 400, "code": echo, "message": "m"}),
        json!({"action": "StopLiveMPUTask", "times": 1, "kind": "error", "status": 502, "contentType": "text/html", "body": echo}),
        json!({"action": "StopLiveMPUTask", "times": 1, "kind": "torn"}),
        json!({"action": "StopLiveMPUTask", "times": 1, "kind": "reset", "when": "before"}),
    ];
    let failures = faults.len();
    let scene = &watched.scene;
    for fault in faults {
        scene.simulator.order_fault(&fault).await.unwrap();
    }
    scene.start_task("x").await;
    scene.create("x").await;
    scene.until_reason("x", "Armed").await;
    scene.delete("x").await;
    for reason in ["RequestRejected", "AccessDenied"] {
        scene
            .until("x", reason, |object| {
                let conditions = object.status.as_ref().map(|status| &status.conditions);
                conditions.is_some_and(|all| all.iter().any(|one| one.reason == reason))
            })
            .await;
    }
    watched.look().await;
    watched.scene.until_gone("x").await;
    assert_eq!(
        watched.scene.calls("StopLiveMPUTask", "x").await,
        failures + 1
    );
    let (shown, signatures) = watched.all().await;
    assert_clean(&shown, signatures);
}

/// The service answers a wrong signature with the string that it signed, which holds the token.
#[tokio::test]
async fn a_refused_signature_is_not_shown() {
    mismatch("v1").await;
}

#[tokio::test]
async fn a_refused_signature_is_not_shown_with_v3() {
    mismatch("v3").await;
}

async fn mismatch(signature: &'static str) {
    let mut watched = Watched::signing(signature, "mismatch", OTHER_SECRET).await;
    let scene = &watched.scene;
    scene.start_task("x").await;
    scene.create("x").await;
    scene.until_reason("x", "Armed").await;
    scene.delete("x").await;
    scene.until_reason("x", "CredentialsRejected").await;
    let filter = Filter::of("StopLiveMPUTask", "x");
    let calls = scene
        .simulator
        .await_calls(&filter, 3, crate::scene::PATIENCE)
        .await
        .unwrap();
    assert!(
        calls.len() >= 3
            && calls
                .iter()
                .all(|call| call.violation.as_deref() == Some("signature")),
        "{calls:?}"
    );
    watched.look().await;
    let (shown, signatures) = watched.all().await;
    assert!(
        shown.contains("the service refuses the signature"),
        "what is wrong is told, without what was sent"
    );
    assert_clean(&shown, signatures);
}

/// The addresses of a relay, from a Secret or from the spec, which the service repeats in whatever it answers.
#[tokio::test]
async fn a_service_that_echoes_addresses_gives_no_stream_key_away() {
    let mut watched = Watched::new("streams", SECRET).await;
    let scene = &watched.scene;
    let address = [("url", &*url("x"))];
    scene
        .cluster
        .put_secret(&scene.namespace, "push", &address)
        .await;
    let order = async |action: &str, task: &str, status: u16, code: &str| {
        let echo = format!(
            "got StreamURL={0}, {1}, {2}, /live/{task}-{STREAM_KEY}, auth_key: 1-2-3-{STREAM_KEY}",
            url(task),
            percent(&url(task)),
            percent(&percent(&url(task))),
        );
        let mut fault = json!({"action": action, "times": 1, "kind": "error", "status": status, "code": code, "message": echo});
        if action.ends_with("LiveMPUTask") {
            fault["taskId"] = json!(task);
        } else {
            // Nobody tells these calls which addresses there are: they are known by their form.
            let (addresses, _) = echo.split_once(", /live").unwrap();
            fault["message"] = json!(addresses);
        }
        scene.simulator.order_fault(&fault).await.unwrap();
    };
    order("ListRTCLiveRooms", "x", 503, "ServiceUnavailable").await;
    for task in ["x", "y"] {
        for action in ["StartLiveMPUTask", "UpdateLiveMPUTask"] {
            order(action, task, 400, "NobodyKnows").await;
            order(action, task, 403, "Forbidden").await;
        }
        // Nobody knows whether this one has started.
        order("StartLiveMPUTask", task, 500, "InternalError").await;
        scene.join(task).await;
    }
    order("ListRtcMPUTaskDetail", "y", 503, "ServiceUnavailable").await;
    let x = Relay::single(APP, "x").task_id("x");
    scene.relay(x.url_from("push", "url")).await;
    scene.relay(Relay::single(APP, "y").task_id("y")).await;
    for task in ["x", "y"] {
        scene.until_reason(task, "Running").await;
        let user = json!({"spec": {"relay": {"single": {"userId": "guest"}}}});
        let changed = scene.merge(task, user).await;
        for reason in ["RequestRejected", "AccessDenied", "Running"] {
            scene
                .until(task, reason, |object| {
                    let status = object.status.as_ref().unwrap();
                    status.observed_generation == changed.metadata.generation
                        && crate::scene::reason(object) == reason
                })
                .await;
        }
    }
    watched.look().await;
    for task in ["x", "y"] {
        watched.scene.delete(task).await;
    }
    watched.scene.until_gone("x").await;
    watched.scene.until_gone("y").await;
    assert!(watched.tap.text().contains(&percent(STREAM_KEY)));
    let (shown, mut secrets) = watched.all().await;
    assert!(
        shown.contains("got StreamURL="),
        "the service's words are told"
    );
    secrets.push(STREAM_KEY.to_owned());
    assert_clean(&shown, secrets);
}

/// A life in which nothing goes wrong, with addresses from a Secret and from the spec.
#[tokio::test]
async fn a_life_without_faults_gives_nothing_away() {
    plain_life("v1").await;
}

#[tokio::test]
async fn a_life_without_faults_gives_nothing_away_with_v3() {
    plain_life("v3").await;
}

async fn plain_life(signature: &'static str) {
    let mut watched = Watched::signing(signature, "plain", SECRET).await;
    let scene = &watched.scene;
    let address = [("url", &*url("x"))];
    scene
        .cluster
        .put_secret(&scene.namespace, "push", &address)
        .await;
    for task in ["x", "y"] {
        scene.join(task).await;
    }
    let x = Relay::single(APP, "x").task_id("x");
    scene.relay(x.url_from("push", "url")).await;
    scene.relay(Relay::mixed(APP, "y").task_id("y")).await;
    for task in ["x", "y"] {
        scene.until_reason(task, "Running").await;
    }
    // Another key behind the same name, and a break.
    let other = url("other");
    scene
        .cluster
        .put_secret(&scene.namespace, "push", &[("url", &*other)])
        .await;
    scene.until_calls("UpdateLiveMPUTask", "x", 1).await;
    scene
        .merge("y", json!({"spec": {"desiredState": "Stopped"}}))
        .await;
    scene.until_reason("y", "Stopped").await;
    watched.look().await;
    for task in ["x", "y"] {
        watched.scene.end(task).await;
    }
    assert!(watched.tap.text().contains(&percent(STREAM_KEY)));
    let (shown, mut secrets) = watched.all().await;
    secrets.push(STREAM_KEY.to_owned());
    assert_clean(&shown, secrets);
}

/// What is no answer at all repeats the request, too: at every level of the log, cut off, in a redirect, and as a page of a proxy.
#[tokio::test]
async fn a_service_that_answers_nonsense_gives_nothing_away() {
    let mut watched = Watched::new("nonsense", SECRET).await;
    let scene = &watched.scene;
    let echo = format!(
        "<html>{SECRET} {TOKEN} {} {}</html>",
        url("x"),
        percent(&percent(&url("x")))
    );
    let location = format!(
        "http://127.0.0.1:9/?StreamURL={}&SecurityToken={}",
        percent(&url("x")),
        percent(TOKEN)
    );
    let faults = [
        json!({"kind": "error", "status": 502, "contentType": "text/html", "body": echo}),
        json!({"kind": "error", "status": 307, "headers": {"location": location}, "body": echo}),
        json!({"kind": "error", "status": 400, "body": format!("<Error><Code>{SECRET}</Code><Message>{echo}</Message></Error>"), "contentType": "text/xml"}),
        json!({"kind": "error", "status": 400, "body": format!("{{\"Code\":\"InvalidParam\",\"Message\":\"{}", url("x"))}),
        json!({"kind": "wrongJson"}),
        json!({"kind": "foreignReply"}),
        json!({"kind": "torn"}),
    ];
    let count = faults.len();
    for action in ["UpdateLiveMPUTask", "StopLiveMPUTask"] {
        for fault in &faults {
            let mut fault = fault.clone();
            fault["action"] = json!(action);
            fault["times"] = json!(1);
            scene.simulator.order_fault(&fault).await.unwrap();
        }
    }
    scene.join("x").await;
    scene.relay(Relay::single(APP, "x").task_id("x")).await;
    scene.until_reason("x", "Running").await;
    let user = json!({"spec": {"relay": {"single": {"userId": "guest"}}}});
    scene.merge("x", user).await;
    scene.until_calls("UpdateLiveMPUTask", "x", count + 1).await;
    watched.look().await;
    watched.scene.end("x").await;
    assert_eq!(watched.scene.calls("StopLiveMPUTask", "x").await, count + 1);
    let (shown, mut secrets) = watched.all().await;
    secrets.push(STREAM_KEY.to_owned());
    assert_clean(&shown, secrets);
}
