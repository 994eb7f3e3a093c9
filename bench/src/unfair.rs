//! One namespace full of deletions that fail, and healthy ones elsewhere.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use kube::api::{DeleteParams, PostParams};
use serde_json::json;
use support::simulator::NewTask;

use crate::bed::{Bed, CLIENTS, Contender, Job, Program};
use crate::figures::{Sample, ms, verdict};

const STOP: &str = "StopLiveMPUTask";
/// The application of what fails.
const FAILING: &str = "failing";
/// Healthy deletions, one after the other.
const HEALTHY: usize = 20;

/// Healthy deletions alone, right after the crowd was deleted, and while it goes on failing.
pub async fn run(bed: &mut Bed, crowd: usize, progress: impl Fn(&str)) {
    println!(
        "\n{HEALTHY} deletions one after the other, beside {crowd} in another namespace that fail; from sending the DELETE to the watch's word\n"
    );
    let crowded = bed.cluster.namespace("crowded").await;
    // The flags of a contender live as long as the program.
    let flag: &'static str = Box::leak(crowded.clone().into_boxed_str());
    let flags: &'static [&'static str] = Box::leak(Box::new(["--namespaces", flag]));
    let operator = bed.contender(Program::Operator, Job::Stop, flags).await;
    let mut names = bed.fill(&operator, "healthy", 3 * HEALTHY).await;
    let fault = json!({"action": STOP, "appId": FAILING, "kind": "error", "status": 503, "code": "ServiceUnavailable"});
    let fault = bed.admin.order_fault(&fault).await.expect("a fault");
    let mut samples = Vec::new();
    let mut measure = async |bed: &mut Bed, title: &str| {
        let names = names.split_off(names.len() - HEALTHY);
        let sample = one_by_one(bed, &operator, names).await;
        println!(
            "{title:<40} p50 {:>8.1} ms   p99 {:>8.1} ms",
            ms(sample.quantile(0.5)),
            ms(sample.quantile(0.99))
        );
        samples.push(sample);
    };
    progress("healthy deletions alone");
    measure(bed, "alone").await;
    progress(&format!("making and deleting {crowd} that fail"));
    let others = bed.objects(&crowded);
    let failing: Vec<String> = (0..crowd)
        .map(|number| format!("failing-{number}"))
        .collect();
    stream::iter(&failing)
        .for_each_concurrent(CLIENTS, async |name| {
            let task = NewTask::default();
            bed.admin
                .start_task(FAILING, name, &task)
                .await
                .expect("a task");
            let object = json!({
                "apiVersion": "mixedstream.io/v1alpha1", "kind": "MixedStreamTask",
                "metadata": {"name": name, "finalizers": ["mixedstream.io/stop-task"]},
                "spec": {"appId": FAILING, "taskId": name},
            });
            let object = serde_json::from_value(object).expect("an object");
            others
                .create(&PostParams::default(), &object)
                .await
                .expect("an object");
        })
        .await;
    stream::iter(&failing)
        .for_each_concurrent(CLIENTS, async |name| {
            others
                .delete(name, &DeleteParams::default())
                .await
                .expect("a deletion");
        })
        .await;
    progress("healthy deletions beside them");
    measure(bed, "right after the crowd was deleted").await;
    // By then each has failed some times, and waits for up to eight seconds or more.
    tokio::time::sleep(Duration::from_secs(15)).await;
    measure(bed, "fifteen seconds later").await;
    let [alone, beside @ ..] = &samples[..] else {
        unreachable!("three were taken");
    };
    // Of twenty the p99 is the worst, which the machine alone can make large: the median must not move either.
    let is_moved = |sample: &Sample| {
        [0.5, 0.99].into_iter().any(|quantile| {
            ms(sample.quantile(quantile)) > 1.5 * ms(alone.quantile(quantile)) + 10.0
        })
    };
    println!(
        "    the crowd moves neither p50 nor p99 (1.5 times, and 10 ms): {}",
        verdict(!beside.iter().any(is_moved))
    );
    bed.admin.remove_fault(fault).await.expect("a fault");
    let mut operator = operator;
    operator.end().await;
}

async fn one_by_one(bed: &mut Bed, operator: &Contender, names: Vec<String>) -> Sample {
    let mut took = Vec::new();
    for name in names {
        let begun = Instant::now();
        operator.delete(&name).await;
        let mut left = [name].into_iter().collect();
        let gone = bed.await_left(operator, &mut left, 0).await;
        took.push(gone.saturating_duration_since(begun));
    }
    Sample::new(took)
}
