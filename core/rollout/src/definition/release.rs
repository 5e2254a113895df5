//! Releases: versions, what an agent must run before it may go there, and which are
//! denied. From them the hops of an agent are computed.

use serde::{Deserialize, Serialize};
use wpk_api::settings::Problems;
use wpk_api::{Digests, Version};

/// The most hops of one agent.
pub const MOST_HOPS: usize = 8;
/// The most floors of one release.
pub const MOST_FLOORS: usize = 8;

/// One `[[release]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Its version.
    pub version: Version,
    /// Versions that an agent below this release must reach first, if it is below them:
    /// an agent that goes to this release or past it stops there. Each is below `version`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub floors: Vec<Version>,
    /// Never begun by itself, neither as a target nor as a hop. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub denied: bool,
    /// SHA-256 of its files: a file of this version that has none of them is sent to no
    /// agent. One text, or a list of at most [`MOST_DIGESTS`](wpk_api::MOST_DIGESTS). Default
    /// none, and any file is sent.
    #[serde(default, skip_serializing_if = "Digests::is_empty")]
    pub sha256: Digests,
}

impl Release {
    pub(super) fn problems(&self) -> Problems {
        let mut problems = Problems::new();
        if self.floors.len() > MOST_FLOORS {
            problems.add("floors", format!("a release may have {MOST_FLOORS}"));
        }
        if let Some(floor) = self.floors.iter().find(|floor| **floor >= self.version) {
            let version = self.version;
            let message = format!("{floor} is not below {version}: a floor is an older version");
            problems.add("floors", message);
        }
        problems
    }
}

/// All releases that are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Releases(pub Vec<Release>);

/// Why an agent cannot get somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoWay {
    /// The target is denied.
    #[error("release {0} is denied")]
    Denied(Version),
    /// A floor is denied, and no other release could stand in for it.
    #[error(
        "it would have to go to {floor} first, which is denied, as is all between it and {below}"
    )]
    Floor {
        /// The floor.
        floor: Version,
        /// The release that has it.
        below: Version,
    },
    /// More than [`MOST_HOPS`].
    #[error("there are more than 8 hops on the way to {0}")]
    TooFar(Version),
}

impl Default for Releases {
    /// What is shipped: an agent below 4.14.0 goes there before it goes to 5.0.0 or later.
    fn default() -> Self {
        Self(vec![Release {
            version: Version::new(5, 0, 0),
            floors: vec![Version::new(4, 14, 0)],
            denied: false,
            sha256: Digests::default(),
        }])
    }
}

impl Releases {
    /// Whether a release is denied.
    pub fn is_denied(&self, version: Version) -> bool {
        (self.0.iter()).any(|release| release.version == version && release.denied)
    }

    /// The versions that an agent goes through, the target last; empty if it runs the
    /// target or a newer one.
    ///
    /// # Errors
    /// Why there is no way.
    pub fn hops(&self, from: Version, target: Version) -> Result<Vec<Version>, NoWay> {
        if from >= target {
            return Ok(Vec::new());
        }
        if self.is_denied(target) {
            return Err(NoWay::Denied(target));
        }
        // From the end: what is needed before the first hop that is known so far.
        let mut hops = vec![target];
        let mut first = target;
        while let Some((floor, below)) = self.floor_before(from, first) {
            first = self
                .stand_in(floor, below, first)
                .ok_or(NoWay::Floor { floor, below })?;
            hops.insert(0, first);
            if hops.len() > MOST_HOPS {
                return Err(NoWay::TooFar(target));
            }
        }
        Ok(hops)
    }

    /// The highest floor that an agent at `from` must reach before `to`, and of which
    /// release it is.
    fn floor_before(&self, from: Version, to: Version) -> Option<(Version, Version)> {
        let crossed = (self.0.iter()).filter(|one| from < one.version && one.version <= to);
        crossed
            .flat_map(|one| one.floors.iter().map(|floor| (*floor, one.version)))
            .filter(|(floor, _)| from < *floor && *floor < to)
            .max()
    }

    /// The floor itself; if it is denied, the next release that is known and below the
    /// one that has the floor.
    fn stand_in(&self, floor: Version, below: Version, to: Version) -> Option<Version> {
        if !self.is_denied(floor) {
            return Some(floor);
        }
        let known = self.0.iter().map(|release| release.version);
        known
            .filter(|version| floor < *version && *version < below.min(to))
            .filter(|version| !self.is_denied(*version))
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v(text: &str) -> Version {
        text.parse().unwrap()
    }

    fn hops(releases: &Releases, from: &str, to: &str) -> Result<Vec<String>, NoWay> {
        let hops = releases.hops(v(from), v(to))?;
        Ok(hops.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_is_shipped_stops_at_4_14_before_5() {
        let shipped = Releases::default();
        let cases: [(&str, &str, &[&str]); 6] = [
            ("v4.3.0", "v5.1.2", &["v4.14.0", "v5.1.2"]),
            ("v4.14.0", "v5.1.2", &["v5.1.2"]),
            ("v4.14.7", "v5.0.0", &["v5.0.0"]),
            ("v5.0.0", "v5.1.2", &["v5.1.2"]),
            ("v4.3.0", "v4.14.7", &["v4.14.7"]),
            ("v5.2.0", "v5.1.2", &[]),
        ];
        for (from, to, wanted) in cases {
            assert_eq!(hops(&shipped, from, to).unwrap(), wanted, "{from} {to}");
        }
    }

    #[test]
    fn a_denied_floor_is_stood_in_for_or_there_is_no_way() {
        let mut releases = Releases::default();
        let denied = |version| Release {
            version: v(version),
            floors: Vec::new(),
            denied: true,
            sha256: Digests::default(),
        };
        releases.0.push(denied("v4.14.0"));
        let error = hops(&releases, "v4.3.0", "v5.0.0").unwrap_err();
        assert!(error.to_string().contains("go to v4.14.0 first"), "{error}");
        releases.0.push(Release {
            denied: false,
            ..denied("v4.14.3")
        });
        let way = hops(&releases, "v4.3.0", "v5.0.0").unwrap();
        assert_eq!(way, ["v4.14.3", "v5.0.0"]);
        releases.0.push(denied("v5.0.0"));
        assert_eq!(
            hops(&releases, "v4.14.5", "v5.0.0"),
            Err(NoWay::Denied(v("v5.0.0")))
        );
    }

    #[test]
    fn floors_of_floors_are_hops_as_well() {
        let release = |version, floor| Release {
            version: v(version),
            floors: vec![v(floor)],
            denied: false,
            sha256: Digests::default(),
        };
        let releases = Releases(vec![
            release("v5.0.0", "v4.14.0"),
            release("v4.0.0", "v3.13.0"),
        ]);
        let way = hops(&releases, "v3.1.0", "v5.2.0").unwrap();
        assert_eq!(way, ["v3.13.0", "v4.14.0", "v5.2.0"]);
    }
}
