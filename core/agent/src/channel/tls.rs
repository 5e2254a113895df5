//! The TLS side of the channel: version 1.3 only, this agent's certificate, and
//! no trust but in the manager's own CA. Read afresh for each connection, so
//! that an agent enrolled again needs no restart.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use crate::settings::ChannelSettings;

/// A PEM file longer than this, in bytes, is none of ours.
const LONGEST: u64 = 256 * 1024;

/// Why there is no TLS. Enrolling the agent again mends all of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error("{path}: {source}; enroll the agent again")]
    File { path: PathBuf, source: io::Error },
    #[error("{path}: {reason}; enroll the agent again")]
    Pem { path: PathBuf, reason: String },
    #[error("certificate and key cannot be used: {0}; enroll the agent again")]
    Tls(#[from] rustls::Error),
}

/// A connector, and the name that the manager's certificate must have.
pub(super) fn connector(
    settings: &ChannelSettings,
) -> Result<(TlsConnector, ServerName<'static>), TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&settings.ca)? {
        roots.add(certificate)?;
    }
    let chain = certificates(&settings.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&read(&settings.key)?)
        .map_err(|error| bad(&settings.key, error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)?;
    let name = ServerName::try_from(settings.server_name.clone())
        .map_err(|error| bad(Path::new(&settings.server_name), error))?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}

fn bad(path: &Path, reason: impl ToString) -> TlsError {
    TlsError::Pem {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let found = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad(path, error))?;
    if found.is_empty() {
        Err(bad(path, "holds no certificate"))
    } else {
        Ok(found)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let fail = |source| TlsError::File {
        path: path.to_owned(),
        source,
    };
    let size = std::fs::metadata(path).map_err(fail)?.len();
    if size > LONGEST {
        return Err(bad(
            path,
            format!("has {size} bytes, too many for certificates or a key"),
        ));
    }
    std::fs::read(path).map_err(fail)
}
