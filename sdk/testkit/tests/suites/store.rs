//! The store suite on the plain store in memory.

use std::sync::Arc;

use wpk_api::TaskStore;
use wpk_testkit::memory::MemoryStore;
use wpk_testkit::store_suite;

async fn empty() -> Arc<dyn TaskStore> {
    Arc::new(MemoryStore::new())
}

#[tokio::test]
async fn the_store_in_memory_passes() {
    store_suite::run(empty).await;
}
