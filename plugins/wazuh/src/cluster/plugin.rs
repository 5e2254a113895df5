//! From the section of the configuration to the store.

use wpk_api::section;
use wpk_api::{BuildError, Context, Factory, Role, TaskStore};

use super::settings::{ClusterSettings, MASTERS_OWN};
use super::store::ClusterStore;

/// `[store] type = "cluster"`.
pub fn cluster() -> impl Factory<dyn TaskStore> {
    section::plugin("cluster", open)
}

fn open(settings: ClusterSettings, context: &Context) -> Result<ClusterStore, BuildError> {
    if context.node.role == Role::Master {
        return Err(BuildError::Failed(MASTERS_OWN.to_owned()));
    }
    ClusterStore::open(&settings, context).map_err(|error| BuildError::Failed(error.to_string()))
}
