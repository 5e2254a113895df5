//! A small certificate authority for signing packages: makes a root, if
//! wanted intermediates, and signing certificates. For the demo, the tests
//! and administrators without a PKI of their own. Every key is 2048-bit
//! RSA: the signature field of a WPK has 256 bytes (section 8).

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber,
};
use rsa::PrivateKey;
use rsa::pkcs8::EncodePrivateKey;

use crate::error::SignerError;
use crate::file::FileError;
use crate::signer::{Signer, parse_key};

/// Size of all keys in bits.
const KEY_BITS: usize = 2048;

/// From when until when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub not_before: SystemTime,
    /// The last second.
    pub not_after: SystemTime,
}

impl Validity {
    /// From an hour ago, because clocks differ, for `days` days from now.
    #[must_use]
    pub fn days(days: u32) -> Self {
        let now = SystemTime::now();
        Self {
            not_before: now - Duration::from_secs(3600),
            not_after: now + Duration::from_secs(u64::from(days) * 86_400),
        }
    }
}

/// A private key of an authority or a signer.
pub struct SigningKey(PrivateKey);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl SigningKey {
    /// Makes a new key; takes from a fraction of a second to a few seconds.
    ///
    /// # Errors
    /// [`SignerError::Make`] when the key cannot be made.
    pub fn generate() -> Result<Self, SignerError> {
        PrivateKey::new(&mut rand::rng(), KEY_BITS)
            .map(Self)
            .map_err(|error| made("a key", &error))
    }

    /// Takes a key from PEM, PKCS#8 or PKCS#1.
    ///
    /// # Errors
    /// [`SignerError::Key`] when it is no unencrypted 2048-bit RSA key.
    pub fn from_pem(text: &[u8]) -> Result<Self, SignerError> {
        parse_key(text).map(Self)
    }

    /// The key as PEM, PKCS#8. A secret: it belongs into a file of mode 0600
    /// and nowhere else.
    ///
    /// # Errors
    /// [`SignerError::Make`] when it cannot be encoded.
    pub fn to_pem(&self) -> Result<String, SignerError> {
        let der = self
            .0
            .to_pkcs8_der()
            .map_err(|error| made("a key", &error))?;
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        Ok(pem::encode_config(
            &pem::Pem::new("PRIVATE KEY", der.as_bytes()),
            config,
        ))
    }

    /// Writes the key to a new file of mode 0600.
    ///
    /// # Errors
    /// [`SignerError::Io`] when the file exists or cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), SignerError> {
        let pem = self.to_pem()?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| FileError::new("create", path, error))?;
        file.write_all(pem.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(|error| FileError::new("write", path, error).into())
    }

    fn pair(&self) -> Result<KeyPair, SignerError> {
        let der = self
            .0
            .to_pkcs8_der()
            .map_err(|error| made("a key", &error))?;
        KeyPair::try_from(der.as_bytes()).map_err(|error| made("a key", &error))
    }
}

/// A certificate authority: a root or an intermediate.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
    /// PEM of the intermediates from this one up, without the root.
    path_pem: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("certificate", &self.certificate_pem)
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// A self-signed root CA. `name` becomes its common name.
    ///
    /// # Errors
    /// [`SignerError::Make`] when the certificate cannot be made.
    pub fn root(name: &str, validity: Validity, key: &SigningKey) -> Result<Self, SignerError> {
        let (params, pair) = (ca_params(name, validity, None), key.pair()?);
        let certificate = params
            .self_signed(&pair)
            .map_err(|error| made("a certificate", &error))?;
        let issuer = Issuer::new(params, pair);
        Ok(Self {
            issuer,
            certificate_pem: certificate.pem(),
            path_pem: String::new(),
        })
    }

    /// An intermediate CA under this one. `path_length` is the number of
    /// further CAs allowed below it; `None` for no bound.
    ///
    /// # Errors
    /// [`SignerError::Make`] when the certificate cannot be made.
    pub fn intermediate(
        &self,
        name: &str,
        validity: Validity,
        key: &SigningKey,
        path_length: Option<u8>,
    ) -> Result<Self, SignerError> {
        let (params, pair) = (ca_params(name, validity, path_length), key.pair()?);
        let certificate = params
            .signed_by(&pair, &self.issuer)
            .map_err(|error| made("a certificate", &error))?;
        let path_pem = format!("{}{}", certificate.pem(), self.path_pem);
        let issuer = Issuer::new(params, pair);
        Ok(Self {
            issuer,
            certificate_pem: certificate.pem(),
            path_pem,
        })
    }

    /// A certificate for signing packages with `key`: its PEM, followed by
    /// the intermediate CAs up to, but without, the root.
    ///
    /// # Errors
    /// [`SignerError::Make`] when the certificate cannot be made.
    pub fn signing_certificate(
        &self,
        name: &str,
        validity: Validity,
        key: &SigningKey,
    ) -> Result<String, SignerError> {
        let mut params = named(name, validity);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let certificate = params
            .signed_by(&key.pair()?, &self.issuer)
            .map_err(|error| made("a certificate", &error))?;
        Ok(format!("{}{}", certificate.pem(), self.path_pem))
    }

    /// A signing certificate together with its key, ready to build with.
    ///
    /// # Errors
    /// As [`Authority::signing_certificate`].
    pub fn signer(
        &self,
        name: &str,
        validity: Validity,
        key: &SigningKey,
    ) -> Result<Signer, SignerError> {
        let certificate = self.signing_certificate(name, validity, key)?;
        Signer::from_pem(key.to_pem()?.as_bytes(), certificate.as_bytes())
    }

    /// The authority's own certificate as PEM: what goes into `ca_store`.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }
}

fn named(name: &str, validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    // By itself it would follow from the key, and a renewed certificate
    // would carry the number of the old one.
    params.serial_number = Some(SerialNumber::from_slice(&rand::random::<[u8; 16]>()));
    params.not_before = validity.not_before.into();
    params.not_after = validity.not_after.into();
    params.use_authority_key_identifier_extension = true;
    params
}

fn ca_params(name: &str, validity: Validity, path_length: Option<u8>) -> CertificateParams {
    let mut params = named(name, validity);
    params.is_ca = IsCa::Ca(path_length.map_or(
        BasicConstraints::Unconstrained,
        BasicConstraints::Constrained,
    ));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn made(what: &'static str, error: &dyn std::fmt::Display) -> SignerError {
    SignerError::Make {
        what,
        reason: error.to_string(),
    }
}
