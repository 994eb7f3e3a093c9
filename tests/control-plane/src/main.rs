//! `control-plane build` builds the programs, `control-plane run` runs them until its standard input ends.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use control_plane::tied::{self, Shim};
use control_plane::{binaries, supervise};

/// A real Kubernetes control plane for tests: etcd, kube-apiserver, kube-controller-manager; and what tests ask beside it.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Find the programs, or build them into the cache, and print where they are.
    Build,
    /// Run a control plane until standard input ends, then remove all of it. One line of JSON tells when it is ready; orders are
    /// read line by line: kill, start or restart COMPONENT; user NAME.
    Run {
        /// The folder in which the folder with all its files is made. Folders there whose owners are dead are removed.
        #[arg(long, value_name = "FOLDER", default_value_os_t = std::env::temp_dir())]
        dir: PathBuf,
    },
    /// Become another program that is killed when its parent dies.
    #[command(hide = true)]
    Tied {
        /// The process id of the parent.
        parent: i32,
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let command = match Arguments::parse().command {
        Command::Tied { parent, command } => {
            eprintln!("control-plane: {}", tied::exec(parent, &command));
            return ExitCode::from(127);
        }
        command @ (Command::Build | Command::Run { .. }) => command,
    };
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let result = runtime.block_on(work(command));
    // A wait for another process's build cannot be called off.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&*error),
    }
}

async fn work(command: Command) -> Result<(), Box<dyn std::error::Error>> {
    let shim = Shim::at(std::env::current_exe()?);
    match command {
        Command::Build => {
            let found = binaries::find_or_build(&shim).await?;
            let kstatus = binaries::kstatus(&shim).await?;
            for path in [
                found.etcd,
                found.kube_apiserver,
                found.kube_controller_manager,
                found.kubectl,
                kstatus,
            ] {
                println!("{}", path.display());
            }
        }
        Command::Run { dir } => supervise(&dir, shim).await?,
        Command::Tied { .. } => {}
    }
    Ok(())
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("control-plane: {error}");
    ExitCode::FAILURE
}
