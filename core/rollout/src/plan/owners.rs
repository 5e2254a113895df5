//! Which rollout has which agent: of those that want it, the one applied first; one that
//! has it in flight or in its soak keeps it until that is over.

use super::fare::Fare;
use super::flights::Flights;
use super::ground::Ground;
use super::roll::{Place, Roll};

/// The owner of each agent, by their numbers.
pub(crate) struct Owners {
    pub(crate) owner: Vec<Option<usize>>,
    /// Rollouts that would have wanted an agent which another has: pairs of the one and
    /// the other, with how many agents.
    pub(crate) elsewhere: Vec<Vec<usize>>,
}

pub(crate) fn owners(ground: &Ground<'_>, rolls: &[Roll<'_>], flights: &Flights) -> Owners {
    let mut owner: Vec<Option<usize>> = vec![None; ground.agents.len()];
    for (known, fare) in ground.attempts.iter().zip(&flights.fares) {
        let (Some(at), Some(document)) = (known.agent, known.document) else {
            continue;
        };
        let Some(roll) = rolls.get(document as usize) else {
            continue;
        };
        let watched = matches!(fare, Fare::Observed { .. })
            && known.attempt.soaked.is_none()
            && known.attempt.target == roll.target
            && roll.document.is_live();
        if (fare.in_flight() || watched)
            && let Some(owner) = owner.get_mut(at as usize)
        {
            *owner = Some(document as usize);
        }
    }
    let mut elsewhere = vec![vec![0; rolls.len()]; rolls.len()];
    // Those that have nothing to do with an agent speak for it if nobody else does.
    let mut last: Vec<Option<usize>> = vec![None; ground.agents.len()];
    for (number, roll) in rolls.iter().enumerate() {
        if !roll.document.is_live() {
            continue;
        }
        for (at, agent) in ground.agents.iter().enumerate() {
            let id = agent.member.id;
            if roll.place(id, Some(at)) == Place::None && !roll.matches(&agent.member) {
                continue;
            }
            let Some(owner) = owner.get_mut(at) else {
                continue;
            };
            match *owner {
                Some(other) if other != number => {
                    if let Some(count) = elsewhere.get_mut(number).and_then(|of| of.get_mut(other))
                    {
                        *count += 1;
                    }
                }
                Some(_) => {}
                None => {
                    let runs = agent.member.version;
                    let done = runs.is_some_and(|runs| roll.target.is_some_and(|to| runs >= to));
                    if done || roll.is_excluded(id) {
                        if let Some(last) = last.get_mut(at) {
                            last.get_or_insert(number);
                        }
                    } else {
                        *owner = Some(number);
                    }
                }
            }
        }
    }
    for (owner, last) in owner.iter_mut().zip(last) {
        *owner = owner.or(last);
    }
    Owners { owner, elsewhere }
}
