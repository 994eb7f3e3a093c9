//! Processes under test: what they write is kept, and they end when they are told to.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::Duration;

use support::eventually;
use support::process::{Process, tied};

const PATIENCE: Duration = Duration::from_secs(20);

fn shell(script: &str) -> Process {
    let mut command = tied(Path::new("/bin/sh"));
    command.args(["-c", script]);
    Process::start("a shell", command)
}

#[tokio::test]
async fn every_byte_of_both_streams_is_kept() {
    let mut process =
        shell("printf 'one\\ntwo'; head -c 300000 /dev/zero >&2; printf 'three\\n'; exit 7");
    assert_eq!(process.wait(PATIENCE).await.code(), Some(7));
    assert_eq!(process.stdout(), b"one\ntwothree\n");
    assert_eq!(process.stderr(), vec![0; 300_000]);
}

#[tokio::test]
async fn a_line_is_found_in_either_stream_once_it_is_whole() {
    let mut process = shell("echo first; printf 'sec' >&2; echo ond needle >&2; exec sleep 60");
    assert_eq!(
        process.wait_for_line("needle", PATIENCE).await,
        "second needle"
    );
    assert_eq!(process.wait_for_line("irs", PATIENCE).await, "first");
    process.kill().await;
}

#[tokio::test]
#[should_panic(expected = "it has ended")]
async fn a_line_that_cannot_come_any_more_is_not_waited_for() {
    shell("echo last words")
        .wait_for_line("needle", Duration::from_mins(10))
        .await;
}

#[tokio::test]
async fn sigterm_can_be_handled_and_sigkill_cannot() {
    let mut polite =
        shell("trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.01; done");
    polite.wait_for_line("ready", PATIENCE).await;
    polite.terminate();
    assert_eq!(polite.wait(PATIENCE).await.code(), Some(3));
    assert_eq!(polite.stdout(), b"ready\nbye\n");
    polite.terminate();
    polite.kill().await;

    let mut stubborn = shell("trap '' TERM; echo ready; while :; do sleep 0.01; done");
    stubborn.wait_for_line("ready", PATIENCE).await;
    stubborn.terminate();
    stubborn.kill().await;
    assert_eq!(stubborn.ended().and_then(|status| status.signal()), Some(9));
}

#[tokio::test]
async fn it_ends_when_it_is_dropped() {
    let process = shell("exec sleep 60");
    let folder = format!("/proc/{}", process.pid().unwrap());
    assert!(Path::new(&folder).exists());
    drop(process);
    eventually("the process is gone", PATIENCE, async || {
        if Path::new(&folder).exists() {
            Err("there")
        } else {
            Ok(())
        }
    })
    .await;
}

#[tokio::test]
#[should_panic(expected = "the moon is full; the last state: \"half\"")]
async fn what_does_not_come_true_is_said_with_the_last_state() {
    eventually("the moon is full", Duration::from_millis(50), async || {
        Err::<(), _>("half")
    })
    .await;
}

#[tokio::test]
#[should_panic(expected = "there was no answer at all")]
async fn a_question_without_an_answer_is_given_up() {
    eventually("it answers", Duration::from_millis(50), async || {
        std::future::pending::<Result<(), ()>>().await
    })
    .await;
}
