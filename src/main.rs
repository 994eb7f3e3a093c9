//! The operator's binary: installs the TLS provider, reads the command line and dispatches.

use anyhow::{Context, anyhow};
use clap::Parser;
use mixed_stream_operator::{
    api, app,
    cli::{Command, CommandLine},
    reasons, telemetry,
};
use std::{process::ExitCode, time::Duration};

fn main() -> ExitCode {
    match dispatch(CommandLine::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mixed-stream-operator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow!("a TLS provider is installed already"))?;
    match command {
        Command::Crd => {
            print!("{}", api::crd_yaml()?);
            Ok(())
        }
        Command::Reasons => {
            print!("{}", reasons::page());
            Ok(())
        }
        Command::Run(flags) => {
            let settings = flags
                .settings(|name| std::env::var(name).ok())
                .map_err(anyhow::Error::msg)?;
            telemetry::start(settings.log_format, &settings.log_filter)
                .map_err(anyhow::Error::msg)?;
            telemetry::log_panics();
            let runtime =
                tokio::runtime::Runtime::new().context("the async runtime cannot be started")?;
            let result = runtime.block_on(app::run(settings));
            // What still blocks, such as a name that is being looked up, must not hold up the end.
            runtime.shutdown_timeout(Duration::from_secs(1));
            result
        }
    }
}
