//! What a certificate says of its life, and by what a CA is known.

use std::fmt::Write as _;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

/// From when to when a certificate is good, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) from: i64,
    pub(crate) until: i64,
}

impl Life {
    /// `None` for what is no certificate.
    pub(crate) fn of(certificate: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let validity = parsed.validity();
        Some(Self {
            from: validity.not_before.timestamp(),
            until: validity.not_after.timestamp(),
        })
    }

    /// How long it is good in all.
    pub(crate) fn length(&self) -> Duration {
        let seconds = self.until.saturating_sub(self.from);
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    }
}

/// SHA-256 of a certificate, DER.
pub(crate) fn digest(certificate: &[u8]) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

/// The same as text.
pub(crate) fn hexadecimal(certificate: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in digest(certificate) {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Whether it may sign others.
pub(crate) fn is_authority(certificate: &[u8]) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, parsed)| parsed.is_ca())
}

/// A new key and the request for its certificate, both PEM.
pub(crate) fn new_key() -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let request = CertificateParams::default().serialize_request(&key)?;
    Ok((key.serialize_pem(), request.pem()?))
}

/// The certificates of a PEM text, at least one.
pub(super) fn from_pem(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    match found.is_empty() {
        true => Err("holds no certificate".to_owned()),
        false => Ok(found),
    }
}
