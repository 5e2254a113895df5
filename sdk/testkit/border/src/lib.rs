//! The built-in plugins as a dynamic library: what passes its suite linked in
//! must pass it through the border too. Each is exported under its `type` with
//! `border-` in front, so that a daemon, which has the built-ins already, can
//! load this library as well.

mod hanging;

use std::sync::Arc;

use serde_json::Value;
use wpk_api::settings::Problem;
use wpk_api::{BuildError, Context, Factory};
use wpk_plugin_channel::ChannelPlugin;
use wpk_plugin_local_file::LocalFileFactory;
use wpk_plugin_repository::RepositoryFactory;
use wpk_plugin_sqlite::SqliteFactory;
use wpk_plugin_unix_socket::UnixSocketFactory;
use wpk_plugin_wazuh::{RemotedFactory, WazuhDbFactory};

/// A factory under another name.
struct Named<F>(&'static str, F);

impl<T: ?Sized, F: Factory<T>> Factory<T> for Named<F> {
    fn kind(&self) -> &'static str {
        self.0
    }

    fn check(&self, settings: &Value) -> Vec<Problem> {
        self.1.check(settings)
    }

    fn build(&self, settings: &Value, context: &Context) -> Result<Arc<T>, BuildError> {
        self.1.build(settings, context)
    }
}

wpk_plugin::export_plugin!(|exports| {
    let channel = ChannelPlugin::new();
    exports
        .source_factory(Named("border-unix-socket", UnixSocketFactory))
        .source_factory(Named("border-channel", channel.source()))
        .directory_factory(Named("border-channel", channel.directory()))
        .directory_factory(Named("border-wazuh-db", WazuhDbFactory))
        .transport_factory(Named("border-channel", channel.transport()))
        .transport_factory(Named("border-remoted", RemotedFactory))
        .provider_factory(Named("border-repository", RepositoryFactory))
        .provider_factory(Named("border-local-file", LocalFileFactory))
        .store_factory(Named("border-sqlite", SqliteFactory))
        .store_factory(hanging::HangingFactory)
});
