//! The demo as its user runs it: what it shows, how it ends, and that it leaves
//! nothing behind.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;
use wpk_testkit::process::{Process, Signal, build};

/// Longer than the demo's own deadline.
const PATIENCE: Duration = Duration::from_secs(180);

/// What the installer says of an agent whose new program does not run.
const NOT_BACK: &str = "Upgrade failed: not healthy: the agent did not come back within 8 s: it does not \
                        run; the time limit is over; the old version is back";

/// A demo that works in a folder of its own below `place`, and writes to a log
/// beside it.
struct Demo {
    place: TempDir,
    process: Process,
}

impl Demo {
    fn start() -> Self {
        // The build is none of what is tested here, and may take its time.
        build(&["wpkd", "wpk-agent", "wpk-agent-installer", "wpkctl"]).unwrap();
        let place = tempfile::Builder::new()
            .prefix("dt")
            .tempdir_in("/tmp")
            .unwrap();
        let temp = place.path().join("t");
        fs::create_dir(&temp).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
        command.env("TMPDIR", temp);
        let process = Process::start(command, place.path().join("log")).unwrap();
        Self { place, process }
    }

    /// Waits until it ends; its exit status and what it printed.
    async fn end(&mut self) -> (Option<i32>, String) {
        let status = self.process.wait(PATIENCE).await.expect("the demo ends");
        (status.code(), self.process.output())
    }

    fn assert_nothing_is_left(&self) {
        let temp = self.place.path().join("t");
        let files: Vec<_> = fs::read_dir(&temp).unwrap().collect();
        assert!(files.is_empty(), "left behind: {files:?}");
        let processes = processes_of(&temp);
        assert!(processes.is_empty(), "left behind: {processes:?}");
    }
}

/// The processes that have to do with a folder: by their command line, their
/// environment or their working directory.
fn processes_of(folder: &Path) -> Vec<String> {
    let wanted = folder.to_str().unwrap();
    let has_to_do = |process: &Path| {
        let holds = |file: &str| {
            let text = fs::read(process.join(file)).unwrap_or_default();
            String::from_utf8_lossy(&text).contains(wanted)
        };
        let works_in = fs::read_link(process.join("cwd"));
        holds("cmdline") || holds("environ") || works_in.is_ok_and(|path| path.starts_with(folder))
    };
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    entries
        .map(|entry| entry.path())
        .filter(|path| path.join("cmdline").exists() && has_to_do(path))
        .map(|path| {
            let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
            format!("{} {}", path.display(), name.trim_end())
        })
        .collect()
}

/// The cells of an agent's line in the table.
fn row<'a>(printed: &'a str, agent: &str) -> Vec<&'a str> {
    let line = printed
        .lines()
        .find(|line| line.contains('│') && line.contains(agent))
        .unwrap_or_else(|| panic!("no line of {agent} in the table:\n{printed}"));
    let cells = line.split(['│', '┆']).map(str::trim);
    cells.filter(|cell| !cell.is_empty()).collect()
}

#[tokio::test]
async fn every_agent_ends_as_it_should_and_nothing_is_left() {
    let mut demo = Demo::start();
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
    let mut demo = Demo::start();
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
    let mut demo = Demo::start();
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
