//! A large backlog: objects that were deleted while the program was down, alone on the account and beside a neighbour.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use serde_json::json;
use support::simulator::Call;

use crate::bed::{Bed, CLIENTS, Contender, Job, LATENCY, Program};
use crate::figures::{in_seconds, most_in_a_second, ms, verdict};
use crate::usage;

const STOP: &str = "StopLiveMPUTask";
/// Stops in a second.
const QUOTA: usize = 500;
/// What the neighbour takes of it.
const TAKEN: f64 = 0.5;
/// What the service does with a call that is too much.
const EXCESS: [&str; 5] = [
    "throttling400",
    "throttling429",
    "throttling503",
    "close",
    "drop",
];

/// What became of one backlog.
struct Drained {
    took: Duration,
    stops: Vec<Call>,
}

impl Drained {
    fn over(&self) -> usize {
        self.stops.iter().filter(|call| call.over_quota).count()
    }

    /// The most calls in any sliding second, by arrival and by the end of the reply.
    fn densest(&self) -> (usize, usize) {
        let arrivals = self.stops.iter().map(|call| call.arrival_us).collect();
        let ends = self.stops.iter().filter_map(|call| call.end_us).collect();
        (most_in_a_second(arrivals), most_in_a_second(ends))
    }

    /// Of the tasks, those with more calls than one and their own throttles.
    fn wasteful(&self) -> usize {
        let mut fine: HashMap<&str, usize> = HashMap::new();
        for call in self.stops.iter().filter(|call| !call.over_quota) {
            let task = call.task_id.as_deref().unwrap_or_default();
            *fine.entry(task).or_default() += 1;
        }
        fine.values().filter(|calls| **calls > 1).count()
    }

    /// Which part of `left` Stops a second was used, from the first Stop until 95 of 100 had passed: the last ones may have been swallowed, and
    /// wait for their deadline.
    fn used(&self, left: f64) -> f64 {
        let fine = self.stops.iter().filter(|call| !call.over_quota);
        let mut passed: Vec<u64> = fine.map(|call| call.arrival_us).collect();
        passed.sort_unstable();
        let count = passed.len() * 95 / 100;
        let (Some(first), Some(late)) = (passed.first(), passed.get(count)) else {
            return 0.0;
        };
        let span = Duration::from_micros(late - first).as_secs_f64();
        f64::from(u32::try_from(count).expect("a count")) / (left * span)
    }
}

/// Alone on the account: the floor, the operator, and the operator with a restart in the middle.
pub async fn alone(bed: &mut Bed, crowd: usize, progress: impl Fn(&str)) {
    println!(
        "\n{crowd} objects deleted while the program is down, alone on the account, the service answering in {} ms; the clock starts with the program\n",
        LATENCY.as_millis()
    );
    heading();
    let mut times = Vec::new();
    for (program, restarts, title) in [
        (Program::Floor, false, "floor"),
        (Program::Operator, false, "operator"),
        (Program::Operator, true, "operator, killed in the middle"),
    ] {
        progress(&format!("backlog of {crowd}: {title}"));
        let mut contender = armed(bed, crowd, "backlog").await;
        contender.program = program;
        let drained = drain(bed, &mut contender, restarts).await;
        tell(title, &contender, &drained);
        times.push(drained.took.as_secs_f64());
        contender.end().await;
        if program == Program::Operator {
            let (by_arrival, by_end) = drained.densest();
            let is_kept = drained.over() == 0 && by_arrival <= QUOTA && by_end <= QUOTA;
            println!(
                "    none over quota, never more than {QUOTA} in a second: {}",
                verdict(is_kept)
            );
        }
    }
    let least = f64::from(u32::try_from(crowd / QUOTA).expect("a count"));
    let is_met = times[1] <= 1.1 * least || times[0] >= 0.9 * times[1];
    println!(
        "    operator: within {:.1} s, or 0.9 of the floor: {}",
        1.1 * least,
        verdict(is_met)
    );
}

/// Beside somebody who takes half of the quota.
pub async fn beside(bed: &mut Bed, crowd: usize, progress: impl Fn(&str)) {
    println!(
        "\n{crowd} objects deleted while the operator is down, beside a neighbour that takes {TAKEN} of the quota\n"
    );
    heading();
    for excess in EXCESS {
        progress(&format!("backlog of {crowd} beside a neighbour: {excess}"));
        let mut contender = armed(bed, crowd, &format!("beside-{}", excess.to_lowercase())).await;
        neighbour(bed, TAKEN, excess).await;
        let drained = drain(bed, &mut contender, false).await;
        neighbour(bed, 0.0, EXCESS[0]).await;
        tell(excess, &contender, &drained);
        let used = drained.used(f64::from(u32::try_from(QUOTA).expect("a count")) * (1.0 - TAKEN));
        println!(
            "    {used:.3} of what is left is used; 0.9: {}; calls per task at most 1 and its own throttles: {}",
            verdict(used >= 0.9),
            verdict(drained.wasteful() == 0)
        );
        contender.end().await;
    }
}

async fn neighbour(bed: &Bed, share: f64, excess: &str) {
    let account = json!({"neighbourShare": share});
    bed.admin
        .set_account("default", &account)
        .await
        .expect("an account");
    let switches = json!({"excess": excess});
    bed.admin.set_switches(&switches).await.expect("switches");
}

/// So many objects that the operator has armed, whichever program will release them: then both patch the same. The program is down.
async fn armed(bed: &Bed, crowd: usize, word: &str) -> Contender {
    let mut contender = bed.contender(Program::Operator, Job::Stop, &[]).await;
    let prefix = format!("{word}-{}", contender.namespace);
    let names = bed.fill(&contender, &prefix, crowd).await;
    contender.end().await;
    stream::iter(&names)
        .for_each_concurrent(CLIENTS, |name| contender.delete(name))
        .await;
    contender.names = names;
    contender
}

async fn drain(bed: &mut Bed, contender: &mut Contender, restarts: bool) -> Drained {
    let from = bed.admin.mark().await.expect("a place in the logs");
    let mut left: HashSet<String> = contender.names.drain(..).collect();
    let began = Instant::now();
    bed.resume(contender);
    if restarts {
        let half = left.len() / 2;
        bed.await_left(contender, &mut left, half).await;
        contender.kill().await;
        bed.resume(contender);
    }
    let last = bed.await_left(contender, &mut left, 0).await;
    let calls = bed.admin.calls_between(from, None).await;
    let calls = calls.expect("the call log").into_iter();
    Drained {
        took: last.saturating_duration_since(began),
        stops: calls
            .filter(|call| call.action.as_deref() == Some(STOP))
            .collect(),
    }
}

fn heading() {
    println!(
        "{:<34}{:>8}{:>10}{:>9}{:>12}{:>22}{:>9}{:>10}",
        "", "s", "Stops", "Stops/s", "over quota", "most in 1 s, at/end", "CPU ms", "MiB peak"
    );
}

fn tell(title: &str, contender: &Contender, drained: &Drained) {
    let arrivals = || drained.stops.iter().map(|call| call.arrival_us);
    let span = arrivals().max().unwrap_or_default() - arrivals().min().unwrap_or_default();
    let count = f64::from(u32::try_from(drained.stops.len()).expect("a count"));
    let (by_arrival, by_end) = drained.densest();
    let (_, peak) = usage::memory(contender.pid());
    println!(
        "{title:<34}{:>8}{:>10}{:>9.0}{:>12}{:>22}{:>9.0}{:>10}",
        in_seconds(drained.took),
        drained.stops.len(),
        count / Duration::from_micros(span.max(1)).as_secs_f64(),
        drained.over(),
        format!("{by_arrival} / {by_end}"),
        ms(usage::cpu(contender.pid())),
        peak
    );
}
