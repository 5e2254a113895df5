//! Libraries that break the rules of the plugin interface, loaded as the daemon
//! loads them. Each is one C file compiled here.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::json;
use wpk_api::examine::{Check, Examine, Level};
use wpk_api::settings::Problem;
use wpk_api::{
    BuildError, Demands, Factory, Listed, Offer, Platform, ProviderError, Resource, Target,
    Version, Wanted, WantedRelease, WpkProvider,
};
use wpk_loader::{LoadError, LoadOptions, LoadedPlugin, load};
use wpk_testkit::library::Library;
use wpk_testkit::{Home, wait_until};

const SOURCE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../sdk/testkit/hostile/hostile.c"
);
const DEADLINE: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);

fn library(mode: &str, more: &[&str]) -> Library {
    let mode = format!("MODE=\"{mode}\"");
    let defines: Vec<&str> = [mode.as_str()]
        .into_iter()
        .chain(more.iter().copied())
        .collect();
    Library::of_c(Path::new(SOURCE), &defines).unwrap()
}

fn options() -> LoadOptions {
    LoadOptions {
        deadline: Some(DEADLINE),
        grace: GRACE,
        ..LoadOptions::default()
    }
}

fn loaded(mode: &str, more: &[&str]) -> (LoadedPlugin, Arc<dyn WpkProvider>) {
    let library = library(mode, more);
    let plugin = load(library.path(), &options()).unwrap();
    let factory = plugin.providers().pop().unwrap();
    let home = Home::new().unwrap();
    let provider = factory.build(&json!({}), &home.context()).unwrap();
    (plugin, provider)
}

fn wanted() -> Wanted {
    Wanted::Release(WantedRelease {
        platform: Platform::default(),
        target: Target::Latest,
        repository: None,
        use_http: false,
        package_type: None,
    })
}

async fn fetch(provider: &dyn WpkProvider, offer: &Offer) -> Result<Vec<u8>, ProviderError> {
    let mut stream = provider.fetch(offer).await?;
    let mut all = Vec::new();
    while let Some(piece) = stream.next().await {
        all.extend_from_slice(&piece?);
    }
    Ok(all)
}

async fn nothing_is_left(plugin: &LoadedPlugin) {
    let empty = wait_until(PATIENCE, async || (plugin.outstanding() == 0).then_some(())).await;
    assert!(empty.is_some(), "{} things are left", plugin.outstanding());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_plugin_in_c_serves_its_file_and_leaves_nothing_behind() {
    let (plugin, provider) = loaded("good", &["SIZE=2500000"]);
    assert_eq!((plugin.name(), plugin.version()), ("hostile", "1"));
    assert!(provider.serves(&wanted()));
    assert!(provider.would_serve(&wanted()).await);
    let file = Wanted::File(wpk_api::WantedFile { path: None });
    assert!(!provider.would_serve(&file).await);
    assert!(!provider.serves(&file));
    let offer = provider.resolve(&wanted()).await.unwrap();
    assert_eq!(offer.file_name, "hostile.wpk");
    let file = fetch(&*provider, &offer).await.unwrap();
    assert!(file.len() == 2_500_000 && file.iter().all(|byte| *byte == 5));
    let (received, released) = plugin.buffers();
    assert!(
        received >= 3 && received == released,
        "{received} {released}"
    );
    // A stream that is dropped in the middle is closed too.
    let mut stream = provider.fetch(&offer).await.unwrap();
    let piece: Bytes = stream.next().await.unwrap().unwrap();
    assert!(!piece.is_empty());
    drop((stream, provider));
    nothing_is_left(&plugin).await;
    assert_eq!(plugin.quarantined(), None);
}

#[test]
fn settings_are_checked_against_the_schema() {
    let plugin = load(library("good", &[]).path(), &options()).unwrap();
    let factory = plugin.providers().pop().unwrap();
    assert_eq!(factory.kind(), "hostile");
    assert_eq!(factory.check(&json!({"colour": "red"})), []);
    let problems = factory.check(&json!({"color": "red", "colour": 5}));
    let keys: Vec<&str> = problems.iter().map(|p| p.key.as_str()).collect();
    assert_eq!(keys, ["color", "colour"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_section_demands_and_finds_is_asked_of_the_library() {
    let plugin = load(library("asked", &[]).path(), &options()).unwrap();
    let factory = plugin.providers().pop().unwrap();
    let (home, settings, asked) = (Home::new().unwrap(), json!({}), Examine::default());
    assert_eq!(
        factory.demands(&settings, &home.context()),
        Demands::default().occupying("colour", Resource::Path("/red".into()))
    );
    let checks = factory.examine(&settings, &home.context(), &asked).await;
    assert_eq!(checks, [Check::warning("paint", "it is wet", "")]);
}

/// Which was built before there were such questions.
#[tokio::test(flavor = "multi_thread")]
async fn a_library_of_the_first_minor_version_is_not_asked_what_it_cannot_know() {
    let plugin = load(library("asked", &["MINOR=0"]).path(), &options()).unwrap();
    let factory = plugin.providers().pop().unwrap();
    let (home, settings, asked) = (Home::new().unwrap(), json!({}), Examine::default());
    let demands = factory.demands(&settings, &home.context());
    assert_eq!(demands, Demands::default());
    let checks = factory.examine(&settings, &home.context(), &asked).await;
    assert_eq!(checks, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_asked_which_versions_it_has_if_it_can_know_the_question() {
    let Wanted::Release(wish) = wanted() else {
        panic!("a release is wanted")
    };
    let (_plugin, provider) = loaded("asked", &[]);
    let listed = provider.versions(std::slice::from_ref(&wish)).await;
    let both = vec![Version::new(4, 9, 0), Version::new(4, 14, 1)];
    assert_eq!(listed, Ok(Some(both.into())));
    let (_plugin, provider) = loaded("asked", &["PARTLY"]);
    let listed = provider.versions(std::slice::from_ref(&wish)).await;
    let partly = Listed {
        versions: vec![Version::new(4, 9, 0)],
        incomplete: vec!["it is wet".to_owned()],
    };
    assert_eq!(listed, Ok(Some(partly)));
    // Built before there was such a question, and built since without an answer to it.
    for (mode, more) in [("asked", &["MINOR=5"][..]), ("good", &[])] {
        let (plugin, provider) = loaded(mode, more);
        let listed = provider.versions(std::slice::from_ref(&wish)).await;
        assert_eq!(listed, Ok(None), "{mode}");
        assert_eq!(plugin.quarantined(), None);
    }
    let (_plugin, provider) = loaded("garbage", &[]);
    let listed = provider.versions(std::slice::from_ref(&wish)).await;
    assert!(
        matches!(&listed, Err(ProviderError::NotReachable(why)) if why.contains("versions")),
        "{listed:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_that_has_nothing_to_say_of_a_section_is_well() {
    let plugin = load(library("good", &[]).path(), &options()).unwrap();
    let factory = plugin.providers().pop().unwrap();
    let (home, settings, asked) = (Home::new().unwrap(), json!({}), Examine::default());
    // Oftener than rules may be broken.
    for _ in 0..101 {
        let demands = factory.demands(&settings, &home.context());
        assert_eq!(demands, Demands::default());
        let checks = factory.examine(&settings, &home.context(), &asked).await;
        assert_eq!(checks, []);
    }
    assert_eq!(plugin.quarantined(), None);
    // Nonsense is no silence.
    let plugin = load(library("garbage", &[]).path(), &options()).unwrap();
    let factory = plugin.providers().pop().unwrap();
    let checks = factory.examine(&settings, &home.context(), &asked).await;
    let levels: Vec<_> = checks
        .iter()
        .map(|check| (&*check.name, check.level))
        .collect();
    assert_eq!(levels, [("plugin hostile", Level::Failure)]);
}

#[test]
fn a_store_for_another_contract_is_refused_and_its_neighbours_are_not() {
    let plugin = load(library("old_store", &[]).path(), &options()).unwrap();
    let (home, settings) = (Home::new().unwrap(), json!({}));
    let store = plugin.stores().pop().unwrap();
    let problems = store.check(&settings);
    assert_eq!(
        problems,
        [Problem::new(
            "type",
            "plugin hostile was built for store contract 1; rebuild it with this SDK"
        )]
    );
    let refused = store.build(&settings, &home.context()).err().unwrap();
    assert_eq!(refused, BuildError::Settings(problems));
    let provider = plugin.providers().pop().unwrap();
    assert_eq!(provider.check(&settings), []);
    let provider = provider.build(&settings, &home.context()).unwrap();
    assert!(provider.serves(&wanted()));
}

#[test]
fn what_is_no_plugin_is_refused_with_a_reason() {
    let cases = [
        ("declines", "returned nothing"),
        ("wrong_major", "speaks version 2"),
        ("tiny", "size of 8 bytes"),
        ("vast", "size of 4294967295 bytes"),
        ("needs_more", "needs features"),
        ("no_call", "`call` is missing"),
        ("no_streams", "`next`"),
        ("bad_description", "description is wrong"),
    ];
    for (mode, reason) in cases {
        let library = library(mode, &[]);
        let error = load(library.path(), &options()).err().unwrap().to_string();
        assert!(error.contains(reason), "{mode}: {error}");
        assert!(error.contains("plugin.so"), "{mode}: {error}");
    }
    let other = library("good", &["ENTRY=wpk_plugin_entry_v2"]);
    let error = load(other.path(), &options()).err().unwrap();
    assert!(matches!(error, LoadError::NoEntry(_)), "{error}");
    let text = library("good", &[]);
    std::fs::write(text.path(), "no library").unwrap();
    let error = load(text.path(), &options()).err().unwrap();
    assert!(matches!(error, LoadError::Linker { .. }), "{error}");
}

#[test]
fn a_library_others_may_write_or_with_other_bytes_is_refused() {
    let good = library("good", &[]);
    let wrong = LoadOptions {
        sha256: Some([7; 32]),
        ..options()
    };
    let error = load(good.path(), &wrong).err().unwrap();
    assert!(matches!(error, LoadError::Digest { .. }), "{error}");
    std::fs::set_permissions(good.path(), std::fs::Permissions::from_mode(0o666)).unwrap();
    let error = load(good.path(), &options()).err().unwrap();
    assert!(matches!(error, LoadError::Writable { .. }), "{error}");
}

#[test]
fn two_libraries_are_two_even_if_they_are_the_same() {
    let library = library("good", &[]);
    let first = load(library.path(), &options()).unwrap();
    let second = load(library.path(), &options()).unwrap();
    let home = Home::new().unwrap();
    for plugin in [&first, &second] {
        let factory = plugin.providers().pop().unwrap();
        factory.build(&json!({}), &home.context()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_an_error_and_the_plugin_may_try_again() {
    for mode in ["garbage", "wrong_type", "binary", "odd_status"] {
        let (plugin, provider) = loaded(mode, &[]);
        for _ in 0..2 {
            let error = provider.resolve(&wanted()).await.unwrap_err();
            assert!(
                matches!(error, ProviderError::NotReachable(_)),
                "{mode}: {error}"
            );
        }
        assert_eq!(plugin.quarantined(), None, "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_without_end_is_not_borne() {
    let (plugin, provider) = loaded("garbage", &[]);
    for _ in 0..100 {
        provider.resolve(&wanted()).await.unwrap_err();
    }
    assert!(plugin.quarantined().unwrap().contains("100 rules"));
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_that_nobody_waits_for_are_ignored() {
    for mode in ["twice", "unknown_token"] {
        let (plugin, provider) = loaded(mode, &[]);
        for _ in 0..2 {
            assert!(provider.resolve(&wanted()).await.is_ok(), "{mode}");
        }
        assert_eq!(plugin.quarantined(), None, "{mode}");
        drop(provider);
        nothing_is_left(&plugin).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_within_the_grace_counts() {
    let (plugin, provider) = loaded("after_cancel", &[]);
    let began = Instant::now();
    assert!(provider.resolve(&wanted()).await.is_ok());
    assert!(began.elapsed() >= DEADLINE);
    assert_eq!(plugin.quarantined(), None);
    // The same, but nobody waits for it any more.
    let wanted = wanted();
    let dropped = tokio::time::timeout(Duration::from_millis(20), provider.resolve(&wanted));
    assert!(dropped.await.is_err());
    drop(provider);
    nothing_is_left(&plugin).await;
    assert_eq!(plugin.quarantined(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_never_completed_ends_in_quarantine() {
    for mode in ["never", "block", "late"] {
        let (plugin, provider) = loaded(mode, &[]);
        let began = Instant::now();
        // Other operations of the same plugin end with it.
        let wanted = wanted();
        let both = tokio::join!(provider.resolve(&wanted), provider.resolve(&wanted));
        for answer in [both.0, both.1] {
            let error = answer.unwrap_err().to_string();
            assert!(error.contains("quarantined"), "{mode}: {error}");
        }
        assert!(began.elapsed() >= DEADLINE + GRACE && began.elapsed() < PATIENCE);
        assert!(
            plugin.quarantined().unwrap().contains("`resolve`"),
            "{mode}"
        );
        assert!(provider.out_of_service().is_some());
        // From now on it is not asked at all.
        let began = Instant::now();
        provider.resolve(&wanted).await.unwrap_err();
        assert!(began.elapsed() < DEADLINE, "{mode}");
        if mode == "late" {
            // Its two completions come with two buffers each, which come back.
            let back = wait_until(PATIENCE, async || {
                (plugin.buffers() == (4, 4)).then_some(())
            });
            assert!(back.await.is_some(), "{:?}", plugin.buffers());
        }
        drop(provider);
        // A thread that is blocked inside keeps the instance it works for.
        if mode != "block" {
            nothing_is_left(&plugin).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waiting_is_no_excuse() {
    let (plugin, provider) = loaded("never", &[]);
    let wanted = wanted();
    let dropped = tokio::time::timeout(Duration::from_millis(20), provider.resolve(&wanted));
    assert!(dropped.await.is_err());
    let quarantined = wait_until(PATIENCE, async || plugin.quarantined().map(str::to_owned));
    assert!(quarantined.await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_without_async_is_not_waited_for_long() {
    let (plugin, provider) = loaded("block_in_serves", &[]);
    assert!(
        provider.serves(&wanted()),
        "it may be the one: whoever asks hears why not"
    );
    assert!(plugin.quarantined().unwrap().contains("`serves`"));
}

/// A request asks it for every wish, on a thread that serves other requests too.
#[tokio::test]
async fn a_provider_that_is_slow_to_say_what_it_serves_keeps_nobody_else() {
    let (plugin, provider) = loaded("block_in_serves", &[]);
    let (began, patience) = (Instant::now(), Duration::from_millis(50));
    for _ in 0..3 {
        let wanted = wanted();
        let asked = tokio::time::timeout(patience, provider.would_serve(&wanted));
        assert!(asked.await.is_err(), "it cannot have answered");
    }
    let took = began.elapsed();
    assert!(
        took < Duration::from_secs(4),
        "the thread was kept {took:?}"
    );
    let quarantined = wait_until(PATIENCE, async || plugin.quarantined().map(str::to_owned));
    assert!(quarantined.await.unwrap().contains("`serves`"));
    assert!(
        provider.would_serve(&wanted()).await,
        "it may be the one: whoever asks hears why not"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_cannot_be_are_not_touched() {
    for mode in ["null_with_length", "huge_length"] {
        let (plugin, provider) = loaded(mode, &[]);
        let error = provider.resolve(&wanted()).await.unwrap_err().to_string();
        assert!(error.contains("bytes"), "{mode}: {error}");
        assert!(plugin.quarantined().is_some(), "{mode}");
    }
    let (plugin, provider) = loaded("too_much", &[]);
    let offer = provider.resolve(&wanted()).await.unwrap();
    let error = fetch(&*provider, &offer).await.unwrap_err().to_string();
    assert!(error.contains("at most 1048576"), "{error}");
    assert_eq!(
        plugin.buffers(),
        (1, 1),
        "what is too large is given back unread"
    );
    let (plugin, provider) = loaded("nothing_but_more", &[]);
    let offer = provider.resolve(&wanted()).await.unwrap();
    let error = fetch(&*provider, &offer).await.unwrap_err().to_string();
    assert!(error.contains("not the end"), "{error}");
    assert_eq!(plugin.quarantined(), None);
}
