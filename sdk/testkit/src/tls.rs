//! Certificates for servers that tests dial over TLS.

use rcgen::{BasicConstraints, CertificateParams, Error, IsCa, Issuer, KeyPair};

/// A CA and the certificate of a server signed by it, in PEM.
#[derive(Debug, Clone)]
pub struct ServerCertificate {
    /// The certificate of the CA.
    pub ca: String,
    /// The certificate of the server.
    pub certificate: String,
    /// The key of the server.
    pub key: String,
}

/// For a server of these names and addresses; `expired` years ago, or valid.
///
/// # Errors
/// A name that cannot be in a certificate.
pub fn server_certificate(names: &[&str], expired: bool) -> Result<ServerCertificate, Error> {
    let ca_key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&ca_key)?;
    let issuer = Issuer::new(params, ca_key);
    let key = KeyPair::generate()?;
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    if expired {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    }
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(ServerCertificate {
        ca: ca.pem(),
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}
