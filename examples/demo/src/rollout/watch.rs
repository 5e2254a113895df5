//! Looking on while a rollout goes on: asks the manager five times a second how it stands
//! (`rollout_status`, `rollout_agents`, `rollout_history`), and keeps what must hold at
//! every moment.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};
use wpk_api::AgentId;
use wpk_wire::own::rollout::{
    AgentState, AskHistory, AskRollout, HistoryEvent, ListMembers, RolloutMember, RolloutState,
    StatusOfRollout,
};

use crate::error::DemoError;
use crate::manager::Manager;
use crate::rollout::fleet::Fleet;
use crate::rollout::plan::{CANARY, Release, SITES};
use crate::rollout::show::View;

/// How often the manager is asked.
const PERIOD: Duration = Duration::from_millis(200);
/// How long one that halted is looked at: nobody else may begin.
const AFTER: Duration = Duration::from_secs(5);

/// What was seen of a rollout.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// How it ended, and why.
    pub(crate) state: RolloutState,
    pub(crate) reason: Option<String>,
    /// What the manager says of each agent at the end.
    pub(crate) members: BTreeMap<AgentId, RolloutMember>,
    /// The most agents that were in flight at once, of each site.
    pub(crate) most: [usize; SITES.len()],
    /// The same of the canary.
    pub(crate) most_canary: usize,
    /// From its being applied until it ended.
    pub(crate) took: Duration,
}

/// Watches until it has converged, or has halted a while ago.
pub(crate) async fn until_over(
    manager: &Manager,
    fleet: &Fleet,
    release: &Release,
) -> Result<Watched, DemoError> {
    let begun = Instant::now();
    let mut watched = Watched::default();
    let mut view = View::new(begun);
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut halted: Option<Instant> = None;
    loop {
        ticks.tick().await;
        let status = status(manager, release.name).await?;
        // Not before: where it is over, they are as it left them.
        watched.look(fleet, members(manager, release.name).await?);
        view.show(
            &history(manager, release.name).await?,
            &status,
            &watched.members,
        );
        watched.state = status.state;
        watched.reason = status.reason.map(|words| words.to_string());
        match status.state {
            RolloutState::Running => halted = None,
            RolloutState::Halted => {
                let since = halted.get_or_insert_with(Instant::now);
                watched.took = since.duration_since(begun);
                if since.elapsed() >= AFTER {
                    let seconds = AFTER.as_secs();
                    view.note(format_args!("watched {seconds} s more, if anybody begins"));
                    return Ok(watched);
                }
            }
            state => {
                watched.took = begun.elapsed();
                view.note(state);
                return Ok(watched);
            }
        }
    }
}

impl Watched {
    fn look(&mut self, fleet: &Fleet, members: BTreeMap<AgentId, RolloutMember>) {
        let flies = |member: &&RolloutMember| {
            matches!(member.state, AgentState::Running | AgentState::Unknown)
        };
        for (most, site) in self.most.iter_mut().zip(&SITES) {
            let is_here = |member: &&RolloutMember| {
                fleet
                    .find(member.agent)
                    .is_some_and(|agent| agent.site == site)
            };
            let here = members.values().filter(flies).filter(is_here).count();
            *most = here.max(*most);
        }
        let first = |member: &&RolloutMember| is_canary(member);
        let first = members.values().filter(flies).filter(first).count();
        self.most_canary = first.max(self.most_canary);
        self.members = members;
    }
}

/// Whether an agent is in the wave that goes first.
pub(crate) fn is_canary(member: &RolloutMember) -> bool {
    member.wave.as_deref() == Some(CANARY)
}

async fn members(
    manager: &Manager,
    name: &str,
) -> Result<BTreeMap<AgentId, RolloutMember>, DemoError> {
    let asked = ListMembers {
        name: name.to_owned(),
        ..ListMembers::default()
    };
    let items = manager.ask_rollout(asked).await?;
    let members = items.iter().filter_map(RolloutMember::from_item);
    Ok(members.map(|member| (member.agent, member)).collect())
}

async fn status(manager: &Manager, name: &str) -> Result<StatusOfRollout, DemoError> {
    let asked = AskRollout {
        name: name.to_owned(),
        failures: None,
    };
    let items = manager.ask_rollout(asked).await?;
    let told = items.first().and_then(StatusOfRollout::from_item);
    told.ok_or_else(|| DemoError::answer("rollout_status", &items))
}

/// What happened, oldest first.
async fn history(manager: &Manager, name: &str) -> Result<Vec<HistoryEvent>, DemoError> {
    let asked = AskHistory {
        name: Some(name.to_owned()),
        ..AskHistory::default()
    };
    let items = manager.ask_rollout(asked).await?;
    let mut events: Vec<_> = items.iter().filter_map(HistoryEvent::from_item).collect();
    events.reverse();
    Ok(events)
}
