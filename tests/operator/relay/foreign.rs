//! Tasks that something else started: left alone for ever, and taken over only when that is asked for.

use serde_json::{Value, json};
use support::promises::Owner;
use support::relay::{Relay, STREAM_KEY, url};
use support::simulator::{Answers, By, NewTask, StartExists, TaskState};

use super::*;
use crate::oracle::{until_event, until_released_on};

/// Its task is somebody else's: it runs on when the object goes.
fn bystander(object: &MixedStreamTask) -> Owner {
    Owner {
        orphans: true,
        ..owner(object)
    }
}

#[tokio::test]
async fn a_foreign_task_is_left_alone_and_its_id_taken_over_when_it_is_gone() {
    let scene = scene("foreign").await;
    scene.running("warm").await;
    let mut bystanders = Vec::new();
    let mut heirs = Vec::new();
    for (number, answer) in StartExists::ALL.iter().enumerate() {
        let answers = Answers {
            start_exists: Some(*answer),
            ..Answers::default()
        };
        scene.simulator.set_answers(answers).await.unwrap();
        for kind in ["bystander", "heir"] {
            let name = format!("{kind}-{number}");
            scene.start_task(&name).await;
            scene.join(&name).await;
            scene.relay(Relay::single(APP, &name).task_id(&name)).await;
            let told = scene.until_reason(&name, "TaskIdInUse").await;
            assert!(message(&told).contains(&name), "{}", message(&told));
            assert!(!message(&told).contains(STREAM_KEY));
            let status = told.status.clone().unwrap();
            assert!(status.intent.is_none() && status.accepted.is_none());
            assert!(status.started_at.is_none(), "{answer:?}");
            if kind == "heir" {
                heirs.push((name, owner(&told)));
            } else {
                bystanders.push((name, bystander(&told)));
            }
        }
    }
    after_sweeps(&scene, 3).await;
    for (name, _) in bystanders.iter().chain(&heirs) {
        assert_eq!(scene.calls(START, name).await, 1, "{name}");
        assert_eq!(scene.calls(UPDATE, name).await, 0, "{name}");
    }
    for (name, _) in &bystanders {
        scene.end(name).await;
        assert!(scene.runs(name).await, "{name}");
        assert_eq!(scene.calls(STOP, name).await, 0, "{name}");
    }
    until_released_on(
        &scene,
        "found_foreign",
        bystanders.len().try_into().unwrap(),
    )
    .await;
    for (name, _) in &heirs {
        scene.simulator.stop_task(APP, name).await.unwrap();
    }
    for (name, _) in &heirs {
        scene.until_reason(name, "Running").await;
        assert_eq!(scene.starts(name).await, 1, "{name}");
        scene.end(name).await;
        assert!(!scene.runs(name).await, "{name}");
        assert_eq!(scene.calls(STOP, name).await, 1, "{name}");
    }
    let owners = bystanders.into_iter().chain(heirs).map(|(_, owner)| owner);
    let warm = owner(&scene.until_reason("warm", "Running").await);
    scene
        .kept(&owners.chain([warm]).collect::<Vec<_>>(), 0)
        .await;
}

/// A restart of the operator does not make a foreign task ours, and neither does a crash between its Start and the status.
#[tokio::test]
async fn a_foreign_task_stays_foreign_over_a_restart() {
    let mut scene = scene("foreign-restart").await;
    scene.start_task("theirs").await;
    scene.join("theirs").await;
    scene
        .relay(Relay::single(APP, "theirs").task_id("theirs"))
        .await;
    let told = scene.until_reason("theirs", "TaskIdInUse").await;
    scene.operator.restart().await;
    scene.operator.ready().await;
    scene.until_calls(LIST, "theirs", 1).await;
    scene.end("theirs").await;
    assert!(scene.runs("theirs").await);
    assert_eq!(scene.calls(STOP, "theirs").await, 0);
    assert_eq!(scene.calls(START, "theirs").await, 1);
    scene.kept(&[bystander(&told)], 0).await;
}

const ADOPT: &str = "mixedstream.io/adopt-running-task";

fn adopting(name: &str, task: &str, names_it: bool) -> Value {
    let relay = Relay::single(APP, name).channel(task);
    let relay = if names_it { relay.task_id(task) } else { relay };
    let mut manifest = relay.manifest();
    manifest["metadata"]["annotations"] = json!({ADOPT: task});
    manifest
}

/// As the message about a foreign task advises: the annotation comes when the object has found the task in its way.
#[tokio::test]
async fn a_task_in_the_way_is_taken_over_when_the_annotation_says_so() {
    let scene = scene("advice").await;
    let new = NewTask {
        channel_id: Some("advised".to_owned()),
        ..NewTask::default()
    };
    scene
        .simulator
        .start_task(APP, "advised", &new)
        .await
        .unwrap();
    let advised = Relay::single(APP, "takes-advice")
        .channel("advised")
        .task_id("advised");
    scene.relay(advised).await;
    let told = scene.until_reason("takes-advice", "TaskIdInUse").await;
    assert!(message(&told).contains(ADOPT), "{}", message(&told));
    let asked = scene.calls(LIST, "advised").await;
    let advice = json!({"metadata": {"annotations": {ADOPT: "advised"}}});
    scene.merge("takes-advice", advice).await;
    let adopted = scene.until_reason("takes-advice", "Running").await;
    assert_eq!(scene.calls(LIST, "advised").await, asked + 1);
    until_event(&scene, "takes-advice", "Adopted").await;
    scene.end("takes-advice").await;
    scene.kept(&[owner(&adopted)], 0).await;
}

#[tokio::test]
async fn a_running_task_is_adopted_with_one_update_and_stopped_with_the_object() {
    let scene = scene("adopt").await;
    let ours = |channel: &str| NewTask {
        channel_id: Some(channel.to_owned()),
        ..NewTask::default()
    };
    let tasks = ["named", "unnamed"];
    for task in tasks {
        let new = ours(task);
        scene.simulator.start_task(APP, task, &new).await.unwrap();
    }
    let other = ours("elsewhere");
    scene
        .simulator
        .start_task(APP, "other", &other)
        .await
        .unwrap();
    scene.join("other").await;
    scene.join("none").await;
    let mut owners = Vec::new();
    for task in tasks {
        let name = format!("adopts-{task}");
        scene
            .create_from(adopting(&name, task, task == "named"))
            .await;
    }
    scene
        .create_from(adopting("adopts-other", "other", true))
        .await;
    scene
        .create_from(adopting("adopts-none", "none", true))
        .await;
    for task in tasks {
        let name = format!("adopts-{task}");
        let adopted = scene
            .until(&name, "adopted and updated", |object| {
                let accepted = object
                    .status
                    .as_ref()
                    .and_then(|status| status.accepted.as_ref());
                reason(object) == "Running"
                    && accepted.is_some_and(|accepted| accepted.parameters_hash.is_some())
            })
            .await;
        assert_eq!(task_of(&adopted), task);
        assert_eq!(scene.calls(START, task).await, 0, "{task}");
        assert_eq!(scene.calls(UPDATE, task).await, 1, "{task}");
        until_event(&scene, &name, "Adopted").await;
        let detail = scene.simulator.task_detail(APP, task).await.unwrap();
        assert_eq!(detail["StreamURL"], json!(url(&name)), "{task}");
        owners.push(owner(&adopted));
    }
    let refused = scene.until_reason("adopts-other", "TaskIdInUse").await;
    assert!(
        message(&refused).contains("channel"),
        "{}",
        message(&refused)
    );
    // An annotation that was a mistake can be taken back: the object starts its own task then.
    scene.create_from(adopting("astray", "other", false)).await;
    let mistaken = scene.until_reason("astray", "TaskIdInUse").await;
    assert!(mistaken.status.unwrap().claim.is_none());
    let nothing = json!({"metadata": {"annotations": {ADOPT: null}}});
    scene.merge("astray", nothing).await;
    let own = scene.until_reason("astray", "Running").await;
    let uid = own.metadata.uid.clone().unwrap();
    assert_eq!(task_of(&own), format!("mso-{uid}"));
    owners.push(owner(&own));
    scene.end("astray").await;
    let started = scene.until_reason("adopts-none", "Running").await;
    assert_eq!(scene.starts("none").await, 1);
    let (_, told) = until_event(&scene, "adopts-none", "Started").await;
    assert!(told.contains("no task to take over"), "{told}");
    // Somebody else wants the same one: it has an owner.
    scene.create_from(adopting("thief", "named", true)).await;
    scene.create_from(adopting("late", "unnamed", false)).await;
    scene.until_reason("thief", "TaskIdInUse").await;
    scene.until_reason("late", "TaskIdInUse").await;
    for name in ["thief", "late", "adopts-other"] {
        scene.end(name).await;
    }
    for task in tasks {
        assert!(scene.runs(task).await, "{task}");
        scene.end(&format!("adopts-{task}")).await;
        assert_eq!(scene.calls(STOP, task).await, 1, "{task}");
        let task = scene.simulator.task(APP, task).await.unwrap();
        assert_eq!(task.state, TaskState::Stopped);
        assert_eq!(task.stopped_by, Some(By::Api));
    }
    scene.end("adopts-none").await;
    assert!(scene.runs("other").await, "in another channel");
    assert_eq!(scene.calls(STOP, "other").await, 0);
    assert_eq!(scene.calls(UPDATE, "other").await, 0);
    owners.extend([bystander(&refused), owner(&started)]);
    // What the two latecomers did is judged by the calls: their ids are those of others.
    scene.kept(&owners, 0).await;
}

#[tokio::test]
async fn an_adoption_that_cannot_be_is_told_and_the_relay_is_this_objects_own() {
    let scene = scene("adopts-nothing").await;
    let mut owners = Vec::new();
    for (name, task, value) in [
        ("beside", Some("beside"), "unnamed"),
        ("no-id", None, "a/b"),
    ] {
        scene.join(name).await;
        let mut manifest = adopting(name, task.unwrap_or_default(), task.is_some());
        manifest["metadata"]["annotations"] = json!({ADOPT: value});
        manifest["spec"]["relay"]["channelId"] = json!(name);
        scene.create_from(manifest).await;
        let (kind, told) = until_event(&scene, name, "NothingToAdopt").await;
        assert_eq!(kind, "Warning");
        assert!(told.contains("takes over nothing"), "{told}");
        owners.push(owner(&scene.until_reason(name, "Running").await));
        scene.end(name).await;
    }
    scene.kept(&owners, 0).await;
}

/// An output that a task of no object streams to: told as that, and taken when it is free.
#[tokio::test]
async fn an_output_that_a_foreign_task_holds_is_told_and_taken_when_it_is_free() {
    let scene = scene("held").await;
    let new = NewTask {
        stream_urls: Some(vec![url("held")]),
        ..NewTask::default()
    };
    scene
        .simulator
        .start_task(APP, "holder", &new)
        .await
        .unwrap();
    scene.join("held").await;
    scene.relay(Relay::single(APP, "held")).await;
    let told = scene.until_reason("held", "OutputInUse").await;
    assert!(
        message(&told).contains("no relay of this cluster"),
        "{}",
        message(&told)
    );
    until_event(&scene, "held", "OutputInUse").await;
    scene.simulator.stop_task(APP, "holder").await.unwrap();
    scene.simulator.advance(11.0).await.unwrap();
    let running = scene.until_reason("held", "Running").await;
    scene.end("held").await;
    scene.kept(&[owner(&running)], 0).await;
}
