//! The settings of a 4.x `ossec.conf` that we honour (PROTOCOL.md, section 11),
//! as the layer below our own file.
//!
//! `reader.rs` knows the syntax, `number.rs` the numbers; this file the options.
//! What a manager starts with is accepted, with a warning where we would have
//! written it otherwise; what it refuses, because of the bytes or of a value that
//! we use, is refused. Everything else in the file belongs to other modules.

mod number;
mod reader;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wpk_api::repository::shown;
use wpk_api::settings::Span;
use wpk_api::words::clean_bytes;

use crate::Finding;
use number::{number, span};
use reader::Element;

/// The name of the roots that count, as it stands in the file.
const ROOT: &[u8] = b"ossec_config";
/// The longest name of an option that is repeated, in bytes.
const LONGEST_NAME: usize = 100;
/// What holds where the file says nothing, for the check of the two times.
const TASK_TIMEOUT: Span = Span::seconds(15 * 60);
const CLEANUP_TIME: Span = Span::seconds(7 * 86_400);

/// What the file says.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OssecConf {
    /// The file.
    pub path: PathBuf,
    /// The repository of all agents' packages (section 4); may hold a password, which
    /// `Debug` leaves out.
    pub wpk_repository: Option<String>,
    /// What is accepted, and would better be written otherwise.
    pub warnings: Vec<Finding>,
    chunk_size: Option<u64>,
    max_threads: Option<u64>,
    task_timeout: Option<Span>,
    cleanup_time: Option<Span>,
    node_name: Option<String>,
    node_type: Option<&'static str>,
    cluster_disabled: Option<bool>,
}

impl fmt::Debug for OssecConf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let repository = self.wpk_repository.as_deref().map(shown);
        f.debug_struct("OssecConf")
            .field("path", &self.path)
            .field("wpk_repository", &repository)
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

/// Reads the file.
///
/// # Errors
/// Every mistake, with its line and option.
pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<OssecConf, Vec<Finding>> {
    let mut reading = Reading {
        conf: OssecConf {
            path: path.to_owned(),
            ..OssecConf::default()
        },
        mistakes: Vec::new(),
    };
    let document = reading.without_prolog(bytes);
    match reader::read(&document) {
        Ok(roots) => roots.iter().for_each(|root| reading.root(root)),
        Err(refused) => {
            let mistake = finding(path, refused.line, "", refused.reason);
            reading.mistakes.push(mistake);
        }
    }
    match reading.mistakes.is_empty() {
        true => Ok(reading.conf),
        false => Err(reading.mistakes),
    }
}

fn finding(path: &Path, line: usize, key: &str, message: impl Into<String>) -> Finding {
    Finding {
        origin: Some(format!("{}:{line}", path.display())),
        key: key.to_owned(),
        message: message.into(),
        ..Finding::default()
    }
}

/// What has been read so far.
struct Reading {
    conf: OssecConf,
    mistakes: Vec<Finding>,
}

impl Reading {
    fn warn(&mut self, line: usize, key: &str, message: impl Into<String>) {
        let warning = finding(&self.conf.path, line, key, message);
        self.conf.warnings.push(warning);
    }

    /// A manager refuses an XML prolog; whoever wrote one meant well. Its bytes
    /// become blanks, so that lines stay what they are.
    fn without_prolog(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut document = bytes.to_vec();
        let bom: &[u8] = b"\xef\xbb\xbf";
        let begin = if bytes.starts_with(bom) { bom.len() } else { 0 };
        let rest = bytes.get(begin..).unwrap_or_default();
        if rest.starts_with(b"<?xml")
            && let Some(length) = rest.windows(2).position(|pair| pair == b"?>")
        {
            for byte in document.iter_mut().skip(begin).take(length + 2) {
                *byte = if *byte == b'\n' { b'\n' } else { b' ' };
            }
            self.warn(
                1,
                "",
                "begins with <?xml ...?>, which a 4.x manager refuses",
            );
        }
        document
    }

    fn root(&mut self, root: &Element) {
        if root.name != ROOT {
            return;
        }
        for section in &root.children {
            let name = match section.name.as_slice() {
                b"agent-upgrade" => "agent-upgrade",
                b"task-manager" => "task-manager",
                b"cluster" => "cluster",
                _ => continue,
            };
            if section.children.is_empty() {
                let message = "has no options: a 4.x manager takes it for an unknown section";
                self.warn(section.line, name, message);
            }
            for option in &section.children {
                self.option(name, option);
            }
            if name == "task-manager" {
                self.times(section.line);
            }
        }
    }

    fn option(&mut self, section: &str, option: &Element) {
        let name = String::from_utf8_lossy(&option.name).into_owned();
        // It may be anything, and 20 KiB long.
        let key = format!("{section}.{}", clean_bytes(&option.name, LONGEST_NAME));
        match self.conf.set(section, &name, &option.value) {
            Ok(None) => {}
            Ok(Some(warning)) => self.warn(option.line, &key, warning),
            Err(mistake) => {
                let mistake = finding(&self.conf.path, option.line, &key, mistake);
                self.mistakes.push(mistake);
            }
        }
    }

    /// Each section is judged at its end, by what has been read until then.
    fn times(&mut self, line: usize) {
        let timeout = self.conf.task_timeout.unwrap_or(TASK_TIMEOUT);
        let keep = self.conf.cleanup_time.unwrap_or(CLEANUP_TIME);
        if keep < timeout {
            let message = format!("{keep} is below task_timeout ({timeout})");
            let mistake = finding(&self.conf.path, line, "task-manager.cleanup_time", message);
            self.mistakes.push(mistake);
        }
    }
}

impl OssecConf {
    /// Takes one option in; the warning to give, if there is one.
    fn set(&mut self, section: &str, option: &str, value: &[u8]) -> Result<Option<String>, String> {
        match (section, option) {
            ("agent-upgrade", "wpk_repository") => {
                self.wpk_repository = repository(value)?;
                let empty = self.wpk_repository.is_none();
                return Ok(empty.then(|| "is empty: the default repository is used".to_owned()));
            }
            ("agent-upgrade", "chunk_size") => self.chunk_size = Some(number(value, 64, 60_000)?),
            ("agent-upgrade", "max_threads") => self.max_threads = Some(number(value, 0, 256)?),
            ("task-manager", "task_timeout") => self.task_timeout = Some(span(value)?),
            ("task-manager", "cleanup_time") => self.cleanup_time = Some(span(value)?),
            ("agent-upgrade" | "task-manager", "enabled") => {
                return Ok(Some(
                    "is no option of a 4.x manager: its modules cannot be switched off".to_owned(),
                ));
            }
            ("agent-upgrade" | "task-manager", _) => {
                return Ok(Some("is no option of this section".to_owned()));
            }
            ("cluster", "node_name") => {
                let name = node_name(value)?;
                return Ok(contradiction(&mut self.node_name, name));
            }
            ("cluster", "node_type") => {
                let role = match value {
                    b"master" => "master",
                    b"worker" | b"client" => "worker",
                    _ => return Err("must be master or worker".to_owned()),
                };
                return Ok(contradiction(&mut self.node_type, role));
            }
            ("cluster", "disabled") => {
                let disabled = match value {
                    b"yes" => true,
                    b"no" => false,
                    _ => return Err("must be yes or no".to_owned()),
                };
                return Ok(contradiction(&mut self.cluster_disabled, disabled));
            }
            _ => {}
        }
        Ok(None)
    }

    /// The name of this node, where its cluster is switched on.
    pub fn cluster_node(&self) -> Option<&str> {
        let on = self.cluster_disabled == Some(false);
        self.node_name.as_deref().filter(|_| on)
    }

    /// The same in the words of our own settings; without the repository, which
    /// plugins hear of by [`Context::wpk_repository`](wpk_api::Context).
    pub fn to_settings(&self) -> Value {
        let mut settings = json!({});
        let mut set = |section: &str, key: &str, value: Option<Value>| {
            if let Some(value) = value {
                settings[section][key] = value;
            }
        };
        set("delivery", "chunk_size", self.chunk_size.map(Value::from));
        set(
            "delivery",
            "max_concurrent",
            self.max_threads.map(Value::from),
        );
        set(
            "tasks",
            "task_timeout",
            self.task_timeout.map(|span| span.to_string().into()),
        );
        set(
            "tasks",
            "cleanup_time",
            self.cleanup_time.map(|span| span.to_string().into()),
        );
        set("node", "name", self.node_name.clone().map(Value::from));
        // A node whose cluster is switched off is its own master.
        let role = match self.cluster_disabled {
            Some(true) => Some("master"),
            _ => self.node_type,
        };
        set("node", "role", role.map(Value::from));
        settings
    }
}

/// Remembers the last value. Parts of a manager take the first one, others the
/// last: where they differ that is worth a warning.
fn contradiction<T: PartialEq>(known: &mut Option<T>, value: T) -> Option<String> {
    let before = known.replace(value);
    let differs = before.is_some() && before != *known;
    differs.then(|| {
        "stands here with another value than before; parts of a 4.x manager take the first one, \
         we take the last"
            .to_owned()
    })
}

/// As it stands; `None` for an empty one.
fn repository(value: &[u8]) -> Result<Option<String>, String> {
    let text = std::str::from_utf8(value).map_err(|_| "is no UTF-8: no URL".to_owned())?;
    Ok(Some(text.to_owned()).filter(|text| !text.trim().is_empty()))
}

/// Printable ASCII without blanks.
fn node_name(value: &[u8]) -> Result<String, String> {
    let good = !value.is_empty() && value.iter().all(u8::is_ascii_graphic);
    match good {
        true => Ok(String::from_utf8_lossy(value).into_owned()),
        false => Err("must be of printable ASCII characters without blanks, at least one".into()),
    }
}
