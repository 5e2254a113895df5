//! A socket that one may not open: told as that, with the group to join.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use common::*;

/// Nobody, on most systems; a number of no group that a test machine's root is in.
const NOBODY: u32 = 65_534;
/// The group `daemon`, on most systems.
const DAEMON: u32 = 1;

fn rights(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// What the tool says of a socket with such rights in a folder with such rights, asked by
/// somebody else where the test is root's. Both belong to that group then.
fn said(of_folder: u32, of_socket: u32, group: u32) -> (String, bool) {
    let dir = tempfile::tempdir().unwrap();
    let (program, folder) = (dir.path().join("wpkctl"), dir.path().join("tasks"));
    let bytes = std::fs::read(env!("CARGO_BIN_EXE_wpkctl")).unwrap();
    wpk_testkit::write_executable(&program, &bytes, 0o755).unwrap();
    std::fs::create_dir(&folder).unwrap();
    let manager = Manager::start(&folder.join("upgrade"), |_| answer(vec![]));
    rights(&manager.socket, of_socket);
    rights(&folder, of_folder);
    rights(dir.path(), 0o755);
    let root = rustix::process::geteuid().is_root();
    for path in [&manager.socket, &folder] {
        if root {
            std::os::unix::fs::chown(path, None, Some(group)).unwrap();
        }
    }
    let mut command = Command::new(program);
    command
        .env_clear()
        .args(["agents", "--socket"])
        .arg(&manager.socket);
    if root {
        command.uid(NOBODY).gid(NOBODY);
    }
    let run = Run::of(command.output().unwrap());
    rights(&folder, 0o700);
    assert_eq!(run.status, Some(1), "{} {}", run.out, run.err);
    assert!(run.err.contains("Permission denied"), "{}", run.err);
    assert!(!run.err.contains("start wpkd"), "{}", run.err);
    (run.err, root)
}

#[test]
fn the_group_of_the_socket_or_of_its_folder_is_named() {
    let (socket, root) = said(0o755, 0o060, DAEMON);
    let (folder, _) = said(0o010, 0o777, DAEMON);
    if root {
        assert!(
            socket.contains("it is open to the group daemon: join"),
            "{socket}"
        );
        assert!(
            folder.contains("/tasks is open to the group daemon: join"),
            "{folder}"
        );
        let (roots, _) = said(0o755, 0o060, 0);
        assert!(
            roots.contains("group root, which nobody is to join"),
            "{roots}"
        );
    }
    let (closed, _) = said(0o755, 0o000, DAEMON);
    assert!(closed.contains("its mode lets no group in"), "{closed}");
}
