//! The certificates of the channel: a CA of its own, created on first start;
//! the manager's certificate, renewed before it ends; one certificate per agent.
//!
//! Keys are ECDSA P-256, in PKCS#8 PEM files of mode 0600 in a folder of mode
//! 0700. What an agent may do follows from the registry, not from what its
//! certificate says: the subject is for people who read certificates.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use wpk_api::{AgentId, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::files;

/// The DNS name in the manager's certificate, which every agent verifies
/// however it reached the manager.
pub const MANAGER_NAME: &str = "wpkd-manager";

const CA_NAME: &str = "wpkd agent channel CA";
/// The CA outlives whatever it signs; agents hold it as their trust anchor.
const CA_DAYS: u32 = 36_500;
/// Certificates are valid from a little before now: clocks differ.
const CLOCK_SKEW: i64 = 86_400;
const DAY: i64 = 86_400;

/// SHA-256 over a certificate in DER form: who an agent is.
pub(crate) type Fingerprint = [u8; 32];

/// The fingerprint of a certificate.
pub(crate) fn fingerprint(certificate: &[u8]) -> Fingerprint {
    Sha256::digest(certificate).into()
}

/// Seconds since 1970 on this machine's clock.
pub(crate) fn now() -> UnixTime {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    // Beyond the year 2200 certificate dates could overflow; no clock is there.
    i64::try_from(seconds).unwrap_or(0).min(7_258_118_400)
}

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
    #[error("the new certificate cannot be used for TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// What an agent gets when it is enrolled.
pub(crate) struct Issued {
    pub(crate) key_pem: String,
    pub(crate) certificate_pem: String,
    pub(crate) fingerprint: Fingerprint,
}

/// The certificate the manager shows to agents.
pub(crate) struct ManagerCertificate {
    pub(crate) certified: Arc<CertifiedKey>,
    not_after: UnixTime,
    days: u32,
}

impl ManagerCertificate {
    /// Whether it is time for the next one: the last third of its life, at most
    /// the last 30 days.
    pub(crate) fn is_near_its_end(&self, now: UnixTime) -> bool {
        let margin = (i64::from(self.days) * DAY / 3).min(30 * DAY);
        self.not_after - now < margin
    }
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
                tracing::info!("made a new CA for agents in {}", folder.display());
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

    /// A key and certificate for an agent.
    pub(crate) fn issue_agent(&self, id: AgentId) -> Result<Issued, PkiError> {
        let key = KeyPair::generate()?;
        let certificate = self.sign(
            &key,
            format!("wpk-agent-{id}"),
            Vec::new(),
            ExtendedKeyUsagePurpose::ClientAuth,
        )?;
        Ok(Issued {
            key_pem: key.serialize_pem(),
            certificate_pem: certificate.pem(),
            fingerprint: fingerprint(certificate.der()),
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
                Ok(_) => tracing::info!("{} is near its end: made a new one", path.display()),
                Err(reason) => {
                    tracing::warn!("{} was replaced by a new one: {reason}", path.display());
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
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|e| text(&e))?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|e| text(&e))?;
        let not_after = {
            let (_, parsed) = X509Certificate::from_der(&der).map_err(|e| text(&e))?;
            let (_, ca) = X509Certificate::from_der(&self.ca).map_err(|e| text(&e))?;
            parsed
                .verify_signature(Some(ca.public_key()))
                .map_err(|_| "it was signed by another CA".to_owned())?;
            parsed.validity().not_after.timestamp()
        };
        // `from_der` of rustls also compares the key with the certificate.
        let certified =
            CertifiedKey::from_der(vec![der], key, &self.provider).map_err(|e| text(&e))?;
        Ok(ManagerCertificate {
            certified: Arc::new(certified),
            not_after,
            days: self.days,
        })
    }

    fn sign(
        &self,
        key: &KeyPair,
        subject: String,
        dns_names: Vec<String>,
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<Certificate, PkiError> {
        let mut params = CertificateParams::new(dns_names)?;
        params.distinguished_name = common_name(&subject);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, self.days);
        Ok(params.signed_by(key, &self.issuer)?)
    }
}

fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(CA_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, CA_DAYS);
    params
}

fn common_name(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

fn set_validity(params: &mut CertificateParams, days: u32) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let now = now();
    let from_epoch = |at: i64| Duration::from_secs(u64::try_from(at).unwrap_or(0));
    params.not_before = epoch + from_epoch(now - CLOCK_SKEW);
    params.not_after = epoch + from_epoch(now + i64::from(days) * DAY);
}

/// The certificate in `pem` if it is the one that was made for `key`.
fn own_certificate(pem: &str, key: &KeyPair) -> Result<CertificateDer<'static>, String> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| error.to_string())?;
    let (_, parsed) = X509Certificate::from_der(&der).map_err(|error| error.to_string())?;
    if parsed.subject().to_string() != format!("CN={CA_NAME}") {
        return Err(format!("its subject is not {CA_NAME:?}"));
    }
    if parsed.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
        return Err("it does not belong to ca.key".to_owned());
    }
    Ok(der)
}

#[cfg(test)]
mod tests {
    use super::*;
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
