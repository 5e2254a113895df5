//! Certificates as bytes and as something to show: PEM and DER in, summary
//! and dates out. The chain check and the CA store build on it.

use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate, X509Name};

use crate::digest::hex;

/// How many certificates one PEM block of a package may hold.
pub(crate) const CHAIN_CERTIFICATES: usize = 10;

/// What there is to tell about a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSummary {
    /// Distinguished name of the holder, for example `CN=Signer`.
    pub subject: String,
    /// Distinguished name of the issuer.
    pub issuer: String,
    /// Serial number, lower-case hex, colons between bytes.
    pub serial: String,
    /// Start of validity, unix seconds.
    pub not_before: i64,
    /// End of validity, unix seconds.
    pub not_after: i64,
    /// Start of validity as text, `YYYY-MM-DD HH:MM:SS UTC`.
    pub valid_from: String,
    /// End of validity as text.
    pub valid_until: String,
    /// SHA-256 of the certificate's DER, 64 lower-case hex digits.
    pub fingerprint: String,
}

/// Parses one certificate; bytes after it are an error.
pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err("there are bytes after the certificate".to_owned()),
        Err(error) => Err(format!("no X.509 certificate: {error}")),
    }
}

/// The DER of every certificate in a PEM text, in order; other blocks (a key
/// left in the same file) are passed over. Each certificate parses.
pub(crate) fn from_pem(text: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, String> {
    let blocks = pem::parse_many(text).map_err(|error| format!("no PEM: {error}"))?;
    let mut found = Vec::new();
    for block in blocks {
        if !matches!(block.tag(), "CERTIFICATE" | "X509 CERTIFICATE") {
            continue;
        }
        if found.len() == limit {
            return Err(format!("more than {limit} certificates"));
        }
        parse(block.contents())?;
        found.push(block.into_contents());
    }
    if found.is_empty() {
        Err("there is no PEM certificate".to_owned())
    } else {
        Ok(found)
    }
}

/// Writes certificates as one PEM text with line feeds.
pub(crate) fn to_pem(certificates: &[Vec<u8>]) -> String {
    let blocks: Vec<_> = certificates
        .iter()
        .map(|der| pem::Pem::new("CERTIFICATE", der.as_slice()))
        .collect();
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    // Blocks are not separated by empty lines, as 4.x peers write them.
    blocks
        .iter()
        .map(|block| pem::encode_config(block, config))
        .collect()
}

/// What there is to tell about a parsed certificate.
pub(crate) fn summary(certificate: &X509Certificate<'_>) -> CertificateSummary {
    let validity = certificate.validity();
    CertificateSummary {
        subject: name(certificate.subject()),
        issuer: name(certificate.issuer()),
        serial: certificate.raw_serial_as_string(),
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
        valid_from: date(validity.not_before),
        valid_until: date(validity.not_after),
        fingerprint: hex(&Sha256::digest(certificate.as_raw())),
    }
}

/// What there is to tell about each of the certificates, which all parse.
pub(crate) fn summaries(ders: &[Vec<u8>]) -> Vec<CertificateSummary> {
    ders.iter()
        .filter_map(|der| parse(der).ok())
        .map(|parsed| summary(&parsed))
        .collect()
}

/// A distinguished name fit for a message: it comes from the package, so
/// control characters are replaced.
pub(crate) fn name(name: &X509Name<'_>) -> String {
    name.to_string().replace(char::is_control, "?")
}

/// A point in time as `YYYY-MM-DD HH:MM:SS UTC`.
pub(crate) fn date(time: ASN1Time) -> String {
    let t = time.to_datetime();
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC",
        t.year(),
        u8::from(t.month()),
        t.day(),
        t.hour(),
        t.minute(),
        t.second()
    )
}

/// Unix seconds, negative before 1970.
pub(crate) fn unix_seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => {
            i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |seconds| -seconds)
        }
    }
}
