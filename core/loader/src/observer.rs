//! A task observer behind the border.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use wpk_abi::Operation;
use wpk_api::border::{Changes, Opened, TasksAfter};
use wpk_api::{Change, ObserverError, Task, TaskId, TaskObserver};

use crate::failure::CallError;
use crate::instance::Instance;

struct Observer(Instance);

pub(crate) fn make(instance: Instance, _: Opened) -> Arc<dyn TaskObserver> {
    Arc::new(Observer(instance))
}

#[async_trait]
impl TaskObserver for Observer {
    async fn observe(&self, changes: &[Change]) -> Result<(), ObserverError> {
        let changes = changes.to_vec();
        let question = Changes { changes };
        // Whatever is answered says that it is done.
        let answer = self.0.ask_for::<Value>(Operation::Observe, &question).await;
        answer.map(drop).map_err(CallError::observer)
    }

    async fn shown(&self, after: TaskId, limit: usize) -> Result<Vec<Task>, ObserverError> {
        let question = TasksAfter { after, limit };
        match self.0.ask_for(Operation::Shown, &question).await {
            // The default of the trait.
            Err(error) if error.is_unsupported() => Ok(Vec::new()),
            answer => answer.map_err(CallError::observer),
        }
    }
}
