//! The account, which others use too: how calls get to the service, and who waits for whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use kube::api::{DeleteParams, PostParams};
use mixed_stream_operator::api::{FINALIZER, MixedStreamTask};
use serde_json::json;
use support::simulator::{Filter, NewTask};
use support::{Launch, eventually};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::scene::{PATIENCE, Scene, cluster, object};
use crate::storm::{CLIENTS, TURN, phase};

const STOP: &str = "StopLiveMPUTask";
/// Stops a second that a neighbour leaves.
const LEFT: u32 = 100;

/// A proxy that lets nothing through: its address, and how many requests for the service it was asked to pass on.
async fn proxy() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => return,
                    }
                }
                if head.starts_with(b"POST http://") {
                    counted.fetch_add(1, Ordering::SeqCst);
                }
                let answer =
                    "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                // It may have given up.
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    (address, asked)
}

fn with_proxies(launch: Launch, proxy: &str) -> Launch {
    let names = [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ];
    names
        .into_iter()
        .fold(launch, |launch, name| launch.env(name, proxy))
}

async fn deleted(scene: &Scene) {
    scene.start_task("x").await;
    scene.create("x").await;
    scene.until_reason("x", "Armed").await;
    scene.delete("x").await;
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_not_used() {
    let (proxy, asked) = proxy().await;
    let scene = Scene::with("direct", |launch| with_proxies(launch, &proxy)).await;
    deleted(&scene).await;
    scene.until_gone("x").await;
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    assert_eq!(scene.calls(STOP, "x").await, 1);
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_used_where_that_is_asked_for() {
    let (proxy, asked) = proxy().await;
    let scene = Scene::with("proxied", |launch| {
        with_proxies(launch, &proxy).flags(["--proxy-from-environment"])
    })
    .await;
    deleted(&scene).await;
    eventually("the proxy is asked", PATIENCE, async || {
        match asked.load(Ordering::SeqCst) {
            0 => Err(scene.tail()),
            _ => Ok(()),
        }
    })
    .await;
    scene.until_reason("x", "ServiceUnavailable").await;
    assert_eq!(scene.all_calls().await, 0, "nothing goes past it");
}

/// Deletes healthy objects one after the other; how long each took.
async fn take_turns(scene: &Scene, names: &[String]) -> Vec<Duration> {
    let mut took = Vec::new();
    for name in names {
        let begun = Instant::now();
        scene.delete(name).await;
        scene.until_gone(name).await;
        took.push(begun.elapsed());
    }
    took.sort();
    took
}

/// One namespace with hundreds of deletions that fail as fast as they may, and twenty healthy ones elsewhere that do not notice.
#[tokio::test]
async fn failing_neighbours_do_not_hold_up_the_healthy() {
    const FAILING: usize = 300;
    const HEALTHY: usize = 20;
    let _turn = TURN.acquire().await.unwrap();
    let cluster = cluster().await;
    let (crowded, quiet) = (
        cluster.namespace("crowded").await,
        cluster.namespace("quiet").await,
    );
    let scene = Scene::in_namespace(cluster, quiet, |launch| launch.namespace(&crowded)).await;
    let switches = json!({"latencyMillis": 20});
    scene.simulator.set_switches(&switches).await.unwrap();
    let fault = json!({"action": STOP, "appId": "crowded", "kind": "error", "status": 503, "code": "ServiceUnavailable"});
    scene.simulator.order_fault(&fault).await.unwrap();

    let names = |prefix: &str, count: usize| -> Vec<String> {
        (0..count)
            .map(|number| format!("{prefix}-{number}"))
            .collect()
    };
    let (before, during) = (names("before", HEALTHY), names("during", HEALTHY));
    for name in before.iter().chain(&during) {
        scene.start_task(name).await;
        scene.create(name).await;
    }
    phase(&scene, "Armed", 2 * HEALTHY).await;
    let alone = take_turns(&scene, &before).await;

    let others: kube::Api<MixedStreamTask> =
        kube::Api::namespaced(scene.cluster.client(), &crowded);
    let failing = names("failing", FAILING);
    stream::iter(&failing)
        .for_each_concurrent(CLIENTS, async |name| {
            let task = NewTask::default();
            scene.simulator.start_task("crowded", name, &task).await.unwrap();
            let manifest = json!({"metadata": {"name": name, "finalizers": [FINALIZER]}, "spec": {"appId": "crowded", "taskId": name}});
            others.create(&PostParams::default(), &object(manifest)).await.unwrap();
        })
        .await;
    phase(&scene, "Armed", HEALTHY + FAILING).await;
    stream::iter(&failing)
        .for_each_concurrent(CLIENTS, async |name| {
            others.delete(name, &DeleteParams::default()).await.unwrap();
        })
        .await;
    let filter = Filter {
        action: Some(STOP.to_owned()),
        app_id: Some("crowded".to_owned()),
        ..Filter::default()
    };
    let failures = async || scene.simulator.calls(&filter).await.unwrap().len();
    eventually(
        "each has failed twice",
        PATIENCE,
        async || match failures().await {
            calls if calls >= 2 * FAILING => Ok(()),
            calls => Err(calls),
        },
    )
    .await;
    let before = failures().await;
    let beside = take_turns(&scene, &during).await;
    let meanwhile = failures().await - before;
    let (most_alone, most_beside) = (alone[HEALTHY - 1], beside[HEALTHY - 1]);
    eprintln!(
        "{HEALTHY} healthy deletions: p50 {:?}, p99 {most_alone:?} alone; p50 {:?}, p99 {most_beside:?} beside {FAILING} that fail ({meanwhile} failures meanwhile)",
        alone[HEALTHY / 2],
        beside[HEALTHY / 2],
    );
    assert!(meanwhile >= HEALTHY, "they went on failing: {meanwhile}");
    // A turn is some milliseconds, a write among the crowd's some more. The median, since a busy machine delays single ones; the worst are
    // measured by the benchmark.
    assert!(
        beside[HEALTHY / 2] <= 2 * most_alone + Duration::from_secs(1),
        "{alone:?} {beside:?}"
    );
    scene.simulator.remove_faults().await.unwrap();
    phase(&scene, "Armed", 0).await;
}

/// Who was throttled does not sit out its own wait, of up to ten minutes here, once calls of others pass again.
#[tokio::test]
async fn throttled_objects_go_on_as_soon_as_the_account_has_recovered() {
    let scene = Scene::with("recovers", |launch| {
        launch.flags(["--backoff-min", "10m", "--backoff-max", "10m"])
    })
    .await;
    let names: Vec<String> = (0..6).map(|number| format!("x-{number}")).collect();
    for name in &names {
        scene.start_task(name).await;
        scene.create(name).await;
        scene.until_reason(name, "Armed").await;
    }
    let share = async |share: f64| {
        let account = json!({"neighbourShare": share});
        scene
            .simulator
            .set_account("default", &account)
            .await
            .unwrap();
    };
    share(1.0).await;
    for name in &names {
        scene.delete(name).await;
    }
    scene.until_all(STOP, 4).await;
    share(0.0).await;
    let recovered = Instant::now();
    for name in &names {
        scene.until_gone(name).await;
    }
    eprintln!(
        "all gone {:?} after the quota was there again",
        recovered.elapsed()
    );
    let filter = Filter {
        action: Some(STOP.to_owned()),
        ..Filter::default()
    };
    let calls = scene.simulator.calls(&filter).await.unwrap();
    let refused = calls.iter().filter(|call| call.over_quota).count();
    assert!(refused >= 4, "{refused}");
    assert_eq!(
        calls.len(),
        refused + names.len(),
        "one Stop each, and its own throttles"
    );
}

/// A crowd on an account of which somebody else takes half, in every way in which the service may treat what is too much.
#[tokio::test]
async fn half_of_a_quota_is_found_and_used() {
    const COUNT: usize = 800;
    for excess in [
        "throttling400",
        "throttling429",
        "throttling503",
        "close",
        "drop",
    ] {
        let _turn = TURN.acquire().await.unwrap();
        let mut scene = Scene::with("half", |launch| launch.flags(["--call-deadline", "3s"])).await;
        let switches = json!({"excess": excess, "latencyMillis": 20});
        scene.simulator.set_switches(&switches).await.unwrap();
        let names = crate::storm::crowd(&scene, "half", COUNT).await;
        // A fifth of what is usually left, so that it is the quota that binds and not the machine.
        let account = json!({"quotas": {STOP: 2 * LEFT}, "neighbourShare": 0.5});
        scene
            .simulator
            .set_account("default", &account)
            .await
            .unwrap();
        crate::storm::delete_all(&scene, &names).await;
        let mut figures = crate::storm::Figures::default();
        crate::storm::until_none(&mut scene, &mut figures).await;
        told(&scene, excess, &names).await;
    }
}

async fn told(scene: &Scene, excess: &str, names: &[String]) {
    let filter = Filter {
        action: Some(STOP.to_owned()),
        ..Filter::default()
    };
    let calls = scene.simulator.calls(&filter).await.unwrap();
    let (over, fine): (Vec<_>, Vec<_>) = calls.iter().partition(|call| call.over_quota);
    let mut passed: Vec<u64> = fine.iter().map(|call| call.arrival_us).collect();
    passed.sort_unstable();
    assert_eq!(passed.len(), names.len(), "{excess}: each is stopped once");
    // The last ones may have been swallowed, and wait for their deadline.
    let (first, late) = (passed[0], passed[passed.len() * 9 / 10]);
    #[allow(clippy::cast_precision_loss, reason = "microseconds of a minute")]
    let used = (passed.len() * 9 / 10) as f64 / (f64::from(LEFT) * (late - first) as f64 / 1e6);
    eprintln!(
        "{excess}: {used:.2} of what is left, {} calls too many",
        over.len()
    );
    // What a busy machine delays is in it. The benchmark has the figure, and the limiter's own tests.
    assert!(used >= 0.75, "{excess}: {used}");
    assert!(over.len() <= names.len() / 8, "{excess}: {}", over.len());
    for name in names {
        let of_it = |calls: &[&support::simulator::Call]| {
            let is_it = |call: &&&support::simulator::Call| call.task_id.as_deref() == Some(name);
            calls.iter().filter(is_it).count()
        };
        assert_eq!(of_it(&fine), 1, "{excess}: {name}");
    }
}
