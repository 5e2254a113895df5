//! What can go wrong with a package, sorted by the step that failed: the
//! agent answers another code for each (section 7: 13 signature, 14
//! uncompress, 16 unmerge). Every message names the file and what to do.

use std::path::Path;

use crate::chain::ChainError;
use crate::file::FileError;
use crate::name::NameError;
use crate::store::StoreError;

/// The step of the work that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Opening the package, its certificate chain or its signature (code 13).
    Signature,
    /// Unzipping the signed part (code 14).
    Uncompress,
    /// Taking the unzipped content apart (code 16).
    Unmerge,
    /// Making a new package.
    Build,
}

/// A failure with a package. `package` is the path or label it was opened by.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The file is no WPK, its signer is not trusted, or the signature is wrong.
    #[error("{package}: {source}")]
    Signature {
        /// Path or label of the package.
        package: String,
        /// What exactly.
        source: SignatureError,
    },
    /// The signed part is no intact gzip stream within the limits.
    #[error("{package}: {source}")]
    Uncompress {
        /// Path or label of the package.
        package: String,
        /// What exactly.
        source: UncompressError,
    },
    /// The unzipped content is malformed, hostile, or could not be written.
    #[error("{package}: {source}")]
    Unmerge {
        /// Path or label of the package.
        package: String,
        /// What exactly.
        source: UnmergeError,
    },
    /// A new package could not be made.
    #[error("{package}: {source}")]
    Build {
        /// Path of the package to be made.
        package: String,
        /// What exactly.
        source: BuildError,
    },
}

impl PackageError {
    /// The step that failed.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self {
            Self::Signature { .. } => Stage::Signature,
            Self::Uncompress { .. } => Stage::Uncompress,
            Self::Unmerge { .. } => Stage::Unmerge,
            Self::Build { .. } => Stage::Build,
        }
    }

    pub(crate) fn signature(package: &str, source: impl Into<SignatureError>) -> Self {
        Self::Signature {
            package: package.to_owned(),
            source: source.into(),
        }
    }

    pub(crate) fn uncompress(package: &str, source: impl Into<UncompressError>) -> Self {
        Self::Uncompress {
            package: package.to_owned(),
            source: source.into(),
        }
    }

    pub(crate) fn unmerge(package: &str, source: impl Into<UnmergeError>) -> Self {
        Self::Unmerge {
            package: package.to_owned(),
            source: source.into(),
        }
    }

    pub(crate) fn build(package: &Path, source: impl Into<BuildError>) -> Self {
        Self::Build {
            package: package.display().to_string(),
            source: source.into(),
        }
    }
}

impl From<StoreError> for PackageError {
    /// An unusable `ca_store` fails the signature stage, as PROTOCOL.md asks.
    fn from(error: StoreError) -> Self {
        Self::signature("ca_store", SignatureError::Store(error))
    }
}

/// Why a package is not accepted as signed by somebody we trust.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// The first seven bytes are wrong.
    #[error("this is no WPK file: it does not start with WPK256 and a NUL byte")]
    NotWpk,
    /// The file ends too early.
    #[error("the file ends inside its {part}; fetch it again")]
    Truncated {
        /// `magic`, `certificate` or `signature`.
        part: &'static str,
    },
    /// The certificate block has no end within the limit.
    #[error("the certificate block is longer than {limit} bytes")]
    CertificateTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The compressed part is longer than the limit.
    #[error("the compressed part is longer than {limit} bytes")]
    PackageTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The certificate block holds no usable certificate.
    #[error("the signer's certificate is unusable: {reason}")]
    BadCertificate {
        /// Why.
        reason: String,
    },
    /// No CA to check against.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The signer's certificate does not chain to a trusted CA.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// Only RSA signatures are defined for WPK files.
    #[error("the key of the signer \"{subject}\" is no RSA key; WPK files are signed with RSA")]
    KeyNotRsa {
        /// Subject of the signing certificate.
        subject: String,
    },
    /// The signature field holds exactly 256 bytes.
    #[error(
        "the key of the signer \"{subject}\" has {bits} bits; a WPK signature has 256 bytes, \
         so the key must have 2048 bits"
    )]
    KeySize {
        /// Subject of the signing certificate.
        subject: String,
        /// Size of its key.
        bits: usize,
    },
    /// The bytes are not the ones that were signed, or another key signed them.
    #[error(
        "the signature does not belong to this content and the certificate of \"{subject}\": \
         the file was changed, or signed with another key"
    )]
    Mismatch {
        /// Subject of the signing certificate.
        subject: String,
    },
    /// The file changed between the check and its use.
    #[error("the file changed after its signature was checked; nothing of it was used")]
    Changed,
    /// The system refused an operation.
    #[error(transparent)]
    Io(#[from] FileError),
}

/// Why the signed part could not be unzipped.
#[derive(Debug, thiserror::Error)]
pub enum UncompressError {
    /// No gzip stream, a bad check sum, or bytes after its end.
    #[error("the signed part is no intact gzip stream: {reason}")]
    Corrupt {
        /// What the decoder met.
        reason: String,
    },
    /// The gzip stream ends too early.
    #[error("the gzip stream is cut off")]
    Truncated,
    /// More content than the limit allows.
    #[error("the content unzips to more than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The system refused an operation.
    #[error(transparent)]
    Io(#[from] FileError),
}

/// Why the unzipped content could not be taken apart. Offsets count bytes
/// from the start of the unzipped content.
#[derive(Debug, thiserror::Error)]
pub enum UnmergeError {
    /// A line `!SIZE NAME` was expected and something else is there.
    #[error("bad entry header at offset {offset}: {reason}")]
    Header {
        /// Where the line starts.
        offset: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The name must not be used.
    #[error("the entry at offset {offset} has a forbidden name: {source}")]
    Name {
        /// Where the entry starts.
        offset: u64,
        /// Which rule the name breaks.
        source: NameError,
    },
    /// The content ends inside an entry.
    #[error("entry \"{name}\" is cut off: {missing} of {size} bytes are missing")]
    Truncated {
        /// The entry.
        name: String,
        /// Its stated size.
        size: u64,
        /// Bytes that are missing.
        missing: u64,
    },
    /// Too many files or folders.
    #[error("more than {limit} {what} in the package")]
    TooMany {
        /// `entries` or `folders`.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// More content than the limit allows.
    #[error("entry \"{name}\" takes the content beyond {limit} bytes")]
    TooLarge {
        /// The entry.
        name: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The target folder already holds something of this name.
    #[error("{path} exists already; empty the target folder first")]
    Exists {
        /// What exists.
        path: String,
    },
    /// The system refused an operation.
    #[error(transparent)]
    Io(#[from] FileError),
}

/// Why a package could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A source is neither a regular file nor a folder.
    #[error("{path} is neither a regular file nor a folder; a WPK holds only files")]
    NotAFile {
        /// The source.
        path: String,
    },
    /// A name that no agent would accept.
    #[error("{path} cannot be packed under this name: {source}")]
    Name {
        /// The source.
        path: String,
        /// Which rule the name breaks.
        source: NameError,
    },
    /// A source grew or shrank while it was read.
    #[error("{path} changed its size while it was read; build again")]
    Changed {
        /// The source.
        path: String,
    },
    /// Nothing to pack.
    #[error("there is no file to pack")]
    Empty,
    /// A tag is one line of text.
    #[error("the tag must be one line of at most {limit} bytes")]
    Tag {
        /// The limit in bytes.
        limit: usize,
    },
    /// Too many files or folders, or too many bytes, for agents to accept.
    #[error("more than {limit} {what}; agents refuse such a package")]
    TooMuch {
        /// `entries`, `folders` or `bytes`.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The compression level is out of range.
    #[error("gzip level {level} does not exist; use 0 to 9")]
    Level {
        /// The level asked for.
        level: u32,
    },
    /// Key or certificate cannot sign.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The system refused an operation.
    #[error(transparent)]
    Io(#[from] FileError),
}

/// Why key and certificate cannot sign packages.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The key text is no unencrypted RSA key.
    #[error("the private key is unusable: {reason}; give a 2048-bit RSA key in PEM, unencrypted")]
    Key {
        /// Why; never a part of the key.
        reason: String,
    },
    /// The certificate text is unusable.
    #[error("the certificate is unusable: {reason}")]
    Certificate {
        /// Why.
        reason: String,
    },
    /// They do not belong together.
    #[error("the private key does not belong to the certificate \"{subject}\"")]
    Mismatch {
        /// Subject of the certificate.
        subject: String,
    },
    /// Making a key or certificate failed.
    #[error("cannot make {what}: {reason}")]
    Make {
        /// What was to be made.
        what: &'static str,
        /// Why it failed.
        reason: String,
    },
    /// The system refused an operation.
    #[error(transparent)]
    Io(#[from] FileError),
}
