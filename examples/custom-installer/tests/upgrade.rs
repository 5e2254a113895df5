//! The installer in a real WPK, carried out by a real agent.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::UnixDatagram;
use tokio::process::Command;
use tokio::time::timeout;
use wpk_testkit::wpk::SigningCa;
use wpk_testkit::{Client, Home, Process, process, wait_until, write_executable};

const DEADLINE: Duration = Duration::from_secs(60);
const SETTINGS: &str = "[listen]\n[upgrade]\nnotification_wait_start = \"50ms\"\n\
    notification_wait_max = \"200ms\"\nresult_check = \"20ms\"\n";
const OLD: &str = "#!/bin/sh\necho 1.0\n";

static PROGRAMS: LazyLock<PathBuf> = LazyLock::new(|| process::build(&["wpk-agent"]).unwrap());
static CA: LazyLock<SigningCa> = LazyLock::new(|| SigningCa::new().unwrap());

struct Agent {
    home: Home,
    queue: UnixDatagram,
    process: Process,
}

impl Agent {
    /// A home with the old sensor, and the agent in it.
    async fn start() -> Self {
        let home = Home::new().unwrap();
        fs::create_dir(home.path("bin")).unwrap();
        write_executable(&home.path("bin/sensor"), OLD.as_bytes(), 0o755).unwrap();
        fs::write(home.path("etc/wpk_root.pem"), CA.certificate_pem()).unwrap();
        let config = home.path("etc/agent.toml");
        fs::write(&config, SETTINGS).unwrap();
        let queue = UnixDatagram::bind(home.path("queue/sockets/queue")).unwrap();
        let mut command = Command::new(PROGRAMS.join("wpk-agent"));
        command
            .arg("--config")
            .arg(config)
            .arg("--home")
            .arg(home.root());
        let mut process = Process::start(command, home.path("agent.log")).unwrap();
        let ready = process.wait_for_line("the agent is ready", DEADLINE).await;
        assert!(ready.is_some(), "{}", process.output());
        Self {
            home,
            queue,
            process,
        }
    }

    async fn ask(&self, command: &str, parameters: Value) -> Value {
        let request = json!({"command": command, "parameters": parameters});
        let mut client = Client::connect(self.home.path("queue/sockets/upgrade"))
            .await
            .unwrap();
        let answer = client.ask(request.to_string()).await.unwrap().unwrap();
        serde_json::from_slice(&answer).unwrap()
    }

    /// Sends the package and has its installer run; what that answered.
    async fn upgrade(&self, wpk: &[u8]) -> Value {
        let file = "sensor.wpk";
        let opened = self.ask("open", json!({"mode": "wb", "file": file})).await;
        assert_eq!(opened["error"], 0, "{opened}");
        for chunk in wpk.chunks(32_768) {
            let buffer = base64_simd::STANDARD.encode_to_string(chunk);
            let write = json!({"buffer": buffer, "length": chunk.len(), "file": file});
            assert_eq!(self.ask("write", write).await["error"], 0);
        }
        assert_eq!(self.ask("close", json!({"file": file})).await["error"], 0);
        self.ask(
            "upgrade",
            json!({"file": file, "installer": "custom-installer"}),
        )
        .await
    }

    /// The installer is run, and the agent reports this end of it.
    async fn upgrade_ends(&self, wpk: &[u8], error: i64, status: &str) {
        let answer = self.upgrade(wpk).await;
        let run = json!({"error": 0, "message": "0", "data": []});
        assert_eq!(answer, run, "{}", self.log());
        let told = self.acknowledgement().await;
        assert_eq!(told["parameters"]["error"], error, "{told} {}", self.log());
        assert_eq!(told["parameters"]["status"], status);
    }

    async fn acknowledgement(&self) -> Value {
        let mut buffer = vec![0; 4096];
        let received = timeout(DEADLINE, self.queue.recv(&mut buffer)).await;
        let length = received
            .unwrap_or_else(|_| panic!("{}", self.log()))
            .unwrap();
        let message = buffer[..length].strip_prefix(b"u:upgrade_module:").unwrap();
        // A real agent sends a NUL byte along.
        let message = message.strip_suffix(b"\0").unwrap_or(message);
        serde_json::from_slice(message).unwrap()
    }

    /// What agent and installer have logged.
    fn log(&self) -> String {
        let installer = fs::read_to_string(self.home.path("logs/wpk-installer.log"));
        format!(
            "{}\n{}",
            self.process.output(),
            installer.unwrap_or_default()
        )
    }

    /// What the sensor in the home says, and its mode.
    async fn sensor(&self) -> (String, u32) {
        let path = self.home.path("bin/sensor");
        let output = Command::new(&path)
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .await;
        let mode = fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        (String::from_utf8(output.unwrap().stdout).unwrap(), mode)
    }

    /// Waits until nothing but the lock is left of the run.
    async fn settled(&self) {
        let folder = self.home.path("var/installer");
        let settled = wait_until(DEADLINE, || {
            let names = fs::read_dir(&folder).map(|entries| entries.count());
            std::future::ready((names.ok() == Some(1)).then_some(()))
        });
        assert!(settled.await.is_some(), "{}", self.log());
    }
}

/// The example's package, with these rules.
fn package(rules: &str) -> Vec<u8> {
    let installer = fs::read(env!("CARGO_BIN_EXE_custom-installer")).unwrap();
    let payload = Path::new(env!("CARGO_MANIFEST_DIR")).join("payload");
    let sensor = fs::read(payload.join("sensor")).unwrap();
    let files = [
        ("custom-installer", installer.as_slice()),
        ("sensor", sensor.as_slice()),
        ("rules", rules.as_bytes()),
    ];
    CA.package(&files).unwrap()
}

fn shipped_rules() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("payload/rules")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_package_is_installed() {
    let agent = Agent::start().await;
    assert_eq!(agent.sensor().await, ("1.0\n".to_owned(), 0o755));
    agent
        .upgrade_ends(&package(&shipped_rules()), 0, "Done")
        .await;
    assert_eq!(agent.sensor().await, ("2.0\n".to_owned(), 0o750));
    assert_eq!(
        fs::read_to_string(agent.home.path("share/sensor/rules")).unwrap(),
        shipped_rules()
    );
    agent.settled().await;
    let cleared = agent.ask("clear_upgrade_result", json!({})).await;
    assert_eq!(cleared["error"], 0, "{cleared}");
    assert!(!agent.home.path("var/upgrade/upgrade_result").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_package_is_rolled_back() {
    let agent = Agent::start().await;
    agent
        .upgrade_ends(&package("rules for 3.0\n"), 2, "Failed")
        .await;
    assert_eq!(agent.sensor().await, ("1.0\n".to_owned(), 0o755));
    assert_eq!(
        fs::read_to_string(agent.home.path("bin/sensor")).unwrap(),
        OLD
    );
    assert!(
        !agent.home.path("share").exists(),
        "a folder that was not there before"
    );
    assert_eq!(fs::read_dir(agent.home.path("bin")).unwrap().count(), 1);
    agent.settled().await;
    assert!(agent.log().contains("not healthy"), "{}", agent.log());
}
