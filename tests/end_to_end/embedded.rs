//! The embedded manager with real agents: `wpkd`, `wpk-agent` and `wpkctl` as
//! a user runs them, without a Wazuh manager.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::process::Signal;
use wpk_testkit::wpk::SigningCa;
use wpk_testkit::{Home, Process, ask_json, binary, wait_until};

/// The installer counts its runs, replaces the version and reports.
const INSTALLER: &str = "#!/bin/sh\n(\necho run >> runs\ncp var/upgrade/VERSION VERSION\n\
    echo 0 > var/upgrade/upgrade_result.new\nmv var/upgrade/upgrade_result.new var/upgrade/upgrade_result\n\
    ) >/dev/null 2>&1 &\nexit 0\n";

/// An embedded manager and its agents, all real processes.
pub(crate) struct Site {
    pub(crate) home: Home,
    daemon: Option<Process>,
    address: String,
    agents: Vec<Process>,
    starts: usize,
    settings: Vec<(String, String)>,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With these variables, which are settings of the daemon.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let settings = settings
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()));
        let home = Home::new().unwrap();
        let address = "127.0.0.1:0".to_owned();
        let mut site = Self {
            home,
            daemon: None,
            address,
            agents: Vec::new(),
            starts: 0,
            settings: settings.collect(),
        };
        let line = site.boot().await;
        let (_, address) = line.split_once(" address=").unwrap();
        site.address = address.split(' ').next().unwrap().trim().to_owned();
        site
    }

    /// Starts the daemon; returns the line that says where agents dial in.
    async fn boot(&mut self) -> String {
        let mut command = Command::new(binary("wpkd").unwrap());
        command.arg("--home").arg(self.manager());
        command
            .env("WPKD_TRANSPORT__TYPE", "channel")
            .env("WPKD_TRANSPORT__LISTEN", &self.address);
        command.env("WPKD_TRANSPORT__KEEPALIVE", "1s");
        command.env("WPKD_DELIVERY__MAX_BANDWIDTH", "3MiB/s");
        command.envs(self.settings.iter().cloned());
        self.starts += 1;
        let log = self.home.path(format!("logs/wpkd-{}.log", self.starts));
        let mut daemon = Process::start(command, log).unwrap();
        let line = daemon
            .wait_for_line("agent channel listening", PATIENCE)
            .await;
        let ready = daemon.wait_for_line("wpkd: ready", PATIENCE).await;
        let (Some(line), Some(_)) = (line, ready) else {
            panic!("{}", daemon.output())
        };
        self.daemon = Some(daemon);
        line
    }

    fn manager(&self) -> PathBuf {
        self.home.path("m")
    }

    fn socket(&self) -> PathBuf {
        self.manager().join("queue/tasks/upgrade")
    }

    pub(crate) async fn wpkctl(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(binary("wpkctl").unwrap());
        command.arg("--home").arg(self.manager()).args(arguments);
        let output = command.output().await.unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    }

    /// Enrolls an agent and starts it; returns its home.
    pub(crate) async fn agent(&mut self, name: &str, trusts: &str) -> PathBuf {
        let folder = self.home.path(name);
        let out = folder.to_str().unwrap();
        let (status, text) = self.wpkctl(&["agent", "enroll", name, "--out", out]).await;
        assert_eq!(status, Some(0), "{text}");
        std::fs::write(folder.join("VERSION"), "v4.14.0\n").unwrap();
        std::fs::write(folder.join("etc/wpk_root.pem"), trusts).unwrap();
        let settings = folder.join("etc/wpk-agent.toml");
        let waits = "\n[upgrade]\nresult_wait = \"200ms\"\nresult_check = \"50ms\"\n\
                     notification_wait_start = \"100ms\"\nnotification_wait_max = \"1s\"\n";
        let text = std::fs::read_to_string(&settings).unwrap();
        std::fs::write(&settings, text + waits).unwrap();
        let mut command = Command::new(binary("wpk-agent").unwrap());
        command.arg("--config").arg(&settings);
        let mut agent = Process::start(command, folder.join("agent.log")).unwrap();
        assert!(
            agent
                .wait_for_line("connected to", PATIENCE)
                .await
                .is_some(),
            "{}",
            agent.output()
        );
        self.agents.push(agent);
        folder
    }

    async fn active(&self) -> usize {
        let request =
            json!({"origin": {"module": "api"}, "command": "agent_list", "parameters": {}});
        let answer = ask_json(self.socket(), &request)
            .await
            .unwrap_or(Value::Null);
        let agents = answer["data"].as_array().cloned().unwrap_or_default();
        agents
            .iter()
            .filter(|agent| agent["connection_status"] == "active")
            .count()
    }
}

fn runs(home: &Path) -> usize {
    std::fs::read_to_string(home.join("runs"))
        .unwrap_or_default()
        .lines()
        .count()
}

fn version(home: &Path) -> String {
    std::fs::read_to_string(home.join("VERSION"))
        .unwrap()
        .trim()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_are_upgraded_although_the_daemon_is_killed_on_the_way() {
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
    let mut site = Site::start().await;
    let file = site.home.path("agent.wpk");
    std::fs::write(&file, &wpk).unwrap();
    let mut homes = Vec::new();
    for name in ["web01", "web02", "web03"] {
        homes.push(site.agent(name, ca.certificate_pem()).await);
    }
    assert_eq!(
        wait_until(PATIENCE, async || (site.active().await == 3).then_some(())).await,
        Some(())
    );

    let mut watch = Command::new(binary("wpkctl").unwrap());
    watch
        .arg("--home")
        .arg(site.manager())
        .args(["upgrade", "1-3", "--watch", "--json", "--file"])
        .arg(&file);
    let mut watch = Process::start(watch, site.home.path("watch.log")).unwrap();
    // All three are in the middle of being written to.
    let request = json!({"origin": {"module": "api"}, "command": "upgrade_progress",
        "parameters": {"agents": [1, 2, 3]}});
    let under_way = wait_until(PATIENCE, async || {
        let answer = ask_json(site.socket(), &request).await?;
        let sent = answer["data"]
            .as_array()?
            .iter()
            .filter(|item| item["sent"].as_u64() > Some(200_000));
        (sent.count() == 3).then_some(())
    });
    assert!(under_way.await.is_some(), "{}", watch.output());
    site.daemon.take().unwrap().kill().await.unwrap();
    site.boot().await;

    let status = watch.wait(Duration::from_secs(120)).await.unwrap();
    assert!(
        status.success(),
        "{}\n{}",
        watch.output(),
        site.daemon.as_ref().unwrap().output()
    );
    for home in &homes {
        assert_eq!(version(home), "v4.15.0");
        assert_eq!(runs(home), 1, "the installer ran once");
    }
    let summary: Value = serde_json::from_str(watch.output().lines().last().unwrap()).unwrap();
    for agent in summary["agents"].as_array().unwrap() {
        assert_eq!(
            (&agent["from"], &agent["to"]),
            (&json!("v4.14.0"), &json!("v4.15.0")),
            "{summary}"
        );
        assert_eq!(agent["confirmed"], true, "{summary}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tool_tells_the_truth_for_every_agent() {
    let (ca, stranger) =
        tokio::task::spawn_blocking(|| (SigningCa::new().unwrap(), SigningCa::new().unwrap()))
            .await
            .unwrap();
    let failing = "#!/bin/sh\n(echo 2 > var/upgrade/upgrade_result) >/dev/null 2>&1 &\nexit 0\n";
    let good = ca
        .package(&[
            ("upgrade.sh", INSTALLER.as_bytes()),
            ("failing.sh", failing.as_bytes()),
            ("VERSION", b"v4.15.0\n"),
        ])
        .unwrap();
    let mut site = Site::start().await;
    let file = site.home.path("agent.wpk");
    std::fs::write(&file, &good).unwrap();
    let file = file.to_str().unwrap().to_owned();
    let trusting = site.agent("trusting", ca.certificate_pem()).await;
    let wary = site.agent("wary", stranger.certificate_pem()).await;

    let (status, text) = site
        .wpkctl(&[
            "upgrade",
            "1",
            "--watch",
            "--file",
            &file,
            "--installer",
            "failing.sh",
        ])
        .await;
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.contains("Upgrade procedure exited with error code"),
        "{text}"
    );
    assert_eq!(version(&trusting), "v4.14.0");

    let (status, text) = site
        .wpkctl(&["upgrade", "1", "2", "9", "--watch", "--file", &file])
        .await;
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("Send upgrade command error"), "{text}");
    assert!(
        text.contains("Agent information not found in database"),
        "{text}"
    );
    assert_eq!(
        (version(&trusting).as_str(), runs(&trusting)),
        ("v4.15.0", 1)
    );
    assert_eq!((version(&wary).as_str(), runs(&wary)), ("v4.14.0", 0));
    // Nothing of the refused package stays with the agent.
    assert_eq!(
        std::fs::read_dir(wary.join("var/incoming"))
            .unwrap()
            .count(),
        0
    );

    let (status, text) = site.wpkctl(&["result", "1"]).await;
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("Updated"), "{text}");
}

/// A daemon that is asked to stop while an agent runs the installer hangs up on
/// the agent; that makes the upgrade no failure.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_the_installer_runs_waits_for_the_word_of_the_agent() {
    let ca = tokio::task::spawn_blocking(|| SigningCa::new().unwrap())
        .await
        .unwrap();
    let slow = INSTALLER.replacen(
        "#!/bin/sh\n",
        "#!/bin/sh\ntouch begun\nwhile [ ! -e go ]; do sleep 0.1; done\n",
        1,
    );
    let files: [(&str, &[u8]); 2] = [("upgrade.sh", slow.as_bytes()), ("VERSION", b"v4.15.0\n")];
    let mut site = Site::start().await;
    let file = site.home.path("agent.wpk");
    std::fs::write(&file, ca.package(&files).unwrap()).unwrap();
    let home = site.agent("web01", ca.certificate_pem()).await;
    let request = json!({"origin": {"module": "api"}, "command": "upgrade_custom",
        "parameters": {"agents": [1], "file_path": file}});
    let answer = ask_json(site.socket(), &request).await.unwrap();
    assert_eq!(answer["data"][0]["error"], 0, "{answer}");
    let begun = wait_until(PATIENCE, async || home.join("begun").exists().then_some(()));
    begun.await.expect("the installer runs");

    let mut daemon = site.daemon.take().unwrap();
    daemon.signal(Signal::TERM).unwrap();
    let stopped = daemon.wait(Duration::from_secs(15)).await.unwrap();
    assert!(stopped.success(), "{}", daemon.output());
    site.boot().await;
    std::fs::write(home.join("go"), "").unwrap();
    let request = json!({"origin": {"module": "api"}, "command": "upgrade_result",
        "parameters": {"agents": [1]}});
    let ended = wait_until(PATIENCE, async || {
        let answer = ask_json(site.socket(), &request).await?;
        let item = answer["data"][0].clone();
        (item["status"] != "Updating").then_some(item)
    });
    let ended = ended.await.expect("an end");
    assert_eq!(ended["status"], "Updated", "{ended}\n{}", daemon.output());
    assert_eq!((version(&home).as_str(), runs(&home)), ("v4.15.0", 1));
}
