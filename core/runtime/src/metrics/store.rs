//! The task store, with a watch beside it: how long each call takes.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::Instant;
use wpk_api::{StoreResult, TaskStore};

use super::Metrics;

/// A store whose calls are measured.
pub(crate) struct Measured {
    pub(crate) store: Arc<dyn TaskStore>,
    pub(crate) metrics: Arc<Metrics>,
}

macro_rules! measured {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl TaskStore for Measured {
            $(async fn $name(&self, $($argument: $type),*) -> StoreResult<$answer> {
                let asked = Instant::now();
                let answer = self.store.$name($($argument),*).await;
                self.metrics.store_call(stringify!($name), answer.is_ok(), asked.elapsed());
                answer
            })*

            async fn stirred(&self) {
                self.store.stirred().await;
            }
        }
    };
}

wpk_api::store_calls!(measured);
