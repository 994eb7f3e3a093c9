//! Credentials that end, rotate and cannot be had, in the middle of a drain: nothing is leaked, and nothing is stuck once that is repaired.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::json;
use support::simulator::{Call, TaskState};
use support::{Launch, eventually};

use super::{Pod, end_sessions, fetches, outage, process};
use crate::accounts::accounts;
use crate::oracle::{STOP, assert_stopped_first, calls_by_task, deletions, of_action};
use crate::scene::{PATIENCE, Scene};
use crate::storm::{Figures, LONG, crowd, delete_all, until_none};

const COUNT: usize = 1_000;

/// A crowd of objects that is being deleted, slowly enough for something to happen meanwhile; some of the Stops have come.
async fn draining(pod: &Pod, prefix: &str, triple_seconds: Option<u32>) -> (Scene, Vec<String>) {
    let scene = process::scene(pod, prefix, |launch| {
        launch.flags(["--call-deadline", "10s"])
    })
    .await;
    let names = crowd(&scene, prefix, COUNT).await;
    let slow = json!({"latencyMillis": 700, "tripleSeconds": triple_seconds});
    scene.simulator.set_switches(&slow).await.unwrap();
    // From now on in its new form: short or not.
    end_sessions(&scene.simulator).await;
    delete_all(&scene, &names[..COUNT / 2]).await;
    eventually("some are stopped", LONG, async || {
        let stops = scene.simulator.calls(&of_action(STOP)).await.unwrap();
        let accepted = stops.iter().filter(|stop| stop.status == Some(200)).count();
        if accepted >= 40 {
            Ok(())
        } else {
            Err(accepted)
        }
    })
    .await;
    (scene, names)
}

/// Every task stopped, by one effective Stop each, before its object went; and nothing was done twice but for a refusal.
async fn assert_nothing_lost(scene: &mut Scene, names: &[String]) {
    until_none(scene, &mut Figures::default()).await;
    let tasks = scene.simulator.tasks().await.unwrap();
    assert_eq!(tasks.len(), COUNT);
    let running = tasks.iter().filter(|task| task.state == TaskState::Running);
    assert_eq!(running.count(), 0);
    let calls = calls_by_task(scene, STOP).await;
    for name in names {
        let accepted = calls[name].iter().filter(|call| call.status == Some(200));
        assert_eq!(accepted.count(), 1, "{name}: {:?}", calls[name]);
        let is_refusal =
            |call: &&Call| call.code.as_deref() == Some("InvalidSecurityToken.Expired");
        let refused = calls[name].iter().filter(is_refusal).count();
        assert_eq!(calls[name].len(), 1 + refused, "{name}: {:?}", calls[name]);
    }
    let found = deletions(scene, names.len()).await;
    assert_stopped_first(scene, &found).await;
}

async fn keys(scene: &Scene) -> BTreeSet<String> {
    let calls = scene.simulator.calls(&of_action(STOP)).await.unwrap();
    calls.into_iter().filter_map(|call| call.key_id).collect()
}

#[tokio::test]
async fn triples_that_rotate_are_not_felt() {
    let pod = Pod::new();
    let (mut scene, names) = draining(&pod, "rotating", Some(3)).await;
    let before = fetches(&scene.simulator).await.len();
    eventually("it rotates", PATIENCE, async || {
        let now = fetches(&scene.simulator).await.len();
        if now >= before + 2 { Ok(()) } else { Err(now) }
    })
    .await;
    delete_all(&scene, &names[COUNT / 2..]).await;
    assert_nothing_lost(&mut scene, &names).await;
    assert!(keys(&scene).await.len() >= 3);
}

#[tokio::test]
async fn triples_that_end_and_an_sts_that_is_down_lose_nothing() {
    let pod = Pod::new();
    let (mut scene, names) = draining(&pod, "ending", None).await;
    let fault = outage(&scene.simulator).await;
    end_sessions(&scene.simulator).await;
    delete_all(&scene, &names[COUNT / 2..]).await;
    let last = &names[COUNT - 1];
    let told = scene.until_reason(last, "ServiceUnavailable").await;
    let message = &told.status.as_ref().unwrap().conditions[0].message;
    assert!(
        message.contains("InvalidSecurityToken.Expired"),
        "{message}"
    );
    assert!(message.contains("fetches new ones"), "{message}");
    // STS is spared while hundreds want something of it.
    eventually("STS is asked again", PATIENCE, async || {
        let asked = fetches(&scene.simulator).await.len();
        if asked >= 5 { Ok(()) } else { Err(asked) }
    })
    .await;
    assert!(fetches(&scene.simulator).await.len() < 20);
    scene.simulator.remove_fault(fault).await.unwrap();
    assert_nothing_lost(&mut scene, &names).await;
}

/// By both clocks: nothing is sent any more, and told so.
#[tokio::test]
async fn after_their_end_nothing_is_sent_until_there_are_others() {
    let pod = Pod::new();
    let (mut scene, names) = draining(&pod, "ended", Some(8)).await;
    let fault = outage(&scene.simulator).await;
    eventually("the last triple has ended", PATIENCE, async || {
        let name = "mixed_stream_credentials_expiry_timestamp_seconds";
        let end = scene.operator.metric(name, &[]).await;
        #[allow(clippy::cast_precision_loss, reason = "seconds since 1970")]
        let now = Timestamp::now().as_second() as f64;
        if end > 0.0 && end < now {
            Ok(())
        } else {
            Err(end - now)
        }
    })
    .await;
    delete_all(&scene, &names[COUNT / 2..]).await;
    let last = &names[COUNT - 1];
    let told = scene.until_reason(last, "ServiceUnavailable").await;
    let message = &told.status.as_ref().unwrap().conditions[0].message;
    assert!(
        message.contains("STS answers ServiceUnavailable: STS is down."),
        "{message}"
    );
    let calls = calls_by_task(&scene, STOP).await;
    let sent = names[COUNT / 2..]
        .iter()
        .filter(|name| calls.contains_key(*name));
    assert_eq!(sent.count(), 0);
    scene.simulator.remove_fault(fault).await.unwrap();
    assert_nothing_lost(&mut scene, &names).await;
}

/// The own credentials' objects are many, and all of them wait; the other one does not even notice.
#[tokio::test]
async fn an_sts_that_hangs_holds_up_nobody_with_other_credentials() {
    let pod = Pod::new();
    let patient = |launch: Launch| launch.flags(["--call-deadline", "20s"]);
    let mut scene = process::scene(&pod, "hanging", patient).await;
    scene.simulator.seed(&accounts()).await.unwrap();
    scene.put_key("live", "2000-1").await;
    scene.stops_with("other", "app-2000", "live").await;
    scene.until_reason("other", "Armed").await;
    let names = crowd(&scene, "hanging", COUNT).await;

    let silence = json!({"action": "AssumeRoleWithOIDC", "kind": "drop"});
    let silence = scene.simulator.order_fault(&silence).await.unwrap();
    let before = fetches(&scene.simulator).await.len();
    end_sessions(&scene.simulator).await;
    delete_all(&scene, &names).await;
    eventually("STS hangs", PATIENCE, async || {
        let now = fetches(&scene.simulator).await.len();
        if now > before { Ok(()) } else { Err(now) }
    })
    .await;
    scene.delete("other").await;
    scene.until_gone("other").await;
    let asked = fetches(&scene.simulator).await;
    assert_eq!(asked.len(), before + 1, "STS still hangs: {asked:?}");
    assert_eq!(asked[before].end_us, None);

    scene.simulator.remove_fault(silence).await.unwrap();
    until_none(&mut scene, &mut Figures::default()).await;
    let found = deletions(&scene, names.len() + 1).await;
    assert_stopped_first(&scene, &found).await;
}
