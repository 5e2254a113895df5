//! Rollouts as they are defined: which agents go where, in which waves.

use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use wpk_api::settings::{Problems, Span};
use wpk_api::{AgentId, Version};

use super::amount::Amount;
use super::moment::Moment;
use crate::{Name, Selector};

/// The most waves of one rollout.
pub const MOST_WAVES: usize = 32;
/// The most agents that are excluded by their ids; more are left out by a selector.
pub const MOST_EXCLUDED: usize = 10_000;
/// The most that one agent may be tried again.
pub const MOST_RETRIES: u32 = 20;

const YEAR: Span = Span::seconds(366 * 86_400);

/// One `[[rollout]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// Its name.
    pub name: Name,
    /// Which agents.
    pub select: Selector,
    /// The version to go to; with `file`, the version that is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Version>,
    /// A WPK file of the manager that is sent instead of a release of a repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// When it may start. Absent: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Moment>,
    /// How long after its start it should be through; it warns and forces nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Span>,
    /// How often an agent that failed is tried again, 0 to [`MOST_RETRIES`]. Default 2.
    #[serde(default = "retries")]
    pub retries: u32,
    /// How long it is waited before an agent is tried again; twice as long each time, up
    /// to a day. Default 10 minutes.
    #[serde(default = "retry_pause")]
    pub retry_pause: Span,
    /// After how long without a word an agent counts as failed. Default a day.
    #[serde(default = "unknown_after")]
    pub unknown_after: Span,
    /// The most agents of this rollout in flight at once; a percent is of its agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent: Option<Amount>,
    /// Agents that are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<AgentId>,
    /// Its waves, opened one after the other.
    #[serde(default, rename = "wave")]
    pub waves: Vec<Wave>,
}

const fn retries() -> u32 {
    2
}
const fn retry_pause() -> Span {
    Span::seconds(600)
}
const fn unknown_after() -> Span {
    Span::seconds(86_400)
}
const fn min_sample() -> u32 {
    1
}
const fn max_failures() -> Amount {
    Amount::Number(0)
}
const fn soak() -> Span {
    Span::seconds(1_800)
}

/// One `[[rollout.wave]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wave {
    /// Its name.
    pub name: Name,
    /// How many of the rollout's agents are in this wave or one before it; a percent is
    /// rounded up.
    pub size: Amount,
    /// How many agents must have been begun before it passes. Default 1.
    #[serde(default = "min_sample")]
    pub min_sample: u32,
    /// How many of its agents may fail; a percent is of the wave, rounded down. Default 0.
    #[serde(default = "max_failures")]
    pub max_failures: Amount,
    /// How long each success is watched. Default 30 minutes.
    #[serde(default = "soak")]
    pub soak: Span,
    /// Never more in flight than could fail: see the crate's page. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
    /// In the place of the rollout's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_after: Option<Span>,
    /// The most agents of this wave in flight at once; a percent is of the wave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent: Option<Amount>,
}

impl Rollout {
    /// After how long without a word an agent of a wave counts as failed, in seconds.
    pub(crate) fn unknown_after(&self, wave: Option<usize>) -> i64 {
        let of_wave = wave.and_then(|wave| self.waves.get(wave)?.unknown_after);
        seconds(of_wave.unwrap_or(self.unknown_after))
    }

    /// How long it is waited after so many tries, in seconds.
    pub(crate) fn pause_after(&self, tries: u32) -> i64 {
        const DAY: i64 = 86_400;
        let first = seconds(self.retry_pause).min(DAY);
        first
            .saturating_mul(1 << tries.saturating_sub(1).min(20))
            .min(DAY)
    }

    pub(super) fn problems(&self) -> Problems {
        let mut problems = Problems::new();
        if self.target.is_none() && self.file.is_none() {
            let message = "is missing: write target = \"vX.Y.Z\", or file = \"/path/of/a.wpk\"";
            problems.add("target", message);
        }
        if let Some(file) = &self.file {
            let good = file.starts_with('/') && file.len() <= 4096 && !file.contains('\0');
            if !good {
                let message = "must be the full path of a WPK file: \"/srv/wpk/agent.wpk\"";
                problems.add("file", message);
            }
        }
        problems.in_range("retries", self.retries, 0..=MOST_RETRIES);
        problems.in_range("retry_pause", self.retry_pause, Span::seconds(1)..=YEAR);
        problems.in_range(
            "unknown_after",
            self.unknown_after,
            Span::seconds(60)..=YEAR,
        );
        if let Some(deadline) = self.deadline {
            problems.in_range("deadline", deadline, Span::seconds(60)..=YEAR);
        }
        check_cap(&mut problems, self.max_concurrent);
        if self.exclude.len() > MOST_EXCLUDED {
            let message = format!("may have {MOST_EXCLUDED} ids; use a selector for more");
            problems.add("exclude", message);
        }
        self.check_waves(&mut problems);
        problems
    }

    /// What two waves say together.
    fn check_waves(&self, problems: &mut Problems) {
        if self.waves.is_empty() {
            let message = "is missing: write at least one [[rollout.wave]] with size = \"100%\"";
            problems.add("wave", message);
        }
        if self.waves.len() > MOST_WAVES {
            problems.add("wave", format!("a rollout may have {MOST_WAVES} waves"));
        }
        for (at, wave) in self.waves.iter().enumerate() {
            if self.waves[..at].iter().any(|other| other.name == wave.name) {
                problems.add("wave", format!("two waves are named {:?}", &*wave.name));
            }
        }
        for pair in self.waves.windows(2) {
            let [before, after] = pair else { continue };
            let smaller = match (before.size, after.size) {
                (Amount::Number(a), Amount::Number(b)) => b <= a,
                (Amount::Percent(a), Amount::Percent(b)) => b <= a,
                (Amount::Percent(10_000), _) => true,
                // Only the agents can tell.
                _ => false,
            };
            if smaller {
                let (name, size, least) = (&*after.name, after.size, before.size);
                let message = format!(
                    "{name:?}: size {size} leaves it nobody: sizes count all waves \
                     before it too, so it must be more than {least}"
                );
                problems.add("wave", message);
            }
        }
        if let Some(last) = self.waves.last()
            && !last.size.is_all()
        {
            let message = format!(
                "{:?}: the last wave has all that are left: write size = \"100%\"",
                &*last.name
            );
            problems.add("wave", message);
        }
    }
}

impl Wave {
    pub(super) fn problems(&self) -> Problems {
        let mut problems = Problems::new();
        if self.size.is_zero() {
            problems.add(
                "size",
                "must be more than 0: write for example 20 or \"5%\"",
            );
        }
        problems.in_range("min_sample", self.min_sample, 1..=10_000_000);
        if let Amount::Number(size) = self.size
            && self.min_sample > size
        {
            let sample = self.min_sample;
            let message = format!(
                "{sample} agents can never be begun in a wave of {size}: write {size} or less"
            );
            problems.add("min_sample", message);
        }
        problems.in_range("soak", self.soak, Span::seconds(0)..=YEAR);
        if self.soak < Span::seconds(1) {
            let message = "must be at least \"1s\": a success is watched before it counts";
            problems.add("soak", message);
        }
        if let Some(after) = self.unknown_after {
            let range: RangeInclusive<Span> = Span::seconds(60)..=YEAR;
            problems.in_range("unknown_after", after, range);
        }
        check_cap(&mut problems, self.max_concurrent);
        problems
    }
}

fn check_cap(problems: &mut Problems, cap: Option<Amount>) {
    if cap.is_some_and(Amount::is_zero) {
        let message = "must be at least 1; to let nothing begin, pause the rollout";
        problems.add("max_concurrent", message);
    }
}

/// A duration in whole seconds.
pub(crate) fn seconds(span: Span) -> i64 {
    i64::try_from(span.0.as_secs()).unwrap_or(i64::MAX)
}
