//! A repository on loopback with one release.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;
use wpk_api::{
    PackageType, Platform, Target, Version, Wanted, WantedFile, WantedRelease, WpkProvider,
};

use super::{AnyFactory, build};
use crate::provider_suite::Published;
use crate::suite::{now, ok};
use crate::{Home, Repository};

/// The version that is published.
const VERSION: Version = Version::new(4, 14, 9);

/// A slow repository sends so many bytes a second.
const PACE: u64 = 400_000;

/// A wish for a release for Debian-based amd64 agents.
fn release(version: Version) -> Wanted {
    Wanted::Release(WantedRelease {
        platform: Platform {
            name: Some("ubuntu".to_owned()),
            major: Some("22".to_owned()),
            minor: Some("04".to_owned()),
            arch: Some("x86_64".to_owned()),
        },
        target: Target::Exactly(version),
        repository: None,
        use_http: true,
        package_type: Some(PackageType::Deb),
    })
}

/// Publishes `file` as v4.14.9, for `provider_suite`.
pub async fn repository(factory: AnyFactory<dyn WpkProvider>, file: Bytes) -> Published {
    let repository = ok("starting a repository", Repository::start().await);
    let home = ok("making a folder", Home::new());
    ok("publishing", repository.publish("v4.14.9", &file));
    drop(file);
    let settings = json!({
        "url": repository.server.url(),
        "attempts": 2,
        "retry_pause": "1ms",
    });
    let context = home.context();
    let wpk = repository
        .folder()
        .join(crate::repository::DEB)
        .join("wazuh_agent_v4.14.9_linux_amd64.deb.wpk");
    let (platformless, wanted) = match release(VERSION) {
        Wanted::Release(release) => (
            Wanted::Release(WantedRelease {
                platform: Platform::default(),
                package_type: None,
                ..release.clone()
            }),
            Wanted::Release(release),
        ),
        other => (other.clone(), other),
    };
    let repository = Arc::new(repository);
    let slow = Arc::clone(&repository);
    Published::new(wanted, move || now(build(&factory, &settings, &context)))
        .missing(release(Version::new(4, 14, 8)))
        .missing(platformless)
        .foreign(Wanted::File(WantedFile {
            path: Some("/etc/hostname".into()),
        }))
        .take_away(move || ok("taking the file away", std::fs::remove_file(&wpk)))
        .slow_down(move |slowly| slow.set_pace(slowly.then_some(PACE)))
        .keep((repository, home))
}
