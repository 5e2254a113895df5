//! The agent that runs, as it tells it itself in `var/run/wpk-agent.state` (`wpk-agent`'s
//! `facts`): what an installer must know of it. The file is the agent user's own, who runs
//! this program.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

const FILE: &str = "var/run/wpk-agent.state";

/// What is told. Fields that are not known are passed over, absent ones are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Agent {
    pub(crate) program: PathBuf,
    pub(crate) pid: u32,
    pub(crate) ticks: u64,
    pub(crate) arguments: Vec<String>,
    pub(crate) folder: PathBuf,
    pub(crate) log: Option<PathBuf>,
    pub(crate) unit: Option<String>,
    pub(crate) version_file: Option<PathBuf>,
    pub(crate) ready: bool,
    pub(crate) channel: Option<Channel>,
}

/// Its connection to the manager.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Channel {
    pub(crate) connected: bool,
    pub(crate) reason: String,
    pub(crate) version: Option<String>,
}

impl Agent {
    /// What the agent of this home told last.
    ///
    /// # Errors
    /// Nothing, or what cannot be read.
    pub(crate) fn read(home: &Path) -> io::Result<Self> {
        let agent: Self =
            serde_json::from_slice(&fs::read(home.join(FILE))?).map_err(io::Error::other)?;
        match agent.program.is_absolute() {
            true => Ok(agent),
            false => Err(io::Error::other("it does not tell which program it is")),
        }
    }

    /// Whether that process runs.
    pub(crate) fn is_alive(&self) -> bool {
        ticks(self.pid).is_some_and(|ticks| ticks == self.ticks)
    }

    /// Whether it runs the file that is in the place of the program now.
    pub(crate) fn runs_what_is_there(&self) -> bool {
        let about = |path: &Path| fs::metadata(path).map(|about| (about.dev(), about.ino()));
        let running = about(Path::new(&format!("/proc/{}/exe", self.pid)));
        matches!((running, about(&self.program)), (Ok(a), Ok(b)) if a == b)
    }
}

/// When a process began; `None` where there is none, or one that is dead already.
fn ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_whitespace();
    if matches!(fields.next(), Some("Z" | "X")) {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One that tells of this very process.
    pub(crate) fn of_this_process() -> Agent {
        Agent {
            program: std::env::current_exe().unwrap(),
            pid: std::process::id(),
            ticks: ticks(std::process::id()).unwrap(),
            ready: true,
            ..Agent::default()
        }
    }

    #[test]
    fn life_and_program_are_seen() {
        let mut agent = of_this_process();
        assert!(agent.is_alive() && agent.runs_what_is_there());
        agent.program = PathBuf::from("/bin/sh");
        assert!(!agent.runs_what_is_there());
        agent.ticks += 1;
        assert!(!agent.is_alive());
    }

    #[test]
    fn one_that_tells_too_little_is_none() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join("var/run")).unwrap();
        assert!(Agent::read(home.path()).is_err());
        for (text, good) in [
            (r#"{"pid":1}"#, false),
            (r#"{"pid":1,"program":"/bin/x","moon":[]}"#, true),
            ("", false),
        ] {
            fs::write(home.path().join(FILE), text).unwrap();
            assert_eq!(Agent::read(home.path()).is_ok(), good, "{text}");
        }
    }
}
