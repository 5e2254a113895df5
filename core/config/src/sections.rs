//! The typed sections of the settings. Names and defaults are those of the
//! house plan; every field says its unit and range.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use wpk_api::Dialect;
use wpk_api::settings::{ByteSize, Span};
use wpk_api::{Context, NodeInfo, PluginKind, Role, Version};

use crate::libraries::PluginFile;
use crate::ossec::OssecConf;
use crate::releases::ReleaseSettings;

/// Everything the daemon is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Every relative path starts here.
    pub home: PathBuf,
    /// Whose texts, times and default target (PROTOCOL.md, section 12).
    pub dialect: Dialect,
    /// The node this daemon is.
    pub node: NodeInfo,
    /// Where requests come from.
    pub sources: Vec<PluginSection>,
    /// Who the agents are; `None` where nobody knew a default (a tool without
    /// plugins reads the file), as for the two below.
    pub directory: Option<PluginSection>,
    /// The agent channel.
    pub transport: Option<PluginSection>,
    /// Where WPKs come from, asked in this order.
    pub providers: Vec<PluginSection>,
    /// Where tasks are kept.
    pub store: Option<PluginSection>,
    /// Who is told of every change of a task; often nobody.
    pub observers: Vec<PluginSection>,
    /// Downloaded WPKs.
    pub cache: CacheSettings,
    /// How WPKs reach agents.
    pub delivery: DeliverySettings,
    /// The task manager.
    pub tasks: TaskSettings,
    /// What is logged.
    pub log: LogSettings,
    /// Where others look at what it does.
    pub telemetry: TelemetrySettings,
    /// What agents must run before they may go to a release, where rollouts take them;
    /// empty: what is shipped.
    pub releases: Vec<ReleaseSettings>,
    /// Libraries to load.
    pub plugins: Vec<PluginFile>,
    /// What a 4.x manager's `ossec.conf` says, where `[wazuh] ossec_conf` names it.
    pub ossec: Option<OssecConf>,
}

impl Settings {
    /// A path from the settings, made absolute.
    pub fn path(&self, path: impl AsRef<std::path::Path>) -> PathBuf {
        self.home.join(path)
    }

    /// What plugins may know about the daemon.
    pub fn context(&self) -> Context {
        Context {
            home: self.home.clone(),
            node: self.node.clone(),
            wpk_repository: (self.ossec.as_ref()).and_then(|ossec| ossec.wpk_repository.clone()),
            manager: self.ossec.is_some(),
        }
    }

    /// The sections of one kind; none where nobody knew a default for what is
    /// left out.
    pub fn sections(&self, kind: PluginKind) -> &[PluginSection] {
        match kind {
            PluginKind::Source => &self.sources,
            PluginKind::Directory => self.directory.as_slice(),
            PluginKind::Transport => self.transport.as_slice(),
            PluginKind::Provider => &self.providers,
            PluginKind::Store => self.store.as_slice(),
            PluginKind::Observer => &self.observers,
        }
    }
}

/// A section that belongs to a plugin. Its settings may hold passwords, which
/// `Debug` leaves out.
#[derive(Clone, PartialEq)]
pub struct PluginSection {
    /// Its `type`.
    pub kind: String,
    /// Its other settings.
    pub settings: Value,
}

impl fmt::Debug for PluginSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginSection")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl PluginSection {
    /// A section with a type and nothing else.
    pub fn of(kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            settings: Value::Object(serde_json::Map::new()),
        }
    }
}

/// Who this node is.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NodeSection {
    /// Its name in tasks and in a shared store, 1 to 255 bytes; with `sqlite`, what a former
    /// name had not begun is carried out under the new one. Absent: `node01`.
    pub(crate) name: Option<String>,
    /// `master` or `worker`: a worker's tasks are its master's.
    #[schemars(with = "String", extend("default" = "master"))]
    pub(crate) role: Role,
    /// The manager's version, `v4.14.0`: targets above it need `--force`. Absent: that of
    /// agent 000 in the directory; where that is not known, there is no limit.
    #[schemars(with = "Option<String>")]
    pub(crate) version: Option<Version>,
}

impl NodeSection {
    pub(crate) fn into_info(self) -> NodeInfo {
        NodeInfo {
            name: self.name.unwrap_or_else(|| "node01".to_owned()),
            role: self.role,
            version: self.version,
        }
    }
}

/// A 4.x manager beside this daemon.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WazuhSection {
    /// The manager's `ossec.conf`, relative to `home`, `etc/ossec.conf` in the packaged
    /// file: its `<agent-upgrade>`, `<task-manager>` and `<cluster>` count as defaults.
    /// Absent: none is read.
    ossec_conf: Option<PathBuf>,
}

/// Downloaded WPKs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CacheSettings {
    /// Folder of downloaded WPKs.
    pub dir: PathBuf,
    /// Check the signature of a WPK before it is sent to any agent.
    pub verify_signature: bool,
    /// CA files or folders for `verify_signature`.
    pub ca_store: Vec<PathBuf>,
    /// The largest WPK that is sent, from a repository or of a file, 1B to 4294967296GiB.
    pub max_size: ByteSize,
    /// All downloads together, not below `max_size`, at most 4294967296GiB; what was used
    /// longest ago is removed. Absent: 20GiB, or `max_size` where that is more.
    pub max_total: Option<ByteSize>,
}

impl CacheSettings {
    /// [`max_total`](Self::max_total), or what stands for it.
    pub fn total(&self) -> u64 {
        let usual = self.max_size.0.max(20 << 30);
        self.max_total.map_or(usual, |total| total.0)
    }
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            dir: PathBuf::from(wpk_api::paths::UPGRADE_FOLDER),
            verify_signature: false,
            ca_store: Vec::new(),
            max_size: ByteSize(2 << 30),
            max_total: None,
        }
    }
}

/// How WPKs reach agents.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeliverySettings {
    /// How many agents are written to at the same time, 1 to 100000; 0: as many as there
    /// are cores; `auto`: as many as answer as quickly as fewer do, 8 to 1024.
    #[schemars(
        schema_with = "number_or_auto",
        extend("default" = "auto", "unit" = "agents")
    )]
    pub max_concurrent: Concurrency,
    /// Bytes of the file per write command, 64 to 60000; `auto`: as many as fit. Absent:
    /// 32768, as recorded, where the agents are those of a 4.x manager; as `"auto"` on a
    /// channel of our own.
    #[schemars(schema_with = "number_or_auto", extend("unit" = "bytes"))]
    pub chunk_size: Option<ChunkSize>,
    /// What is read of the files that are being sent, and of the commands with it, in
    /// memory, 1MiB to 1024GiB. Deliveries that are near each other share it.
    pub max_memory: ByteSize,
    /// Whole deliveries per task, 1 to 100.
    #[schemars(extend("unit" = "deliveries"))]
    pub attempts: u32,
    /// All deliveries together, in bytes of WPK per second, 1KiB/s to 4294967296GiB/s.
    /// Absent: no limit.
    #[schemars(extend("unit" = "per second"))]
    pub max_bandwidth: Option<ByteSize>,
    /// The longest one attempt may take to send a file, 1m to 36500d.
    pub timeout: Span,
    /// How long an agent that is not ready yet (just after its start) is asked to
    /// open a file again and again, 0s to 1h; 0s: ten times at once, as 4.x does.
    pub ready_within: Span,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self {
            max_concurrent: Concurrency::Auto,
            chunk_size: None,
            max_memory: ByteSize(32 << 20),
            attempts: 1,
            max_bandwidth: None,
            timeout: Span(Duration::from_secs(6 * 3_600)),
            ready_within: Span(Duration::from_secs(30)),
        }
    }
}

/// A number, or `auto`.
fn number_or_auto(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"anyOf": [{"const": "auto"}, {"type": "integer"}]})
}

/// How many agents are written to at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concurrency {
    /// As many as answer as quickly as fewer do, from 8 to 1024.
    Auto,
    /// This many, to 100000; 0: the number of cores.
    Number(usize),
}

impl Concurrency {
    /// The number, with 0 replaced by the number of cores; `None` for [`Auto`](Self::Auto).
    pub fn number(self) -> Option<usize> {
        match self {
            Self::Auto => None,
            Self::Number(0) => {
                let cores = std::thread::available_parallelism();
                Some(cores.map_or(1, NonZeroUsize::get))
            }
            Self::Number(n) => Some(n),
        }
    }
}

impl From<usize> for Concurrency {
    fn from(number: usize) -> Self {
        Self::Number(number)
    }
}

impl<'de> Deserialize<'de> for Concurrency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = match Value::deserialize(deserializer)? {
            Value::String(word) if word == "auto" => return Ok(Self::Auto),
            Value::Number(number) => number.as_u64(),
            _ => None,
        };
        (number.filter(|number| *number <= 100_000))
            .map(|number| Self::Number(number as usize))
            .ok_or_else(|| D::Error::custom("must be 0 to 100000 (agents), or \"auto\""))
    }
}

/// How much of the file one write command carries (PROTOCOL.md, section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkSize {
    /// 64 to 60000 bytes; the JSON form is capped where the frame would not fit.
    Bytes(usize),
    /// The largest that fits a frame.
    Auto,
}

impl<'de> Deserialize<'de> for ChunkSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(word) if word == "auto" => Ok(Self::Auto),
            Value::Number(number) => number
                .as_u64()
                .filter(|bytes| (64..=60_000).contains(bytes))
                .map(|bytes| Self::Bytes(bytes as usize))
                .ok_or_else(|| D::Error::custom("must be 64 to 60000 (bytes), or \"auto\"")),
            _ => Err(D::Error::custom("must be 64 to 60000 (bytes), or \"auto\"")),
        }
    }
}

/// The task manager.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TaskSettings {
    /// How long a task may be In progress without an update, 1s to 36500d; then it ends as
    /// Timeout.
    pub task_timeout: Span,
    /// How long tasks that ended are kept, not below `task_timeout`, at most 36500d.
    pub cleanup_time: Span,
    /// How long an agent that reported success may take to show the version it was
    /// sent, 1s to 1d.
    pub confirm_within: Span,
    /// What becomes of waiting tasks when the daemon starts.
    pub on_restart: OnRestart,
}

impl Default for TaskSettings {
    fn default() -> Self {
        Self {
            task_timeout: Span(Duration::from_secs(15 * 60)),
            cleanup_time: Span(Duration::from_secs(7 * 86_400)),
            confirm_within: Span(Duration::from_secs(10 * 60)),
            on_restart: OnRestart::Resume,
        }
    }
}

/// Where others look at what it does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetrySettings {
    /// Where `/metrics`, `/healthz` and `/readyz` are served over HTTP, to anybody who
    /// reaches it: an address and a port, such as `127.0.0.1:9474`. Absent: nowhere.
    #[serde(deserialize_with = "address")]
    #[schemars(with = "Option<String>")]
    pub listen: Option<SocketAddr>,
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = Value::deserialize(deserializer)?;
    let address = text.as_str().and_then(|text| text.parse().ok());
    let wrong = || D::Error::custom("must be an address with a port, such as \"127.0.0.1:9474\"");
    address.map(Some).ok_or_else(wrong)
}

/// What is logged, on standard error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// What is logged, in the words of `RUST_LOG`, which wins where it is set; absent:
    /// `info`.
    pub filter: Option<String>,
    /// How each event is written.
    pub format: LogFormat,
}

/// How an event of the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A line to be read.
    #[default]
    Text,
    /// A line with one JSON object, for programs: `timestamp` (RFC 3339, UTC), `level`,
    /// `target`, and `fields` with `message`.
    Json,
}

/// What becomes of waiting tasks when the daemon starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnRestart {
    /// They are carried out.
    Resume,
    /// They end as Cancelled, as under 4.x.
    Cancel,
}
