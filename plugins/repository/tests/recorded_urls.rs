//! The URLs a 4.14.9 manager asked for, replayed: every recorded wish must lead
//! to the same list of versions, the same file and the same local name, except
//! for the differences listed here with their reasons.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use serde_json::Value;
use wpk_api::repository::{Base, LayoutError, Part, Place};
use wpk_api::{PackageType, Platform, Version};

const RECORDINGS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/conformance/recordings/repository_urls.jsonl"
);
const MANAGER: Version = Version::new(4, 14, 9);

/// What ours makes of a recorded wish.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Urls {
        versions: String,
        wpk: String,
        file_name: String,
    },
    NoPackage(LayoutError),
    BadBase,
    NoVersion,
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value[key].as_str()
}

fn ours(case: &Value) -> Outcome {
    let (agent, params) = (&case["agent"], &case["params"]);
    let owned = |key| text(agent, key).map(str::to_owned);
    let platform = Platform {
        name: owned("platform"),
        major: owned("major"),
        minor: owned("minor"),
        arch: owned("arch"),
    };
    let version = match text(params, "version").map(str::parse) {
        None => MANAGER,
        Some(Ok(version)) => version,
        Some(Err(_)) => return Outcome::NoVersion,
    };
    let force = params["force_upgrade"].as_bool().unwrap_or(false);
    let own = platform.name.as_deref().and_then(PackageType::of_platform);
    let asked = text(params, "package_type").and_then(|kind| kind.parse().ok());
    let kind = PackageType::choose(own, asked, force);
    let place = match Place::of(&platform, kind, version) {
        Ok(place) => place,
        Err(error) => return Outcome::NoPackage(error),
    };
    let requested = text(params, "wpk_repo");
    let configured = text(case, "configured_repository");
    let use_http = params["use_http"].as_bool().unwrap_or(false);
    let Ok(base) = Base::choose(requested, configured, version, use_http) else {
        return Outcome::BadBase;
    };
    Outcome::Urls {
        versions: base.join(&place.versions()),
        wpk: base.join(&place.file(version)),
        file_name: place.file_name(version),
    }
}

/// The differences: what ours does where the recorded manager did something
/// else, or `None` where both must agree.
fn difference(case: &Value) -> Option<Outcome> {
    let (agent, params) = (&case["agent"], &case["params"]);
    match text(params, "version") {
        // Asks for a file with a `v` however the request wrote the version; the
        // recorded manager asked for a file that no repository has.
        Some("4.14.9") => {
            let folder = "https://packages.wazuh.com/4.x/wpk/linux/deb/amd64/";
            let file_name = "wazuh_agent_v4.14.9_linux_amd64.deb.wpk".to_owned();
            return Some(Outcome::Urls {
                versions: format!("{folder}versions"),
                wpk: format!("{folder}{file_name}"),
                file_name,
            });
        }
        // A target that is no version is refused (code 15) without asking
        // anybody; the recorded manager put it into URLs and local paths.
        Some("v4.9" | "v4.14.9-rc1" | "latest" | "v" | "v3" | "../../x" | "v4.9.0/../../y") => {
            return Some(Outcome::NoVersion);
        }
        _ => {}
    }
    // An absent OS version went into old URLs as `(null)`; there is no such
    // package, which is code 9.
    if text(agent, "major").is_none()
        && text(case, "versions_url").is_some_and(|url| url.contains("(null)"))
    {
        return Some(Outcome::NoPackage(LayoutError::Missing(Part::OsVersion)));
    }
    match text(params, "wpk_repo") {
        // Foreign schemes, blanks and queries made URLs that no server can
        // answer; refused, with the same code 14.
        Some("ftp://r.local/" | "r.local?x=http://y" | "r local") => Some(Outcome::BadBase),
        // Schemes are the same in either case.
        Some("HTTP://r.local/") => {
            let folder = "http://r.local/linux/deb/amd64/";
            let file_name = "wazuh_agent_v4.14.9_linux_amd64.deb.wpk".to_owned();
            Some(Outcome::Urls {
                versions: format!("{folder}versions"),
                wpk: format!("{folder}{file_name}"),
                file_name,
            })
        }
        _ => None,
    }
}

#[test]
fn every_recorded_wish_leads_to_the_recorded_place() {
    let recordings = std::fs::read_to_string(RECORDINGS).expect(RECORDINGS);
    let (mut same, mut different) = (0, 0);
    for line in recordings.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let ours = ours(&case);
        if let Some(expected) = difference(&case) {
            assert_eq!(ours, expected, "{line}");
            different += 1;
            continue;
        }
        same += 1;
        let Some(versions) = text(&case, "versions_url") else {
            // Only one kind of wish was refused before anything was asked.
            let message = text(&case["task_after"], "ERROR_MESSAGE").unwrap();
            assert_eq!(message, "The WPK for this platform is not available");
            assert_eq!(ours, Outcome::NoPackage(LayoutError::NoType), "{line}");
            continue;
        };
        let local = text(&case, "wpk_local").unwrap();
        let recorded = Outcome::Urls {
            versions: versions.to_owned(),
            wpk: text(&case, "wpk_url").unwrap().to_owned(),
            file_name: local.strip_prefix("var/upgrade/").unwrap().to_owned(),
        };
        assert_eq!(ours, recorded, "{line}");
    }
    assert_eq!(same + different, 518);
    assert!(
        different <= 20,
        "{different} differences: is the list above too generous?"
    );
}
