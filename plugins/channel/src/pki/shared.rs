//! The CAs as several managers share them: certificates, and keys that are sealed with the
//! passphrase that all of them have. Each has its own files of them.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::der::pem::PemLabel;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::error::PkiError;
use super::replacement::Authorities;
use super::{Authority, Signer};
use crate::files;
use crate::shared::{AuthorityDocument, SealedCa};

impl Authority {
    /// The CAs as others may have them.
    ///
    /// # Errors
    /// [`PkiError::Open`]: a key is not sealed.
    pub(crate) fn sealed(&self) -> Result<AuthorityDocument, PkiError> {
        let now = self.now();
        let one = |signer: &Signer, key: &str| {
            let path = self.folder.join(key);
            let key = files::read_text(&path).map_err(PkiError::at(&path))?;
            let key = key.ok_or_else(|| PkiError::NoKey(path.clone()))?;
            if !key.contains(EncryptedPrivateKeyInfoRef::PEM_LABEL) {
                return Err(PkiError::Open(path));
            }
            Ok(SealedCa {
                certificate: signer.pem.clone(),
                key,
            })
        };
        let next = now.next.as_ref();
        Ok(AuthorityDocument {
            current: one(&now.current, "ca.key")?,
            next: next.map(|next| one(next, "ca-next.key")).transpose()?,
            old: now.old.as_ref().map(|(_, pem)| pem.clone()),
        })
    }

    /// Takes over the CAs of others; `false`: they are these. Writes to disk: not for an
    /// async thread.
    ///
    /// # Errors
    /// A key cannot be opened with this node's passphrase: then all is as before.
    pub(crate) fn adopt(&self, all: &AuthorityDocument) -> Result<bool, PkiError> {
        let mut authorities = self
            .authorities
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let path = self.folder.join("ca.pem");
        let der = |pem: &str| {
            CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| PkiError::Damaged {
                path: path.clone(),
                reason: error.to_string(),
            })
        };
        let theirs = [
            Some(der(&all.current.certificate)?),
            (all.next.as_ref())
                .map(|next| der(&next.certificate))
                .transpose()?,
            all.old.as_deref().map(der).transpose()?,
        ];
        let ours = [
            Some(authorities.current.certificate.clone()),
            authorities.next.as_ref().map(|one| one.certificate.clone()),
            authorities.old.as_ref().map(|(one, _)| one.clone()),
        ];
        if ours == theirs {
            return Ok(false);
        }
        let key_path = self.folder.join("ca.key");
        self.vault.read(&all.current.key, &key_path)?;
        if let Some(next) = &all.next {
            self.vault
                .read(&next.key, &self.folder.join("ca-next.key"))?;
        }
        let old = self.folder.join("ca-old.pem");
        write(&self.folder, "ca", Some(&all.current))?;
        write(&self.folder, "ca-next", all.next.as_ref())?;
        match &all.old {
            Some(pem) => files::write_private(&old, pem.as_bytes()).map_err(PkiError::at(&old))?,
            None => remove(&old)?,
        }
        *authorities = Arc::new(Authorities::open(&self.folder, &self.vault)?);
        Ok(true)
    }
}

/// The certificate goes first and comes last: whatever is left by a crash in between can be
/// opened, and the next start takes over the rest.
fn write(folder: &Path, name: &str, ca: Option<&SealedCa>) -> Result<(), PkiError> {
    let (path, key_path) = (
        folder.join(format!("{name}.pem")),
        folder.join(format!("{name}.key")),
    );
    remove(&path)?;
    match ca {
        Some(ca) => {
            files::write_private(&key_path, ca.key.as_bytes()).map_err(PkiError::at(&key_path))?;
            files::write_private(&path, ca.certificate.as_bytes()).map_err(PkiError::at(&path))
        }
        None => remove(&key_path),
    }
}

fn remove(path: &Path) -> Result<(), PkiError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(PkiError::at(path)(error)),
        _ => Ok(()),
    }
}
