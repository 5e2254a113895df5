//! Which kinds of agents there are, as the directory lists them page by page. What was found
//! is kept for minutes: of a directory that is slow or fails on the way nothing that was read
//! is lost, and the next look goes on where this one ended. `stock` enters.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use wpk_api::{AgentDirectory, AgentId, AgentInfo, DirectoryError, Target, WantedRelease};

use crate::rules;

/// How long one look at the directory takes at most.
pub(super) const WITHIN: Duration = Duration::from_secs(2);
/// How long a kind counts that no look has seen again, where looks do not reach the end.
pub(super) const KEPT: Duration = Duration::from_secs(300);
/// The most kinds of agents that versions are looked for.
pub(super) const MOST: usize = 256;
/// Agents of a page of the directory.
const PAGE: usize = 1_000;

/// The kinds that were found. Each is what agents would ask for.
#[derive(Default)]
pub(super) struct Kinds {
    /// At most [`MOST`].
    seen: HashMap<WantedRelease, Seen>,
    /// Behind which agent the next look goes on, and when its round began; `None`: it begins
    /// at the first.
    round: Option<(AgentId, Instant)>,
}

/// An agent of a kind.
struct Seen {
    agent: AgentId,
    /// When one of the kind was seen last.
    at: Instant,
}

/// How a look at the directory ended.
enum End {
    /// At the last agent.
    Whole,
    /// Before it, for this reason; behind this agent it may be gone on with.
    Early(String, Option<AgentId>),
}

impl Kinds {
    /// What is known after a look at the directory, in the order of its agents, and why
    /// there may be other kinds.
    ///
    /// # Errors
    /// The directory says that it cannot tell, and no kind is known.
    pub(super) async fn look(
        &mut self,
        directory: &dyn AgentDirectory,
    ) -> Result<(Vec<WantedRelease>, Option<String>), DirectoryError> {
        let now = Instant::now();
        let (after, round) = match self.round.take() {
            Some((after, round)) => (Some(after), round),
            None => (None, now),
        };
        self.seen.retain(|_, seen| now - seen.at < KEPT);
        let missing = match self.read(directory, after, now).await? {
            End::Whole => {
                // The round saw every agent: other kinds are there no more.
                self.seen.retain(|_, seen| seen.at >= round);
                None
            }
            End::Early(why, behind) => {
                let behind = behind.filter(|_| now - round < KEPT);
                self.round = behind.map(|agent| (agent, round));
                Some(why)
            }
        };
        let mut kinds: Vec<_> = self.seen.iter().collect();
        kinds.sort_by_key(|(_, seen)| seen.agent);
        let kinds = kinds.into_iter().map(|(kind, _)| kind.clone());
        Ok((kinds.collect(), missing))
    }

    /// Reads what is listed behind `after`, for as long as a look may take.
    async fn read(
        &mut self,
        directory: &dyn AgentDirectory,
        mut after: Option<AgentId>,
        now: Instant,
    ) -> Result<End, DirectoryError> {
        // Where not even one page comes, the next look tries others.
        let mut behind = None;
        loop {
            let page = match timeout_at(now + WITHIN, directory.list(after, PAGE)).await {
                Ok(Ok(page)) => page,
                Ok(Err(error)) if self.seen.is_empty() => return Err(error),
                Ok(Err(error)) => return Ok(End::Early(error.to_string(), None)),
                Err(_) => {
                    let seconds = WITHIN.as_secs();
                    let why = format!("the list of agents takes longer than {seconds} s");
                    return Ok(End::Early(why, behind));
                }
            };
            let last = page.agents.last().map(|agent| agent.id);
            for agent in page.agents {
                if !self.see(agent, now) {
                    let why = format!("there are more than {MOST} kinds of agents");
                    return Ok(End::Early(why, None));
                }
            }
            match last {
                Some(last) if page.more && after.is_some_and(|after| last <= after) => {
                    let why = "the list of agents begins anew, and does not end";
                    return Ok(End::Early(why.to_owned(), None));
                }
                Some(last) if page.more => (after, behind) = (Some(last), Some(last)),
                _ => return Ok(End::Whole),
            }
        }
    }

    /// Whether its kind is known now.
    fn see(&mut self, agent: AgentInfo, now: Instant) -> bool {
        let id = agent.id;
        let Some(kind) = kind(agent) else {
            return true;
        };
        if self.seen.len() == MOST && !self.seen.contains_key(&kind) {
            return false;
        }
        let seen = self.seen.entry(kind);
        seen.and_modify(|seen| seen.at = now)
            .or_insert(Seen { agent: id, at: now });
        true
    }
}

/// What an agent would ask for; `None` for one that is never upgraded.
fn kind(agent: AgentInfo) -> Option<WantedRelease> {
    let is_agent = agent.id != AgentId::MANAGER && rules::never(&agent).is_none();
    is_agent.then(|| WantedRelease {
        package_type: rules::package_type(&agent),
        platform: agent.platform,
        target: Target::Latest,
        repository: None,
        use_http: false,
    })
}
