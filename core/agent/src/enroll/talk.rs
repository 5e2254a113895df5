//! The enrolment itself: one connection without a certificate, one message each way.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use wpk_wire::channel::{Enroll, Enrolled, MAX_PAYLOAD};
use wpk_wire::{ChannelMessage, FrameDecoder};

use super::pinned::Pinned;
use crate::settings::MANAGER_NAME;

/// For all of it.
const LIMIT: Duration = Duration::from_secs(30);

/// By what the manager is known.
pub(super) enum Trust {
    /// The SHA-256 of its CA.
    Digest([u8; 32]),
    /// Its CA.
    Authorities(Vec<CertificateDer<'static>>),
}

/// What the manager makes of the wish.
///
/// # Errors
/// In words for whoever enrolls.
pub(super) async fn enroll(address: &str, wish: Enroll, trust: &Trust) -> Result<Enrolled, String> {
    let config = config(trust)?;
    timeout(LIMIT, ask(address, wish, config))
        .await
        .map_err(|_| {
            format!(
                "{address}: no answer in {LIMIT:?}; if the token has one use it may be used up now \
                 (wpkctl agent token list)"
            )
        })?
}

fn config(trust: &Trust) -> Result<ClientConfig, String> {
    let failed = |error: rustls::Error| format!("TLS cannot be set up: {error}");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(failed)?;
    Ok(match trust {
        Trust::Digest(ca) => {
            let pinned = Pinned { ca: *ca, provider };
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(pinned))
                .with_no_client_auth()
        }
        Trust::Authorities(known) => {
            let mut roots = RootCertStore::empty();
            for one in known {
                roots.add(one.clone()).map_err(failed)?;
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
    })
}

async fn ask(address: &str, wish: Enroll, config: ClientConfig) -> Result<Enrolled, String> {
    let at = |error: &dyn Display| format!("{address}: {error}");
    let name = ServerName::try_from(MANAGER_NAME).map_err(|error| at(&error))?;
    let tcp = TcpStream::connect(address)
        .await
        .map_err(|error| format!("{address}: {error}; is the manager there, and its port open?"))?;
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector
        .connect(name, tcp)
        .await
        .map_err(|error| match &error {
            error if is_stranger(error) => format!(
                "{address}: this is not the manager that issued the token, or its CA was replaced \
                 since; ask for a fresh token there (nothing was told to it)"
            ),
            error => format!("{address}: TLS: {error}"),
        })?;
    let frame = (ChannelMessage::Enroll(wish).encode()).map_err(|error| at(&error))?;
    stream.write_all(&frame).await.map_err(|error| at(&error))?;
    stream.flush().await.map_err(|error| at(&error))?;
    let mut decoder = FrameDecoder::new(MAX_PAYLOAD);
    loop {
        if let Some(payload) = decoder.next_frame().map_err(|error| at(&error))? {
            return match ChannelMessage::decode(&payload).map_err(|error| at(&error))? {
                ChannelMessage::Enrolled(enrolled) => Ok(enrolled),
                ChannelMessage::Goodbye { reason } => {
                    let reason = reason.strip_prefix("refused: ").unwrap_or(&reason);
                    Err(format!("the manager refuses: {reason}"))
                }
                other => Err(format!("{address}: `{}` is no answer", other.name())),
            };
        }
        let read = stream.read_buf(decoder.buffer_mut()).await;
        if read.map_err(|error| at(&error))? == 0 {
            return Err(format!(
                "{address}: the manager closed the connection; its log says why"
            ));
        }
    }
}

/// Whether the other side could not prove that it is the manager.
fn is_stranger(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(
        inner,
        Some(rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature
        ))
    )
}
