//! The SQLite store with a flaw: as long as there is a file `hang` in the
//! daemon's home, creating tasks blocks a thread for ever.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wpk_api::{BuildError, Context, Factory, StoreError, TaskStore};
use wpk_plugin::async_trait;
use wpk_plugin_sqlite::{Settings, SqliteStore};
use wpk_testkit::memory::{Gate, StoreAround};

/// `[store] type = "border-hanging-sqlite"`.
pub(crate) fn plugin() -> impl Factory<dyn TaskStore> {
    wpk_plugin::plugin("border-hanging-sqlite", open)
}

fn open(settings: Settings, context: &Context) -> Result<StoreAround<Hanging>, BuildError> {
    let store = SqliteStore::open(context.path(&settings.path))
        .map_err(|error| BuildError::Failed(error.to_string()))?;
    Ok(StoreAround {
        inside: Arc::new(store),
        gate: Hanging(context.path("hang")),
    })
}

struct Hanging(PathBuf);

#[async_trait]
impl Gate for Hanging {
    async fn pass(&self, operation: &'static str) -> Result<(), StoreError> {
        while operation == "create" && self.0.exists() {
            std::thread::sleep(Duration::from_secs(3600));
        }
        Ok(())
    }
}
