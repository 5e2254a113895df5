//! The TLS side of the channel: version 1.3 only, this agent's certificate, and
//! no trust but in the manager's own CA. Read afresh for each connection, so
//! that an agent enrolled again needs no restart.

use std::sync::Arc;

use rustls::pki_types::{InvalidDnsNameError, ServerName};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use crate::credentials::{CredentialsError, Pair, Store};

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error("the identity cannot be used: {0}; enroll the agent again: wpk-agent enroll")]
    Tls(#[from] rustls::Error),
    #[error("channel.server_name: {0}")]
    Name(#[from] InvalidDnsNameError),
}

/// A connector that shows this certificate, and the name that the manager's must have.
pub(crate) fn connector(
    store: &Store,
    pair: &Pair,
    server_name: &str,
) -> Result<(TlsConnector, ServerName<'static>), TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in store.authorities()? {
        roots.add(certificate)?;
    }
    let shown = SingleCertAndKey::from(Arc::clone(&pair.certified));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(shown));
    let name = ServerName::try_from(server_name.to_owned())?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}
