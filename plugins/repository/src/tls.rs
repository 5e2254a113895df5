//! Whom the client trusts: the system's CAs, and what `ca_file` holds. `client`
//! enters here.
//!
//! Two sorts of certificates lie in such files: that of a CA, and that of a server
//! that signed itself. `openssl req -x509` makes the second with the mark of a CA,
//! which no server may have in the eyes of a chain's verifier. It was named to be
//! trusted, byte for byte, so it is ([`Named`]); that it is in time and bears the
//! host's name is looked at all the same.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use wpk_api::BuildError;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::causes::causes;

/// The largest file of CA certificates.
const MAX_CA_FILE: u64 = 16 << 20;
/// In the error for a certificate without a name that counts.
pub(crate) const NO_NAMES: &str = "certificate is not valid for any names";
/// What to do then.
pub(crate) const MAKE_GOOD: &str = "the server's certificate has no subjectAltName, and its CN does \
     not count; make one with: openssl req -x509 -newkey rsa:3072 -nodes -days 825 -subj /CN=HOST \
     -addext subjectAltName=DNS:HOST -keyout server.key -out server.pem (IP:ADDRESS instead of \
     DNS:HOST for an address), and name server.pem in ca_file";

/// TLS 1.2 and 1.3, certificates always verified: by the system's roots and `ca_file`.
///
/// # Errors
/// [`BuildError::Failed`] if `ca_file` cannot be used.
pub(crate) fn client(ca_file: Option<&Path>) -> Result<ClientConfig, BuildError> {
    let mut roots = rustls::RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(error = %causes(error), "some of the system's CA certificates cannot be read");
    }
    roots.add_parsable_certificates(system.certs);
    let mut named = Vec::new();
    if let Some(path) = ca_file {
        let failed = |what: String| {
            BuildError::Failed(format!(
                "ca_file {}: {what}; it must hold certificates in PEM, of CAs or of the server itself",
                path.display()
            ))
        };
        named = certificates(path).map_err(failed)?;
        for certificate in &named {
            let added = roots.add(certificate.clone());
            added.map_err(|error| failed(error.to_string()))?;
        }
    }
    if roots.is_empty() {
        tracing::warn!("no CA certificate is known: only http:// repositories will work");
    }
    // Named here and not left to a process-wide default, which another library
    // in the process could set or leave unset.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let unusable = |error: &dyn std::fmt::Display| {
        BuildError::Failed(format!("TLS cannot be set up: {error}"))
    };
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| unusable(&error))?;
    if named.is_empty() {
        return Ok(builder.with_root_certificates(roots).with_no_client_auth());
    }
    let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| unusable(&error))?;
    let verifier = Arc::new(Named { chains, named });
    let config = builder
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    Ok(config.with_no_client_auth())
}

/// What a file of certificates holds; at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let meta = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !meta.is_file() {
        return Err("it is no file".to_owned());
    }
    if meta.len() > MAX_CA_FILE {
        return Err("it is larger than 16 MiB".to_owned());
    }
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if found.is_empty() => Err("no certificate in it".to_owned()),
        Ok(found) => Ok(found),
        Err(error) => Err(error.to_string()),
    }
}

/// Trusts chains up to the roots, and the very certificates of `ca_file`.
#[derive(Debug)]
struct Named {
    chains: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chained = self.chains.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        if chained.is_ok() || !self.named.contains(end_entity) {
            return chained;
        }
        in_time(end_entity, now)?;
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

fn in_time(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let (_, read) = X509Certificate::from_der(certificate)
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let validity = read.validity();
    if now < validity.not_before.timestamp() {
        return Err(Error::InvalidCertificate(CertificateError::NotValidYet));
    }
    if now > validity.not_after.timestamp() {
        return Err(Error::InvalidCertificate(CertificateError::Expired));
    }
    Ok(())
}
