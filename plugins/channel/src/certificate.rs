//! What the channel's certificates look like: names, purposes, how long they are
//! valid, and by what an agent is known. What an agent may do follows from the
//! registry, not from what its certificate says: the subject is for people who
//! read certificates.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use wpk_api::UnixTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::clock::now;

/// The DNS name in the manager's certificate, which every agent verifies
/// however it reached the manager.
pub const MANAGER_NAME: &str = "wpkd-manager";

const CA_NAME: &str = "wpkd agent channel CA";
/// The CA outlives whatever it signs; agents hold it as their trust anchor.
const CA_DAYS: i64 = 36_500;
pub(crate) const DAY: i64 = 86_400;
/// Certificates are valid from a little before now: clocks differ. One that lives shorter
/// begins a tenth of its life before.
const CLOCK_SKEW: i64 = DAY;
/// An agent that does not renew its certificate is given one for so long, at least.
const LONG_LIFE: i64 = 3_650 * DAY;

/// How long certificates are valid, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lives {
    /// Those that are renewed.
    pub(crate) renewed: i64,
    /// Those that nobody renews.
    pub(crate) long: i64,
}

impl Lives {
    pub(crate) fn new(renewed: Duration) -> Self {
        let renewed = i64::try_from(renewed.as_secs()).unwrap_or(i64::MAX);
        Self {
            renewed,
            long: LONG_LIFE.max(renewed),
        }
    }
}

/// SHA-256 over a certificate in DER form: who an agent is.
pub(crate) type Fingerprint = [u8; 32];

/// The fingerprint of a certificate.
pub(crate) fn fingerprint(certificate: &[u8]) -> Fingerprint {
    Sha256::digest(certificate).into()
}

/// When a certificate (DER) ends; `None` where it cannot be read.
pub(crate) fn end(certificate: &[u8]) -> Option<UnixTime> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(parsed.validity().not_after.timestamp())
}

/// A certificate that was made for an agent.
pub(crate) struct Issued {
    pub(crate) certificate_pem: String,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) not_after: UnixTime,
    /// Of the CA.
    pub(crate) issuer: Fingerprint,
}

/// The certificate the manager shows to agents.
pub(crate) struct ManagerCertificate {
    pub(crate) certified: Arc<CertifiedKey>,
    pub(crate) not_after: UnixTime,
    life: i64,
}

impl ManagerCertificate {
    /// Whether it is time for the next one: the last third of its life, at most
    /// the last 30 days.
    pub(crate) fn is_near_its_end(&self, now: UnixTime) -> bool {
        let margin = (self.life / 3).min(30 * DAY);
        self.not_after - now < margin
    }

    /// Reads certificate and key (PEM), which must belong together and be the
    /// work of the first of `authorities`; `life` is how long such certificates are made
    /// for, in seconds.
    ///
    /// # Errors
    /// Why they cannot be used.
    pub(crate) fn load(
        certificate: &str,
        key: &str,
        authorities: &[CertificateDer<'static>],
        life: i64,
        provider: &CryptoProvider,
    ) -> Result<Self, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|e| text(&e))?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|e| text(&e))?;
        let not_after = {
            let (_, parsed) = X509Certificate::from_der(&der).map_err(|e| text(&e))?;
            let ca = authorities.first().map_or(&[][..], |ca| ca);
            let (_, ca) = X509Certificate::from_der(ca).map_err(|e| text(&e))?;
            parsed
                .verify_signature(Some(ca.public_key()))
                .map_err(|_| "it was signed by another CA".to_owned())?;
            parsed.validity().not_after.timestamp()
        };
        // `from_der` of rustls also compares the key with the certificate.
        // The CAs go along for those that enroll, who know nothing but a digest.
        let chain = [&[der], authorities].concat();
        let certified = CertifiedKey::from_der(chain, key, provider).map_err(|e| text(&e))?;
        Ok(Self {
            certified: Arc::new(certified),
            not_after,
            life,
        })
    }
}

/// What the CA's certificate says.
pub(crate) fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(CA_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, CA_DAYS * DAY);
    params
}

/// What a certificate says that the CA signs.
pub(crate) fn own_params(
    subject: &str,
    dns_names: Vec<String>,
    usage: ExtendedKeyUsagePurpose,
    life: i64,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(dns_names)?;
    params.distinguished_name = common_name(subject);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    set_validity(&mut params, life);
    Ok(params)
}

fn common_name(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

fn set_validity(params: &mut CertificateParams, life: i64) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let now = now();
    let from_epoch = |at: i64| Duration::from_secs(u64::try_from(at).unwrap_or(0));
    params.not_before = epoch + from_epoch(now - if life < DAY { life / 10 } else { CLOCK_SKEW });
    params.not_after = epoch + from_epoch(now.saturating_add(life));
}

/// The CA certificate in `pem` if it is the one that was made for `key`.
pub(crate) fn own_certificate(pem: &str, key: &KeyPair) -> Result<CertificateDer<'static>, String> {
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
