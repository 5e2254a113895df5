//! Looking into a package without unpacking it: for `wpkctl package inspect`
//! and for logs.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::time::SystemTime;

use crate::certificate::CertificateSummary;
use crate::digest::fingerprints;
use crate::error::PackageError;
use crate::file::FileError;
use crate::gunzip::Inflate;
use crate::limits::Limits;
use crate::merged::{Contents, Merged, list};
use crate::reader::Package;
use crate::verify::{Trust, Verified};

/// What there is to tell about a package file.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Size of the file in bytes.
    pub size: u64,
    /// SHA-1 of the whole file, as `versions` files state it; 40 hex digits.
    pub sha1: String,
    /// SHA-256 of the whole file; 64 hex digits.
    pub sha256: String,
    /// The certificates of the package, the signer first.
    pub certificates: Vec<CertificateSummary>,
    /// Who signed it; `None` when that was not to be checked.
    pub verified: Option<Verified>,
    /// Tag and files.
    pub contents: Contents,
    /// Bytes of all files together.
    pub unpacked: u64,
}

/// Reads the package file `path` through and says what it holds. With
/// `trust` the signature is checked first, at time `at`; with `None` it is
/// not, and nothing in the answer is to be believed.
///
/// # Errors
/// [`PackageError`] of the stage that failed.
pub fn inspect(
    path: &Path,
    trust: Option<Trust<'_>>,
    at: SystemTime,
    limits: &Limits,
) -> Result<Summary, PackageError> {
    let label = path.display().to_string();
    let mut package = Package::open(path, limits)?;
    let verified = trust.map(|trust| package.verify(trust, at)).transpose()?;
    let certificates = package.certificates();
    let contents = package.contents()?;

    let (size, sha1, sha256) = File::open(path)
        .and_then(fingerprints)
        .map_err(|error| PackageError::signature(&label, FileError::new("read", path, error)))?;
    let unpacked = contents.entries.iter().map(|entry| entry.size).sum();
    Ok(Summary {
        size,
        sha1,
        sha256,
        certificates,
        verified,
        contents,
        unpacked,
    })
}

impl<R: Read + Seek> Package<R> {
    /// Reads the payload through and lists it, without looking at the signature: nothing in
    /// the answer is to be believed before [`Package::verify`].
    ///
    /// # Errors
    /// [`PackageError`] of the stage that failed.
    pub fn contents(&mut self) -> Result<Contents, PackageError> {
        self.rewind()?;
        let (label, limits) = (self.label.clone(), self.limits.clone());
        let inflate = Inflate::new(&mut self.payload, &label, limits.unpacked);
        let mut merged = Merged::new(inflate, &label, &limits);
        let contents = list(&mut merged);
        let mut failure = merged.source().failure();
        if failure.is_none() && contents.is_err() {
            // As when unpacking, a broken gzip stream counts before its content:
            // read on to its end; the reader keeps the reason of a failure.
            let _ = io::copy(merged.source(), &mut io::sink());
            failure = merged.source().failure();
        }
        if let Some(failure) = failure {
            return Err(PackageError::uncompress(&label, failure));
        }
        contents.map_err(|error| PackageError::unmerge(&label, error))
    }
}
