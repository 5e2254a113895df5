//! The channel's own CA, created on first start: it keeps its files and issues the
//! manager's certificate, renewed before it ends, and one certificate per agent.
//! What they look like is told by `certificate`.
//!
//! Keys are ECDSA P-256, in PKCS#8 PEM files of mode 0600 in a folder of mode
//! 0700.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    Certificate, CertificateSigningRequestParams, ExtendedKeyUsagePurpose, Issuer, KeyPair,
    PKCS_ECDSA_P256_SHA256, PublicKeyData,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use wpk_api::AgentId;

use crate::certificate::{
    Issued, MANAGER_NAME, ManagerCertificate, ca_params, end, fingerprint, own_certificate,
    own_params,
};
use crate::clock::now;
use crate::files;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PkiError {
    #[error(
        "{path}: {error}; it must be a file or folder that the daemon's user may read and write"
    )]
    File { path: PathBuf, error: io::Error },
    #[error(
        "{path} is readable by others (mode {mode:03o}): run `chmod 0600` on it; if a stranger could \
         read it, delete the folder and enroll all agents again"
    )]
    TooOpen { path: PathBuf, mode: u32 },
    #[error("{path} cannot be used: {reason}; put it back from a backup")]
    Damaged { path: PathBuf, reason: String },
    #[error(
        "{0} is there but its key ca.key is not: put it back from a backup, or delete the folder and enroll all agents again"
    )]
    NoKey(PathBuf),
    #[error("making a certificate failed: {0}")]
    Making(#[from] rcgen::Error),
    #[error("the request for a certificate cannot be used: {0}; an ECDSA P-256 key is expected")]
    Request(rcgen::Error),
    #[error("the new certificate cannot be used for TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// The CA.
pub(crate) struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    ca_pem: String,
    ca: CertificateDer<'static>,
    days: u32,
    provider: Arc<CryptoProvider>,
}

impl Authority {
    /// Opens the CA in `folder`, or makes one where there is none.
    pub(crate) fn open(
        folder: &Path,
        days: u32,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, PkiError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| PkiError::File { path, error }
        };
        files::private_folder(folder).map_err(at(folder))?;
        let (key_path, path) = (folder.join("ca.key"), folder.join("ca.pem"));
        let certificate = files::read_text(&path).map_err(at(&path))?;
        let key = match files::read_text(&key_path).map_err(at(&key_path))? {
            Some(pem) => {
                if let Some(mode) = files::too_open(&key_path).map_err(at(&key_path))? {
                    return Err(PkiError::TooOpen {
                        path: key_path,
                        mode,
                    });
                }
                KeyPair::from_pem(&pem).map_err(|error| PkiError::Damaged {
                    path: key_path,
                    reason: error.to_string(),
                })?
            }
            None if certificate.is_some() => return Err(PkiError::NoKey(path)),
            None => {
                let key = KeyPair::generate()?;
                files::write_private(&key_path, key.serialize_pem().as_bytes())
                    .map_err(at(&key_path))?;
                tracing::info!(folder = %folder.display(), "made a new CA for agents");
                key
            }
        };
        let params = ca_params();
        // The key is written first: after a crash in between, the certificate
        // is made again for the same key and name, and means the same.
        let (ca_pem, ca) = match certificate {
            Some(pem) => {
                let ca = own_certificate(&pem, &key)
                    .map_err(|reason| PkiError::Damaged { path, reason })?;
                (pem, ca)
            }
            None => {
                let made = params.self_signed(&key)?;
                let pem = made.pem();
                files::write_private(&path, pem.as_bytes()).map_err(at(&path))?;
                (pem, CertificateDer::from(made))
            }
        };
        Ok(Self {
            folder: folder.to_owned(),
            issuer: Issuer::new(params, key),
            ca_pem,
            ca,
            days,
            provider,
        })
    }

    /// The CA's certificate, PEM.
    pub(crate) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The CA's certificate, DER.
    pub(crate) fn ca(&self) -> &CertificateDer<'static> {
        &self.ca
    }

    /// The provider of cryptography in use.
    pub(crate) fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }

    /// A certificate for an agent whose key the manager made.
    pub(crate) fn issue_for_key(&self, id: AgentId, key: &KeyPair) -> Result<Issued, PkiError> {
        self.issue_agent(id, key)
    }

    /// A certificate for an agent that made its key itself and asks with this request
    /// (PKCS#10, PEM). Nothing but the key in it counts.
    pub(crate) fn issue_for_request(&self, id: AgentId, csr: &str) -> Result<Issued, PkiError> {
        let request = CertificateSigningRequestParams::from_pem(csr).map_err(PkiError::Request)?;
        if request.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
            return Err(PkiError::Request(
                rcgen::Error::UnsupportedSignatureAlgorithm,
            ));
        }
        self.issue_agent(id, &request.public_key)
    }

    fn issue_agent(&self, id: AgentId, key: &impl PublicKeyData) -> Result<Issued, PkiError> {
        let certificate = self.sign(
            key,
            format!("wpk-agent-{id}"),
            Vec::new(),
            ExtendedKeyUsagePurpose::ClientAuth,
        )?;
        Ok(Issued {
            certificate_pem: certificate.pem(),
            fingerprint: fingerprint(certificate.der()),
            not_after: end(certificate.der()).unwrap_or_default(),
        })
    }

    /// The manager's certificate from its files; a new one where they are
    /// missing, do not fit the CA or are near their end.
    pub(crate) fn manager_certificate(&self) -> Result<ManagerCertificate, PkiError> {
        let (path, key_path) = (
            self.folder.join("manager.pem"),
            self.folder.join("manager.key"),
        );
        let read = |path: &Path| {
            files::read_text(path).map_err(|error| PkiError::File {
                path: path.to_owned(),
                error,
            })
        };
        if let (Some(certificate), Some(key)) = (read(&path)?, read(&key_path)?) {
            match self.load_manager(&certificate, &key) {
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
        let certificate = self.sign(
            &key,
            MANAGER_NAME.to_owned(),
            vec![MANAGER_NAME.to_owned()],
            ExtendedKeyUsagePurpose::ServerAuth,
        )?;
        for (path, content) in [(&key_path, key.serialize_pem()), (&path, certificate.pem())] {
            files::write_private(path, content.as_bytes()).map_err(|error| PkiError::File {
                path: path.clone(),
                error,
            })?;
        }
        self.load_manager(&certificate.pem(), &key.serialize_pem())
            .map_err(|reason| PkiError::Damaged { path, reason })
    }

    fn load_manager(&self, certificate: &str, key: &str) -> Result<ManagerCertificate, String> {
        ManagerCertificate::load(certificate, key, &self.ca, self.days, &self.provider)
    }

    fn sign(
        &self,
        key: &impl PublicKeyData,
        subject: String,
        dns_names: Vec<String>,
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<Certificate, PkiError> {
        let params = own_params(&subject, dns_names, usage, self.days)?;
        Ok(params.signed_by(key, &self.issuer)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::DAY;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    fn open(folder: &Path, days: u32) -> Result<Authority, PkiError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Authority::open(folder, days, provider)
    }

    #[test]
    fn the_ca_and_the_manager_stay_the_same_over_restarts() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("etc/channel");
        let first = open(&folder, 100).unwrap();
        let certificate = first.manager_certificate().unwrap();
        let second = open(&folder, 100).unwrap();
        assert_eq!(first.ca_pem(), second.ca_pem());
        assert_eq!(
            certificate.certified.cert,
            second.manager_certificate().unwrap().certified.cert
        );
    }

    #[test]
    fn a_lost_ca_certificate_is_made_again_for_the_same_key() {
        let home = tempfile::tempdir().unwrap();
        let first = open(home.path(), 100).unwrap();
        first.manager_certificate().unwrap();
        let before = fs::read(home.path().join("manager.pem")).unwrap();
        fs::remove_file(home.path().join("ca.pem")).unwrap();
        open(home.path(), 100)
            .unwrap()
            .manager_certificate()
            .unwrap();
        assert_eq!(before, fs::read(home.path().join("manager.pem")).unwrap());
    }

    #[test]
    fn a_manager_certificate_near_its_end_or_of_another_ca_is_renewed() {
        let home = tempfile::tempdir().unwrap();
        let authority = open(home.path(), 90).unwrap();
        let certificate = authority.manager_certificate().unwrap();
        assert!(!certificate.is_near_its_end(now()));
        assert!(!certificate.is_near_its_end(now() + 59 * DAY));
        assert!(certificate.is_near_its_end(now() + 61 * DAY));

        let other = tempfile::tempdir().unwrap();
        open(other.path(), 90)
            .unwrap()
            .manager_certificate()
            .unwrap();
        for name in ["manager.pem", "manager.key"] {
            fs::copy(other.path().join(name), home.path().join(name)).unwrap();
        }
        let foreign = fs::read(home.path().join("manager.pem")).unwrap();
        authority.manager_certificate().unwrap();
        assert_ne!(foreign, fs::read(home.path().join("manager.pem")).unwrap());
    }

    #[test]
    fn what_cannot_be_trusted_is_refused() {
        let home = tempfile::tempdir().unwrap();
        open(home.path(), 100).unwrap();
        let key = home.path().join("ca.key");
        fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            open(home.path(), 100),
            Err(PkiError::TooOpen { mode: 0o644, .. })
        ));

        let other = tempfile::tempdir().unwrap();
        open(other.path(), 100).unwrap();
        fs::copy(other.path().join("ca.key"), &key).unwrap();
        fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        let error = open(home.path(), 100).err().unwrap().to_string();
        assert!(error.contains("does not belong to ca.key"), "{error}");

        fs::remove_file(&key).unwrap();
        assert!(matches!(open(home.path(), 100), Err(PkiError::NoKey(_))));
    }
}
