//! The directory of a 4.x manager: its database daemon (protocol.md, section 9).
//!
//! The daemon answers about one agent at a time, so a question about many is
//! spread over the kept connections in small batches; a question about one
//! agent waits for a batch of another at most, never for all of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use serde::Deserialize;
use serde_json::Value;
use wpk_api::examine::{Check, Examine};
use wpk_api::paths;
use wpk_api::settings::{Problem, Span, read};
use wpk_api::{
    AgentDirectory, AgentId, AgentInfo, AgentPage, BuildError, Context, DirectoryError, Factory,
};

use crate::examine;
use crate::pool::{AskError, Pool};
use crate::row;

/// Agents asked for before a connection is given back.
const BATCH: usize = 32;
/// Largest `connections`.
const LARGEST_CONNECTIONS: usize = 256;

/// The settings of `[directory] type = "wazuh-db"`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WazuhDbSettings {
    /// The database daemon's socket.
    pub socket: String,
    /// How long one answer may take.
    pub timeout: Span,
    /// Connections that are used at a time and kept, 1 to 256.
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

impl WazuhDbSettings {
    /// Reads and validates the section.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(section: &Value) -> Result<Self, Vec<Problem>> {
        let settings: Self = read(section)?;
        let mut problems = Vec::new();
        if settings.socket.is_empty() {
            problems.push(Problem::new(
                "socket",
                "is empty; write the path of the database daemon's socket",
            ));
        }
        if settings.timeout.0.is_zero() {
            problems.push(Problem::new(
                "timeout",
                "would end every question at once; write for example \"15s\"",
            ));
        }
        if !(1..=LARGEST_CONNECTIONS).contains(&settings.connections) {
            problems.push(Problem::new(
                "connections",
                format!(
                    "{} is outside 1 to {LARGEST_CONNECTIONS}",
                    settings.connections
                ),
            ));
        }
        if problems.is_empty() {
            Ok(settings)
        } else {
            Err(problems)
        }
    }
}

/// Makes a [`WazuhDb`] from `type = "wazuh-db"`.
#[derive(Debug, Clone, Copy, Default)]
pub struct WazuhDbFactory;

#[async_trait]
impl Factory<dyn AgentDirectory> for WazuhDbFactory {
    fn kind(&self) -> &'static str {
        "wazuh-db"
    }

    fn check(&self, settings: &Value) -> Vec<Problem> {
        WazuhDbSettings::parse(settings).err().unwrap_or_default()
    }

    async fn examine(&self, settings: &Value, context: &Context, _asked: &Examine) -> Vec<Check> {
        match WazuhDbSettings::parse(settings) {
            Ok(settings) => {
                let socket = context.path(&settings.socket);
                vec![examine::database(socket, settings.timeout.0).await]
            }
            Err(_) => Vec::new(),
        }
    }

    fn build(
        &self,
        settings: &Value,
        context: &Context,
    ) -> Result<Arc<dyn AgentDirectory>, BuildError> {
        let settings = WazuhDbSettings::parse(settings).map_err(BuildError::Settings)?;
        Ok(Arc::new(WazuhDb::new(&settings, context)))
    }
}

/// The agents as the manager's database daemon knows them. It is asked for
/// nothing before the first question, so that it may start later.
#[derive(Debug)]
pub struct WazuhDb {
    pool: Pool,
    connections: usize,
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
    pub fn new(settings: &WazuhDbSettings, context: &Context) -> Self {
        Self {
            pool: Pool::new(
                context.path(&settings.socket),
                settings.connections,
                settings.timeout.0,
            ),
            connections: settings.connections,
        }
    }

    /// Takes batches from `ids` until none is left.
    async fn work_off(
        &self,
        ids: &[AgentId],
        next: &AtomicUsize,
        left_out: &LeftOut,
    ) -> Result<Vec<AgentInfo>, AskError> {
        let mut found = Vec::new();
        loop {
            let start = next.fetch_add(BATCH, Ordering::Relaxed);
            let Some(rest) = ids.get(start..).filter(|rest| !rest.is_empty()) else {
                return Ok(found);
            };
            let mut place = self.pool.place().await?;
            for id in rest.iter().take(BATCH) {
                let question = format!("global get-agent-info {}", id.get());
                let reason = match place.ask(&question).await {
                    Ok(answer) => match row::agent(&answer, *id) {
                        Ok(agent) => {
                            found.push(agent);
                            continue;
                        }
                        Err(reason) => reason,
                    },
                    Err(AskError::TooLong(reason)) => reason,
                    Err(error) => return Err(error),
                };
                left_out.count(*id, &reason);
            }
        }
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
        let next = AtomicUsize::new(0);
        let left_out = LeftOut::default();
        let workers = ids.len().div_ceil(BATCH).min(self.connections);
        let found =
            try_join_all((0..workers).map(|_| self.work_off(ids, &next, &left_out))).await?;
        left_out.log();
        Ok(found.into_iter().flatten().collect())
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

/// Agents without a readable record; logged in one line per question, since
/// there may be thousands.
#[derive(Debug, Default)]
struct LeftOut {
    first: std::sync::OnceLock<(AgentId, String)>,
    count: AtomicUsize,
}

impl LeftOut {
    fn count(&self, id: AgentId, reason: &str) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.first.get_or_init(|| (id, reason.to_owned()));
    }

    fn log(&self) {
        if let Some((agent, reason)) = self.first.get() {
            let count = self.count.load(Ordering::Relaxed);
            tracing::warn!(%agent, reason, count, "agents left out: no readable record");
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
            let problems = WazuhDbFactory.check(&section);
            assert_eq!(problems.len(), 1, "{section}");
            assert_eq!(problems[0].key, key);
        }
        assert!(WazuhDbFactory.check(&json!({})).is_empty());
    }
}
