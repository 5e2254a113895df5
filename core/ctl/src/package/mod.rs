//! `wpkctl package`: makes WPK files and looks into them, without a manager
//! (protocol.md, section 8). The work is that of the package crate; here it
//! gets its files from the command line and says what came of it.

mod build;
mod keygen;
mod look;

use std::path::PathBuf;

use wpk_package::{CaStore, CertificateSummary};

use crate::cli::PackageCommand;
use crate::error::CtlError;
use crate::output::{Ending, Output, clean};

/// Runs one of the commands.
pub(crate) fn run(command: PackageCommand, out: &Output) -> Result<Ending, CtlError> {
    match command {
        PackageCommand::Build(args) => build::run(&args, out),
        PackageCommand::Keygen(args) => keygen::run(&args, out),
        PackageCommand::Verify(args) => look::verify(&args, out),
        PackageCommand::Inspect(args) => look::inspect(&args, out),
        PackageCommand::Unpack(args) => look::unpack(&args, out),
    }
}

/// The trusted CAs; `None` if none are named. What cannot be used is warned of.
pub(crate) fn trusted(paths: &[PathBuf], out: &Output) -> Result<Option<CaStore>, CtlError> {
    if paths.is_empty() {
        return Ok(None);
    }
    let store = CaStore::load(paths)?;
    for problem in store.problems() {
        out.warn(format!("not used as a CA: {problem}"));
    }
    Ok(Some(store))
}

/// A certificate on one line.
fn describe(certificate: &CertificateSummary) -> String {
    clean(&format!(
        "{}, issued by {}, valid {} to {}",
        certificate.subject, certificate.issuer, certificate.valid_from, certificate.valid_until
    ))
}

/// A certificate as an object.
fn object(certificate: &CertificateSummary) -> serde_json::Value {
    serde_json::json!({
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "serial": certificate.serial,
        "valid_from": certificate.valid_from,
        "valid_until": certificate.valid_until,
        "sha256": certificate.fingerprint,
    })
}
