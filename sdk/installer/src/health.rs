//! Whether the new version is healthy: a command, a port, a file. Checks that
//! can become good later are looked at again until the overall limit.

use std::fmt;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::command::Command;
use crate::error::InstallError;
use crate::place::Place;

/// Pause between two looks at what sends no event: a port, a file, a command
/// that is tried again.
const PAUSE: Duration = Duration::from_millis(100);
/// Bytes of a file that are searched for a text.
const SEARCHED: u64 = 1 << 20;

/// One check. All of an installer's checks must be good, one after the other,
/// within its [`health_limit`](crate::Installer::health_limit).
#[derive(Debug, Clone)]
pub struct Health {
    kind: Kind,
    retry: bool,
}

#[derive(Debug, Clone)]
enum Kind {
    Command(Command),
    Port(SocketAddr),
    Own(Own),
    File {
        path: PathBuf,
        text: Option<String>,
        fresh: bool,
    },
}

/// It is good, or why it is not.
type Look = dyn Fn(&Path) -> Result<(), String>;

/// A look of the author's.
#[derive(Clone)]
struct Own {
    name: String,
    look: Arc<Look>,
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Health {
    /// The command ends with status 0, at the first try unless
    /// [`retry`](Self::retry) is asked for.
    pub fn command(command: impl Into<Command>) -> Self {
        Self {
            kind: Kind::Command(command.into()),
            retry: false,
        }
    }

    /// A look of your own, in this process, at the home: repeated until it is good or the
    /// overall limit. `complaint` begins what is told when it is not, the last error ends it.
    pub fn own(
        complaint: impl Into<String>,
        look: impl Fn(&Path) -> Result<(), String> + 'static,
    ) -> Self {
        Self {
            kind: Kind::Own(Own {
                name: complaint.into(),
                look: Arc::new(look),
            }),
            retry: true,
        }
    }

    /// A TCP connection to this address is accepted.
    pub fn port(address: impl Into<SocketAddr>) -> Self {
        Self {
            kind: Kind::Port(address.into()),
            retry: true,
        }
    }

    /// A plain file is there; `path` starts at the home.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            kind: Kind::File {
                path: path.into(),
                text: None,
                fresh: false,
            },
            retry: true,
        }
    }

    /// Of a file: its first MiB holds this text.
    #[must_use]
    pub fn holding(mut self, wanted: impl Into<String>) -> Self {
        if let Kind::File { text, .. } = &mut self.kind {
            *text = Some(wanted.into());
        }
        self
    }

    /// Of a file: it was written after the new version was put into place, so
    /// that what the old one left behind does not count.
    #[must_use]
    pub fn fresh(mut self) -> Self {
        if let Kind::File { fresh, .. } = &mut self.kind {
            *fresh = true;
        }
        self
    }

    /// Of a command: tried again until the overall limit.
    #[must_use]
    pub fn retry(mut self) -> Self {
        self.retry = true;
        self
    }

    pub(crate) fn check(&self) -> Result<(), InstallError> {
        match &self.kind {
            Kind::Command(command) => command.check(),
            Kind::Port(_) | Kind::Own(_) => Ok(()),
            Kind::File { path, .. } => crate::place::check(path),
        }
    }

    /// Looks until it is good or `end`. `since`: when the new version was put
    /// into place, by the clock of the file system.
    pub(crate) fn wait(&self, home: &Path, since: SystemTime, end: Instant) -> Result<(), String> {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!("{self}: there was no time left to look"));
            }
            let Err(reason) = self.look(home, since, left) else {
                return Ok(());
            };
            let left = end.saturating_duration_since(Instant::now());
            if !self.retry || left.is_zero() {
                return Err(reason);
            }
            thread::sleep(PAUSE.min(left));
            if Instant::now() >= end {
                return Err(format!("{reason}; the time limit is over"));
            }
        }
    }

    fn look(&self, home: &Path, since: SystemTime, left: Duration) -> Result<(), String> {
        match &self.kind {
            Kind::Command(command) => command.run(home, left),
            Kind::Own(own) => (own.look)(home).map_err(|reason| format!("{self}: {reason}")),
            Kind::Port(address) => match TcpStream::connect_timeout(address, left) {
                Ok(_) => Ok(()),
                Err(error) => Err(format!("{self}: {error}")),
            },
            Kind::File { path, text, fresh } => {
                let since = fresh.then_some(since);
                match look_at_file(home, path, text.as_deref(), since) {
                    Ok(None) => Ok(()),
                    Ok(Some(reason)) => Err(format!("{self}: {reason}")),
                    Err(error) => Err(format!("{self}: {error}")),
                }
            }
        }
    }
}

/// `None` when it is good.
fn look_at_file(
    home: &Path,
    path: &Path,
    text: Option<&str>,
    since: Option<SystemTime>,
) -> io::Result<Option<&'static str>> {
    let file = Place::new(home, path).map_err(io::Error::other)?.open()?;
    if let Some(since) = since
        && file.metadata()?.modified()? < since
    {
        return Ok(Some("it is from before the upgrade"));
    }
    if let Some(text) = text {
        let mut bytes = Vec::new();
        file.take(SEARCHED).read_to_end(&mut bytes)?;
        if !String::from_utf8_lossy(&bytes).contains(text) {
            return Ok(Some("it does not hold the wanted text"));
        }
    }
    Ok(None)
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Command(command) => write!(f, "{command}"),
            Kind::Own(own) => f.write_str(&own.name),
            Kind::Port(address) => write!(f, "port {address}"),
            Kind::File { path, .. } => write!(f, "file {}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};

    fn wait(health: Health, home: &Path, limit: Duration) -> Result<(), String> {
        health.wait(home, SystemTime::UNIX_EPOCH, Instant::now() + limit)
    }

    const LONG: Duration = Duration::from_secs(30);
    const SHORT: Duration = Duration::from_millis(250);

    #[test]
    fn ports_are_waited_for() {
        let home = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        wait(Health::port(address), home.path(), LONG).unwrap();
        drop(listener);
        let begin = Instant::now();
        assert!(wait(Health::port(address), home.path(), SHORT).is_err());
        assert!(begin.elapsed() >= SHORT / 2, "it looks again");
    }

    #[test]
    fn files_are_waited_for_and_read() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("state");
        assert!(wait(Health::file("state"), home.path(), SHORT).is_err());
        let later = path.clone();
        let writer = thread::spawn(move || std::fs::write(later, "status='connected'\n").unwrap());
        wait(
            Health::file("state").holding("connected'"),
            home.path(),
            LONG,
        )
        .unwrap();
        writer.join().unwrap();
        assert!(wait(Health::file("state").holding("pending"), home.path(), SHORT).is_err());
        let later = std::fs::metadata(&path).unwrap().modified().unwrap() + LONG;
        let fresh = Health::file("state").fresh();
        fresh
            .wait(home.path(), later - LONG, Instant::now() + LONG)
            .unwrap();
        let stale = fresh
            .wait(home.path(), later, Instant::now() + SHORT)
            .unwrap_err();
        assert!(stale.contains("before the upgrade"), "{stale}");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(
            wait(Health::file("state"), home.path(), SHORT).is_err(),
            "no link is followed"
        );
    }

    #[test]
    fn commands_are_tried_once_unless_asked_for() {
        let home = tempfile::tempdir().unwrap();
        let script = "echo x >> tries; test $(wc -l < tries) -ge 3";
        let command = Health::command(["sh", "-c", script]);
        assert!(wait(command.clone(), home.path(), LONG).is_err());
        wait(command.retry(), home.path(), LONG).unwrap();
    }
}
