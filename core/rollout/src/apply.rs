//! What becomes of the stored rollouts when a definition is applied, and the digest by
//! which one is applied only as it was planned.

use serde::Serialize;
use wpk_api::UnixTime;

use crate::definition::{Definition, Digest, Releases, Rollout, Sites};
use crate::facts::{Document, Phase, RolloutKey};

/// Everything that is stored besides agents and attempts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Desired {
    /// The sites, and the limits of the whole.
    pub sites: Sites,
    /// The releases that are known, with those that were denied.
    pub releases: Releases,
    /// All rollouts, also those that are over.
    pub rollouts: Vec<Document>,
}

/// What is applied is not what was planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not what was planned: the file or a rollout has changed since; plan again")]
pub struct NotAsPlanned;

impl Desired {
    /// What a plan for `definition` is compared by: the definition, and everything stored
    /// that decides what applying it does. Agents are not in it: they change all the time.
    pub fn digest(&self, definition: &Definition) -> Digest {
        #[derive(Serialize)]
        struct Basis<'a> {
            definition: &'a Definition,
            sites: &'a Sites,
            releases: &'a Releases,
            rollouts: Vec<(&'a RolloutKey, &'a Digest, u64, &'a Phase, usize)>,
        }
        let basis = |document: &'_ Document| document.facts.waves.len();
        Digest::of(&Basis {
            definition,
            sites: &self.sites,
            releases: &self.releases,
            rollouts: (self.rollouts.iter())
                .map(|one| {
                    (
                        &one.key,
                        &one.digest,
                        one.facts.epoch,
                        &one.facts.phase,
                        basis(one),
                    )
                })
                .collect(),
        })
    }

    /// Everything after `definition` was applied, as it was `planned`.
    ///
    /// A rollout whose name is new begins. One of a name that runs is changed where it
    /// stands if agents, target and waves' sizes are the same; else the new one takes its
    /// place, with waves of its own. Both take all leave to begin away.
    ///
    /// # Errors
    /// It is not what was planned.
    pub fn apply(
        &self,
        definition: &Definition,
        planned: Digest,
        now: UnixTime,
    ) -> Result<Self, NotAsPlanned> {
        if self.digest(definition) != planned {
            return Err(NotAsPlanned);
        }
        let mut after = self.clone();
        let sites = definition
            .sites
            .as_ref()
            .is_some_and(|sites| *sites != self.sites);
        let releases = (definition.releases.as_ref()).is_some_and(|all| *all != self.releases);
        if sites || releases {
            // Permits were given for other windows, and for releases that may be denied now.
            let live = after.rollouts.iter_mut().filter(|one| one.is_live());
            live.for_each(|one| one.facts.epoch += 1);
        }
        if let Some(sites) = &definition.sites {
            after.sites = sites.clone();
        }
        if let Some(releases) = &definition.releases {
            after.releases = releases.clone();
        }
        for rollout in &definition.rollouts {
            after.put(rollout, now);
        }
        Ok(after)
    }

    fn put(&mut self, rollout: &Rollout, now: UnixTime) {
        let order = self
            .rollouts
            .iter()
            .map(|one| one.order + 1)
            .max()
            .unwrap_or(1);
        let before = self
            .rollouts
            .iter_mut()
            .filter(|one| one.key.name == rollout.name);
        let Some(before) = before.max_by_key(|one| one.key.generation) else {
            let name = rollout.name.clone();
            let key = RolloutKey {
                name,
                generation: 1,
            };
            self.rollouts
                .push(Document::new(key, order, rollout.clone(), 1, now));
            return;
        };
        if before.is_live() && goes_on(&before.definition, rollout) {
            if before.definition != *rollout {
                before.definition = rollout.clone();
                before.digest = Digest::of(rollout);
                before.facts.epoch += 1;
            }
            return;
        }
        if before.is_live() {
            before.supersede();
        }
        let (name, generation) = (rollout.name.clone(), before.key.generation + 1);
        let (order, epoch) = (order, before.facts.epoch + 1);
        let key = RolloutKey { name, generation };
        self.rollouts
            .push(Document::new(key, order, rollout.clone(), epoch, now));
    }
}

/// Whether the facts of a rollout hold for another definition.
fn goes_on(before: &Rollout, after: &Rollout) -> bool {
    let sizes = |rollout: &Rollout| -> Vec<_> {
        let waves = rollout.waves.iter();
        waves.map(|wave| (wave.name.clone(), wave.size)).collect()
    };
    before.select == after.select
        && before.target == after.target
        && before.file == after.file
        && sizes(before) == sizes(after)
}
