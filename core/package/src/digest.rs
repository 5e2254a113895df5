//! Digests over streams. SHA-1 over the whole WPK is what `versions` files
//! and the `sha1` command compare (sections 4, 5 and 7); it detects damage,
//! the signature decides about trust.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::file::FileError;

/// The size of the buffers through which everything streams.
pub(crate) const BUFFER: usize = 64 * 1024;

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|nibble| DIGITS.get(usize::from(nibble)).copied())
        .map(char::from)
        .collect()
}

/// SHA-1 of everything `reader` still gives, as 40 lower-case hex digits.
///
/// # Errors
/// Those of the reader.
pub fn sha1_hex(mut reader: impl Read) -> io::Result<String> {
    let mut hash = Sha1::new();
    pump(&mut reader, |chunk| hash.update(chunk))?;
    Ok(hex(&hash.finalize()))
}

/// SHA-1 of a whole file, as 40 lower-case hex digits.
///
/// # Errors
/// When the file cannot be opened or read; the error names it.
pub fn sha1_of_file(path: &Path) -> Result<String, FileError> {
    let file = File::open(path).map_err(|e| FileError::new("open", path, e))?;
    sha1_hex(file).map_err(|e| FileError::new("read", path, e))
}

/// Size, SHA-1 and SHA-256 of all that `reader` gives, in one pass.
pub(crate) fn fingerprints(mut reader: impl Read) -> io::Result<(u64, String, String)> {
    let (mut size, mut sha1, mut sha256) = (0, Sha1::new(), Sha256::new());
    pump(&mut reader, |chunk| {
        size += chunk.len() as u64;
        sha1.update(chunk);
        sha256.update(chunk);
    })?;
    Ok((size, hex(&sha1.finalize()), hex(&sha256.finalize())))
}

/// Hands all of `reader` to `sink` in chunks of at most [`BUFFER`] bytes.
pub(crate) fn pump(reader: &mut impl Read, mut sink: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => sink(buffer.get(..n).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// A reader or writer that hashes (SHA-256) and counts what passes through,
/// and remembers whether the inner side failed.
#[derive(Debug)]
pub(crate) struct Hashing<T> {
    pub(crate) inner: T,
    hash: Sha256,
    count: u64,
    pub(crate) failure: Option<io::Error>,
}

impl<T> Hashing<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            count: 0,
            failure: None,
        }
    }

    /// The inner side, the digest and the number of bytes.
    pub(crate) fn finish(self) -> (T, [u8; 32], u64) {
        (self.inner, self.hash.finalize().into(), self.count)
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buffer) {
            Ok(n) => {
                self.hash.update(buffer.get(..n).unwrap_or_default());
                self.count += n as u64;
                Ok(n)
            }
            Err(error) => {
                let copy = io::Error::from(error.kind());
                if error.kind() != io::ErrorKind::Interrupted {
                    self.failure = Some(error);
                }
                Err(copy)
            }
        }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buffer)?;
        self.hash.update(buffer.get(..n).unwrap_or_default());
        self.count += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn known_digests() {
        assert_eq!(
            sha1_hex(&b"abc"[..]).unwrap(),
            "a9993e364706816aba3e25717850c26c9cd0d89d"
        );
        let (size, sha1, sha256) = fingerprints(&b""[..]).unwrap();
        assert_eq!(
            (size, sha1.as_str()),
            (0, "da39a3ee5e6b4b0d3255bfef95601890afd80709")
        );
        assert!(sha256.starts_with("e3b0c44298fc1c149afbf4c8996fb924"));
    }
}
