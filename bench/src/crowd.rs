//! A thousand deletions at once.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use support::audit::Entry;
use support::eventually;
use support::simulator::{Call, Filter};

use crate::bed::{APP, Bed, CLIENTS, Contender, PATIENCE};
use crate::figures::{Sample, most_in_a_second};
use crate::usage;

/// Rounds, in which the programs take turns.
pub const ROUNDS: usize = 2;
/// How many.
pub const CROWD: usize = 1000;

/// What was measured.
pub struct Crowd {
    /// What it was.
    pub title: String,
    /// From the first DELETE, or from the program's start, to the last object's end.
    pub took: Duration,
    /// Stops that reached the service.
    pub stops: usize,
    /// From the first Stop to the last.
    pub stopping: Duration,
    /// The most Stops in any sliding second, by their arrival.
    pub most_in_a_second: usize,
    /// Stops refused for the quota.
    pub over_quota: usize,
    /// Writes to the objects after the first DELETE.
    pub patches: usize,
    /// How long the API server took for each of them.
    pub patching: Sample,
    /// CPU time of the program.
    pub cpu: Duration,
    /// Resident memory of the program in MiB: with all objects there, and at most.
    pub memory: (u64, u64),
}

/// All are deleted by several clients while the program runs.
pub async fn drain(bed: &mut Bed, contender: &Contender, round: usize) -> Crowd {
    let names = bed
        .fill(
            contender,
            &format!("{}-drain-{round}", contender.program.names().0),
            CROWD,
        )
        .await;
    let (resident, _) = usage::memory(contender.pid());
    let mark = Mark::set(bed).await;
    let used = usage::cpu(contender.pid());
    let began = Instant::now();
    stream::iter(&names)
        .for_each_concurrent(CLIENTS, |name| contender.delete(name))
        .await;
    let gone = bed.await_gone(contender, &names).await;
    let title = format!(
        "drained by {CLIENTS} clients: {}",
        contender.program.names().0
    );
    mark.crowd(bed, contender, title, last(&gone) - began, used, resident)
        .await
}

/// All are deleted while the program is down; the clock starts with the program.
pub async fn backlog(bed: &mut Bed, contender: &mut Contender, round: usize) -> Crowd {
    let names = bed
        .fill(
            contender,
            &format!("{}-backlog-{round}", contender.program.names().0),
            CROWD,
        )
        .await;
    contender.end().await;
    let mark = Mark::set(bed).await;
    stream::iter(&names)
        .for_each_concurrent(CLIENTS, |name| contender.delete(name))
        .await;
    let began = Instant::now();
    bed.resume(contender);
    let gone = bed.await_gone(contender, &names).await;
    let title = format!(
        "backlog, from the start of: {}",
        contender.program.names().0
    );
    let (resident, _) = usage::memory(contender.pid());
    mark.crowd(
        bed,
        contender,
        title,
        last(&gone) - began,
        Duration::ZERO,
        resident,
    )
    .await
}

fn last(moments: &[Instant]) -> Instant {
    moments.iter().copied().max().expect("a moment")
}

/// Where the logs were before the first DELETE.
struct Mark {
    call: u64,
    at: Timestamp,
}

impl Mark {
    async fn set(bed: &Bed) -> Self {
        let calls = bed
            .admin
            .calls(&Filter::default())
            .await
            .expect("the call log");
        Self {
            call: calls.last().map_or(0, |call| call.seq + 1),
            at: Timestamp::now(),
        }
    }

    async fn crowd(
        self,
        bed: &Bed,
        contender: &Contender,
        title: String,
        whole: Duration,
        used: Duration,
        resident: u64,
    ) -> Crowd {
        let cpu = usage::cpu(contender.pid()).saturating_sub(used);
        let (_, peak) = usage::memory(contender.pid());
        let filter = Filter {
            since: self.call,
            action: Some("StopLiveMPUTask".to_owned()),
            app_id: Some(APP.to_owned()),
            task_id: None,
        };
        let stops = bed.admin.calls(&filter).await.expect("the call log");
        let arrivals: Vec<u64> = stops.iter().map(|stop: &Call| stop.arrival_us).collect();
        let first = arrivals.iter().min().copied().unwrap_or_default();
        let latest = arrivals.iter().max().copied().unwrap_or_default();
        let patches = eventually("every PATCH is in the audit log", PATIENCE, async || {
            let patches = bed.cluster.audit(|entry| {
                entry.verb == "patch"
                    && entry.resource == "mixedstreamtasks"
                    && entry.namespace == contender.namespace
                    && entry.received >= self.at
            });
            if patches.len() >= CROWD {
                Ok(patches)
            } else {
                Err(patches.len())
            }
        });
        let patches = patches.await;
        let took = |entry: &Entry| entry.answered.duration_since(entry.received).unsigned_abs();
        Crowd {
            title,
            took: whole,
            stops: stops.len(),
            stopping: Duration::from_micros(latest - first),
            most_in_a_second: most_in_a_second(arrivals),
            over_quota: stops.iter().filter(|stop| stop.over_quota).count(),
            patches: patches.len(),
            patching: Sample::new(patches.iter().map(took).collect()),
            cpu,
            memory: (resident, peak),
        }
    }
}
