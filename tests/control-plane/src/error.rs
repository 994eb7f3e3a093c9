//! What can go wrong, said to the person who has to put it right.

use std::path::{Path, PathBuf};

use crate::Component;

/// Why there is no control plane.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused something.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was tried, with the path.
        doing: String,
        /// The answer.
        source: std::io::Error,
    },
    /// There is no place for the cache.
    #[error("no cache folder: set MIXED_STREAM_CACHE, XDG_CACHE_HOME or HOME")]
    NoCache,
    /// `KUBEBUILDER_ASSETS` is set, but the folder lacks what it is for.
    #[error(
        "KUBEBUILDER_ASSETS is {folder}, which has no {program}: put it there, or unset the variable to have it built"
    )]
    Assets {
        /// The folder.
        folder: PathBuf,
        /// The program that is missing.
        program: &'static str,
    },
    /// Neither Go nor a way to get it.
    #[error(
        "the control plane is built with Go: install Go {needed} or newer from go.dev/dl and put it on PATH ({found}; the fallback, `{fallback}`, failed: {reason})"
    )]
    NoGo {
        /// The oldest version that will do.
        needed: String,
        /// What PATH has.
        found: String,
        /// The command that would have installed Go into the cache.
        fallback: String,
        /// Why it did not.
        reason: String,
    },
    /// `go build` failed.
    #[error("building {program} failed ({status}):\n{output}")]
    Build {
        /// The program.
        program: &'static str,
        /// The exit status of `go build`.
        status: std::process::ExitStatus,
        /// The end of what it printed.
        output: String,
    },
    /// A component ended although nobody stopped it.
    #[error("{component} ended by itself ({status}); the end of its log:\n{log}")]
    Ended {
        /// The component.
        component: Component,
        /// Its exit status.
        status: std::process::ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// A component runs but does not become ready.
    #[error("{component} is not ready after {seconds} s ({last}); the end of its log:\n{log}")]
    NotReady {
        /// The component.
        component: Component,
        /// How long it was waited for.
        seconds: u64,
        /// The last answer to the probe.
        last: String,
        /// The end of its log.
        log: String,
    },
    /// A component was asked to start that runs, or to be killed that does not.
    #[error("{component} {state}")]
    State {
        /// The component.
        component: Component,
        /// "runs already" or "does not run".
        state: &'static str,
    },
    /// Keys or certificates could not be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A user's name that cannot be the name of a file.
    #[error("the name {0:?} cannot be used: letters, digits, '-', '.', ':' and '_' only")]
    Name(String),
    /// The kubeconfig that we wrote cannot be used.
    #[error("no client for the kubeconfig {path}: {reason}")]
    Client {
        /// The kubeconfig.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The supervisor did not answer as it should.
    #[error("the control plane's supervisor {0}")]
    Supervisor(String),
}

impl Error {
    /// Names what was tried: `.map_err(Error::io("read", path))`.
    pub(crate) fn io(verb: &str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let doing = format!("{verb} {}", path.display());
        move |source| Self::Io { doing, source }
    }
}
