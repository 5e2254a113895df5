//! Taking the place of the upgrade module of a 4.x manager: its home as it is,
//! the configuration we ship, its tool.

use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;
use std::process::Output;

use serde_json::{Value, json};
use tokio::process::Command;
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::wdb::{TASK_TABLE, agent_row};
use wpk_testkit::{
    FakeModulesd, FakeRemoted, FakeWazuhDb, Home, Process, Repository, ask_json, binary, wait_until,
};

const OSSEC_CONF: &str = "<!-- Wazuh - Manager -->
<ossec_config>
  <global><logall>no</logall></global>
  <agent-upgrade><chunk_size>4096</chunk_size>
    <wpk_repository>REPOSITORY</wpk_repository></agent-upgrade>
  <task-manager><task_timeout>TIMEOUT</task_timeout><cleanup_time>3d</cleanup_time></task-manager>
</ossec_config>
<ossec_config>
  <cluster><node_name>manager-one</node_name><node_type>master</node_type><disabled>no</disabled></cluster>
</ossec_config>
";

/// What the manager's own module left.
const HISTORY: &str = "
INSERT INTO TASKS VALUES (41, 7, 'manager-one', 'upgrade_module', 'upgrade', 1700000000, 1700000100,
    'Failed', 'Send open file error');
";

/// A manager's home with wpkd in it, and the agents behind it.
struct Takeover {
    home: Home,
    remoted: FakeRemoted,
    repository: Repository,
    _wdb: FakeWazuhDb,
    _modulesd: FakeModulesd,
    _daemon: Process,
}

impl Takeover {
    async fn start(task_timeout: &str) -> Self {
        let home = Home::new().unwrap();
        let repository = Repository::start().await.unwrap();
        repository.publish("v4.14.8", &[5; 20_000]).unwrap();
        let conf = OSSEC_CONF
            .replace("TIMEOUT", task_timeout)
            .replace("REPOSITORY", &format!("http://{}", repository.base()));
        std::fs::write(home.path("etc/ossec.conf"), conf).unwrap();
        rusqlite::Connection::open(home.manager_tasks_db())
            .unwrap()
            .execute_batch(&format!("{TASK_TABLE}{HISTORY}"))
            .unwrap();
        let wdb = FakeWazuhDb::start(home.wdb_socket()).unwrap();
        wdb.set_agent(agent_row(0, "Wazuh v4.14.8"));
        wdb.set_agents((1..=7).map(|id| agent_row(id, "Wazuh v4.7.0")));
        for agent in 1..=7 {
            wdb.set_column(agent, "node_name", json!("manager-one"));
        }
        wdb.set_column(4, "connection_status", json!("disconnected"));
        wdb.set_column(5, "os_platform", json!("solaris"));
        wdb.set_column(6, "os_platform", json!("aix"));
        wdb.set_column(7, "version", json!("Wazuh v4.14.8"));
        let remoted = FakeRemoted::start(home.remote_socket()).unwrap();
        remoted.acknowledge_to(home.upgrade_socket());

        let mut modulesd = FakeModulesd::of_master(&home, "manager-one");
        modulesd.start().await.unwrap();

        // The file as it is shipped, but for the place and the group.
        let shipped = include_str!("../../config/wazuh-manager.toml");
        let text = shipped
            .replace("\"/var/ossec\"", &format!("{:?}", home.root()))
            .replace("group = \"wazuh\"", "group = \"daemon\"")
            .replace("# version = \"v4.14.0\"", "version = \"v4.14.8\"");
        let config = home.path("wazuh-manager.toml");
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(binary("wpkd").unwrap());
        command.arg("--config").arg(&config).env("TZ", "UTC");
        let mut daemon = Process::start(command, home.path("logs/wpkd.log")).unwrap();
        assert!(
            daemon
                .wait_for_line("wpkd: ready", PATIENCE)
                .await
                .is_some(),
            "{}",
            daemon.output()
        );
        Self {
            home,
            remoted,
            repository,
            _wdb: wdb,
            _modulesd: modulesd,
            _daemon: daemon,
        }
    }

    /// One request as the framework's socket class sends it: no origin.
    async fn ask(&self, command: &str, parameters: Value) -> Value {
        let request = json!({"command": command, "parameters": parameters});
        ask_json(self.home.upgrade_socket(), &request)
            .await
            .unwrap()
    }

    /// Runs wpkctl under the name of the 4.x tool, from the manager's `bin`.
    async fn agent_upgrade(&self, arguments: &[&str]) -> Output {
        let tool: PathBuf = self.home.path("bin/agent_upgrade");
        if !tool.exists() {
            std::fs::create_dir_all(self.home.path("bin")).unwrap();
            symlink(binary("wpkctl").unwrap(), &tool).unwrap();
        }
        let mut command = Command::new(tool);
        command.args(arguments).args(["--interval", "50ms"]);
        command.output().await.unwrap()
    }

    async fn prints(&self, arguments: &[&str], expected: &str) {
        let output = self.agent_upgrade(arguments).await;
        let printed = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(printed, expected, "{arguments:?}\n{errors}");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}\n{errors}");
    }
}

#[tokio::test]
async fn the_framework_notices_nothing() {
    let takeover = Takeover::start("15m").await;
    let socket = std::fs::metadata(takeover.home.upgrade_socket()).unwrap();
    assert_eq!(socket.mode() & 0o7777, 0o660);
    if is_root() {
        assert_eq!(socket.gid(), 1, "the group `daemon`");
    }
    // What the built-in module did is still known.
    let answer = takeover.ask("upgrade_result", json!({"agents": [7]})).await;
    assert_eq!(
        answer["data"][0],
        json!({"error": 0, "message": "Success", "agent": 7, "task_id": 41, "node": "manager-one",
            "module": "upgrade_module", "command": "upgrade", "status": "Error",
            "error_msg": "Send open file error", "create_time": "2023/11/14 22:13:20",
            "update_time": "2023/11/14 22:15:00"})
    );
    let base = takeover.repository.base();
    let parameters = json!({"agents": [1, 4, 5, 9], "wpk_repo": base, "use_http": true});
    let answer = takeover.ask("upgrade", parameters).await;
    let codes: Vec<_> = answer["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["error"].clone())
        .collect();
    assert_eq!(codes, [8, 9, 6, 0], "{answer}");
    assert_eq!(
        answer["data"][3]["task_id"], 42,
        "ids go on where the built-in module ended"
    );
    let ended = wait_until(PATIENCE, async || {
        let answer = takeover.ask("upgrade_result", json!({"agents": [1]})).await;
        (answer["data"][0]["status"] == "Updated").then_some(answer)
    });
    assert_eq!(ended.await.unwrap()["data"][0]["node"], "manager-one");
    // chunk_size of ossec.conf: 20,000 bytes in pieces of 4,096.
    let writes = takeover
        .remoted
        .steps(1)
        .iter()
        .filter(|step| *step == "write")
        .count();
    assert_eq!(writes, 5);
}

#[tokio::test]
async fn the_tool_prints_what_its_users_know() {
    let takeover = Takeover::start("2s").await;
    let base = takeover.repository.base();
    let with = |agents: &[&str]| -> Vec<String> {
        let mut arguments = vec!["-a".to_owned()];
        arguments.extend(agents.iter().map(ToString::to_string));
        arguments.extend(["-r".to_owned(), base.clone(), "--http".to_owned()]);
        arguments
    };
    takeover
        .remoted
        .set_rules("2 upgrade @ack:2:Failed\n3 upgrade @noack\n")
        .unwrap();
    let listed: String = [("ID", "Name", "Version")]
        .into_iter()
        .map(|(id, name, version)| format!("{id:<6}{name:<35} {version:<25}\n"))
        .chain((1..=6).map(|id| {
            format!(
                "{:<6}{:<35} {:<25}\n",
                format!("{id:03}"),
                format!("agent{id:03}"),
                "Wazuh v4.7.0"
            )
        }))
        .collect();
    takeover
        .prints(&["-l"], &format!("{listed}\nTotal outdated agents: 6\n"))
        .await;

    let arguments = with(&["001", "002", "003", "004", "005", "006", "000"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let timeout = "Timeout reached while waiting for the response from the agent, check the result \
                   manually on the agent for more information";
    let output = takeover.agent_upgrade(&arguments).await;
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for line in [
        "Agents that cannot be upgraded:\n",
        "\tAgent 004 upgrade failed. Status: Error 1707 - Cannot send request, agent is not active\n",
        "\tAgent 005, 006 upgrade failed. Status: Error 1819 - The WPK for this platform is not available\n",
        "\tAgent 000 upgrade failed. Status: Error 1703 - Action not available for Manager (agent 000)\n",
        "\nUpgrading...\n",
        "\nUpgraded agents:\n\tAgent 001 upgraded: Wazuh v4.7.0 -> ",
        "\nFailed upgrades:\n",
        "\tAgent 002 status: Upgrade procedure exited with error code\n",
        &format!("\tAgent 003 status: {timeout}\n"),
    ] {
        assert!(printed.contains(line), "{line:?} is not in\n{printed}");
    }
}

#[tokio::test]
async fn a_manager_whose_lists_lack_our_tasks_is_warned_of() {
    let takeover = Takeover::start("15m").await;
    let text = std::fs::read_to_string(takeover.home.path("wazuh-manager.toml")).unwrap();
    let config = takeover.home.path("alone.toml");
    std::fs::write(&config, format!("observer = []\n{text}")).unwrap();
    let mut doctor = Command::new(binary("wpkctl").unwrap());
    doctor.arg("--config").arg(&config).arg("doctor");
    let output = doctor.output().await.unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed.contains("our tasks are not shown there"),
        "{printed}"
    );
}

#[tokio::test]
async fn the_doctor_finds_it_well_and_leaves_it_as_it_was() {
    let takeover = Takeover::start("15m").await;
    let output = Command::new(binary("wpkctl").unwrap())
        .arg("--config")
        .arg(takeover.home.path("wazuh-manager.toml"))
        .args(["doctor", "--json", "--agent", "1"])
        .output()
        .await
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let objects: Vec<Value> = (printed.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let checks = objects.iter().filter(|object| object["event"] == "check");
    let told: Vec<(&str, &str)> = checks
        .map(|check| {
            (
                check["check"].as_str().unwrap(),
                check["status"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        "settings",
        "upgrade socket",
        "task socket",
        "agent database",
        "remote daemon",
        "rights",
        "disk space",
        "repository",
        "versions",
        "clock",
        "CA store",
        "WPK certificates",
        "task database",
        "manager's task table",
        "agent",
        "dry run",
        "last upgrades",
    ];
    assert_eq!(told, expected.map(|name| (name, "ok")), "{printed}");
    let database = objects
        .iter()
        .find(|object| object["check"] == "task database");
    let detail = database.unwrap()["detail"].as_str().unwrap();
    assert!(detail.ends_with("is sound, 1 tasks: 1 Failed"), "{detail}");
    assert!(takeover.remoted.steps(1).is_empty(), "no agent hears of it");
    let answer = takeover.ask("upgrade_result", json!({"agents": [1]})).await;
    assert_eq!(answer["data"][0]["error"], 3, "no task was made: {answer}");
}

/// Only root may give a file to another group.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|about| about.uid() == 0)
}
