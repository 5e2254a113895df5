//! The settings as they are shipped, on a worker node: what `<cluster>` of its
//! `ossec.conf` says is enough.

use serde_json::{Value, json};
use tokio::process::Command;
use wpk_testkit::cluster::FakeCluster;
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{
    FakeRemoted, FakeWazuhDb, Home, Manager, Process, Repository, ask_json, binary, wait_until,
};

const OSSEC_CONF: &str = "<ossec_config>
  <agent-upgrade><wpk_repository>REPOSITORY</wpk_repository></agent-upgrade>
  <cluster><name>wazuh</name><node_name>worker-7</node_name><node_type>NODE_TYPE</node_type>
    <disabled>no</disabled></cluster>
</ossec_config>
";

/// A home with the shipped settings, but for the place and the group.
fn lay_out(node_type: &str, repository: &Repository) -> (Home, String) {
    let home = Home::new().unwrap();
    let conf = OSSEC_CONF
        .replace("NODE_TYPE", node_type)
        .replace("REPOSITORY", &format!("http://{}", repository.base()));
    std::fs::write(home.path("etc/ossec.conf"), conf).unwrap();
    let shipped = include_str!("../../config/wazuh-manager.toml");
    let text = shipped
        .replace("\"/var/ossec\"", &format!("{:?}", home.root()))
        .replace("group = \"wazuh\"", "group = \"daemon\"");
    let config = home.path("etc/wazuh-manager.toml");
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap().to_owned();
    (home, config)
}

async fn check(config: &str) -> String {
    let mut command = Command::new(binary("wpkd").unwrap());
    let output = command.args(["check", "--config", config]).output();
    let output = output.await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert!(output.status.success(), "{text}");
    text
}

/// Whether a line begins and ends so.
fn tells(text: &str, begin: &str, end: &str) -> bool {
    text.lines()
        .any(|line| line.starts_with(begin) && line.ends_with(end))
}

#[tokio::test]
async fn a_worker_needs_no_line_of_its_own() {
    let repository = Repository::start().await.unwrap();
    repository.publish("v4.14.8", &[7; 300_000]).unwrap();
    let (home, config) = lay_out("worker", &repository);
    // Before its manager runs.
    let text = check(&config).await;
    assert!(tells(&text, "node ", "worker-7 (worker)"), "{text}");
    assert!(tells(&text, "store ", " cluster"), "{text}");
    assert!(
        text.contains("manager version: unknown, so there is no limit"),
        "{text}"
    );

    let master = Manager::start("dialect = \"wazuh-4\"").await.unwrap();
    let socket = home.path("queue/cluster/c-internal.sock");
    let link = FakeCluster::bridge(socket, master.home.task_socket()).unwrap();
    let wdb = FakeWazuhDb::start(home.wdb_socket()).unwrap();
    let rows = [(0, "v4.14.8"), (1, "v4.7.0"), (2, "v4.7.0")];
    wdb.set_agents(rows.map(|(id, version)| agent_row(id, &format!("Wazuh {version}"))));
    wdb.set_column(1, "node_name", json!("worker-7"));
    wdb.set_column(2, "node_name", json!("master-1"));
    let remoted = FakeRemoted::start(home.remote_socket()).unwrap();
    remoted.acknowledge_to(home.upgrade_socket());
    let text = check(&config).await;
    let told = "manager version: v4.14.8 (from the agent directory)";
    assert!(text.contains(told), "{text}");

    let mut command = Command::new(binary("wpkd").unwrap());
    command.arg("--config").arg(&config);
    let mut daemon = Process::start(command, home.path("logs/wpkd.log")).unwrap();
    let ready = daemon.wait_for_line("wpkd: ready", PATIENCE).await;
    assert!(ready.is_some(), "{}", daemon.output());
    let said = daemon.wait_for_line(told, PATIENCE).await;
    assert!(said.is_some(), "{}", daemon.output());

    // As the API asks: the manager's version is meant, and is the limit.
    let ask = async |parameters: Value| {
        let request = json!({"command": "upgrade", "parameters": parameters});
        let answer = ask_json(home.upgrade_socket(), &request).await.unwrap();
        answer["data"][0].clone()
    };
    let above = ask(json!({"agents": [1], "version": "v4.14.9"})).await;
    assert_eq!(above["error"], 13, "{above}");
    // Its own agents are the worker's to upgrade, no others.
    let other = ask(json!({"agents": [2]})).await;
    assert_eq!(other["error"], 8, "{other}");
    let reason = other["reason"].as_str().unwrap();
    assert!(
        reason.contains("master-1") && reason.contains("worker-7"),
        "{other}"
    );
    let created = ask(json!({"agents": [1]})).await;
    assert_eq!(created["error"], 0, "{created}\n{}", daemon.output());
    let done = wait_until(PATIENCE, async || {
        let item = master.result(1).await;
        (item["status"] == "Updated").then_some(item)
    });
    let done = done.await.unwrap_or_else(|| panic!("{}", daemon.output()));
    assert_eq!(done["node"], "worker-7", "{done}");
    assert_eq!(done["task_id"], created["task_id"], "{done}");
    assert_eq!(remoted.received(1).unwrap(), vec![7; 300_000]);
    assert_eq!(link.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_worker_with_a_table_of_its_own_is_refused() {
    let repository = Repository::start().await.unwrap();
    let (home, config) = lay_out("worker", &repository);
    let drop_ins = home.path("etc/conf.d");
    std::fs::create_dir(&drop_ins).unwrap();
    std::fs::write(drop_ins.join("store.toml"), "[store]\ntype = \"sqlite\"\n").unwrap();
    for command in ["check", "run"] {
        let mut wpkd = Command::new(binary("wpkd").unwrap());
        let output = wpkd.args([command, "--config", &config]).output();
        let output = output.await.unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        let told = text.lines().find(|line| line.contains("store.type"));
        let told = told.unwrap_or_else(|| panic!("{text}"));
        assert!(
            told.contains("store.toml") && told.contains("master's"),
            "{text}"
        );
    }
}
