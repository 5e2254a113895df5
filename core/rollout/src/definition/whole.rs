//! A definition as a whole.

use serde::Serialize;
use wpk_api::UnixTime;
use wpk_api::settings::Problem;

use super::digest::Digest;
use super::release::Releases;
use super::rollout::Rollout;
use super::site::Sites;

/// The longest file with a definition, in bytes.
pub const LONGEST_DEFINITION: usize = 1 << 20;
/// The most sites of one definition.
pub const MOST_SITES: usize = 1_000;
/// The most rollouts of one definition.
pub const MOST_ROLLOUTS: usize = 100;
/// The most releases of one definition.
pub const MOST_RELEASES: usize = 1_000;

/// What one file says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Definition {
    /// They take the place of all that were there before; `None` leaves those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sites: Option<Sites>,
    /// Rollouts to begin or to change.
    pub rollouts: Vec<Rollout>,
    /// They take the place of those that were there before; `None` leaves those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub releases: Option<Releases>,
}

impl Definition {
    /// The digest of what it means: two files that mean the same have the same, however
    /// they are written.
    pub fn digest(&self) -> Digest {
        Digest::of(self)
    }

    /// What is wrong with its times at `now`: a start in the past, except one that the
    /// rollout of this name was applied with (`applied`).
    pub fn late(&self, applied: &[Rollout], now: UnixTime) -> Vec<Problem> {
        let before = |rollout: &Rollout| {
            let same = applied.iter().find(|other| other.name == rollout.name);
            same.and_then(|other| other.not_before)
        };
        let late =
            (self.rollouts.iter()).filter_map(|rollout| {
                let start = rollout.not_before?;
                (start.0 < now && before(rollout) != Some(start)).then(|| {
                let message = format!(
                    "{start} is in the past: write a later moment, or leave it out to start at once"
                );
                Problem::new(format!("[[rollout]] {:?}: not_before", &*rollout.name), message)
            })
            });
        late.collect()
    }
}
