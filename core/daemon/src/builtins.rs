//! The list of built-in plugins. The only place that knows both the engine and
//! the plugins.

use wpk_plugin_channel::ChannelPlugin;
use wpk_plugin_local_file::LocalFileFactory;
use wpk_plugin_repository::RepositoryFactory;
use wpk_plugin_sqlite::SqliteFactory;
use wpk_plugin_unix_socket::UnixSocketFactory;
use wpk_plugin_wazuh::{ClusterStoreFactory, RemotedFactory, WazuhDbFactory};
use wpk_runtime::Registry;

/// Every built-in plugin under its `type`.
pub(crate) fn registry() -> Registry {
    let channel = ChannelPlugin::new();
    Registry::new()
        .with_source(UnixSocketFactory)
        .with_source(channel.source())
        .with_directory(channel.directory())
        .with_directory(WazuhDbFactory)
        .with_transport(channel.transport())
        .with_transport(RemotedFactory)
        .with_provider(RepositoryFactory)
        .with_provider(LocalFileFactory)
        .with_store(SqliteFactory)
        .with_store(ClusterStoreFactory)
}
