//! `live-simulator`: a stand-in for the Live API. The page on the simulator in `docs/` says how to use it.

mod accounts;
mod actions;
mod admin;
mod claim;
mod clock;
mod faults;
mod gateway;
mod http;
mod log;
mod metadata;
mod nonces;
mod quota;
mod reply;
mod seed;
mod server;
mod sign;
mod state;
mod sts;
mod switches;
mod world;

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use seed::Seed;
use state::{Shared, State};

/// The command line.
#[derive(Debug, Parser)]
#[command(
    version,
    about = "A stand-in for the ApsaraVideo Live API, for tests, demos and a first try without an account"
)]
struct Flags {
    /// Address of the API; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// Address of the admin port; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:8082")]
    admin: SocketAddr,
    /// Address of the machine's metadata server, which gives the credentials of its RAM role; none where not given.
    #[arg(long)]
    metadata: Option<SocketAddr>,
    /// JSON file with accounts and channels, instead of one account with key id testid and secret testsecret.
    #[arg(long)]
    seed: Option<PathBuf>,
    /// Allow addresses that other machines can reach. The admin port asks nobody who they are.
    #[arg(long)]
    allow_remote: bool,
    /// End when standard input closes: whoever holds its other end cannot leave the simulator behind, killed or not.
    #[arg(long)]
    until_stdin_closes: bool,
}

/// Why the simulator does not run.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("{0} can be reached by other machines: use a loopback address, or --allow-remote")]
    Remote(SocketAddr),
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    #[error("cannot read the seed {0:?}: {1}")]
    SeedFile(PathBuf, io::Error),
    #[error("the seed is not valid: {0}")]
    Seed(#[from] serde_json::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(false)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    match runtime
        .map_err(StartError::Io)
        .and_then(|runtime| runtime.block_on(run(flags)))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: Flags) -> Result<(), StartError> {
    let Flags {
        listen,
        admin,
        metadata,
        seed,
        allow_remote,
        until_stdin_closes,
    } = flags;
    if let Some(remote) = [listen, admin]
        .into_iter()
        .chain(metadata)
        .find(|address| !address.ip().is_loopback())
        && !allow_remote
    {
        return Err(StartError::Remote(remote));
    }
    let seed: Seed = match seed {
        Some(path) => {
            let text = std::fs::read_to_string(&path)
                .map_err(|error| StartError::SeedFile(path, error))?;
            serde_json::from_str(&text)?
        }
        None => serde_json::from_str(seed::DEFAULT)?,
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let api = bind(listen).await?;
    let control = bind(admin).await?;
    let shared = Shared::new(State::new(seed));
    let (api_at, control_at) = (api.local_addr()?, control.local_addr()?);
    let (server, metadata_at) = match metadata {
        Some(address) => {
            let server = bind(address).await?;
            let at = format!(r#","metadata":"{}""#, server.local_addr()?);
            (Some(server), at)
        }
        None => (None, String::new()),
    };
    writeln!(
        io::stdout(),
        r#"{{"api":"{api_at}","admin":"{control_at}"{metadata_at}}}"#
    )?;

    // Nothing is worth finishing: whoever ends the simulator is done with it.
    tokio::select! {
        () = server::serve(api, Arc::clone(&shared)) => Ok(()),
        ended = axum::serve(control, admin::router(Arc::clone(&shared))) => Ok(ended?),
        ended = metadata::serve(server, shared) => Ok(ended?),
        () = stdin_closed(until_stdin_closes) => Ok(()),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

/// Waits for the end of standard input, or for ever where nobody asked.
async fn stdin_closed(asked: bool) {
    let (closed, wait) = oneshot::channel();
    if asked {
        // A thread of its own: a blocked read must not hold up the end of the program.
        std::thread::spawn(move || {
            let _ = io::copy(&mut io::stdin(), &mut io::sink());
            closed.send(())
        });
        let _ = wait.await;
    } else {
        std::future::pending::<()>().await;
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| StartError::Listen(address, error))
}
