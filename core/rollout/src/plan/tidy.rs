//! Attempts that are there and must not go on: of rollouts that are over, of agents that
//! were left out, held or lost, of releases that were denied. And what is to be written
//! down about those that were begun.

use super::action::Action;
use super::fare::Fare;
use super::flights::Flights;
use super::ground::Ground;
use super::roll::Roll;
use crate::attempt::Attempt;
use crate::member::Agent;

/// What is to be done about attempts, whatever else happens.
pub(crate) fn tidy(
    ground: &Ground<'_>,
    rolls: &[Roll<'_>],
    flights: &Flights,
    owners: &[Option<usize>],
) -> Vec<Action> {
    let mut actions = Vec::new();
    for (known, fare) in ground.attempts.iter().zip(&flights.fares) {
        let attempt = known.attempt;
        if attempt.rollout.is_none() {
            continue;
        }
        if attempt.begun.is_some() {
            if let Fare::Observed { at } = fare
                && attempt.observed.is_none()
            {
                let (attempt, at) = (attempt.id, *at);
                actions.push(Action::Observe { attempt, at });
            }
            continue;
        }
        let roll = known.document.and_then(|at| rolls.get(at as usize));
        let agent = ground.agent(known.agent.map(|at| at as usize));
        if attempt.end.is_some() {
            continue;
        }
        let owner = known
            .agent
            .and_then(|at| owners.get(at as usize).copied().flatten());
        let stranger = owner.is_some() && owner != known.document.map(|at| at as usize);
        let elsewhere = stranger.then_some("its agent belongs to another rollout");
        if let Some(why) = unwanted(ground, roll, attempt, agent).or(elsewhere) {
            actions.push(Action::Cancel {
                attempt: attempt.id,
                why,
            });
        } else if let Some(permit) = attempt.permit
            && permit.until.is_some_and(|until| until <= ground.now())
            && roll.is_some_and(|roll| roll.document.facts.epoch == permit.epoch)
        {
            actions.push(Action::Withdraw {
                attempt: attempt.id,
            });
        }
    }
    actions
}

/// Why an attempt that was not begun is to be taken back.
fn unwanted(
    ground: &Ground<'_>,
    roll: Option<&Roll<'_>>,
    attempt: &Attempt,
    agent: Option<&Agent>,
) -> Option<&'static str> {
    let Some(roll) = roll.filter(|roll| roll.document.is_live()) else {
        return Some("its rollout is over");
    };
    let Some(agent) = agent else {
        return Some("the directory does not know its agent any more");
    };
    if !agent.member.connected() {
        return Some("its agent is not connected; it begins anew when it is");
    }
    if roll.is_excluded(attempt.agent) {
        return Some("its agent was left out");
    }
    if ground.inputs.holds.contains_key(&attempt.agent) {
        return Some("its agent is held");
    }
    if agent.unsupported.is_some() {
        return Some("its agent is not supported");
    }
    let way = match (agent.member.version, roll.target) {
        (Some(runs), Some(target)) => ground.way(runs, target).ok().flatten(),
        _ => None,
    };
    let hop = way.map(|(hop, _)| hop);
    (hop.is_none() || hop != attempt.target).then_some("it is not what its agent needs next")
}
