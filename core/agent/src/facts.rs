//! What the running agent tells of itself: `var/run/wpk-agent.state`, JSON, replaced as a
//! whole at each change. `wpk-agent status` reads it, and so does the installer that puts a
//! new agent in the place of an old one (`core/agent/installer`), which may be older or
//! newer than the agent that writes it: fields are only ever added.
//!
//! A file and no socket: it needs no rights beyond those of the home, it answers also when
//! the agent hangs, and who reads it can hold nobody up. What it says counts only while
//! the process that it names lives ([`Told::is_alive`]).

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::platform::{files, processes, service};

/// The file, seen from the home.
pub(crate) const FILE: &str = "var/run/wpk-agent.state";
/// A longer one, in bytes, is none of ours.
const LONGEST: u64 = 64 * 1024;

/// Everything that is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Told {
    /// The version of the program.
    pub(crate) program_version: String,
    /// The program's file when it started.
    pub(crate) program: PathBuf,
    /// Its process.
    pub(crate) pid: u32,
    /// When that began, in the kernel's ticks since the boot: tells it from a later process
    /// with its number.
    pub(crate) ticks: u64,
    /// Since when it runs, in seconds since 1970.
    pub(crate) since: u64,
    /// What it was started with, the program first.
    pub(crate) arguments: Vec<String>,
    /// Its working folder.
    pub(crate) folder: PathBuf,
    /// Where its log goes, if that is a file.
    pub(crate) log: Option<PathBuf>,
    /// The unit of systemd that it is the service of, if any.
    pub(crate) unit: Option<String>,
    /// The file whose first line is the version that the manager is told.
    pub(crate) version_file: Option<PathBuf>,
    /// Whether it carries out commands by now.
    pub(crate) ready: bool,
    /// The socket it listens on; absent: none.
    pub(crate) socket: Option<PathBuf>,
    /// The connection to the embedded manager; absent: none is wanted.
    pub(crate) channel: Option<Channel>,
}

/// The connection to the manager.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Channel {
    /// Where the manager is dialled.
    pub(crate) address: String,
    /// Whether the manager has welcomed the agent, and the connection still stands.
    pub(crate) connected: bool,
    /// Since when it is, or is not, in seconds since 1970.
    pub(crate) since: u64,
    /// Why it is not; empty before the first attempt has ended.
    pub(crate) reason: String,
    /// How the manager called the agent in its last welcome.
    pub(crate) agent: Option<String>,
    pub(crate) name: Option<String>,
    /// The version that it was told in the last Hello that was welcomed.
    pub(crate) version: Option<String>,
}

impl Told {
    /// What the file of this home says.
    ///
    /// # Errors
    /// It is not there, cannot be read, or says something else.
    pub(crate) fn read(home: &Path) -> io::Result<Self> {
        let file = files::unlinked(0).read(true).open(home.join(FILE))?;
        let mut bytes = Vec::new();
        file.take(LONGEST).read_to_end(&mut bytes)?;
        serde_json::from_slice(&bytes).map_err(io::Error::other)
    }

    /// Whether the process that told it still runs.
    pub(crate) fn is_alive(&self) -> bool {
        processes::ticks(self.pid).is_some_and(|ticks| ticks == self.ticks)
    }

    /// Of this very process.
    fn of_this_process() -> Self {
        let arguments = std::env::args_os();
        Self {
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            program: std::env::current_exe().unwrap_or_default(),
            pid: std::process::id(),
            ticks: processes::ticks(std::process::id()).unwrap_or_default(),
            since: now(),
            arguments: arguments
                .map(|argument| argument.to_string_lossy().into_owned())
                .collect(),
            folder: std::env::current_dir().unwrap_or_default(),
            log: service::log(),
            unit: service::unit(),
            ..Self::default()
        }
    }
}

pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Where the parts of the agent tell it. Nothing depends on its being written: what
/// cannot be is logged, once.
#[derive(Debug, Clone)]
pub(crate) struct Facts(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    file: PathBuf,
    told: Told,
    failed: bool,
}

impl Facts {
    /// Those of an agent that begins; what an earlier one told is replaced.
    pub(crate) fn begin(home: &Path, socket: Option<&Path>, version_file: Option<&Path>) -> Self {
        let told = Told {
            socket: socket.map(Path::to_owned),
            version_file: version_file.map(Path::to_owned),
            ..Told::of_this_process()
        };
        let file = home.join(FILE);
        let failed = false;
        let facts = Self(Arc::new(Mutex::new(Inner { file, told, failed })));
        facts.change(|_| {});
        facts
    }

    /// Commands are carried out from now on.
    pub(crate) fn ready(&self) {
        self.change(|told| told.ready = true);
    }

    /// The manager at this address is about to be dialled for the first time.
    pub(crate) fn dialling(&self, address: &str) {
        self.change(|told| {
            let channel = told.channel.get_or_insert_default();
            address.clone_into(&mut channel.address);
            channel.since = now();
        });
    }

    /// The manager has welcomed the agent, which told it this version.
    pub(crate) fn connected(&self, address: &str, agent: String, name: &str, version: &str) {
        self.change(|told| {
            told.channel = Some(Channel {
                address: address.to_owned(),
                connected: true,
                since: now(),
                reason: String::new(),
                agent: Some(agent),
                name: Some(name.to_owned()),
                version: Some(version.to_owned()),
            });
        });
    }

    /// There is no connection, and when the next is tried.
    pub(crate) fn disconnected(&self, address: &str, reason: &str, pause: Option<Duration>) {
        self.change(|told| {
            let channel = told.channel.get_or_insert_default();
            if channel.connected || channel.since == 0 {
                channel.since = now();
            }
            channel.connected = false;
            address.clone_into(&mut channel.address);
            channel.reason = match pause {
                Some(pause) => format!("{reason}; dialling again in {pause:.1?}"),
                None => reason.to_owned(),
            };
        });
    }

    fn change(&self, change: impl FnOnce(&mut Told)) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut inner.told);
        let written = serde_json::to_vec_pretty(&inner.told)
            .map_err(io::Error::other)
            .and_then(|text| replace(&inner.file, &text));
        match written {
            Ok(()) => inner.failed = false,
            Err(error) if !inner.failed => {
                inner.failed = true;
                let file = inner.file.display();
                tracing::warn!("{file}: cannot be written, `wpk-agent status` is behind: {error}");
            }
            Err(_) => {}
        }
    }
}

/// In one step, never through a link.
fn replace(file: &Path, text: &[u8]) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(text)?;
    new.persist(file).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("var/run")).unwrap();
        home
    }

    #[test]
    fn what_is_told_is_read_while_its_process_lives() {
        let home = home();
        assert!(Told::read(home.path()).is_err());
        let facts = Facts::begin(home.path(), None, Some(Path::new("/v")));
        let told = Told::read(home.path()).unwrap();
        assert!(told.is_alive() && !told.ready && told.channel.is_none());
        facts.ready();
        facts.dialling("m:1");
        facts.connected("m:1", "007".to_owned(), "web", "v4.14.0");
        let channel = Told::read(home.path()).unwrap().channel.unwrap();
        assert!(channel.connected && channel.reason.is_empty());
        facts.disconnected("m:1", "it broke", Some(Duration::from_millis(1500)));
        let told = Told::read(home.path()).unwrap();
        let channel = told.channel.clone().unwrap();
        assert!(told.ready && !channel.connected);
        assert_eq!(channel.reason, "it broke; dialling again in 1.5s");
        assert_eq!(channel.version.as_deref(), Some("v4.14.0"));
        let names = std::fs::read_dir(home.path().join("var/run")).unwrap();
        assert_eq!(names.count(), 1, "nothing is left beside it");
        let other = Told { ticks: 1, ..told };
        assert!(!other.is_alive(), "another process of that number");
    }

    #[test]
    fn a_newer_agents_words_are_read_and_a_link_is_not() {
        let home = home();
        let file = home.path().join(FILE);
        std::fs::write(&file, r#"{"pid":1,"moon":"full"}"#).unwrap();
        assert_eq!(Told::read(home.path()).unwrap().pid, 1);
        std::fs::rename(&file, home.path().join("other")).unwrap();
        std::os::unix::fs::symlink(home.path().join("other"), &file).unwrap();
        assert!(Told::read(home.path()).is_err());
    }
}
