//! The worlds around the built-in plugins, set up for the suites. Each takes
//! the plugin's factory, so that the same stand serves a plugin that is linked
//! in and one that was loaded from a library.
//!
//! Authors of plugins find examples here of what a suite asks for.

use std::sync::Arc;

use serde_json::Value;
use wpk_api::{Context, Factory};

use crate::suite::ok;

mod channel;
mod channel_source;
mod local_file;
mod remoted;
mod repository;
mod unix_socket;
mod wazuh_db;
mod wazuh_tasks;

pub use channel::{ChannelFactories, channel_directory, channel_transport};
pub use channel_source::channel_source;
pub use local_file::local_file;
pub use remoted::remoted;
pub use repository::repository;
pub use unix_socket::unix_socket;
pub use wazuh_db::wazuh_db;
pub use wazuh_tasks::wazuh_tasks;

/// A factory of a plugin, linked in or loaded.
pub type AnyFactory<T> = Arc<dyn Factory<T>>;

pub(crate) fn build<T: ?Sized>(
    factory: &AnyFactory<T>,
    settings: &Value,
    context: &Context,
) -> Arc<T> {
    ok("building the plugin", factory.build(settings, context))
}
