//! Opening a WPK: magic, certificate block, signature (section 8). What
//! follows, the payload, is only ever streamed. Everybody who gets a package
//! enters here; `verify` and `gunzip` go on from the opened package.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::certificate::{self, CHAIN_CERTIFICATES, CertificateSummary};
use crate::digest::BUFFER;
use crate::error::{PackageError, SignatureError};
use crate::file::FileError;
use crate::limits::Limits;

/// The first bytes of every WPK.
pub(crate) const MAGIC: &[u8; 7] = b"WPK256\0";
/// Bytes of the signature field.
pub(crate) const SIGNATURE: usize = 256;

/// An opened package: its head is read, its payload is next.
#[derive(Debug)]
pub struct Package<R> {
    pub(crate) label: String,
    pub(crate) limits: Limits,
    /// DER, the signer first; each parses.
    pub(crate) certificates: Vec<Vec<u8>>,
    pub(crate) signature: [u8; SIGNATURE],
    pub(crate) payload: BufReader<R>,
    /// Where the payload starts in a seekable source.
    pub(crate) payload_start: u64,
}

impl Package<File> {
    /// Opens a package file. Links are not followed: a WPK is a plain file
    /// under its own name.
    ///
    /// # Errors
    /// Stage [`Signature`](crate::Stage::Signature), also when the file is
    /// missing: section 7 answers code 13 for it.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, PackageError> {
        let label = path.display().to_string();
        let fail =
            |action, error| PackageError::signature(&label, FileError::new(action, path, error));
        // Not blocking: the open of a pipe would wait for a writer for ever.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(path)
            .map_err(|e| fail("open", e))?;
        let meta = file.metadata().map_err(|e| fail("inspect", e))?;
        if !meta.is_file() {
            return Err(fail("open", std::io::Error::other("it is no regular file")));
        }
        Self::read(file, label, limits)
    }
}

impl<R: Read> Package<R> {
    /// Opens a package from any reader that stands at its first byte (and,
    /// where it can seek, at offset 0). `label` names it in messages.
    ///
    /// # Errors
    /// Stage [`Signature`](crate::Stage::Signature).
    pub fn read(
        reader: R,
        label: impl Into<String>,
        limits: &Limits,
    ) -> Result<Self, PackageError> {
        let label = label.into();
        let mut payload = BufReader::with_capacity(BUFFER, reader);
        let fail = |error| PackageError::signature(&label, error);

        let mut magic = [0; MAGIC.len()];
        exact(&mut payload, &mut magic, "magic", &label).map_err(fail)?;
        if &magic != MAGIC {
            return Err(fail(SignatureError::NotWpk));
        }
        let block = certificate_block(&mut payload, limits.certificate, &label).map_err(fail)?;
        let mut signature = [0; SIGNATURE];
        exact(&mut payload, &mut signature, "signature", &label).map_err(fail)?;
        let payload_start = (MAGIC.len() + block.len() + 1 + SIGNATURE) as u64;
        let certificates = certificate::from_pem(&block, CHAIN_CERTIFICATES)
            .map_err(|reason| fail(SignatureError::BadCertificate { reason }))?;
        Ok(Self {
            label,
            limits: limits.clone(),
            certificates,
            signature,
            payload,
            payload_start,
        })
    }

    /// The certificates of the package, the signer first. Not checked: see
    /// [`Package::verify`].
    #[must_use]
    pub fn certificates(&self) -> Vec<CertificateSummary> {
        certificate::summaries(&self.certificates)
    }
}

fn exact(
    reader: &mut impl Read,
    bytes: &mut [u8],
    part: &'static str,
    label: &str,
) -> Result<(), SignatureError> {
    reader.read_exact(bytes).map_err(|error| {
        if error.kind() == std::io::ErrorKind::UnexpectedEof {
            SignatureError::Truncated { part }
        } else {
            FileError::labelled("read", label, error).into()
        }
    })
}

/// The certificate block without the NUL that ends it.
fn certificate_block(
    reader: &mut impl BufRead,
    limit: usize,
    label: &str,
) -> Result<Vec<u8>, SignatureError> {
    let mut block = Vec::new();
    reader
        .take((limit as u64).saturating_add(1))
        .read_until(0, &mut block)
        .map_err(|error| FileError::labelled("read", label, error))?;
    if block.last() == Some(&0) {
        block.pop();
        Ok(block)
    } else if block.len() > limit {
        Err(SignatureError::CertificateTooLarge { limit })
    } else {
        Err(SignatureError::Truncated {
            part: "certificate",
        })
    }
}
