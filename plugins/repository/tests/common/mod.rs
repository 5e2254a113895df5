//! What the tests at the border share: wishes, a provider, certificates, the
//! reading of a stream.
#![allow(dead_code, unreachable_pub)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use wpk_api::{
    Context, Factory, NodeInfo, Offer, OfferSource, PackageType, Platform, ProviderError, Role,
    Target, Version, Wanted, WantedRelease, WpkProvider,
};
use wpk_plugin_repository::plugin;

pub const SHA: &str = "4f2d06a2af3802730ed038e5a070815a525afdc4";
pub const FOLDER: &str = "linux/deb/amd64/";
pub const FILE: &str = "wazuh_agent_v4.14.9_linux_amd64.deb.wpk";
pub const VERSION: Version = Version::new(4, 14, 9);

/// Nothing in these tests may take longer than this.
pub const LONG: Duration = Duration::from_secs(20);

pub fn context() -> Context {
    let node = NodeInfo {
        name: "node01".into(),
        role: Role::Master,
        version: Some(VERSION),
    };
    Context::new("/nonexistent", node)
}

/// A provider with short pauses; `settings` may change everything.
pub fn provider(settings: Value) -> Arc<dyn WpkProvider> {
    let mut all = json!({"retry_pause": "1ms", "attempts": 3});
    let more = settings.as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(more);
    plugin().build(&all, &context()).unwrap()
}

pub fn release(target: Target) -> WantedRelease {
    WantedRelease {
        platform: Platform {
            name: Some("ubuntu".into()),
            major: Some("22".into()),
            minor: Some("04".into()),
            arch: Some("x86_64".into()),
        },
        target,
        repository: None,
        use_http: false,
        package_type: Some(PackageType::Deb),
    }
}

pub fn wanted() -> Wanted {
    Wanted::Release(release(Target::Exactly(VERSION)))
}

pub fn from_repository(repository: impl Into<String>) -> Wanted {
    Wanted::Release(WantedRelease {
        repository: Some(repository.into()),
        ..release(Target::Exactly(VERSION))
    })
}

pub fn offer(url: impl Into<String>) -> Offer {
    Offer {
        file_name: FILE.into(),
        version: Some(VERSION),
        sha1: Some(SHA.parse().unwrap()),
        source: OfferSource::Download(url.into()),
    }
}

/// Resolves within the time limit.
pub async fn resolve(provider: &dyn WpkProvider, wanted: &Wanted) -> Result<Offer, ProviderError> {
    tokio::time::timeout(LONG, provider.resolve(wanted))
        .await
        .expect("no answer in time")
}

/// Downloads to the end within the time limit: the bytes delivered, and how it ended.
pub async fn download(
    provider: &dyn WpkProvider,
    url: &str,
) -> (Vec<u8>, Result<(), ProviderError>) {
    tokio::time::timeout(LONG, async {
        let mut stream = match provider.fetch(&offer(url)).await {
            Ok(stream) => stream,
            Err(error) => return (Vec::new(), Err(error)),
        };
        let mut bytes = Vec::new();
        while let Some(piece) = stream.next().await {
            match piece {
                Ok(piece) => bytes.extend_from_slice(&piece),
                Err(error) => {
                    assert!(
                        stream.next().await.is_none(),
                        "an error must be the last item"
                    );
                    return (bytes, Err(error));
                }
            }
        }
        (bytes, Ok(()))
    })
    .await
    .expect("the download takes too long")
}

/// Bytes that differ from place to place, so that a shifted piece is noticed.
pub fn content(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i / 251 + i * 7) as u8).collect()
}

/// Puts files into a folder.
pub fn write(root: &Path, path: &str, bytes: impl AsRef<[u8]>) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}
