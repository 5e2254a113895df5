//! The CAs as several managers share them: certificates, and keys that are sealed with the
//! passphrase that all of them have. Each has its own files of them.

use std::io::ErrorKind;
use std::path::Path;

use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::der::pem::PemLabel;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::error::PkiError;
use super::replacement::Authorities;
use super::{Authority, Signer};
use crate::certificate::own_certificate;
use crate::files;
use crate::shared::{AuthorityDocument, SealedCa};

impl Authority {
    /// The CAs as others may have them.
    ///
    /// # Errors
    /// [`PkiError::Open`]: a key is not sealed.
    pub(crate) fn sealed(&self) -> Result<AuthorityDocument, PkiError> {
        self.sealed_of(&self.now())
    }

    /// The same of CAs that are on disk and not taken yet.
    pub(crate) fn sealed_of(&self, of: &Authorities) -> Result<AuthorityDocument, PkiError> {
        let one = |signer: &Signer, key: &str| {
            let path = self.folder.join(key);
            let key = files::read_text(&path).map_err(PkiError::at(&path))?;
            let key = key.ok_or_else(|| PkiError::NoKey(path.clone()))?;
            let sealed = SealedCa {
                certificate: signer.pem.clone(),
                key,
            };
            self.check(&sealed, &path)?;
            Ok::<_, PkiError>(sealed)
        };
        let next = of.next.as_ref();
        Ok(AuthorityDocument {
            current: one(&of.current, "ca.key")?,
            next: next.map(|next| one(next, "ca-next.key")).transpose()?,
            old: of.old.as_ref().map(|(_, pem)| pem.clone()),
        })
    }

    /// Takes over the CAs of others; `false`: they are these. `again`: the files are written
    /// in any case. Writes to disk: not for an async thread, and for one at a time.
    ///
    /// # Errors
    /// A key cannot be opened with this node's passphrase, or is not that of its
    /// certificate: then all is as before.
    pub(crate) fn adopt(&self, all: &AuthorityDocument, again: bool) -> Result<bool, PkiError> {
        let now = self.now();
        let path = self.folder.join("ca.pem");
        let der = |pem: &str| {
            CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| PkiError::Damaged {
                path: path.clone(),
                reason: error.to_string(),
            })
        };
        let next = all.next.as_ref();
        let theirs = [
            Some(der(&all.current.certificate)?),
            next.map(|next| der(&next.certificate)).transpose()?,
            all.old.as_deref().map(der).transpose()?,
        ];
        let ours = [
            Some(now.current.certificate.clone()),
            now.next.as_ref().map(|one| one.certificate.clone()),
            now.old.as_ref().map(|(one, _)| one.clone()),
        ];
        if ours == theirs && !again {
            return Ok(false);
        }
        self.check(&all.current, &self.folder.join("ca.key"))?;
        if let Some(next) = next {
            self.check(next, &self.folder.join("ca-next.key"))?;
        }
        let old = self.folder.join("ca-old.pem");
        write(&self.folder, "ca", Some(&all.current))?;
        write(&self.folder, "ca-next", next)?;
        match &all.old {
            Some(pem) => files::write_private(&old, pem.as_bytes()).map_err(PkiError::at(&old))?,
            None => remove(&old)?,
        }
        self.take(Authorities::open(&self.folder, &self.vault)?);
        Ok(ours != theirs)
    }

    /// Whether a key is sealed, can be opened, and is that of its certificate.
    fn check(&self, ca: &SealedCa, path: &Path) -> Result<(), PkiError> {
        if !ca.key.contains(EncryptedPrivateKeyInfoRef::PEM_LABEL) {
            return Err(PkiError::Open(path.to_owned()));
        }
        let (key, _) = self.vault.read(&ca.key, path)?;
        match own_certificate(&ca.certificate, &key) {
            Ok(_) => Ok(()),
            Err(reason) => Err(PkiError::Damaged {
                path: path.to_owned(),
                reason,
            }),
        }
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
