//! The built-in plugins as a dynamic library: what passes its suite linked in
//! must pass it through the border too. Each is exported under its `type` with
//! `border-` in front, so that a daemon, which has the built-ins already, can
//! load this library as well.

mod hanging;
mod observer;

use std::sync::Arc;

use serde_json::Value;
use wpk_api::examine::{Check, Examine};
use wpk_api::settings::Problem;
use wpk_api::{BuildError, Context, Demands, Factory};
use wpk_plugin::async_trait;
use wpk_plugin_channel::ChannelPlugin;

/// A factory under another name.
struct Named<F>(&'static str, F);

#[async_trait]
impl<T: ?Sized, F: Factory<T>> Factory<T> for Named<F> {
    fn kind(&self) -> &'static str {
        self.0
    }

    fn check(&self, settings: &Value) -> Vec<Problem> {
        self.1.check(settings)
    }

    fn reloadable(&self) -> bool {
        self.1.reloadable()
    }

    fn demands(&self, settings: &Value, context: &Context) -> Demands {
        self.1.demands(settings, context)
    }

    async fn examine(&self, settings: &Value, context: &Context, asked: &Examine) -> Vec<Check> {
        self.1.examine(settings, context, asked).await
    }

    fn build(&self, settings: &Value, context: &Context) -> Result<Arc<T>, BuildError> {
        self.1.build(settings, context)
    }
}

wpk_plugin::export_plugin!(|exports| {
    let channel = ChannelPlugin::new();
    exports
        .source(Named(
            "border-unix-socket",
            wpk_plugin_unix_socket::plugin(),
        ))
        .source(Named("border-channel", channel.source()))
        .directory(Named("border-channel", channel.directory()))
        .directory(Named("border-wazuh-db", wpk_plugin_wazuh::wazuh_db()))
        .transport(Named("border-channel", channel.transport()))
        .transport(Named("border-remoted", wpk_plugin_wazuh::remoted()))
        .provider(Named("border-repository", wpk_plugin_repository::plugin()))
        .provider(Named("border-local-file", wpk_plugin_local_file::plugin()))
        .store(Named("border-sqlite", wpk_plugin_sqlite::plugin()))
        .store(Named("border-cluster", wpk_plugin_wazuh::cluster()))
        .store(hanging::plugin())
        .observer(Named("border-wazuh-tasks", wpk_plugin_wazuh::wazuh_tasks()))
        .observer(observer::plugin())
});
