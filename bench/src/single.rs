//! Deletions one at a time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use support::eventually;
use support::simulator::Filter;

use crate::bed::{Bed, Contender, PATIENCE};
use crate::figures::Sample;
use crate::usage;

/// Blocks for each program, in turn.
pub const BLOCKS: usize = 5;
/// Deletions in a block.
pub const BLOCK: usize = 60;

/// What was measured of one program.
#[derive(Default)]
pub struct Singles {
    /// From sending the DELETE to the watch's word that the object is gone; one sample for each block.
    pub blocks: Vec<Sample>,
    /// Where that time goes, for every deletion.
    pub legs: [Vec<Duration>; LEGS.len()],
    /// CPU time of the program in its blocks.
    pub cpu: Duration,
}

/// The parts of the way, in order.
pub const LEGS: [&str; 4] = [
    "DELETE sent -> Stop at the service",
    "Stop at the service -> reply",
    "reply -> PATCH at the API server",
    "PATCH at the API server -> gone",
];

/// One block.
pub async fn block(bed: &mut Bed, contender: &Contender, number: usize, singles: &mut Singles) {
    let prefix = format!("{}-single-{number}", contender.program.names().0);
    let names = bed.fill(contender, &prefix, BLOCK).await;
    let used = usage::cpu(contender.pid());
    let mut took = Vec::new();
    let mut moments = Vec::new();
    for name in &names {
        let sent_at = Timestamp::now();
        let sent = Instant::now();
        contender.delete(name).await;
        let gone = bed.await_gone(contender, std::slice::from_ref(name)).await[0];
        took.push(gone - sent);
        moments.push((
            name,
            microseconds(sent_at),
            microseconds(sent_at) + micros(gone - sent),
        ));
    }
    singles.cpu += usage::cpu(contender.pid()).saturating_sub(used);
    singles.blocks.push(Sample::new(took));
    let patched = patches(bed, contender, &names).await;
    let since_start = simulator_start(bed).await;
    for (name, sent, gone) in moments {
        let calls = bed
            .admin
            .calls(&Filter::of("StopLiveMPUTask", name))
            .await
            .expect("the call log");
        let [stop] = calls.as_slice() else {
            panic!("{} Stops for {name}", calls.len());
        };
        let at = |moment: u64| since_start + i64::try_from(moment).expect("microseconds");
        let points = [
            sent,
            at(stop.arrival_us),
            at(stop.reply_us.expect("a reply")),
            patched[name],
            gone,
        ];
        for (leg, ends) in singles.legs.iter_mut().zip(points.windows(2)) {
            leg.push(Duration::from_micros(
                (ends[1] - ends[0]).try_into().unwrap_or(0),
            ));
        }
    }
}

/// When the API server received the PATCH of each object, in UNIX microseconds.
async fn patches(bed: &Bed, contender: &Contender, names: &[String]) -> HashMap<String, i64> {
    eventually("every PATCH is in the audit log", PATIENCE, async || {
        // Of several, the last: the finalizer's.
        let patches: HashMap<String, i64> = bed
            .cluster
            .audit(|entry| {
                entry.verb == "patch"
                    && entry.namespace == contender.namespace
                    && entry.subresource.is_empty()
            })
            .into_iter()
            .map(|entry| (entry.name, microseconds(entry.received)))
            .collect();
        let missing = names
            .iter()
            .filter(|name| !patches.contains_key(*name))
            .count();
        if missing == 0 {
            Ok(patches)
        } else {
            Err(missing)
        }
    })
    .await
}

/// The simulator's start in UNIX microseconds. It tells real time in whole milliseconds, rounded down: the latest estimate is the best.
async fn simulator_start(bed: &Bed) -> i64 {
    let mut start = i64::MIN;
    for _ in 0..30 {
        let clock = bed.admin.clock().await.expect("the clock");
        start = start.max(clock.real_us(0).try_into().expect("microseconds"));
    }
    start
}

fn microseconds(moment: Timestamp) -> i64 {
    moment.as_microsecond()
}

fn micros(duration: Duration) -> i64 {
    duration.as_micros().try_into().expect("microseconds")
}
