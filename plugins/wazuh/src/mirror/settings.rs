//! `[[observer]] type = "wazuh-tasks"`.

use std::path::PathBuf;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use wpk_api::examine::{Check, Examine};
use wpk_api::paths;
use wpk_api::section::{self, Section};
use wpk_api::settings::{Problem, Problems, Value, schema_of};
use wpk_api::{BuildError, Context, Demands, Factory, Resource, Role, TaskObserver};

use super::examine;
use super::observer::WazuhTasks;

/// What can be set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WazuhTasksSettings {
    /// The manager's task database, relative to `home`. It is never made here: the
    /// manager's database daemon does that. Default: `queue/tasks/tasks.db`.
    pub path: PathBuf,
}

impl Default for WazuhTasksSettings {
    fn default() -> Self {
        Self {
            path: PathBuf::from(paths::MANAGER_TASK_DATABASE),
        }
    }
}

#[async_trait]
impl Section for WazuhTasksSettings {
    fn schema() -> Option<Value> {
        schema_of::<Self>()
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::new();
        problems.names_file("path", &self.path, paths::MANAGER_TASK_DATABASE);
        problems.found()
    }

    /// The file: a table that shows our tasks is not the one that keeps them.
    fn demands(&self, context: &Context) -> Demands {
        let file = Resource::Path(context.path(&self.path));
        Demands::default().occupying("path", file)
    }

    async fn examine(&self, context: &Context, _: &Examine) -> Vec<Check> {
        if context.node.role == Role::Worker {
            return Vec::new();
        }
        examine::examine(context.path(&self.path)).await
    }
}

/// `[[observer]] type = "wazuh-tasks"`.
pub fn wazuh_tasks() -> impl Factory<dyn TaskObserver> {
    section::plugin("wazuh-tasks", open)
}

fn open(settings: WazuhTasksSettings, context: &Context) -> Result<WazuhTasks, BuildError> {
    if context.node.role == Role::Worker {
        tracing::info!("the tasks of a worker are its master's, whose task table shows them");
        return Ok(WazuhTasks::idle());
    }
    Ok(WazuhTasks::new(context.path(&settings.path)))
}
