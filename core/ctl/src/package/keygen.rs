//! `wpkctl package keygen`: a signing CA and a certificate under it, for
//! administrators without a PKI of their own.

use serde_json::json;
use wpk_package::authority::{Authority, SigningKey, Validity};

use super::args::KeygenArgs;
use crate::error::CtlError;
use crate::files::{NewFiles, make_folder, must_be_free};
use crate::output::{Ending, Output};

/// The upper bound of a common name (X.520), in characters.
const LONGEST_NAME: usize = 64;

pub(super) fn run(args: &KeygenArgs, out: &Output) -> Result<Ending, CtlError> {
    for name in [&args.ca_name, &args.name] {
        let length = name.chars().count();
        if !(1..=LONGEST_NAME).contains(&length) || name.contains(char::is_control) {
            return Err(CtlError::Usage(format!(
                "{name:?} is no common name; use 1 to {LONGEST_NAME} printable characters"
            )));
        }
    }
    let [ca_pem, ca_key, signer_pem, signer_key] =
        ["ca.pem", "ca.key", "signer.pem", "signer.key"].map(|name| args.out.join(name));
    must_be_free([&ca_pem, &ca_key, &signer_pem, &signer_key].map(|path| path.as_path()))?;
    make_folder(&args.out, 0o700)?;

    let validity = Validity::days(args.days);
    let (root, key) = (SigningKey::generate()?, SigningKey::generate()?);
    let authority = Authority::root(&args.ca_name, validity, &root)?;
    let certificate = authority.signing_certificate(&args.name, validity, &key)?;
    let mut files = NewFiles::default();
    files.write(&ca_key, root.to_pem()?.as_bytes(), 0o600)?;
    files.write(&signer_key, key.to_pem()?.as_bytes(), 0o600)?;
    files.write(&ca_pem, authority.certificate_pem().as_bytes(), 0o644)?;
    files.write(&signer_pem, certificate.as_bytes(), 0o644)?;
    files.keep();

    out.last(&json!({
        "event": "keygen",
        "ca": ca_pem,
        "ca_key": ca_key,
        "certificate": signer_pem,
        "key": signer_key,
        "days": args.days,
    }))?;
    out.line(format!(
        "{}: the CA; agents trust it with ca_store",
        ca_pem.display()
    ))?;
    out.line(format!(
        "{}: the CA's key; keep it away from this machine",
        ca_key.display()
    ))?;
    out.line(format!(
        "next: wpkctl package build --key {} --cert {} --out FILE.wpk FOLDER",
        signer_key.display(),
        signer_pem.display()
    ))?;
    Ok(Ending::Well)
}
