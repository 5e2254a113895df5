//! The suites for all providers and all settings, on this one.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use provider_rust::Mirror;
use wpk_plugin::api::{
    OfferSource, PackageType, Platform, ProviderError, Target, Version, Wanted, WantedFile,
    WantedRelease, WpkProvider,
};
use wpk_testkit::provider_suite::{self, Published};
use wpk_testkit::repository::sha1_hex;
use wpk_testkit::suite::now;

fn release(target: Target, arch: &str) -> Wanted {
    Wanted::Release(WantedRelease {
        platform: Platform {
            name: Some("ubuntu".to_owned()),
            arch: Some(arch.to_owned()),
            ..Platform::default()
        },
        target,
        repository: None,
        use_http: false,
        package_type: Some(PackageType::Deb),
    })
}

fn publish(folder: &Path, version: &str, wpk: &[u8]) {
    let name = format!("wazuh_agent_{version}_linux_amd64.deb.wpk");
    std::fs::write(folder.join(&name), wpk).unwrap();
    let list = folder.join("SHA1SUMS");
    let before = std::fs::read_to_string(&list).unwrap_or_default();
    std::fs::write(list, format!("{before}{}  {name}\n", sha1_hex(wpk))).unwrap();
}

fn mirror(folder: &Path) -> Mirror {
    Mirror::new(folder.to_owned(), 1 << 20)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_does_what_every_provider_must() {
    let exactly = |patch| release(Target::Exactly(Version::new(4, 14, patch)), "x86_64");
    provider_suite::run(async |file: Bytes| {
        let folder = tempfile::tempdir().unwrap();
        publish(folder.path(), "v4.14.9", &file);
        let path = folder.path().to_owned();
        let wpk = path.join("wazuh_agent_v4.14.9_linux_amd64.deb.wpk");
        Published::new(exactly(9), move || {
            now(Arc::new(mirror(&path)) as Arc<dyn WpkProvider>)
        })
        .missing(exactly(8))
        .missing(release(Target::Latest, "riscv64"))
        .missing(release(Target::Latest, "../x86_64"))
        .foreign(Wanted::File(WantedFile {
            path: Some("/etc/hostname".into()),
        }))
        .take_away(move || std::fs::remove_file(&wpk).unwrap())
        .keep(folder)
    })
    .await;
}

#[tokio::test]
async fn the_latest_is_the_highest_version_wherever_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    for version in ["v4.9.2", "v4.14.1", "v4.10.0"] {
        publish(folder.path(), version, version.as_bytes());
    }
    let wanted = release(Target::Latest, "x86_64");
    let offer = mirror(folder.path()).resolve(&wanted).await.unwrap();
    assert_eq!(offer.version, Some(Version::new(4, 14, 1)));
    assert!(matches!(offer.source, OfferSource::Download(_)));
}

#[tokio::test]
async fn a_share_that_is_not_mounted_is_not_reachable() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = release(Target::Latest, "x86_64");
    let answer = mirror(folder.path()).resolve(&wanted).await;
    assert!(
        matches!(answer, Err(ProviderError::NotReachable(_))),
        "{answer:?}"
    );
}

#[tokio::test]
async fn nothing_outside_of_the_folder_is_fetched() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("mirror");
    std::fs::create_dir(&inner).unwrap();
    publish(&inner, "v4.14.1", b"inside");
    std::fs::write(folder.path().join("secret"), b"outside").unwrap();
    let mirror = mirror(&inner);
    let wanted = release(Target::Latest, "x86_64");
    let mut offer = mirror.resolve(&wanted).await.unwrap();
    for name in ["../secret", "/etc/hostname", "..", "", "a/../../secret"] {
        offer.file_name = name.to_owned();
        let fetched = mirror.fetch(&offer).await.map(drop);
        assert!(
            matches!(fetched, Err(ProviderError::NoFile(_))),
            "{name:?}: {fetched:?}"
        );
    }
}
