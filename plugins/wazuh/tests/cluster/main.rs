//! The store of a worker node against a fake cluster daemon over a real socket.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod broken;
mod suite;

use std::sync::Arc;

use wpk_api::TaskStore;
use wpk_testkit::stands::AnyFactory;

fn factory() -> AnyFactory<dyn TaskStore> {
    Arc::new(wpk_plugin_wazuh::cluster())
}
