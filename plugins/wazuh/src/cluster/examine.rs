//! What `wpkctl doctor` is told of the way to the master: whether its task manager
//! answers a question that changes nothing.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use wpk_api::examine::Check;
use wpk_api::{AgentId, Dialect};

use super::link::Link;
use super::master::Master;
use crate::examine::{answered, within};

/// The name of the check.
pub(super) const NAME: &str = "cluster";

/// Asks the master for the task of an agent that there is hardly ever, within
/// `limit` for all `attempts`.
pub(super) async fn master(socket: PathBuf, limit: Duration, attempts: u32) -> Check {
    let shown = socket.display().to_string();
    let link = Link::new(socket, limit, attempts);
    let agent = AgentId::new(i32::MAX.into());
    let agents: Vec<AgentId> = agent.into_iter().collect();
    let began = Instant::now();
    match Master::new(link, Dialect::Wazuh4).results(&agents).await {
        Ok(_) => Check::ok(NAME, format!("{shown}: the master {}", answered(began))),
        Err(error) => Check::failure(
            NAME,
            within(&shown, &error.to_string()),
            "start the manager's cluster daemon, here and on the master: tasks are kept there",
        ),
    }
}
