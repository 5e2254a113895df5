//! Enrolment with a token as an agent does it: its key is made here, the manager is
//! known by the digest in the token, and what comes back is an [`Enrollment`] with which
//! [`ChannelAgent`] dials in.

use std::io;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use sha2::{Digest, Sha256};
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use wpk_api::Enrollment;
use wpk_wire::ChannelMessage;
use wpk_wire::channel::{Enroll, EnrollToken, PROTOCOL, Renew};

use crate::channel_agent::ChannelAgent;

/// Trusts the CA of a token that the server sends along, and no other.
#[derive(Debug)]
struct Pinned {
    ca: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let pinned = |one: &&CertificateDer<'_>| <[u8; 32]>::from(Sha256::digest(one)) == self.ca;
        let ca = (intermediates.iter().find(pinned))
            .ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone().into_owned())?;
        let provider = Arc::clone(&self.provider);
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| Error::General(error.to_string()))?
            .verify_server_cert(end_entity, &[], server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        tokio_rustls::rustls::crypto::verify_tls13_signature(message, cert, dss, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let known = &self.provider.signature_verification_algorithms;
        known.supported_schemes()
    }
}

/// TLS of an agent that has nothing but a token.
///
/// # Errors
/// Of the TLS library.
pub fn client_config(token: &EnrollToken) -> io::Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let pinned = Pinned {
        ca: token.ca,
        provider: Arc::clone(&provider),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pinned));
    Ok(config.with_no_client_auth())
}

/// A new key, and the request for its certificate, both PEM.
///
/// # Errors
/// Of the library that makes them.
pub fn request() -> io::Result<(String, String)> {
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let params = CertificateParams::default();
    let csr = params.serialize_request(&key).map_err(io::Error::other)?;
    let csr = csr.pem().map_err(io::Error::other)?;
    Ok((key.serialize_pem(), csr))
}

/// Enrolls at `address` under `name`, with the text of a token.
///
/// # Errors
/// Of the network, TLS (a manager of another CA) or the wire;
/// [`io::ErrorKind::InvalidInput`] for a text that is no token;
/// [`io::ErrorKind::ConnectionRefused`] with the manager's words where it refuses.
pub async fn enroll(address: &str, token: &str, name: &str) -> io::Result<Enrollment> {
    let (key_pem, csr) = request()?;
    let token = token
        .parse()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let wish = Enroll {
        protocol: PROTOCOL,
        token,
        name: name.to_owned(),
        csr,
        renews: false,
    };
    enroll_with(address, wish, key_pem).await
}

/// The same with a message made elsewhere; `key_pem` is that of its request.
///
/// # Errors
/// As [`enroll`].
pub async fn enroll_with(address: &str, wish: Enroll, key_pem: String) -> io::Result<Enrollment> {
    let mut agent = ChannelAgent::dial(address, client_config(&wish.token)?).await?;
    agent.send(&ChannelMessage::Enroll(wish)).await?;
    match agent.recv().await? {
        Some(ChannelMessage::Enrolled(enrolled)) => Ok(Enrollment {
            id: enrolled.agent,
            name: enrolled.name,
            key_pem,
            certificate_pem: enrolled.certificate,
            ca_pem: enrolled.ca,
            address: Some(address.to_owned()),
        }),
        Some(ChannelMessage::Goodbye { reason }) => {
            Err(io::Error::new(io::ErrorKind::ConnectionRefused, reason))
        }
        other => Err(io::Error::other(format!("no enrolment but {other:?}"))),
    }
}

/// Has the certificate of an enrolment renewed, with a new key.
///
/// # Errors
/// As [`enroll`].
pub async fn renew(enrollment: &Enrollment) -> io::Result<Enrollment> {
    let (key_pem, csr) = request()?;
    let address = enrollment.address.as_deref().unwrap_or_default();
    let config = crate::channel_agent::client_config(enrollment)?;
    let mut agent = ChannelAgent::dial(address, config).await?;
    let wish = Renew {
        protocol: PROTOCOL,
        csr,
    };
    agent.send(&ChannelMessage::Renew(wish)).await?;
    match agent.recv().await? {
        Some(ChannelMessage::Renewed(renewed)) => Ok(Enrollment {
            key_pem,
            certificate_pem: renewed.certificate,
            ..enrollment.clone()
        }),
        Some(ChannelMessage::Goodbye { reason }) => {
            Err(io::Error::new(io::ErrorKind::ConnectionRefused, reason))
        }
        other => Err(io::Error::other(format!("no renewal but {other:?}"))),
    }
}
