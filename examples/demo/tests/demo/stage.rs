//! A demo as a process, and what must be gone after it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;
use wpk_testkit::process::{Process, build};

/// Longer than the demo's own deadline.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// A demo that works in a folder of its own below `place`, and writes to a log
/// beside it.
pub struct Demo {
    pub place: TempDir,
    pub process: Process,
}

impl Demo {
    pub fn start(arguments: &[&str]) -> Self {
        // The build is none of what is tested here, and may take its time.
        build(&["wpkd", "wpk-agent", "wpk-agent-installer", "wpkctl"]).unwrap();
        let place = tempfile::Builder::new()
            .prefix("dt")
            .tempdir_in("/tmp")
            .unwrap();
        let temp = place.path().join("t");
        fs::create_dir(&temp).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
        command.args(arguments).env("TMPDIR", temp);
        let process = Process::start(command, place.path().join("log")).unwrap();
        Self { place, process }
    }

    /// Waits until it ends; its exit status and what it printed.
    pub async fn end(&mut self) -> (Option<i32>, String) {
        let status = self.process.wait(PATIENCE).await.expect("the demo ends");
        (status.code(), self.process.output())
    }

    pub fn assert_nothing_is_left(&self) {
        let temp = self.place.path().join("t");
        let files: Vec<_> = fs::read_dir(&temp).unwrap().collect();
        assert!(files.is_empty(), "left behind: {files:?}");
        let processes = processes_of(&temp);
        assert!(processes.is_empty(), "left behind: {processes:?}");
    }
}

/// The processes that have to do with a folder: by their command line, their
/// environment or their working directory.
pub fn processes_of(folder: &Path) -> Vec<String> {
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
pub fn row<'a>(printed: &'a str, agent: &str) -> Vec<&'a str> {
    let line = printed
        .lines()
        .find(|line| line.contains('│') && line.contains(agent))
        .unwrap_or_else(|| panic!("no line of {agent} in the table:\n{printed}"));
    let cells = line.split(['│', '┆']).map(str::trim);
    cells.filter(|cell| !cell.is_empty()).collect()
}
