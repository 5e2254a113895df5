//! The real programs as files, and the rule that no process outlives the
//! demo.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use rustix::process::{Pid, Signal, WaitOptions};
use tokio::process::Command;
use wpk_testkit::process;

use crate::error::DemoError;
use crate::screen::say;

/// Where the programs are.
pub(crate) struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Builds them in the profile the demo was built in, or takes those in the
    /// folder `WPK_BIN_DIR`.
    pub(crate) fn build() -> Result<Self, DemoError> {
        match std::env::var_os("WPK_BIN_DIR") {
            Some(folder) => say(format_args!("using the programs in {}", folder.display())),
            None => {
                let profile = if cfg!(debug_assertions) {
                    "debug"
                } else {
                    "release"
                };
                say(format_args!(
                    "building wpkd, wpk-agent, its installer and wpkctl ({profile})..."
                ));
            }
        }
        let folder = process::build(&["wpkd", "wpk-agent", "wpk-agent-installer", "wpkctl"])
            .map_err(|source| DemoError::io("the programs cannot be built", source))?;
        Ok(Self { folder })
    }

    /// Where one of them is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The command that starts one of them. It has a process group of its own,
    /// so that Ctrl-C on the terminal reaches only the demo, and ends with the
    /// demo; settings of the user's own manager do not reach it.
    pub(crate) fn command(&self, name: &str) -> Command {
        command_of(&self.path(name))
    }
}

/// The same for a copy of a program.
pub(crate) fn command_of(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .stdin(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    for (key, _) in std::env::vars_os() {
        if key.as_encoded_bytes().starts_with(b"WPK") {
            command.env_remove(key);
        }
    }
    command
}

/// Runs a command to its end and returns what it printed to standard output.
pub(crate) async fn output_of(command: &mut Command) -> Result<String, DemoError> {
    let program = command.as_std().get_program().display().to_string();
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .await
        .map_err(|source| DemoError::io(format_args!("{program}: cannot be run"), source))?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let output = String::from_utf8_lossy(&stderr).trim_end().to_owned();
    Err(DemoError::Failed {
        program,
        status,
        output,
    })
}

/// Makes the demo the parent of every process below it that loses its own:
/// installers go on in the background when the agent that began them has ended.
pub(crate) fn adopt_orphans() -> Result<(), DemoError> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| DemoError::io("orphaned processes cannot be adopted", error.into()))
}

/// Kills and reaps every process that is still below the demo.
pub(crate) fn end_orphans() -> Result<(), DemoError> {
    let failed = |source| DemoError::io("a process of the demo cannot be ended", source);
    // Whoever is killed leaves its own children to us: they are met in the next round.
    loop {
        let children = children().map_err(failed)?;
        if children.is_empty() {
            return Ok(());
        }
        for child in children {
            // One that has ended in between is reaped just as well.
            let _ = rustix::process::kill_process(child, Signal::KILL);
            rustix::process::waitpid(Some(child), WaitOptions::empty())
                .map_err(|error| failed(error.into()))?;
        }
    }
}

/// The processes whose parent is the demo.
fn children() -> std::io::Result<Vec<Pid>> {
    let me = rustix::process::getpid();
    let of_process = |entry: fs::DirEntry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // PID (NAME) STATE PARENT ...; a name may hold anything, also `)`.
        let (_, after_name) = stat.rsplit_once(')')?;
        let parent: i32 = after_name.split_whitespace().nth(1)?.parse().ok()?;
        (Pid::from_raw(parent) == Some(me)).then(|| Pid::from_raw(pid))?
    };
    Ok(fs::read_dir("/proc")?
        .filter_map(|entry| of_process(entry.ok()?))
        .collect())
}
