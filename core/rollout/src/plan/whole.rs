//! All rollouts together.

use wpk_api::UnixTime;

use super::action::Action;
use super::flights::Flights;
use super::ground::Ground;
use super::inputs::{Clock, Inputs};
use super::owners::owners;
use super::roll::Roll;
use super::state::Verdict;
use super::status::RolloutStatus;
use super::tidy::tidy;
use super::turn::{Sheet, Turn, nobodys};

/// What is to be done, and how everything stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What is to be done, in this order. Halts come first.
    pub actions: Vec<Action>,
    /// One for every agent, in the order of their ids; agents of waves that the directory
    /// does not know any more come last.
    pub agents: Vec<Verdict>,
    /// One for every rollout, in the order in which they were applied.
    pub rollouts: Vec<RolloutStatus>,
    /// When something changes by itself: a window, a soak, a pause that ends. Until then
    /// the same facts give the same actions.
    pub next: Option<UnixTime>,
}

/// Makes the plan.
pub fn plan(inputs: &Inputs<'_>) -> Plan {
    let mut clock = Clock::new(inputs.now);
    let ground = Ground::new(inputs, &mut clock);
    let rolls: Vec<Roll<'_>> = ground
        .documents
        .iter()
        .map(|one| Roll::new(one, &ground))
        .collect();
    let live: Vec<bool> = rolls.iter().map(|roll| roll.document.is_live()).collect();
    let mut flights = Flights::new(&ground, &rolls, &mut clock);
    let owners = owners(&ground, &rolls, &flights);
    let mut sheet = Sheet {
        actions: tidy(&ground, &rolls, &flights, &owners.owner),
        halts: Vec::new(),
        verdicts: vec![None; ground.agents.len()],
    };
    let mut rollouts = Vec::with_capacity(rolls.len());
    for (at, (roll, key)) in rolls.iter().zip(&ground.keys).enumerate() {
        let turn = Turn {
            roll,
            at,
            key,
            owners: &owners.owner,
            live: &live,
            now: inputs.now,
        };
        let mut status = turn.take(&ground, &mut flights, &mut clock, &mut sheet);
        let counts = owners.elsewhere.get(at).into_iter().flatten().enumerate();
        let others = counts.filter(|(_, count)| **count > 0);
        status.elsewhere = others
            .filter_map(|(other, count)| Some((ground.keys.get(other)?.name.clone(), *count)))
            .collect();
        rollouts.push(status);
    }
    let mut actions = sheet.halts;
    actions.append(&mut sheet.actions);
    let ids = ground.agents.iter().map(|agent| Some(agent.member.id));
    let ids = ids.chain(std::iter::repeat(None));
    let verdicts = sheet.verdicts.into_iter().zip(ids);
    Plan {
        actions,
        agents: verdicts
            .filter_map(|(verdict, id)| verdict.or_else(|| id.map(nobodys)))
            .collect(),
        rollouts,
        next: clock.next,
    }
}
