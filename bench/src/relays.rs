//! Relays: created one at a time, a thousand at once, left alone, and stopped by the service all at once.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use kube::api::PostParams;
use serde_json::json;
use support::simulator::{ChangeKind, Filter, Mark};
use tokio::sync::mpsc;

use crate::bed::{Bed, CLIENTS, Contender, Job, LATENCY, PATIENCE, Program};
use crate::figures::{Sample, in_seconds, most_in_a_second, ms, spread, verdict};
use crate::usage;

const START: &str = "StartLiveMPUTask";
const LISTS: [&str; 2] = ["ListRtcMPUTaskDetail", "ListRTCLiveRooms"];
const BLOCKS: usize = 5;
const BLOCK: usize = 20;
const CROWD: usize = 1000;
/// Half of the single relays run within this time.
const HALF: Duration = Duration::from_millis(120);
const SWEEPS: u32 = 10;
/// Shorter than by default, so that ten of them are measured in less than two minutes.
const SWEEP: Duration = Duration::from_secs(10);
const FLAGS: &[&str] = &[
    "--sweep-period=10s",
    "--settle-time=5s",
    "--channel-poll=2s",
];
/// A process that has just begun waits out the cool-down of what its predecessor may have used.
const FRESH: Duration = Duration::from_secs(11);

/// Objects that are seen in a phase, and when.
type Phases = mpsc::UnboundedReceiver<(String, String, Instant)>;

/// Measures and reports all of it.
pub async fn run(bed: &Bed, progress: impl Fn(&str)) {
    let mut contenders = Vec::new();
    for program in Program::BOTH {
        let contender = bed.contender(program, Job::Start, FLAGS).await;
        let phases = contender.phases();
        contenders.push((contender, phases));
    }
    let youngest = contenders.iter().map(|(contender, _)| contender.started);
    if let Some(youngest) = youngest.max() {
        tokio::time::sleep_until((youngest + FRESH).into()).await;
    }
    let mut singles: [Vec<Sample>; 2] = Default::default();
    let mut writes = [0, 0];
    for number in 0..BLOCKS {
        progress(&format!("single relays, block {} of {BLOCKS}", number + 1));
        for (at, (contender, phases)) in contenders.iter_mut().enumerate() {
            let began = Timestamp::now();
            singles[at].push(block(bed, contender, phases, number).await);
            writes[at] += written(bed, contender, began).await;
        }
    }
    report_singles(&singles, writes);
    println!("\n{CROWD} relays created at once by {CLIENTS} clients, all channels live\n");
    for (contender, phases) in &mut contenders {
        progress(&format!("{CROWD} relays: {}", contender.program.names().0));
        crowd(bed, contender, phases).await;
    }
    for (contender, phases) in &mut contenders {
        if contender.program == Program::Operator {
            progress(&format!("{CROWD} healthy relays, {SWEEPS} sweeps"));
            healthy(bed, contender).await;
            progress(&format!("{CROWD} relays whose channels are emptied"));
            emptied(bed, contender, phases).await;
        }
    }
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("{prefix}-{number}"))
        .collect()
}

async fn create(contender: &Contender, name: &str) {
    let object = json!({
        "apiVersion": "mixedstream.io/v1alpha1", "kind": "MixedStreamTask",
        "metadata": {"name": name},
        "spec": {
            "appId": contender.namespace, "taskId": name,
            "relay": {
                "channelId": name, "single": {"userId": "host"},
                "outputs": [{"url": format!("rtmp://push.example.com/{}/{name}", contender.namespace)}],
            },
        },
    });
    let object = serde_json::from_value(object).expect("an object");
    contender
        .objects
        .create(&PostParams::default(), &object)
        .await
        .expect("an object");
}

async fn all_live(bed: &Bed, contender: &Contender, names: &[String], users: &[&str]) {
    let app = &contender.namespace;
    let set = bed.admin.set_all_users(app, names, users);
    set.await.expect("channels");
}

/// When each of these was in the phase.
async fn await_phase(
    contender: &Contender,
    phases: &mut Phases,
    names: &[String],
    wanted: &str,
) -> Vec<Instant> {
    let mut left: HashSet<&str> = names.iter().map(String::as_str).collect();
    let mut moments = Vec::new();
    while !left.is_empty() {
        let next = tokio::time::timeout(PATIENCE, phases.recv()).await;
        let Ok(Some((name, phase, at))) = next else {
            panic!(
                "{} objects are not {wanted}; {}",
                left.len(),
                contender.last_lines()
            );
        };
        if phase == wanted && left.remove(name.as_str()) {
            moments.push(at);
        }
    }
    moments
}

async fn block(bed: &Bed, contender: &Contender, phases: &mut Phases, number: usize) -> Sample {
    let mut took = Vec::new();
    for name in &names(&format!("single-{number}"), BLOCK) {
        // No earlier read of the rooms shows it.
        all_live(bed, contender, std::slice::from_ref(name), &["host"]).await;
        let sent = Instant::now();
        create(contender, name).await;
        let name = std::slice::from_ref(name);
        let moments = await_phase(contender, phases, name, "Running").await;
        took.push(moments[0] - sent);
    }
    Sample::new(took)
}

/// Patches of the contender's objects since a moment. Events, which the operator writes slowly and for as long as it takes, are apart.
async fn written(bed: &Bed, contender: &Contender, since: Timestamp) -> usize {
    // An entry can come a moment after its answer.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let patches = bed.cluster.audit(|entry| {
        entry.verb == "patch"
            && entry.resource == "mixedstreamtasks"
            && entry.namespace == contender.namespace
            && entry.received >= since
    });
    patches.len()
}

fn report_singles(blocks: &[Vec<Sample>; 2], writes: [usize; 2]) {
    println!(
        "\nSingle relays, {} each in {BLOCKS} blocks of {BLOCK} in turn, the channel live, the service answering in {} ms.",
        BLOCKS * BLOCK,
        LATENCY.as_millis()
    );
    println!(
        "From sending the CREATE to the watch's word that the relay runs; in brackets the least and most of the blocks.\n"
    );
    println!(
        "{:<24}{:>26}{:>26}{:>12}",
        "", "floor", "operator", "difference"
    );
    for (name, share) in [("p50 ms", 0.5), ("p99 ms", 0.99)] {
        let [floor, operator] = [0, 1].map(|at| ms(Sample::all(&blocks[at]).quantile(share)));
        let cell = |at: usize, value: f64| {
            let spread = spread(&blocks[at], share);
            format!("{value:.1} [{:.1}..{:.1}]", spread.start(), spread.end())
        };
        println!(
            "{name:<24}{:>26}{:>26}{:>12.1}",
            cell(0, floor),
            cell(1, operator),
            operator - floor
        );
    }
    let each = writes.map(|writes| format!("{:.2}", count(writes) / count(BLOCKS * BLOCK)));
    println!(
        "{:<24}{:>26}{:>26}",
        "writes to the object", each[0], each[1]
    );
    let half = Sample::all(&blocks[1]).quantile(0.5);
    println!(
        "\noperator: p50 <= {} ms: {}",
        HALF.as_millis(),
        verdict(half <= HALF)
    );
}

async fn crowd(bed: &Bed, contender: &Contender, phases: &mut Phases) {
    let names = names("crowd", CROWD);
    all_live(bed, contender, &names, &["host"]).await;
    let mark = mark(bed).await;
    let (at, used, began) = (
        Timestamp::now(),
        usage::cpu(contender.pid()),
        Instant::now(),
    );
    stream::iter(&names)
        .for_each_concurrent(CLIENTS, |name| create(contender, name))
        .await;
    let created = began.elapsed();
    let moments = await_phase(contender, phases, &names, "Running").await;
    let took = moments.into_iter().max().unwrap_or(began) - began;
    let cpu = usage::cpu(contender.pid()).saturating_sub(used);
    let filter = Filter {
        since: mark.call,
        action: Some(START.to_owned()),
        app_id: Some(contender.namespace.clone()),
        task_id: None,
    };
    let calls = bed.admin.calls(&filter).await.expect("the call log");
    let over_quota = calls.iter().filter(|call| call.over_quota).count();
    let most = most_in_a_second(calls.iter().map(|call| call.arrival_us).collect());
    let since = Filter {
        since: mark.change,
        ..filter
    };
    let changes = bed.admin.history(&since).await.expect("the history");
    let started = changes
        .iter()
        .filter(|change| change.change == ChangeKind::Started)
        .count();
    let writes = written(bed, contender, at).await;
    println!(
        "{:<10}{} s, of which the creation {} s; {} Starts, {started} effective, {over_quota} over quota, most in 1 s {most}; {:.2} writes and {:.2} ms of CPU each",
        contender.program.names().0,
        in_seconds(took),
        in_seconds(created),
        calls.len(),
        count(writes) / count(CROWD),
        ms(cpu) / count(CROWD),
    );
}

async fn healthy(bed: &Bed, contender: &Contender) {
    // What the last starts left behind.
    tokio::time::sleep(2 * SWEEP).await;
    let (from, at) = (mark(bed).await, Timestamp::now());
    let used = usage::cpu(contender.pid());
    tokio::time::sleep(SWEEPS * SWEEP).await;
    let cpu = usage::cpu(contender.pid()).saturating_sub(used);
    let calls = bed.admin.calls_between(from, None).await;
    let calls = calls.expect("the call log");
    let of_action = |action: &str| {
        let is_it = |call: &&support::simulator::Call| call.action.as_deref() == Some(action);
        calls.iter().filter(is_it).count()
    };
    let [list, rooms] = LISTS.map(of_action);
    let other = calls.len() - list - rooms;
    let writes = written(bed, contender, at).await;
    let per_sweep = |calls: usize| count(calls) / f64::from(SWEEPS);
    println!(
        "\n{} healthy relays over {SWEEPS} sweeps of {} s: {:.1} calls of the list and {:.1} of the rooms a sweep, {other} other calls, {writes} writes, {:.1} ms of CPU a sweep",
        CROWD + BLOCKS * BLOCK,
        SWEEP.as_secs(),
        per_sweep(list),
        per_sweep(rooms),
        ms(cpu) / f64::from(SWEEPS),
    );
}

async fn emptied(bed: &Bed, contender: &Contender, phases: &mut Phases) {
    let names = names("crowd", CROWD);
    let from = mark(bed).await;
    all_live(bed, contender, &names, &[]).await;
    bed.admin.advance(121.0).await.expect("the clock");
    let stopped = Instant::now();
    let moments = await_phase(contender, phases, &names, "Stopped").await;
    let took = moments.into_iter().max().unwrap_or(stopped) - stopped;
    let counts = bed.admin.counts_between(from, None).await;
    let counts = counts.expect("the call log");
    let starts = counts.get(START).copied().unwrap_or_default();
    println!(
        "{CROWD} relays emptied at once: all completed {} s after the service had stopped them ({:.1} sweeps), {starts} Starts; within three sweeps and without a Start: {}",
        in_seconds(took),
        took.as_secs_f64() / SWEEP.as_secs_f64(),
        verdict(took <= 3 * SWEEP && starts == 0),
    );
}

async fn mark(bed: &Bed) -> Mark {
    bed.admin.mark().await.expect("a place in the logs")
}

fn count(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("a count"))
}
