//! The list of built-in plugins. The only place that knows both the engine and
//! the plugins.

use wpk_api::{NodeInfo, PluginKind, Role};
use wpk_plugin_channel::ChannelPlugin;

use crate::registry::Registry;

/// Every built-in plugin under its `type`.
pub(crate) fn registry() -> Registry {
    let channel = ChannelPlugin::new();
    Registry::new(usual)
        .with_source(wpk_plugin_unix_socket::plugin())
        .with_source(channel.source())
        .with_directory(channel.directory())
        .with_directory(wpk_plugin_wazuh::wazuh_db())
        .with_transport(channel.transport())
        .with_transport(wpk_plugin_wazuh::remoted())
        .with_provider(wpk_plugin_repository::plugin())
        .with_provider(wpk_plugin_local_file::plugin())
        .with_store(wpk_plugin_sqlite::plugin())
        .with_store(wpk_plugin_postgres::plugin())
        .with_store(wpk_plugin_wazuh::cluster())
        .with_observer(wpk_plugin_wazuh::wazuh_tasks())
}

/// What stands for sections that nobody wrote: the embedded manager.
fn usual(kind: PluginKind, node: &NodeInfo, manager: bool) -> Vec<&'static str> {
    match kind {
        PluginKind::Source => vec!["unix-socket"],
        PluginKind::Directory | PluginKind::Transport => vec!["channel"],
        PluginKind::Provider => vec!["repository", "local-file"],
        // The tasks of a cluster are its master's.
        PluginKind::Store if node.role == Role::Worker => vec!["cluster"],
        PluginKind::Store => vec!["sqlite"],
        // What its API and dashboard list is read from its own table.
        PluginKind::Observer if manager => vec!["wazuh-tasks"],
        PluginKind::Observer => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use wpk_config::Plugins;

    use super::*;

    #[test]
    fn what_stands_for_absent_sections_is_built_in_and_needs_no_settings() {
        let registry = registry();
        for role in [Role::Master, Role::Worker] {
            let node = NodeInfo {
                name: "n".into(),
                role,
                version: None,
            };
            let both = PluginKind::ALL
                .into_iter()
                .flat_map(|kind| [(kind, false), (kind, true)]);
            for (kind, manager) in both {
                let usual = registry.usual(kind, &node, manager);
                assert!(usual.len() == 1 || kind.is_list(), "{kind}: {usual:?}");
                for name in usual {
                    let problems = registry.check(kind, name, &serde_json::json!({}));
                    assert_eq!(problems, Some(Vec::new()), "{kind} {name}");
                }
            }
        }
    }
}
