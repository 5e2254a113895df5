//! A manager with agents to upgrade and a repository to upgrade them from: where
//! most tests of whole upgrades begin.

use std::io;

use serde_json::{Value, json};

use crate::wdb::agent_row;
use crate::{Manager, Repository};

/// The release that the repository of a [`fleet`] has.
pub const RELEASE: &str = "v4.14.8";

/// A daemon with `settings`, the agents 1 to `agents` (v4.7.0, nothing else in
/// their directory), a repository that has `wpk` as [`RELEASE`], and the parameters
/// of an upgrade from there.
///
/// # Errors
/// What kept the daemon from starting, and those of folders and sockets.
pub async fn fleet(
    settings: &str,
    agents: u32,
    wpk: &[u8],
) -> io::Result<(Manager, Repository, Value)> {
    let (repository, parameters) = release(wpk).await?;
    let manager = Manager::start(settings).await?;
    let rows = (1..=i64::from(agents)).map(|id| agent_row(id, "Wazuh v4.7.0"));
    manager.wdb.set_agents(rows);
    Ok((manager, repository, parameters))
}

/// A repository that has `wpk` as [`RELEASE`], and the parameters of an upgrade
/// from there.
///
/// # Errors
/// Those of folders and sockets.
pub async fn release(wpk: &[u8]) -> io::Result<(Repository, Value)> {
    let repository = Repository::start().await?;
    repository.publish(RELEASE, wpk)?;
    let parameters = json!({"wpk_repo": repository.base(), "use_http": true});
    Ok((repository, parameters))
}
