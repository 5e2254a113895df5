//! `[[release]]`: what an agent must run before it may go to a release.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use wpk_api::settings::{self, Problem};
use wpk_api::{Digests, Version};

/// The most releases.
const MOST: usize = 1_000;
/// The most floors of one release.
const MOST_FLOORS: usize = 8;

/// What agents must run before rollouts take them to a release. Where the settings have
/// none, one is known: an agent below v4.14.0 goes there before it goes to v5.0.0 or later.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseSettings {
    /// Its version.
    #[schemars(with = "String")]
    pub version: Version,
    /// Versions, each below `version`, that an agent below this release must reach first:
    /// a rollout to this release or past it takes it there before. Default none; at most 8.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub floors: Vec<Version>,
    /// SHA-256 of its files, 64 hexadecimal digits each, one or a list of at most 64: a file
    /// of this version that has none of them is sent to no agent. Default none, and any
    /// file is sent.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub sha256: Digests,
}

/// Reads all of them, and finds every mistake; keys begin with the number of the release.
pub(crate) fn read(value: Option<&Value>) -> (Vec<ReleaseSettings>, Vec<Problem>) {
    let (mut releases, mut problems) = (Vec::new(), Vec::new());
    let entries = match value {
        None => return (releases, problems),
        Some(Value::Array(entries)) if entries.len() <= MOST => entries,
        Some(Value::Array(_)) => {
            problems.push(Problem::new("", format!("there may be {MOST} releases")));
            return (releases, problems);
        }
        Some(_) => {
            problems.push(Problem::new("", "must be a list: write [[release]]"));
            return (releases, problems);
        }
    };
    for (number, entry) in entries.iter().enumerate() {
        let found = match settings::read::<ReleaseSettings>(entry) {
            Ok(release) => {
                let found = wrong(&release, &releases);
                releases.push(release);
                found.into_iter().collect()
            }
            Err(found) => found,
        };
        let inside = |problem: Problem| problem.inside(&number.to_string());
        problems.extend(found.into_iter().map(inside));
    }
    (releases, problems)
}

fn wrong(release: &ReleaseSettings, before: &[ReleaseSettings]) -> Option<Problem> {
    let version = release.version;
    if before.iter().any(|other| other.version == version) {
        return Some(Problem::new("version", format!("{version} is there twice")));
    }
    if release.floors.len() > MOST_FLOORS {
        let message = format!("a release may have {MOST_FLOORS}");
        return Some(Problem::new("floors", message));
    }
    let floor = release.floors.iter().find(|floor| **floor >= version)?;
    let message = format!("{floor} is not below {version}: a floor is an older version");
    Some(Problem::new("floors", message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn releases_are_read_and_every_mistake_is_told() {
        let good = json!([{"version": "v5.0.0", "floors": ["v4.14.0"]}, {"version": "v4.14.0"}]);
        let (releases, problems) = read(Some(&good));
        assert_eq!((releases.len(), problems), (2, Vec::new()));
        assert_eq!(read(None).0, []);
        for sha256 in [json!("0f".repeat(32)), json!(["0F".repeat(32)])] {
            let (releases, problems) =
                read(Some(&json!([{"version": "v5.0.0", "sha256": sha256}])));
            assert_eq!(problems, []);
            assert_eq!(releases[0].sha256.0, [wpk_api::Sha256([0x0f; 32])]);
        }
        let cases = [
            (json!({"version": "v5.0.0"}), ""),
            (json!([{"version": "5"}]), "0.version"),
            (json!([{"version": "v5.0.0", "floor": []}]), "0.floor"),
            (
                json!([{"version": "v5.0.0", "floors": ["v5.0.0"]}]),
                "0.floors",
            ),
            (
                json!([{"version": "v5.0.0"}, {"version": "v5.0.0"}]),
                "1.version",
            ),
            (json!([{"version": "v5.0.0", "sha256": "ab"}]), "0.sha256"),
            (json!([{"version": "v5.0.0", "sha256": [7]}]), "0.sha256"),
            (json!([7]), "0"),
        ];
        for (value, key) in cases {
            let (_, problems) = read(Some(&value));
            let keys: Vec<&str> = problems.iter().map(|one| one.key.as_str()).collect();
            assert_eq!(keys, [key], "{value}");
        }
    }
}
