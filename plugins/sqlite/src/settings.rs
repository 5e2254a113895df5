//! The `[store]` section with `type = "sqlite"`.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use wpk_api::examine::{Check, Examine};
use wpk_api::paths;
use wpk_api::section::{self, Section};
use wpk_api::settings::{Problem, Problems, Value, schema_of};
use wpk_api::{BuildError, Context, Demands, Factory, Outlook, Resource, Role, TaskStore};

use crate::adopt::{self, Former};
use crate::{SqliteStore, examine};

/// What can be set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The database file, relative to `home`; made with its folders if absent.
    /// Default: `var/wpkd/tasks.db`. Where the first release kept our tasks
    /// (`queue/tasks/tasks.db`), they are copied from there at the first start.
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
    /// The file. A manager's own table belongs to its database daemon: settings of the
    /// first release, whose default it was, mean the default of today.
    fn file(&self, context: &Context) -> PathBuf {
        let named = context.path(&self.path);
        if context.manager && named == manager_table(context) {
            return context.path(paths::TASK_DATABASE);
        }
        named
    }

    /// What to say of a path that means another.
    fn warning(&self, context: &Context) -> Option<String> {
        let (named, file) = (context.path(&self.path), self.file(context));
        let shown = |path: &Path| path.display().to_string();
        (named != file).then(|| {
            format!(
                "store.path names the manager's own task table {}, which its database daemon \
                 locks; our tasks are kept in {} and shown there by [[observer]] type = \
                 \"wazuh-tasks\": remove store.path",
                shown(&named),
                shown(&file)
            )
        })
    }
}

fn manager_table(context: &Context) -> PathBuf {
    context.path(paths::MANAGER_TASK_DATABASE)
}

#[async_trait]
impl Section for Settings {
    fn schema() -> Option<Value> {
        schema_of::<Self>()
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::new();
        problems.names_file("path", &self.path, paths::TASK_DATABASE);
        problems.found()
    }

    /// The file: two programs may share it, two stores or registries in one may not.
    fn demands(&self, context: &Context) -> Demands {
        let file = Resource::Path(self.file(context));
        let demands = Demands::default().occupying("path", file);
        match context.node.role {
            Role::Master => demands,
            // The master would not know of them, and neither would the manager's API.
            Role::Worker => demands.misplaced(
                "type",
                "\"sqlite\" is no store for a worker node, whose tasks are the master's: leave \
                 [store] out (\"cluster\"), or name a store that all nodes share",
            ),
        }
    }

    async fn outlook(&self, context: &Context) -> Outlook {
        let file = self.file(context);
        let found = tokio::task::spawn_blocking(move || examine::unusable(&file)).await;
        let problems = found
            .ok()
            .flatten()
            .map(|message| Problem::new("path", message));
        Outlook {
            problems: problems.into_iter().collect(),
            ..Outlook::default()
        }
    }

    async fn examine(&self, context: &Context, asked: &Examine) -> Vec<Check> {
        let node = context.node.name.clone();
        let mut checks = examine::examine(self.file(context), node, asked).await;
        let advice = "remove the line, or name another file";
        checks
            .extend((self.warning(context)).map(|text| Check::warning("store.path", text, advice)));
        checks
    }
}

/// `[store] type = "sqlite"`.
pub fn plugin() -> impl Factory<dyn TaskStore> {
    section::plugin("sqlite", open)
}

fn open(settings: Settings, context: &Context) -> Result<SqliteStore, BuildError> {
    if let Some(warning) = settings.warning(context) {
        tracing::warn!("{warning}");
    }
    let file = settings.file(context);
    let failed = |error: wpk_api::StoreError| BuildError::Failed(error.to_string());
    if file == context.path(paths::TASK_DATABASE) {
        let former = Former {
            file: manager_table(context),
            shared: context.manager,
        };
        adopt::adopt(&former, &file).map_err(failed)?;
    }
    SqliteStore::open(file).map_err(failed)
}
