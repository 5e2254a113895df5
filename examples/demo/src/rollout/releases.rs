//! Both releases, signed and served.

use std::fs;
use std::io;
use std::path::Path;

use wpk_package::authority::{Authority, SigningKey, Validity};
use wpk_testkit::http::HttpServer;

use crate::agents::UBUNTU;
use crate::error::DemoError;
use crate::packages::Payload;
use crate::rollout::plan::{BAD, GOOD};
use crate::scratch::Scratch;

/// Bytes of the program's rules: forty agents get them twice at most.
const RULES: usize = 512 << 10;

/// A running repository, and whom its packages can be checked by.
pub(crate) struct Releases {
    server: HttpServer,
    ca_pem: String,
}

impl Releases {
    /// Makes the CA and the packages, and serves them.
    pub(crate) async fn publish(scratch: &Scratch) -> Result<Self, DemoError> {
        let folder = scratch.path("repository");
        let payloads = scratch.path("payloads");
        // Keys and packages are work for a processor, not for an event loop.
        let made = tokio::task::spawn_blocking({
            let folder = folder.clone();
            move || fill(&folder, &payloads)
        });
        let ca_pem = made
            .await
            .map_err(|error| DemoError::io("making the packages", io::Error::other(error)))??;
        let server = HttpServer::start_folder(&folder)
            .await
            .map_err(|source| DemoError::io("the repository cannot be served", source))?;
        Ok(Self { server, ca_pem })
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// The CA certificate that the agents trust, PEM.
    pub(crate) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }
}

/// Fills the repository. Returns the certificate of the CA.
fn fill(folder: &Path, payloads: &Path) -> Result<String, DemoError> {
    let key = SigningKey::generate;
    let year = Validity::days(365);
    let ca = Authority::root("Demo signing CA", year, &key()?)?;
    let signer = ca.signer("Demo release signer", year, &key()?)?;
    let place = folder.join(UBUNTU.folder);
    fs::create_dir_all(&place)
        .map_err(|source| DemoError::io(place.display().to_string(), source))?;
    for release in [&GOOD, &BAD] {
        let folder = payloads.join(release.name);
        let payload = Payload::write(&folder, release.version, RULES, release.works)
            .map_err(|source| DemoError::io("writing a program", source))?;
        payload.pack(&signer, &place, &UBUNTU, release.version)?;
    }
    Ok(ca.certificate_pem().to_owned())
}
