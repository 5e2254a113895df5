//! The way to the background: the parent ends at once and well, and nothing of
//! it, of its group or of the agent holds the one that goes on, or is held.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use common::{Home, new, old, until};
use rustix::process::{Pid, Signal, kill_process_group};

#[test]
fn child() {
    common::child();
}

#[test]
fn it_goes_on_when_its_parents_group_is_killed() {
    let home = Home::new();
    let held = home.path("held-by-the-agent");
    fs::write(&held, "").unwrap();
    let inner = home.command("background look wait");
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("exec 7<{}; exec \"$0\" \"$@\"", held.display()));
    command.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        command.env(name, value.unwrap());
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let parent = command.spawn().unwrap();
    let group = Pid::from_raw(i32::try_from(parent.id()).unwrap()).unwrap();
    // Reads to the end of both pipes: nobody holds them any more.
    let output = parent.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(home.result(), None, "it was at once");
    let _ = kill_process_group(group, Signal::KILL);

    until("the start", || home.path("look").exists().then_some(()));
    let look = home.read("look");
    let lines: Vec<_> = look.lines().collect();
    let pid = lines[1];
    assert_eq!(
        lines[0],
        format!("{pid} {pid}"),
        "it leads a group and a session"
    );
    assert_eq!(
        lines[2],
        home.root().canonicalize().unwrap().to_str().unwrap()
    );
    assert!(
        !look.contains("pipe:") && !look.contains("held-by-the-agent"),
        "{look}"
    );
    assert!(
        !home.read("env.txt").contains("WPK_INSTALLER"),
        "{}",
        home.read("env.txt")
    );
    assert!(look.contains("logs/wpk-installer.log"), "{look}");

    fs::write(home.path("go"), "").unwrap();
    let result = until("the result", || home.result());
    assert_eq!(result, "0\n");
    assert_eq!(home.snapshot(), new());
    // Said after it is there.
    let said = || {
        home.read("logs/wpk-installer.log")
            .contains("ends with result 0")
    };
    until("the last line of its log", || said().then_some(()));
}

#[test]
fn what_cannot_begin_is_told_by_the_status() {
    let home = Home::new();
    fs::write(home.path("var/upgrade/upgrade_result"), "0\n").unwrap();
    let output = home.run("background good");
    assert_eq!(output.status.code(), Some(75));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("not delivered yet"), "{said}");
    assert_eq!(home.snapshot(), old());
}

#[test]
fn a_mark_without_a_starter_does_nothing() {
    let home = Home::new();
    let mut command = home.command("background good");
    let output = command
        .env("WPK_INSTALLER_BACKGROUND", "1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(home.snapshot(), old());
    assert_eq!(home.result(), None);
    assert_eq!(home.state(), ["lock"].to_vec(), "nothing is owed");
}

#[test]
fn finish_goes_to_the_background_too() {
    let home = Home::new();
    home.run("bad kill=12");
    assert!(home.path("var/installer/journal").exists());
    let output = home.finish("bad background").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(until("the result", || home.result()), "2\n");
    assert_eq!(home.snapshot(), old());
    until("the end", || (home.state() == ["lock"]).then_some(()));
}

#[test]
fn without_a_folder_for_logs_it_is_silent() {
    let home = Home::new();
    fs::remove_dir(home.path("logs")).unwrap();
    assert_eq!(home.run("background good").status.code(), Some(0));
    assert_eq!(until("the result", || home.result()), "0\n");
}
