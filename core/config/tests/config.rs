//! Reading settings from real files and variables: every mistake at once, each
//! with its file and key.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use wpk_api::Dialect;
use wpk_api::settings::Problem;
use wpk_api::{Context, Demands, Need, NodeInfo, Occupied, PluginKind, Resource, Role};
use wpk_config::{
    ChunkSize, Concurrency, Finding, OnRestart, PluginSection, Plugins, Settings, Sources,
};

/// Made-up plugins: `door` serves one path, `diary` writes to one, `line` carries, and the directory
/// `line` needs it. Settings of all of them are fine but for the key `wrong`.
struct Known;

impl Plugins for Known {
    fn types(&self, kind: PluginKind) -> Vec<&'static str> {
        match kind {
            PluginKind::Source => vec!["door", "line"],
            PluginKind::Directory | PluginKind::Transport => vec!["line", "other"],
            PluginKind::Provider => vec!["shelf", "file"],
            PluginKind::Store => vec!["book", "far"],
            PluginKind::Observer => vec!["diary"],
        }
    }

    fn usual(&self, kind: PluginKind, node: &NodeInfo, _: bool) -> Vec<&'static str> {
        match kind {
            PluginKind::Source => vec!["door"],
            PluginKind::Directory | PluginKind::Transport => vec!["line"],
            PluginKind::Provider => vec!["shelf", "file"],
            PluginKind::Store if node.role == Role::Worker => vec!["far"],
            PluginKind::Store => vec!["book"],
            PluginKind::Observer => Vec::new(),
        }
    }

    fn check(&self, kind: PluginKind, type_name: &str, settings: &Value) -> Option<Vec<Problem>> {
        let wrong = settings.get("wrong").map(|_| Problem::new("wrong", "is"));
        (self.types(kind).contains(&type_name)).then(|| wrong.into_iter().collect())
    }

    fn demands(&self, kind: PluginKind, section: &PluginSection, context: &Context) -> Demands {
        let mut demands = Demands::default();
        match (kind, section.kind.as_str()) {
            (PluginKind::Source, "door") | (PluginKind::Observer, "diary") => {
                let path = section.settings["path"].as_str();
                let path = path.unwrap_or(&section.kind);
                demands.occupies.push(Occupied {
                    key: "path".into(),
                    what: Resource::Path(context.path(path)),
                });
            }
            (PluginKind::Source | PluginKind::Directory, "line") => demands.needs.push(Need {
                kind: PluginKind::Transport,
                type_name: "line".into(),
            }),
            _ => {}
        }
        demands
    }
}

fn load(file: Option<&Path>) -> Result<Settings, Vec<Finding>> {
    let sources = Sources {
        file: file.map(Path::to_owned),
        home: None,
    };
    wpk_config::load(&sources, Some(&Known)).map_err(|findings| findings.0)
}

fn load_text(text: &str) -> Result<Settings, Vec<Finding>> {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("wpkd.toml");
    std::fs::write(&file, text).unwrap();
    load(Some(&file))
}

/// As a tool reads it that knows no plugins.
fn load_without_plugins(text: &str) -> Result<Settings, Vec<Finding>> {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("wpkd.toml");
    std::fs::write(&file, text).unwrap();
    let sources = Sources {
        file: Some(file),
        home: None,
    };
    wpk_config::load(&sources, None).map_err(|findings| findings.0)
}

fn keys(findings: &[Finding]) -> Vec<&str> {
    findings
        .iter()
        .map(|finding| finding.key.as_str())
        .collect()
}

/// The settings are refused, with findings at just these keys, in their order.
#[track_caller]
fn refused(text: &str, expected: &[&str]) -> Vec<Finding> {
    let findings = load_text(text).unwrap_err();
    let mut found = keys(&findings);
    found.sort_unstable();
    assert_eq!(found, expected);
    findings
}

fn types(settings: &Settings, kind: PluginKind) -> Vec<&str> {
    let sections = settings.sections(kind).iter();
    sections.map(|section| section.kind.as_str()).collect()
}

#[test]
fn no_file_is_the_embedded_manager() {
    let settings = load(None).unwrap();
    assert_eq!(types(&settings, PluginKind::Source), ["door"]);
    assert_eq!(types(&settings, PluginKind::Transport), ["line"]);
    assert_eq!(types(&settings, PluginKind::Directory), ["line"]);
    assert_eq!(types(&settings, PluginKind::Store), ["book"]);
    assert_eq!(settings.dialect, Dialect::Documented);
    assert_eq!(settings.delivery.chunk_size, None);
    assert_eq!(settings.delivery.max_concurrent, Concurrency::Auto);
    assert_eq!(settings.tasks.task_timeout.0, Duration::from_secs(900));
    assert_eq!(settings.tasks.on_restart, OnRestart::Resume);
    assert_eq!(types(&settings, PluginKind::Provider), ["shelf", "file"]);
    assert_ne!(settings.home, Path::new("/var/ossec"));
}

#[test]
fn the_tasks_of_a_worker_node_are_the_master_s() {
    let worker = "[node]\nrole = \"worker\"\n";
    let settings = load_text(worker).unwrap();
    assert_eq!(types(&settings, PluginKind::Store), ["far"]);
    let other = format!("{worker}[store]\ntype = \"book\"\n");
    let settings = load_text(&other).unwrap();
    assert_eq!(types(&settings, PluginKind::Store), ["book"]);
}

#[test]
fn the_whole_example_of_the_house_plan_is_read() {
    let settings = load_without_plugins(
        r#"
        home = "/var/ossec"
        dialect = "wazuh-4"
        [node]
        name = "master-node"
        role = "worker"
        version = "v4.14.0"
        [[source]]
        type = "unix-socket"
        upgrade = "queue/tasks/other"
        [directory]
        type = "wazuh-db"
        [transport]
        type = "remoted"
        timeout = "75s"
        [[provider]]
        type = "repository"
        url = "packages.wazuh.com/4.x/wpk/"
        [[provider]]
        type = "local-file"
        [store]
        type = "sqlite"
        path = "queue/tasks/tasks.db"
        [cache]
        dir = "var/upgrade"
        verify_signature = true
        ca_store = ["etc/wpk_root.pem"]
        [delivery]
        max_concurrent = 0
        chunk_size = "auto"
        attempts = 3
        max_bandwidth = "100MiB/s"
        [tasks]
        task_timeout = "15m"
        cleanup_time = "7d"
        on_restart = "cancel"
        "#,
    )
    .unwrap();
    assert_eq!(settings.home, Path::new("/var/ossec"));
    assert_eq!(settings.dialect, Dialect::Wazuh4);
    assert_eq!(settings.node.version.unwrap().to_string(), "v4.14.0");
    assert_eq!(settings.sources[0].settings["upgrade"], "queue/tasks/other");
    assert_eq!(settings.delivery.chunk_size, Some(ChunkSize::Auto));
    assert!(settings.delivery.max_concurrent.number() >= Some(1));
    assert_eq!(settings.delivery.max_bandwidth.unwrap().0, 100 << 20);
    assert_eq!(settings.tasks.on_restart, OnRestart::Cancel);
    assert_eq!(settings.transport.unwrap().settings["timeout"], "75s");
}

#[test]
fn every_mistake_is_found_with_its_key() {
    let findings = refused(
        r#"
        home = "relative"
        dialect = "klingon"
        colour = "blue"
        [node]
        nmae = "x"
        version = "latest"
        [directory]
        type = 5
        [[provider]]
        url = "x"
        [cache]
        verify_signature = true
        [delivery]
        chunk_size = 63
        attempts = 0
        [tasks]
        task_timeout = "0s"
        cleanup_time = "soon"
        "#,
        &[
            "cache.ca_store",
            "colour",
            "delivery.attempts",
            "delivery.chunk_size",
            "dialect",
            "directory.type",
            "home",
            "node.nmae",
            "node.version",
            "provider.0",
            "tasks.cleanup_time",
            "tasks.task_timeout",
        ],
    );
    for finding in &findings {
        let origin = finding.origin.as_ref().unwrap();
        let line = origin.rsplit_once("wpkd.toml:").map(|(_, line)| line);
        assert!(
            line.is_some_and(|line| line.parse::<u32>().is_ok()),
            "{finding}"
        );
    }
}

#[test]
fn ranges_are_checked() {
    refused(
        r#"
        source = []
        provider = []
        [delivery]
        attempts = 101
        max_concurrent = 1000000
        max_bandwidth = "10B/s"
        max_memory = "1KiB"
        [tasks]
        task_timeout = "2h"
        cleanup_time = "1h"
        confirm_within = "2d"
        [cache]
        max_size = "3GiB"
        max_total = "2GiB"
        [directory]
        type = "line"
        [transport]
        type = "other"
        "#,
        &[
            "cache.max_total",
            "delivery.attempts",
            "delivery.max_bandwidth",
            "delivery.max_concurrent",
            "delivery.max_memory",
            "directory.type",
            "provider",
            "source",
            "tasks.cleanup_time",
            "tasks.confirm_within",
        ],
    );
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_named() {
    let findings = load(Some(Path::new("/nonexistent/wpkd.toml"))).unwrap_err();
    assert_eq!(findings.len(), 1);
    assert!(
        findings[0]
            .to_string()
            .starts_with("/nonexistent/wpkd.toml: cannot be read"),
        "{}",
        findings[0]
    );
    let findings = load_text("home = \"/x\"\n[node\n").unwrap_err();
    assert_eq!(findings.len(), 1);
    let text = findings[0].to_string();
    assert!(
        text.contains("wpkd.toml") && text.contains("line 2"),
        "{text}"
    );
}

#[test]
fn drop_ins_add_to_lists_and_replace_values() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("wpkd.toml");
    let drop_ins = folder.path().join("conf.d");
    std::fs::create_dir(&drop_ins).unwrap();
    std::fs::write(
        &file,
        "[node]\nname = \"a\"\n[[provider]]\ntype = \"file\"\n",
    )
    .unwrap();
    std::fs::write(
        drop_ins.join("10-x.toml"),
        "[[provider]]\ntype = \"shelf\"\n",
    )
    .unwrap();
    std::fs::write(drop_ins.join("20-y.toml"), "[node]\nname = \"b\"\n").unwrap();
    std::fs::write(drop_ins.join("ignored.txt"), "not TOML at all [").unwrap();
    let settings = load(Some(&file)).unwrap();
    assert_eq!(settings.node.name, "b");
    let kinds: Vec<_> = settings.providers.iter().map(|p| p.kind.as_str()).collect();
    assert_eq!(kinds, ["file", "shelf"]);

    std::fs::write(drop_ins.join("30-z.toml"), "[node]\nnmae = \"c\"\n").unwrap();
    std::fs::write(drop_ins.join("40-broken.toml"), "= 1\n").unwrap();
    let findings = load(Some(&file)).unwrap_err();
    let texts: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(
        texts
            .iter()
            .any(|text| text.contains("30-z.toml:2: node.nmae")),
        "{texts:?}"
    );
    assert!(
        texts
            .iter()
            .any(|text| text.contains("40-broken.toml: is not valid TOML")),
        "{texts:?}"
    );
}

#[test]
fn a_managers_ossec_conf_lies_below_our_own_file() {
    let home = TempDir::new().unwrap();
    std::fs::create_dir(home.path().join("etc")).unwrap();
    let conf = home.path().join("etc/ossec.conf");
    let text = "<ossec_config><agent-upgrade><chunk_size>1024</chunk_size><max_threads>3</max_threads>\
        <wpk_repository>example.org/wpk</wpk_repository></agent-upgrade></ossec_config>\n\
        <ossec_config><cluster><node_name>m1</node_name><node_type>worker</node_type></cluster></ossec_config>";
    std::fs::write(&conf, text).unwrap();
    let file = home.path().join("wpkd.toml");
    let ours = format!(
        "home = {:?}\n[wazuh]\nossec_conf = \"etc/ossec.conf\"\n[delivery]\nchunk_size = 2048\n",
        home.path()
    );
    std::fs::write(&file, &ours).unwrap();
    let settings = load(Some(&file)).unwrap();
    assert_eq!(settings.delivery.chunk_size, Some(ChunkSize::Bytes(2048)));
    assert_eq!(settings.delivery.max_concurrent, 3.into());
    assert_eq!(settings.node.name, "m1");
    assert_eq!(types(&settings, PluginKind::Provider), ["shelf", "file"]);
    let context = settings.context();
    assert_eq!(context.wpk_repository.as_deref(), Some("example.org/wpk"));
    assert_eq!(settings.ossec.unwrap().warnings, []);

    // Its mistakes are found together with ours, each with its own file.
    std::fs::write(&conf, text.replace("<max_threads>3", "<max_threads>many")).unwrap();
    std::fs::write(&file, ours.replace("chunk_size = 2048", "chunk_size = 1")).unwrap();
    let findings: Vec<String> = load(Some(&file))
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(
        findings[0].contains("ossec.conf:1: agent-upgrade.max_threads"),
        "{findings:?}"
    );
    assert!(
        findings[1].contains("wpkd.toml:5: delivery.chunk_size"),
        "{findings:?}"
    );

    std::fs::remove_file(&conf).unwrap();
    let findings = load(Some(&file)).unwrap_err();
    assert!(
        findings[0]
            .to_string()
            .contains("ossec.conf: cannot be read"),
        "{findings:?}"
    );
}

#[test]
fn a_mistake_hides_no_other_and_parts_must_fit_together() {
    refused(
        r#"
        home = "/nonexistent"
        [delivery]
        chunk_size = "1KiB"
        attempts = 0
        max_bandwidth = 5
        [cache]
        verify_signature = true
        ca_store = "etc/ca.pem"
        [[source]]
        type = "door"
        [[source]]
        type = "door"
        path = "/nonexistent/door"
        wrong = 1
        [[source]]
        type = "line"
        [directory]
        type = "other"
        [transport]
        type = "other"
        "#,
        &[
            "cache.ca_store",
            "delivery.attempts",
            "delivery.chunk_size",
            "delivery.max_bandwidth",
            "source.1.path",
            "source.1.wrong",
            "source.2.type",
        ],
    );
}

#[test]
fn observers_are_a_list_that_may_be_absent() {
    assert_eq!(load(None).unwrap().observers, []);
    assert_eq!(load_text("observer = []\n").unwrap().observers, []);
    let two = "[[observer]]\ntype = \"diary\"\npath = \"a\"\n\
               [[observer]]\ntype = \"diary\"\npath = \"b\"\n";
    let settings = load_text(two).unwrap();
    assert_eq!(types(&settings, PluginKind::Observer), ["diary", "diary"]);
    let paths = settings.observers.iter().map(|one| &one.settings["path"]);
    assert!(paths.eq(["a", "b"]), "{:?}", settings.observers);
    let settings = load_without_plugins(two).unwrap();
    assert_eq!(types(&settings, PluginKind::Observer), ["diary", "diary"]);
}

#[test]
fn mistakes_in_observers_are_found_like_those_in_any_section() {
    let one = "[[observer]]\ntype = \"diary\"\n";
    let found = refused(&(one.replace("diary", "dairy") + one), &["observer.0.type"]);
    assert!(found[0].message.contains("known are diary"), "{found:?}");
    let found = refused(&one.replace("[[observer]]", "[observer]"), &["observer"]);
    assert!(found[0].message.contains("write [[observer]]"), "{found:?}");
    refused(&format!("{one}wrong = 1\n"), &["observer.0.wrong"]);
    refused("[[observer]]\npath = \"a\"\n", &["observer.0"]);
    refused(&one.replace("observer", "observers"), &["observers"]);
    // Two of them in one place, and one where somebody serves.
    let found = refused(
        &format!("{one}path = \"a\"\n{one}path = \"a\"\n"),
        &["observer.1.path"],
    );
    assert!(found[0].message.contains("observer.0.path"), "{found:?}");
    let found = refused(&format!("{one}path = \"door\"\n"), &["observer.0.path"]);
    assert!(found[0].message.contains("source.0.path"), "{found:?}");
}

#[test]
fn a_type_may_be_left_out_where_there_is_a_default() {
    let settings = load_text("[[source]]\npath = \"/x\"\n[store]\n[transport]\n").unwrap();
    assert_eq!(types(&settings, PluginKind::Source), ["door"]);
    assert_eq!(types(&settings, PluginKind::Transport), ["line"]);
    assert_eq!(types(&settings, PluginKind::Store), ["book"]);
    let worker = load_text("[node]\nrole = \"worker\"\n[store]\n").unwrap();
    assert_eq!(types(&worker, PluginKind::Store), ["far"]);
    // Nobody knows which of the two is meant.
    let found = refused("[[provider]]\nurl = \"x\"\n", &["provider.0"]);
    assert!(found[0].message.contains("shelf, file"), "{}", found[0]);
    assert!(load_without_plugins("[store]\n[[provider]]\nurl = \"x\"\n").is_ok());
}

#[test]
fn a_mistake_is_told_at_its_file_its_line_and_its_key_as_it_is_written() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("wpkd.toml");
    let drop_in = folder.path().join("conf.d/10-mirror.toml");
    std::fs::create_dir(drop_in.parent().unwrap()).unwrap();
    let main = "home = \"/x\"\n\n[[provider]]\ntype = \"shelf\"\n\n[[provider]]\ntype = \"file\"\nwrong = 1\n\
                [tasks]\ntask_timeout = \"soon\"\n";
    std::fs::write(&file, main).unwrap();
    let more = "# a mirror\n[[provider]]\ntype = \"shelf\"\n[[provider]]\ntype = \"s3\"\n[cache]\nmax_size = \"big\"\n";
    std::fs::write(&drop_in, more).unwrap();
    let mut told: Vec<String> = load(Some(&file))
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    // By the number of the line as text: 10 before 8.
    told.sort();
    let (main, more) = (file.display(), drop_in.display());
    assert_eq!(told.len(), 4, "{told:?}");
    for (line, begin) in told.iter().zip([
        format!("{more}:5: [[provider]] number 2: type: "),
        format!("{more}:7: cache.max_size: "),
        format!("{main}:10: tasks.task_timeout: "),
        format!("{main}:8: [[provider]] number 2: wrong: "),
    ]) {
        assert!(line.starts_with(&begin), "{line}\n{begin}");
    }
}

#[test]
fn a_typo_makes_no_second_mistake_elsewhere() {
    for (text, key) in [
        // The directory needs a transport that was meant, but not found.
        (
            "[directory]\ntype = \"line\"\n[transprot]\ntype = \"line\"\n[[source]]\ntype = \"line\"\n",
            "transprot",
        ),
        (
            "[directory]\ntype = \"line\"\n[transport]\ntype = \"lnie\"\n",
            "transport.type",
        ),
        (
            "[directroy]\ntype = \"other\"\n[transport]\ntype = \"other\"\n",
            "directroy",
        ),
        (
            "[tasks]\ntask_timeuot = \"5m\"\ncleanup_time = \"10m\"\n",
            "tasks.task_timeuot",
        ),
        (
            "[cache]\nverify_signature = true\nca_stroe = [\"x\"]\n",
            "cache.ca_stroe",
        ),
        ("[[providre]]\ntype = \"shelf\"\n", "providre"),
    ] {
        refused(text, &[key]);
    }
    // And hides none: both times are there, and do not fit.
    refused(
        "[tasks]\ntask_timeout = \"5m\"\ncleanup_time = \"1m\"\nonrestart = 1\n",
        &["tasks.cleanup_time", "tasks.onrestart"],
    );
}
