//! The directory and the provider that the engine is tested with keep what their
//! traits promise: what is found with them is no fault of theirs. (Its transport
//! has agents of its own, and its source serves nobody: their suites do not fit.)

use std::sync::Arc;

use bytes::Bytes;
use wpk_api::{
    AgentDirectory, AgentInfo, Platform, Target, Version, Wanted, WantedRelease, WpkProvider,
};
use wpk_testkit::directory_suite;
use wpk_testkit::memory::{MemoryDirectory, MemoryProvider, agent};
use wpk_testkit::provider_suite::{self, Published};
use wpk_testkit::suite::{Options, now};

use super::verdict;

#[test]
fn the_directory_passes() {
    let verdict = verdict(|| async {
        directory_suite::run(async |count| {
            let each = (1..).map(|n| agent(n * 3, "Wazuh v4.7.0"));
            let agents: Vec<AgentInfo> = each.take(count).collect();
            let manager = agent(0, "Wazuh v4.14.0");
            let all = agents.iter().cloned().chain([manager]);
            let directory = Arc::new(MemoryDirectory::of(all));
            directory_suite::Stand::new(agents, move || {
                now(directory.clone() as Arc<dyn AgentDirectory>)
            })
        })
        .await;
    });
    assert_eq!(verdict, "");
}

fn release(version: Version) -> Wanted {
    Wanted::Release(WantedRelease {
        platform: Platform::default(),
        target: Target::Exactly(version),
        repository: None,
        use_http: false,
        package_type: None,
    })
}

#[test]
fn the_provider_passes() {
    let verdict = verdict(|| async {
        let publish = async |content: Bytes| {
            let provider = Arc::new(MemoryProvider::default());
            provider.publish(Version::new(4, 14, 0), content);
            let open = move || now(provider.clone() as Arc<dyn WpkProvider>);
            let missing = release(Version::new(4, 13, 0));
            Published::new(release(Version::new(4, 14, 0)), open).missing(missing)
        };
        provider_suite::run_with(publish, &Options::default().huge(9 << 20)).await;
    });
    assert_eq!(verdict, "");
}
