//! The temporary folder of one control plane, which is also its own lock.
//!
//! The owner holds an advisory lock (`flock(2)`) on the folder itself, which the kernel drops when the owner dies. So a folder that can be
//! locked belongs to nobody: [`Folder::create`] sweeps such folders first.

use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::Error;

const PREFIX: &str = "mixed-stream-control-plane-";

/// A folder with mode 0700 that is removed when this value is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    lock: File,
}

impl Folder {
    /// Removes the folders in `parent` whose owners are dead, and makes a new one there.
    ///
    /// # Errors
    /// When `parent` cannot be read or written.
    pub fn create(parent: &Path) -> Result<Self, Error> {
        sweep(parent)?;
        loop {
            let path = parent.join(format!("{PREFIX}{}", Uuid::new_v4().simple()));
            DirBuilder::new()
                .mode(0o700)
                .create(&path)
                .map_err(Error::io("create the folder", &path))?;
            // Somebody else's sweep may come between creation and lock and remove the folder: then make another.
            if let Ok(lock) = File::open(&path)
                && lock.try_lock().is_ok()
                && is_at(&lock, &path)
            {
                return Ok(Self { path, lock });
            }
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            eprintln!(
                "control-plane: cannot remove {}: {error}; the next start will",
                self.path.display()
            );
        }
        // Only now: an unlocked folder is anybody's to sweep.
        let _ = self.lock.unlock();
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(held), Ok(found)) => (held.dev(), held.ino()) == (found.dev(), found.ino()),
        (Err(_), _) | (_, Err(_)) => false,
    }
}

fn sweep(parent: &Path) -> Result<(), Error> {
    for entry in std::fs::read_dir(parent).map_err(Error::io("read the folder", parent))? {
        let path = entry.map_err(Error::io("read the folder", parent))?.path();
        let ours = path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with(PREFIX));
        // A folder of another user cannot be opened, one in use cannot be locked: neither is ours to remove.
        if ours
            && let Ok(lock) = File::open(&path)
            && lock.try_lock().is_ok()
        {
            match std::fs::remove_dir_all(&path) {
                Ok(()) => eprintln!(
                    "control-plane: removed {}, whose owner is dead",
                    path.display()
                ),
                // Somebody else swept it a moment earlier.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => eprintln!(
                    "control-plane: cannot remove {}, whose owner is dead: {error}",
                    path.display()
                ),
            }
        }
    }
    Ok(())
}
