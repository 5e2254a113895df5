//! `wpkctl cancel`: tasks are taken back, and it is told of each agent whether its was.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::json;
use wpk_api::AgentId;
use wpk_wire::own::{CancelOutcome, CancelTasks, TakenBack};
use wpk_wire::{Item, UpgradeRequest};

use crate::error::CtlError;
use crate::ids::compact;
use crate::manager::client::Client;
use crate::manager::newer;
use crate::manager::socket;
use crate::manager::state::State;
use crate::options::Global;
use crate::output::{Ending, Output, clean};
use crate::who::{self, Who};

#[derive(Debug, Args)]
#[command(group = who::must())]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    pub(crate) who: Who,
}

/// What became of an agent's task.
struct Asked {
    agent: AgentId,
    told: Option<TakenBack>,
    item: Item,
}

/// Takes back what can be. Well if all was.
pub(crate) async fn run(
    global: &Global,
    args: CancelArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    let mut client = Client::new(socket::path(global)?);
    let agents = args.who.find(&mut client).await?;
    let (mut all, mut ended) = (Vec::new(), Ok(()));
    for chunk in agents.chunks(CancelTasks::MOST) {
        match ask(&mut client, chunk).await {
            Ok(asked) => all.extend(asked),
            // What was taken back before is told first.
            Err(error) => {
                ended = Err(error);
                break;
            }
        }
    }
    let taken_back = all.iter().filter(|one| one.is_taken_back()).count();
    let left = agents.len() - taken_back;
    print(&all, out)?;
    ended?;
    let ending = Ending::when(left == 0);
    out.last(&json!({
        "event": "summary", "taken_back": taken_back, "not_taken_back": left,
        "exit_status": ending.status(),
    }))?;
    Ok(ending)
}

async fn ask(client: &mut Client, agents: &[AgentId]) -> Result<Vec<Asked>, CtlError> {
    let agents = agents.to_vec();
    let request = CancelTasks {
        agents: agents.clone(),
    };
    let items = client.send(&UpgradeRequest::Own(request.into())).await;
    let items = items.map_err(|error| newer::explained(client, error))?;
    let mut items: BTreeMap<AgentId, Item> = (items.into_iter())
        .filter_map(|item| Some((item.agent_id()?, item)))
        .collect();
    let one = |agent| {
        let item = items.remove(&agent).unwrap_or_default();
        Asked {
            agent,
            told: TakenBack::from_item(&item).filter(|told| told.agent == agent),
            item,
        }
    };
    Ok(agents.into_iter().map(one).collect())
}

fn print(all: &[Asked], out: &Output) -> Result<(), CtlError> {
    let mut alike: BTreeMap<(bool, String), Vec<AgentId>> = BTreeMap::new();
    for one in all {
        out.event(&one.object())?;
        let key = (!one.is_taken_back(), one.words());
        alike.entry(key).or_default().push(one.agent);
    }
    for ((_, words), agents) in alike {
        out.line(format!("agent {}: {words}", compact(agents)))?;
    }
    Ok(())
}

impl Asked {
    fn is_taken_back(&self) -> bool {
        self.outcome() == Some(CancelOutcome::TakenBack)
    }

    fn outcome(&self) -> Option<CancelOutcome> {
        self.told.as_ref().map(|told| told.outcome)
    }

    /// Where its task stands now.
    fn state(&self) -> Option<State> {
        self.item.status.as_deref().and_then(State::from_shown)
    }

    fn words(&self) -> String {
        let not = |why: &str| format!("not taken back: {why}");
        match self.outcome() {
            Some(CancelOutcome::TakenBack) => {
                "taken back; its installer was not begun, and never is".to_owned()
            }
            Some(CancelOutcome::Begun) => not(
                "its installer was begun, and nothing stops that; `wpkctl result` tells how it \
                 ends",
            ),
            Some(CancelOutcome::Ended) => {
                let state = self.state().map_or("ended", State::word);
                not(&format!("its last task had ended before ({state})"))
            }
            Some(CancelOutcome::NoTask) => not("it has no task"),
            Some(CancelOutcome::OfRollout) => {
                let rollout = self.told.as_ref().and_then(|told| told.rollout.as_deref());
                let rollout = rollout.map_or("NAME".to_owned(), clean);
                not(&format!(
                    "rollout {rollout} made its task, and would make another one; use `wpkctl \
                     agent hold` or `wpkctl rollout skip {rollout}` for agents, or `wpkctl \
                     rollout halt {rollout}`"
                ))
            }
            Some(CancelOutcome::NotOurs) => not(
                "another program, or a worker of the cluster, carries its task out, and whether it \
                 began the installer is not known here",
            ),
            Some(CancelOutcome::Other) => not("the manager says so in a word of another release"),
            None => not("the manager did not answer for this agent; see `wpkctl result`"),
        }
    }

    fn object(&self) -> serde_json::Value {
        let told = self.told.as_ref();
        json!({
            "event": "cancel",
            "agent": self.agent,
            "task_id": told.and_then(|told| told.task_id),
            "node": self.item.node,
            "outcome": self.outcome(),
            "status": self.state().map(State::status).or(self.item.status.as_deref()),
            "rollout": told.and_then(|told| told.rollout.as_ref()),
            "error_msg": self.item.error_msg,
        })
    }
}
