//! The `[store]` section with `type = "sqlite"`.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use wpk_api::examine::{Check, Examine};
use wpk_api::paths;
use wpk_api::settings::{Problem, read};
use wpk_api::{BuildError, Context, Factory, TaskStore};

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

impl Settings {
    fn read(section: &Value) -> Result<Self, Vec<Problem>> {
        let settings: Self = read(section)?;
        if settings.path.file_name().is_none() {
            return Err(vec![Problem::new(
                "path",
                format!("must name a file, for example {:?}", paths::TASK_DATABASE),
            )]);
        }
        Ok(settings)
    }
}

/// Makes the store of `type = "sqlite"`.
#[derive(Debug, Clone, Copy, Default)]
pub struct SqliteFactory;

#[async_trait]
impl Factory<dyn TaskStore> for SqliteFactory {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    fn check(&self, settings: &Value) -> Vec<Problem> {
        Settings::read(settings).err().unwrap_or_default()
    }

    async fn examine(&self, settings: &Value, context: &Context, asked: &Examine) -> Vec<Check> {
        match Settings::read(settings) {
            Ok(settings) => examine::examine(context.path(settings.path), asked).await,
            Err(_) => Vec::new(),
        }
    }

    fn build(&self, settings: &Value, context: &Context) -> Result<Arc<dyn TaskStore>, BuildError> {
        let settings = Settings::read(settings).map_err(BuildError::Settings)?;
        let store = SqliteStore::open(context.path(&settings.path))
            .map_err(|error| BuildError::Failed(error.to_string()))?;
        Ok(Arc::new(store))
    }
}
