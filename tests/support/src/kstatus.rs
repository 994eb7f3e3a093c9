//! The kstatus library, by which Flux and Helm judge objects: the library itself, in a program that is asked.

use std::process::Stdio;
use std::time::Duration;

use control_plane::binaries;
use control_plane::tied::{Shim, spawn};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::{binary, process};

/// How long the library may think.
const PATIENCE: Duration = Duration::from_secs(20);

/// What kstatus takes an object for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Kind {
    /// It is as its spec asks.
    Current,
    /// It is on its way.
    InProgress,
    /// It will not get there by itself.
    Failed,
    /// It is being deleted.
    Terminating,
    /// It is not there.
    NotFound,
    /// The library fails on it.
    Unknown,
}

/// What kstatus says of an object.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Verdict {
    /// What it takes it for.
    pub status: Kind,
    /// Why.
    pub message: String,
}

/// The running program. It ends when this is dropped, or with this process.
#[derive(Debug)]
pub struct Kstatus {
    // Held so that it is killed with this.
    _child: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Kstatus {
    /// Starts it; the first time it is built.
    pub async fn start() -> Self {
        let program = binaries::kstatus(&Shim::at(binary("control-plane"))).await;
        let program = program.unwrap_or_else(|error| panic!("no kstatus: {error}"));
        let mut command = process::tied(&program);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = spawn(command).expect("kstatus");
        Self {
            questions: child.stdin.take().expect("kstatus' standard input"),
            answers: BufReader::new(child.stdout.take().expect("kstatus' standard output")).lines(),
            _child: child,
        }
    }

    /// What it says of an object as the API server shows it; of `null`, which stands for one that is not there, [`Kind::NotFound`].
    pub async fn ask(&mut self, object: &Value) -> Verdict {
        let question = format!("{object}\n");
        let answer = async {
            self.questions.write_all(question.as_bytes()).await?;
            self.answers.next_line().await
        };
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        let answer = answer
            .unwrap_or_else(|_| panic!("kstatus says nothing of {object:#} for {PATIENCE:?}"));
        match answer {
            Ok(Some(line)) => {
                serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"))
            }
            Ok(None) | Err(_) => {
                panic!(
                    "kstatus has ended, and says on standard error why; it was asked of {object:#}"
                )
            }
        }
    }
}
