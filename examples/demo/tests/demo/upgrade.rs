//! One upgrade of eight agents.

use std::fs;

use tempfile::TempDir;
use tokio::process::Command;
use wpk_testkit::process::{Signal, build};

use crate::stage::{Demo, PATIENCE, processes_of, row};

/// What the installer says of an agent whose new program does not run.
const NOT_BACK: &str = "Upgrade failed: not healthy: the agent did not come back within 8 s: it does not \
                        run; the time limit is over; the old version is back";

#[tokio::test]
async fn every_agent_ends_as_it_should_and_nothing_is_left() {
    let mut demo = Demo::start(&[]);
    let (status, printed) = demo.end().await;
    assert_eq!(status, Some(0), "{printed}");
    for agent in ["001 web-1", "002 web-2", "003 db-1", "004 db-2"] {
        let cells = row(&printed, agent);
        assert_eq!(
            cells[..4],
            [agent, "v4.13.1", "v4.14.0", "Updated"],
            "{printed}"
        );
    }
    let failed = row(&printed, "005 edge-1");
    assert_eq!(
        failed[1..5],
        [
            "v4.13.1",
            "v4.13.1",
            "Error",
            "Upgrade procedure exited with error code"
        ],
        "{printed}"
    );
    let refused = row(&printed, "006 lab-1");
    assert_eq!(
        refused[1..5],
        ["v4.13.1", "v4.13.1", "Error", "Send upgrade command error"],
        "{printed}"
    );
    let itself = row(&printed, "007 self-1");
    assert_eq!(itself[1..4], ["v4.13.1", "v4.14.0", "Updated"], "{printed}");
    let back = row(&printed, "008 self-2");
    assert_eq!(
        back[1..5],
        [
            "v4.13.1",
            "v4.13.1",
            "Error",
            "Upgrade procedure exited with error code"
        ],
        "{printed}"
    );
    // The table shows why as well: the agent's own words, and what to do.
    for cell in [
        "upgrade failed in the agent: Could not verify signature (error 13)",
        "look at the agent's words; its log may say more",
        "Upgrade failed",
        "look into the installer's log at the agent",
        NOT_BACK,
    ] {
        assert_eq!(row(&printed, cell), [cell], "{printed}");
    }
    assert!(printed.contains(r#""command":"upgrade""#), "{printed}");
    demo.assert_nothing_is_left();
}

#[tokio::test]
async fn ctrl_c_leaves_nothing_behind() {
    let mut demo = Demo::start(&[]);
    // All processes run, and agents are being written to.
    let busy = demo.process.wait_for_line("Updating", PATIENCE).await;
    assert!(busy.is_some(), "{}", demo.process.output());
    assert!(processes_of(&demo.place.path().join("t")).len() > 7);
    demo.process.signal(Signal::INT).unwrap();
    let (status, printed) = demo.end().await;
    assert_eq!(status, Some(130), "{printed}");
    demo.assert_nothing_is_left();
}

#[tokio::test]
async fn a_manager_that_dies_is_told_and_leaves_nothing_behind() {
    let mut demo = Demo::start(&[]);
    let busy = demo.process.wait_for_line("Updating", PATIENCE).await;
    assert!(busy.is_some(), "{}", demo.process.output());
    let temp = demo.place.path().join("t");
    let manager = processes_of(&temp)
        .into_iter()
        .find_map(|process| {
            process
                .strip_suffix(" wpkd")?
                .strip_prefix("/proc/")?
                .parse()
                .ok()
        })
        .and_then(rustix::process::Pid::from_raw)
        .expect("wpkd runs");
    rustix::process::kill_process(manager, Signal::KILL).unwrap();
    let (status, printed) = demo.end().await;
    assert_eq!(status, Some(1), "{printed}");
    assert!(printed.contains("the end of wpkd.log"), "{printed}");
    demo.assert_nothing_is_left();
}

#[tokio::test]
async fn a_temporary_folder_with_too_long_a_path_is_refused() {
    build(&["wpkd", "wpk-agent", "wpk-agent-installer", "wpkctl"]).unwrap();
    let place = TempDir::new().unwrap();
    let long = place.path().join("x".repeat(100));
    fs::create_dir(&long).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    let output = command.env("TMPDIR", &long).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("TMPDIR"), "{said}");
    assert_eq!(
        fs::read_dir(&long).unwrap().count(),
        0,
        "a folder was left behind"
    );
}
