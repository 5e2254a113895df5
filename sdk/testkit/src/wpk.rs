//! Signed WPK files for tests: a CA that lasts as long as the value, and
//! packages of a few files.

use std::io;

use tempfile::TempDir;
use wpk_package::authority::{Authority, SigningKey, Validity};
use wpk_package::{BuildOptions, Signer, collect_folder};

/// A signing CA and one signer it vouches for.
pub struct SigningCa {
    ca: Authority,
    signer: Signer,
}

impl SigningCa {
    /// New keys, valid for a year.
    ///
    /// # Errors
    /// Those of making keys and certificates.
    pub fn new() -> io::Result<Self> {
        let key = || SigningKey::generate().map_err(io::Error::other);
        let year = Validity::days(365);
        let ca = Authority::root("Test signing CA", year, &key()?).map_err(io::Error::other)?;
        let signer = ca
            .signer("Test signer", year, &key()?)
            .map_err(io::Error::other)?;
        Ok(Self { ca, signer })
    }

    /// The CA's certificate, PEM: what an agent has to trust.
    pub fn certificate_pem(&self) -> &str {
        self.ca.certificate_pem()
    }

    /// The bytes of a package with these files.
    ///
    /// # Errors
    /// Those of writing files and of the package itself.
    pub fn package(&self, files: &[(&str, &[u8])]) -> io::Result<Vec<u8>> {
        let folder = TempDir::new()?;
        let content = folder.path().join("content");
        for (name, bytes) in files {
            let path = content.join(name);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(path, bytes)?;
        }
        let sources = collect_folder(&content).map_err(io::Error::other)?;
        let out = folder.path().join("package.wpk");
        let options = BuildOptions {
            level: 1,
            ..BuildOptions::default()
        };
        wpk_package::build(&sources, &self.signer, &out, &options).map_err(io::Error::other)?;
        std::fs::read(out)
    }
}
