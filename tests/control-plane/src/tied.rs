//! Children that cannot outlive this process, whatever ends it.
//!
//! A child asks the kernel for SIGKILL at its parent's death (`PR_SET_PDEATHSIG`) and then becomes the program that is wanted.
//! It has to ask by itself, between fork and exec, so the first program it runs is a shim: `control-plane tied PARENT -- PROGRAM ARGS`.
//!
//! The kernel counts the *thread* that forked as the parent (`prctl(2)`). All such children are therefore started by
//! one thread of this process that never ends.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::mpsc::{Sender, channel};

use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;

/// The path of a `control-plane` binary, which is the shim.
#[derive(Debug, Clone)]
pub struct Shim(PathBuf);

impl Shim {
    /// The shim at `path`.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// A command that runs `program` tied to this process. Arguments and environment that are added go to the program; start
    /// it with [`spawn`].
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(&self.0);
        command
            .arg("tied")
            .arg(std::process::id().to_string())
            .arg("--")
            .arg(program);
        command.kill_on_drop(true);
        command
    }
}

type Job = Box<dyn FnOnce() + Send>;

static SPAWNER: LazyLock<Sender<Job>> = LazyLock::new(|| {
    let (jobs, queue) = channel::<Job>();
    std::thread::spawn(move || queue.into_iter().for_each(|job| job()));
    jobs
});

/// Starts the command from the thread that lives as long as this process.
///
/// # Errors
/// The operating system's, when the shim cannot be started. A program that the shim cannot start shows as exit status 127.
///
/// # Panics
/// Outside a tokio runtime, like tokio's own `spawn`.
pub fn spawn(mut command: Command) -> std::io::Result<Child> {
    let runtime = Handle::current();
    let (answer, spawned) = channel();
    let job = move || {
        let _runtime = runtime.enter();
        // A caller that is gone takes no answer; the child then ends with the dropped handle.
        let _ = answer.send(command.spawn());
    };
    let gone = |_| std::io::Error::other("the thread that starts children is gone");
    SPAWNER
        .send(Box::new(job))
        .map_err(|_| gone(std::sync::mpsc::RecvError))?;
    spawned.recv().map_err(gone)?
}

/// The shim itself: ties this process to `parent` and becomes the command. Returns only when it cannot, with the reason.
#[must_use]
pub fn exec(parent: i32, command: &[OsString]) -> String {
    let Some((program, arguments)) = command.split_first() else {
        return "no program is named".to_owned();
    };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return format!("cannot tie the process to its parent: {error}");
    }
    // A parent that died before the call above sends no signal any more.
    if getppid().map(|pid| pid.as_raw_nonzero().get()) != Some(parent) {
        return format!("the parent, process {parent}, is gone");
    }
    let error = std::process::Command::new(program).args(arguments).exec();
    format!("cannot run {}: {error}", program.display())
}
