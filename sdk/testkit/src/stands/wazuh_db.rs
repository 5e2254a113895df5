//! The database daemon of a 4.x manager with so many agents.

use serde_json::json;
use wpk_api::{AgentDirectory, AgentId, AgentInfo, ConnectionStatus, Platform};

use super::{AnyFactory, build};
use crate::directory_suite::Stand;
use crate::suite::{now, ok};
use crate::{FakeWazuhDb, Home, wdb};

/// Sets up a daemon, for `directory_suite`.
pub async fn wazuh_db(factory: AnyFactory<dyn AgentDirectory>, count: usize) -> Stand {
    let home = ok("making a folder", Home::new());
    let database = ok("listening", FakeWazuhDb::start(home.wdb_socket()));
    // The manager itself, and ids with gaps between them.
    let ids: Vec<i64> = (1..).map(|n| n * 2 + n / 7).take(count).collect();
    database.set_agent(wdb::agent_row(0, "Wazuh v4.14.0"));
    for id in &ids {
        database.set_agent(wdb::agent_row(*id, "Wazuh v4.7.0"));
    }
    let agents = ids.into_iter().filter_map(|id| {
        let text = |text: &str| Some(text.to_owned());
        Some(AgentInfo {
            id: AgentId::new(id).ok()?,
            name: Some(format!("agent{id:03}")),
            platform: Platform {
                name: text("ubuntu"),
                major: text("22"),
                minor: text("04"),
                arch: text("x86_64"),
            },
            version: text("Wazuh v4.7.0"),
            connection: ConnectionStatus::Active,
            group: text("default"),
            node: text("node01"),
        })
    });
    let context = home.context();
    Stand::new(agents, move || now(build(&factory, &json!({}), &context))).keep((database, home))
}
