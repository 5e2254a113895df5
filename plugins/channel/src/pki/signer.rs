//! One CA: its certificate, and the key that signs.

use std::path::Path;

use rcgen::{Certificate, ExtendedKeyUsagePurpose, Issuer, KeyPair, PublicKeyData};
use rustls::pki_types::CertificateDer;

use super::error::PkiError;
use super::vault::Vault;
use crate::certificate::{Issued, ca_params, end, fingerprint, own_certificate, own_params};
use crate::files;

/// A CA that can sign.
pub(crate) struct Signer {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Signer {
    /// Opens the CA with these two files; `None` where neither is there.
    pub(super) fn open(
        path: &Path,
        key_path: &Path,
        vault: &Vault,
    ) -> Result<Option<Self>, PkiError> {
        let read = |path: &Path| files::read_text(path).map_err(PkiError::at(path));
        let certificate = read(path)?;
        let Some(pem) = read(key_path)? else {
            return match certificate {
                Some(_) => Err(PkiError::NoKey(path.to_owned())),
                None => Ok(None),
            };
        };
        if let Some(mode) = files::too_open(key_path).map_err(PkiError::at(key_path))? {
            return Err(PkiError::TooOpen {
                path: key_path.to_owned(),
                mode,
            });
        }
        let (key, as_it_should) = vault.read(&pem, key_path)?;
        if !as_it_should {
            vault.write(&key, key_path)?;
            tracing::info!(path = %key_path.display(), "the key is sealed with the passphrase now");
        }
        let params = ca_params();
        // The key is written first: after a crash in between, the certificate
        // is made again for the same key and name, and means the same.
        let (pem, certificate) = match certificate {
            Some(pem) => {
                let found = own_certificate(&pem, &key).map_err(|reason| PkiError::Damaged {
                    path: path.to_owned(),
                    reason,
                })?;
                (pem, found)
            }
            None => {
                let made = params.self_signed(&key)?;
                let pem = made.pem();
                files::write_private(path, pem.as_bytes()).map_err(PkiError::at(path))?;
                (pem, CertificateDer::from(made))
            }
        };
        Ok(Some(Self {
            certificate,
            pem,
            issuer: Issuer::new(params, key),
        }))
    }

    /// Makes a new CA in these two files.
    pub(super) fn make(path: &Path, key_path: &Path, vault: &Vault) -> Result<Self, PkiError> {
        let key = KeyPair::generate()?;
        vault.write(&key, key_path)?;
        Self::open(path, key_path, vault)?.ok_or_else(|| PkiError::NoKey(path.to_owned()))
    }

    /// A certificate for `key`, valid for `life` seconds.
    pub(super) fn sign(
        &self,
        key: &impl PublicKeyData,
        subject: &str,
        dns_names: Vec<String>,
        usage: ExtendedKeyUsagePurpose,
        life: i64,
    ) -> Result<Certificate, PkiError> {
        let params = own_params(subject, dns_names, usage, life)?;
        Ok(params.signed_by(key, &self.issuer)?)
    }

    /// The same for an agent.
    pub(super) fn sign_agent(
        &self,
        key: &impl PublicKeyData,
        subject: &str,
        usage: ExtendedKeyUsagePurpose,
        life: i64,
    ) -> Result<Issued, PkiError> {
        let certificate = self.sign(key, subject, Vec::new(), usage, life)?;
        Ok(Issued {
            certificate_pem: certificate.pem(),
            fingerprint: fingerprint(certificate.der()),
            not_after: end(certificate.der()).unwrap_or_default(),
            issuer: fingerprint(&self.certificate),
        })
    }
}
