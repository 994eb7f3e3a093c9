//! Relays that somebody else stops: the service by itself, or a person.

use serde_json::json;
use support::relay::{Relay, url};
use support::simulator::TaskState;

use super::events::{until_told, words};
use super::*;
use crate::oracle::set_account;
use mixed_stream_operator::api::{Phase, StopReason};

/// Longer than a task lives in an empty channel, in simulated seconds.
const LONG: f64 = 130.0;

impl Scene {
    /// Creates a relay that is started again when its channel returns, and waits until it runs.
    async fn returning(&self, name: &str) -> MixedStreamTask {
        self.join(name).await;
        let relay = Relay::single(APP, name).with("/restartPolicy", "WhenChannelReturns");
        self.relay(relay).await;
        self.until_reason(name, "Running").await
    }

    async fn phase_and_why(&self, name: &str) -> (Option<Phase>, Option<StopReason>) {
        let status = self.objects().get(name).await.unwrap().status.unwrap();
        (status.phase, status.stop_reason)
    }

    /// The version of the stored object.
    pub async fn version(&self, name: &str) -> String {
        let object = self.objects().get(name).await.unwrap();
        object.metadata.resource_version.unwrap()
    }

    async fn starts_of(&self, object: &MixedStreamTask) -> usize {
        self.calls(START, &task_of(object)).await
    }
}

#[tokio::test]
async fn an_auto_stop_is_an_outcome_and_a_restart_only_where_that_is_asked_for() {
    let scene = scene("autostop").await;
    let (never, returns, stays) = tokio::join!(
        scene.running("never"),
        scene.returning("returns"),
        scene.running("stays")
    );
    let untouched = scene.version("stays").await;
    scene.leave("never").await;
    scene.leave("returns").await;
    scene.simulator.advance(LONG).await.unwrap();
    let completed = scene.until_reason("never", "Completed").await;
    let waiting = scene.until_reason("returns", "WaitingForChannel").await;
    let over = (Some(Phase::Stopped), Some(StopReason::ChannelEmpty));
    for (object, says) in [
        (&completed, "nobody was in its channel"),
        (
            &waiting,
            "Nobody is in channel returns. The relay is started again",
        ),
    ] {
        let status = object.status.clone().unwrap();
        assert_eq!((status.phase, status.stop_reason), over);
        assert!(status.stopped_at.is_some() && status.intent.is_none());
        assert!(message(object).contains(says), "{}", message(object));
    }
    until_told(
        &scene,
        "never",
        &[("Started", 1), ("Stopped", 1), ("Completed", 1)],
    )
    .await;
    until_told(&scene, "returns", &[("Started", 1), ("Stopped", 1)]).await;
    let by = words(&scene, "never", "Stopped").await;
    assert!(by[0].contains("by the service"), "{by:?}");
    let rooms = scene.calls_of(ROOMS).await;
    scene.until_all(ROOMS, rooms + 4).await;
    for object in [&never, &returns, &stays] {
        assert_eq!(scene.starts_of(object).await, 1);
        assert_eq!(scene.calls(STOP, &task_of(object)).await, 0);
    }

    scene.join("never").await;
    scene.join("returns").await;
    let again = scene.until_reason("returns", "Running").await;
    assert_eq!(task_of(&again), task_of(&returns));
    assert_eq!(scene.starts_of(&again).await, 2);
    assert_eq!(again.status.unwrap().stop_reason, None);
    until_told(&scene, "returns", &[("Started", 2), ("Stopped", 1)]).await;
    after_sweeps(&scene, 3).await;
    assert_eq!(scene.starts_of(&never).await, 1);
    assert_eq!(scene.phase_and_why("never").await, over);
    assert_eq!(
        scene.version("stays").await,
        untouched,
        "nothing is written"
    );
    for name in ["never", "returns", "stays"] {
        scene.end(name).await;
    }
    let owners = [&never, &returns, &stays].map(owner);
    scene.kept(&owners, 0).await;
}

#[tokio::test]
async fn a_relay_that_somebody_stops_is_started_again_only_after_its_channel_was_away() {
    let mut scene = scene("elsewhere").await;
    let (never, returns) = tokio::join!(scene.running("never"), scene.returning("returns"));
    for object in [&never, &returns] {
        let stopped = scene.simulator.stop_task(APP, &task_of(object)).await;
        stopped.unwrap();
    }
    let completed = scene.until_reason("never", "Completed").await;
    let waiting = scene.until_reason("returns", "WaitingForChannel").await;
    for (object, says) in [
        (&completed, "stopped by something else than this operator"),
        (&waiting, "has been empty and somebody joins anew"),
    ] {
        let status = object.status.clone().unwrap();
        assert_eq!(status.stop_reason, Some(StopReason::StoppedElsewhere));
        assert!(message(object).contains(says), "{}", message(object));
    }
    let by = words(&scene, "never", "Stopped").await;
    assert!(by[0].contains("by something else"), "{by:?}");

    // The channel stays live, also for a process that knows nothing of the stop.
    let rooms = scene.calls_of(ROOMS).await;
    scene.until_all(ROOMS, rooms + 4).await;
    scene.operator.restart().await;
    scene.operator.ready().await;
    let rooms = scene.calls_of(ROOMS).await;
    scene.until_all(ROOMS, rooms + 4).await;
    assert_eq!(scene.starts_of(&never).await, 1);
    assert_eq!(scene.starts_of(&returns).await, 1);

    for name in ["never", "returns"] {
        scene.leave(name).await;
    }
    scene.simulator.advance(6.0).await.unwrap();
    scene
        .until("returns", "the channel was seen away", |object| {
            let status = object.status.as_ref().unwrap();
            status.channel_left_at.is_some() && message(object).starts_with("Nobody is in")
        })
        .await;
    assert_eq!(scene.starts_of(&returns).await, 1);
    for name in ["never", "returns"] {
        scene.join(name).await;
    }
    let again = scene.until_reason("returns", "Running").await;
    assert_eq!(scene.starts_of(&again).await, 2);
    assert_eq!(again.status.unwrap().channel_left_at, None);
    assert_eq!(scene.starts_of(&never).await, 1);
    for name in ["never", "returns"] {
        scene.end(name).await;
    }
    scene.kept(&[owner(&never), owner(&returns)], 0).await;
}

/// The service needs a moment until its list shows a task.
#[tokio::test]
async fn a_task_that_is_not_listed_yet_was_not_stopped() {
    let lag = with("lag", |launch| {
        short(launch).flags(["--settle-time", "20s"])
    });
    let scene = lag.await;
    let lagging = json!({"listLagSeconds": 3600});
    scene.simulator.set_switches(&lagging).await.unwrap();
    let fresh = scene.running("fresh").await;
    let version = scene.version("fresh").await;
    after_sweeps(&scene, 5).await;
    assert_eq!(scene.version("fresh").await, version, "nothing was written");
    // What the list was too late with is looked for in vain no longer.
    let lagging = json!({"listLagSeconds": 0});
    scene.simulator.set_switches(&lagging).await.unwrap();
    after_sweeps(&scene, 3).await;
    assert_eq!(scene.version("fresh").await, version);
    assert_eq!(scene.starts_of(&fresh).await, 1);
    scene.end("fresh").await;
    scene.kept(&[owner(&fresh)], 0).await;
}

#[tokio::test]
async fn one_read_that_misses_a_task_or_fails_proves_nothing() {
    let scene = scene("oneread").await;
    let object = scene.running("x").await;
    after_sweeps(&scene, 4).await;
    let version = scene.version("x").await;
    let empty = json!({"RequestId": "4F2C", "MPUTasks": []}).to_string();
    let error = |times: u32, mut fault: Value| {
        fault["action"] = json!(LIST);
        fault["times"] = json!(times);
        fault
    };
    let faults = [
        error(
            3,
            json!({"kind": "error", "status": 500, "code": "InternalError"}),
        ),
        error(
            3,
            json!({"kind": "error", "status": 400, "code": "InvalidParam", "message": "The task does not exist."}),
        ),
        error(3, json!({"kind": "torn"})),
        error(3, json!({"kind": "emptyReply"})),
        error(3, json!({"kind": "foreignReply"})),
        error(3, json!({"kind": "wrongJson"})),
        // A page can drift past a reader: once.
        error(1, json!({"kind": "error", "status": 200, "body": empty})),
    ];
    for fault in faults {
        let id = scene.simulator.order_fault(&fault).await.unwrap();
        eventually("the fault is over", PATIENCE, async || {
            match scene.simulator.faults_left(id).await.unwrap() {
                Some(0) => Ok(()),
                left => Err(left),
            }
        })
        .await;
        after_sweeps(&scene, 2).await;
        assert_eq!(scene.version("x").await, version, "{fault}");
    }
    // Twice in a row is what counts. Should that be wrong, no task is leaked for it.
    let twice = error(2, json!({"kind": "error", "status": 200, "body": empty}));
    scene.simulator.order_fault(&twice).await.unwrap();
    scene.until_reason("x", "Completed").await;
    scene.end("x").await;
    let task = scene.simulator.task(APP, &task_of(&object)).await.unwrap();
    assert_eq!(task.state, TaskState::Stopped);
    scene.kept(&[owner(&object)], 0).await;
}

/// Somebody may come back right after the service has stopped the task: that nobody was there before is remembered.
#[tokio::test]
async fn an_auto_stop_is_told_from_a_stop_by_somebody_though_the_channel_is_back() {
    let scene = scene("justback").await;
    let (never, returns) = tokio::join!(scene.running("never"), scene.returning("returns"));
    after_sweeps(&scene, 3).await;
    for name in ["never", "returns"] {
        scene.leave(name).await;
    }
    scene.simulator.advance(60.0).await.unwrap();
    let rooms = scene.calls_of(ROOMS).await;
    scene.until_all(ROOMS, rooms + 4).await;
    scene.simulator.advance(61.0).await.unwrap();
    for name in ["never", "returns"] {
        scene.join(name).await;
    }
    let completed = scene.until_reason("never", "Completed").await;
    assert_eq!(
        completed.status.unwrap().stop_reason,
        Some(StopReason::ChannelEmpty)
    );
    scene.until_calls(START, &task_of(&returns), 2).await;
    scene.until_reason("returns", "Running").await;
    for name in ["never", "returns"] {
        scene.end(name).await;
    }
    scene.kept(&[owner(&never), owner(&returns)], 0).await;
}

/// A service that lists stopped tasks still: nothing is concluded too soon, and the deletion ends.
#[tokio::test]
async fn a_stopped_task_that_is_still_listed_is_not_started_a_second_time() {
    let scene = scene("stilllisted").await;
    let shows = json!({"listShowsStopped": true});
    scene.simulator.set_switches(&shows).await.unwrap();
    let (empty, live) = tokio::join!(scene.returning("empty"), scene.returning("live"));
    scene.leave("empty").await;
    scene.simulator.advance(LONG).await.unwrap();
    scene
        .simulator
        .stop_task(APP, &task_of(&live))
        .await
        .unwrap();
    after_sweeps(&scene, 4).await;
    scene.join("empty").await;
    after_sweeps(&scene, 4).await;
    for object in [&empty, &live] {
        assert_eq!(scene.starts_of(object).await, 1);
    }
    let hides = json!({"listShowsStopped": false});
    scene.simulator.set_switches(&hides).await.unwrap();
    for name in ["empty", "live"] {
        scene.end(name).await;
    }
    scene.kept(&[owner(&empty), owner(&live)], 0).await;
}

/// A relay may be dead while nobody may look: that is said, also beside a change that fails for it, until the list is granted.
#[tokio::test]
async fn a_relay_that_nobody_may_look_at_says_so_until_the_list_is_granted() {
    let scene = scene("unseen").await;
    let running = scene.running("unseen").await;
    let is_said = |object: &MixedStreamTask| message(object).contains("still runs is not seen");
    set_account(&scene, json!({"denied": [LIST]})).await;
    let told = scene.until("unseen", "that is said", is_said).await;
    assert_eq!(reason(&told), "Running");
    words(&scene, "unseen", "TaskNotSeen").await;
    let stopped = scene.simulator.stop_task(APP, &task_of(&running)).await;
    stopped.unwrap();
    let change = json!({"spec": {"relay": {"outputs": [{"url": url("changed")}]}}});
    scene.merge("unseen", change).await;
    scene.until_calls(UPDATE, &task_of(&running), 1).await;
    let told = scene
        .until("unseen", "the change is said to fail", |object| {
            message(object).contains("UpdateLiveMPUTask")
        })
        .await;
    assert!(is_said(&told), "{}", message(&told));
    set_account(&scene, json!({"denied": []})).await;
    let over = scene.until_reason("unseen", "Completed").await;
    assert!(!is_said(&over));
    until_told(
        &scene,
        "unseen",
        &[
            ("Started", 1),
            ("TaskNotSeen", 1),
            ("Stopped", 1),
            ("Completed", 1),
        ],
    )
    .await;
    scene.end("unseen").await;
    scene.kept(&[owner(&running)], 0).await;
}
