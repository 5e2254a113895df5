//! What the border costs: a WPK of 64 MiB through `examples/provider-rust`,
//! linked in and loaded as a library, and how the two compare.
//!
//! `cargo bench -p wpk-tests --bench border`. The rounds alternate, so that a
//! machine that gets slower slows both down; the best round of each counts.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::json;
use sha1::{Digest, Sha1};
use wpk_api::{Factory, PackageType, Platform, Target, Wanted, WantedRelease, WpkProvider};
use wpk_loader::{LoadOptions, load};
use wpk_testkit::Home;
use wpk_testkit::library::Library;
use wpk_testkit::repository::sha1_hex;

const WPK_BYTES: usize = 64 << 20;
const ROUNDS: usize = 15;
const QUESTIONS: u32 = 2_000;

fn main() {
    let library = Library::of_package("provider-rust").unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(library.path()));
}

async fn run(library: &Path) {
    let home = Home::new().unwrap();
    let folder = home.path("mirror");
    let wpk = vec![0x5a; WPK_BYTES];
    let name = "wazuh_agent_v4.14.9_linux_amd64.deb.wpk";
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join(name), &wpk).unwrap();
    std::fs::write(
        folder.join("SHA1SUMS"),
        format!("{}  {name}\n", sha1_hex(&wpk)),
    )
    .unwrap();
    drop(wpk);

    let plugin = load(library, &LoadOptions::default()).unwrap();
    let factory = plugin.providers().pop().unwrap();
    let settings = json!({"folder": folder});
    let loaded = factory.build(&settings, &home.context()).unwrap();
    let linked: Arc<dyn WpkProvider> = Arc::new(provider_rust::Mirror::new(folder, 1 << 20));

    for (name, checked) in [
        ("64 MiB of WPK, ms", false),
        ("the same with SHA-1, ms", true),
    ] {
        let mut best = [Duration::MAX; 2];
        for _ in 0..ROUNDS {
            for (best, provider) in best.iter_mut().zip([&linked, &loaded]) {
                *best = stream(&**provider, checked).await.min(*best);
            }
        }
        compare(name, best.map(|took| took.as_secs_f64() * 1e3));
    }
    let mut each = [0.0; 2];
    for (each, provider) in each.iter_mut().zip([&linked, &loaded]) {
        let began = Instant::now();
        for _ in 0..QUESTIONS {
            provider.resolve(&wanted()).await.unwrap();
        }
        *each = began.elapsed().as_secs_f64() * 1e6 / f64::from(QUESTIONS);
    }
    compare("a wish resolved, µs", each);
}

fn compare(name: &str, [linked, loaded]: [f64; 2]) {
    let ratio = loaded / linked;
    println!("{name:25} linked in {linked:10.1}   loaded {loaded:10.1}   ratio {ratio:5.2}");
}

/// How long all of the file takes, from the wish to its last byte; `checked` as
/// the daemon does it, which computes the digest of everything it downloads.
async fn stream(provider: &dyn WpkProvider, checked: bool) -> Duration {
    let began = Instant::now();
    let offer = provider.resolve(&wanted()).await.unwrap();
    let mut stream = provider.fetch(&offer).await.unwrap();
    let (mut length, mut digest) = (0, Sha1::new());
    while let Some(piece) = stream.next().await {
        let piece = piece.unwrap();
        length += piece.len();
        if checked {
            digest.update(&piece);
        }
    }
    assert_eq!(length, WPK_BYTES);
    let digest: [u8; 20] = digest.finalize().into();
    assert!(!checked || offer.sha1 == Some(wpk_api::Sha1(digest)));
    began.elapsed()
}

fn wanted() -> Wanted {
    Wanted::Release(WantedRelease {
        platform: Platform {
            name: Some("ubuntu".to_owned()),
            arch: Some("x86_64".to_owned()),
            ..Platform::default()
        },
        target: Target::Latest,
        repository: None,
        use_http: false,
        package_type: Some(PackageType::Deb),
    })
}
