//! The page `docs/your-cluster.md` is true: its shell blocks are run as they are, and the operator needs the rights that it names and no others.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use support::process::{Process, tied};
use support::{Cluster, binary, eventually};

const PAGE: &str = include_str!("../../docs/your-cluster.md");
const USER: &str = "mixed-stream-operator";
const PATIENCE: Duration = Duration::from_mins(2);

#[tokio::test]
async fn the_page_is_true() {
    let cluster = Cluster::fresh().await;
    let kubeconfig = cluster.user(USER).await;
    let path = tempfile::tempdir().unwrap();
    for program in ["live-simulator", "mixed-stream-operator"] {
        tie(path.path(), program, &binary(program));
    }
    tie(path.path(), "kubectl", &cluster.ready().kubectl);

    let script = blocks(PAGE);
    let mut shell = tied(Path::new("/bin/bash"));
    shell
        .args(["-eu", "-o", "pipefail", "-c", &script])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .env(
            "PATH",
            format!(
                "{}:{}",
                path.path().display(),
                std::env::var("PATH").unwrap()
            ),
        )
        .env("KUBECONFIG", cluster.kubeconfig())
        .env("KUBECACHEDIR", path.path().join("cache"))
        .env("OPERATOR_KUBECONFIG", &kubeconfig);
    for (variable, address) in ["API", "ADMIN", "LISTEN"]
        .into_iter()
        .zip(free_addresses::<3>())
    {
        shell.env(variable, address);
    }
    let mut shell = Process::start("the page's commands", shell);
    let status = shell.wait(PATIENCE).await;
    let (said, complained) = (shell.stdout(), shell.stderr());
    let said = String::from_utf8_lossy(&said);
    assert!(
        status.success(),
        "{status}\n{said}\n{}",
        String::from_utf8_lossy(&complained)
    );
    for expected in [
        "condition met",
        "Armed",
        "\"state\":\"stopped\"",
        "\"action\":\"StopLiveMPUTask\"",
    ] {
        assert!(said.contains(expected), "no {expected} in\n{said}");
    }

    // Every right that the page grants is used, but `get` and the events' `patch`: both are for rare cases. Nothing else was tried.
    let rights = |words: &[&str]| -> BTreeSet<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    };
    let granted = rights(&[
        "get mixedstreamtasks",
        "list mixedstreamtasks",
        "watch mixedstreamtasks",
        "patch mixedstreamtasks",
        "patch mixedstreamtasks/status",
        "create events",
        "patch events",
    ]);
    let needed = rights(&[
        "list mixedstreamtasks",
        "watch mixedstreamtasks",
        "patch mixedstreamtasks",
        "patch mixedstreamtasks/status",
        "create events",
    ]);
    eventually(
        "the audit log shows the operator's requests",
        PATIENCE,
        async || {
            let entries = cluster.audit(|entry| entry.user == USER);
            let used: BTreeSet<String> = entries
                .iter()
                .map(|entry| match entry.subresource.as_str() {
                    "" => format!("{} {}", entry.verb, entry.resource),
                    subresource => format!("{} {}/{subresource}", entry.verb, entry.resource),
                })
                .collect();
            let refused: Vec<_> = entries.iter().filter(|entry| entry.code == 403).collect();
            assert!(refused.is_empty(), "{refused:?}");
            assert!(used.is_subset(&granted), "{used:?}");
            if needed.is_subset(&used) {
                Ok(())
            } else {
                Err(used)
            }
        },
    )
    .await;
}

/// The shell blocks of a page, in order, as one script.
fn blocks(page: &str) -> String {
    let blocks: Vec<&str> = page
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(blocks.len() > 4, "the page has lost its shell blocks");
    blocks.concat()
}

/// Puts a program into the folder `path` that ends with whoever starts it: a shell's background processes would outlive it.
fn tie(path: &Path, name: &str, program: &Path) {
    let wrapper = path.join(name);
    let shim = binary("control-plane");
    let text = format!(
        "#!/bin/sh\nexec '{}' tied \"$PPID\" -- '{}' \"$@\"\n",
        shim.display(),
        program.display()
    );
    std::fs::write(&wrapper, text).unwrap();
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Addresses that are free now, all different.
fn free_addresses<const N: usize>() -> [String; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().to_string())
}
