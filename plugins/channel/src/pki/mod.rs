//! The channel's own CA, created on first start: it keeps its files and issues the
//! manager's certificate, renewed before it ends, and one certificate per agent.
//! What they look like is told by `certificate`.
//!
//! Keys are ECDSA P-256, in PKCS#8 PEM files of mode 0600 in a folder of mode
//! 0700. While a CA is replaced there are two (`replacement`).

mod error;
mod replacement;
mod shared;
mod signer;
mod vault;

pub(crate) use error::PkiError;
pub(crate) use replacement::{Authorities, Step};
pub(crate) use vault::Vault;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rcgen::{
    CertificateSigningRequestParams, ExtendedKeyUsagePurpose, KeyPair, PKCS_ECDSA_P256_SHA256,
    PublicKeyData,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use wpk_api::AgentId;

use crate::certificate::{
    Fingerprint, Issued, Lives, MANAGER_NAME, ManagerCertificate, fingerprint,
};
use crate::clock::now;
use crate::files;
use signer::Signer;

/// The CA.
pub(crate) struct Authority {
    folder: PathBuf,
    vault: Vault,
    authorities: RwLock<Arc<Authorities>>,
    lives: Lives,
    provider: Arc<CryptoProvider>,
}

impl Authority {
    /// Opens the CA in `folder`, or makes one where there is none.
    pub(crate) fn open(
        folder: &Path,
        lives: Lives,
        vault: Vault,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, PkiError> {
        files::private_folder(folder).map_err(PkiError::at(folder))?;
        let authorities = Authorities::open(folder, &vault)?;
        Ok(Self {
            vault,
            folder: folder.to_owned(),
            authorities: RwLock::new(Arc::new(authorities)),
            lives,
            provider,
        })
    }

    /// The CAs as they are now.
    pub(crate) fn now(&self) -> Arc<Authorities> {
        let authorities = self.authorities.read();
        Arc::clone(&authorities.unwrap_or_else(PoisonError::into_inner))
    }

    /// The CAs after a step of a replacement, on disk; nobody uses them before they are
    /// [taken](Self::take). Not for an async thread, and for one at a time.
    ///
    /// # Errors
    /// [`PkiError::Step`] where it is not the one to take.
    pub(crate) fn step(&self, step: Step) -> Result<Authorities, PkiError> {
        self.now().step(step, &self.folder, &self.vault)
    }

    /// These are the CAs from now on.
    pub(crate) fn take(&self, authorities: Authorities) {
        let mut now = self
            .authorities
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *now = Arc::new(authorities);
    }

    /// Whether this step is the one to take; changes nothing.
    ///
    /// # Errors
    /// [`PkiError::Step`] where it is not.
    pub(crate) fn may(&self, step: Step) -> Result<(), PkiError> {
        self.now().may(step)
    }

    /// Where its files lie.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// How long certificates are valid.
    pub(crate) fn lives(&self) -> Lives {
        self.lives
    }

    /// The certificate of the CA that signs the manager's, DER: what tokens name.
    pub(crate) fn ca(&self) -> CertificateDer<'static> {
        self.now().current.certificate.clone()
    }

    /// The certificates of all CAs, PEM: what agents trust.
    pub(crate) fn ca_pem(&self) -> String {
        self.now().pem()
    }

    /// By what the CA is known that signs agents' certificates now.
    pub(crate) fn issuer(&self) -> Fingerprint {
        fingerprint(&self.now().signer().certificate)
    }

    /// The provider of cryptography in use.
    pub(crate) fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }

    /// A certificate for an agent whose key the manager made: whether that agent renews is
    /// not known.
    pub(crate) fn issue_for_key(&self, id: AgentId, key: &KeyPair) -> Result<Issued, PkiError> {
        self.issue_agent(id, key, self.lives.long)
    }

    /// A certificate for an agent that made its key itself and asks with this request
    /// (PKCS#10, PEM). Nothing but the key in it counts. `renews`: whether it will ask for
    /// the next one.
    pub(crate) fn issue_for_request(
        &self,
        id: AgentId,
        csr: &str,
        renews: bool,
    ) -> Result<Issued, PkiError> {
        let request = CertificateSigningRequestParams::from_pem(csr).map_err(PkiError::Request)?;
        if request.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
            return Err(PkiError::Request(
                rcgen::Error::UnsupportedSignatureAlgorithm,
            ));
        }
        let life = match renews {
            true => self.lives.renewed,
            false => self.lives.long,
        };
        self.issue_agent(id, &request.public_key, life)
    }

    fn issue_agent(
        &self,
        id: AgentId,
        key: &impl PublicKeyData,
        life: i64,
    ) -> Result<Issued, PkiError> {
        let subject = format!("wpk-agent-{id}");
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        (self.now().signer()).sign_agent(key, &subject, usage, life)
    }

    /// The manager's certificate from its files; a new one where they are
    /// missing, do not fit the CA or are near their end.
    pub(crate) fn manager_certificate(&self) -> Result<ManagerCertificate, PkiError> {
        let (path, key_path) = (
            self.folder.join("manager.pem"),
            self.folder.join("manager.key"),
        );
        let authorities = self.now();
        let read = |path: &Path| files::read_text(path).map_err(PkiError::at(path));
        let load = |certificate: &str, key: &str| {
            let all = authorities.certificates();
            ManagerCertificate::load(certificate, key, &all, self.lives.renewed, &self.provider)
        };
        if let (Some(certificate), Some(key)) = (read(&path)?, read(&key_path)?) {
            match load(&certificate, &key) {
                Ok(loaded) if !loaded.is_near_its_end(now()) => return Ok(loaded),
                Ok(_) => {
                    tracing::info!(path = %path.display(), "a certificate near its end is replaced");
                }
                Err(reason) => {
                    tracing::warn!(path = %path.display(), reason, "a certificate is replaced");
                }
            }
        }
        let key = KeyPair::generate()?;
        let certificate = authorities.current.sign(
            &key,
            MANAGER_NAME,
            vec![MANAGER_NAME.to_owned()],
            ExtendedKeyUsagePurpose::ServerAuth,
            self.lives.renewed,
        )?;
        for (path, content) in [(&key_path, key.serialize_pem()), (&path, certificate.pem())] {
            files::write_private(path, content.as_bytes()).map_err(PkiError::at(path))?;
        }
        load(&certificate.pem(), &key.serialize_pem())
            .map_err(|reason| PkiError::Damaged { path, reason })
    }
}

#[cfg(test)]
mod tests;
