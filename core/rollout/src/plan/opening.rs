//! Waves that pass and open, and agents that join.

use wpk_api::AgentId;

use super::action::Action;
use super::gate::Gate;
use super::ground::Ground;
use super::roll::Place;
use super::status::RolloutStatus;
use super::turn::{Other, Sheet, Turn};
use crate::waves::{self, Candidate};

impl Turn<'_, '_> {
    /// Waves that pass or open, and agents that join.
    pub(crate) fn go_on(
        &self,
        ground: &Ground<'_>,
        gates: &[Gate],
        others: &[Other],
        status: &mut RolloutStatus,
        sheet: &mut Sheet,
    ) {
        let document = self.roll.document;
        let rollout = document.key.clone();
        if document.facts.population.is_none() {
            return self.open_first(ground, others, status, sheet);
        }
        for (wave, gate) in gates.iter().enumerate() {
            if let Gate::Passes(why) = gate {
                let (rollout, why) = (rollout.clone(), why.clone());
                sheet.actions.push(Action::Pass { rollout, wave, why });
            }
        }
        let opened = document.facts.waves.len();
        if self.roll.all_opened() {
            let joins = others
                .iter()
                .filter(|one| one.could && one.place == Place::None);
            let agents: Vec<AgentId> = joins.map(|one| one.agent).collect();
            if !agents.is_empty() {
                sheet.actions.push(Action::Join { rollout, agents });
            }
        } else if document
            .facts
            .waves
            .last()
            .is_some_and(|last| last.passed.is_some())
        {
            let stays = |agent: &&AgentId| {
                let known = ground.find(**agent).and_then(|at| ground.agents.get(at));
                !self.roll.is_excluded(**agent)
                    && known.is_some_and(|agent| self.roll.matches(&agent.member))
            };
            let members = self
                .roll
                .ahead(opened)
                .iter()
                .filter(stays)
                .copied()
                .collect();
            sheet.actions.push(Action::Open {
                rollout,
                wave: opened,
                members,
                population: None,
            });
        }
    }

    /// The first wave: everybody is put into order, once and for all.
    fn open_first(
        &self,
        ground: &Ground<'_>,
        others: &[Other],
        status: &mut RolloutStatus,
        sheet: &mut Sheet,
    ) {
        let document = self.roll.document;
        let candidate = |one: &Other| {
            let number = ground.find(one.agent)?;
            let member = &ground.agents.get(number)?.member;
            Some(Candidate {
                id: one.agent,
                platform: member.platform.as_deref().unwrap_or_default(),
                site: ground.site_of.get(number).copied()? as usize,
                connected: member.connected(),
            })
        };
        let candidates: Vec<Candidate<'_>> = others
            .iter()
            .filter(|one| one.could)
            .filter_map(candidate)
            .collect();
        if candidates.is_empty() {
            return;
        }
        let seed = self
            .roll
            .target
            .map(|target| target.to_string())
            .unwrap_or_default();
        let population = waves::order(&candidates, &seed);
        let ends = waves::ends(&document.definition.waves, population.len());
        let starts = std::iter::once(0).chain(ends.iter().copied());
        for ((wave, start), end) in document.definition.waves.iter().zip(starts).zip(&ends) {
            let members = end - start;
            if members < wave.min_sample as usize && (members > 0 || start == 0) {
                let (name, sample) = (&wave.name, wave.min_sample);
                status.problems.push(format!(
                    "wave {name} has {members} agents and its min_sample is {sample}, which it \
                     can never reach: lower min_sample or raise size"
                ));
            }
        }
        if !status.problems.is_empty() {
            return;
        }
        let members = population
            .get(..ends.first().copied().unwrap_or(0))
            .unwrap_or_default();
        sheet.actions.push(Action::Open {
            rollout: document.key.clone(),
            wave: 0,
            members: members.to_vec(),
            population: Some(population),
        });
    }
}
