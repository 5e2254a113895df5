//! The private key and certificate that sign packages. Entered by `build`
//! and by `authority`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::PublicKeyParts;
use rsa::{Pkcs1v15Sign, PrivateKey};
use sha2::Sha256;

use crate::certificate::{self, CHAIN_CERTIFICATES, CertificateSummary};
use crate::error::SignerError;
use crate::file::FileError;
use crate::limits::Limits;
use crate::reader::SIGNATURE;
use crate::verify::rsa_key;

/// Greatest size of a key file in bytes.
const KEY_LIMIT: u64 = 64 * 1024;

/// A key with its certificate, ready to sign.
pub struct Signer {
    key: PrivateKey,
    certificates: Vec<Vec<u8>>,
    summary: CertificateSummary,
}

impl std::fmt::Debug for Signer {
    /// Shows the certificate, never the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer")
            .field("certificate", &self.summary)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// Takes a private key (PEM, PKCS#8 or PKCS#1, 2048-bit RSA) and its
    /// certificate (PEM; intermediate CAs may follow it).
    ///
    /// # Errors
    /// [`SignerError`] when one is unusable or they do not belong together.
    pub fn from_pem(key: &[u8], certificates: &[u8]) -> Result<Self, SignerError> {
        let key = parse_key(key)?;
        let unusable = |reason| SignerError::Certificate { reason };
        let certificates =
            certificate::from_pem(certificates, CHAIN_CERTIFICATES).map_err(unusable)?;
        let leaf = certificates.first().map(Vec::as_slice).unwrap_or_default();
        let leaf = certificate::parse(leaf).map_err(unusable)?;
        let summary = certificate::summary(&leaf);
        let public = rsa_key(&leaf).map_err(|error| unusable(error.to_string()))?;
        if public != key.to_public_key() {
            return Err(SignerError::Mismatch {
                subject: summary.subject,
            });
        }
        let limit = Limits::default().certificate;
        if certificate::to_pem(&certificates).len() > limit {
            return Err(unusable(format!(
                "the chain is longer than {limit} bytes of PEM"
            )));
        }
        Ok(Self {
            key,
            certificates,
            summary,
        })
    }

    /// As [`Signer::from_pem`], from two files.
    ///
    /// # Errors
    /// As [`Signer::from_pem`], and when a file cannot be read.
    pub fn load(key: &Path, certificates: &Path) -> Result<Self, SignerError> {
        Self::from_pem(&read(key)?, &read(certificates)?)
    }

    /// The signing certificate. Whether it is valid now is for the caller to
    /// see; a package may be built for later.
    #[must_use]
    pub fn certificate(&self) -> &CertificateSummary {
        &self.summary
    }

    /// The certificates as they go into a package; no other block of the
    /// file they came from.
    pub(crate) fn certificates_pem(&self) -> String {
        certificate::to_pem(&self.certificates)
    }

    /// Signs the SHA-256 of a payload.
    pub(crate) fn sign(&self, digest: &[u8; 32]) -> Result<[u8; SIGNATURE], SignerError> {
        let made = |reason: String| SignerError::Make {
            what: "a signature",
            reason,
        };
        // With randomness, so that the time taken tells nothing about the key.
        let signature = self
            .key
            .sign_with_rng(&mut rand::rng(), Pkcs1v15Sign::new::<Sha256>(), digest)
            .map_err(|error| made(error.to_string()))?;
        signature
            .try_into()
            .map_err(|_| made("its size is wrong".to_owned()))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(KEY_LIMIT + 1).read_to_end(&mut bytes))
        .map_err(|error| FileError::new("read", path, error))?;
    if bytes.len() as u64 > KEY_LIMIT {
        let reason = std::io::Error::other(format!("it is longer than {KEY_LIMIT} bytes"));
        return Err(FileError::new("use", path, reason));
    }
    Ok(bytes)
}

/// The first private key of a PEM text.
pub(crate) fn parse_key(text: &[u8]) -> Result<PrivateKey, SignerError> {
    let bad = |reason: &str| SignerError::Key {
        reason: reason.to_owned(),
    };
    let blocks = pem::parse_many(text).map_err(|_| bad("it is no PEM"))?;
    let block = blocks
        .iter()
        .find(|block| block.tag().ends_with("PRIVATE KEY"))
        .ok_or_else(|| bad("there is no private key in the PEM"))?;
    let key = match block.tag() {
        "PRIVATE KEY" => PrivateKey::from_pkcs8_der(block.contents()).ok(),
        "RSA PRIVATE KEY" if block.headers().iter().next().is_none() => {
            PrivateKey::from_pkcs1_der(block.contents()).ok()
        }
        "RSA PRIVATE KEY" | "ENCRYPTED PRIVATE KEY" => return Err(bad("it is encrypted")),
        _ => None,
    };
    let key = key.ok_or_else(|| bad("it is no RSA key"))?;
    if key.size() != SIGNATURE {
        return Err(bad("a WPK signature has 256 bytes, this key makes others"));
    }
    Ok(key)
}
