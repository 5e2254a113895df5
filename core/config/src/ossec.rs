//! The settings of a 4.x `ossec.conf` that we honour (PROTOCOL.md, section 11),
//! as the layer below our own file.
//!
//! Such a file is a row of `<ossec_config>` roots, which no XML document may
//! be; so it is read as a stream of tags. Where an option stands twice, the
//! last one wins, as there. Everything this file does not know is skipped:
//! it belongs to other modules.

use std::path::{Path, PathBuf};

use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::{Value, json};
use wpk_api::settings::Span;

use crate::Finding;

/// The longest text of one option, in bytes.
const LONGEST_VALUE: usize = 4096;
/// The deepest nesting that is followed.
const DEEPEST: usize = 64;

/// What the file says, each option with its line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OssecConf {
    /// The file.
    pub path: PathBuf,
    /// The repository of all agents' packages (section 4).
    pub wpk_repository: Option<String>,
    chunk_size: Option<u64>,
    max_threads: Option<u64>,
    task_timeout: Option<Span>,
    cleanup_time: Option<Span>,
    node_name: Option<String>,
    node_type: Option<String>,
    cluster_disabled: bool,
    /// Whether the built-in upgrade module is switched on there (its default).
    pub built_in_enabled: bool,
}

/// Reads the file.
///
/// # Errors
/// Every mistake, with its line and option.
pub(crate) fn read(path: &Path, text: &str) -> Result<OssecConf, Vec<Finding>> {
    let mut conf = OssecConf {
        path: path.to_owned(),
        built_in_enabled: true,
        ..OssecConf::default()
    };
    let mut findings = Vec::new();
    let mut found = |offset: usize, key: &str, message: String| {
        findings.push(Finding {
            origin: Some(format!("{}:{}", path.display(), line(text, offset))),
            key: key.to_owned(),
            message,
        });
    };
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let mut open: Vec<String> = Vec::new();
    let mut value = String::new();
    loop {
        let offset = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        match reader.read_event() {
            Err(error) => {
                let at = usize::try_from(reader.error_position()).unwrap_or(offset);
                found(at, "", format!("is no well-formed XML: {error}"));
                break;
            }
            Ok(Event::Eof) => {
                if let Some(tag) = open.last() {
                    found(text.len(), tag, "is not closed".to_owned());
                }
                break;
            }
            Ok(Event::Start(tag)) => {
                open.push(tag.name().as_ref().to_owned());
                value.clear();
                if open.len() > DEEPEST {
                    found(offset, "", format!("tags are nested deeper than {DEEPEST}"));
                    break;
                }
            }
            Ok(Event::Text(piece)) if value.len() < LONGEST_VALUE => {
                value.push_str(&piece);
            }
            Ok(Event::CData(piece)) if value.len() < LONGEST_VALUE => {
                value.push_str(&piece);
            }
            Ok(Event::GeneralRef(name)) if value.len() < LONGEST_VALUE => {
                value.push(entity(&name).unwrap_or('\u{fffd}'));
            }
            Ok(Event::End(_)) => {
                let place: Vec<&str> = open.iter().map(String::as_str).collect();
                if let ["ossec_config", section, option] = place[..]
                    && let Err(message) = conf.set(section, option, value.trim())
                {
                    found(offset, &format!("{section}.{option}"), message);
                }
                open.pop();
                value.clear();
            }
            Ok(_) => {}
        }
    }
    if let (Some(timeout), Some(keep)) = (conf.task_timeout, conf.cleanup_time)
        && keep < timeout
    {
        found(
            0,
            "task-manager.cleanup_time",
            "must not be below task_timeout".to_owned(),
        );
    }
    if findings.is_empty() {
        Ok(conf)
    } else {
        Err(findings)
    }
}

/// The line, counted from 1, in which `offset` lies.
fn line(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    1 + before.filter(|byte| **byte == b'\n').count()
}

/// The five entities of XML, and characters by number.
fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

impl OssecConf {
    fn set(&mut self, section: &str, option: &str, value: &str) -> Result<(), String> {
        match (section, option) {
            ("agent-upgrade", "enabled") => self.built_in_enabled = yes(value)?,
            ("agent-upgrade", "wpk_repository") => self.wpk_repository = Some(value.to_owned()),
            ("agent-upgrade", "chunk_size") => self.chunk_size = Some(number(value, 64, 60_000)?),
            ("agent-upgrade", "max_threads") => self.max_threads = Some(number(value, 0, 256)?),
            ("task-manager", "task_timeout") => self.task_timeout = Some(span(value)?),
            ("task-manager", "cleanup_time") => self.cleanup_time = Some(span(value)?),
            ("cluster", "node_name") if value.is_empty() => return Err("must not be empty".into()),
            ("cluster", "node_name") => self.node_name = Some(value.to_owned()),
            ("cluster", "node_type") if value == "master" || value == "worker" => {
                self.node_type = Some(value.to_owned());
            }
            ("cluster", "node_type") => return Err("must be master or worker".to_owned()),
            ("cluster", "disabled") => self.cluster_disabled = yes(value)?,
            _ => {}
        }
        Ok(())
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
        let role = if self.cluster_disabled {
            Some("master")
        } else {
            self.node_type.as_deref()
        };
        set("node", "role", role.map(Value::from));
        settings
    }
}

fn yes(value: &str) -> Result<bool, String> {
    match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("must be yes or no".to_owned()),
    }
}

fn number(value: &str, least: u64, most: u64) -> Result<u64, String> {
    let number = value
        .parse()
        .ok()
        .filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("must be a number from {least} to {most}"))
}

/// A number with s, m, h or d (without a letter: seconds), not 0.
fn span(value: &str) -> Result<Span, String> {
    let with_unit = if value.ends_with(|c: char| c.is_ascii_digit()) {
        format!("{value}s")
    } else {
        value.to_owned()
    };
    Some(with_unit)
        .filter(|text| !text.ends_with("ms"))
        .and_then(|text| Span::parse(&text))
        .filter(|span| !span.0.is_zero())
        .ok_or_else(|| "must be a number with s, m, h or d, and not 0".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<OssecConf, Vec<Finding>> {
        read(Path::new("/x/ossec.conf"), text)
    }

    #[test]
    fn several_roots_comments_and_other_modules_are_read() {
        let conf = read_text(
            r#"<!-- Wazuh - Manager -->
<ossec_config>
  <global><jsonout_output>yes</jsonout_output><white_list>^localhost$</white_list></global>
  <agent-upgrade>
    <enabled>no</enabled>
    <wpk_repository>example.org/wpk?a=1&amp;b=2</wpk_repository>
    <chunk_size>1024</chunk_size>
    <!-- <max_threads>1</max_threads> -->
    <max_threads> 0 </max_threads>
  </agent-upgrade>
  <cluster><name>wazuh</name><node_name>one</node_name><node_type>worker</node_type><disabled>no</disabled></cluster>
</ossec_config>

<ossec_config>
  <task-manager><task_timeout>20m</task_timeout><cleanup_time>2d</cleanup_time></task-manager>
  <agent-upgrade><chunk_size>2048</chunk_size></agent-upgrade>
  <localfile><log_format>syslog</log_format><location>/var/log/x</location></localfile>
</ossec_config>
"#,
        )
        .unwrap();
        assert!(!conf.built_in_enabled);
        assert_eq!(
            conf.to_settings(),
            json!({
                "delivery": {"chunk_size": 2048, "max_concurrent": 0},
                "tasks": {"task_timeout": "20m", "cleanup_time": "2d"},
                "node": {"name": "one", "role": "worker"},
            })
        );
        assert_eq!(
            conf.wpk_repository.as_deref(),
            Some("example.org/wpk?a=1&b=2")
        );
    }

    #[test]
    fn an_empty_file_says_nothing() {
        let conf = read_text("<ossec_config></ossec_config>").unwrap();
        assert!(conf.built_in_enabled);
        assert_eq!(conf.to_settings(), json!({}));
        let off = "<ossec_config><cluster><node_type>worker</node_type><disabled>yes</disabled></cluster></ossec_config>";
        assert_eq!(
            read_text(off).unwrap().to_settings(),
            json!({"node": {"role": "master"}})
        );
    }

    #[test]
    fn every_mistake_has_its_line_and_option() {
        let findings = read_text(
            "<ossec_config>\n<agent-upgrade>\n<enabled>maybe</enabled>\n<chunk_size>63</chunk_size>\n\
             <max_threads>257</max_threads>\n</agent-upgrade>\n<task-manager>\n<task_timeout>0s</task_timeout>\n\
             <cleanup_time>5x</cleanup_time></task-manager>\n<cluster><node_type>both</node_type></cluster>\n</ossec_config>",
        )
        .unwrap_err();
        let places: Vec<String> = findings
            .iter()
            .map(|finding| {
                format!(
                    "{} {}",
                    finding.origin.as_deref().unwrap_or(""),
                    finding.key
                )
            })
            .collect();
        assert_eq!(
            places,
            [
                "/x/ossec.conf:3 agent-upgrade.enabled",
                "/x/ossec.conf:4 agent-upgrade.chunk_size",
                "/x/ossec.conf:5 agent-upgrade.max_threads",
                "/x/ossec.conf:8 task-manager.task_timeout",
                "/x/ossec.conf:9 task-manager.cleanup_time",
                "/x/ossec.conf:10 cluster.node_type",
            ]
        );
        let broken = read_text("<ossec_config>\n<cluster>\n</ossec_config>").unwrap_err();
        assert_eq!(broken.len(), 1);
        assert!(
            broken[0].origin.as_deref().unwrap().ends_with(":3"),
            "{broken:?}"
        );
        assert!(!read_text("<ossec_config><cluster>").unwrap_err().is_empty());
        let crossed = "<ossec_config><task-manager><task_timeout>2h</task_timeout><cleanup_time>1h</cleanup_time></task-manager></ossec_config>";
        assert_eq!(
            read_text(crossed).unwrap_err()[0].key,
            "task-manager.cleanup_time"
        );
    }
}
