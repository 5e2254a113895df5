//! The files of `var/incoming` and the commands `open`, `write`, `close` and
//! `sha1` on them (section 7). The engine enters, one command at a time; at
//! most one file is open.
//!
//! Every file is reached from the open folder by its bare name and never
//! through a link, so that whoever may write in the folder gains nothing.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;

use sha1::{Digest, Sha1};
use wpk_wire::AgentResponse;
use wpk_wire::codes::AgentCode;

use crate::home::make_folder;
use crate::leftovers::{remove_oldest, used_by_others};
use crate::platform::files::{open_folder, read_in, remove_in, write_in};

/// As the C library's, so that a digest of an open file is what a 4.x agent
/// tells; larger writes pass it by.
const BUFFER: usize = 4_096;

/// `var/incoming`.
#[derive(Debug)]
pub(crate) struct Incoming {
    folder: PathBuf,
    /// Bytes that all files together may have.
    limit: u64,
    open: Option<OpenFile>,
}

#[derive(Debug)]
struct OpenFile {
    name: String,
    writer: BufWriter<File>,
    /// Bytes it may still take.
    room: u64,
}

impl Incoming {
    pub(crate) fn new(folder: PathBuf, limit: u64) -> Self {
        Self {
            folder,
            limit,
            open: None,
        }
    }

    /// Of the next file that is opened.
    pub(crate) fn set_limit(&mut self, bytes: u64) {
        self.limit = bytes;
    }

    /// Opens `name` for writing from its start; the file of an earlier `open`
    /// is closed first. Code 6 with the system's reason.
    pub(crate) fn open(&mut self, name: &str) -> AgentResponse {
        self.close_any();
        match self.create(name) {
            Ok(file) => {
                self.open = Some(file);
                AgentResponse::ok()
            }
            Err(error) => {
                tracing::warn!(
                    "{name:?} cannot be opened in {}: {error}",
                    self.folder.display()
                );
                AgentResponse::open_error(&reason(&error))
            }
        }
    }

    fn create(&self, name: &str) -> io::Result<OpenFile> {
        let folder = self.folder()?;
        let room = self
            .limit
            .saturating_sub(used_by_others(&self.folder, name)?);
        let file = write_in(&folder, name, 0o640)?;
        Ok(OpenFile {
            name: name.to_owned(),
            writer: BufWriter::with_capacity(BUFFER, file),
            room,
        })
    }

    /// Appends to the open file; `None` is a chunk that was refused already.
    pub(crate) fn write(&mut self, name: &str, chunk: Option<&[u8]>) -> AgentResponse {
        let Some(open) = &mut self.open else {
            return AgentResponse::failure(AgentCode::FileNotOpened);
        };
        if open.name != name {
            return AgentResponse::failure(AgentCode::OtherFile);
        }
        let Some(chunk) = chunk else {
            return AgentResponse::failure(AgentCode::Write);
        };
        while open.room < chunk.len() as u64 {
            match remove_oldest(&self.folder, name) {
                Ok(Some(freed)) => open.room = open.room.saturating_add(freed),
                _ => break,
            }
        }
        let Some(room) = open.room.checked_sub(chunk.len() as u64) else {
            tracing::warn!(
                "{name:?} takes var/incoming beyond {} bytes: refused",
                self.limit
            );
            return AgentResponse::failure(AgentCode::Write);
        };
        match open.writer.write_all(chunk) {
            Ok(()) => {
                open.room = room;
                AgentResponse::ok()
            }
            Err(error) => {
                tracing::warn!("{name:?} cannot be written: {error}");
                AgentResponse::failure(AgentCode::Write)
            }
        }
    }

    /// Closes the open file.
    pub(crate) fn close(&mut self, name: &str) -> AgentResponse {
        match &self.open {
            None => return AgentResponse::failure(AgentCode::NoFileOpened),
            Some(open) if open.name != name => {
                return AgentResponse::failure(AgentCode::OtherFile);
            }
            Some(_) => {}
        }
        match self.finish() {
            Ok(()) => AgentResponse::ok(),
            Err(error) => {
                tracing::warn!("{name:?} cannot be closed: {error}");
                AgentResponse::failure(AgentCode::Close)
            }
        }
    }

    /// Closes whatever is open; a failure is only logged.
    pub(crate) fn close_any(&mut self) {
        if let Err(error) = self.finish() {
            tracing::warn!("the file open before cannot be closed: {error}");
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        match self.open.take() {
            // Dropping the writer would hide the error of the last bytes.
            Some(open) => open
                .writer
                .into_inner()
                .map(drop)
                .map_err(io::IntoInnerError::into_error),
            None => Ok(()),
        }
    }

    /// The digest of a file, in hex. A folder has that of nothing, as with a
    /// 4.x agent.
    pub(crate) fn sha1(&self, name: &str) -> AgentResponse {
        match self.digest(name) {
            Ok(hex) => AgentResponse::message(hex),
            Err(error) => {
                tracing::warn!("no digest of {name:?}: {error}");
                AgentResponse::failure(AgentCode::Sha1)
            }
        }
    }

    fn digest(&self, name: &str) -> io::Result<String> {
        let file = read_in(&self.folder()?, name)?;
        let meta = file.metadata()?;
        let mut hash = Sha1::new();
        if meta.is_file() {
            let mut reader = BufReader::with_capacity(256 * 1024, file);
            let mut buffer = vec![0; 256 * 1024];
            loop {
                match reader.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(n) => hash.update(buffer.get(..n).unwrap_or_default()),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        } else if !meta.is_dir() {
            return Err(io::Error::other("no regular file"));
        }
        Ok(hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect())
    }

    /// Closes the file of that name if it is open, so that all of it is there.
    pub(crate) fn settle(&mut self, name: &str) {
        if self.open.as_ref().is_some_and(|open| open.name == name) {
            self.close_any();
        }
    }

    /// Where `name` lies.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Removes a file, or a link itself; none there is fine.
    pub(crate) fn remove(&mut self, name: &str) {
        self.settle(name);
        let removed = self.folder().and_then(|folder| remove_in(&folder, name));
        match removed {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!("{name:?} cannot be removed from var/incoming: {error}"),
        }
    }

    /// The folder itself, never through a link in its place; made where it is missing.
    fn folder(&self) -> io::Result<File> {
        match open_folder(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_folder(&self.folder).map_err(io::Error::other)?;
                open_folder(&self.folder)
            }
            opened => opened,
        }
    }
}

/// The system's text without the number that Rust adds to it.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match error.raw_os_error() {
        Some(code) => text
            .trim_end_matches(&format!(" (os error {code})"))
            .to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn incoming(limit: u64) -> (tempfile::TempDir, Incoming) {
        let dir = tempfile::tempdir().unwrap();
        let incoming = Incoming::new(dir.path().to_owned(), limit);
        (dir, incoming)
    }

    fn code(response: &AgentResponse) -> u8 {
        response.code.code()
    }

    #[test]
    fn a_file_arrives() {
        let (dir, mut incoming) = incoming(1 << 20);
        assert_eq!(incoming.open("f"), AgentResponse::ok());
        for _ in 0..3 {
            assert_eq!(incoming.write("f", Some(&[7; 5000])), AgentResponse::ok());
        }
        assert_eq!(code(&incoming.write("g", Some(b"x"))), 9);
        assert_eq!(code(&incoming.close("g")), 9);
        assert_eq!(incoming.close("f"), AgentResponse::ok());
        assert_eq!(code(&incoming.close("f")), 8);
        assert_eq!(code(&incoming.write("f", Some(b"x"))), 7);
        let path = dir.path().join("f");
        assert_eq!(fs::read(&path).unwrap(), [7; 15_000]);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
            0o640
        );
        assert_eq!(
            incoming.sha1("f").message,
            wpk_package::sha1_of_file(&path).unwrap()
        );
        incoming.remove("f");
        assert!(!path.exists());
    }

    #[test]
    fn all_files_together_have_a_limit() {
        let (dir, mut incoming) = incoming(100);
        fs::write(dir.path().join("old"), [0; 40]).unwrap();
        incoming.open("f");
        assert_eq!(code(&incoming.write("f", Some(&[0; 60]))), 0);
        assert!(dir.path().join("old").exists());
        assert_eq!(code(&incoming.write("f", Some(&[0; 40]))), 0);
        assert!(!dir.path().join("old").exists(), "its room was needed");
        assert_eq!(code(&incoming.write("f", Some(&[0; 1]))), 10);
        incoming.open("f");
        assert_eq!(
            code(&incoming.write("f", Some(&[0; 60]))),
            0,
            "opened again, it is empty"
        );
    }

    #[test]
    fn links_of_both_kinds_lead_nowhere() {
        let (dir, mut incoming) = incoming(100);
        let outside = tempfile::tempdir().unwrap();
        let secret = outside.path().join("secret");
        fs::write(&secret, "keep").unwrap();
        symlink(&secret, dir.path().join("soft")).unwrap();
        fs::hard_link(&secret, dir.path().join("hard")).unwrap();
        let answer = incoming.open("soft");
        assert_eq!(
            answer.message,
            "File Open Error: the path is a symbolic link"
        );
        assert_eq!(code(&incoming.sha1("soft")), 12);
        assert_eq!(code(&incoming.open("hard")), 0);
        assert_eq!(code(&incoming.write("hard", Some(b"evil"))), 0);
        assert_eq!(code(&incoming.close("hard")), 0);
        assert_eq!(fs::read(&secret).unwrap(), b"keep");
        assert_eq!(fs::read(dir.path().join("hard")).unwrap(), b"evil");
        incoming.remove("soft");
        assert!(secret.exists());
    }

    #[test]
    fn a_pipe_blocks_nobody() {
        let (dir, mut incoming) = incoming(100);
        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap();
        assert!(made.success());
        assert_eq!(code(&incoming.open("pipe")), 6);
        assert_eq!(code(&incoming.sha1("pipe")), 12);
    }

    #[test]
    fn a_full_disk_is_told() {
        let (_dir, mut incoming) = incoming(1 << 20);
        incoming.open = Some(OpenFile {
            name: "f".to_owned(),
            writer: BufWriter::with_capacity(
                BUFFER,
                File::options().write(true).open("/dev/full").unwrap(),
            ),
            room: 1 << 20,
        });
        assert_eq!(code(&incoming.write("f", Some(b"little"))), 0);
        assert_eq!(code(&incoming.write("f", Some(&[0; 9000]))), 10);
        assert_eq!(code(&incoming.close("f")), 11);
        assert_eq!(code(&incoming.close("f")), 8);
    }
}
