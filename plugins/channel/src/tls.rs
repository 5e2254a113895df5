//! TLS of the channel: version 1.3 only, a client certificate is one of the channel's
//! own CA (without one a connection can only enroll), sessions are not resumed (so that
//! every connection shows its certificate), and the manager's certificate can be exchanged while the
//! listener runs.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme,
};
use tokio_rustls::TlsAcceptor;
use wpk_api::BuildError;

use crate::certificate::{ManagerCertificate, end};
use crate::clock::now;

/// The manager's certificate of the moment.
pub(crate) struct Identity(RwLock<ManagerCertificate>);

impl Identity {
    /// Begins with this certificate.
    pub(crate) fn new(certificate: ManagerCertificate) -> Arc<Self> {
        Arc::new(Self(RwLock::new(certificate)))
    }

    /// Shows another one from now on.
    pub(crate) fn replace(&self, certificate: ManagerCertificate) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = certificate;
    }

    /// When it ends.
    pub(crate) fn end(&self) -> wpk_api::UnixTime {
        let certificate = self.0.read().unwrap_or_else(PoisonError::into_inner);
        certificate.not_after
    }

    /// Whether it is time to.
    pub(crate) fn is_near_its_end(&self) -> bool {
        let certificate = self.0.read().unwrap_or_else(PoisonError::into_inner);
        certificate.is_near_its_end(now())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let certificate = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&certificate.certified))
    }
}

/// Judges agents' certificates by the CAs of the moment. One that has ended is let through
/// here: what it may do is decided by [`crate::greeting`].
pub(crate) struct Judge {
    provider: Arc<CryptoProvider>,
    verifier: RwLock<Arc<dyn ClientCertVerifier>>,
    /// All our CAs have one name.
    hints: Vec<DistinguishedName>,
}

impl Judge {
    /// Begins with these CAs.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub(crate) fn new(
        authorities: &[CertificateDer<'static>],
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<Self>, String> {
        let verifier = verifier(authorities, provider)?;
        let hints = verifier.root_hint_subjects().iter().take(1).cloned();
        Ok(Arc::new(Self {
            provider: Arc::clone(provider),
            hints: hints.collect(),
            verifier: RwLock::new(verifier),
        }))
    }

    /// Trusts these from now on.
    ///
    /// # Errors
    /// One of them cannot be used; then all is as before.
    pub(crate) fn trust(&self, authorities: &[CertificateDer<'static>]) -> Result<(), String> {
        let verifier = verifier(authorities, &self.provider)?;
        *self
            .verifier
            .write()
            .unwrap_or_else(PoisonError::into_inner) = verifier;
        Ok(())
    }

    fn now(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.verifier.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn verifier(
    authorities: &[CertificateDer<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for one in authorities {
        roots.add(one.clone()).map_err(|error| error.to_string())?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        // Those that enroll have none yet; whatever else needs one is refused then.
        .allow_unauthenticated()
        .build()
        .map_err(|error| error.to_string())
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Judge")
    }
}

impl ClientCertVerifier for Judge {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verifier = self.now();
        let judged = verifier.verify_client_cert(end_entity, intermediates, now);
        let Err(Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) = judged
        else {
            return judged;
        };
        // All but its end is judged, as of its last second.
        let last = end(end_entity).and_then(|end| u64::try_from(end).ok());
        match last {
            Some(last) => {
                let then = UnixTime::since_unix_epoch(Duration::from_secs(last.saturating_sub(1)));
                verifier.verify_client_cert(end_entity, intermediates, then)
            }
            None => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.now().verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.now().verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.now().supported_verify_schemes()
    }
}

/// The listener's side of TLS.
pub(crate) fn acceptor(
    judge: Arc<Judge>,
    identity: Arc<Identity>,
) -> Result<TlsAcceptor, BuildError> {
    let failed =
        |error: &dyn fmt::Display| BuildError::Failed(format!("TLS cannot be set up: {error}"));
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&judge.provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| failed(&error))?
        .with_client_cert_verifier(judge)
        .with_cert_resolver(identity);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
