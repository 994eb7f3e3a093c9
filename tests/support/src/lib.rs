//! What the tests, the demo and the benchmarks share.
//!
//! Everything here stops the caller with a message at the first surprise: a test that cannot set its scene has failed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]
#![allow(
    clippy::missing_panics_doc,
    reason = "everything here panics at the first surprise, as the crate's documentation says"
)]

pub mod audit;
pub mod cluster;
pub mod kstatus;
pub mod operator;
pub mod process;
pub mod promises;
pub mod relay;
pub mod simulator;

use std::fmt::Debug;
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use cluster::Cluster;
pub use control_plane::Component;
pub use kstatus::Kstatus;
pub use operator::{Launch, Operator};
pub use process::Process;
pub use simulator::Simulator;

/// Asks every 10 ms until the answer is `Ok`, and returns what is in it. An `Err` says how things stand, and its last value is shown, together
/// with `what` should hold, when the time is up; a question that takes longer is given up then too.
pub async fn eventually<T, S: Debug>(
    what: &str,
    timeout: Duration,
    mut question: impl AsyncFnMut() -> Result<T, S>,
) -> T {
    let end = Instant::now() + timeout;
    let mut last = None;
    loop {
        match tokio::time::timeout(end.saturating_duration_since(Instant::now()), question()).await
        {
            Ok(Ok(value)) => return value,
            Ok(Err(state)) => last = Some(state),
            Err(_) => {}
        }
        if Instant::now() >= end {
            match last {
                Some(state) => panic!("not within {timeout:?}: {what}; the last state: {state:?}"),
                None => panic!("not within {timeout:?}: {what}; there was no answer at all"),
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The workspace's binary of that name, from the same build (debug or release) as the caller.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let caller = std::env::current_exe().expect("the path of this program");
    let profile = caller
        .ancestors()
        .find(|folder| folder.ends_with("debug") || folder.ends_with("release"))
        .unwrap_or_else(|| {
            panic!(
                "{} is in no `debug` or `release` folder of a build",
                caller.display()
            )
        });
    let path = profile.join(name);
    let option = if profile.ends_with("release") {
        " --release"
    } else {
        ""
    };
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build --workspace --bins{option}` first",
        path.display()
    );
    path
}
