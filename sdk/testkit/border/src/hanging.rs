//! The SQLite store with a flaw: as long as there is a file `hang` in the
//! daemon's home, creating tasks blocks a thread for ever.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use wpk_api::settings::Problem;
use wpk_api::{
    AgentId, BuildError, Claimed, Context, Created, Factory, NewTask, StoreError, Task, TaskId,
    TaskStore, Transition, TransitionResult, UnixTime,
};
use wpk_plugin::async_trait;
use wpk_plugin_sqlite::SqliteFactory;

pub(crate) struct HangingFactory;

impl Factory<dyn TaskStore> for HangingFactory {
    fn kind(&self) -> &'static str {
        "border-hanging-sqlite"
    }

    fn check(&self, settings: &Value) -> Vec<Problem> {
        SqliteFactory.check(settings)
    }

    fn build(&self, settings: &Value, context: &Context) -> Result<Arc<dyn TaskStore>, BuildError> {
        Ok(Arc::new(Hanging {
            inner: SqliteFactory.build(settings, context)?,
            hang: context.path("hang"),
        }))
    }
}

struct Hanging {
    inner: Arc<dyn TaskStore>,
    hang: PathBuf,
}

#[async_trait]
impl TaskStore for Hanging {
    async fn create(&self, tasks: Vec<NewTask>) -> Result<Vec<Created>, StoreError> {
        while self.hang.exists() {
            std::thread::sleep(Duration::from_secs(3600));
        }
        self.inner.create(tasks).await
    }

    async fn latest(&self, agents: &[AgentId]) -> Result<Vec<Option<Task>>, StoreError> {
        self.inner.latest(agents).await
    }

    async fn transition(
        &self,
        moves: Vec<Transition>,
    ) -> Result<Vec<TransitionResult>, StoreError> {
        self.inner.transition(moves).await
    }

    async fn claim(
        &self,
        node: &str,
        limit: usize,
        now: UnixTime,
    ) -> Result<Vec<Claimed>, StoreError> {
        self.inner.claim(node, limit, now).await
    }

    async fn interrupted(&self, node: &str) -> Result<Vec<Claimed>, StoreError> {
        self.inner.interrupted(node).await
    }

    async fn begin_installer(&self, task: TaskId, now: UnixTime) -> Result<bool, StoreError> {
        self.inner.begin_installer(task, now).await
    }

    async fn touch(&self, tasks: &[TaskId], now: UnixTime) -> Result<(), StoreError> {
        self.inner.touch(tasks, now).await
    }

    async fn cancel(&self, node: &str, now: UnixTime) -> Result<u64, StoreError> {
        self.inner.cancel(node, now).await
    }

    async fn withdraw(&self, tasks: &[TaskId]) -> Result<u64, StoreError> {
        self.inner.withdraw(tasks).await
    }

    async fn expire(&self, not_since: UnixTime, now: UnixTime) -> Result<Vec<Task>, StoreError> {
        self.inner.expire(not_since, now).await
    }

    async fn purge(&self, created_until: UnixTime) -> Result<u64, StoreError> {
        self.inner.purge(created_until).await
    }
}
