//! The settings of `[[source]] type = "unix-socket"`.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use wpk_api::examine::{Check, Examine};
use wpk_api::paths;
use wpk_api::section::Section;
use wpk_api::settings::{ByteSize, Problem, Problems, Span, Value, schema_of};
use wpk_api::{Context, Demands, Endpoint, Outlook, Resource, Role};

use crate::served::Served;
use crate::{examine, outlook};

/// The smallest `max_frame`: what every 4.x client may send.
const SMALLEST_MAX_FRAME: ByteSize = ByteSize(wpk_wire::PEER_MAX_PAYLOAD as u64);
/// The largest `max_frame`.
const LARGEST_MAX_FRAME: ByteSize = ByteSize(1 << 30);
/// `max_memory` where it is left out, and requests are not longer than usual.
const USUAL_MEMORY: u64 = 256 << 20;
/// The largest `max_memory`.
const LARGEST_MEMORY: ByteSize = ByteSize(1 << 40);
/// The largest `max_connections`.
const LARGEST_MAX_CONNECTIONS: usize = 1_000_000;

/// The settings, as an administrator writes them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Path of the upgrade socket; empty: not served.
    pub upgrade: String,
    /// Path of the task socket; empty: not served.
    pub task: String,
    /// Whether a socket that another daemon serves is pushed aside and given back at the
    /// end: beside a running 4.x manager, whose own upgrade module and task manager
    /// cannot be switched off (PROTOCOL.md, section 14). On a worker node only the
    /// upgrade socket is served then: the task manager is the master's.
    pub take_over: bool,
    /// Rights of both socket files, exactly, whatever the umask is.
    #[schemars(with = "String", extend("default" = "0660"))]
    pub mode: Mode,
    /// Group of both socket files, a name of the local group file or a number;
    /// absent: left as created.
    pub group: Option<String>,
    /// The longest request, 64KiB to 1GiB. A client that announces more is dropped.
    pub max_frame: ByteSize,
    /// Requests that arrive and answers that are not read yet, of all connections
    /// together, but for those of up to 64KiB: at least twice `max_frame`, at most
    /// 1024GiB. A long request waits for room, and clients that keep it
    /// waiting for a second are dropped. Absent: 256MiB, or four times `max_frame`
    /// where that is more.
    pub max_memory: Option<ByteSize>,
    /// The user ids that may send requests (proved by the kernel), 0 to 4294967295; absent:
    /// whoever the mode lets in.
    #[schemars(extend("unit" = "users"))]
    pub allow_uids: Option<Vec<u32>>,
    /// How long a client may send nothing, take for one frame, or leave an
    /// answer unread before it is dropped, 1ms to 36500d.
    pub idle_timeout: Span,
    /// Connections at a time on each socket, 1 to 1000000; further ones wait in the queue of
    /// the kernel, and clients that send nothing for a second make room.
    #[schemars(extend("unit" = "connections"))]
    pub max_connections: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            upgrade: paths::UPGRADE_SOCKET.to_owned(),
            task: paths::TASK_SOCKET.to_owned(),
            take_over: false,
            mode: Mode(0o660),
            group: None,
            max_frame: ByteSize(wpk_wire::frame::DEFAULT_MAX_PAYLOAD as u64),
            max_memory: None,
            allow_uids: None,
            idle_timeout: Span(std::time::Duration::from_secs(30)),
            max_connections: 1024,
        }
    }
}

impl Settings {
    /// [`max_memory`](Self::max_memory), or what stands for it.
    pub(crate) fn memory(&self) -> u64 {
        let usual = USUAL_MEMORY.max(self.max_frame.0.saturating_mul(4));
        self.max_memory.map_or(usual, |memory| memory.0)
    }

    /// Whether the task socket is nobody's: beside a worker's own modules.
    pub(crate) fn leaves_tasks_alone(&self, context: &Context) -> bool {
        self.take_over && context.node.role == Role::Worker
    }

    /// The sockets that are served on this node: upgrade, then task.
    pub(crate) fn served(&self, context: &Context) -> Vec<Served> {
        let served = |endpoint, path: &String| Served {
            endpoint,
            path: context.path(path),
        };
        let upgrade = (!self.upgrade.is_empty()).then(|| served(Endpoint::Upgrade, &self.upgrade));
        let has_task = !self.task.is_empty() && !self.leaves_tasks_alone(context);
        let task = has_task.then(|| served(Endpoint::Task, &self.task));
        upgrade.into_iter().chain(task).collect()
    }
}

#[async_trait]
impl Section for Settings {
    fn schema() -> Option<Value> {
        schema_of::<Self>()
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::new();
        if self.upgrade.is_empty() && self.task.is_empty() {
            problems.add(
                "upgrade",
                "both sockets are switched off; give a path to `upgrade`, to `task` or to both",
            );
        } else if self.upgrade == self.task {
            problems.add(
                "task",
                format!(
                    "is the same path as `upgrade`, {:?}; each socket needs its own",
                    self.task
                ),
            );
        }
        problems.in_range(
            "max_frame",
            self.max_frame,
            SMALLEST_MAX_FRAME..=LARGEST_MAX_FRAME,
        );
        if let Some(memory) = self.max_memory {
            let least = ByteSize(self.max_frame.0.saturating_mul(2));
            problems.in_range("max_memory", memory, least..=LARGEST_MEMORY);
        }
        problems.not_zero("idle_timeout", self.idle_timeout, "30s");
        problems.in_range(
            "max_connections",
            self.max_connections,
            1..=LARGEST_MAX_CONNECTIONS,
        );
        if self.allow_uids.as_ref().is_some_and(Vec::is_empty) {
            problems.add(
                "allow_uids",
                "is empty, so nobody could send a request; list user ids or remove the key",
            );
        }
        if let Some(group) = &self.group {
            problems.not_empty("group", group, "name a group or remove the key");
        }
        problems.found()
    }

    /// The paths of the sockets it serves.
    fn demands(&self, context: &Context) -> Demands {
        let served = self.served(context).into_iter();
        served.fold(Demands::default(), |demands, socket| {
            demands.occupying(socket.key(), Resource::Path(socket.path))
        })
    }

    /// Who serves the sockets now, and whether the start would find them free.
    async fn outlook(&self, context: &Context) -> Outlook {
        outlook::outlook(&self.served(context), self.take_over, self.group.as_deref())
    }

    async fn examine(&self, context: &Context, _asked: &Examine) -> Vec<Check> {
        let served = self.served(context);
        examine::examine(&served, self.take_over, self.group.as_deref()).await
    }
}

/// Rights of a file, written in octal: `"0660"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode(pub u32);

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        const HOW: &str = "must be octal digits in quotes, such as \"0660\"";
        let text = String::deserialize(deserializer).map_err(|_| D::Error::custom(HOW))?;
        let octal = (3..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        u32::from_str_radix(&text, 8)
            .ok()
            .filter(|mode| octal && *mode <= 0o777)
            .map(Self)
            .ok_or_else(|| D::Error::custom(format!("{text:?} is no file mode: {HOW}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_are_those_of_a_manager() {
        let settings = Settings::read(&json!({})).unwrap();
        assert_eq!(settings.upgrade, "queue/tasks/upgrade");
        assert_eq!(settings.task, "queue/tasks/task");
        assert_eq!(settings.mode, Mode(0o660));
        assert_eq!(settings.max_frame, ByteSize(16 << 20));
        assert_eq!(settings.max_connections, 1024);
        assert!(!settings.take_over);
        assert_eq!(settings.memory(), 256 << 20);
        // What was good before stays good.
        let long = Settings::read(&json!({"max_frame": "1GiB"})).unwrap();
        assert_eq!(long.memory(), 4 << 30);
    }

    #[test]
    fn every_mistake_is_named_with_its_key() {
        let cases = [
            (json!({"mode": "rw"}), "mode"),
            (json!({"mode": "1777"}), "mode"),
            (json!({"mode": 660}), "mode"),
            (json!({"mode": "+66"}), "mode"),
            (json!({"upgrade": "", "task": ""}), "upgrade"),
            (json!({"upgrade": "a", "task": "a"}), "task"),
            (json!({"max_frame": "1KiB"}), "max_frame"),
            (json!({"max_frame": "2GiB"}), "max_frame"),
            (json!({"max_memory": "31MiB"}), "max_memory"),
            (json!({"max_memory": "1025GiB"}), "max_memory"),
            (json!({"idle_timeout": "0s"}), "idle_timeout"),
            (json!({"max_connections": 0}), "max_connections"),
            (json!({"allow_uids": []}), "allow_uids"),
            (json!({"allow_uids": [-1]}), "allow_uids"),
            (json!({"group": ""}), "group"),
            (json!({"paths": 1}), "paths"),
        ];
        for (section, key) in cases {
            let problems = Settings::read(&section).unwrap_err();
            assert_eq!(problems.len(), 1, "{section}: {problems:?}");
            assert_eq!(problems[0].key, key, "{section}");
        }
        let both = json!({"max_connections": 0, "idle_timeout": "0s"});
        assert_eq!(Settings::read(&both).unwrap_err().len(), 2);
    }

    #[test]
    fn one_socket_may_be_left_out() {
        assert!(Settings::read(&json!({"task": ""})).is_ok());
        assert!(Settings::read(&json!({"upgrade": ""})).is_ok());
    }
}
