//! The settings of `[[source]] type = "unix-socket"`.

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use wpk_api::paths;
use wpk_api::settings::{ByteSize, Problem, Span, read};
use wpk_api::{Context, Demands, Occupied, Resource};

/// The smallest `max_frame`, in bytes: what every 4.x client may send.
const SMALLEST_MAX_FRAME: u64 = wpk_wire::PEER_MAX_PAYLOAD as u64;
/// The largest `max_frame`, in bytes.
const LARGEST_MAX_FRAME: u64 = 1 << 30;
/// The largest `max_connections`.
const LARGEST_MAX_CONNECTIONS: usize = 1_000_000;

/// The settings, as an administrator writes them.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Path of the upgrade socket; empty: not served.
    pub upgrade: String,
    /// Path of the task socket; empty: not served.
    pub task: String,
    /// Rights of both socket files, exactly, whatever the umask is.
    pub mode: Mode,
    /// Group of both socket files, a name of the local group file or a number;
    /// absent: left as created.
    pub group: Option<String>,
    /// The longest request; 64 KiB to 1 GiB. A client that announces more is
    /// dropped.
    pub max_frame: ByteSize,
    /// The user ids that may send requests (proved by the kernel); absent:
    /// whoever the mode lets in.
    pub allow_uids: Option<Vec<u32>>,
    /// How long a client may send nothing, take for one frame, or leave an
    /// answer unread before it is dropped.
    pub idle_timeout: Span,
    /// Connections at a time on each socket; further ones wait in the queue of
    /// the kernel, and clients that send nothing for a second make room.
    pub max_connections: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            upgrade: paths::UPGRADE_SOCKET.to_owned(),
            task: paths::TASK_SOCKET.to_owned(),
            mode: Mode(0o660),
            group: None,
            max_frame: ByteSize(wpk_wire::frame::DEFAULT_MAX_PAYLOAD as u64),
            allow_uids: None,
            idle_timeout: Span(std::time::Duration::from_secs(30)),
            max_connections: 1024,
        }
    }
}

impl Settings {
    /// Reads and validates the section.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(section: &Value) -> Result<Self, Vec<Problem>> {
        let settings: Self = read(section)?;
        let problems = settings.problems();
        if problems.is_empty() {
            Ok(settings)
        } else {
            Err(problems)
        }
    }

    /// The paths of the sockets it serves.
    pub fn demands(&self, context: &Context) -> Demands {
        let served = [("upgrade", &self.upgrade), ("task", &self.task)];
        let occupies = (served.into_iter().filter(|(_, path)| !path.is_empty()))
            .map(|(key, path)| Occupied {
                key: key.to_owned(),
                what: Resource::Path(context.path(path)),
            })
            .collect();
        Demands {
            occupies,
            needs: Vec::new(),
        }
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut wrong = |key: &str, message: String| problems.push(Problem::new(key, message));
        if self.upgrade.is_empty() && self.task.is_empty() {
            wrong(
                "upgrade",
                "both sockets are switched off; give a path to `upgrade`, to `task` or to both"
                    .to_owned(),
            );
        } else if self.upgrade == self.task {
            wrong(
                "task",
                format!(
                    "is the same path as `upgrade`, {:?}; each socket needs its own",
                    self.task
                ),
            );
        }
        if !(SMALLEST_MAX_FRAME..=LARGEST_MAX_FRAME).contains(&self.max_frame.0) {
            wrong(
                "max_frame",
                format!("{} is outside 64KiB to 1GiB", self.max_frame),
            );
        }
        if self.idle_timeout.0.is_zero() {
            wrong(
                "idle_timeout",
                "would drop every client at once; write for example \"30s\"".to_owned(),
            );
        }
        if !(1..=LARGEST_MAX_CONNECTIONS).contains(&self.max_connections) {
            wrong(
                "max_connections",
                format!(
                    "{} is outside 1 to {LARGEST_MAX_CONNECTIONS}",
                    self.max_connections
                ),
            );
        }
        if self.allow_uids.as_ref().is_some_and(Vec::is_empty) {
            wrong(
                "allow_uids",
                "is empty, so nobody could send a request; list user ids or remove the key"
                    .to_owned(),
            );
        }
        if self.group.as_ref().is_some_and(String::is_empty) {
            wrong(
                "group",
                "is empty; name a group or remove the key".to_owned(),
            );
        }
        problems
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
        let settings = Settings::parse(&json!({})).unwrap();
        assert_eq!(settings.upgrade, "queue/tasks/upgrade");
        assert_eq!(settings.task, "queue/tasks/task");
        assert_eq!(settings.mode, Mode(0o660));
        assert_eq!(settings.max_frame, ByteSize(16 << 20));
        assert_eq!(settings.max_connections, 1024);
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
            (json!({"idle_timeout": "0s"}), "idle_timeout"),
            (json!({"max_connections": 0}), "max_connections"),
            (json!({"allow_uids": []}), "allow_uids"),
            (json!({"allow_uids": [-1]}), "allow_uids"),
            (json!({"group": ""}), "group"),
            (json!({"paths": 1}), "paths"),
        ];
        for (section, key) in cases {
            let problems = Settings::parse(&section).unwrap_err();
            assert_eq!(problems.len(), 1, "{section}: {problems:?}");
            assert_eq!(problems[0].key, key, "{section}");
        }
        let both = json!({"max_connections": 0, "idle_timeout": "0s"});
        assert_eq!(Settings::parse(&both).unwrap_err().len(), 2);
    }

    #[test]
    fn one_socket_may_be_left_out() {
        assert!(Settings::parse(&json!({"task": ""})).is_ok());
        assert!(Settings::parse(&json!({"upgrade": ""})).is_ok());
    }
}
