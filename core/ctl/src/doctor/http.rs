//! Asks a repository over HTTP as the daemon does: the configured proxy and CA,
//! certificates always verified, nothing from the environment. A failure is
//! told with its cause and what helps.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// How many redirects are followed, one after the other.
const MAX_REDIRECTS: usize = 5;
/// How long it may take to reach the server, and to wait for more bytes.
const WITHIN: Duration = Duration::from_secs(15);
/// The largest file of CA certificates, in bytes.
const MAX_CA_FILE: u64 = 16 << 20;

/// Why there is no good answer, and what to do.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) cause: String,
    pub(super) advice: &'static str,
}

impl Failure {
    fn new(cause: impl Into<String>, advice: &'static str) -> Self {
        Self {
            cause: cause.into(),
            advice,
        }
    }
}

/// The client of one repository.
///
/// # Errors
/// A CA file or a proxy that cannot be used.
pub(super) fn client(ca_file: Option<&Path>, proxy: Option<&str>) -> Result<Client, Failure> {
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls(ca_file)?)
        .user_agent(concat!("wpkctl/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(WITHIN)
        .read_timeout(WITHIN)
        .referer(false)
        .redirect(Policy::custom(|attempt| {
            let secure = attempt.previous().iter().any(|url| url.scheme() == "https");
            if attempt.previous().len() > MAX_REDIRECTS {
                attempt.error("more than 5 redirects")
            } else if secure && attempt.url().scheme() != "https" {
                attempt.error("a redirect leads from https to http")
            } else {
                attempt.follow()
            }
        }))
        .no_proxy();
    if let Some(proxy) = proxy {
        let proxy = reqwest::Proxy::all(proxy)
            .map_err(|error| Failure::new(causes(&error.without_url()), "correct proxy"))?;
        builder = builder.proxy(proxy);
    }
    builder
        .build()
        .map_err(|error| Failure::new(causes(&error.without_url()), ""))
}

/// As the repository provider has it: TLS 1.2 and 1.3, the system's CAs and `ca_file`.
fn tls(ca_file: Option<&Path>) -> Result<rustls::ClientConfig, Failure> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        let failed = |what: &str| {
            let cause = format!("ca_file {}: {what}", path.display());
            Failure::new(cause, "name a file of CA certificates in PEM")
        };
        for certificate in ca_certificates(path).map_err(|what| failed(&what))? {
            roots
                .add(certificate)
                .map_err(|error| failed(&error.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| Failure::new(format!("TLS cannot be set up: {error}"), ""))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn ca_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let size = path.metadata().map_err(|error| error.to_string())?.len();
    if size > MAX_CA_FILE {
        return Err("it is larger than 16 MiB".to_owned());
    }
    let text = std::fs::read(PathBuf::from(path)).map_err(|error| error.to_string())?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| error.to_string())?;
    if found.is_empty() {
        return Err("no certificate in it".to_owned());
    }
    Ok(found)
}

/// Asks for `url`; the answer's body is still to come.
///
/// # Errors
/// No connection, no TLS, or a status that is no success.
pub(super) async fn get(client: &Client, url: &str) -> Result<Response, Failure> {
    let response = client.get(url).send().await.map_err(failure)?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let advice = match status.as_u16() {
        401 | 403 | 407 => "the server does not let us in: check its rules and the proxy",
        404 => "there is no such path: check url and the platform",
        _ => "look into the server's log",
    };
    Err(Failure::new(format!("HTTP {status}"), advice))
}

/// The next bytes of a body; `None` at its end.
///
/// # Errors
/// A body that breaks off.
pub(super) async fn chunk(response: &mut Response) -> Result<Option<impl AsRef<[u8]>>, Failure> {
    response.chunk().await.map_err(failure)
}

fn failure(error: reqwest::Error) -> Failure {
    let connect = error.is_connect();
    let timed_out = error.is_timeout();
    let text = causes(&error.without_url());
    let advice = if text.contains("UnknownIssuer") {
        "the server's CA is not trusted here: name its certificate in ca_file"
    } else if text.contains("certificate") {
        "the server's certificate must be renewed, or url names another host than it"
    } else if text.contains("dns") || text.contains("lookup") {
        "the host's name cannot be resolved: check url and the machine's name servers"
    } else if connect || timed_out {
        "check url, the firewall and proxy"
    } else {
        "look into the server's log"
    };
    Failure::new(text, advice)
}

/// An error and what caused it, in one line.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let part = error.to_string();
        // Many errors repeat what their cause says.
        if !text.contains(&part) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&part);
        }
        next = error.source();
    }
    text
}
