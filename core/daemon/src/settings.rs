//! From the command line to checked settings. `run`, `check` and `examine` read
//! them in this one way, so that none of them can call good what another refuses.

use wpk_config::{
    self as config, Finding, Findings, Fragments, Reading, Settings, Sources, Written,
};

use crate::cli::Where;
use crate::registry::Registry;
use crate::telemetry;

/// Reads the settings, loads the libraries they name into `registry`, and checks
/// everything. Also gives what is written.
///
/// # Errors
/// Every mistake.
pub(crate) fn read(
    place: &Where,
    registry: &mut Registry,
) -> Result<(Settings, Written), Findings> {
    let mut fragments = collect(place)?;
    registry.load_libraries(&mut fragments);
    check(fragments, registry)
}

/// As [`read`], for those who look further although something is wrong.
pub(crate) fn read_on(place: &Where, registry: &mut Registry) -> Result<Reading, Findings> {
    let mut fragments = collect(place)?;
    registry.load_libraries(&mut fragments);
    Ok(reading(fragments, registry))
}

/// Loads the libraries that the settings name into `registry`, and looks at nothing else.
///
/// # Errors
/// Every file that cannot be read, and every library that cannot be loaded.
pub(crate) fn libraries(place: &Where, registry: &mut Registry) -> Result<(), Findings> {
    let mut fragments = collect(place)?;
    registry.load_libraries(&mut fragments);
    fragments.unread()
}

/// What is accepted in a manager's `ossec.conf` and would better be otherwise.
pub(crate) fn warnings(settings: &Settings) -> &[Finding] {
    (settings.ossec.as_ref()).map_or(&[], |conf| &conf.warnings)
}

/// As [`read`], beside a daemon that runs: no library is loaded.
///
/// # Errors
/// Every mistake.
pub(crate) fn read_again(
    place: &Where,
    registry: &Registry,
) -> Result<(Settings, Written), Findings> {
    check(collect(place)?, registry)
}

fn check(fragments: Fragments, registry: &Registry) -> Result<(Settings, Written), Findings> {
    let written = fragments.written();
    Ok((reading(fragments, registry).end()?, written))
}

fn reading(fragments: Fragments, registry: &Registry) -> Reading {
    let written = fragments.written();
    let mut reading = fragments.read(Some(registry));
    let filter = written.get("log.filter").and_then(|filter| filter.as_str());
    if let Some(Err(wrong)) = filter.map(telemetry::check) {
        reading.found("log.filter", wrong);
    }
    reading
}

fn collect(place: &Where) -> Result<Fragments, Findings> {
    let home = place.home.as_ref().map(std::path::absolute).transpose();
    let home = home.map_err(|error| {
        Findings(vec![Finding {
            origin: Some("--home".to_owned()),
            message: error.to_string(),
            ..Finding::default()
        }])
    })?;
    Ok(config::collect(&Sources {
        file: place.config.clone(),
        home,
    }))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use tempfile::TempDir;
    use wpk_api::section::{Section, plugin};
    use wpk_api::{
        BuildError, Change, Context, Demands, Factory, ObserverError, RequestSource, Resource,
        TaskObserver,
    };

    use super::*;
    use crate::builtins;

    /// `[[source]] type = "door"`: a plugin of somebody else that listens on a port.
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Door {
        listen: std::net::SocketAddr,
    }

    impl Section for Door {
        fn demands(&self, _: &Context) -> Demands {
            Demands::default().occupying("listen", Resource::Tcp(self.listen))
        }
    }

    /// A source that is never opened.
    enum NoSource {}

    #[async_trait::async_trait]
    impl RequestSource for NoSource {
        async fn serve(
            &self,
            _: std::sync::Arc<dyn wpk_api::RequestService>,
            _: wpk_api::CancellationToken,
        ) -> Result<(), wpk_api::SourceError> {
            match *self {}
        }
    }

    /// `[[observer]] type = "diary"`: writes into a file.
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Diary {
        path: std::path::PathBuf,
    }

    impl Section for Diary {
        fn demands(&self, context: &Context) -> Demands {
            let file = Resource::Path(context.path(&self.path));
            Demands::default().occupying("path", file)
        }
    }

    /// An observer that forgets everything.
    struct Forgetful;

    #[async_trait::async_trait]
    impl TaskObserver for Forgetful {
        async fn observe(&self, _: &[Change]) -> Result<(), ObserverError> {
            Ok(())
        }
    }

    fn diary() -> impl Factory<dyn TaskObserver> {
        plugin("diary", |_: Diary, _: &Context| Ok(Forgetful))
    }

    fn door() -> impl Factory<dyn RequestSource> {
        plugin("door", |_: Door, _: &Context| {
            Err::<NoSource, _>(BuildError::Failed("nothing is opened here".to_owned()))
        })
    }

    /// The settings as `wpkd` reads them, and what knows their plugins.
    fn settings(text: &str) -> (Result<Settings, Findings>, Registry) {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("wpkd.toml");
        std::fs::write(&file, text).unwrap();
        let place = Where {
            config: Some(file),
            home: Some(folder.path().to_owned()),
            user: None,
        };
        let registry = builtins::registry().with_source(door());
        let mut registry = registry.with_observer(diary());
        let settings = read(&place, &mut registry).map(|(settings, _)| settings);
        (settings, registry)
    }

    /// What `wpkd check` finds: the key of each mistake, and the text.
    fn found(text: &str) -> Vec<(String, String)> {
        let findings = settings(text).0.err();
        let findings = findings.into_iter().flat_map(|findings| findings.0);
        findings.map(|found| (found.key, found.message)).collect()
    }

    /// Exactly one mistake, at `key`, which names `other` as well.
    fn one_conflict(text: &str, key: &str, other: &str) {
        let found = found(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert_eq!(found[0].0, key, "{text}");
        assert!(found[0].1.contains(other), "{text}: {found:?}");
    }

    #[test]
    fn one_socket_is_for_one_source() {
        let two = "[[source]]\ntype = \"unix-socket\"\n\
                   [[source]]\ntype = \"unix-socket\"\nupgrade = \"a/up\"\n";
        one_conflict(two, "source.1.task", "source.0.task");
        let apart = format!("{two}task = \"a/task\"\n");
        assert_eq!(found(&apart), []);
        // The same place, written in another way.
        let hidden = format!("{two}task = \"queue/./tasks//task\"\n");
        one_conflict(&hidden, "source.1.task", "source.0.task");
    }

    #[test]
    fn one_port_is_for_one_plugin() {
        let on =
            |port: u16| format!("[[source]]\ntype = \"door\"\nlisten = \"127.0.0.1:{port}\"\n");
        // The channel listens on 1517 of all addresses, though nobody wrote it.
        one_conflict(&on(1517), "transport.listen", "source.0.listen");
        one_conflict(&(on(9) + &on(9)), "source.1.listen", "source.0.listen");
        assert_eq!(found(&(on(9) + &on(10))), []);
    }

    #[test]
    fn one_file_is_for_one_section() {
        let store = "[store]\ntype = \"sqlite\"\npath = \"queue/channel/agents.db\"\n";
        one_conflict(store, "store.path", "transport.database");
        let worker = "[node]\nrole = \"worker\"\n\
                      [store]\ntype = \"cluster\"\npath = \"queue/channel/agents.db\"\n";
        one_conflict(worker, "store.path", "transport.database");
        assert_eq!(found("[store]\ntype = \"sqlite\"\npath = \"a.db\"\n"), []);
    }

    #[test]
    fn what_an_observer_writes_to_is_its_own() {
        let diary = |path: &str| format!("[[observer]]\ntype = \"diary\"\npath = \"{path}\"\n");
        assert_eq!(found(&(diary("a") + &diary("b"))), []);
        one_conflict(
            &(diary("a") + &diary("./a")),
            "observer.1.path",
            "observer.0.path",
        );
        // The tasks lie there, though nobody wrote it.
        let tasks = diary("var/wpkd/tasks.db");
        one_conflict(&tasks, "observer.0.path", "store.path");
        one_conflict(
            &diary("a").replace("diary", "dairy"),
            "observer.0.type",
            "diary",
        );
    }

    #[test]
    fn observers_are_made_and_named_in_the_order_of_their_sections() {
        let diary = "[[observer]]\ntype = \"diary\"\n";
        let (settings, registry) = settings(&format!("{diary}path = \"a\"\n{diary}path = \"b\"\n"));
        let settings = settings.unwrap();
        let made = registry.observers(&settings, &settings.context()).unwrap();
        let names = made.iter().map(|made| made.name.as_str());
        assert!(names.eq(["diary", "diary-2"]));
    }

    #[test]
    fn a_store_has_its_place_on_a_node() {
        let store = |node: &str, store: &str| {
            format!("[node]\nrole = \"{node}\"\n[store]\ntype = \"{store}\"\n")
        };
        one_conflict(&store("worker", "sqlite"), "store.type", "master's");
        one_conflict(&store("master", "cluster"), "store.type", "for workers");
        assert_eq!(found(&store("master", "sqlite")), []);
        assert_eq!(found(&store("worker", "cluster")), []);
    }

    #[test]
    fn the_channel_has_no_directory_without_its_transport() {
        let remoted = "[transport]\ntype = \"remoted\"\n";
        one_conflict(remoted, "directory.type", "transport.type");
        let both = format!("{remoted}[directory]\ntype = \"wazuh-db\"\n");
        assert_eq!(found(&both), []);
        let source = format!("{both}[[source]]\ntype = \"channel\"\n");
        one_conflict(&source, "source.0.type", "transport.type");
    }

    #[test]
    fn a_wrong_filter_of_the_log_is_found_with_the_rest() {
        let text = "[log]\nfilter = \"wpkd=chatty\"\n[tasks]\ntask_timeout = \"0s\"\n";
        let keys: Vec<String> = found(text).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["tasks.task_timeout", "log.filter"]);
        assert_eq!(found("[log]\nfilter = \"warn,wpk_runtime=debug\"\n"), []);
    }

    #[test]
    fn nothing_collides_where_nobody_wrote_anything() {
        assert_eq!(found(""), []);
        assert_eq!(found("[node]\nrole = \"worker\"\n"), []);
    }
}
