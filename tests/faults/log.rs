//! A log that cannot be written is no reason to end.

use std::fs::{File, OpenOptions};
use std::process::{Command, Stdio};
use std::time::Duration;

use wpk_testkit::{Home, ask, binary, wait_until};

/// A full disk, and a pipe that nobody reads any more.
fn broken_logs() -> [(&'static str, Stdio); 2] {
    let full: File = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    [("/dev/full", full.into()), ("a closed pipe", writer.into())]
}

#[tokio::test]
async fn the_daemon_serves_without_a_log() {
    for (what, log) in broken_logs() {
        let home = Home::new().unwrap();
        let mut daemon = Command::new(binary("wpkd").unwrap())
            .arg("--home")
            .arg(home.root())
            .env("WPKD_TRANSPORT__TYPE", "channel")
            .env("WPKD_TRANSPORT__LISTEN", "127.0.0.1:0")
            .env("RUST_LOG", "debug")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let socket = home.path("queue/tasks/upgrade");
        let answered = wait_until(Duration::from_secs(30), || {
            ask(&socket, br#"{"command":"nonsense"}"#)
        });
        let answered = answered.await.expect(what);
        assert!(
            String::from_utf8_lossy(&answered).contains("error"),
            "{what}"
        );
        assert_eq!(daemon.try_wait().unwrap(), None, "it ended: {what}");
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }
}
