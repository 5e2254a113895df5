//! The remote daemon of a 4.x manager with the suite's agents behind it: one
//! connection per command, closed without an answer when an agent vanishes.

use std::io;
use std::sync::Arc;

use serde_json::json;
use wpk_api::{AgentId, Transport};

use super::{AnyFactory, build};
use crate::Home;
use crate::server::{Connection, Server};
use crate::suite::{now, ok};
use crate::transport_suite::{AGENTS, Agents, Reaction, Stand};

/// Ids of three, four and ten digits.
fn ids() -> Vec<AgentId> {
    let ids = (1..).take(AGENTS - 2).chain([1000, 2_147_483_647]);
    ids.filter_map(|id| AgentId::new(id).ok()).collect()
}

/// Sets up a daemon, for `transport_suite`.
pub async fn remoted(factory: AnyFactory<dyn Transport>, agents: Arc<Agents>) -> Stand {
    let home = ok("making a folder", Home::new());
    let known = ids();
    let server = Server::start(&home.remote_socket(), {
        let known = known.clone();
        move |connection| serve(connection, known.clone(), Arc::clone(&agents))
    });
    let server = ok("listening", server);
    let unknown = ok("an id", AgentId::new(77));
    let context = home.context();
    let settings = json!({"timeout": "3s"});
    Stand::new(known, unknown, move || {
        now(build(&factory, &settings, &context))
    })
    .keep((server, home))
}

async fn serve(
    mut connection: Connection,
    known: Vec<AgentId>,
    agents: Arc<Agents>,
) -> io::Result<()> {
    let Some(request) = connection.receive().await? else {
        return Ok(());
    };
    let addressed = wpk_wire::remoted::split_address(&request);
    let (agent, command) = addressed.ok_or(io::ErrorKind::InvalidData)?;
    if !known.contains(&agent) {
        return connection.send(b"err Cannot send request").await;
    }
    match agents.command(agent, command).await {
        Reaction::Answer(answer) => connection.send(&answer).await,
        Reaction::Vanish => Ok(()),
    }
}
