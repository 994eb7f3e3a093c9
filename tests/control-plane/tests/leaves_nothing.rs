//! However a control plane ends, nothing of it runs afterwards, and its folder goes at once or with the next start.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use control_plane::{Component, Ready, Supervised};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const SUPERVISOR: &str = env!("CARGO_BIN_EXE_control-plane");

#[tokio::test]
async fn after_a_stop() {
    let parent = tempfile::tempdir().unwrap();
    let plane = Supervised::start(Path::new(SUPERVISOR), Some(parent.path()))
        .await
        .unwrap();
    let ready = plane.ready().clone();
    assert_eq!(ready.pids.len(), 3);
    // The oracle of the other tests: it does see what runs. The supervisor's own arguments name the folder above.
    // One that has only just been started may not have its own arguments yet.
    for pid in ready.pids.values() {
        wait_for("a process of the control plane", || {
            users_of(&ready.folder).contains(pid)
        });
    }
    plane.stop().await;
    gone(&parent, &[]);
}

#[tokio::test]
async fn after_its_user_was_killed() {
    let parent = tempfile::tempdir().unwrap();
    let (mut user, _) = user(&parent);
    user.kill().unwrap();
    user.wait().unwrap();
    gone(&parent, &[]);
}

#[tokio::test]
async fn after_its_user_was_killed_while_it_started() {
    for stage in ["etcd.log", "kube-apiserver.log"] {
        let parent = tempfile::tempdir().unwrap();
        let mut user = start_user(&parent);
        wait_for(stage, || {
            contents(parent.path())
                .iter()
                .any(|folder| folder.join(stage).exists())
        });
        user.kill().unwrap();
        user.wait().unwrap();
        gone(&parent, &[]);
    }
}

#[tokio::test]
async fn after_sigterm() {
    let parent = tempfile::tempdir().unwrap();
    let plane = Supervised::start(Path::new(SUPERVISOR), Some(parent.path()))
        .await
        .unwrap();
    signal(plane.pid(), Signal::TERM);
    gone(&parent, &[]);
    let error = plane
        .restart(Component::Etcd)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("supervisor") || error.contains("order"),
        "{error}"
    );
}

#[tokio::test]
async fn after_the_supervisor_was_killed() {
    let parent = tempfile::tempdir().unwrap();
    let plane = Supervised::start(Path::new(SUPERVISOR), Some(parent.path()))
        .await
        .unwrap();
    let left = plane.ready().folder.clone();
    signal(plane.pid(), Signal::KILL);
    gone(&parent, std::slice::from_ref(&left));

    let next = Supervised::start(Path::new(SUPERVISOR), Some(parent.path()))
        .await
        .unwrap();
    assert_eq!(
        contents(parent.path()),
        std::slice::from_ref(&next.ready().folder),
        "the folder of the dead is swept"
    );
    assert_ne!(next.ready().folder, left);

    // Two live ones leave each other alone.
    let other = Supervised::start(Path::new(SUPERVISOR), Some(parent.path()))
        .await
        .unwrap();
    assert_eq!(contents(parent.path()).len(), 2);
    other.stop().await;
    next.stop().await;
    gone(&parent, &[]);
}

#[tokio::test]
async fn after_a_component_died() {
    let parent = tempfile::tempdir().unwrap();
    let plane = Supervised::start(Path::new(SUPERVISOR), Some(parent.path()))
        .await
        .unwrap();
    signal(plane.ready().pids[&Component::KubeApiserver], Signal::KILL);
    gone(&parent, &[]);
}

/// A process that uses a control plane in `parent`, and what the control plane told it.
fn user(parent: &TempDir) -> (Child, Ready) {
    let mut user = start_user(parent);
    let mut line = String::new();
    BufReader::new(user.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let ready = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line:?}"));
    (user, ready)
}

fn start_user(parent: &TempDir) -> Child {
    let examples = std::env::current_exe()
        .unwrap()
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples");
    Command::new(examples.join("user"))
        .arg(SUPERVISOR)
        .arg(parent.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

/// Nothing that names the folder runs any more, and it contains `left` alone.
fn gone(parent: &TempDir, left: &[PathBuf]) {
    wait_for("nothing runs any more", || {
        users_of(parent.path()).is_empty()
    });
    assert_eq!(contents(parent.path()), left);
}

/// The processes with a path under `folder`, or the folder itself, among their arguments: the supervisor and each component.
fn users_of(folder: &Path) -> Vec<u32> {
    let name = folder.to_str().unwrap();
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let entry = entry.unwrap();
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let arguments =
            String::from_utf8_lossy(&fs::read(entry.path().join("cmdline")).ok()?).into_owned();
        arguments.contains(name).then_some(pid)
    });
    processes.collect()
}

fn contents(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < end, "not within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
