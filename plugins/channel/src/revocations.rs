//! The list of revoked agents: a text file beside the CA, so that a certificate that
//! was taken back stays so whatever becomes of the registry (lost, or put back from an
//! older backup). One line per certificate: the agent's id, the SHA-256 of the
//! certificate in hexadecimal, and when, in seconds since 1970. Lines are only ever
//! added, and are on disk before a revocation counts. The registry enters.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use wpk_api::{AgentId, UnixTime};

use crate::certificate::Fingerprint;
use crate::files;

/// Above every new file.
const HEAD: &str =
    "# Revoked agents: id, SHA-256 of the certificate, seconds since 1970. Delete no line.\n";

/// A certificate that is worth nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Revocation {
    pub(crate) agent: AgentId,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) at: UnixTime,
}

/// The list cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RevocationsError {
    #[error(
        "the list of revoked agents {path}: {error}; the daemon's user must be able to read and write it"
    )]
    File { path: PathBuf, error: io::Error },
    #[error(
        "the list of revoked agents {path}, line {line}, cannot be read: an agent's id, 64 \
         hexadecimal digits and a time are expected; mend the line, or put the file back from a backup"
    )]
    Line { path: PathBuf, line: usize },
}

/// The file.
pub(crate) struct Revocations(PathBuf);

impl Revocations {
    /// Reads the list; where there is no file there is no entry.
    ///
    /// # Errors
    /// [`RevocationsError`]: with an entry that cannot be read nobody knows who is out.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<Revocation>), RevocationsError> {
        let list = Self(path.to_owned());
        let mut text = Vec::new();
        match File::open(path).and_then(|mut file| file.read_to_end(&mut text)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            read => {
                read.map_err(|error| list.failed(error))?;
            }
        }
        let mut entries = Vec::new();
        for (line, bytes) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            let unreadable = || RevocationsError::Line {
                path: path.to_owned(),
                line,
            };
            let text = std::str::from_utf8(bytes).map_err(|_| unreadable())?.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            entries.push(read(text).ok_or_else(unreadable)?);
        }
        Ok((list, entries))
    }

    /// Adds entries; they are on disk when this returns, or none of them is in the file.
    pub(crate) fn append(&self, entries: &[Revocation]) -> Result<(), RevocationsError> {
        if entries.is_empty() {
            return Ok(());
        }
        self.write(entries).map_err(|error| self.failed(error))
    }

    /// The list is about the agents of a registry that is left: another begins, and it is
    /// kept under another name.
    pub(crate) fn set_aside(&self) -> Result<(), RevocationsError> {
        match files::rename(&self.0, &self.0.with_extension("before")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed(error)),
            _ => Ok(()),
        }
    }

    fn write(&self, entries: &[Revocation]) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o640)
            .open(&self.0)?;
        let mut before = String::new();
        file.read_to_string(&mut before)?;
        let length = file.metadata()?.len();
        let mut lines = match before.chars().last() {
            None => HEAD.to_owned(),
            // Somebody mended the file without ending its last line.
            Some(last) if last != '\n' => "\n".to_owned(),
            Some(_) => String::new(),
        };
        for entry in entries {
            lines.push_str(&line(entry));
        }
        let written = file
            .write_all(lines.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| match self.0.parent() {
                Some(folder) if length == 0 => File::open(folder)?.sync_all(),
                _ => Ok(()),
            });
        if written.is_err() {
            // Half a line would stop the next start.
            file.set_len(length)?;
        }
        written
    }

    fn failed(&self, error: io::Error) -> RevocationsError {
        RevocationsError::File {
            path: self.0.clone(),
            error,
        }
    }
}

fn line(entry: &Revocation) -> String {
    let mut line = format!("{} ", entry.agent.get());
    for byte in entry.fingerprint {
        // Writing to a string does not fail.
        let _ = write!(line, "{byte:02x}");
    }
    line + &format!(" {}\n", entry.at)
}

fn read(text: &str) -> Option<Revocation> {
    let mut parts = text.split_ascii_whitespace();
    let agent = AgentId::new(parts.next()?.parse().ok()?).ok()?;
    let digits = parts.next()?;
    let at = parts.next()?.parse().ok()?;
    let bare = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !bare || parts.next().is_some() {
        return None;
    }
    let mut fingerprint = Fingerprint::default();
    for (at, byte) in fingerprint.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(Revocation {
        agent,
        fingerprint,
        at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn entry(id: i64) -> Revocation {
        Revocation {
            agent: AgentId::new(id).unwrap(),
            fingerprint: [0xa7; 32],
            at: 1_700_000_000,
        }
    }

    #[test]
    fn what_was_added_is_read_back() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("revoked");
        let (list, none) = Revocations::open(&path).unwrap();
        assert!(none.is_empty() && !path.exists());
        list.append(&[entry(7), entry(8)]).unwrap();
        // An editor may leave out the last line's end.
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.trim_end()).unwrap();
        list.append(&[entry(9)]).unwrap();
        let (_, entries) = Revocations::open(&path).unwrap();
        assert_eq!(entries, [entry(7), entry(8), entry(9)]);
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & !0o640, 0, "{mode:o}");
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("revoked");
        let digits = "a7".repeat(32);
        for bad in [
            "7".to_owned(),
            format!("7 {digits}"),
            format!("x {digits} 1"),
            format!("7 {} 1", &digits[1..]),
            format!("7 {digits} 1 2"),
            format!("7 {}+7 1", &digits[2..]),
            "\u{fffd}".to_owned(),
        ] {
            std::fs::write(&path, format!("# head\n7 {digits} 1\n{bad}\n")).unwrap();
            let error = Revocations::open(&path).err().unwrap().to_string();
            assert!(error.contains("revoked, line 3,"), "{error}");
        }
    }
}
