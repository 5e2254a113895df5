//! The directory of a 4.x manager: its database daemon (PROTOCOL.md, section 9).

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use wpk_api::examine::{Check, Examine, MANAGER_VERSION};
use wpk_api::paths;
use wpk_api::section::{self, Section};
use wpk_api::settings::{Problem, Problems, Span, Value, schema_of};
use wpk_api::{
    AgentDirectory, AgentId, AgentInfo, AgentPage, BuildError, Context, DirectoryError, Factory,
    Outlook,
};

use crate::examine;
use crate::pool::{AskError, Pool};
use crate::{question, row};

/// How long the answer may take where a person waits for `wpkd check`.
const AT_ONCE: Duration = Duration::from_secs(3);
/// Largest `connections`.
const LARGEST_CONNECTIONS: usize = 256;

/// The settings of `[directory] type = "wazuh-db"`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WazuhDbSettings {
    /// The database daemon's socket.
    pub socket: String,
    /// How long one answer may take, 1ms to 36500d.
    pub timeout: Span,
    /// Connections that are used at a time and kept, 1 to 256.
    #[schemars(extend("unit" = "connections"))]
    pub connections: usize,
}

impl Default for WazuhDbSettings {
    fn default() -> Self {
        Self {
            socket: paths::DATABASE_SOCKET.to_owned(),
            timeout: Span(Duration::from_secs(15)),
            connections: 8,
        }
    }
}

#[async_trait]
impl Section for WazuhDbSettings {
    fn schema() -> Option<Value> {
        schema_of::<Self>()
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::new();
        problems.not_empty(
            "socket",
            &self.socket,
            "write the path of the database daemon's socket",
        );
        problems.not_zero("timeout", self.timeout, "15s");
        problems.in_range("connections", self.connections, 1..=LARGEST_CONNECTIONS);
        problems.found()
    }

    /// The manager's version, where the settings leave it to the directory.
    async fn outlook(&self, context: &Context) -> Outlook {
        let mut outlook = Outlook::default();
        if context.node.version.is_some() {
            return outlook;
        }
        let limit = self.timeout.0.min(AT_ONCE);
        let checks = examine::database(context.path(&self.socket), limit).await;
        let told = checks.iter().find(|check| check.name == MANAGER_VERSION);
        outlook.notes.push(match told {
            Some(check) => format!(
                "manager version: {} (from the agent directory)",
                check.detail
            ),
            None => {
                let why = checks.first().map_or("", |check| &check.detail);
                format!("manager version: unknown, so there is no limit ({why})")
            }
        });
        outlook
    }

    async fn examine(&self, context: &Context, _asked: &Examine) -> Vec<Check> {
        let socket = context.path(&self.socket);
        examine::database(socket, self.timeout.0).await
    }
}

/// `[directory] type = "wazuh-db"`.
pub fn wazuh_db() -> impl Factory<dyn AgentDirectory> {
    section::plugin("wazuh-db", WazuhDb::open)
}

/// The agents as the manager's database daemon knows them. It is asked for
/// nothing before the first question, so that it may start later.
#[derive(Debug)]
pub struct WazuhDb {
    pool: Pool,
}

impl From<AskError> for DirectoryError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Unavailable(reason) => Self::Unavailable(reason),
            AskError::TooLong(reason) => Self::Malformed(reason),
        }
    }
}

impl WazuhDb {
    /// A directory with these settings.
    ///
    /// # Errors
    /// None: nothing is asked before the first question.
    pub fn open(settings: WazuhDbSettings, context: &Context) -> Result<Self, BuildError> {
        Ok(Self {
            pool: Pool::new(
                context.path(&settings.socket),
                settings.connections,
                settings.timeout.0,
            ),
        })
    }

    /// Ids above `after`, ascending: at least one more than `limit` if there
    /// are so many.
    async fn ids(&self, after: AgentId, limit: usize) -> Result<Vec<AgentId>, DirectoryError> {
        let mut ids: Vec<AgentId> = Vec::new();
        let mut last = after;
        loop {
            let question = format!("global get-all-agents last_id {}", last.get());
            let answer = self.pool.place().await?.ask(&question).await?;
            let (page, more) = row::ids(&answer).map_err(DirectoryError::Malformed)?;
            let start = ids.len();
            for id in page {
                match AgentId::new(id) {
                    Ok(id) if id > last => {
                        ids.push(id);
                        last = id;
                    }
                    // The manager itself, where the daemon lists it.
                    Ok(AgentId::MANAGER) => {}
                    _ => {
                        return Err(DirectoryError::Malformed(format!(
                            "the list of agents is not in ascending order: {id} after {last}"
                        )));
                    }
                }
            }
            // A page with nothing new would be asked for again and again.
            if !more || ids.len() > limit || ids.len() == start {
                return Ok(ids);
            }
        }
    }
}

#[async_trait]
impl AgentDirectory for WazuhDb {
    async fn lookup(&self, ids: &[AgentId]) -> Result<Vec<AgentInfo>, DirectoryError> {
        Ok(question::ask(&self.pool, ids).await?)
    }

    async fn list(
        &self,
        after: Option<AgentId>,
        limit: usize,
    ) -> Result<AgentPage, DirectoryError> {
        if limit == 0 {
            return Ok(AgentPage::default());
        }
        let mut after = after.unwrap_or(AgentId::MANAGER);
        loop {
            let mut ids = self.ids(after, limit).await?;
            let more = ids.len() > limit;
            ids.truncate(limit);
            let mut agents = self.lookup(&ids).await?;
            match ids.last() {
                // Nobody of this page can be read: the caller could not go on from it.
                Some(last) if agents.is_empty() && more => after = *last,
                _ => {
                    agents.sort_unstable_by_key(|agent| agent.id);
                    return Ok(AgentPage { agents, more });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn mistakes_are_named_with_their_key() {
        let cases = [
            (json!({"socket": ""}), "socket"),
            (json!({"timeout": "0s"}), "timeout"),
            (json!({"connections": 0}), "connections"),
            (json!({"connections": 300}), "connections"),
            (json!({"path": "x"}), "path"),
        ];
        for (section, key) in cases {
            let problems = wazuh_db().check(&section);
            assert_eq!(problems.len(), 1, "{section}");
            assert_eq!(problems[0].key, key);
        }
        assert!(wazuh_db().check(&json!({})).is_empty());
    }
}
