//! The SQLite store with a flaw: as long as there is a file `hang` in the
//! daemon's home, creating tasks blocks a thread for ever.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use wpk_api::settings::Problem;
use wpk_api::{BuildError, Context, Factory, StoreError, TaskStore};
use wpk_plugin::async_trait;
use wpk_plugin_sqlite::SqliteFactory;
use wpk_testkit::memory::{Gate, StoreAround};

pub(crate) struct HangingFactory;

impl Factory<dyn TaskStore> for HangingFactory {
    fn kind(&self) -> &'static str {
        "border-hanging-sqlite"
    }

    fn check(&self, settings: &Value) -> Vec<Problem> {
        SqliteFactory.check(settings)
    }

    fn build(&self, settings: &Value, context: &Context) -> Result<Arc<dyn TaskStore>, BuildError> {
        Ok(Arc::new(StoreAround {
            inside: SqliteFactory.build(settings, context)?,
            gate: Hanging(context.path("hang")),
        }))
    }
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
