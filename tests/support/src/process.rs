//! Programs under test as processes that end with the test.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use control_plane::tied::{self, Shim};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::{binary, eventually};

/// A command whose process is killed when this one dies, in whatever way. Arguments and environment that are added go to `program`. Start it
/// with [`Process::start`] or [`control_plane::tied::spawn`]: it is tied to the thread that starts it.
#[must_use]
pub fn tied(program: &Path) -> Command {
    Shim::at(binary("control-plane")).command(program)
}

/// A running program, killed when this is dropped or this process dies. Everything that it writes is kept until then, in
/// files without a name.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: Stream,
    stderr: Stream,
}

impl Process {
    /// Starts a command made by [`tied`]; `name` is for messages. It has no standard input.
    #[must_use]
    pub fn start(name: &str, mut command: Command) -> Self {
        let stdout = Stream::new();
        let stderr = Stream::new();
        command
            .stdin(Stdio::null())
            .stdout(stdout.for_child())
            .stderr(stderr.for_child());
        let child =
            tied::spawn(command).unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self {
            name: name.to_owned(),
            child,
            stdout,
            stderr,
        }
    }

    /// Its process id, as long as it has not been waited for.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Everything that it wrote to standard output so far.
    #[must_use]
    pub fn stdout(&self) -> Vec<u8> {
        self.stdout.read_from(0)
    }

    /// Everything that it wrote to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> Vec<u8> {
        self.stderr.read_from(0)
    }

    /// Waits for a whole line, of either stream, that contains `needle`, and returns it. Lines from before the call count.
    pub async fn wait_for_line(&mut self, needle: &str, timeout: Duration) -> String {
        let what = format!("{} writes a line with {needle:?}", self.name);
        let mut seen = [0, 0];
        let found = eventually(&what, timeout, async || {
            // Asked before reading: what it wrote before its end is then complete.
            let ended = self.ended();
            for (stream, seen) in [&self.stdout, &self.stderr].into_iter().zip(&mut seen) {
                let text = stream.read_from(*seen);
                let whole = text
                    .iter()
                    .rposition(|byte| *byte == b'\n')
                    .map_or(0, |newline| newline + 1);
                let lines = String::from_utf8_lossy(&text[..whole]);
                if let Some(line) = lines.lines().find(|line| line.contains(needle)) {
                    return Ok(Ok(line.to_owned()));
                }
                *seen += whole as u64;
            }
            match ended {
                Some(status) => Ok(Err(status)),
                None => Err(self.last_lines()),
            }
        })
        .await;
        found.unwrap_or_else(|status| {
            panic!(
                "not any more: {what}; it has ended ({status}):\n{}",
                self.last_lines()
            )
        })
    }

    /// Sends SIGTERM. Nothing happens if it has ended already.
    pub fn terminate(&mut self) {
        // Not reaped, so the id is still this child's.
        if self.ended().is_none() {
            let pid = self
                .child
                .id()
                .and_then(|pid| Pid::from_raw(pid.cast_signed()))
                .expect("a process id");
            kill_process(pid, Signal::TERM).expect("SIGTERM to a child");
        }
    }

    /// Sends SIGKILL and waits for the end. Nothing happens if it has ended already.
    pub async fn kill(&mut self) {
        if self.ended().is_none() {
            self.child
                .kill()
                .await
                .unwrap_or_else(|error| panic!("cannot kill {}: {error}", self.name));
        }
    }

    /// Waits for the end.
    pub async fn wait(&mut self, timeout: Duration) -> ExitStatus {
        let Ok(status) = tokio::time::timeout(timeout, self.child.wait()).await else {
            panic!(
                "{} has not ended within {timeout:?}:\n{}",
                self.name,
                self.last_lines()
            );
        };
        status.expect("the status of a child")
    }

    /// The exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the status of a child")
    }

    /// The last lines of both streams, for messages.
    #[must_use]
    pub fn last_lines(&self) -> String {
        let last = |bytes: Vec<u8>| {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let lines: Vec<_> = text.lines().collect();
            lines[lines.len().saturating_sub(20)..].join("\n")
        };
        format!("{}\n{}", last(self.stdout()), last(self.stderr()))
    }
}

/// One output stream, in a file that has no name, so that it cannot be left behind.
#[derive(Debug)]
struct Stream(File);

impl Stream {
    fn new() -> Self {
        Self(tempfile::tempfile().expect("a temporary file"))
    }

    /// The child writes at the offset of this file; we read at offsets of our own.
    fn for_child(&self) -> File {
        self.0.try_clone().expect("a second handle of a file")
    }

    fn read_from(&self, start: u64) -> Vec<u8> {
        let end = self.0.metadata().expect("the size of a file").len();
        let mut bytes = vec![
            0;
            usize::try_from(end.saturating_sub(start))
                .expect("a file that fits in memory")
        ];
        self.0
            .read_exact_at(&mut bytes, start)
            .expect("the contents of a file");
        bytes
    }
}
