//! The vendor's own clients against the simulator and beside the operator's client. What these do on the wire is the vendor's reading of the protocol:
//! where the simulator takes them and tells them their errors, and where our requests are theirs, both readings of ours are honest.
//!
//! Has no harness: where the clients cannot be installed this says so and counts as skipped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod clients;
mod environment;
mod errors;
mod life;
mod recorder;
mod sts;
mod tally;
mod wire;

use std::path::Path;
use std::process::ExitCode;

use tally::Tally;

/// Set where the package registry can be reached for certain: then a failed installation is a failure.
const REQUIRED: &str = "VENDOR_CLIENTS_REQUIRED";
/// What `cargo test FILTER` has to match.
const NAME: &str = "vendor_clients";

fn main() -> ExitCode {
    let filters: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let is_asked =
        filters.is_empty() || filters.iter().any(|filter| NAME.contains(filter.as_str()));
    let lists = std::env::args().any(|argument| argument == "--list");
    if lists || !is_asked {
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let code = runtime.block_on(run());
    // A wait for another process's lock cannot be cut short.
    runtime.shutdown_background();
    code
}

async fn run() -> ExitCode {
    let python = match environment::python().await {
        Ok(python) => python,
        Err(why) => {
            if std::env::var_os(REQUIRED).is_some() {
                eprintln!(
                    "the vendor's clients cannot be installed, and {REQUIRED} asks for them: {why}"
                );
                return ExitCode::FAILURE;
            }
            eprintln!("skipped: the vendor's clients cannot be installed: {why}");
            println!("{NAME}: 0 passed, 0 failed, 1 skipped");
            return ExitCode::SUCCESS;
        }
    };
    let mut tally = Tally::default();
    everything(&python, &mut tally).await;
    let (passed, failed) = tally.counts();
    println!("{NAME}: {passed} passed, {failed} failed");
    if failed == 0 && passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn everything(python: &Path, tally: &mut Tally) {
    life::check(python, tally).await;
    errors::check(python, tally).await;
    sts::check(python, tally).await;
    wire::check(python, tally).await;
}
