//! Whether agents run what they were sent: an agent that reported success is looked
//! for in the directory until its version is the one it was sent, or
//! `tasks.confirm_within` has passed (PROTOCOL.md, section 3). An agent that has just
//! run its installer may not have connected again, so that its old version is no
//! verdict before the end.

use std::collections::HashMap;
use std::time::Duration;

use tracing::{debug, info, warn};
use wpk_api::words::clean;
use wpk_api::{
    AgentId, AgentInfo, Awaiting, CancellationToken, Confirmation, ConnectionStatus, StoreError,
    TaskId, TimelineEntry, TimelineStep, Version,
};

use super::ages::Ages;
use super::ticks::every;
use crate::workshop::Workshop;

/// How often is looked, where `tasks.confirm_within` is long enough for it.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Tasks read from the store, and agents asked about, at a time.
const PAGE: usize = 1_000;
/// The longest that is repeated of what somebody else said, in bytes.
const LONGEST_SAID: usize = 200;

/// Runs until `stop`.
pub(super) async fn run(workshop: &Workshop, stop: &CancellationToken) {
    let within = workshop.tasks().confirm_within.0;
    let look = (within / 4).clamp(Duration::from_secs(1), LOOK_EVERY);
    let mut looks = every(look, look);
    let mut check = Check {
        workshop,
        within,
        ages: Ages::new(within),
        seen: HashMap::new(),
    };
    let looking = async {
        loop {
            looks.tick().await;
            check.within = workshop.tasks().confirm_within.0;
            if let Err(error) = check.look().await {
                warn!(%error, "whether agents run what they were sent cannot be looked at now");
            }
        }
    };
    // In the middle of a look as well: a directory may take its time.
    stop.run_until_cancelled(looking).await;
}

/// What is known from look to look.
struct Check<'w> {
    workshop: &'w Workshop,
    within: Duration,
    ages: Ages,
    /// What was last seen of the agents of tasks whose verdict is awaited.
    seen: HashMap<TaskId, Seen>,
}

/// What the directory shows of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    version: Option<Version>,
    /// For people.
    words: String,
}

impl Check<'_> {
    async fn look(&mut self) -> Result<(), StoreError> {
        let others = self.workshop.membership.others();
        let mut awaiting: Vec<Awaiting> = Vec::new();
        // Of nodes that are gone as well: whoever is first to see it, says it.
        let dead = others.dead.iter().map(String::as_str);
        for node in std::iter::once(self.workshop.node()).chain(dead) {
            self.read(node, &mut awaiting).await?;
        }
        let now = self.workshop.store_time().await?;
        let ages = self.ages.look(awaiting.iter().map(|one| &one.task), now);
        let mut before = std::mem::take(&mut self.seen);
        let mut away = None;
        for (some, ages) in awaiting.chunks(PAGE).zip(ages.chunks(PAGE)) {
            let found = self.ask(some, &mut away).await;
            for (one, age) in some.iter().zip(ages) {
                let last = before.remove(&one.task.id);
                let seen = match &away {
                    Some(why) => Seen::nothing(why),
                    None => Seen::of(found.get(&one.task.agent)),
                };
                let over = (*age >= self.within).then_some(*age);
                let concluded = match verdict(one, &seen, last.as_ref(), over) {
                    Some(verdict) => self.conclude(one, verdict).await,
                    None => false,
                };
                if !concluded {
                    // What is seen after another installer was begun is not kept.
                    let seen = if one.next.is_some() { last } else { Some(seen) };
                    let seen = seen.map(|seen| (one.task.id, seen));
                    self.seen.extend(seen);
                }
            }
        }
        Ok(())
    }

    /// The tasks of a node whose verdict is awaited, behind those that are there.
    async fn read(&self, node: &str, awaiting: &mut Vec<Awaiting>) -> Result<(), StoreError> {
        let mut after = TaskId(0);
        loop {
            let page = self.workshop.store().awaiting(node, after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = last.task.id;
            awaiting.extend(page);
        }
    }

    /// What the directory knows of the agents of some tasks. Where it gives no answer
    /// once it is not asked again in this look.
    async fn ask(
        &self,
        some: &[Awaiting],
        away: &mut Option<String>,
    ) -> HashMap<AgentId, AgentInfo> {
        if away.is_some() {
            return HashMap::new();
        }
        let mut agents: Vec<AgentId> = some.iter().map(|one| one.task.agent).collect();
        agents.sort_unstable();
        agents.dedup();
        match self.workshop.parts.directory.lookup(&agents).await {
            Ok(found) => found.into_iter().map(|agent| (agent.id, agent)).collect(),
            Err(error) => {
                *away = Some(clean(&error.to_string(), LONGEST_SAID));
                HashMap::new()
            }
        }
    }

    /// Writes the verdict down; `false` if the store does not take it now.
    async fn conclude(&self, one: &Awaiting, verdict: Verdict) -> bool {
        let (task, agent, target) = (one.task.id, one.task.agent, one.target);
        let Verdict { confirmation, seen } = verdict;
        let entry = TimelineEntry::new(self.workshop.now(), TimelineStep::Confirm)
            .asked(&format!("agent {agent}"))
            .detail(&format!("sent {target}, seen {seen}"));
        let confirmed = confirmation == Confirmation::Confirmed;
        match self
            .workshop
            .store()
            .confirm(task, confirmation, entry)
            .await
        {
            Err(error) => {
                warn!(%task, %agent, %error, "what an agent runs cannot be stored; trying again");
                return false;
            }
            Ok(false) => debug!(%task, %agent, "the task is gone, or another has checked it"),
            Ok(true) if confirmed => {
                info!(%task, %agent, version = %target, "the agent runs the version it was sent");
            }
            Ok(true) => {
                warn!(%task, %agent, sent = %target, seen, "the agent reported success, but was not seen to run what it was sent");
            }
        }
        true
    }
}

/// What becomes of a check.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    confirmation: Confirmation,
    /// What was seen.
    seen: String,
}

/// Decides; `None`: it is looked at again. `last` is what was seen at the look
/// before, `over` how long it took where that is long enough.
fn verdict(
    one: &Awaiting,
    seen: &Seen,
    last: Option<&Seen>,
    over: Option<Duration>,
) -> Option<Verdict> {
    let unconfirmed = |seen: String| {
        Some(Verdict {
            confirmation: Confirmation::Unconfirmed(seen.clone()),
            seen,
        })
    };
    if let Some(next) = one.next {
        // What is seen now may be the work of that one.
        let last = last.map_or("nothing", |last| last.words.as_str());
        return unconfirmed(format!(
            "{last}, before task {next} began the next installer"
        ));
    }
    if seen.version == Some(one.target) {
        return Some(Verdict {
            confirmation: Confirmation::Confirmed,
            seen: seen.words.clone(),
        });
    }
    unconfirmed(format!("{}, after {} s", seen.words, over?.as_secs()))
}

impl Seen {
    /// What a directory that answered shows.
    fn of(agent: Option<&AgentInfo>) -> Self {
        let Some(agent) = agent else {
            return Self::nothing("the agent is not in the directory");
        };
        let version = agent.parsed_version();
        let mut words = match (version, &agent.version) {
            (Some(version), _) => version.to_string(),
            (None, Some(text)) => format!("the text {}", clean(text, LONGEST_SAID)),
            (None, None) => "no version".to_owned(),
        };
        if agent.connection != ConnectionStatus::Active {
            words = format!("{words} ({})", agent.connection.as_str());
        }
        Self { version, words }
    }

    fn nothing(why: &str) -> Self {
        Self {
            version: None,
            words: format!("nothing ({why})"),
        }
    }
}
