//! How a plugin is made from its settings.

use std::path::PathBuf;

use serde_json::Value;

use crate::Version;
use crate::settings::Problem;

/// Makes one kind of plugin from its section of the configuration. `T` is one
/// of the five traits, for example `dyn WpkProvider`.
pub trait Factory<T: ?Sized>: Send + Sync {
    /// The `type = "..."` this factory answers to.
    fn kind(&self) -> &'static str;

    /// Every mistake in the settings, without touching anything: what
    /// `wpkd check` prints. `settings` is the section without `type`.
    fn check(&self, settings: &Value) -> Vec<Problem>;

    /// Makes the plugin. May open files and bind sockets, must not block for long,
    /// and runs inside a tokio runtime.
    ///
    /// # Errors
    /// [`BuildError`], which ends the start of the daemon.
    fn build(&self, settings: &Value, context: &Context) -> Result<std::sync::Arc<T>, BuildError>;
}

/// What every plugin may know about the daemon it runs in.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Context {
    /// Relative paths in settings start here.
    pub home: PathBuf,
    /// The node.
    pub node: NodeInfo,
}

impl Context {
    /// A path from settings, made absolute.
    pub fn path(&self, path: impl AsRef<std::path::Path>) -> PathBuf {
        self.home.join(path)
    }
}

/// The manager node the daemon runs on.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NodeInfo {
    /// Its name.
    pub name: String,
    /// Its role in the cluster.
    pub role: Role,
    /// The manager's version, if it is known.
    pub version: Option<Version>,
}

/// A node's role in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs the task manager.
    #[default]
    Master,
    /// Sends its task messages to the master.
    Worker,
}

/// Why a plugin could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Its settings are wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Settings(Vec<Problem>),
    /// The settings are fine, the world is not; the text says what to do.
    #[error("{0}")]
    Failed(String),
}
