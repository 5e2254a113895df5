//! What is read: defaults, the example of the guide, drop-ins, `ossec.conf`.

use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use wpk_api::Dialect;
use wpk_api::PluginKind;
use wpk_config::{ChunkSize, Concurrency, OnRestart};

use crate::common::*;

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
