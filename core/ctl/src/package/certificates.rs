//! Certificates on the command line: which CAs are trusted, and how a
//! certificate is shown.

use std::path::PathBuf;

use wpk_package::{CaStore, CertificateSummary, StoreError};

use crate::error::CtlError;
use crate::output::{Output, clean};

/// The trusted CAs; `None` if none are named. What cannot be used is warned of.
pub(crate) fn trusted(paths: &[PathBuf], out: &Output) -> Result<Option<CaStore>, CtlError> {
    if paths.is_empty() {
        return Ok(None);
    }
    let store = CaStore::load(paths).map_err(|StoreError::Empty { paths, problems }| {
        CtlError::Ca(format!("{paths} (--ca): {}", problems.join("; ")))
    })?;
    for problem in store.problems() {
        out.warn(format!("not used as a CA: {problem}"));
    }
    Ok(Some(store))
}

/// A certificate on one line.
pub(super) fn describe(certificate: &CertificateSummary) -> String {
    clean(&format!(
        "{}, issued by {}, valid {} to {}",
        certificate.subject, certificate.issuer, certificate.valid_from, certificate.valid_until
    ))
}

/// A certificate as an object.
pub(super) fn object(certificate: &CertificateSummary) -> serde_json::Value {
    serde_json::json!({
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "serial": certificate.serial,
        "valid_from": certificate.valid_from,
        "valid_until": certificate.valid_until,
        "sha256": certificate.fingerprint,
    })
}
