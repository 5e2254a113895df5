//! Who is asked for what a plan is made from.

use wpk_api::{AgentDirectory, StoreResult, TaskStore, UnixTime};
use wpk_rollout::Releases;

/// Who is asked.
pub(super) struct Sources<'a> {
    pub(super) store: &'a dyn TaskStore,
    /// Whether other nodes may have the same store.
    pub(super) shared: bool,
    pub(super) directory: &'a dyn AgentDirectory,
    /// The name of this node in a 4.x cluster.
    pub(super) cluster_node: Option<&'a str>,
    /// What the settings say.
    pub(super) releases: Releases,
    /// Now, where the store tells no time.
    pub(super) now: UnixTime,
}

impl Sources<'_> {
    /// Now, by the clock that all who share the store go by.
    pub(super) async fn time(&self) -> StoreResult<UnixTime> {
        Ok(self.store.clock().await?.unwrap_or(self.now))
    }
}
