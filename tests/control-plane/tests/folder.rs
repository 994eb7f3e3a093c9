//! Folders: one that is in use is never swept, one whose owner is dead always is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::fs;

use control_plane::folder::Folder;

#[test]
fn a_folder_goes_with_its_owner_and_stays_until_then() {
    let parent = tempfile::tempdir().unwrap();
    let first = Folder::create(parent.path()).unwrap();
    fs::write(first.path().join("file"), "content").unwrap();
    let second = Folder::create(parent.path()).unwrap();
    assert!(first.path().join("file").exists());
    let path = first.path().to_owned();
    drop(first);
    assert!(!path.exists());
    drop(second);
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
}

#[test]
fn only_folders_of_dead_owners_are_swept() {
    let parent = tempfile::tempdir().unwrap();
    // What a killed owner leaves: a folder that nobody has locked.
    let stale = parent.path().join("mixed-stream-control-plane-stale");
    fs::create_dir_all(stale.join("etcd/member")).unwrap();
    let foreign = parent.path().join("something-else");
    fs::create_dir(&foreign).unwrap();
    let folder = Folder::create(parent.path()).unwrap();
    assert!(!stale.exists());
    assert!(foreign.exists());
    assert!(folder.path().exists());
}

#[test]
fn many_at_once_do_not_sweep_each_other() {
    let parent = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let folder = Folder::create(parent.path()).unwrap();
                    fs::write(folder.path().join("file"), "content").unwrap();
                    let _other = Folder::create(parent.path()).unwrap();
                    assert!(folder.path().join("file").exists());
                }
            });
        }
    });
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
}
