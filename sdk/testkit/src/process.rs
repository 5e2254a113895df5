//! The project's own programs as real processes that never outlive their test.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process};
use tokio::process::{Child, Command};

use crate::wait_until;

pub use rustix::process::Signal;

/// The path of one of the workspace's programs (`wpkd`, `wpk-agent`, `wpkctl`).
///
/// Taken from the folder `WPK_BIN_DIR` if that is set; else they are built,
/// once per test process and in the profile of the test itself.
///
/// # Errors
/// What went wrong with the build, or that there is no such program.
pub fn binary(name: &str) -> io::Result<PathBuf> {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let folder = FOLDER
        .get_or_init(|| match std::env::var_os("WPK_BIN_DIR") {
            Some(folder) => Ok(folder.into()),
            None => cargo_build(&["--workspace", "--bins"], Stdio::piped())
                .map_err(|error| error.to_string()),
        })
        .as_ref()
        .map_err(|error| io::Error::other(error.clone()))?;
    let path = folder.join(name);
    if path.is_file() {
        Ok(path)
    } else {
        Err(io::Error::other(format!(
            "there is no program {}",
            path.display()
        )))
    }
}

/// Builds some packages in the profile this program was itself built in, and
/// returns the folder their programs are in. What cargo says about its progress
/// goes to standard error. If `WPK_BIN_DIR` is set nothing is built and that
/// folder is returned.
///
/// # Errors
/// What went wrong with the build.
pub fn build(packages: &[&str]) -> io::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("WPK_BIN_DIR") {
        return Ok(folder.into());
    }
    // With these among them the dependencies get the features they have in tests of the
    // whole workspace, and are not built a second time.
    let all = ["wpkd", "wpkctl", "wpk-agent", "wpk-testkit"];
    let packages = packages.iter().copied().chain(all);
    let arguments: Vec<_> = packages.flat_map(|package| ["-p", package]).collect();
    cargo_build(&arguments, Stdio::inherit())
}

/// Runs `cargo build` and returns the folder the programs are in.
fn cargo_build(arguments: &[&str], errors: Stdio) -> io::Result<PathBuf> {
    let test = std::env::current_exe()?;
    let unknown = || {
        io::Error::other(format!(
            "{} does not lie in a cargo target folder; set WPK_BIN_DIR",
            test.display()
        ))
    };
    // TARGET/PROFILE/deps/test, TARGET/PROFILE/examples/test or TARGET/PROFILE/program
    let folder = test
        .ancestors()
        .skip(1)
        .find(|folder| !folder.ends_with("deps") && !folder.ends_with("examples"))
        .ok_or_else(unknown)?;
    let target = folder.parent().ok_or_else(unknown)?;
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(profile) => profile,
        None => return Err(unknown()),
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = std::process::Command::new(cargo);
    // What `cargo run` and `cargo test` say of the running package is not so for
    // the build; scripts such as ring's would find it changed and build all anew.
    for (key, _) in std::env::vars_os() {
        let key_text = key.to_string_lossy();
        if key_text.starts_with("CARGO_PKG_") || key_text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&key);
        }
    }
    let output = command
        .arg("build")
        .args(arguments)
        .args(["--profile", profile, "--target-dir"])
        .arg(target)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .stdin(Stdio::null())
        .stderr(errors)
        .output()?;
    if output.status.success() {
        Ok(folder.to_owned())
    } else {
        Err(io::Error::other(format!(
            "cargo build failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )))
    }
}

/// A running program. Killed and reaped when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`. What it prints, on both streams, is appended to the
    /// file `log`. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// Those of opening the file and starting the program.
    pub fn start(command: Command, log: impl Into<PathBuf>) -> io::Result<Self> {
        let log = log.into();
        let file = OpenOptions::new().create(true).append(true).open(&log)?;
        Self::spawn(command, file, log)
    }

    fn spawn(mut command: Command, file: File, log: PathBuf) -> io::Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { child, log })
    }

    /// Its process id; `None` once it has ended and that was noticed.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Sends a signal. A process that has ended already is no error.
    ///
    /// # Errors
    /// Those of `kill`.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        match pid {
            Some(pid) => kill_process(pid, signal).map_err(Into::into),
            None => Ok(()),
        }
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// `TimedOut` after `deadline`; the process goes on.
    pub async fn wait(&mut self, deadline: Duration) -> io::Result<ExitStatus> {
        tokio::time::timeout(deadline, self.child.wait()).await?
    }

    /// Kills it at once (SIGKILL) and waits for its end.
    ///
    /// # Errors
    /// Those of `kill` and `wait`.
    pub async fn kill(&mut self) -> io::Result<()> {
        self.child.kill().await
    }

    /// Waits until it prints a line that contains `text`, and returns that line.
    /// `None` after `deadline`, or once it has ended without having done so.
    pub async fn wait_for_line(&mut self, text: &str, deadline: Duration) -> Option<String> {
        let end = Instant::now() + deadline;
        loop {
            // In this order, so that the last words of an ended process count.
            let ended = !matches!(self.child.try_wait(), Ok(None));
            let printed = self.output();
            let found = printed.lines().find(|line| line.contains(text));
            if let Some(line) = found {
                return Some(line.to_owned());
            }
            let left = end.saturating_duration_since(Instant::now());
            if ended || left.is_zero() {
                return None;
            }
            let known = printed.len();
            let child = &mut self.child;
            let log = &self.log;
            wait_until(left, || {
                let more = std::fs::metadata(log).is_ok_and(|file| file.len() > known as u64);
                let ended = !matches!(child.try_wait(), Ok(None));
                std::future::ready((more || ended).then_some(()))
            })
            .await;
        }
    }

    /// What it has printed up to now, on both streams.
    pub fn output(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.start_kill().is_err() {
            return;
        }
        // A killed process ends at once; it is reaped here, so that none is left over.
        let end = Instant::now() + Duration::from_secs(5);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
