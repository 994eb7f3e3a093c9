//! The Go modules that pin every version. Their files are part of this program, so that it can build anywhere.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

use crate::Error;

/// A Go module.
pub struct Module {
    /// The folder, beside the others', into which its files are written.
    pub folder: &'static str,
    /// What it requires.
    go_mod: &'static str,
    /// The sums of everything that it requires.
    go_sum: &'static str,
    /// Its own program, where it has one.
    main: Option<&'static str>,
}

/// The programs of the control plane. It has none of its own.
pub const TOOLS: Module = Module {
    folder: "module",
    go_mod: include_str!("../tools/go.mod"),
    go_sum: include_str!("../tools/go.sum"),
    main: None,
};

/// The kstatus library, and a program of ours that asks it.
pub const KSTATUS: Module = Module {
    folder: "module-kstatus",
    go_mod: include_str!("../kstatus/go.mod"),
    go_sum: include_str!("../kstatus/go.sum"),
    main: Some(include_str!("../kstatus/main.go")),
};

impl Module {
    /// The version that it requires of the module with this package.
    pub fn version_of(&self, package: &str) -> &'static str {
        self.go_mod
            .lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                Some((words.next()?, words.next()?))
            })
            .find(|(module, version)| version.starts_with('v') && package.starts_with(module))
            .map_or("", |(_, version)| version)
    }

    /// The oldest Go that can build it.
    pub fn go_version(&self) -> &'static str {
        self.go_mod
            .lines()
            .find_map(|line| line.strip_prefix("go "))
            .unwrap_or_default()
    }

    /// The files' contents as a short word, where it has a program of its own: its version does not tell one state of that from another.
    /// Another Rust may find another word, which costs one build.
    pub fn fingerprint(&self) -> Option<String> {
        let main = self.main?;
        let mut hasher = DefaultHasher::new();
        (self.go_mod, self.go_sum, main).hash(&mut hasher);
        Some(format!("{:016x}", hasher.finish()))
    }

    /// What `go build` is to build of it: the package, or its own program.
    pub fn target(&self, package: &'static str) -> &'static str {
        if self.main.is_some() { "." } else { package }
    }

    /// Writes its files.
    ///
    /// # Errors
    /// The operating system's.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        std::fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
        let files = [
            ("go.mod", Some(self.go_mod)),
            ("go.sum", Some(self.go_sum)),
            ("main.go", self.main),
        ];
        for (name, text) in files {
            if let Some(text) = text {
                let file = folder.join(name);
                std::fs::write(&file, text).map_err(Error::io("write", &file))?;
            }
        }
        Ok(())
    }
}
