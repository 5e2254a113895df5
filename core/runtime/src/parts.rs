//! What the engine is handed: one plugin of each kind, several where several may
//! be. Whoever starts the engine makes them; the engine knows the traits alone.

use std::sync::Arc;

use wpk_api::{AgentDirectory, RequestSource, TaskObserver, TaskStore, Transport, WpkProvider};

/// The parts of an engine.
#[derive(Clone)]
pub struct Components {
    /// Where requests come from.
    pub sources: Vec<Arc<dyn RequestSource>>,
    /// Who the agents are.
    pub directory: Arc<dyn AgentDirectory>,
    /// Where WPKs come from, in the order they are asked.
    pub providers: Vec<Arc<dyn WpkProvider>>,
    /// The agent channel.
    pub transport: Arc<dyn Transport>,
    /// Where tasks are kept.
    pub store: Arc<dyn TaskStore>,
    /// Who is told of every change of a task.
    pub observers: Vec<NamedObserver>,
}

/// An observer, and the name under which the store keeps its place in the feed.
#[derive(Clone)]
pub struct NamedObserver {
    /// 1 to 64 bytes, one for each observer, the same at every start.
    pub name: String,
    /// The observer.
    pub observer: Arc<dyn TaskObserver>,
}

/// A library that was loaded, for the metrics.
#[derive(Debug, Clone)]
pub struct PluginState {
    /// Its name.
    pub name: String,
    /// Whether it answers: it is not quarantined.
    pub up: bool,
}

/// Why an engine cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A folder the engine needs cannot be made or used.
    #[error("{path}: {cause}; create it, or give its owner to the user wpkd runs as", path = path.display())]
    Folder {
        /// The folder.
        path: std::path::PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The certificates WPKs are checked against cannot be read.
    #[error("cache.ca_store: {0}")]
    CaStore(String),
}
