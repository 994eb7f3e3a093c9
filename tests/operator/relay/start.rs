//! What it takes to start a relay, and what refuses it.

use jiff::Timestamp;
use kube::api::ListParams;
use serde_json::{Value, json};
use support::relay::{Relay, STREAM_KEY, url};
use support::simulator::{Answers, ChannelAbsent, StartNotCleared, TaskQuota, TaskQuotaExceeded};

use super::orders::Cast;
use super::*;
use crate::oracle::set_account;
use crate::scene::{deed, grant, writes};

/// Finalizer, intent, live look, Start, result: in this order, with three writes.
#[tokio::test]
async fn a_start_costs_three_writes_and_its_intent_comes_first() {
    let cluster = crate::scene::cluster().await;
    let user = format!("three-writes-{}", std::process::id());
    let kubeconfig = cluster.user(&user).await;
    let namespace = cluster.namespace("three").await;
    grant(&cluster, &user, &namespace).await;
    let before = Timestamp::now();
    let scene = Scene::in_namespace(cluster, namespace, |launch| {
        short(launch)
            .kubeconfig(&kubeconfig)
            .flags(["--task-id-prefix", "berlin"])
    })
    .await;
    // Older than the cool-down of a fresh operator.
    let warm = scene.running("warm").await;
    scene.join("three").await;
    let created = scene.relay(Relay::single(APP, "three")).await;
    let running = scene.until_reason("three", "Running").await;
    let task = task_of(&running);
    assert_eq!(task, format!("berlin-{}", created.metadata.uid.unwrap()));
    let status = running.status.clone().unwrap();
    let (claim, intent) = (status.claim.unwrap(), status.intent.unwrap());
    let accepted = status.accepted.unwrap();
    assert_eq!((claim.account, claim.outputs.len()), (None, 1));
    assert_eq!(intent.parameters_hash, accepted.parameters_hash);
    assert_eq!(intent.generation, running.metadata.generation);
    assert_eq!(accepted.generation, running.metadata.generation);
    let [at, started] = [accepted.at.unwrap().0, status.started_at.unwrap().0];
    assert_eq!(at, started);
    assert!(before <= started && started <= Timestamp::now());
    let call = status.calls.last().unwrap();
    let start = &scene.log(START, &task).await[0];
    assert_eq!(call.action, START);
    assert_eq!(call.request_id.as_ref(), Some(&start.request_id));
    let written = eventually("the audit log has all writes", PATIENCE, async || {
        let mut written = writes(&scene.cluster, &user);
        written.retain(|entry| entry.name == "three" && entry.stage == "ResponseComplete");
        if written.len() >= 3 {
            Ok(written)
        } else {
            Err(written)
        }
    })
    .await;
    let deeds: Vec<_> = written.iter().map(deed).collect();
    let (guard, told) = (
        ("patch", "mixedstreamtasks", ""),
        ("patch", "mixedstreamtasks", "status"),
    );
    assert_eq!(deeds, [guard, told, told], "{written:#?}\n{}", scene.tail());
    let clock = scene.simulator.clock().await.unwrap();
    let sent = clock.real_us(start.arrival_us);
    let at = |entry: &support::audit::Entry| i128::from(entry.answered.as_microsecond());
    // The simulator gives its own clock to the millisecond.
    assert!(at(&written[1]) <= sent + 1000, "the intent comes first");
    assert!(at(&written[2]) >= sent, "the result comes last");
    let shown = serde_json::to_string(&running.status).unwrap();
    assert!(!shown.contains(STREAM_KEY) && !shown.contains("push.example.com"));
    for name in ["three", "warm"] {
        scene.end(name).await;
    }
    scene.kept(&[owner(&running), owner(&warm)], 0).await;
}

/// What the service answers to a Start, the reason that is told, and what the message has to name.
fn refusals() -> Vec<(&'static str, Value, &'static str, &'static str)> {
    let error = |status: u16, code: &str, message: &str| json!({"kind": "error", "status": status, "code": code, "message": message});
    vec![
        (
            "throttled",
            error(
                400,
                "Throttling.User",
                "Request was denied due to user flow control.",
            ),
            "Throttled",
            "StartLiveMPUTask",
        ),
        (
            "denied",
            error(
                403,
                "Forbidden",
                "no permission, please check and try again later.",
            ),
            "AccessDenied",
            "StartLiveMPUTask",
        ),
        (
            "app",
            error(
                400,
                "InvalidAppId",
                "AppId is invalid, please check and try again later.",
            ),
            "AppIdRejected",
            "appId",
        ),
        (
            "service",
            error(
                403,
                "OperationDenied",
                "Your account has not enabled the Live service",
            ),
            "ServiceNotEnabled",
            "",
        ),
        (
            "key",
            error(
                404,
                "InvalidAccessKeyId.NotFound",
                "Specified access key is not found.",
            ),
            "CredentialsRejected",
            "",
        ),
        (
            "quota",
            error(400, "QuotaExceeded", "the quota of tasks is exceeded."),
            "QuotaExceeded",
            "",
        ),
        (
            "busy",
            error(
                400,
                "InvalidParam",
                "The StreamURL is already used by another task.",
            ),
            "CoolingDown",
            "",
        ),
        (
            "uncleared",
            error(
                400,
                "InvalidParam",
                "The task already exists, it is not cleared yet.",
            ),
            "CoolingDown",
            "",
        ),
        (
            "rejected",
            error(400, "InvalidParam", "SingleSubParams is malformed."),
            "RequestRejected",
            "SingleSubParams",
        ),
    ]
}

/// A refusal that names an address whole, as a service may.
fn echo() -> Value {
    let message = format!("{} is not accepted.", url("echo"));
    json!({"kind": "error", "status": 400, "code": "InvalidParam", "message": message})
}

/// Each refusal is told by its reason, nothing was started, deletion needs no Stop, and it goes on by itself once the refusal ends.
#[tokio::test]
async fn a_refused_start_is_told_and_goes_on_by_itself() {
    let scene = scene("refused").await;
    let mut cast = Cast::default();
    let mut orders = Vec::new();
    let rows: Vec<_> = refusals()
        .into_iter()
        .chain([("echo", echo(), "RequestRejected", "")])
        .collect();
    for (name, fault, _, _) in &rows {
        for kind in ["stays", "goes"] {
            let name = format!("{name}-{kind}");
            let object = scene.early(&name, true).await;
            cast.add(&object);
            orders.push(scene.order(START, &name, fault.clone()).await);
        }
    }
    scene.join_all(&cast.names).await;
    // All at once: what is told first of an output in use is told otherwise after a while.
    futures::future::join_all(rows.iter().map(async |(name, _, wanted, needle)| {
        for kind in ["stays", "goes"] {
            let name = format!("{name}-{kind}");
            let told = scene.until_reason(&name, wanted).await;
            let text = message(&told);
            assert!(text.contains(needle), "{name}: {text}");
            assert!(!text.contains(STREAM_KEY), "{name}: {text}");
            eprintln!("{wanted}: {text}");
        }
    }))
    .await;
    for (name, _, _, _) in &rows {
        scene.end(&format!("{name}-goes")).await;
    }
    for order in orders {
        scene.simulator.remove_fault(order).await.unwrap();
    }
    for (name, _, _, _) in &rows {
        let stays = format!("{name}-stays");
        scene.until_reason(&stays, "Running").await;
        assert_eq!(scene.starts(&stays).await, 1, "{stays}");
        scene.end(&stays).await;
        assert_eq!(scene.calls(STOP, &stays).await, 1, "{stays}");
        let goes = format!("{name}-goes");
        assert_eq!(scene.starts(&goes).await, 0, "{goes}");
        assert_eq!(scene.calls(STOP, &goes).await, 0, "{goes}");
    }
    scene.kept(&cast.owners, 0).await;
    let logs = String::from_utf8_lossy(&scene.operator.logs()).into_owned();
    assert!(!logs.contains(STREAM_KEY));
}

/// The bulk read still shows a channel that Start does not find any more: waiting, not failure, in whatever words.
#[tokio::test]
async fn a_channel_that_empties_in_the_moment_of_the_start() {
    let scene = scene("emptied").await;
    let mut cast = Cast::default();
    let answers = [
        (
            ChannelAbsent::ChannelDoesNotExist,
            "The channel does not exist.",
            "InvalidParam",
        ),
        (
            ChannelAbsent::NoUserInTheChannel,
            "no user in the channel.",
            "InvalidParam",
        ),
        (
            ChannelAbsent::ChannelNotExist,
            "The channel does not exist.",
            "ChannelNotExist",
        ),
        (
            ChannelAbsent::VerificationFailed,
            "parameter verification failed.",
            "InvalidParam",
        ),
    ];
    assert_eq!(answers.len(), ChannelAbsent::ALL.len());
    for (number, (_, text, code)) in answers.iter().enumerate() {
        let name = format!("emptied-{number}");
        let object = scene.early(&name, true).await;
        cast.add(&object);
        let fault = json!({"kind": "error", "status": 400, "code": code, "message": text});
        scene.order(START, &name, fault).await;
    }
    scene.join_all(&cast.names).await;
    for name in &cast.names {
        scene.until_calls(START, name, 1).await;
    }
    // They were here for a moment, and are gone.
    scene
        .simulator
        .set_all_users(APP, &cast.names, &[])
        .await
        .unwrap();
    scene.simulator.advance(6.0).await.unwrap();
    let mut sent = Vec::new();
    for name in &cast.names {
        scene.until_reason(name, "WaitingForChannel").await;
    }
    let rooms = scene.calls_of(ROOMS).await;
    for name in &cast.names {
        sent.push(scene.calls(START, name).await);
    }
    eventually("more reads of the channels", PATIENCE, async || {
        let now = scene.calls_of(ROOMS).await;
        if now >= rooms + 4 { Ok(()) } else { Err(now) }
    })
    .await;
    for (name, sent) in cast.names.iter().zip(sent) {
        assert_eq!(
            scene.calls(START, name).await,
            sent,
            "{name} is not hammered"
        );
    }
    scene.simulator.remove_faults().await.unwrap();
    scene.join_all(&cast.names).await;
    for name in &cast.names {
        scene.until_reason(name, "Running").await;
        assert_eq!(scene.starts(name).await, 1, "{name}");
        scene.end(name).await;
    }
    scene.kept(&cast.owners, 0).await;
}

/// The same id again right after a Stop of ours: not cleared yet is waited for, in whatever words.
#[tokio::test]
async fn a_task_that_is_not_cleared_yet_is_waited_for() {
    let scene = scene("uncleared").await;
    // Longer than the operator's own cool-down.
    let switches = json!({"clearMillis": 15_000});
    scene.simulator.set_switches(&switches).await.unwrap();
    let mut owners = Vec::new();
    for (number, answer) in StartNotCleared::ALL.iter().enumerate() {
        let answers = Answers {
            start_not_cleared: Some(*answer),
            ..Answers::default()
        };
        scene.simulator.set_answers(answers).await.unwrap();
        let name = format!("again-{number}");
        scene.join(&name).await;
        scene.relay(Relay::single(APP, &name).task_id(&name)).await;
        scene.until_reason(&name, "Running").await;
        let pause = |desired: &str| json!({"spec": {"desiredState": desired}});
        scene.merge(&name, pause("Stopped")).await;
        scene.until_reason(&name, "Stopped").await;
        scene.merge(&name, pause("Running")).await;
        scene.until_reason(&name, "CoolingDown").await;
        let running = scene.until_reason(&name, "Running").await;
        assert_eq!(scene.starts(&name).await, 2, "{answer:?}");
        assert!(scene.calls(START, &name).await > 2, "it was refused");
        scene.end(&name).await;
        assert!(!scene.runs(&name).await);
        owners.push(owner(&running));
    }
    scene.kept(&owners, 0).await;
}

/// The account has as many tasks as it may have, in whatever words; it goes on when there is room.
#[tokio::test]
async fn a_full_account_is_told_and_waited_for() {
    let scene = scene("full").await;
    let first = scene.running("first").await;
    let quota = TaskQuota {
        single: 1,
        mixed: 0,
    };
    scene.simulator.set_task_quota(Some(quota)).await.unwrap();
    let mut owners = vec![owner(&first)];
    for (number, answer) in TaskQuotaExceeded::ALL.iter().enumerate() {
        let answers = Answers {
            task_quota_exceeded: Some(*answer),
            ..Answers::default()
        };
        scene.simulator.set_answers(answers).await.unwrap();
        let name = format!("full-{number}");
        scene.join(&name).await;
        scene.relay(Relay::single(APP, &name)).await;
        let told = scene.until_reason(&name, "QuotaExceeded").await;
        assert!(told.status.clone().unwrap().accepted.is_none());
        owners.push(owner(&told));
    }
    scene.end("first").await;
    // Whoever asks first: they take turns, as there is room for one.
    for _ in TaskQuotaExceeded::ALL {
        let next = eventually("one more runs", PATIENCE, async || {
            let objects = scene.objects().list(&ListParams::default()).await.unwrap();
            let running = objects.iter().find(|object| reason(object) == "Running");
            running
                .and_then(|object| object.metadata.name.clone())
                .ok_or("none")
        })
        .await;
        scene.end(&next).await;
    }
    scene.kept(&owners, 0).await;
}

/// Start is denied by the account's policy, and then granted.
#[tokio::test]
async fn a_start_that_the_policy_denies() {
    let scene = scene("denied-start").await;
    set_account(&scene, json!({"denied": [START]})).await;
    scene.join("denied").await;
    scene.relay(Relay::single(APP, "denied")).await;
    let told = scene.until_reason("denied", "AccessDenied").await;
    assert!(
        message(&told).contains("live:StartLiveMPUTask"),
        "{}",
        message(&told)
    );
    set_account(&scene, json!({"denied": []})).await;
    scene.until_reason("denied", "Running").await;
    scene.end("denied").await;
    scene.kept(&[owner(&told)], 0).await;
}
