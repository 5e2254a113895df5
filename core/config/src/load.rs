//! Stage one: the fragments. Reads every file, keeps where each value came
//! from, and reports every file that cannot be read or parsed.

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde_json::Value;

use crate::changes::Written;
use crate::libraries::{self, PLUGIN_KEY, PluginFile};
use crate::ossec::{self, OssecConf};
use crate::places::Places;
use crate::plugins::Plugins;
use crate::{Finding, Findings, Settings, Sources};

/// The largest configuration file that is read, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// Reads and checks the settings. Without `plugins` the sections that belong to
/// plugins are taken as they are.
///
/// # Errors
/// All mistakes at once.
pub fn load(sources: &Sources, plugins: Option<&dyn Plugins>) -> Result<Settings, Findings> {
    collect(sources).check(plugins)
}

/// With what the variables that are settings begin.
const ENV: &str = "WPKD_";

/// Reads every file and variable. What cannot be read is told by
/// [`Fragments::check`].
pub fn collect(sources: &Sources) -> Fragments {
    Fragments::collect(sources)
}

/// The merged fragments, before their values are looked at.
#[derive(Clone)]
pub struct Fragments {
    figment: Figment,
    pub(crate) value: Value,
    pub(crate) ossec: Option<OssecConf>,
    pub(crate) findings: Vec<Finding>,
    /// Something could not be read: what is in it is nobody's guess.
    pub(crate) incomplete: bool,
    places: Places,
    /// `--config FILE`.
    file: Option<String>,
}

impl Fragments {
    fn collect(sources: &Sources) -> Self {
        let mut findings = Vec::new();
        let mut figment = Figment::new();
        let mut ossec = None;
        let mut places = Places::default();
        if let Some(file) = &sources.file {
            match read(file) {
                Ok(text) => {
                    places.add(file, &text);
                    figment = figment.merge(Named::new(file, Toml::string(&text)));
                }
                Err(finding) if !file.exists() => findings.push(Finding {
                    message: format!(
                        "{}; name the file with --config, or write one: `wpkd settings` prints \
                         all that may stand there. Without --config the embedded manager runs \
                         with its defaults",
                        finding.message
                    ),
                    ..finding
                }),
                Err(finding) => findings.push(finding),
            }
            for file in drop_ins(file, &mut findings) {
                match read(&file) {
                    // Lists of a drop-in are added to those before: a file that
                    // brings one more provider must not take away the others.
                    Ok(text) => {
                        places.add(&file, &text);
                        figment = figment.admerge(Named::new(&file, Toml::string(&text)));
                    }
                    Err(finding) => findings.push(finding),
                }
            }
        }
        figment = figment.merge(Env::prefixed(ENV).split("__"));
        if let Some(home) = &sources.home {
            figment = figment.merge(Serialized::default("home", home));
        }
        if let Some(path) = ossec_path(&figment) {
            match OssecConf::load(&path) {
                // Below everything else: what our own file says wins.
                Ok(conf) => {
                    let layer = Serialized::defaults(conf.to_settings());
                    figment = figment.join(Named::new(&path, layer));
                    ossec = Some(conf);
                }
                Err(mistakes) => findings.extend(mistakes.0),
            }
        }
        let value = figment.extract::<Value>().unwrap_or_else(|error| {
            findings.extend(error.into_iter().map(|error| {
                Finding {
                    origin: (error.metadata.as_ref())
                        .map(|metadata| origin_of(metadata, &error.path.join("."))),
                    key: error.path.join("."),
                    message: error.kind.to_string(),
                    ..Finding::default()
                }
            }));
            Value::Object(serde_json::Map::new())
        });
        Self {
            figment,
            value,
            ossec,
            incomplete: !findings.is_empty(),
            findings,
            places,
            file: (sources.file.as_ref()).map(|file| file.display().to_string()),
        }
    }

    /// The libraries of `[[plugin]]` that are named well, each with its number in
    /// the list; the others are told by [`check`](Self::check).
    pub fn plugin_files(&self) -> Vec<(usize, PluginFile)> {
        let entries = self.value.get(PLUGIN_KEY).and_then(Value::as_array);
        let entries = entries.into_iter().flatten().enumerate();
        entries
            .filter_map(|(i, entry)| Some((i, libraries::read(entry).ok()?)))
            .collect()
    }

    /// Adds a mistake that somebody else found in the entry with this number of
    /// `[[plugin]]`: its library cannot be loaded.
    pub fn reject_plugin(&mut self, number: usize, message: String) {
        self.found(format!("{PLUGIN_KEY}.{number}"), message);
    }

    /// What could not be read so far, and what was added ([`found`](Self::found)); no value
    /// is looked at.
    ///
    /// # Errors
    /// All of it at once.
    pub fn unread(self) -> Result<(), Findings> {
        match self.findings.is_empty() {
            true => Ok(()),
            false => Err(Findings(self.findings)),
        }
    }

    /// The values as they are written, for a comparison with those read later.
    pub fn written(&self) -> Written {
        Written::of(&self.value)
    }

    /// Adds a mistake at `key`.
    pub fn found(&mut self, key: impl Into<String>, message: impl Into<String>) {
        let key = key.into();
        let (origin, written) = self.place(&key);
        self.findings.push(Finding {
            origin,
            key,
            written,
            message: message.into(),
        });
    }

    /// Where the value at `key` is, and its key as it is written there.
    fn place(&self, key: &str) -> (Option<String>, String) {
        // A key that is not there may be missing anywhere: the file of the settings.
        let origin = self.origin(key).or_else(|| self.file.clone());
        match (origin.as_deref()).and_then(|origin| self.places.find(key, origin)) {
            Some(place) => (Some(place.origin), place.written),
            None => (origin, numbered(key)),
        }
    }

    /// Where the value at `key` came from: that of the key itself, else of the
    /// section around it.
    fn origin(&self, key: &str) -> Option<String> {
        let whole = key;
        let mut key = key;
        loop {
            if let Some(metadata) = self.figment.find_metadata(key) {
                return Some(origin_of(metadata, whole));
            }
            key = &key[..key.rfind('.')?];
        }
    }
}

/// `provider.0.url` as `[[provider]] number 1: url`; any other key is what it is.
fn numbered(key: &str) -> String {
    let mut parts = key.splitn(3, '.');
    match (
        parts.next(),
        parts.next().map(str::parse::<usize>),
        parts.next(),
    ) {
        (Some(list), Some(Ok(number)), None) => format!("[[{list}]] number {}", number + 1),
        (Some(list), Some(Ok(number)), Some(rest)) => {
            format!("[[{list}]] number {}: {rest}", number + 1)
        }
        _ => key.to_owned(),
    }
}

fn origin_of(metadata: &figment::Metadata, key: &str) -> String {
    // The file's path is the name given in `Named`; a variable is named by its key.
    match metadata.name.contains(ENV) && !key.is_empty() {
        true => format!("{ENV}{}", key.replace('.', "__").to_uppercase()),
        false => metadata.name.to_string(),
    }
}

/// A provider under the name of the file it was read from, so that messages
/// find it.
struct Named<P> {
    name: String,
    inner: P,
}

impl<P> Named<P> {
    fn new(file: &Path, inner: P) -> Self {
        Self {
            name: file.display().to_string(),
            inner,
        }
    }
}

impl<P: figment::Provider> figment::Provider for Named<P> {
    fn metadata(&self) -> figment::Metadata {
        figment::Metadata::named(self.name.clone())
    }

    fn data(
        &self,
    ) -> Result<figment::value::Map<figment::Profile, figment::value::Dict>, figment::Error> {
        self.inner.data()
    }
}

/// The `ossec.conf` that `[wazuh] ossec_conf` names, seen from `home`.
fn ossec_path(figment: &Figment) -> Option<PathBuf> {
    let path: PathBuf = figment.extract_inner("wazuh.ossec_conf").ok()?;
    let home = figment
        .extract_inner("home")
        .unwrap_or_else(|_| default_home());
    Some(home.join(path))
}

impl OssecConf {
    /// Reads a 4.x manager's `ossec.conf`.
    ///
    /// # Errors
    /// All its mistakes, each with its line.
    pub fn load(path: &Path) -> Result<Self, Findings> {
        let bytes = read_bytes(path).map_err(|finding| Findings(vec![finding]))?;
        Self::parse(path, &bytes)
    }

    /// The same of bytes that were read from `path`.
    ///
    /// # Errors
    /// All mistakes, each with its line.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, Findings> {
        ossec::read(path, bytes).map_err(Findings)
    }
}

/// Reads one file and makes sure that it is TOML, so that a mistake is reported
/// with its line.
fn read(file: &Path) -> Result<String, Finding> {
    let text = read_text(file)?;
    match text.parse::<toml::Table>() {
        Ok(_) => Ok(text),
        Err(error) => {
            let place = (error.span()).map_or(String::new(), |span| place(&text, span.start));
            // Not the line itself: it may be the one with a password.
            let message = format!("is not valid TOML{place}: {}", error.message());
            Err(unusable(file, message))
        }
    }
}

/// ` (line 3, column 7)`
fn place(text: &str, at: usize) -> String {
    let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before
        .iter()
        .rev()
        .take_while(|byte| **byte != b'\n')
        .count()
        + 1;
    format!(" (line {line}, column {column})")
}

fn read_text(file: &Path) -> Result<String, Finding> {
    String::from_utf8(read_bytes(file)?)
        .map_err(|error| unusable(file, format!("cannot be read: {error}")))
}

fn read_bytes(file: &Path) -> Result<Vec<u8>, Finding> {
    let length = std::fs::metadata(file)
        .map_err(|error| unusable(file, format!("cannot be read: {error}")))?
        .len();
    if length > MAX_FILE {
        return Err(unusable(
            file,
            format!("is {length} bytes long; at most {MAX_FILE} are read"),
        ));
    }
    std::fs::read(file).map_err(|error| unusable(file, format!("cannot be read: {error}")))
}

fn unusable(file: &Path, message: String) -> Finding {
    Finding {
        origin: Some(file.display().to_string()),
        message,
        ..Finding::default()
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
                message: format!("cannot be listed: {error}"),
                ..Finding::default()
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
