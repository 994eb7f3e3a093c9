//! The programs: found, or built from pinned sources into a cache folder.
//!
//! * `KUBEBUILDER_ASSETS` names a folder with etcd and kube-apiserver: these are used. What it lacks of the others is built.
//! * Otherwise everything is built once into `<cache>/control-plane/<version>/bin`, where `<cache>` is `$MIXED_STREAM_CACHE`, or else
//!   `${XDG_CACHE_HOME:-$HOME/.cache}/mixed-stream-operator`.
//! * kstatus, which only tests ask, is a program of our own; it is built there too.
//! * kubectl is taken from `PATH` if it is 1.32 or newer, the oldest that the tests are known to pass with; otherwise it is built.
//!
//! A program gets its name only when it is complete, and one process builds at a time: others wait and find it.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::module::{KSTATUS as KSTATUS_MODULE, Module, TOOLS};
use crate::tied::{self, Shim};
use crate::{Error, component, go};

/// The oldest minor version of Kubernetes 1 whose kubectl will do.
const OLDEST_KUBECTL: u32 = 32;

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// etcd.
    pub etcd: PathBuf,
    /// kube-apiserver.
    pub kube_apiserver: PathBuf,
    /// kube-controller-manager.
    pub kube_controller_manager: PathBuf,
    /// kubectl.
    pub kubectl: PathBuf,
}

struct Program {
    name: &'static str,
    /// The package that it is, or that it asks; its version is the program's.
    package: &'static str,
    module: Module,
    /// How long a cold build takes on a machine with two cores.
    usually: &'static str,
}

const ETCD: Program = Program {
    name: "etcd",
    package: "go.etcd.io/etcd/server/v3",
    module: TOOLS,
    usually: "1 minute",
};
const SERVER: Program = Program {
    name: "kube-apiserver",
    package: "k8s.io/kubernetes/cmd/kube-apiserver",
    module: TOOLS,
    usually: "4 minutes",
};
const CONTROLLERS: Program = Program {
    name: "kube-controller-manager",
    package: "k8s.io/kubernetes/cmd/kube-controller-manager",
    module: TOOLS,
    usually: "1 minute",
};
const KUBECTL: Program = Program {
    name: "kubectl",
    package: "k8s.io/kubernetes/cmd/kubectl",
    module: TOOLS,
    usually: "half a minute",
};
const KSTATUS: Program = Program {
    name: "kstatus",
    package: "github.com/fluxcd/cli-utils/pkg/kstatus/status",
    module: KSTATUS_MODULE,
    usually: "half a minute",
};

impl Program {
    fn version(&self) -> &'static str {
        self.module.version_of(self.package)
    }

    /// The name of its file. The folder tells the control plane's versions, and nothing of other modules.
    fn file(&self) -> String {
        match self.module.fingerprint() {
            Some(fingerprint) => format!("{}-{}-{fingerprint}", self.name, self.version()),
            None => self.name.to_owned(),
        }
    }
}

/// Finds the programs, and builds what is missing; says on standard error what takes long.
///
/// # Errors
/// One of [`Error`], when something can be neither found nor built.
pub async fn find_or_build(shim: &Shim) -> Result<Binaries, Error> {
    let assets = std::env::var_os("KUBEBUILDER_ASSETS")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from);
    let cache = cache()?;
    let given = |program: &Program| {
        let path = assets.as_ref()?.join(program.name);
        path.is_file().then_some(path)
    };
    if let Some(folder) = &assets
        && let Some(missing) = [ETCD, SERVER]
            .into_iter()
            .find(|program| given(program).is_none())
    {
        return Err(Error::Assets {
            folder: folder.clone(),
            program: missing.name,
        });
    }
    Ok(Binaries {
        etcd: or_build(given(&ETCD), &ETCD, &cache, shim).await?,
        kube_apiserver: or_build(given(&SERVER), &SERVER, &cache, shim).await?,
        kube_controller_manager: or_build(given(&CONTROLLERS), &CONTROLLERS, &cache, shim).await?,
        kubectl: or_build(
            given(&KUBECTL).or_else(kubectl_on_path),
            &KUBECTL,
            &cache,
            shim,
        )
        .await?,
    })
}

/// Finds the program that asks the kstatus library, or builds it; says on standard error what takes long.
///
/// It reads objects from standard input, one per line as JSON (`null` for one that is not there), and answers each with a line of JSON:
/// `{"status": "Current", "message": "…"}`. It ends with its input.
///
/// # Errors
/// One of [`Error`], when it can be neither found nor built.
pub async fn kstatus(shim: &Shim) -> Result<PathBuf, Error> {
    or_build(None, &KSTATUS, &cache()?, shim).await
}

/// `$MIXED_STREAM_CACHE`, or else `${XDG_CACHE_HOME:-$HOME/.cache}/mixed-stream-operator`.
fn cache() -> Result<PathBuf, Error> {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("MIXED_STREAM_CACHE")
        .or_else(|| {
            let caches = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
            Some(caches.join("mixed-stream-operator"))
        })
        .ok_or(Error::NoCache)
}

async fn or_build(
    found: Option<PathBuf>,
    program: &Program,
    cache: &Path,
    shim: &Shim,
) -> Result<PathBuf, Error> {
    if let Some(path) = found {
        return Ok(path);
    }
    let version = format!("{}-etcd-{}", SERVER.version(), ETCD.version());
    let folder = cache.join("control-plane").join(version);
    let path = folder.join("bin").join(program.file());
    if path.is_file() {
        return Ok(path);
    }
    let bin = folder.join("bin");
    std::fs::create_dir_all(&bin).map_err(Error::io("create the folder", &bin))?;
    let _lock = lock(folder.join("lock")).await?;
    // Whoever held the lock may just have built it.
    if !path.is_file() {
        build(program, &folder, &path, cache, shim).await?;
    }
    Ok(path)
}

/// Waits for its turn; the kernel takes the lock back from a process that dies.
async fn lock(path: PathBuf) -> Result<File, Error> {
    let file = File::create(&path).map_err(Error::io("create", &path))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => {
            eprintln!("control-plane: another process is building; waiting for it");
        }
        Err(TryLockError::Error(source)) => return Err(Error::io("lock", &path)(source)),
    }
    let wait = tokio::task::spawn_blocking(move || file.lock().map(|()| file));
    wait.await
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(Error::io("lock", &path))
}

async fn build(
    program: &Program,
    folder: &Path,
    path: &Path,
    cache: &Path,
    shim: &Shim,
) -> Result<(), Error> {
    let go = go::find(program.module.go_version(), cache, shim).await?;
    let module = folder.join(program.module.folder);
    program.module.write(&module)?;
    let partial = path.with_file_name(format!("{}.partial", program.name));
    let log = folder.join(format!("{}.log", program.name));
    let output = File::create(&log).map_err(Error::io("create", &log))?;
    let copy = output.try_clone().map_err(Error::io("create", &log))?;

    let mut command = shim.command(&go);
    command
        .args([
            "build",
            "-trimpath",
            "-buildvcs=false",
            "-mod=readonly",
            "-ldflags",
            &link_flags(),
            "-o",
        ])
        .arg(&partial)
        .arg(program.module.target(program.package))
        .current_dir(&module)
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off")
        .env("CGO_ENABLED", "0")
        .stdin(Stdio::null())
        .stdout(copy)
        .stderr(output);
    let mut child = tied::spawn(command).map_err(Error::io("start", &go))?;

    let what = format!(
        "building {} {}, usually {} on 2 cores",
        program.name,
        program.version(),
        program.usually
    );
    let began = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_secs(20));
    let status = loop {
        tokio::select! {
            status = child.wait() => break status.map_err(Error::io("wait for", &go))?,
            _ = ticks.tick() => eprintln!("control-plane: {what} ... {} s", began.elapsed().as_secs()),
        }
    };
    if !status.success() {
        return Err(Error::Build {
            program: program.name,
            status,
            output: component::tail(&log),
        });
    }
    std::fs::rename(&partial, path).map_err(Error::io("rename", &partial))?;
    eprintln!(
        "control-plane: built {} in {} s",
        path.display(),
        began.elapsed().as_secs()
    );
    Ok(())
}

/// Kubernetes learns its version from the linker; without it, it calls itself something that clients cannot parse.
fn link_flags() -> String {
    let version = SERVER.version();
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (
        numbers.next().unwrap_or_default(),
        numbers.next().unwrap_or_default(),
    );
    let variable = "k8s.io/component-base/version.git";
    format!(
        "-s -w -X {variable}Version={version} -X {variable}Major={major} -X {variable}Minor={minor} -X {variable}TreeState=clean"
    )
}

fn kubectl_on_path() -> Option<PathBuf> {
    let path = go::on_path(KUBECTL.name)?;
    let output = std::process::Command::new(&path)
        .args(["version", "--client", "--output=json"])
        .output()
        .ok()?;
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    let version = answer
        .pointer("/clientVersion/gitVersion")?
        .as_str()?
        .strip_prefix("v1.")?;
    let minor: u32 = version.split('.').next()?.parse().ok()?;
    (minor >= OLDEST_KUBECTL).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_module() {
        for program in [ETCD, SERVER, CONTROLLERS, KUBECTL, KSTATUS] {
            assert!(program.version().starts_with('v'), "{}", program.name);
            assert!(program.module.go_version().starts_with("1."));
        }
        assert_eq!(TOOLS.version_of("k8s.io/kubernetes"), SERVER.version());
        assert_ne!(ETCD.version(), SERVER.version());
        assert!(link_flags().contains("gitMajor=1 "));
    }

    #[test]
    fn a_program_of_our_own_is_named_by_its_version_and_its_contents() {
        assert_eq!(SERVER.file(), "kube-apiserver");
        let name = format!("kstatus-{}-", KSTATUS.version());
        let fingerprint = KSTATUS.file().strip_prefix(&name).map(str::len);
        assert_eq!(fingerprint, Some(16), "{}", KSTATUS.file());
    }
}
