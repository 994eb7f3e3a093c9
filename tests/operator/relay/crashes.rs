//! The operator is killed at every point of a relay's life: before and after each of its effects on the world.

use std::path::Path;
use std::sync::Arc;

use futures::{StreamExt as _, stream};
use serde_json::json;
use support::relay::{Relay, url};
use support::{Cluster, Operator, Simulator};
use tokio::process::Command;

use super::gate::{Hold, Keeper, gate};
use super::*;
use crate::scene::{cluster, quick};

/// The only object of each life.
const NAME: &str = "crash";

/// The write that tells what Start has brought, among the effects of a life: the finalizer, the cool-down of a fresh operator, the intent and
/// the Start come before.
const RESULT: usize = 4;

/// Lives at a time.
const AT_A_TIME: usize = 9;

/// A relay whose operator reaches the world through gates. The one that is started after a crash does not.
struct Life {
    scene: Scene,
    keeper: Arc<Keeper>,
    direct: Launch,
    _folder: tempfile::TempDir,
}

async fn life(hold: Option<Hold>) -> Life {
    let cluster = cluster().await;
    let namespace = cluster.namespace("crash").await;
    let simulator = Simulator::start().await.unwrap();
    let keeper = Keeper::holding(hold);
    let live = gate(&keeper, &simulator.endpoint(), reqwest::Client::new()).await;
    let server = gate(&keeper, &cluster.ready().server, api_client(&cluster)).await;
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    write_kubeconfig(&kubeconfig, &server, &cluster.ready().token);
    let launch = |kubeconfig: &Path, endpoint: &str| {
        let launch = Launch::new(kubeconfig, endpoint).namespace(&namespace);
        // A request that is held is not given up before the operator is killed.
        short(quick(launch)).flags(["--call-deadline", "30s"])
    };
    let direct = launch(cluster.kubeconfig(), &simulator.endpoint());
    let operator = launch(&kubeconfig, &live).start().await;
    operator.ready().await;
    let scene = Scene {
        cluster,
        namespace,
        simulator,
        operator,
    };
    Life {
        scene,
        keeper,
        direct,
        _folder: folder,
    }
}

fn api_client(cluster: &Cluster) -> reqwest::Client {
    let pem = std::fs::read(cluster.ready().folder.join("ca.crt")).unwrap();
    let authority = reqwest::Certificate::from_pem(&pem).unwrap();
    reqwest::Client::builder()
        .tls_certs_only([authority])
        .build()
        .unwrap()
}

fn write_kubeconfig(path: &Path, server: &str, token: &str) {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "gate", "cluster": {"server": server}}],
        "users": [{"name": "operator", "user": {"token": token}}],
        "contexts": [{"name": "gate", "context": {"cluster": "gate", "user": "operator"}}],
        "current-context": "gate",
    });
    std::fs::write(path, config.to_string()).unwrap();
}

/// Created, running, updated, deleted.
async fn live(scene: &Scene, names_its_task: bool) {
    scene.join(NAME).await;
    let relay = Relay::single(APP, NAME);
    let relay = if names_its_task {
        relay.task_id(NAME)
    } else {
        relay
    };
    scene.relay(relay).await;
    let running = scene.until_reason(NAME, "Running").await;
    let task = task_of(&running);
    assert!(scene.runs(&task).await);
    let change = json!({"spec": {"relay": {"outputs": [{"url": url("other")}]}}});
    let wanted = scene.merge(NAME, change).await.metadata.generation;
    let updated = scene
        .until(NAME, "the change is told", |object| {
            let status = object.status.clone().unwrap_or_default();
            status.observed_generation == wanted && reason(object) == "Running"
        })
        .await;
    let detail = scene.simulator.task_detail(APP, &task).await.unwrap();
    assert_eq!(detail["StreamURL"], json!(url("other")));
    assert_eq!(
        updated.status.clone().unwrap().claim.unwrap().outputs.len(),
        1
    );
    scene.end(NAME).await;
    assert!(!scene.runs(&task).await);
    assert_eq!(scene.starts(&task).await, 1, "effective Starts");
    scene.kept(&[owner(&updated)], 1).await;
}

/// When the request is held the operator is killed, and another one takes over.
async fn crash(pid: u32, keeper: &Keeper, direct: &Launch) -> Operator {
    dead(pid, keeper).await;
    direct.clone().start().await
}

/// When the request is held the operator is killed.
async fn dead(pid: u32, keeper: &Keeper) {
    keeper.caught().await;
    let kill = Command::new("kill")
        .args(["-9", &pid.to_string()])
        .status()
        .await;
    assert!(kill.unwrap().success());
    // What is dead and not yet waited for has no command line any more.
    eventually(
        "the operator is dead",
        PATIENCE,
        async || match std::fs::read(format!("/proc/{pid}/cmdline")) {
            Ok(line) if !line.is_empty() => Err(line.len()),
            Ok(_) | Err(_) => Ok(()),
        },
    )
    .await;
}

/// One life with one crash; the object must not notice.
async fn killed_at(hold: Hold, what: &str, names_its_task: bool) {
    let mut life = life(Some(hold)).await;
    let pid = life.scene.operator.process().pid().unwrap();
    let Life {
        scene,
        keeper,
        direct,
        ..
    } = &life;
    eprintln!("killed at {hold:?}, {what}, in {}", scene.namespace);
    let ((), _second) = tokio::join!(live(scene, names_its_task), crash(pid, keeper, direct));
}

#[tokio::test]
async fn the_operator_is_killed_at_every_point_of_a_relays_life() {
    let undisturbed = life(None).await;
    live(&undisturbed.scene, true).await;
    let deeds = undisturbed.keeper.deeds();
    let (guard, told) = ("PATCH object", "PATCH status");
    // A fresh operator waits first, and tells that.
    let expected = [
        guard, told, told, START, told, told, UPDATE, told, STOP, guard,
    ];
    assert_eq!(deeds, expected);
    let points = deeds.iter().enumerate().flat_map(|(place, deed)| {
        let holds = [Hold::Before(place), Hold::After(place)];
        holds.map(|hold| (hold, deed.as_str()))
    });
    // A task id of its own may be somebody else's; one made from the uid may not.
    let lives = points.flat_map(|(hold, deed)| {
        let open = deed == START || hold == Hold::After(2);
        let ids: &[bool] = if open { &[true, false] } else { &[true] };
        ids.iter().map(move |named| (hold, deed, *named))
    });
    let lives: Vec<_> = lives.collect();
    let count = lives.len();
    stream::iter(lives)
        .map(|(hold, deed, named)| killed_at(hold, deed, named))
        .buffer_unordered(AT_A_TIME)
        .collect::<Vec<()>>()
        .await;
    eprintln!(
        "killed at {} points between {} effects, in {count} lives: one effective Start each, none runs after its deletion",
        2 * deeds.len(),
        deeds.len()
    );
}

/// The operator is killed, and the object deleted before another one comes.
async fn killed_and_deleted_at(hold: Hold, names_its_task: bool) {
    let mut life = life(Some(hold)).await;
    let pid = life.scene.operator.process().pid().unwrap();
    let scene = &life.scene;
    let (Hold::Before(place) | Hold::After(place)) = hold;
    scene.join(NAME).await;
    let relay = Relay::single(APP, NAME);
    let relay = if names_its_task {
        relay.task_id(NAME)
    } else {
        relay
    };
    let uid = scene.relay(relay).await.metadata.uid.unwrap();
    let task = if names_its_task {
        NAME.to_owned()
    } else {
        format!("mso-{uid}")
    };
    if place > RESULT {
        scene.until_reason(NAME, "Running").await;
        let change = json!({"spec": {"relay": {"outputs": [{"url": url("other")}]}}});
        scene.merge(NAME, change).await;
    }
    dead(pid, &life.keeper).await;
    scene.delete(NAME).await;
    let _second = life.direct.clone().start().await;
    scene.until_gone(NAME).await;
    let tasks = scene.simulator.running_tasks(APP).await.unwrap();
    assert!(tasks.is_empty(), "{hold:?}: {tasks:?}");
    assert!(scene.calls(START, &task).await <= 1, "{hold:?}");
    // Without the finalizer it is gone with its deletion: there is no release to be judged.
    if hold != Hold::Before(0) {
        scene.kept(&[Owner::new(NAME, APP, &task)], 1).await;
    }
}

#[tokio::test]
async fn the_object_is_deleted_while_the_operator_is_down() {
    let lives = (0..=RESULT + 3).flat_map(|place| {
        // Whose task it is matters while the outcome of the Start is open.
        let ids: &[bool] = if (2..=RESULT).contains(&place) {
            &[true, false]
        } else {
            &[true]
        };
        let holds = [Hold::Before(place), Hold::After(place)];
        holds
            .into_iter()
            .flat_map(|hold| ids.iter().map(move |named| (hold, *named)))
    });
    let lives: Vec<_> = lives.collect();
    let count = lives.len();
    stream::iter(lives)
        .map(|(hold, named)| killed_and_deleted_at(hold, named))
        .buffer_unordered(AT_A_TIME)
        .collect::<Vec<()>>()
        .await;
    eprintln!("killed and deleted in {count} lives: nothing runs afterwards");
}

/// The service has answered that the task exists, and the operator is killed before it has told that: the task stays somebody else's.
#[tokio::test]
async fn killed_before_it_is_told_that_the_task_is_foreign() {
    let mut life = life(Some(Hold::Before(RESULT))).await;
    let pid = life.scene.operator.process().pid().unwrap();
    let scene = &life.scene;
    scene.start_task(NAME).await;
    scene.join(NAME).await;
    let relay = Relay::single(APP, NAME).task_id(NAME);
    let object = scene.relay(relay).await;
    let _second = crash(pid, &life.keeper, &life.direct).await;
    let told = scene.until_reason(NAME, "TaskIdInUse").await;
    assert_eq!(told.metadata.uid, object.metadata.uid);
    assert!(told.status.unwrap().intent.is_none());
    scene.end(NAME).await;
    assert!(scene.runs(NAME).await);
    assert_eq!(scene.calls(STOP, NAME).await, 0);
    assert_eq!(scene.calls(UPDATE, NAME).await, 0);
    assert_eq!(scene.calls(START, NAME).await, 1);
}
