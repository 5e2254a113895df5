//! What the agent says of itself in its Hello: operating system and version,
//! read afresh at each connect, because upgrades change them.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use wpk_wire::Hello;
use wpk_wire::channel::{MOST_CAS, PROTOCOL};

use crate::credentials::{Store, hexadecimal};
use crate::platform::files;
use crate::settings::AgentSettings;

const OS_RELEASE: &str = "/etc/os-release";
/// A version file or `os-release` is read up to here, in bytes.
const LONGEST: u64 = 64 * 1024;
/// What the channel takes of a single text, in bytes.
const LONGEST_TEXT: usize = 256;

/// The version cannot be told.
#[derive(Debug, thiserror::Error)]
#[error(
    "the agent's version cannot be told: {path}: {reason}; put a line such as v4.14.0 there, or set agent.version"
)]
pub(crate) struct NoVersion {
    path: PathBuf,
    reason: String,
}

/// Where it all comes from.
#[derive(Debug)]
pub(crate) struct Identity {
    settings: AgentSettings,
    default_file: PathBuf,
    os_release: PathBuf,
    /// The last version that could be told.
    last: Mutex<Option<String>>,
}

impl Identity {
    pub(crate) fn new(home: &Path, settings: &AgentSettings) -> Self {
        Self {
            settings: settings.clone(),
            default_file: home.join("VERSION"),
            os_release: PathBuf::from(OS_RELEASE),
            last: Mutex::new(None),
        }
    }

    /// The settings that count now.
    pub(crate) fn renew(&mut self, settings: &AgentSettings) {
        self.settings = settings.clone();
    }

    /// The version as of now, `v` in front.
    pub(crate) fn version(&self) -> Result<String, NoVersion> {
        let settings = &self.settings;
        let path = match (&settings.version_file, &settings.version) {
            (None, Some(version)) => return Ok(with_v(version)),
            (Some(path), _) => path,
            (None, None) => &self.default_file,
        };
        match (first_line(path), &settings.version) {
            (Ok(line), _) => Ok(with_v(&line)),
            (Err(_), Some(version)) => Ok(with_v(version)),
            (Err(reason), None) => Err(NoVersion {
                path: path.clone(),
                reason,
            }),
        }
    }

    /// The version to greet with. One that cannot be told keeps nobody from the channel,
    /// by which alone it can be mended: it is the last known then, or empty.
    pub(crate) fn version_or_last(&self) -> String {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match self.version() {
            Ok(version) => last.insert(version).clone(),
            Err(error) => {
                let told = last.clone().unwrap_or_default();
                tracing::error!("{error}; until then the manager is told {told:?}");
                told
            }
        }
    }

    /// The whole Hello, with that version and the CAs that are trusted.
    pub(crate) fn hello(&self, version: &str, store: &Store) -> Hello {
        let authorities = store.authorities().unwrap_or_default();
        let trusts = authorities.iter().map(|one| hexadecimal(one));
        let os = read(&self.os_release).unwrap_or_default();
        let of_os = |key| os_value(&os, key);
        let settings = &self.settings;
        let number = of_os("VERSION_ID").unwrap_or_default();
        let mut parts = number
            .split('.')
            .filter(|part| !part.is_empty())
            .map(str::to_owned);
        let (major, minor) = (parts.next(), parts.next());
        let or = |set: &Option<String>, found: Option<String>| set.clone().or(found).map(clean);
        Hello {
            protocol: PROTOCOL,
            platform: or(&settings.platform, of_os("ID")).unwrap_or_else(|| "linux".to_owned()),
            os_version: or(&settings.os_version, of_os("VERSION")),
            os_major: or(&settings.os_major, major),
            os_minor: or(&settings.os_minor, minor),
            arch: or(&settings.arch, Some(std::env::consts::ARCH.to_owned())),
            version: clean(version.to_owned()),
            names_tasks: true,
            renews: true,
            trusts: trusts.take(MOST_CAS).collect(),
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = Vec::new();
    // The open of a pipe would wait for a writer for ever.
    let file = files::unblocked(0).read(true).open(path)?;
    file.take(LONGEST).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn first_line(path: &Path) -> Result<String, String> {
    let text = read(path).map_err(|error| error.to_string())?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        Err("its first line is empty".to_owned())
    } else {
        Ok(line.to_owned())
    }
}

fn with_v(version: &str) -> String {
    let version = version.trim();
    if version.starts_with(|c: char| c.is_ascii_digit()) {
        format!("v{version}")
    } else {
        version.to_owned()
    }
}

fn os_value(text: &str, key: &str) -> Option<String> {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    let value = value.trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| value.to_owned())
}

/// A text that every peer accepts: no control characters, not too long.
fn clean(text: String) -> String {
    let mut out = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if out.len() + c.len_utf8() > LONGEST_TEXT {
            break;
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nowhere() -> Store {
        let path = PathBuf::from("/nonexistent");
        Store {
            ca: path.clone(),
            certificate: path.clone(),
            key: path,
        }
    }

    #[test]
    fn the_version_is_that_of_the_moment() {
        let dir = tempfile::tempdir().unwrap();
        let mut identity = Identity::new(dir.path(), &AgentSettings::default());
        assert!(
            identity
                .version()
                .unwrap_err()
                .to_string()
                .contains("VERSION")
        );
        std::fs::write(dir.path().join("VERSION"), "4.14.0\nmore\n").unwrap();
        assert_eq!(identity.version().unwrap(), "v4.14.0");
        std::fs::write(dir.path().join("VERSION"), "Wazuh v4.14.9").unwrap();
        assert_eq!(identity.version().unwrap(), "Wazuh v4.14.9");
        identity.settings.version = Some("v1.0.0".to_owned());
        assert_eq!(identity.version().unwrap(), "v1.0.0", "set without a file");
        identity.settings.version_file = Some(dir.path().join("VERSION"));
        assert_eq!(identity.version().unwrap(), "Wazuh v4.14.9");
        identity.settings.version_file = Some(dir.path().join("none"));
        assert_eq!(identity.version().unwrap(), "v1.0.0");
    }

    #[test]
    fn without_a_version_the_last_known_is_told_or_none() {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::new(dir.path(), &AgentSettings::default());
        assert_eq!(identity.version_or_last(), "");
        let file = dir.path().join("VERSION");
        std::fs::write(&file, "v4.14.0\n").unwrap();
        assert_eq!(identity.version_or_last(), "v4.14.0");
        for fault in ["", "\nv5.0.0\n"] {
            std::fs::write(&file, fault).unwrap();
            assert_eq!(identity.version_or_last(), "v4.14.0", "{fault:?}");
        }
        std::fs::remove_file(&file).unwrap();
        files::make_pipe(&file);
        assert_eq!(identity.version_or_last(), "v4.14.0", "a pipe");
    }

    #[test]
    fn the_system_is_told_from_os_release_unless_set() {
        let dir = tempfile::tempdir().unwrap();
        let os_release = dir.path().join("os-release");
        let text = "NAME=\"Ubuntu\"\nID=ubuntu\nVERSION_ID=\"22.04\"\nVERSION=\"22.04.3 LTS\"\n";
        std::fs::write(&os_release, text).unwrap();
        let settings = AgentSettings {
            arch: Some("arm\u{7}64".to_owned()),
            ..Default::default()
        };
        let mut identity = Identity::new(dir.path(), &settings);
        identity.os_release = os_release;
        let hello = identity.hello("v4.14.0", &nowhere());
        assert_eq!(hello.platform, "ubuntu");
        assert_eq!(hello.os_version.as_deref(), Some("22.04.3 LTS"));
        assert_eq!(hello.os_major.as_deref(), Some("22"));
        assert_eq!(hello.os_minor.as_deref(), Some("04"));
        assert_eq!(hello.arch.as_deref(), Some("arm64"));
        identity.os_release = dir.path().join("none");
        let hello = identity.hello("v4.14.0", &nowhere());
        assert_eq!((hello.platform.as_str(), hello.os_major), ("linux", None));
    }
}
