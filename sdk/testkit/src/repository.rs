//! A WPK repository on loopback with the layout of section 4.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha1::{Digest, Sha1};
use tempfile::TempDir;

use crate::http::{Folder, HttpServer};

/// The folder of most tests: Ubuntu agents, targets from v4.9.0 on.
pub const DEB: &str = "linux/deb/amd64";

/// A repository: a folder and the server in front of it.
pub struct Repository {
    folder: TempDir,
    /// Bytes a second; 0: as fast as can be.
    pace: Arc<AtomicU64>,
    /// The server, with its log of requests.
    pub server: HttpServer,
}

impl Repository {
    /// An empty one.
    ///
    /// # Errors
    /// Those of folders and sockets.
    pub async fn start() -> io::Result<Self> {
        let folder = TempDir::new()?;
        let pace = Arc::new(AtomicU64::new(0));
        let (files, limit) = (Folder::new(folder.path())?, Arc::clone(&pace));
        let server = HttpServer::start(move |request| {
            let mut response = files.answer(request);
            response.bytes_per_second =
                Some(limit.load(Ordering::Relaxed)).filter(|pace| *pace > 0);
            response
        });
        Ok(Self {
            folder,
            pace,
            server: server.await?,
        })
    }

    /// Sends so many bytes a second from the next request on; `None`: as fast
    /// as can be, as at first.
    pub fn set_pace(&self, bytes_per_second: Option<u64>) {
        let pace = bytes_per_second.unwrap_or(0);
        self.pace.store(pace, Ordering::Relaxed);
    }

    /// What a request writes as `wpk_repo`: `127.0.0.1:PORT/`, to be used with
    /// `use_http`.
    pub fn base(&self) -> String {
        format!("{}/", self.server.address())
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Puts a release for Debian-based amd64 agents on top of `versions`;
    /// returns its SHA-1 in hex.
    ///
    /// # Errors
    /// Those of writing files.
    pub fn publish(&self, version: &str, wpk: &[u8]) -> io::Result<String> {
        let sha1 = sha1_hex(wpk);
        self.publish_as(
            DEB,
            version,
            &format!("wazuh_agent_{version}_linux_amd64.deb.wpk"),
            wpk,
            &sha1,
        )?;
        Ok(sha1)
    }

    /// Puts a release anywhere, listed with any digest.
    ///
    /// # Errors
    /// Those of writing files.
    pub fn publish_as(
        &self,
        folder: &str,
        version: &str,
        file: &str,
        wpk: &[u8],
        sha1: &str,
    ) -> io::Result<()> {
        let folder = self.folder.path().join(folder);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(file), wpk)?;
        let versions = self.versions_of(&folder);
        let before = std::fs::read_to_string(&versions).unwrap_or_default();
        std::fs::write(versions, format!("{version} {sha1}\n{before}"))
    }

    /// The `versions` file of the usual folder.
    pub fn versions(&self) -> PathBuf {
        self.versions_of(&self.folder.path().join(DEB))
    }

    fn versions_of(&self, folder: &Path) -> PathBuf {
        folder.join("versions")
    }
}

/// The SHA-1 of some bytes as 40 hexadecimal digits.
pub fn sha1_hex(bytes: &[u8]) -> String {
    Sha1::digest(bytes)
        .iter()
        .fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
