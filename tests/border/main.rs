//! Every built-in plugin passes its suite a second time: through the border, as
//! a dynamic library, with everything that crosses it counted.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;
use wpk_api::examine::{Check, Examine, Level};
use wpk_api::{
    Demands, Factory, PluginKind, Resource, Status, Task, TaskId, TaskObserver, TaskStore,
};
use wpk_loader::{LoadOptions, LoadedFactory, LoadedPlugin, load};
use wpk_testkit::library::Library;
use wpk_testkit::stands::{self, ChannelFactories};
use wpk_testkit::store_suite::Stand;
use wpk_testkit::suite::{Options, now};
use wpk_testkit::{
    Home, cluster_suite, directory_suite, observer_suite, provider_suite, settings_suite,
    source_suite, store_suite, transport_suite,
};

/// Loads the library anew, so that each suite counts what is its own.
fn builtins() -> (LoadedPlugin, Options) {
    let library = Library::builtins().unwrap();
    let plugin = load(library.path(), &LoadOptions::default()).unwrap();
    let counted = plugin.clone();
    // Several tests share this process, so its memory tells nothing of one.
    let options = Options::counting(move || counted.outstanding()).huge(24 << 20);
    (plugin, options)
}

/// The factory of the built-in plugin `kind`.
fn named<T: ?Sized>(factories: Vec<LoadedFactory<T>>, kind: &str) -> Arc<LoadedFactory<T>>
where
    LoadedFactory<T>: Factory<T>,
{
    let kind = format!("border-{kind}");
    let found = factories.into_iter().find(|one| one.kind() == kind);
    Arc::new(found.unwrap_or_else(|| panic!("{kind} is not in the library")))
}

/// There is one channel per daemon, so each stand gets a library of its own.
#[derive(Clone, Default)]
struct Channels(Arc<Mutex<Vec<LoadedPlugin>>>);

impl Channels {
    fn next(&self) -> ChannelFactories {
        let (plugin, _) = builtins();
        let factories = ChannelFactories {
            transport: named(plugin.transports(), "channel"),
            directory: named(plugin.directories(), "channel"),
            source: named(plugin.sources(), "channel"),
        };
        self.0.lock().unwrap().push(plugin);
        factories
    }

    fn options(&self) -> Options {
        let all = self.clone();
        Options::counting(move || {
            let all = all.0.lock().unwrap();
            all.iter().map(LoadedPlugin::outstanding).sum()
        })
    }

    fn are_well(&self) {
        for plugin in self.0.lock().unwrap().iter() {
            assert_eq!(plugin.quarantined(), None);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn local_file() {
    let (plugin, options) = builtins();
    let factory = named(plugin.providers(), "local-file");
    assert!(factory.reloadable(), "as the built-in says");
    let stand = async |file| stands::local_file(factory.clone(), file).await;
    provider_suite::run_with(stand, &options).await;
    assert_eq!(plugin.quarantined(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn repository() {
    let (plugin, options) = builtins();
    let factory = named(plugin.providers(), "repository");
    let stand = async |file| stands::repository(factory.clone(), file).await;
    provider_suite::run_with(stand, &options).await;
    assert_eq!(plugin.quarantined(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn unix_socket() {
    let (plugin, options) = builtins();
    let factory = named(plugin.sources(), "unix-socket");
    let stand = async || stands::unix_socket(factory.clone()).await;
    source_suite::run_with(stand, &options).await;
    assert_eq!(plugin.quarantined(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn remoted() {
    let (plugin, options) = builtins();
    let factory = named(plugin.transports(), "remoted");
    let stand = async |agents| stands::remoted(factory.clone(), agents).await;
    transport_suite::run_with(stand, &options).await;
    assert_eq!(plugin.quarantined(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn wazuh_db() {
    let (plugin, options) = builtins();
    let factory = named(plugin.directories(), "wazuh-db");
    let stand = async |count| stands::wazuh_db(factory.clone(), count).await;
    directory_suite::run_with(stand, &options).await;
    assert_eq!(plugin.quarantined(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn channel_transport() {
    let channels = Channels::default();
    let stand = async |agents| stands::channel_transport(channels.next(), agents).await;
    transport_suite::run_with(stand, &channels.options()).await;
    channels.are_well();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn channel_directory() {
    let channels = Channels::default();
    let stand = async |count| stands::channel_directory(channels.next(), count).await;
    directory_suite::run_with(stand, &channels.options()).await;
    channels.are_well();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite() {
    let (plugin, options) = builtins();
    let factory = named(plugin.stores(), "sqlite");
    let home = Home::new().unwrap();
    let next = AtomicU32::new(0);
    let make = async || -> Arc<dyn TaskStore> {
        let path = format!("{}.db", next.fetch_add(1, Ordering::Relaxed));
        let settings = json!({"path": path});
        factory.build(&settings, &home.context()).unwrap()
    };
    store_suite::run_with(&make, &options).await;
    store_suite::documents::run(&make).await;
    let again = AtomicU32::new(0);
    let home = Arc::new(home);
    store_suite::restarts::run(async || {
        let path = format!("again-{}.db", again.fetch_add(1, Ordering::Relaxed));
        let (factory, home) = (Arc::clone(&factory), Arc::clone(&home));
        Stand::new(move || {
            now(factory
                .build(&json!({"path": path}), &home.context())
                .unwrap())
        })
    })
    .await;
    assert_eq!(plugin.quarantined(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cluster() {
    let (plugin, options) = builtins();
    cluster_suite::run_with(named(plugin.stores(), "cluster"), &options).await;
    assert_eq!(plugin.quarantined(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn wazuh_tasks() {
    let (plugin, options) = builtins();
    let factory = named(plugin.observers(), "wazuh-tasks");
    let stand = async || stands::wazuh_tasks(factory.clone()).await;
    observer_suite::run_with(stand, &options).await;
    assert_eq!(plugin.quarantined(), None);
}

/// How tasks stand in the file of the observer in memory.
fn observed(file: &Path) -> BTreeMap<TaskId, Status> {
    let Ok(bytes) = std::fs::read(file) else {
        return BTreeMap::new();
    };
    let tasks: BTreeMap<i64, Task> = serde_json::from_slice(&bytes).unwrap();
    let tasks = tasks.into_values();
    tasks.map(|task| (task.id, task.status)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_observer() {
    let (plugin, options) = builtins();
    let factory = named(plugin.observers(), "memory");
    let stand = async || {
        let home = Home::new().unwrap();
        let (factory, context) = (factory.clone(), home.context());
        let (file, broken) = (
            home.root().join("observed.json"),
            home.root().join("broken"),
        );
        let open =
            move || -> Arc<dyn TaskObserver> { factory.build(&json!({}), &context).unwrap() };
        observer_suite::Stand::new(move || now(open()))
            .look(move || observed(&file))
            .break_it(move |breaks| match breaks {
                true => std::fs::write(&broken, "").unwrap(),
                false => std::fs::remove_file(&broken).unwrap(),
            })
            .keep(home)
    };
    observer_suite::run_with(stand, &options).await;
    assert_eq!(plugin.quarantined(), None);
}

#[test]
fn settings() {
    let (plugin, _) = builtins();
    let nothing = json!({});
    settings_suite::run(&*named(plugin.providers(), "local-file"), &nothing);
    settings_suite::run(&*named(plugin.providers(), "repository"), &nothing);
    settings_suite::run(&*named(plugin.sources(), "unix-socket"), &nothing);
    settings_suite::run(&*named(plugin.transports(), "remoted"), &nothing);
    settings_suite::run(&*named(plugin.directories(), "wazuh-db"), &nothing);
    settings_suite::run(&*named(plugin.stores(), "sqlite"), &nothing);
    settings_suite::run(&*named(plugin.stores(), "cluster"), &nothing);
    settings_suite::run(&*named(plugin.transports(), "channel"), &nothing);
    settings_suite::run(&*named(plugin.directories(), "channel"), &nothing);
    settings_suite::run(&*named(plugin.sources(), "channel"), &nothing);
    settings_suite::run(&*named(plugin.observers(), "memory"), &nothing);
    settings_suite::run(&*named(plugin.observers(), "wazuh-tasks"), &nothing);
}

#[test]
fn what_sections_demand_of_each_other_is_known_across_the_border() {
    let (plugin, _) = builtins();
    let home = Home::new().unwrap();
    let (context, nothing) = (home.context(), json!({}));
    let path = |path: &str| Resource::Path(home.root().join(path));

    let sockets = named(plugin.sources(), "unix-socket");
    let settings = json!({"upgrade": "a/up", "task": ""});
    assert_eq!(
        sockets.demands(&settings, &context),
        Demands::default().occupying("upgrade", path("a/up"))
    );
    assert_eq!(
        sockets.demands(&json!({"upgrade": 5}), &context),
        Demands::default(),
        "settings with mistakes demand nothing"
    );
    assert_eq!(
        named(plugin.directories(), "channel").demands(&nothing, &context),
        Demands::default().needing(PluginKind::Transport, "channel")
    );
    let listen = json!({"listen": "127.0.0.1:7", "database": "a.db"});
    assert_eq!(
        named(plugin.transports(), "channel").demands(&listen, &context),
        Demands::default()
            .occupying("database", path("a.db"))
            .occupying("listen", Resource::Tcp("127.0.0.1:7".parse().unwrap()))
    );
    let store = named(plugin.stores(), "sqlite");
    assert_eq!(
        store.demands(&nothing, &context),
        Demands::default().occupying("path", Resource::Path(home.tasks_db()))
    );
    let files = named(plugin.providers(), "local-file");
    assert_eq!(files.demands(&nothing, &context), Demands::default());
    assert_eq!(plugin.quarantined(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_doctor_is_told_crosses_as_it_is() {
    let (plugin, _) = builtins();
    let home = Home::new().unwrap();
    let (context, asked) = (home.context(), Examine::default());
    let store = named(plugin.stores(), "sqlite");
    let settings = json!({"path": "elsewhere.db"});
    let file = home.root().join("elsewhere.db");
    let checks = store.examine(&settings, &context, &asked).await;
    let missing = format!("{} is not there yet", file.display());
    assert_eq!(
        checks,
        [Check::warning(
            "task database",
            missing,
            "wpkd makes it when it first starts"
        )]
    );
    assert!(!file.exists(), "it was looked at, not made");

    let remoted = named(plugin.transports(), "remoted");
    let checks = remoted.examine(&json!({}), &context, &asked).await;
    let levels: Vec<_> = checks
        .iter()
        .map(|check| (&*check.name, check.level))
        .collect();
    assert_eq!(levels, [("remote daemon", Level::Failure)]);
    let wrong = json!({"socket": 5});
    assert_eq!(remoted.examine(&wrong, &context, &asked).await, []);
    let files = named(plugin.providers(), "local-file");
    assert_eq!(files.examine(&json!({}), &context, &asked).await, []);
    assert_eq!(plugin.quarantined(), None);
}
