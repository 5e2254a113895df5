//! A log that cannot be written is no reason to end.

use std::fs::{File, OpenOptions};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use wpk_testkit::{Home, ask, binary, wait_until};

use crate::table::{Check, check};

pub const CHECKS: &[Check] = &[
    check!(
        the_daemon_serves_on_a_full_disk,
        "log of wpkd",
        "the disk is full",
        "it answers"
    ),
    check!(
        the_daemon_serves_with_a_closed_pipe,
        "log of wpkd",
        "a pipe that nobody reads",
        "it answers"
    ),
    check!(
        the_agent_serves_on_a_full_disk,
        "log of wpk-agent",
        "the disk is full",
        "it answers"
    ),
    check!(
        the_agent_serves_with_a_closed_pipe,
        "log of wpk-agent",
        "a pipe that nobody reads",
        "it answers"
    ),
];

fn full_disk() -> Stdio {
    let full: File = OpenOptions::new().write(true).open("/dev/full").unwrap();
    full.into()
}

fn closed_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

async fn daemon(log: Stdio) -> String {
    let home = Home::new().unwrap();
    let mut command = Command::new(binary("wpkd").unwrap());
    command
        .arg("--home")
        .arg(home.root())
        .env("WPKD_TRANSPORT__TYPE", "channel")
        .env("WPKD_TRANSPORT__LISTEN", "127.0.0.1:0")
        .env("RUST_LOG", "debug");
    answers(&home, command, log, "queue/tasks/upgrade").await
}

async fn agent(log: Stdio) -> String {
    let home = Home::new().unwrap();
    let settings = home.path("etc/wpk-agent.toml");
    let text = "home = \"..\"\n[agent]\nversion = \"v4.14.9\"\n[listen]\n\
                [upgrade.ca_verification]\nenabled = false\n";
    std::fs::write(&settings, text).unwrap();
    let mut command = Command::new(binary("wpk-agent").unwrap());
    command
        .arg("--config")
        .arg(&settings)
        .env("WPK_AGENT_LOG", "debug");
    answers(&home, command, log, "queue/sockets/upgrade").await
}

/// Whether it answers at its socket, several times, and goes on.
async fn answers(home: &Home, mut command: Command, log: Stdio, socket: &str) -> String {
    let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let mut child = Ended(child);
    let socket = home.path(socket);
    for _ in 0..5 {
        let answered = wait_until(Duration::from_secs(30), || {
            ask(&socket, br#"{"command":"nonsense","parameters":{}}"#)
        });
        let answered = answered
            .await
            .map(|answer| String::from_utf8_lossy(&answer).into_owned());
        match answered {
            Some(answer) if answer.contains("error") => {}
            other => return format!("it answers {other:?}"),
        }
    }
    match child.0.try_wait().unwrap() {
        None => "it answers".to_owned(),
        Some(status) => format!("it ended: {status}"),
    }
}

/// A program that ends with its test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn the_daemon_serves_on_a_full_disk() -> String {
    daemon(full_disk()).await
}

async fn the_daemon_serves_with_a_closed_pipe() -> String {
    daemon(closed_pipe()).await
}

async fn the_agent_serves_on_a_full_disk() -> String {
    agent(full_disk()).await
}

async fn the_agent_serves_with_a_closed_pipe() -> String {
    agent(closed_pipe()).await
}
