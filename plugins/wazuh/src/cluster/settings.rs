//! The `[store]` section with `type = "cluster"`.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use wpk_api::examine::{Check, Examine};
use wpk_api::paths;
use wpk_api::section::Section;
use wpk_api::settings::{Problem, Problems, Span, Value, schema_of};
use wpk_api::{Context, Demands, Outlook, Resource, Role};

use super::examine;

/// The most `attempts`.
const MOST_ATTEMPTS: u32 = 100;

/// What can be set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterSettings {
    /// The cluster daemon's socket, relative to `home`.
    pub socket: PathBuf,
    /// How long one question to the master may take, all attempts together, 1ms to 36500d.
    pub timeout: Span,
    /// How often a question is put before the master counts as away, 1 to 100.
    #[schemars(extend("unit" = "attempts"))]
    pub attempts: u32,
    /// Our own file, relative to `home`: what a worker must remember of its
    /// tasks. Made with its folders if absent.
    pub path: PathBuf,
}

/// Our own file, unless another is set.
const OWN_FILE: &str = "queue/tasks/worker.db";

impl Default for ClusterSettings {
    fn default() -> Self {
        Self {
            socket: PathBuf::from(paths::CLUSTER_SOCKET),
            timeout: Span(Duration::from_secs(10)),
            attempts: 3,
            path: PathBuf::from(OWN_FILE),
        }
    }
}

/// Why there is no such store on a master.
pub(super) const MASTERS_OWN: &str = "\"cluster\" is for workers, the tasks are the master's own: set node.role = \"worker\" \
     on a worker node, or store.type = \"sqlite\" on the master";

#[async_trait]
impl Section for ClusterSettings {
    fn schema() -> Option<Value> {
        schema_of::<Self>()
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::new();
        problems.names_file("socket", &self.socket, paths::CLUSTER_SOCKET);
        problems.not_zero("timeout", self.timeout, "10s");
        problems.in_range("attempts", self.attempts, 1..=MOST_ATTEMPTS);
        problems.names_file("path", &self.path, OWN_FILE);
        problems.found()
    }

    /// Our own file.
    fn demands(&self, context: &Context) -> Demands {
        let file = Resource::Path(context.path(&self.path));
        let demands = Demands::default().occupying("path", file);
        match context.node.role {
            Role::Master => demands.misplaced("type", MASTERS_OWN),
            Role::Worker => demands,
        }
    }

    async fn outlook(&self, context: &Context) -> Outlook {
        let problem = wpk_sqlite_file::misplaced(&context.path(&self.path));
        let problem = problem.map(|text| Problem::new("path", text));
        Outlook {
            problems: problem.into_iter().collect(),
            ..Outlook::default()
        }
    }

    async fn examine(&self, context: &Context, _asked: &Examine) -> Vec<Check> {
        if context.node.role == Role::Master {
            return vec![Check::failure(examine::NAME, MASTERS_OWN, "")];
        }
        let socket = context.path(&self.socket);
        let master = examine::master(socket, self.timeout.0, self.attempts).await;
        let own = wpk_sqlite_file::examine("worker's file", &context.path(&self.path));
        std::iter::once(master).chain(own).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn mistakes_are_named_with_their_key() {
        let cases = [
            (json!({"socket": ""}), "socket"),
            (json!({"timeout": "0s"}), "timeout"),
            (json!({"attempts": 0}), "attempts"),
            (json!({"attempts": 101}), "attempts"),
            (json!({"path": ".."}), "path"),
            (json!({"url": "x"}), "url"),
        ];
        for (section, key) in cases {
            let problems = ClusterSettings::read(&section).unwrap_err();
            assert_eq!(problems.len(), 1, "{section}");
            assert_eq!(problems[0].key, key);
        }
        assert!(ClusterSettings::read(&json!({})).is_ok());
    }
}
