//! The `[store]` section with `type = "cluster"`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use wpk_api::examine::{Check, Examine};
use wpk_api::paths;
use wpk_api::settings::{Problem, Span, read};
use wpk_api::{BuildError, Context, Factory, Role, TaskStore};

use super::{ClusterStore, examine};

/// The most `attempts`.
const MOST_ATTEMPTS: u32 = 100;

/// What can be set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterSettings {
    /// The cluster daemon's socket, relative to `home`.
    pub socket: PathBuf,
    /// How long one question to the master may take, all attempts together.
    pub timeout: Span,
    /// How often a question is put before the master counts as away, 1 to 100.
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

impl ClusterSettings {
    /// Reads and validates the section.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(section: &Value) -> Result<Self, Vec<Problem>> {
        let settings: Self = read(section)?;
        let mut problems = Vec::new();
        if settings.socket.file_name().is_none() {
            problems.push(Problem::new(
                "socket",
                format!(
                    "must name the cluster daemon's socket, for example {:?}",
                    paths::CLUSTER_SOCKET
                ),
            ));
        }
        if settings.timeout.0.is_zero() {
            problems.push(Problem::new(
                "timeout",
                "would end every question at once; write for example \"10s\"",
            ));
        }
        if !(1..=MOST_ATTEMPTS).contains(&settings.attempts) {
            problems.push(Problem::new(
                "attempts",
                format!("{} is outside 1 to {MOST_ATTEMPTS}", settings.attempts),
            ));
        }
        if settings.path.file_name().is_none() {
            problems.push(Problem::new(
                "path",
                format!("must name a file, for example {OWN_FILE:?}"),
            ));
        }
        if problems.is_empty() {
            Ok(settings)
        } else {
            Err(problems)
        }
    }
}

/// Why there is no such store on a master.
const MASTERS_OWN: &str = "the tasks are the master's own: set node.role = \"worker\" \
     on a worker node, or store.type = \"sqlite\" on the master";

/// Makes the store of `type = "cluster"`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClusterStoreFactory;

#[async_trait]
impl Factory<dyn TaskStore> for ClusterStoreFactory {
    fn kind(&self) -> &'static str {
        "cluster"
    }

    fn check(&self, settings: &Value) -> Vec<Problem> {
        ClusterSettings::parse(settings).err().unwrap_or_default()
    }

    async fn examine(&self, settings: &Value, context: &Context, _asked: &Examine) -> Vec<Check> {
        match ClusterSettings::parse(settings) {
            Ok(_) if context.node.role == Role::Master => {
                vec![Check::failure(examine::NAME, MASTERS_OWN, "")]
            }
            Ok(settings) => {
                let socket = context.path(&settings.socket);
                let (limit, attempts) = (settings.timeout.0, settings.attempts);
                vec![examine::master(socket, limit, attempts).await]
            }
            Err(_) => Vec::new(),
        }
    }

    fn build(&self, settings: &Value, context: &Context) -> Result<Arc<dyn TaskStore>, BuildError> {
        let settings = ClusterSettings::parse(settings).map_err(BuildError::Settings)?;
        if context.node.role == Role::Master {
            return Err(BuildError::Failed(MASTERS_OWN.to_owned()));
        }
        let store = ClusterStore::open(&settings, context)
            .map_err(|error| BuildError::Failed(error.to_string()))?;
        Ok(Arc::new(store))
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
            let problems = ClusterStoreFactory.check(&section);
            assert_eq!(problems.len(), 1, "{section}");
            assert_eq!(problems[0].key, key);
        }
        assert!(ClusterStoreFactory.check(&json!({})).is_empty());
    }
}
