//! Stage one: the fragments. Reads every file, keeps where each value came
//! from, and reports every file that cannot be read or parsed.

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde_json::Value;

use super::{Finding, Findings, Settings, Sources};
use crate::registry::Registry;

/// The largest configuration file that is read, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// Reads and checks the settings. With a `registry` the plugins' own sections
/// are checked too.
///
/// # Errors
/// All mistakes at once.
pub fn load(sources: &Sources, registry: Option<&Registry>) -> Result<Settings, Findings> {
    let (fragments, findings) = Fragments::collect(sources);
    fragments.check(registry, findings)
}

/// The merged fragments, before their values are looked at.
pub(super) struct Fragments {
    pub(super) figment: Figment,
    pub(super) value: Value,
}

impl Fragments {
    fn collect(sources: &Sources) -> (Self, Vec<Finding>) {
        let mut findings = Vec::new();
        let mut figment = Figment::new();
        if let Some(file) = &sources.file {
            match read(file) {
                Ok(text) => figment = figment.merge(Toml::string(&text).named(file)),
                Err(finding) => findings.push(finding),
            }
            for file in drop_ins(file, &mut findings) {
                match read(&file) {
                    // Lists of a drop-in are added to those before: a file that
                    // brings one more provider must not take away the others.
                    Ok(text) => figment = figment.admerge(Toml::string(&text).named(&file)),
                    Err(finding) => findings.push(finding),
                }
            }
        }
        figment = figment.merge(Env::prefixed("WPKD_").split("__"));
        if let Some(home) = &sources.home {
            figment = figment.merge(Serialized::default("home", home));
        }
        let value = figment.extract::<Value>().unwrap_or_else(|error| {
            findings.extend(error.into_iter().map(|error| Finding {
                origin: error.metadata.as_ref().map(origin_of),
                key: error.path.join("."),
                message: error.kind.to_string(),
            }));
            Value::Object(serde_json::Map::new())
        });
        (Self { figment, value }, findings)
    }

    /// Where the value at `key` came from: that of the key itself, else of the
    /// section around it.
    pub(super) fn origin(&self, key: &str) -> Option<String> {
        let mut key = key;
        loop {
            if let Some(metadata) = self.figment.find_metadata(key) {
                return Some(origin_of(metadata));
            }
            key = &key[..key.rfind('.')?];
        }
    }
}

fn origin_of(metadata: &figment::Metadata) -> String {
    // The file's path is the name given in `Named`; variables name themselves.
    metadata.name.to_string()
}

/// `Toml::string` forgets the file; this puts its path where messages find it.
struct NamedToml {
    inner: figment::providers::Data<Toml>,
    name: String,
}

trait Named {
    fn named(self, file: &Path) -> NamedToml;
}

impl Named for figment::providers::Data<Toml> {
    fn named(self, file: &Path) -> NamedToml {
        NamedToml {
            inner: self,
            name: file.display().to_string(),
        }
    }
}

impl figment::Provider for NamedToml {
    fn metadata(&self) -> figment::Metadata {
        figment::Metadata::named(self.name.clone())
    }

    fn data(
        &self,
    ) -> Result<figment::value::Map<figment::Profile, figment::value::Dict>, figment::Error> {
        self.inner.data()
    }
}

/// Reads one file and makes sure that it is TOML, so that a mistake is reported
/// with its line.
fn read(file: &Path) -> Result<String, Finding> {
    let finding = |message: String| Finding {
        origin: Some(file.display().to_string()),
        key: String::new(),
        message,
    };
    let length = std::fs::metadata(file)
        .map_err(|error| finding(format!("cannot be read: {error}")))?
        .len();
    if length > MAX_FILE {
        return Err(finding(format!(
            "is {length} bytes long; at most {MAX_FILE} are read"
        )));
    }
    let text = std::fs::read_to_string(file)
        .map_err(|error| finding(format!("cannot be read: {error}")))?;
    match text.parse::<toml::Table>() {
        Ok(_) => Ok(text),
        Err(error) => Err(finding(format!(
            "is not valid TOML: {}",
            error.to_string().trim_end()
        ))),
    }
}

/// The files of `conf.d` beside the configuration file, in the order of their names.
fn drop_ins(file: &Path, findings: &mut Vec<Finding>) -> Vec<PathBuf> {
    let Some(folder) = file.parent().map(|parent| parent.join("conf.d")) else {
        return Vec::new();
    };
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            findings.push(Finding {
                origin: Some(folder.display().to_string()),
                key: String::new(),
                message: format!("cannot be listed: {error}"),
            });
            return Vec::new();
        }
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    files
}

/// The home of the embedded manager where none is set: `/var/lib/wpkd` for
/// root, else `wpkd` in the user's state folder.
pub fn default_home() -> PathBuf {
    let user = || {
        std::env::var_os("XDG_STATE_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| {
                std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"))
            })
            .map(|state| state.join("wpkd"))
    };
    if rustix::process::geteuid().is_root() {
        PathBuf::from("/var/lib/wpkd")
    } else {
        user().unwrap_or_else(|| PathBuf::from("wpkd"))
    }
}
