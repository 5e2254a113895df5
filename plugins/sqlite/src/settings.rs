//! The `[store]` section with `type = "sqlite"`.

use std::path::PathBuf;

use async_trait::async_trait;
use serde::Deserialize;
use wpk_api::examine::{Check, Examine};
use wpk_api::paths;
use wpk_api::section::{self, Section};
use wpk_api::settings::{Problem, Problems};
use wpk_api::{BuildError, Context, Demands, Factory, Resource, TaskStore};

use crate::{SqliteStore, examine};

/// What can be set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The database file, relative to `home`; made with its folders if absent.
    /// Default: where a 4.x manager keeps it, `queue/tasks/tasks.db`.
    pub path: PathBuf,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            path: PathBuf::from(paths::TASK_DATABASE),
        }
    }
}

#[async_trait]
impl Section for Settings {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::new();
        problems.names_file("path", &self.path, paths::TASK_DATABASE);
        problems.found()
    }

    /// The file: two programs may share it, two stores or registries in one may not.
    fn demands(&self, context: &Context) -> Demands {
        let file = Resource::Path(context.path(&self.path));
        Demands::default().occupying("path", file)
    }

    async fn examine(&self, context: &Context, asked: &Examine) -> Vec<Check> {
        let node = context.node.name.clone();
        examine::examine(context.path(&self.path), node, asked).await
    }
}

/// `[store] type = "sqlite"`.
pub fn plugin() -> impl Factory<dyn TaskStore> {
    section::plugin("sqlite", open)
}

fn open(settings: Settings, context: &Context) -> Result<SqliteStore, BuildError> {
    SqliteStore::open(context.path(&settings.path))
        .map_err(|error| BuildError::Failed(error.to_string()))
}
