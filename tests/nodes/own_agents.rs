//! Managers with agents of their own: one list of agents, one CA, and whichever of them an
//! agent dials has it. All of them are real processes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::postgres::PostgresServer;
use wpk_testkit::wpk::SigningCa;
use wpk_testkit::{Home, Process, ask_json, binary, wait_until};

use crate::stand::{LEASE, name};

/// The installer counts its runs, replaces the version and reports.
const INSTALLER: &str = "#!/bin/sh\n(\necho run >> runs\ncp var/upgrade/VERSION VERSION\n\
    echo 0 > var/upgrade/upgrade_result.new\nmv var/upgrade/upgrade_result.new var/upgrade/upgrade_result\n\
    ) >/dev/null 2>&1 &\nexit 0\n";

/// What a site has before its managers: one address for all agents.
struct Balancer {
    address: String,
    /// The manager that gets the next connection.
    target: Arc<Mutex<String>>,
}

impl Balancer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let target = Arc::new(Mutex::new(String::new()));
        let to = Arc::clone(&target);
        tokio::spawn(async move {
            while let Ok((mut agent, _)) = listener.accept().await {
                let to = to.lock().unwrap_or_else(PoisonError::into_inner).clone();
                tokio::spawn(async move {
                    // A manager that is not there is one that hangs up.
                    if let Ok(mut manager) = TcpStream::connect(to).await {
                        let _ = tokio::io::copy_bidirectional(&mut agent, &mut manager).await;
                    }
                });
            }
        });
        Self { address, target }
    }

    fn to(&self, node: &Node) {
        let mut target = self.target.lock().unwrap_or_else(PoisonError::into_inner);
        target.clone_from(&node.address);
    }
}

/// A manager.
struct Node {
    home: PathBuf,
    address: String,
    daemon: Option<Process>,
    starts: usize,
}

struct Site {
    home: Home,
    database: PostgresServer,
    balancer: Balancer,
    nodes: Vec<Node>,
    agents: Vec<Process>,
}

impl Site {
    /// Managers that are not started.
    async fn prepare(size: usize) -> Option<Self> {
        let database = PostgresServer::start()?;
        let home = Home::new().unwrap();
        let passphrase = home.path("passphrase");
        std::fs::write(&passphrase, "correct horse battery staple\n").unwrap();
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&passphrase, std::fs::Permissions::from_mode(0o600)).unwrap();
        let node = |at| Node {
            home: home.path(name(at)),
            address: "127.0.0.1:0".to_owned(),
            daemon: None,
            starts: 0,
        };
        let nodes = (0..size).map(node).collect();
        Some(Self {
            home,
            database,
            balancer: Balancer::start().await,
            nodes,
            agents: Vec::new(),
        })
    }

    /// A daemon of a node, with other settings than all have.
    fn daemon(&self, at: usize, settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(binary("wpkd").unwrap());
        command.arg("--home").arg(&self.nodes[at].home);
        let port = self.database.port().to_string();
        command
            .env("WPKD_NODE__NAME", name(at))
            .env("WPKD_STORE__TYPE", "postgres")
            .env("WPKD_STORE__HOST", self.database.socket_folder())
            .env("WPKD_STORE__PORT", port)
            .env("WPKD_STORE__USER", "postgres")
            .env("WPKD_STORE__DATABASE", "postgres")
            .env("WPKD_STORE__LEASE", format!("{LEASE}s"))
            .env("WPKD_TRANSPORT__TYPE", "channel")
            .env("WPKD_TRANSPORT__LISTEN", &self.nodes[at].address)
            .env("WPKD_TRANSPORT__ADVERTISE", &self.balancer.address)
            .env("WPKD_TRANSPORT__REGISTRY", "store")
            .env(
                "WPKD_TRANSPORT__CA_PASSPHRASE_FILE",
                self.home.path("passphrase"),
            )
            .env("WPKD_TRANSPORT__KEEPALIVE", "1s")
            .env("WPKD_DELIVERY__MAX_BANDWIDTH", "3MiB/s")
            .envs(settings.iter().copied());
        command
    }

    async fn boot(&mut self, at: usize) {
        self.boot_with(at, &[]).await;
    }

    async fn boot_with(&mut self, at: usize, settings: &[(&str, &str)]) {
        let command = self.daemon(at, settings);
        let node = &mut self.nodes[at];
        node.starts += 1;
        let log = self.home.path(format!("logs/{}-{}", name(at), node.starts));
        let mut daemon = Process::start(command, log).unwrap();
        let line = daemon
            .wait_for_line("agent channel listening", PATIENCE)
            .await;
        let ready = daemon.wait_for_line("wpkd: ready", PATIENCE).await;
        let (Some(line), Some(_)) = (line, ready) else {
            panic!("{}", daemon.output())
        };
        let (_, address) = line.split_once(" address=").unwrap();
        node.address = address.split(' ').next().unwrap().trim().to_owned();
        node.daemon = Some(daemon);
    }

    async fn kill(&mut self, at: usize) {
        let mut daemon = self.nodes[at].daemon.take().unwrap();
        daemon.kill().await.unwrap();
    }

    async fn wpkctl(&self, at: usize, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(binary("wpkctl").unwrap());
        command.arg("--home").arg(&self.nodes[at].home);
        let output = command.args(arguments).output().await.unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        (output.status.code(), text)
    }

    /// Enrolls an agent with a token of this node, over the address of all, and starts it.
    async fn agent(&mut self, at: usize, agent: &str, trusts: &str) -> PathBuf {
        let (status, token) = self.wpkctl(at, &["agent", "token"]).await;
        assert_eq!(status, Some(0), "{token}");
        let token = token.lines().next().unwrap_or_default();
        let folder = self.home.path(agent);
        std::fs::create_dir_all(&folder).unwrap();
        let mut enroll = Command::new(binary("wpk-agent").unwrap());
        enroll.arg("enroll").arg("--home").arg(&folder);
        enroll.args(["--name", agent, "--manager", &self.balancer.address]);
        let output = enroll.args(["--token", token]).output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        std::fs::write(folder.join("VERSION"), "v4.14.0\n").unwrap();
        std::fs::write(folder.join("etc/wpk_root.pem"), trusts).unwrap();
        let settings = folder.join("etc/wpk-agent.toml");
        let waits = "\n[upgrade]\nresult_wait = \"200ms\"\nresult_check = \"50ms\"\n\
                     notification_wait_start = \"100ms\"\nnotification_wait_max = \"1s\"\n";
        let text = std::fs::read_to_string(&settings).unwrap();
        std::fs::write(&settings, text + waits).unwrap();
        let mut command = Command::new(binary("wpk-agent").unwrap());
        command.arg("--config").arg(&settings);
        let mut process = Process::start(command, folder.join("agent.log")).unwrap();
        let connected = process.wait_for_line("connected to", PATIENCE).await;
        assert!(connected.is_some(), "{}", process.output());
        self.agents.push(process);
        folder
    }

    async fn ask(&self, at: usize, command: &str, agents: &[u32]) -> Value {
        let parameters = match agents {
            [] => json!({}),
            agents => json!({"agents": agents}),
        };
        let request =
            json!({"origin": {"module": "api"}, "command": command, "parameters": parameters});
        let socket = self.nodes[at].home.join("queue/tasks/upgrade");
        let answer = ask_json(socket, &request).await;
        answer.unwrap_or(Value::Null)["data"].take()
    }

    /// Waits until a node shows so many agents as connected, all to one node.
    async fn all_at(&self, asked: usize, count: usize, node: usize) {
        let seen = wait_until(PATIENCE, async || {
            let agents = self.ask(asked, "agent_list", &[]).await;
            let here = agents.as_array()?.iter().filter(|agent| {
                agent["connection_status"] == "active" && agent["node_name"] == json!(name(node))
            });
            (here.count() == count).then_some(())
        });
        if seen.await.is_none() {
            let agents = self.ask(asked, "agent_list", &[]).await;
            panic!("{agents}\n{}", self.output(asked));
        }
    }

    fn output(&self, at: usize) -> String {
        let daemon = self.nodes[at].daemon.as_ref();
        daemon.map(Process::output).unwrap_or_default()
    }
}

fn lines(home: &Path, file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(home.join(file)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// A package that the agents install, of some megabytes.
async fn package() -> (SigningCa, Vec<u8>) {
    let ca = tokio::task::spawn_blocking(|| SigningCa::new().unwrap())
        .await
        .unwrap();
    let ballast: Vec<u8> = (0..1_500_000u32)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let files: [(&str, &[u8]); 3] = [
        ("upgrade.sh", INSTALLER.as_bytes()),
        ("VERSION", b"v4.15.0\n"),
        ("ballast", &ballast),
    ];
    let wpk = ca.package(&files).unwrap();
    (ca, wpk)
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_are_upgraded_although_the_manager_that_has_them_is_killed() {
    let Some(mut site) = Site::prepare(2).await else {
        return;
    };
    let (ca, wpk) = package().await;
    let file = site.home.path("agent.wpk");
    std::fs::write(&file, &wpk).unwrap();
    for at in 0..2 {
        site.boot(at).await;
    }
    site.balancer.to(&site.nodes[0]);
    let mut homes = Vec::new();
    // With tokens of either, and all of them dial the first.
    for (at, agent) in [(0, "web01"), (1, "web02"), (1, "web03")] {
        homes.push(site.agent(at, agent, ca.certificate_pem()).await);
    }
    for at in 0..2 {
        site.all_at(at, 3, 0).await;
    }

    // The other is asked; that which has the agents sends.
    let mut watch = Command::new(binary("wpkctl").unwrap());
    watch
        .arg("--home")
        .arg(&site.nodes[1].home)
        .args(["upgrade", "1-3", "--watch", "--json", "--file"])
        .arg(&file);
    let mut watch = Process::start(watch, site.home.path("watch.log")).unwrap();
    let under_way = wait_until(PATIENCE, async || {
        let items = site.ask(0, "upgrade_progress", &[1, 2, 3]).await;
        let sent = items.as_array()?.iter();
        let sent = sent.filter(|item| item["sent"].as_u64() > Some(200_000));
        (sent.count() == 3).then_some(())
    });
    assert!(
        under_way.await.is_some(),
        "{}\n{}",
        watch.output(),
        site.output(0)
    );
    site.balancer.to(&site.nodes[1]);
    site.kill(0).await;
    let status = watch.wait(Duration::from_secs(120)).await.unwrap();
    assert!(status.success(), "{}\n{}", watch.output(), site.output(1));
    for home in &homes {
        assert_eq!(lines(home, "VERSION"), ["v4.15.0"]);
        assert_eq!(lines(home, "runs"), ["run"], "the installer ran once");
    }
    let summary: Value = serde_json::from_str(watch.output().lines().last().unwrap()).unwrap();
    for agent in summary["agents"].as_array().unwrap() {
        let (from, to) = (&agent["from"], &agent["to"]);
        assert_eq!(
            (from, to),
            (&json!("v4.14.0"), &json!("v4.15.0")),
            "{summary}"
        );
        assert_eq!(agent["confirmed"], true, "{summary}");
    }
    // The one that was killed comes back and knows where they are.
    site.boot(0).await;
    for at in 0..2 {
        site.all_at(at, 3, 1).await;
    }
    let results = site.ask(0, "upgrade_result", &[1, 2, 3]).await;
    let updated = |item: &Value| item["status"] == "Updated";
    assert!(results.as_array().unwrap().iter().all(updated), "{results}");
}

/// With the database away agents stay connected, and nobody who is enrolled is sent away
/// for good; what was changed meanwhile is written once it is back.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_agents_stay() {
    let Some(mut site) = Site::prepare(2).await else {
        return;
    };
    for at in 0..2 {
        site.boot(at).await;
    }
    site.balancer.to(&site.nodes[0]);
    site.agent(0, "web01", "").await;
    site.all_at(1, 1, 0).await;
    site.database.kill();
    // It comes to the other, which has known it for long.
    site.balancer.to(&site.nodes[1]);
    site.kill(0).await;
    let moved = wait_until(PATIENCE, async || {
        let output = site.output(1);
        output.contains("the agent connected").then_some(())
    });
    assert!(moved.await.is_some(), "{}", site.output(1));
    let (status, text) = site.wpkctl(1, &["agent", "token"]).await;
    assert_ne!(status, Some(0), "{text}");
    site.database.restart();
    site.boot(0).await;
    for at in 0..2 {
        site.all_at(at, 1, 1).await;
    }
}

/// A manager that has agents moves them into the store, and one that has some does not
/// take others for them.
#[tokio::test(flavor = "multi_thread")]
async fn a_manager_that_has_agents_brings_them_and_the_second_must_have_none() {
    let Some(mut site) = Site::prepare(2).await else {
        return;
    };
    let alone = [
        ("WPKD_STORE__TYPE", "sqlite"),
        ("WPKD_TRANSPORT__REGISTRY", "file"),
    ];
    let with_sqlite = |mut command: Command| {
        for key in ["HOST", "PORT", "USER", "DATABASE", "LEASE"] {
            command.env_remove(format!("WPKD_STORE__{key}"));
        }
        command
    };
    for at in 0..2 {
        let command = with_sqlite(site.daemon(at, &alone));
        let log = site.home.path(format!("logs/alone-{at}"));
        let mut daemon = Process::start(command, log).unwrap();
        let ready = daemon.wait_for_line("wpkd: ready", PATIENCE).await;
        assert!(ready.is_some(), "{}", daemon.output());
        let out = site.home.path(format!("enrolled-{at}"));
        let arguments = ["agent", "enroll", "own01", "--out", out.to_str().unwrap()];
        let (status, text) = site.wpkctl(at, &arguments).await;
        assert_eq!(status, Some(0), "{text}");
        daemon.kill().await.unwrap();
    }
    site.boot(0).await;
    let log = site.home.path("logs/refused");
    let mut refused = Process::start(site.daemon(1, &[]), log).unwrap();
    let ended = refused.wait(PATIENCE).await.unwrap();
    assert!(!ended.success());
    let output = refused.output();
    assert!(
        output.contains("this manager has 1 agents of its own") && output.contains("enroll"),
        "{output}"
    );
    // As it is told.
    let database = site.nodes[1].home.join("queue/channel/agents.db");
    std::fs::rename(&database, database.with_extension("old")).unwrap();
    for side in ["agents.db-wal", "agents.db-shm"] {
        let _ = std::fs::remove_file(database.with_file_name(side));
    }
    site.boot(1).await;
    let agents = site.ask(1, "agent_list", &[]).await;
    assert_eq!(agents[0]["name"], "own01", "{agents}");
    assert_eq!(agents.as_array().map(Vec::len), Some(1), "{agents}");
}
