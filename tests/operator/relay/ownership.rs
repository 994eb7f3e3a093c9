//! Whose a task id is, and whose an output: among relays, and between relays and the smallest objects.

use jiff::Timestamp;
use serde_json::json;
use support::promises::Logs;
use support::relay::{Relay, STREAM_KEY, url};

use super::*;
use crate::scene::{cluster, condition};
use mixed_stream_operator::api::{ConditionType, FINALIZER, Phase};

fn when(object: &MixedStreamTask) -> (Timestamp, String) {
    let created = object.metadata.creation_timestamp.as_ref().unwrap();
    (created.0, object.metadata.uid.clone().unwrap())
}

fn claimed(object: &MixedStreamTask) -> Vec<String> {
    let claim = object
        .status
        .as_ref()
        .and_then(|status| status.claim.clone());
    claim.map(|claim| claim.outputs).unwrap_or_default()
}

fn owner_name(object: &MixedStreamTask) -> String {
    object.metadata.name.clone().unwrap()
}

/// One output under many spellings; who has it keeps it, and the next in age takes over once it has cooled down.
#[tokio::test]
async fn an_output_is_one_relays_at_a_time() {
    let cluster = cluster().await;
    let other = cluster.namespace("outputs-b").await;
    let mut scene = with("outputs", |launch| launch.namespace(&other)).await;
    for channel in ["holder", "second", "third", "fourth", "runner", "early-2"] {
        scene.join(channel).await;
    }
    let runner = Relay::single(APP, "runner").task_id("runner");
    let oldest = scene.relay(runner).await;
    let holder = Relay::single(APP, "holder").task_id("holder");
    scene.relay(holder.urls([&*url("shared")])).await;
    let runner = scene.until_reason("runner", "Running").await;
    let held = scene.until_reason("holder", "Running").await;

    // The key in the query, the user before the host, the usual port and the case of the host make no other output.
    let path = format!("/live/shared-{STREAM_KEY}");
    let spellings = [
        (
            "second",
            format!("rtmp://push.example.com{path}?auth_key=another"),
        ),
        ("third", format!("rtmp://PUSH.Example.COM:1935{path}")),
    ];
    let mut next = Vec::new();
    for (name, spelling) in &spellings {
        let relay = Relay::single(APP, name).task_id(name);
        scene.relay(relay.urls([&**spelling, &*url(name)])).await;
        let stalled = scene.until_reason(name, "OutputInUse").await;
        assert!(when(&stalled) > when(&oldest), "a test that comes too soon");
        next.push(stalled.clone());
        let told = message(&stalled);
        assert!(told.contains("the object holder"), "{told}");
        assert!(!told.contains("rtmp"), "{told}");
        assert_eq!(claimed(&stalled), Vec::<String>::new());
        let condition = condition(&stalled, ConditionType::Stalled).unwrap();
        assert_eq!(condition.reason, "OutputInUse");
    }
    // Another port is another output, and whoever waits for its channel has its output all the same.
    let elsewhere = format!("rtmp://push.example.com:1936{path}");
    let early = Relay::single(APP, "early").task_id("early");
    scene.relay(early.urls([&*elsewhere])).await;
    let waiting = scene.until_reason("early", "WaitingForChannel").await;
    assert_eq!(claimed(&waiting).len(), 1);
    let late = Relay::single(APP, "early-2").task_id("early-2");
    scene.relay(late.urls([&*elsewhere])).await;
    let stalled = scene.until_reason("early-2", "OutputInUse").await;
    assert!(message(&stalled).contains("the object early"));

    // Another namespace is told that, not whose.
    let own = std::mem::replace(&mut scene.namespace, other.clone());
    let fourth = Relay::single(APP, "fourth").task_id("fourth");
    scene.relay(fourth.urls([&*url("shared")])).await;
    let stalled = scene.until_reason("fourth", "OutputInUse").await;
    let status = serde_json::to_string(&stalled.status).unwrap();
    assert!(message(&stalled).contains("another namespace"), "{status}");
    assert!(
        !status.contains("holder") && !status.contains(&own),
        "{status}"
    );
    scene.end("fourth").await;
    scene.namespace = own;

    // A change into somebody's output is not sent.
    let change = json!({"spec": {"relay": {"outputs": [{"url": url("shared")}]}}});
    scene.merge("runner", change).await;
    let refused = scene.until_reason("runner", "OutputInUse").await;
    assert_eq!(refused.status.as_ref().unwrap().phase, Some(Phase::Running));
    assert_eq!(claimed(&refused), claimed(&runner));
    assert_eq!(scene.calls(UPDATE, "runner").await, 0);
    for name in ["second", "third", "fourth", "early-2"] {
        assert_eq!(scene.calls(START, name).await, 0, "{name}");
    }

    scene.end("holder").await;
    // The oldest of those that want it.
    let takes_over = scene.until_reason("runner", "Running").await;
    assert_eq!(claimed(&takes_over), claimed(&held));
    assert_eq!(scene.calls(UPDATE, "runner").await, 1);
    scene.end("runner").await;
    next.sort_by_key(when);
    let [next, last] = &next[..] else {
        panic!("two")
    };
    let (next, last) = (&*owner_name(next), &*owner_name(last));
    let second = scene.until_reason(next, "Running").await;
    let stalled = scene.until_reason(last, "OutputInUse").await;
    assert!(message(&stalled).contains(&format!("the object {next}")));
    // Nothing was tried before the service would have taken it.
    assert_eq!(scene.calls(START, next).await, 1);
    let logs = Logs::read(&scene.simulator, &scene.cluster, &scene.namespace, None).await;
    let at = |action: &str, task: &str| {
        let call = logs.calls.iter().find(|call| {
            call.action.as_deref() == Some(action) && call.task_id.as_deref() == Some(task)
        });
        call.unwrap().arrival_us
    };
    for (stopped, call, task) in [("holder", UPDATE, "runner"), ("runner", START, next)] {
        let passed = at(call, task).saturating_sub(at(STOP, stopped));
        assert!(passed >= 10_000_000, "{task} after {passed} us");
    }
    for name in ["second", "third", "early", "early-2"] {
        scene.end(name).await;
    }
    scene
        .kept(&[owner(&held), owner(&runner), owner(&second)], 0)
        .await;
}

/// Whichever kind an object is of, a task has one owner.
#[tokio::test]
async fn a_task_id_is_one_objects_whatever_its_kind() {
    let scene = scene("ids").await;
    for channel in ["relay", "second", "on-minimal"] {
        scene.join(channel).await;
    }
    scene
        .relay(Relay::single(APP, "relay").task_id("show"))
        .await;
    let relay = scene.until_reason("relay", "Running").await;
    scene.start_task("outside").await;
    scene.create("outside").await;
    scene.until_reason("outside", "Armed").await;

    let minimal =
        json!({"metadata": {"name": "minimal"}, "spec": {"appId": APP, "taskId": "show"}});
    scene.create_from(minimal).await;
    scene
        .relay(Relay::single(APP, "second").task_id("show"))
        .await;
    scene
        .relay(Relay::single(APP, "on-minimal").task_id("outside"))
        .await;
    for (name, holder) in [
        ("minimal", "relay"),
        ("second", "relay"),
        ("on-minimal", "outside"),
    ] {
        let stalled = scene.until_reason(name, "TaskIdInUse").await;
        let told = message(&stalled);
        assert!(told.contains(&format!("the object {holder}")), "{told}");
        assert_eq!(stalled.status.unwrap().claim, None);
    }
    for name in ["minimal", "on-minimal"] {
        scene.end(name).await;
    }
    assert_eq!(scene.calls(STOP, "show").await, 0);
    assert_eq!(scene.calls(STOP, "outside").await, 0);
    // The relay that waited takes the id over, and starts its own task under it once it has cooled down.
    scene.end("relay").await;
    let second = scene.until_reason("second", "Running").await;
    assert_eq!(scene.calls(START, "show").await, 2);
    let channel = scene.simulator.task(APP, "show").await.unwrap().channel_id;
    assert_eq!(channel, "second");
    scene.end("second").await;
    scene.end("outside").await;
    assert_eq!(scene.calls(STOP, "show").await, 2);
    assert_eq!(scene.calls(STOP, "outside").await, 1);
    assert_eq!(task_of(&relay), task_of(&second));
}

/// Nobody has it yet: the older one, or at equal age the one with the smaller uid, whatever the operator sees first.
#[tokio::test]
async fn among_those_without_a_claim_age_and_uid_decide() {
    let mut scene = scene("age").await;
    scene.operator.kill().await;
    let names = ["w", "z", "x", "y"];
    let (mut by_output, mut by_id) = (Vec::new(), Vec::new());
    for name in names {
        scene.join(name).await;
        let relay = Relay::single(APP, name).task_id(name).finalizer(FINALIZER);
        by_output.push(scene.relay(relay.urls([&*url("one")])).await);
        let name = format!("id-{name}");
        scene.join(&name).await;
        let relay = Relay::single(APP, &name)
            .task_id("one")
            .finalizer(FINALIZER);
        by_id.push(scene.relay(relay).await);
    }
    scene.operator.restart().await;
    let mut owners = Vec::new();
    for (rivals, reason) in [(by_output, "OutputInUse"), (by_id, "TaskIdInUse")] {
        let first = rivals.iter().min_by_key(|object| when(object)).unwrap();
        let first = first.metadata.name.clone().unwrap();
        let running = scene.until_reason(&first, "Running").await;
        owners.push(owner(&running).protected());
        for rival in &rivals {
            let name = rival.metadata.name.as_deref().unwrap();
            if name != first {
                let stalled = scene.until_reason(name, reason).await;
                let told = message(&stalled);
                assert!(told.contains(&format!("the object {first}")), "{told}");
                scene.end(name).await;
            }
        }
        scene.end(&first).await;
    }
    for kind in [START, STOP] {
        assert_eq!(scene.calls_of(kind).await, 2, "{kind}");
    }
    scene.kept(&owners, 0).await;
}
