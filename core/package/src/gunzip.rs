//! Unzipping the payload (stage [`Uncompress`](crate::Stage::Uncompress)).
//! The bytes are hashed once more on the way: a file that changed after its
//! signature was checked is noticed before anything of it is used.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::digest::{BUFFER, Hashing};
use crate::error::{PackageError, SignatureError, UncompressError};
use crate::file::FileError;
use crate::reader::Package;
use crate::verify::Verified;

/// A reader of the unzipped content that stops at a limit and remembers why
/// it failed.
pub(crate) struct Inflate<R: Read> {
    gzip: MultiGzDecoder<BufReader<Hashing<R>>>,
    label: String,
    limit: u64,
    count: u64,
    failure: Option<UncompressError>,
}

impl<R: Read> Inflate<R> {
    pub(crate) fn new(payload: R, label: &str, limit: u64) -> Self {
        let source = BufReader::with_capacity(BUFFER, Hashing::new(payload));
        Self {
            gzip: MultiGzDecoder::new(source),
            label: label.to_owned(),
            limit,
            count: 0,
            failure: None,
        }
    }

    /// The reason of a failed read, if one failed.
    pub(crate) fn failure(&mut self) -> Option<UncompressError> {
        self.failure.take()
    }

    /// SHA-256 of the compressed bytes read so far.
    fn digest(self) -> [u8; 32] {
        self.gzip.into_inner().into_inner().finish().1
    }

    fn fail(&mut self, failure: UncompressError) -> io::Error {
        let error = io::Error::other(failure.to_string());
        self.failure = Some(failure);
        error
    }
}

impl<R: Read> Read for Inflate<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.gzip.read(buffer) {
            Ok(n) => {
                self.count += n as u64;
                if self.count > self.limit {
                    let limit = self.limit;
                    return Err(self.fail(UncompressError::TooLarge { limit }));
                }
                Ok(n)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let read = self.gzip.get_mut().get_mut().failure.take();
                let failure = match (read, error.kind()) {
                    (Some(read), _) => FileError::labelled("read", &self.label, read).into(),
                    (None, io::ErrorKind::UnexpectedEof) => UncompressError::Truncated,
                    (None, _) => UncompressError::Corrupt {
                        reason: error.to_string(),
                    },
                };
                Err(self.fail(failure))
            }
        }
    }
}

impl<R: Read + Seek> Package<R> {
    /// Unzips the payload into `out`, at most `limits.unpacked` bytes, and
    /// answers their number. `label` names `out` in messages. What was
    /// written counts only when this returns `Ok`.
    ///
    /// # Errors
    /// Stage [`Uncompress`](crate::Stage::Uncompress); stage
    /// [`Signature`](crate::Stage::Signature) when the package changed since
    /// it was verified.
    pub fn gunzip(
        &mut self,
        verified: &Verified,
        out: &mut impl Write,
        label: &str,
    ) -> Result<u64, PackageError> {
        self.rewind()?;
        let package = self.label.clone();
        let fail = |error| PackageError::uncompress(&package, error);
        let mut inflate = Inflate::new(&mut self.payload, &package, self.limits.unpacked);
        let mut buffer = vec![0; BUFFER];
        loop {
            let n = match inflate.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let corrupt = UncompressError::Corrupt {
                        reason: error.to_string(),
                    };
                    return Err(fail(inflate.failure().unwrap_or(corrupt)));
                }
            };
            out.write_all(buffer.get(..n).unwrap_or_default())
                .map_err(|error| fail(FileError::labelled("write", label, error).into()))?;
        }
        let size = inflate.count;
        if inflate.digest() != verified.payload_sha256 {
            return Err(PackageError::signature(&package, SignatureError::Changed));
        }
        Ok(size)
    }

    /// Unzips the payload into a new file (mode 0600) and answers it, open
    /// for reading at its start. The file must not exist; after a failure it
    /// does not exist either.
    ///
    /// # Errors
    /// As [`Package::gunzip`].
    pub fn gunzip_to(&mut self, verified: &Verified, path: &Path) -> Result<File, PackageError> {
        let label = path.display().to_string();
        let package = self.label.clone();
        let fail =
            |action, error| PackageError::uncompress(&package, FileError::new(action, path, error));
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| fail("create", error))?;
        let done = self
            .gunzip(verified, &mut file, &label)
            .and_then(|_| file.rewind().map_err(|error| fail("seek in", error)));
        if let Err(error) = done {
            // Best effort: the first error is the one to report.
            let _ = fs::remove_file(path);
            return Err(error);
        }
        Ok(file)
    }
}
