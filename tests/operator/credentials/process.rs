//! RRSA from the environment, with the operator as a process.

use serde_json::{Value, json};
use support::{Launch, Simulator, eventually};

use super::{Pod, SIGNATURE, claims, fetches, token, trust};
use crate::metrics::{assert_closed, assert_shows_fetched_credentials};
use crate::oracle::{STOP, of_action};
use crate::scene::{PATIENCE, Scene, cluster, quick};
use crate::secrets::{Tap, decoded, leaks};

/// A scene whose operator has the pod's role and no key.
pub async fn scene(pod: &Pod, prefix: &str, change: impl FnOnce(Launch) -> Launch) -> Scene {
    let simulator = Simulator::start().await.unwrap();
    let endpoint = simulator.endpoint();
    scene_at(pod, prefix, simulator, endpoint, change).await
}

/// The same by another way to the simulator.
async fn scene_at(
    pod: &Pod,
    prefix: &str,
    simulator: Simulator,
    endpoint: String,
    change: impl FnOnce(Launch) -> Launch,
) -> Scene {
    let cluster = cluster().await;
    let namespace = cluster.namespace(prefix).await;
    trust(&simulator).await;
    let launch = quick(Launch::new(cluster.kubeconfig(), &endpoint)).namespace(&namespace);
    let operator = change(pod.launch(launch, &endpoint)).start().await;
    operator.ready().await;
    Scene {
        cluster,
        namespace,
        simulator,
        operator,
    }
}

#[tokio::test]
async fn a_role_stops_tasks_and_shows_no_secret() {
    let pod = Pod::new();
    let simulator = Simulator::start().await.unwrap();
    let tap = Tap::before(simulator.addresses().api.clone()).await;
    let endpoint = format!("http://{}", tap.address);
    let verbose = |launch: Launch| launch.log_filter("trace");
    let mut scene = scene_at(&pod, "rrsa", simulator, endpoint, verbose).await;
    scene.start_task("x").await;
    scene.create("x").await;
    scene.until_reason("x", "Armed").await;
    // It is there before it is needed.
    eventually("the triple is fetched", PATIENCE, async || {
        let calls = fetches(&scene.simulator).await;
        let is_done = calls.iter().any(|call| call.end_us.is_some());
        if is_done { Ok(()) } else { Err(calls) }
    })
    .await;
    scene.delete("x").await;
    scene.until_gone("x").await;
    let stops = scene.simulator.calls(&of_action(STOP)).await.unwrap();
    assert_eq!(stops.len(), 1);
    assert!(stops[0].key_id.as_ref().unwrap().starts_with("STS."));
    assert_eq!(fetches(&scene.simulator).await.len(), 1);

    let text = scene.operator.metrics().await;
    assert_closed(&text);
    assert_shows_fetched_credentials(&text);
    let refreshed = [("source", "rrsa"), ("result", "refreshed")];
    let name = "mixed_stream_credential_refreshes_total";
    let count = scene.operator.metric(name, &refreshed).await;
    assert!((count - 1.0).abs() < f64::EPSILON, "{text}");
    let name = "mixed_stream_credentials_expiry_timestamp_seconds";
    let end = scene.operator.metric(name, &[("source", "rrsa")]).await;
    #[allow(clippy::cast_precision_loss, reason = "seconds since 1970")]
    let hour = (jiff::Timestamp::now().as_second() + 3600) as f64;
    assert!((end - hour).abs() < 120.0, "{text}");

    let objects = scene
        .kubectl(&["get", "mst,events", "-o", "json"], "")
        .await;
    scene.operator.terminate();
    assert!(scene.operator.wait(PATIENCE).await.success());
    let logs = String::from_utf8_lossy(&scene.operator.logs()).into_owned();
    assert!(logs.contains("\"TRACE\"") && logs.contains("credentials refreshed"));
    // Everything that it sends, and was given to send.
    let sent = tap.text();
    let value = |name: &str| {
        let (_, rest) = sent.split_once(name).unwrap();
        let end = rest.find(['&', ' ', '\r']).unwrap_or(rest.len());
        decoded(&rest[..end])
    };
    let token = std::fs::read_to_string(pod.file()).unwrap();
    assert_eq!(value("OIDCToken="), token);
    let triple = value("&SecurityToken=");
    assert!(triple.starts_with("CAIS+") && triple.len() > 100);
    let mut secrets = tap.signatures();
    assert_eq!(secrets.len(), 1);
    secrets.extend([token, triple, SIGNATURE.to_owned()]);
    let found = leaks(&secrets, &format!("{logs}{objects}{text}"));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The words of a wrong trust policy, in the log at once and on the object; and it goes on by itself once that is put right.
#[tokio::test]
async fn a_role_that_does_not_trust_the_pod_is_told_and_heals() {
    let pod = Pod::new();
    let mut stranger = claims();
    stranger["sub"] = json!("system:serviceaccount:other:one");
    pod.write(&token(&stranger));
    let mut scene = scene(&pod, "distrust", |launch| launch).await;
    let warning = scene
        .operator
        .process()
        .wait_for_line("no new credentials", PATIENCE)
        .await;
    let warning: Value = serde_json::from_str(&warning).unwrap();
    assert_eq!(warning["level"], "WARN");
    let message = warning["message"].as_str().unwrap();
    assert!(message.contains("trust policy"), "{message}");
    scene.start_task("x").await;
    scene.create("x").await;
    scene.until_reason("x", "Armed").await;
    scene.delete("x").await;
    let told = scene.until_reason("x", "CredentialsRejected").await;
    let message = &told.status.as_ref().unwrap().conditions[0].message;
    assert!(
        message.contains("AuthenticationFail.NoPermission"),
        "{message}"
    );
    assert!(message.contains("trust policy"), "{message}");
    let none = scene.simulator.calls(&of_action(STOP)).await.unwrap();
    assert!(none.is_empty(), "{none:?}");
    pod.write(&token(&claims()));
    scene.until_gone("x").await;
    let text = scene.operator.metrics().await;
    assert_closed(&text);
    let refused = [("source", "rrsa"), ("result", "credentials_rejected")];
    let name = "mixed_stream_credential_refreshes_total";
    assert!(scene.operator.metric(name, &refused).await >= 1.0, "{text}");
    // Each failure is counted, and a row of equal ones told once.
    let logs = String::from_utf8(scene.operator.logs()).unwrap();
    let warnings = logs
        .lines()
        .filter(|line| line.contains("no new credentials") && line.contains("\"WARN\""));
    assert_eq!(warnings.count(), 1);
}

/// No STS call where there is a key, and no key where there is a role by mistake: the order is that of the documentation.
#[tokio::test]
async fn a_key_goes_before_a_role() {
    let pod = Pod::new();
    let scene = scene(&pod, "both", |launch| {
        launch.credentials("testid", "testsecret")
    })
    .await;
    scene.start_task("x").await;
    scene.create("x").await;
    scene.until_reason("x", "Armed").await;
    scene.delete("x").await;
    scene.until_gone("x").await;
    let stops = scene.simulator.calls(&of_action(STOP)).await.unwrap();
    assert_eq!(stops[0].key_id.as_deref(), Some("testid"));
    assert!(fetches(&scene.simulator).await.is_empty());
}
