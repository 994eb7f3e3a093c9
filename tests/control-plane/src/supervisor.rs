//! The supervisor: one control plane for as long as standard input is open.
//!
//! When everything is ready it prints one line of JSON ([`Ready`](crate::Ready)). Each line on standard input is then an order, answered by one line of
//! JSON ([`Answer`]): `kill COMPONENT`, `start COMPONENT`, `restart COMPONENT`, `user NAME`. The end of standard input, SIGTERM or SIGINT ends it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum as _;
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::binaries;
use crate::tied::Shim;
use crate::{Component, ControlPlane, Error};

/// The answer to an order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Answer {
    /// Done; these run now.
    Running(BTreeMap<Component, u32>),
    /// The kubeconfig of the user.
    Kubeconfig(PathBuf),
    /// Not done.
    Error(String),
}

/// Runs a control plane in a new folder in `parent` until its user is gone, and leaves nothing behind.
///
/// # Errors
/// When it cannot be started, or a component ends by itself.
pub async fn supervise(parent: &Path, shim: Shim) -> Result<(), Error> {
    let end = CancellationToken::new();
    let mut orders = read_orders(end.clone());
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind).map_err(|source| Error::Io {
            doing: "wait for signals".to_owned(),
            source,
        })?;
        let end = end.clone();
        tokio::spawn(async move {
            signals.recv().await;
            end.cancel();
        });
    }

    let Some(binaries) = end
        .run_until_cancelled(binaries::find_or_build(&shim))
        .await
    else {
        return Ok(());
    };
    let mut plane = ControlPlane::prepare(parent, binaries?, shim)?;
    let result = end
        .run_until_cancelled(serve(&mut plane, &mut orders))
        .await;
    plane.stop().await;
    result.unwrap_or(Ok(()))
}

/// Lines come from a thread of their own: a read of standard input cannot be called off.
fn read_orders(end: CancellationToken) -> mpsc::UnboundedReceiver<String> {
    let (sender, orders) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let lines = std::io::stdin().lines().map_while(Result::ok);
        for line in lines {
            if sender.send(line).is_err() {
                break;
            }
        }
        end.cancel();
    });
    orders
}

async fn serve(
    plane: &mut ControlPlane,
    orders: &mut mpsc::UnboundedReceiver<String>,
) -> Result<(), Error> {
    plane.start_all().await?;
    say(&plane.describe())?;
    loop {
        let order = tokio::select! {
            order = orders.recv() => order,
            error = plane.broken() => return Err(error),
        };
        let Some(order) = order else { return Ok(()) };
        let answer = obey(plane, &order)
            .await
            .unwrap_or_else(|error| Answer::Error(error.to_string()));
        say(&answer)?;
    }
}

async fn obey(plane: &mut ControlPlane, order: &str) -> Result<Answer, Error> {
    let unknown = || {
        Answer::Error(format!(
            "{order:?} is no order: kill, start or restart COMPONENT, or user NAME"
        ))
    };
    let Some((verb, object)) = order.split_once(' ') else {
        return Ok(unknown());
    };
    if verb == "user" {
        return plane.user(object).map(Answer::Kubeconfig);
    }
    let Ok(component) = Component::from_str(object, false) else {
        return Ok(unknown());
    };
    match verb {
        "kill" => plane.kill(component).await?,
        "start" => plane.start(component).await?,
        "restart" => {
            plane.kill(component).await?;
            plane.start(component).await?;
        }
        _ => return Ok(unknown()),
    }
    Ok(Answer::Running(plane.describe().pids))
}

fn say(message: &impl Serialize) -> Result<(), Error> {
    let write = || {
        let mut stdout = std::io::stdout().lock();
        serde_json::to_writer(&mut stdout, message)?;
        stdout.write_all(b"\n")?;
        stdout.flush()
    };
    write().map_err(|source| Error::Io {
        doing: "write to standard output".to_owned(),
        source,
    })
}
