//! Actions, carried out on the stage as a store and an engine would.

use super::played::Happened;
use super::stage::Stage;
use crate::Name;
use crate::attempt::Outcome;
use crate::facts::{Document, OpenedWave};
use crate::plan::{Action, Plan};

impl Stage<'_> {
    pub(super) fn carry_out(&mut self, made: &Plan) {
        for action in &made.actions {
            match action {
                Action::Open {
                    rollout,
                    wave,
                    members,
                    population,
                } => {
                    let (now, size) = (self.now, members.len());
                    let Some(document) = self.document(rollout) else {
                        continue;
                    };
                    let opened = OpenedWave {
                        opened: now,
                        members: members.clone(),
                        passed: None,
                    };
                    document.facts.waves.push(opened);
                    if population.is_some() {
                        document.facts.population.clone_from(population);
                    }
                    if let Some(name) = wave_name(document, *wave) {
                        self.tell(rollout, Happened::Opened(name, size));
                    }
                }
                Action::Pass { rollout, wave, why } => {
                    let now = self.now;
                    let Some(document) = self.document(rollout) else {
                        continue;
                    };
                    if let Some(open) = document.facts.waves.get_mut(*wave) {
                        open.passed = Some(now);
                    }
                    if let Some(name) = wave_name(document, *wave) {
                        self.tell(rollout, Happened::Passed(name, why.clone()));
                    }
                }
                Action::Halt { rollout, reason } => {
                    if let Some(document) = self.document(rollout)
                        && document.halt(reason).is_ok()
                    {
                        self.tell(rollout, Happened::Halted(reason.clone()));
                    }
                }
                Action::Join { rollout, agents } => {
                    if let Some(document) = self.document(rollout) {
                        document.facts.joined.extend(agents);
                    }
                }
                other => self.about_attempts(other),
            }
        }
    }

    fn about_attempts(&mut self, action: &Action) {
        match action {
            Action::Stage {
                rollout,
                agent,
                target,
            } => {
                self.create(rollout, *agent, *target, None);
            }
            Action::Begin {
                rollout,
                agent,
                attempt: None,
                target,
                permit,
            } => {
                self.create(rollout, *agent, *target, Some(*permit));
            }
            Action::Begin {
                attempt: Some(task),
                permit,
                ..
            } => {
                self.change(*task, |one| one.permit = Some(*permit));
            }
            Action::Observe { attempt, at } => {
                self.change(*attempt, |one| one.observed = Some(*at));
            }
            Action::Soaked { attempt, at } => {
                self.change(*attempt, |one| one.soaked = Some(*at));
            }
            Action::Withdraw { attempt } => self.change(*attempt, |one| one.permit = None),
            Action::Cancel { attempt, .. } => {
                let now = self.now;
                self.sending.remove(attempt);
                self.change(*attempt, |one| one.end = Some((now, Outcome::Cancelled)));
            }
            _ => {}
        }
    }
}

fn wave_name(document: &Document, wave: usize) -> Option<Name> {
    document
        .definition
        .waves
        .get(wave)
        .map(|wave| wave.name.clone())
}
