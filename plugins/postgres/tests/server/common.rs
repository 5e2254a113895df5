//! Stores on a server, and the shortest ways to work with them.

use std::sync::Arc;

use wpk_api::{AgentId, Created, Entrance, Entry, Holder, Incarnation, TaskId, TaskStore};
use wpk_plugin_postgres::{PostgresStore, Settings};
use wpk_testkit::PostgresServer;
use wpk_testkit::store_suite::{START, upgrade};

/// The settings for a schema of a server, over its socket.
pub(crate) fn settings(server: &PostgresServer, schema: &str) -> Settings {
    Settings {
        host: server.socket_folder().display().to_string(),
        user: "postgres".into(),
        database: "postgres".into(),
        port: server.port(),
        schema: schema.into(),
        ..Settings::default()
    }
}

pub(crate) fn open(settings: &Settings) -> Arc<dyn TaskStore> {
    Arc::new(PostgresStore::open(settings, |path| path.to_owned()).unwrap())
}

/// Enters under a name; nobody may hold it.
pub(crate) async fn enter(store: &dyn TaskStore, node: &str) -> Incarnation {
    let entry = Entry {
        node: node.to_owned(),
        holder: Holder::default(),
        replaces: None,
    };
    match store.enter(&entry).await.unwrap() {
        Entrance::Entered(entered) => entered.incarnation,
        Entrance::Held(held) => panic!("{node} is held: {held:?}"),
    }
}

/// Makes an upgrade task of node01.
pub(crate) async fn create(store: &dyn TaskStore, agent: u32) -> TaskId {
    match store
        .create(vec![upgrade(agent, "node01", START)])
        .await
        .unwrap()[..]
    {
        [Created::Task(id)] => id,
        ref other => panic!("{other:?}"),
    }
}

pub(crate) fn agent(id: u32) -> AgentId {
    wpk_testkit::store_suite::agent(id)
}
