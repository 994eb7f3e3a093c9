//! A Python environment with the vendor's clients, made once in the cache folder and kept for as long as its versions are asked for.

use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// What is installed.
const REQUIREMENTS: &str = include_str!("requirements.txt");
/// The longest that making it may take, downloads included; usually half a minute.
const LONGEST: Duration = Duration::from_mins(8);
/// Written last: without it the folder is what an interrupted attempt has left.
const COMPLETE: &str = "complete";

/// The environment's Python.
///
/// # Errors
/// Why there is none: for a person, who may be without Python or without a network.
pub async fn python() -> Result<PathBuf, String> {
    tokio::time::timeout(LONGEST, find_or_make())
        .await
        .unwrap_or_else(|_| Err(format!("not installed within {LONGEST:?}")))
}

async fn find_or_make() -> Result<PathBuf, String> {
    let version =
        run(Command::new("python3").args(["-c", "import sys; print(sys.version)"])).await?;
    let mut hasher = DefaultHasher::new();
    (REQUIREMENTS, &version).hash(&mut hasher);
    let cache = cache()?.join("vendor-clients");
    let folder = cache.join(format!("{:016x}", hasher.finish()));
    let python = folder.join("bin/python");
    if folder.join(COMPLETE).is_file() {
        return Ok(python);
    }
    let told = |error: std::io::Error| format!("{}: {error}", cache.display());
    std::fs::create_dir_all(&cache).map_err(told)?;
    let lock = File::create(cache.join("lock")).map_err(told)?;
    // Whoever holds it is making the same: a wait in a thread of its own, which the time limit above does not hold up.
    let locked = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await;
    let _lock = locked.map_err(|error| error.to_string())?.map_err(told)?;
    if !folder.join(COMPLETE).is_file() {
        make(&folder, &python).await?;
    }
    Ok(python)
}

async fn make(folder: &Path, python: &Path) -> Result<(), String> {
    eprintln!(
        "installing the vendor's clients into {}, usually half a minute",
        folder.display()
    );
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(|error| error.to_string())?;
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(folder)).await?;
    let list = folder.join("requirements.txt");
    std::fs::write(&list, REQUIREMENTS).map_err(|error| error.to_string())?;
    run(Command::new(python)
        .args(["-m", "pip", "install", "--quiet", "--no-input"])
        .args(["--disable-pip-version-check", "--no-deps", "--requirement"])
        .arg(&list))
    .await?;
    std::fs::write(folder.join(COMPLETE), "").map_err(|error| error.to_string())
}

/// What a program writes to standard output.
async fn run(command: &mut Command) -> Result<String, String> {
    let what = format!("{:?}", command.as_std());
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| format!("{what}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let last: Vec<&str> = said.lines().rev().take(3).collect();
    Err(format!("{what}: {}: {last:?}", output.status))
}

/// `$MIXED_STREAM_CACHE`, or else `${XDG_CACHE_HOME:-$HOME/.cache}/mixed-stream-operator`.
fn cache() -> Result<PathBuf, String> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(cache) = set("MIXED_STREAM_CACHE") {
        return Ok(PathBuf::from(cache));
    }
    let caches = set("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")));
    caches
        .map(|caches| caches.join("mixed-stream-operator"))
        .ok_or_else(|| "neither MIXED_STREAM_CACHE nor HOME is set".to_owned())
}
