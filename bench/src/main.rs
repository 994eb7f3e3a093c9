//! `make bench`: the operator against a bare program, on one control plane and one simulator, in one run. The page beside this crate says how to read it.
//! `bench PART...` measures these parts alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement stops at the first surprise"
)]

mod backlog;
mod bed;
mod crowd;
mod figures;
mod gone;
mod relays;
mod single;
mod unfair;
mod usage;

use std::time::Instant;

use bed::{Bed, Contender, Job, LATENCY, Program};
use clap::{Parser, ValueEnum};
use crowd::{CROWD, Crowd, ROUNDS};
use figures::{Sample, ms, spread, verdict};
use single::{BLOCK, BLOCKS, LEGS, Singles};
use support::binary;

/// The operator measured against a bare program.
#[derive(Parser)]
struct Arguments {
    /// What to measure; everything where nothing is said.
    parts: Vec<Part>,
    /// How many objects there are in the part `gone`.
    #[arg(long, default_value_t = 10_000)]
    gone: usize,
    /// How many objects there are in the part `backlog`.
    #[arg(long, default_value_t = 10_000)]
    backlog: usize,
    /// How many objects there are in the part `neighbour`.
    #[arg(long, default_value_t = 10_000)]
    neighbour: usize,
    /// How many objects fail in the part `unfair`.
    #[arg(long, default_value_t = 5_000)]
    unfair: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Deletions one at a time.
    Single,
    /// A thousand deletions at once.
    Crowd,
    /// Relays: created, observed and emptied.
    Relays,
    /// Many deletions at once of objects whose tasks are gone.
    Gone,
    /// Many deletions at once, alone on the account, with a restart in the middle.
    Backlog,
    /// Many deletions at once, beside somebody who takes half of the quota.
    Neighbour,
    /// Healthy deletions beside many that fail in another namespace.
    Unfair,
}

#[tokio::main]
async fn main() {
    let Arguments {
        parts,
        gone,
        backlog,
        neighbour,
        unfair,
    } = Arguments::parse();
    let wants = |part: Part| parts.is_empty() || parts.contains(&part);
    let began = Instant::now();
    let progress =
        |what: &str| eprintln!("bench: {:>5.1} s  {what}", began.elapsed().as_secs_f64());
    progress("starting a control plane and the simulator");
    let mut bed = Bed::make().await;
    if wants(Part::Single) || wants(Part::Crowd) {
        let mut contenders = Vec::new();
        for program in Program::BOTH {
            contenders.push(bed.contender(program, Job::Stop, &[]).await);
        }
        if wants(Part::Single) {
            singles(&mut bed, &contenders, progress).await;
        }
        if wants(Part::Crowd) {
            crowds(&mut bed, &mut contenders, progress).await;
        }
        for contender in &mut contenders {
            contender.end().await;
        }
    }
    if wants(Part::Relays) {
        relays::run(&bed, progress).await;
    }
    if wants(Part::Gone) {
        gone::run(&mut bed, gone, progress).await;
    }
    if wants(Part::Backlog) {
        backlog::alone(&mut bed, backlog, progress).await;
    }
    if wants(Part::Neighbour) {
        backlog::beside(&mut bed, neighbour, progress).await;
    }
    if wants(Part::Unfair) {
        unfair::run(&mut bed, unfair, progress).await;
    }
    progress("done");
    let size = std::fs::metadata(binary(Program::Operator.names().1))
        .expect("the binary")
        .len();
    let kib = u32::try_from(size / 1024).expect("a binary that fits in memory");
    println!(
        "\nThe operator's binary: {:.1} MiB.",
        f64::from(kib) / 1024.0
    );
}

async fn singles(bed: &mut Bed, contenders: &[Contender], progress: impl Fn(&str)) {
    let mut singles = [Singles::default(), Singles::default()];
    for number in 0..BLOCKS {
        progress(&format!(
            "single deletes, block {} of {BLOCKS} of each",
            number + 1
        ));
        for (contender, singles) in contenders.iter().zip(&mut singles) {
            single::block(bed, contender, number, singles).await;
        }
    }
    report_singles(&singles);
}

async fn crowds(bed: &mut Bed, contenders: &mut [Contender], progress: impl Fn(&str)) {
    let mut crowds = Vec::new();
    for round in 0..ROUNDS {
        for contender in &*contenders {
            progress(&format!("drain: {}", contender.program.names().0));
            crowds.push(crowd::drain(bed, contender, round).await);
        }
    }
    for round in 0..ROUNDS {
        for contender in &mut *contenders {
            progress(&format!("backlog: {}", contender.program.names().0));
            crowds.push(crowd::backlog(bed, contender, round).await);
        }
    }
    report_crowds(&crowds);
}

fn report_singles([floor, operator]: &[Singles; 2]) {
    println!(
        "\nSingle deletes, {} each in {BLOCKS} blocks of {BLOCK} in turn, the service answering in {} ms.",
        Sample::all(&floor.blocks).len(),
        LATENCY.as_millis()
    );
    println!(
        "From sending the DELETE to the watch's word that the object is gone; in brackets the least and most of the blocks.\n"
    );
    println!(
        "{:<6}{:>26}{:>26}{:>12}{:>8}",
        "ms", "floor", "operator", "difference", "ratio"
    );
    let all = [floor, operator].map(|singles| Sample::all(&singles.blocks));
    for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)] {
        let [low, high] = [0, 1].map(|at| ms(all[at].quantile(share)));
        let [of_floor, of_operator] =
            [floor, operator].map(|singles| spread(&singles.blocks, share));
        let cell = |value: f64, spread: &std::ops::RangeInclusive<f64>| {
            format!("{value:.1} [{:.1}..{:.1}]", spread.start(), spread.end())
        };
        println!(
            "{name:<6}{:>26}{:>26}{:>12.1}{:>8.2}",
            cell(low, &of_floor),
            cell(high, &of_operator),
            high - low,
            high / low
        );
    }
    let at = |at: usize, share: f64| ms(all[at].quantile(share));
    println!(
        "\np50 <= floor + 2 ms: {}",
        verdict(at(1, 0.5) <= at(0, 0.5) + 2.0)
    );
    println!(
        "p99 <= 1.3 x floor:  {}",
        verdict(at(1, 0.99) <= 1.3 * at(0, 0.99))
    );

    println!("\nWhere the time goes, p50 / p90 in ms\n");
    println!("{:<38}{:>16}{:>16}", "", "floor", "operator");
    for (number, leg) in LEGS.iter().enumerate() {
        let [floor, operator] = [floor, operator].map(|singles| {
            let leg = Sample::new(singles.legs[number].clone());
            format!(
                "{:.2} / {:.2}",
                ms(leg.quantile(0.5)),
                ms(leg.quantile(0.9))
            )
        });
        println!("{leg:<38}{floor:>16}{operator:>16}");
    }
    let [floor, operator] = [floor, operator].map(|singles| {
        let count = u32::try_from(Sample::all(&singles.blocks).len()).expect("a count");
        format!("{:.2}", ms(singles.cpu / count))
    });
    println!(
        "{:<38}{floor:>16}{operator:>16}",
        "CPU time for each delete, ms"
    );
}

fn report_crowds(crowds: &[Crowd]) {
    println!("\n{CROWD} at once, in {ROUNDS} rounds in turn\n");
    println!(
        "{:<40}{:>7}{:>8}{:>9}{:>12}{:>12}{:>9}{:>20}{:>8}{:>14}",
        "",
        "s",
        "Stops",
        "Stops/s",
        "most in 1 s",
        "over quota",
        "PATCHes",
        "ms a PATCH p50/p90",
        "CPU ms",
        "MiB now/peak"
    );
    for crowd in crowds {
        let count = |count: usize| f64::from(u32::try_from(count).expect("a count"));
        let [half, most] = [0.5, 0.9].map(|share| ms(crowd.patching.quantile(share)));
        println!(
            "{:<40}{:>7.2}{:>8}{:>9.0}{:>12}{:>12}{:>9.3}{:>20}{:>8.2}{:>14}",
            crowd.title,
            crowd.took.as_secs_f64(),
            crowd.stops,
            count(crowd.stops) / crowd.stopping.as_secs_f64(),
            crowd.most_in_a_second,
            crowd.over_quota,
            count(crowd.patches) / count(CROWD),
            format!("{half:.1} / {most:.1}"),
            ms(crowd.cpu) / count(CROWD),
            format!("{}/{}", crowd.memory.0, crowd.memory.1),
        );
    }
    println!(
        "\nStops/s is from the first Stop to the last; PATCHes and CPU are for each delete. An operator sends nothing in its first second; the floor does."
    );
}
