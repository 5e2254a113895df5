//! CA keys on disk: as they are, or sealed with a passphrase that comes from a file (of
//! systemd's credentials, say), so that a copy of the folder alone signs nothing. Sealed is
//! what PKCS#8 calls encrypted, with scrypt and AES-256: `openssl pkey` reads it.

use std::path::Path;

use pkcs8::der::pem::PemLabel;
use pkcs8::der::zeroize::Zeroizing;
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef, SecretDocument};
use rcgen::KeyPair;

use super::error::PkiError;
use crate::files;

/// The one passphrase of all CA keys, or none.
#[derive(Default)]
pub(crate) struct Vault(Option<Zeroizing<String>>);

impl Vault {
    /// The passphrase is the file's first line.
    pub(crate) fn open(file: Option<&Path>) -> Result<Self, PkiError> {
        let Some(path) = file else {
            return Ok(Self(None));
        };
        let bad = |reason: &str| PkiError::Passphrase {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        let text = files::read_text(path).map_err(|error| bad(&error.to_string()))?;
        let text = Zeroizing::new(text.ok_or_else(|| bad("there is no such file"))?);
        let mode = files::mode(path).map_err(|error| bad(&error.to_string()))?;
        if mode & 0o007 != 0 {
            return Err(bad("every user may read it: run `chmod o-rwx` on it"));
        }
        match text.lines().next() {
            Some(line) if !line.is_empty() => Ok(Self(Some(Zeroizing::new(line.to_owned())))),
            _ => Err(bad("its first line is empty: write the passphrase there")),
        }
    }

    /// The key in a PEM file, and whether it lies there as it should.
    pub(super) fn read(&self, pem: &str, path: &Path) -> Result<(KeyPair, bool), PkiError> {
        let damaged = |reason: String| PkiError::Damaged {
            path: path.to_owned(),
            reason,
        };
        if !pem.contains(EncryptedPrivateKeyInfoRef::PEM_LABEL) {
            let key = KeyPair::from_pem(pem).map_err(|error| damaged(error.to_string()))?;
            return Ok((key, self.0.is_none()));
        }
        let Some(passphrase) = &self.0 else {
            return Err(PkiError::Sealed(path.to_owned()));
        };
        let (_, sealed) =
            SecretDocument::from_pem(pem).map_err(|error| damaged(error.to_string()))?;
        let sealed = EncryptedPrivateKeyInfoRef::try_from(sealed.as_bytes())
            .map_err(|error| damaged(error.to_string()))?;
        let key = sealed
            .decrypt(passphrase.as_bytes())
            .map_err(|_| PkiError::WrongPassphrase(path.to_owned()))?;
        let key = KeyPair::try_from(key.as_bytes()).map_err(|error| damaged(error.to_string()))?;
        Ok((key, true))
    }

    /// Writes a key.
    pub(super) fn write(&self, key: &KeyPair, path: &Path) -> Result<(), PkiError> {
        let text = match &self.0 {
            None => Zeroizing::new(key.serialize_pem()),
            Some(passphrase) => seal(key, passphrase.as_bytes())?,
        };
        files::write_private(path, text.as_bytes()).map_err(PkiError::at(path))
    }
}

fn seal(key: &KeyPair, passphrase: &[u8]) -> Result<Zeroizing<String>, PkiError> {
    let failed = |error: &dyn std::fmt::Display| PkiError::Sealing(error.to_string());
    let der = Zeroizing::new(key.serialize_der());
    let sealed = PrivateKeyInfoRef::try_from(der.as_slice())
        .map_err(|error| failed(&error))?
        .encrypt(passphrase)
        .map_err(|error| failed(&error))?;
    sealed
        .to_pem(EncryptedPrivateKeyInfoRef::PEM_LABEL, LineEnding::LF)
        .map_err(|error| failed(&error))
}
