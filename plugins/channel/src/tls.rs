//! TLS of the channel: version 1.3 only, a client certificate is one of the channel's
//! own CA (without one a connection can only enroll), sessions are not resumed (so that
//! every connection shows its certificate), and the manager's certificate can be exchanged while the
//! listener runs.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;
use wpk_api::BuildError;

use crate::certificate::ManagerCertificate;
use crate::clock::now;
use crate::pki::Authority;

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

/// The listener's side of TLS.
pub(crate) fn acceptor(
    authority: &Authority,
    identity: Arc<Identity>,
) -> Result<TlsAcceptor, BuildError> {
    let failed =
        |error: &dyn fmt::Display| BuildError::Failed(format!("TLS cannot be set up: {error}"));
    let provider = authority.provider();
    let mut roots = RootCertStore::empty();
    roots
        .add(authority.ca().clone())
        .map_err(|error| failed(&error))?;
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            // Those that enroll have none yet; whatever else needs one is refused then.
            .allow_unauthenticated()
            .build()
            .map_err(|error| failed(&error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| failed(&error))?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(identity);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
