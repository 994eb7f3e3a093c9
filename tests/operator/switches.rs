//! A task that the service has stopped by itself, under everything that the service may answer then.

use std::time::{Duration, Instant};

use futures::future::{join_all, select};
use serde_json::json;

use crate::oracle::{
    STOP, USERS, armed_with_task, calls_of, deletions, of_action, quick, released_on, running,
    until_released_on,
};
use crate::scene::{APP, Scene};

/// What Stop may answer for a task that does not run.
pub const STOP_GONE: [&str; 10] = [
    "ok",
    "taskDoesNotExist",
    "noSuchTask",
    "channelDoesNotExist",
    "verificationFailed",
    "internalError",
    "notFoundTask400",
    "notFoundTask404",
    "invalidTaskNotFound400",
    "invalidTaskNotFound404",
];
/// What the list may answer for it.
const LIST_GONE: [&str; 3] = ["empty", "invalidParam", "internalError"];

/// Whatever Stop and the list answer for a task that the service has stopped by itself: the object goes.
#[tokio::test]
async fn a_task_that_stopped_by_itself_under_every_switch() {
    let begun = Instant::now();
    let courses = STOP_GONE.into_iter().flat_map(|stop_gone| {
        // Three InternalErrors over ten seconds take long enough to give each its own operator.
        let lists: Vec<Vec<&str>> = if stop_gone == "internalError" {
            LIST_GONE.iter().map(|list| vec![*list]).collect()
        } else {
            vec![LIST_GONE.to_vec()]
        };
        lists.into_iter().map(move |lists| (stop_gone, lists))
    });
    let combinations: usize =
        join_all(courses.map(|(stop_gone, list_gone)| stopped_by_itself(stop_gone, list_gone)))
            .await
            .into_iter()
            .sum();
    assert_eq!(combinations, 60);
    eprintln!(
        "already stopped by the service: {combinations} combinations of switches, all gone, in {:?}",
        begun.elapsed()
    );
}

async fn stopped_by_itself(stop_gone: &str, list_gone: Vec<&str>) -> usize {
    let scene = quick("auto").await;
    let mut played = 0;
    for list_gone in list_gone {
        for shows_stopped in [false, true] {
            // The clock too: the dates of the calls have to stay within the window.
            scene.simulator.reset().await.unwrap();
            let switches = json!({"stopGone": stop_gone, "listGone": list_gone, "listShowsStopped": shows_stopped});
            scene.simulator.set_switches(&switches).await.unwrap();
            let name = format!("auto-{played}");
            play_stopped_by_itself(&scene, &name, stop_gone, shows_stopped).await;
            played += 1;
        }
    }
    played
}

async fn play_stopped_by_itself(scene: &Scene, name: &str, stop_gone: &str, shows_stopped: bool) {
    armed_with_task(scene, name).await;
    let channel = format!("channel-{name}");
    scene
        .simulator
        .set_users(APP, &channel, &[], &[])
        .await
        .unwrap();
    scene.simulator.advance(130.0).await.unwrap();
    assert!(!running(scene, name).await, "the service has stopped it");
    let evidence = match (stop_gone, shows_stopped) {
        ("ok", _) => "stop_accepted",
        (_, true) => "must_have_stopped",
        (_, false) => "not_listed",
    };
    let before = released_on(scene, evidence).await;

    scene.delete(name).await;
    let gone = std::pin::pin!(scene.until_gone(name));
    let clock = std::pin::pin!(readings_move_the_clock(scene));
    select(gone, clock).await;

    let what = format!("{stop_gone}, shows stopped: {shows_stopped}");
    until_released_on(scene, evidence, before + 1).await;
    let stops = calls_of(scene, STOP, name).await.len();
    // Where the task is listed still, one more Stop comes after the channel has been empty for long enough.
    let expected = match (stop_gone, shows_stopped) {
        ("internalError", false) => 3,
        ("internalError", true) => 4,
        ("ok", _) | (_, false) => 1,
        (_, true) => 2,
    };
    assert_eq!(stops, expected, "{what}\n{}", scene.tail());
    let found = deletions(scene, 1).await;
    assert_eq!(found[name].patches.len(), 1, "{what}");
}

/// Ten simulated seconds pass after each reading of a channel.
async fn readings_move_the_clock(scene: &Scene) {
    let filter = of_action(USERS);
    let mut seen = 0;
    loop {
        let wait = Duration::from_secs(5);
        let calls = scene.simulator.await_calls(&filter, seen + 1, wait).await;
        let calls = calls.unwrap();
        if calls.len() > seen {
            seen = calls.len();
            scene.simulator.advance(10.0).await.unwrap();
        }
    }
}
