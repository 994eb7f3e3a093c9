//! The shim that ties a program to its parent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use control_plane::tied::{Shim, spawn};

const SHIM: &str = env!("CARGO_BIN_EXE_control-plane");

#[tokio::test]
async fn arguments_environment_and_exit_status_pass_through() {
    let mut command = Shim::at(SHIM).command(Path::new("/bin/sh"));
    command
        .args(["-c", "printf '%s' \"$1 $MARK\"; exit 5", "sh", "--help"])
        .env("MARK", "mark")
        .stdout(Stdio::piped());
    let output = spawn(command).unwrap().wait_with_output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "--help mark");
    assert_eq!(output.status.code(), Some(5));
}

#[test]
fn a_program_that_is_missing_is_named() {
    let output = shim(std::process::id(), "/no/such/program");
    assert_eq!(output.status.code(), Some(127));
    assert!(
        String::from_utf8_lossy(&output.stderr)
            .contains("cannot run /no/such/program: No such file")
    );
}

#[test]
fn a_parent_that_is_gone_already_is_noticed() {
    // Process 1 is not our child's parent: as after the parent's death, when the child belongs to another.
    let output = shim(1, "/bin/true");
    assert_eq!(output.status.code(), Some(127));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the parent, process 1, is gone"));
}

#[tokio::test]
async fn a_child_outlives_the_thread_that_asked_for_it() {
    let runtime = tokio::runtime::Handle::current();
    let thread = std::thread::spawn(move || {
        let _runtime = runtime.enter();
        let mut command = Shim::at(SHIM).command(Path::new("/bin/sleep"));
        command.arg("60");
        let child = spawn(command).unwrap();
        // From here on it is tied.
        let process = format!("/proc/{}/comm", child.id().unwrap());
        until(|| std::fs::read_to_string(&process).unwrap() == "sleep\n");
        child
    });
    let mut child = thread.join().unwrap();
    let pid = rustix::process::Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    // Had the thread been its parent, it would have had a SIGKILL before.
    assert_eq!(child.wait().await.unwrap().signal(), Some(15));
}

#[test]
fn a_child_dies_with_its_parent() {
    // The shell becomes the parent of a tied child, and is killed.
    let script = format!("{SHIM} tied $$ -- sleep 60 & echo $!; wait");
    let mut parent = Command::new("/bin/sh")
        .args(["-c", &script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(parent.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    let process = format!("/proc/{}/comm", line.trim());
    until(|| std::fs::read_to_string(&process).unwrap() == "sleep\n");
    parent.kill().unwrap();
    parent.wait().unwrap();
    // Dead at once; how soon its new parent takes note of that is not ours to say.
    until(|| {
        std::fs::read(format!("/proc/{}/cmdline", line.trim()))
            .unwrap_or_default()
            .is_empty()
    });
}

fn shim(parent: u32, program: &str) -> Output {
    Command::new(SHIM)
        .args(["tied", &parent.to_string(), "--", program])
        .output()
        .unwrap()
}

fn until(condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < end, "not within 20 s");
        std::thread::sleep(Duration::from_millis(5));
    }
}
