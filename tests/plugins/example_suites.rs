//! The conformance suites, on the examples behind the border: nothing that
//! crosses it may be lost. Linked in they are run by the examples themselves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use serde_json::{Value, json};
use wpk_api::{Factory, Status, Target, TaskId, TaskObserver, Version, Wanted, WantedFile};
use wpk_loader::{LoadOptions, LoadedPlugin, load};
use wpk_testkit::provider_suite::{self, Published};
use wpk_testkit::suite::{Options, now};
use wpk_testkit::{Home, observer_suite, settings_suite, store_suite};

use crate::examples::{self, file_name, publish, release};

fn loaded(library: &Path) -> (LoadedPlugin, Options) {
    let plugin = load(library, &LoadOptions::default()).unwrap();
    let counted = plugin.clone();
    // Several tests share this process, so its memory tells nothing of one.
    let options = Options::counting(move || counted.outstanding()).huge(24 << 20);
    (plugin, options)
}

async fn is_a_provider(library: &Path) {
    let (plugin, options) = loaded(library);
    let exactly = |patch| release(Target::Exactly(Version::new(4, 14, patch)), "x86_64");
    let suite = provider_suite::run_with(
        async |file: Bytes| {
            let home = Home::new().unwrap();
            let folder = home.path("mirror");
            publish(&folder, "v4.14.9", &file);
            let wpk: PathBuf = folder.join(file_name("v4.14.9"));
            let (plugin, context) = (plugin.clone(), home.context());
            Published::new(exactly(9), move || {
                let factory = plugin.providers().pop().unwrap();
                now(factory
                    .build(&json!({"folder": "mirror"}), &context)
                    .unwrap())
            })
            .missing(exactly(8))
            .missing(release(Target::Latest, "../x86_64"))
            .foreign(Wanted::File(WantedFile {
                path: Some("/etc/hostname".into()),
            }))
            .take_away(move || std::fs::remove_file(&wpk).unwrap())
            .keep(home)
        },
        &options,
    );
    suite.await;
    assert_eq!(plugin.quarantined(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_in_rust_does_what_every_provider_must() {
    is_a_provider(examples::provider_rust()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_in_c_does_what_every_provider_must() {
    is_a_provider(examples::provider_c()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_in_rust_does_what_every_store_must() {
    let (plugin, options) = loaded(examples::store_rust());
    let home = Home::new().unwrap();
    let next = AtomicU32::new(0);
    let make = async || {
        let path = format!("tmp/{}.journal", next.fetch_add(1, Ordering::Relaxed));
        let factory = plugin.stores().pop().unwrap();
        factory
            .build(&json!({"path": path}), &home.context())
            .unwrap()
    };
    store_suite::run_with(make, &options).await;
    assert_eq!(plugin.quarantined(), None);
}

/// How tasks stand in an audit trail, by the last line of each.
fn audited(trail: &Path) -> BTreeMap<TaskId, Status> {
    let mut tasks = BTreeMap::new();
    for line in std::fs::read_to_string(trail).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let task = TaskId(line["task"].as_i64().unwrap());
        match line["what"].as_str().unwrap() {
            "deleted" => drop(tasks.remove(&task)),
            _ => {
                let status = line["status"].as_str().unwrap();
                tasks.insert(task, Status::from_word(status));
            }
        }
    }
    tasks
}

#[tokio::test(flavor = "multi_thread")]
async fn the_observer_in_rust_does_what_every_observer_must() {
    let (plugin, options) = loaded(examples::observer_rust());
    let stand = async || {
        let home = Home::new().unwrap();
        let (plugin, context) = (plugin.clone(), home.context());
        let trail = home.path("tmp/audit.jsonl");
        let (aside, broken) = (home.path("tmp/aside"), trail.clone());
        let open = move || -> Arc<dyn TaskObserver> {
            let factory = plugin.observers().pop().unwrap();
            let settings = json!({"path": "tmp/audit.jsonl"});
            factory.build(&settings, &context).unwrap()
        };
        observer_suite::Stand::new(move || now(open()))
            .look(move || audited(&trail))
            .break_it(move |breaks| match breaks {
                true => {
                    std::fs::rename(&broken, &aside).unwrap();
                    std::fs::create_dir(&broken).unwrap();
                }
                false => {
                    std::fs::remove_dir(&broken).unwrap();
                    std::fs::rename(&aside, &broken).unwrap();
                }
            })
            .keep(home)
    };
    observer_suite::run_with(stand, &options).await;
    assert_eq!(plugin.quarantined(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_release_is_found_by_both_providers() {
    for library in [examples::provider_rust(), examples::provider_c()] {
        let (plugin, _) = loaded(library);
        let home = Home::new().unwrap();
        let folder = home.path("mirror");
        for version in ["v4.9.9", "v4.14.1"] {
            publish(&folder, version, version.as_bytes());
        }
        let settings = json!({"folder": folder});
        let factory = plugin.providers().pop().unwrap();
        let provider = factory.build(&settings, &home.context()).unwrap();
        let offer = provider
            .resolve(&release(Target::Latest, "x86_64"))
            .await
            .unwrap();
        assert_eq!(
            offer.version,
            Some(Version::new(4, 14, 1)),
            "{}",
            plugin.name()
        );
        assert_eq!(offer.file_name, file_name("v4.14.1"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_of_the_examples_in_rust_are_found() {
    let (provider, _) = loaded(examples::provider_rust());
    let factory = provider.providers().pop().unwrap();
    tokio::task::block_in_place(|| settings_suite::run(&factory, &json!({"folder": "mirror"})));
    let (store, _) = loaded(examples::store_rust());
    let factory = store.stores().pop().unwrap();
    let good = json!({"path": "tmp/journal"});
    tokio::task::block_in_place(|| settings_suite::run(&factory, &good));
    let (observer, _) = loaded(examples::observer_rust());
    let factory = observer.observers().pop().unwrap();
    let good = json!({"path": "tmp/audit.jsonl", "longest_text": "2KiB"});
    tokio::task::block_in_place(|| settings_suite::run(&factory, &good));
    let keys_of = |problems: Vec<wpk_api::settings::Problem>| -> Vec<String> {
        problems.into_iter().map(|problem| problem.key).collect()
    };
    let factory = provider.providers().pop().unwrap();
    let wrong = json!({"folder": "", "piece": "1B"});
    assert_eq!(keys_of(factory.check(&wrong)), ["folder", "piece"]);
    let factory = observer.observers().pop().unwrap();
    let wrong = json!({"path": "", "longest_text": "1B"});
    assert_eq!(keys_of(factory.check(&wrong)), ["path", "longest_text"]);
    let (c, _) = loaded(examples::provider_c());
    let factory = c.providers().pop().unwrap();
    let wrong = json!({"folder": "", "colour": 5});
    let mut keys = keys_of(factory.check(&wrong));
    keys.sort();
    assert_eq!(keys, ["colour", "folder"]);
    assert_eq!(keys_of(factory.check(&json!({}))), ["folder"]);
}
