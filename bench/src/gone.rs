//! Many objects whose tasks the service has stopped by itself, deleted at once.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use serde_json::json;

use crate::bed::{APP, Bed, CLIENTS, Contender, Job, LATENCY, Program};
use crate::figures::{in_seconds, ms, verdict};
use crate::usage;

/// Stops in a second.
const QUOTA: usize = 500;

/// How many Stops it takes, and what Stop answers. With the first word of each the list answers in all its ways; with the others it is empty.
const STOP_GONE: [(u32, &[&str]); 2] = [
    (3, &["internalError"]),
    (
        1,
        &[
            "taskDoesNotExist",
            "ok",
            "noSuchTask",
            "channelDoesNotExist",
            "verificationFailed",
            "notFoundTask400",
            "notFoundTask404",
            "invalidTaskNotFound400",
            "invalidTaskNotFound404",
        ],
    ),
];
/// What the list by id answers.
const LIST_GONE: [&str; 3] = ["empty", "invalidParam", "internalError"];

/// Runs of the operator from one of the floor to the next.
const BETWEEN_FLOORS: usize = 4;

/// Measures and reports each switch.
pub async fn run(bed: &mut Bed, crowd: usize, progress: impl Fn(&str)) {
    println!(
        "\n{crowd} objects whose tasks are gone, deleted while the program is down; the clock starts with it\n"
    );
    println!(
        "{:<52}{:>8}{:>8}{:>14}{:>10}{:>9}{:>8}{:>10}{:>9}{:>10}",
        "", "s", "first", "first to last", "Stops", "lists", "over", "writes", "CPU ms", "MiB peak"
    );
    for (stops, words) in STOP_GONE {
        let wanted = stops as usize * crowd * 12 / 10 / QUOTA;
        let wanted = Duration::from_secs(u64::try_from(wanted).expect("seconds"));
        let answers = |number| match number {
            0 => &LIST_GONE[..],
            _ => &LIST_GONE[..1],
        };
        let switches: Vec<(&str, &str)> = words
            .iter()
            .enumerate()
            .flat_map(|(number, &word)| answers(number).iter().map(move |&list| (word, list)))
            .collect();
        let (mut floors, mut times) = (Vec::new(), Vec::new());
        floors.push(floor(bed, stops, words[0], crowd, &progress).await);
        for switches in switches.chunks(BETWEEN_FLOORS) {
            for &(stop_gone, list_gone) in switches {
                progress(&format!(
                    "{crowd} gone, {stop_gone} and {list_gone}: operator"
                ));
                let job = Job::GiveUp(stops);
                let mut operator = bed.contender(Program::Operator, job, &[]).await;
                let title = format!("operator, {stop_gone}, list: {list_gone}");
                let switches = (stop_gone, list_gone);
                times.push(measure(bed, &mut operator, &title, switches, crowd).await);
                operator.end().await;
            }
            floors.push(floor(bed, stops, words[0], crowd, &progress).await);
        }
        let (took, least) = (median(times), median(floors));
        let is_met = took <= wanted || least.as_secs_f64() >= 0.9 * took.as_secs_f64();
        println!(
            "    median of the operator {} s, of the floor {} s; within {} s, or 0.9 of the floor: {}",
            in_seconds(took),
            in_seconds(least),
            wanted.as_secs(),
            verdict(is_met)
        );
    }
    let usual = json!({"stopGone": "taskDoesNotExist", "listGone": "empty"});
    bed.admin.set_switches(&usual).await.expect("switches");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// How long the floor takes now. The machine is faster at one time than at another.
async fn floor(
    bed: &mut Bed,
    stops: u32,
    word: &str,
    crowd: usize,
    progress: impl Fn(&str),
) -> Duration {
    progress(&format!("{crowd} gone, {word}: floor"));
    let mut floor = bed.contender(Program::Floor, Job::GiveUp(stops), &[]).await;
    let title = format!("floor, {stops} of Stop each");
    let took = measure(bed, &mut floor, &title, (word, "empty"), crowd).await;
    floor.end().await;
    took
}

async fn measure(
    bed: &mut Bed,
    contender: &mut Contender,
    title: &str,
    (stop_gone, list_gone): (&str, &str),
    crowd: usize,
) -> Duration {
    let prefix = format!("gone-{}", contender.namespace);
    // Armed by the operator whoever deletes them, so that both write to the same objects.
    let program = std::mem::replace(&mut contender.program, Program::Operator);
    contender.end().await;
    bed.resume(contender);
    let names = bed.fill(contender, &prefix, crowd).await;
    contender.end().await;
    contender.program = program;
    let channels = names.iter().map(|name| format!("channel-{name}"));
    let emptied = bed.admin.set_all_users(APP, channels, &[]);
    emptied.await.expect("channels");
    bed.admin.advance(121.0).await.expect("the clock");
    let switches =
        json!({"stopGone": stop_gone, "listGone": list_gone, "latencyMillis": LATENCY.as_millis()});
    bed.admin.set_switches(&switches).await.expect("switches");
    stream::iter(&names)
        .for_each_concurrent(CLIENTS, |name| contender.delete(name))
        .await;
    let from = bed.admin.mark().await.expect("a place in the logs");
    let clock = bed.admin.clock().await.expect("the clock");
    let (began, at) = (Instant::now(), Timestamp::now());
    bed.resume(contender);
    let gone = bed.await_gone(contender, &names).await;
    let took = gone.into_iter().max().unwrap_or(began) - began;
    let cpu = usage::cpu(contender.pid());
    let (_, peak) = usage::memory(contender.pid());
    let calls = bed.admin.calls_between(from, None).await;
    let calls = calls.expect("the call log");
    let of_action = |action: &str| {
        let is_it = |call: &&support::simulator::Call| call.action.as_deref() == Some(action);
        calls.iter().filter(is_it).count()
    };
    let arrivals = calls
        .iter()
        .filter(|call| call.action.as_deref() == Some("StopLiveMPUTask"))
        .map(|call| Duration::from_micros(call.arrival_us));
    let (first, last) = arrivals.fold((Duration::MAX, Duration::ZERO), |(first, last), at| {
        (first.min(at), last.max(at))
    });
    let writes = bed.cluster.audit(|entry| {
        let is_it = entry.verb == "patch" && entry.resource == "mixedstreamtasks";
        is_it && entry.namespace == contender.namespace && entry.received >= at
    });
    println!(
        "{title:<52}{:>8}{:>8}{:>14}{:>10}{:>9}{:>8}{:>10}{:>9.0}{:>10}",
        in_seconds(took),
        in_seconds(first.saturating_sub(Duration::from_micros(clock.monotonic_us))),
        in_seconds(last.saturating_sub(first)),
        of_action("StopLiveMPUTask"),
        of_action("ListRtcMPUTaskDetail"),
        calls.iter().filter(|call| call.over_quota).count(),
        writes.len(),
        ms(cpu),
        peak
    );
    took
}
