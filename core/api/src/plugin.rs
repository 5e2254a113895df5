//! How a plugin is made from its settings, and what is asked of it before.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Version;
use crate::examine::{Check, Examine};
use crate::outlook::Outlook;
use crate::repository::shown;
use crate::settings::Problem;

/// The kinds of plugins: one for each trait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PluginKind {
    /// [`RequestSource`](crate::RequestSource), `[[source]]`.
    Source,
    /// [`AgentDirectory`](crate::AgentDirectory), `[directory]`.
    Directory,
    /// [`Transport`](crate::Transport), `[transport]`.
    Transport,
    /// [`WpkProvider`](crate::WpkProvider), `[[provider]]`.
    Provider,
    /// [`TaskStore`](crate::TaskStore), `[store]`.
    Store,
    /// [`TaskObserver`](crate::TaskObserver), `[[observer]]`.
    Observer,
}

impl PluginKind {
    /// All of them.
    pub const ALL: [PluginKind; 6] = [
        Self::Source,
        Self::Directory,
        Self::Transport,
        Self::Provider,
        Self::Store,
        Self::Observer,
    ];

    /// Its section in the configuration, and its word across the plugin border.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Directory => "directory",
            Self::Transport => "transport",
            Self::Provider => "provider",
            Self::Store => "store",
            Self::Observer => "observer",
        }
    }

    /// Whether a daemon has any number of them (`[[source]]`), also none where the
    /// daemon works without (`[[observer]]`), or exactly one
    /// (`[store]`).
    pub const fn is_list(self) -> bool {
        matches!(self, Self::Source | Self::Provider | Self::Observer)
    }
}

impl fmt::Display for PluginKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Makes one kind of plugin from its section of the configuration. `T` is one
/// of the traits, for example `dyn WpkProvider`.
#[async_trait]
pub trait Factory<T: ?Sized>: Send + Sync {
    /// The `type = "..."` this factory answers to.
    fn kind(&self) -> &'static str;

    /// Every mistake in the settings, without touching anything: what
    /// `wpkd check` prints. `settings` is the section without `type`.
    fn check(&self, settings: &Value) -> Vec<Problem>;

    /// A JSON schema of the section, where there is one; what a library publishes in
    /// its description.
    fn schema(&self) -> Option<Value> {
        None
    }

    /// What the section needs beside itself and what nobody else may have, so
    /// that sections that do not fit together are found before anything starts.
    /// Touches nothing. Settings with mistakes demand nothing.
    fn demands(&self, settings: &Value, context: &Context) -> Demands {
        let _ = (settings, context);
        Demands::default()
    }

    /// Looks whether the world would stop the start of the plugin now, and changes
    /// nothing: what `wpkd check` says beside the mistakes in the settings. By default
    /// there is nothing to say.
    async fn outlook(&self, settings: &Value, context: &Context) -> Outlook {
        let _ = (settings, context);
        Outlook::default()
    }

    /// Looks at what the plugin would meet if it were made now, and changes
    /// nothing: what `wpkctl doctor` prints. By default there is nothing to say.
    async fn examine(&self, settings: &Value, context: &Context, asked: &Examine) -> Vec<Check> {
        let _ = (settings, context, asked);
        Vec::new()
    }

    /// Whether a plugin can be made from changed settings while the one before still
    /// works, and put in its place: what SIGHUP does. Counts for providers. By default
    /// changed settings need a restart.
    fn reloadable(&self) -> bool {
        false
    }

    /// Makes the plugin. May open files and bind sockets, must not block for long,
    /// and runs inside a tokio runtime.
    ///
    /// # Errors
    /// [`BuildError`], which ends the start of the daemon.
    fn build(&self, settings: &Value, context: &Context) -> Result<std::sync::Arc<T>, BuildError>;
}

/// What every plugin may know about the daemon it runs in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// Relative paths in settings start here.
    pub home: PathBuf,
    /// The node.
    pub node: NodeInfo,
    /// The base of the repository that the manager around us names for all its
    /// parts (`wpk_repository` of a 4.x `ossec.conf`, protocol section 11); a
    /// provider whose own settings name none uses it. It may hold a password: show
    /// it by [`shown`](crate::repository::shown) only, as `Debug` does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wpk_repository: Option<String>,
    /// Whether a 4.x manager is around us, in the same home (`[wazuh] ossec_conf` names
    /// its settings).
    #[serde(default)]
    pub manager: bool,
}

/// What one section of the configuration demands of the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Demands {
    /// What only one section can have.
    pub occupies: Vec<Occupied>,
    /// The sections it cannot be without.
    pub needs: Vec<Need>,
    /// Why the section cannot be on this node, whatever else is there.
    pub misplaced: Vec<Problem>,
    /// The administrator must have named the node: others who share what the section names
    /// tell this one from themselves by it.
    pub node_name: bool,
}

impl Demands {
    /// The same, and what `key` of the section names is had by no other.
    #[must_use]
    pub fn occupying(mut self, key: &str, what: Resource) -> Self {
        self.occupies.push(Occupied {
            key: key.to_owned(),
            what,
        });
        self
    }

    /// The same, and a section of this kind with this `type` must be there.
    #[must_use]
    pub fn needing(mut self, kind: PluginKind, type_name: &str) -> Self {
        self.needs.push(Need {
            kind,
            type_name: type_name.to_owned(),
        });
        self
    }
}

impl Demands {
    /// The same, and the administrator must have named the node.
    #[must_use]
    pub fn needing_node_name(mut self) -> Self {
        self.node_name = true;
        self
    }

    /// The same, and the section cannot be on this node: `message` says why, and what
    /// to write instead.
    #[must_use]
    pub fn misplaced(mut self, key: &str, message: impl Into<String>) -> Self {
        self.misplaced.push(Problem::new(key, message));
        self
    }
}

/// Something that only one section can have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occupied {
    /// The key of the section that says so.
    pub key: String,
    /// What it is.
    pub what: Resource,
}

/// Something of the machine that exists once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// The path of a socket or of a file, absolute.
    Path(PathBuf),
    /// A TCP address. An unspecified address stands for all of the machine's;
    /// port 0 collides with nothing.
    Tcp(SocketAddr),
}

impl Resource {
    /// Whether not both can be had.
    pub fn collides(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Path(one), Self::Path(other)) => one == other,
            (Self::Tcp(one), Self::Tcp(other)) => {
                let everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
                one.port() != 0
                    && one.port() == other.port()
                    && (one.ip() == other.ip() || everywhere)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{path:?}"),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

/// A section that another cannot be without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// Of this kind,
    pub kind: PluginKind,
    /// with this `type`.
    #[serde(rename = "type")]
    pub type_name: String,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("home", &self.home)
            .field("node", &self.node)
            .field("wpk_repository", &self.wpk_repository.as_deref().map(shown))
            .finish()
    }
}

impl Context {
    /// A daemon with this home and node, and no manager around it that names a
    /// repository.
    pub fn new(home: impl Into<PathBuf>, node: NodeInfo) -> Self {
        Self {
            home: home.into(),
            node,
            wpk_repository: None,
            manager: false,
        }
    }

    /// A path from settings, made absolute.
    pub fn path(&self, path: impl AsRef<std::path::Path>) -> PathBuf {
        self.home.join(path)
    }
}

/// The manager node the daemon runs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// Its name.
    pub name: String,
    /// Its role in the cluster.
    pub role: Role,
    /// The manager's version, if it is known.
    pub version: Option<Version>,
}

/// A node's role in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs the task manager.
    #[default]
    Master,
    /// Sends its task messages to the master.
    Worker,
}

impl Role {
    /// `master` or `worker`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Worker => "worker",
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_port_on_all_addresses_collides_with_it_on_each() {
        let tcp = |text: &str| Resource::Tcp(text.parse().unwrap());
        assert!(tcp("0.0.0.0:1517").collides(&tcp("127.0.0.1:1517")));
        assert!(tcp("127.0.0.1:1517").collides(&tcp("[::]:1517")));
        assert!(tcp("127.0.0.1:1517").collides(&tcp("127.0.0.1:1517")));
        assert!(!tcp("127.0.0.2:1517").collides(&tcp("127.0.0.1:1517")));
        assert!(!tcp("0.0.0.0:1518").collides(&tcp("127.0.0.1:1517")));
        assert!(!tcp("0.0.0.0:0").collides(&tcp("0.0.0.0:0")));
    }

    #[test]
    fn paths_collide_with_the_same_path_only() {
        let path = |text: &str| Resource::Path(text.into());
        assert!(path("/a").collides(&path("/a")));
        assert!(!path("/a").collides(&path("/b")));
        assert!(!path("/a").collides(&Resource::Tcp("0.0.0.0:1".parse().unwrap())));
    }

    #[test]
    fn kinds_are_named_as_their_sections() {
        for kind in PluginKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
