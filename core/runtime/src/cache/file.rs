//! A WPK that was found good, as deliveries read it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::OnceCell;
use wpk_api::{Sha1, Sha256};

/// A WPK ready to be sent. Holds the open file: what was checked is what is
/// sent, whatever happens to the name meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct WpkFile {
    file: Arc<File>,
    /// Where it lies, for those who look at it again.
    pub(super) path: Arc<Path>,
    /// The bare name the agent will know it by.
    pub(crate) name: String,
    /// Its length in bytes.
    pub(crate) len: u64,
    /// Its digest.
    pub(crate) sha1: Sha1,
    /// Its other digest, once anybody asked for it; all files of one content share it.
    pub(super) sha256: Arc<OnceCell<Sha256>>,
}

impl WpkFile {
    /// An open file whose length and digest are known.
    pub(crate) fn new(file: File, path: PathBuf, name: String, len: u64, sha1: Sha1) -> Self {
        Self {
            file: Arc::new(file),
            path: path.into(),
            name,
            len,
            sha1,
            sha256: Arc::default(),
        }
    }

    /// The open file; who has it may be sending it.
    pub(super) fn handle(&self) -> &Arc<File> {
        &self.file
    }

    /// The same, which shares this with others of its content.
    pub(super) fn sharing(self, sha256: Arc<OnceCell<Sha256>>) -> Self {
        Self { sha256, ..self }
    }

    /// The same under another name.
    pub(super) fn named(self, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..self
        }
    }

    /// Reads it from its start, beside all who send it.
    pub(super) fn reader(&self) -> Reader {
        Reader {
            file: self.file.clone(),
            len: self.len,
            at: 0,
        }
    }

    /// Up to `len` bytes at `offset`; shorter only at the end of the file. Blocks.
    pub(crate) fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut block = vec![0; len];
        let mut filled = 0;
        while filled < len {
            let rest = block.get_mut(filled..).unwrap_or_default();
            match self.file.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        block.truncate(filled);
        Ok(block)
    }
}

/// A place in a file of its own.
pub(super) struct Reader {
    file: Arc<File>,
    len: u64,
    at: u64,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
