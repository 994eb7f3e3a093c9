//! How the operator starts, refuses to start, waits, and ends.

use std::net::TcpListener;
use std::path::Path;

use mixed_stream_operator::api::FINALIZER;
use serde_json::{Value, json};
use support::{Cluster, Component, Launch, Operator, Process, binary, eventually, process};

use crate::scene::{PATIENCE, Scene, apply_crd, cluster, grant, quick};

const SECRET: &str = "hush-hush-hush";

/// A launch that would work but for what is changed; nothing listens at these addresses.
fn nowhere(kubeconfig: &Path) -> Launch {
    Launch::new(kubeconfig, "http://127.0.0.1:9")
        .credentials("testid", SECRET)
        .env("RUST_BACKTRACE", "1")
}

/// A kubeconfig that can be read, for a server that is not there.
fn kubeconfig(folder: &Path) -> std::path::PathBuf {
    let text = "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
        clusters: [{name: c, cluster: {server: 'https://127.0.0.1:9'}}]\n\
        users: [{name: c, user: {token: t}}]\n\
        contexts: [{name: c, context: {cluster: c, user: c}}]\n";
    write(folder, "good", text)
}

fn write(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// It ends by itself, not well, and says so in one sentence with these words.
async fn refuses(launch: &Launch, words: &str) {
    let mut process = launch.process();
    let status = process.wait(PATIENCE).await;
    let stderr = String::from_utf8(process.stderr()).unwrap();
    assert!(!status.success(), "{words}: {stderr}");
    assert!(status.code().is_some(), "{words}: {status}");
    assert_eq!(process.stdout(), b"", "{words}");
    assert!(stderr.contains(words), "{words}: {stderr}");
    for dump in ["panicked", "backtrace", "Error(", " { ", SECRET] {
        assert!(!stderr.contains(dump), "{words}: {stderr}");
    }
    // What the command line's parser says has a hint at the help below it.
    let said: Vec<_> = stderr
        .lines()
        .filter(|line| {
            !line.trim().is_empty()
                && !line.starts_with("For more information")
                && !line.starts_with("Usage:")
                && !line.starts_with("  tip:")
                && !line.trim_start().starts_with("[possible values")
        })
        .collect();
    assert_eq!(said.len(), 1, "{words}: {stderr}");
    assert!(
        said[0].starts_with("mixed-stream-operator: ") || said[0].starts_with("error: "),
        "{stderr}"
    );
}

#[tokio::test]
async fn what_cannot_work_is_refused_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let base = nowhere(&kubeconfig(folder.path()));
    let broken = write(
        folder.path(),
        "policy.yaml",
        "rules: [{namespace: a, appIds: [b]}]",
    );
    for (flags, words) in [
        (&["--call-deadline", "99ms"][..], "--call-deadline"),
        (&["--quota-share", "0"], "above 0 and at most 1"),
        (&["--quota-share", "1.5"], "above 0 and at most 1"),
        (&["--backoff-min", "10"], "500ms, 10s, 2m"),
        (&["--backoff-min", "2m"], "--backoff-max"),
        (&["--slow-backoff-max", "1s"], "--slow-backoff-min"),
        (&["--channel-poll", "499ms"], "500ms"),
        (&["--idle-margin", "0s"], "1s"),
        (&["--watch-silence", "999ms"], "1s"),
        (&["--watch-silence=-1s"], "--watch-silence"),
        (&["--namespaces", "Team_A"], "Team_A"),
        (&["--task-id-prefix", "a b"], "1 to 18 letters"),
        (
            &["--app-policy", "/nowhere/policy.yaml"],
            "leave the flag out",
        ),
        (&["--app-policy", broken.to_str().unwrap()], "unknown field"),
        (&["--unknown"], "--unknown"),
        (&["stray"], "stray"),
    ] {
        refuses(&base.clone().flags(flags.iter().copied()), words).await;
    }
    for (name, value, words) in [
        ("MSO_BACKOFF_MIN", "soon", "--backoff-min"),
        ("MSO_NAMESPACES", "a,B", "--namespaces"),
        (
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
            "hush-hush-hush\n",
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
        ),
        (
            "ALIBABA_CLOUD_ACCESS_KEY_ID",
            "",
            "ALIBABA_CLOUD_ACCESS_KEY_ID is empty",
        ),
        (
            "ALIBABA_CLOUD_SECURITY_TOKEN",
            "a b",
            "ALIBABA_CLOUD_SECURITY_TOKEN",
        ),
    ] {
        refuses(&base.clone().env(name, value), words).await;
    }
    let none = base.clone().no_credentials();
    for (name, missing) in [
        (
            "ALIBABA_CLOUD_ACCESS_KEY_ID",
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET is not",
        ),
        (
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
            "ALIBABA_CLOUD_ACCESS_KEY_ID is not",
        ),
        (
            "ALIBABA_CLOUD_SECURITY_TOKEN",
            "ALIBABA_CLOUD_ACCESS_KEY_ID is not",
        ),
    ] {
        refuses(&none.clone().env(name, SECRET), missing).await;
    }
    refuses(&base.clone().https_only(), "--allow-http").await;
    for endpoint in [
        "",
        "live.aliyuncs.com",
        "ftp://live.aliyuncs.com",
        "https://live.aliyuncs.com/path",
        "https://user:hush-hush-hush@live.aliyuncs.com",
        "https://",
    ] {
        refuses(&base.clone().endpoint(endpoint), "--live-endpoint").await;
    }
    refuses(&base.clone().log_filter("a=b=c"), "--log-filter").await;
    for listen in ["here", "127.0.0.1", "127.0.0.1:99999"] {
        refuses(&base.clone().listen(listen), "--listen").await;
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().map(|address| (address, taken)).unwrap();
    refuses(&base.clone().listen(&taken.0.to_string()), "--listen").await;
}

#[tokio::test]
async fn a_role_that_is_given_by_half_is_refused_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let base = nowhere(&kubeconfig(folder.path()));
    let none = base.clone().no_credentials();
    for (name, missing) in [
        (
            "ALIBABA_CLOUD_ROLE_ARN",
            "ALIBABA_CLOUD_OIDC_PROVIDER_ARN is not",
        ),
        (
            "ALIBABA_CLOUD_OIDC_PROVIDER_ARN",
            "ALIBABA_CLOUD_ROLE_ARN is not",
        ),
        (
            "ALIBABA_CLOUD_OIDC_TOKEN_FILE",
            "ALIBABA_CLOUD_ROLE_ARN is not",
        ),
    ] {
        refuses(&none.clone().env(name, "/some/value"), missing).await;
    }
    let machine = none.clone().env("ALIBABA_CLOUD_ECS_METADATA", "a/b");
    refuses(&machine, "ALIBABA_CLOUD_ECS_METADATA").await;
    let clear = base
        .clone()
        .https_only()
        .endpoint("https://live.aliyuncs.com")
        .env("ALIBABA_CLOUD_STS_ENDPOINT", "http://127.0.0.1:9");
    refuses(&clear, "ALIBABA_CLOUD_STS_ENDPOINT").await;
    refuses(&clear, "--allow-http").await;
}

#[tokio::test]
async fn a_broken_kubeconfig_is_refused_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let good = std::fs::read_to_string(kubeconfig(folder)).unwrap();
    for path in [
        folder.join("missing"),
        folder.to_owned(),
        write(folder, "empty", ""),
        write(folder, "garbage", "{{{ \u{1} not yaml"),
        write(
            folder,
            "context",
            &good.replace("current-context: c", "current-context: d"),
        ),
        write(folder, "cluster", &good.replace("cluster: c", "cluster: d")),
        write(
            folder,
            "url",
            &good.replace("https://127.0.0.1:9", "not a url"),
        ),
        write(
            folder,
            "authority",
            &good.replace("server:", "certificate-authority: /nowhere/ca.crt, server:"),
        ),
    ] {
        refuses(&nowhere(&path), "kubeconfig").await;
    }
}

#[tokio::test]
async fn without_credentials_it_warns_and_serves() {
    let mut scene = Scene::with("nobody", Launch::no_credentials).await;
    let logs = String::from_utf8(scene.operator.logs()).unwrap();
    let mut warnings = logs.lines().filter(|line| line.contains("\"WARN\""));
    let warning = warnings.next().unwrap();
    assert!(warning.contains("ALIBABA_CLOUD_ACCESS_KEY_ID"), "{warning}");
    // Nor is there an application policy.
    let warning = warnings.next().unwrap();
    assert!(warning.contains("--app-policy"), "{warning}");
    scene.create("x").await;
    scene.until_reason("x", "Armed").await;
    scene.delete("x").await;
    let stalled = scene.until_reason("x", "CredentialsMissing").await;
    assert_eq!(stalled.metadata.finalizers.unwrap(), [FINALIZER]);
    assert_eq!(scene.all_calls().await, 0);
    // What was not sent is no call; what waits for it is counted.
    let counted = scene.operator.metric("mixed_stream_live_calls_total", &[]);
    assert!(counted.await < 1.0);
    let waiting = [("action", "stop"), ("reason", "CredentialsMissing")];
    let waiting = scene.operator.metric("mixed_stream_retrying", &waiting);
    assert!((waiting.await - 1.0).abs() < f64::EPSILON);
    let release = json!({"metadata": {"annotations": {"mixedstream.io/release-without-stop": "never started"}}});
    scene.merge("x", release).await;
    scene.until_gone("x").await;
    scene.operator.terminate();
    assert!(scene.operator.wait(PATIENCE).await.success());
}

/// Waits until it is not ready for a reason with these words, and finds it alive.
async fn not_ready(operator: &Operator, words: &str) {
    eventually(words, PATIENCE, async || {
        match operator.get("/readyz").await {
            Ok((503, why)) if why.contains(words) => Ok(()),
            other => Err(other),
        }
    })
    .await;
    let (status, text) = operator.get("/livez").await.unwrap();
    assert_eq!((status, text.as_str()), (200, "ok\n"));
}

#[tokio::test]
async fn it_waits_for_the_definition_and_for_the_api_server() {
    let cluster = Cluster::fresh().await;
    let launch = || quick(Launch::new(cluster.kubeconfig(), "http://127.0.0.1:9"));
    let early = launch().start().await;
    not_ready(&early, "mixed-stream-operator crd | kubectl apply").await;
    apply_crd(&cluster).await;
    early.ready().await;

    cluster
        .plane()
        .kill(Component::KubeApiserver)
        .await
        .unwrap();
    let late = launch().start().await;
    not_ready(&late, "cannot reach the API server").await;
    not_ready(&early, "cannot reach the API server").await;
    cluster
        .plane()
        .resume(Component::KubeApiserver)
        .await
        .unwrap();
    late.ready().await;
    early.ready().await;
}

#[tokio::test]
async fn it_waits_for_its_rights_and_asks_ever_more_rarely() {
    let cluster = cluster().await;
    let namespace = cluster.namespace("denied").await;
    let user = "operator-denied";
    let kubeconfig = cluster.user(user).await;
    let launch = quick(Launch::new(&kubeconfig, "http://127.0.0.1:9")).namespace(&namespace);
    let operator = launch.start().await;
    not_ready(
        &operator,
        "may not list and watch MixedStreamTasks in namespace",
    )
    .await;
    let tries = eventually("it has tried eight times", PATIENCE, async || {
        let tries = cluster.audit_of(user, |entry| entry.verb == "list" && entry.code == 403);
        if tries.len() >= 8 {
            Ok(tries)
        } else {
            Err(tries.len())
        }
    })
    .await;
    // The seventh pause is 1.6 to 3.2 s long.
    let pause = tries[7].received.duration_since(tries[6].answered);
    assert!(pause.as_millis() >= 1500, "{pause:?}");
    grant(&cluster, user, &namespace).await;
    operator.ready().await;
}

#[tokio::test]
async fn logs_are_json_or_text_on_standard_error() {
    let mut scene = Scene::new("logs").await;
    scene.create("x").await;
    scene.until_reason("x", "Armed").await;
    scene.operator.terminate();
    assert!(scene.operator.wait(PATIENCE).await.success());
    assert_eq!(scene.operator.process().stdout(), b"");
    let logs = String::from_utf8(scene.operator.logs()).unwrap();
    assert!(logs.lines().count() >= 4, "{logs}");
    for line in logs.lines() {
        let entry: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for field in ["timestamp", "level", "message", "target"] {
            assert!(entry[field].is_string(), "{line}");
        }
    }
    let last: Value = serde_json::from_str(logs.lines().last().unwrap()).unwrap();
    assert_eq!(last["message"], "ended");

    let folder = tempfile::tempdir().unwrap();
    let mut process = nowhere(&kubeconfig(folder.path())).text().process();
    let line = process.wait_for_line("started", PATIENCE).await;
    assert!(
        line.contains(" INFO ") && line.contains("listen=127.0.0.1:"),
        "{line}"
    );
    assert!(!line.contains('\u{1b}') && !line.starts_with('{'), "{line}");
    process.terminate();
    assert!(process.wait(PATIENCE).await.success());
}

#[tokio::test]
async fn crd_prints_the_committed_file() {
    let mut command = process::tied(&binary("mixed-stream-operator"));
    command.env_clear().arg("crd");
    let mut process = Process::start("crd", command);
    assert!(process.wait(PATIENCE).await.success());
    let printed = String::from_utf8(process.stdout()).unwrap();
    assert_eq!(printed, include_str!("../../crds/mixedstreamtasks.yaml"));
    assert_eq!(process.stderr(), b"");
}
