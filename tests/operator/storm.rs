//! A thousand deletions at a time: every task is stopped once, and the account's quota is never passed.

use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt as _};
use jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, PostParams};
use mixed_stream_operator::api::FINALIZER;
use serde_json::json;
use support::eventually;
use support::promises::over_limits;
use support::simulator::{Call, NewTask, TaskState};

use tokio::sync::Semaphore;

use crate::oracle::{STOP, assert_stopped_first, calls_by_task, deletions, of_action, scene_with};
use crate::scene::{APP, Scene, object};

/// For what takes seconds on an idle machine.
pub const LONG: Duration = Duration::from_mins(3);
/// Clients at a time.
pub const CLIENTS: usize = 16;
/// Descriptors of an operator in a storm: both connection pools at their bounds, and some. Below the 256 of a modest limit.
const DESCRIPTORS: usize = 250;

/// One storm at a time, so that its figures say something.
pub static TURN: Semaphore = Semaphore::const_new(1);

/// That many tasks that run, and an armed object for each.
pub async fn crowd(scene: &Scene, prefix: &str, count: usize) -> Vec<String> {
    let names: Vec<String> = (0..count)
        .map(|number| format!("{prefix}-{number}"))
        .collect();
    let objects = scene.objects();
    stream::iter(&names)
        .for_each_concurrent(CLIENTS, async |name| {
            let task = NewTask::default();
            scene.simulator.start_task(APP, name, &task).await.unwrap();
            let manifest = json!({"metadata": {"name": name, "finalizers": [FINALIZER]}, "spec": {"appId": APP, "taskId": name}});
            objects
                .create(&PostParams::default(), &object(manifest))
                .await
                .unwrap();
        })
        .await;
    phase(scene, "Armed", count).await;
    names
}

/// Waits until so many objects are in a phase.
pub async fn phase(scene: &Scene, phase: &str, count: usize) {
    let what = format!("{count} objects are {phase}");
    eventually(&what, LONG, async || {
        let counted = scene
            .operator
            .metric("mixed_stream_tasks", &[("phase", phase)])
            .await;
        #[allow(clippy::cast_precision_loss, reason = "a small number")]
        if counted >= count as f64 {
            Ok(())
        } else {
            Err(counted)
        }
    })
    .await;
}

/// Asks for the deletion of all.
pub async fn delete_all(scene: &Scene, names: &[String]) {
    let objects = scene.objects();
    stream::iter(names)
        .for_each_concurrent(CLIENTS, async |name| {
            let deleted = objects.delete(name, &DeleteParams::default()).await;
            deleted.unwrap();
        })
        .await;
}

/// What a storm took.
#[derive(Debug, Default)]
pub struct Figures {
    descriptors: usize,
    memory_kib: u64,
}

impl Figures {
    fn take(&mut self, scene: &mut Scene) {
        let Some(pid) = scene.operator.process().pid() else {
            return;
        };
        if let Ok(folder) = std::fs::read_dir(format!("/proc/{pid}/fd")) {
            self.descriptors = self.descriptors.max(folder.count());
        }
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
        self.memory_kib = self.memory_kib.max(resident.unwrap_or_default());
    }
}

/// Waits until no object is left.
pub async fn until_none(scene: &mut Scene, figures: &mut Figures) {
    let objects = scene.objects();
    let one = ListParams::default().limit(1);
    eventually("every object is gone", LONG, async || {
        figures.take(scene);
        let list = objects.list_metadata(&one).await;
        let list = list.map_err(|error| error.to_string())?;
        match list.items.first() {
            None => Ok(()),
            Some(_) => Err(format!(
                "{:?} more\n{}",
                list.metadata.remaining_item_count,
                scene.tail()
            )),
        }
    })
    .await;
}

/// Every task stopped, once each apart from what `crashes` cost; the quota kept; one write for each object.
async fn assert_drained(scene: &Scene, names: &[String], crashes: usize) {
    let tasks = scene.simulator.tasks().await.unwrap();
    let running: Vec<_> = tasks
        .iter()
        .filter(|task| task.state == TaskState::Running)
        .map(|task| &task.task_id)
        .collect();
    assert!(running.is_empty(), "{running:?}");
    let calls = calls_by_task(scene, STOP).await;
    for name in names {
        let count = calls[name].len();
        assert!(
            (1..=1 + crashes).contains(&count),
            "{name}: {count} Stops: {:?}",
            calls[name]
        );
        assert!(calls[name].iter().all(|call| call.authenticated));
    }
    assert_quota_kept(scene).await;
    let found = deletions(scene, names.len()).await;
    for name in names {
        let deletion = &found[name];
        assert!(deletion.patches.len() <= 1, "{name}: {deletion:?}");
        assert!(deletion.unheard.len() <= crashes, "{name}: {deletion:?}");
        assert_eq!(deletion.status_writes, 0, "{name}: {deletion:?}");
    }
    assert_stopped_first(scene, &found).await;
}

/// No call was over the quota, and none was signed wrongly.
async fn assert_quota_kept(scene: &Scene) {
    let usage = scene.simulator.quota().await.unwrap();
    assert_eq!(over_limits(&usage), []);
}

/// The most calls of Stop in any second, by arrival and by reply.
async fn densest(scene: &Scene) -> (u64, u64) {
    let quota = scene.simulator.quota().await.unwrap();
    let usage = quota.iter().find(|usage| usage.action == STOP).unwrap();
    (
        usage.max_per_second_by_arrival,
        usage.max_per_second_by_reply,
    )
}

async fn tell(what: &str, scene: &Scene, took: Duration, figures: &Figures) {
    let (by_arrival, by_reply) = densest(scene).await;
    eprintln!(
        "{what}: gone in {took:?}; most Stops in a second {by_arrival} by arrival, {by_reply} by reply; {} descriptors, {} MiB",
        figures.descriptors,
        figures.memory_kib / 1024
    );
    assert!(figures.descriptors <= DESCRIPTORS, "{figures:?}");
}

async fn latency(scene: &Scene, count_at: &str) {
    let switches = json!({"latencyMillis": 20, "countAt": count_at});
    scene.simulator.set_switches(&switches).await.unwrap();
}

#[tokio::test]
async fn a_thousand_deleted_by_many_clients() {
    live_storm(1000, "arrival").await;
}

#[tokio::test]
async fn six_hundred_where_the_quota_counts_a_call_at_any_moment() {
    live_storm(600, "random").await;
}

async fn live_storm(count: usize, count_at: &str) {
    let _turn = TURN.acquire().await.unwrap();
    let mut scene = scene_with("storm", &[]).await;
    latency(&scene, count_at).await;
    let names = crowd(&scene, "storm", count).await;
    let mut figures = Figures::default();
    let begun = Instant::now();
    delete_all(&scene, &names).await;
    until_none(&mut scene, &mut figures).await;
    let took = begun.elapsed();
    assert_drained(&scene, &names, 0).await;
    tell(
        &format!("{count} deleted by {CLIENTS} clients, counted at {count_at}"),
        &scene,
        took,
        &figures,
    )
    .await;
}

#[tokio::test]
async fn a_thousand_deleted_while_the_operator_was_down() {
    let _turn = TURN.acquire().await.unwrap();
    let mut scene = scene_with("backlog", &[]).await;
    latency(&scene, "arrival").await;
    let names = crowd(&scene, "storm", 1000).await;
    scene.operator.kill().await;
    delete_all(&scene, &names).await;
    let mut figures = Figures::default();
    let (begun, before) = (Instant::now(), Timestamp::now());
    scene.operator.restart().await;
    until_none(&mut scene, &mut figures).await;
    let took = begun.elapsed();
    assert_drained(&scene, &names, 0).await;
    assert_silent_at_first(&scene, before).await;
    tell("a backlog of 1000", &scene, took, &figures).await;
}

/// Failures that cost no write to the API server make the quota the bound.
#[tokio::test]
async fn a_backlog_that_fails_thrice_keeps_the_quota() {
    const COUNT: usize = 600;
    const FAILURES: usize = 3 * COUNT;
    let flags = ["--backoff-min=100ms", "--backoff-max=100ms"];
    let _turn = TURN.acquire().await.unwrap();
    let mut scene = scene_with("thrice", &flags).await;
    latency(&scene, "random").await;
    let names = crowd(&scene, "storm", COUNT).await;
    scene.operator.kill().await;
    delete_all(&scene, &names).await;
    let fault = json!({"action": STOP, "kind": "error", "status": 503, "code": "ServiceUnavailable", "times": FAILURES});
    scene.simulator.order_fault(&fault).await.unwrap();
    let mut figures = Figures::default();
    let begun = Instant::now();
    scene.operator.restart().await;
    until_none(&mut scene, &mut figures).await;
    let took = begun.elapsed();
    assert_quota_kept(&scene).await;
    let stops = scene.simulator.calls(&of_action(STOP)).await.unwrap().len();
    assert_eq!(stops, COUNT + FAILURES);
    let found = deletions(&scene, COUNT).await;
    assert_stopped_first(&scene, &found).await;
    for (name, deletion) in &found {
        // One class and one band: one write.
        assert!(deletion.status_writes <= 1, "{name}: {deletion:?}");
        assert_eq!(deletion.patches.len(), 1, "{name}: {deletion:?}");
    }
    tell(
        &format!("{COUNT} after {FAILURES} failures"),
        &scene,
        took,
        &figures,
    )
    .await;
}

/// A process sends nothing in its first second: what its predecessor sent may still count.
async fn assert_silent_at_first(scene: &Scene, before: Timestamp) {
    // What a killed predecessor had sent may be read a moment after its end.
    const REMAINS: i128 = 200_000;
    let clock = scene.simulator.clock().await.unwrap();
    let before = i128::from(before.as_microsecond());
    let calls = scene.simulator.calls(&of_action(STOP)).await.unwrap();
    let first = calls
        .iter()
        .map(|call| clock.real_us(call.arrival_us))
        .find(|arrived| *arrived >= before + REMAINS)
        .unwrap();
    assert!(first >= before + 1_000_000, "{} us", first - before);
}

/// Killed once and asked to end once, in the middle of one drain.
#[tokio::test]
async fn restarts_in_the_middle_of_a_drain_leak_nothing() {
    const COUNT: usize = 1000;
    let _turn = TURN.acquire().await.unwrap();
    let mut scene = scene_with("restart", &[]).await;
    latency(&scene, "arrival").await;
    let names = crowd(&scene, "storm", COUNT).await;
    delete_all(&scene, &names[..COUNT / 2]).await;
    scene.operator.kill().await;
    delete_all(&scene, &names[COUNT / 2..]).await;
    let mut figures = Figures::default();
    let begun = Instant::now();
    scene.operator.restart().await;

    let stopped = |count: usize| {
        let simulator = scene.simulator.admin().clone();
        async move {
            let stops = simulator
                .await_calls(&of_action(STOP), count, LONG)
                .await
                .unwrap();
            assert!(stops.len() >= count, "{}", stops.len());
            stops.len()
        }
    };
    let at_least = scene.simulator.calls(&of_action(STOP)).await.unwrap().len();
    let killed_at = stopped(at_least + 100).await;
    scene.operator.kill().await;
    let before = Timestamp::now();
    scene.operator.restart().await;
    assert!(killed_at < COUNT, "in the middle, not at {killed_at}");
    stopped(killed_at + 100).await;
    assert_silent_at_first(&scene, before).await;
    scene.operator.terminate();
    let status = scene.operator.wait(Duration::from_secs(30)).await;
    assert!(status.success(), "{status}");
    let ended = scene.simulator.clock().await.unwrap().monotonic_us;
    scene.operator.restart().await;
    until_none(&mut scene, &mut figures).await;
    let took = begun.elapsed();

    // SIGTERM lets every call in flight end and its object go, and SIGKILL leaves what was in flight to the next start. There a Stop finds
    // nothing and has to wait for its look at the list, of which there are only 50 in a second; a restart before that asks Stop again.
    assert_drained(&scene, &names, 3).await;
    // What was accepted before the SIGTERM is settled by its end.
    let calls = calls_by_task(&scene, STOP).await;
    let clock = scene.simulator.clock().await.unwrap();
    let restarted = i128::from(before.as_microsecond());
    let accepted = |call: &Call| {
        clock.real_us(call.arrival_us) >= restarted
            && call.arrival_us < ended
            && call.status == Some(200)
    };
    for (name, calls) in &calls {
        let was_accepted = calls.iter().any(accepted);
        let again = calls.iter().any(|call| call.arrival_us > ended);
        assert!(
            !(was_accepted && again),
            "{name} was stopped again after the SIGTERM: {calls:?}"
        );
    }
    let again = calls.values().filter(|calls| calls.len() > 1).count();
    tell(
        &format!(
            "{COUNT} with two SIGKILLs and a SIGTERM in between, {again} stopped more than once"
        ),
        &scene,
        took,
        &figures,
    )
    .await;
}

/// Where `InternalError` stands for "not found", three over ten seconds are needed, for each of them.
#[tokio::test]
async fn a_hundred_that_answer_internal_error_at_once() {
    const COUNT: usize = 100;
    let mut scene = scene_with("internal", &[]).await;
    let names = crowd(&scene, "storm", COUNT).await;
    let switches = json!({"stopGone": "internalError", "listGone": "internalError", "latencyMillis": 100, "countAt": "random"});
    scene.simulator.set_switches(&switches).await.unwrap();
    for name in &names {
        scene.simulator.stop_task(APP, name).await.unwrap();
    }
    let mut figures = Figures::default();
    let begun = Instant::now();
    delete_all(&scene, &names).await;
    until_none(&mut scene, &mut figures).await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(10), "{took:?}");
    assert_quota_kept(&scene).await;
    let calls = calls_by_task(&scene, STOP).await;
    for name in &names {
        assert_eq!(calls[name].len(), 3, "{name}: {:?}", calls[name]);
        let span = calls[name][2].arrival_us - calls[name][0].reply_us.unwrap();
        assert!(span >= 9_900_000, "{name}: {span} us");
    }
    tell(
        &format!("{COUNT} answered with InternalError"),
        &scene,
        took,
        &figures,
    )
    .await;
}
