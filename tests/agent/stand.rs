//! An agent in a home of its own, the queue of a real agent daemon beside it, and a
//! manager's part: files go up, results are heard and cleared.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::UnixDatagram;
use tokio::process::Command;
use wpk_testkit::home::make_agent_folders;
use wpk_testkit::process::build;
use wpk_testkit::wpk::SigningCa;
use wpk_testkit::{Client, Process, wait_until};

pub const DEADLINE: Duration = Duration::from_secs(30);

/// Short pauses; everything else as by default.
const SETTINGS: &str = "[upgrade]\nnotification_wait_start = \"30ms\"\n\
    notification_wait_max = \"100ms\"\nresult_wait = \"5s\"\nresult_check = \"10ms\"\n\
    result_grace = \"300ms\"\n";

/// Making keys takes its time.
static CA: OnceLock<SigningCa> = OnceLock::new();

/// Ends an agent that an installer has started anew, however the test ends.
struct Successor(PathBuf);

impl Drop for Successor {
    fn drop(&mut self) {
        let text = fs::read(self.0.join("var/run/wpk-agent.state")).unwrap_or_default();
        let told: Value = serde_json::from_slice(&text).unwrap_or_default();
        let pid = told["pid"].as_i64().and_then(|pid| pid.try_into().ok());
        let Some(pid) = pid.and_then(Pid::from_raw) else {
            return;
        };
        let program = fs::read_link(format!("/proc/{}/exe", pid.as_raw_nonzero()));
        if program.is_ok_and(|program| program.starts_with(&self.0)) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

pub struct Stand {
    // Before the home, in which it looks.
    _successor: Successor,
    /// Ended before its home goes, which it would make again.
    pub process: Process,
    pub home: TempDir,
    ca: &'static SigningCa,
    queue: UnixDatagram,
    config: PathBuf,
}

impl Stand {
    /// `more`: keys of `[upgrade]`, then further sections.
    pub async fn start(more: &str) -> Self {
        Self::start_after(more, |_| {}).await
    }

    /// As [`Stand::start`], after something was done to the home.
    pub async fn start_after(more: &str, fault: impl FnOnce(&Path)) -> Self {
        let home = tempfile::Builder::new()
            .prefix("wpkt")
            .tempdir_in("/tmp")
            .unwrap();
        make_agent_folders(home.path()).unwrap();
        let ca = CA.get_or_init(|| SigningCa::new().unwrap());
        fs::write(home.path().join("etc/wpk_root.pem"), ca.certificate_pem()).unwrap();
        let queue = UnixDatagram::bind(home.path().join("queue/sockets/queue")).unwrap();
        let config = home.path().join("etc/agent.toml");
        fs::write(&config, format!("{SETTINGS}{more}\n[listen]\n")).unwrap();
        fault(home.path());
        let program = build(&["wpk-agent"]).unwrap().join("wpk-agent");
        Self::run(home, queue, config, Command::new(program)).await
    }

    /// As [`Stand::start`], with the program in the home, where it may be upgraded.
    pub async fn start_own() -> Self {
        let stand = Self::start("").await;
        let Self {
            _successor: successor,
            home,
            mut process,
            queue,
            config,
            ..
        } = stand;
        process.kill().await.unwrap();
        // At the end of this function it would end the agent that begins here.
        drop(successor);
        fs::create_dir(home.path().join("bin")).unwrap();
        let program = home.path().join("bin/wpk-agent");
        copy_agent(&program);
        fs::write(home.path().join("VERSION"), "v4.14.0\n").unwrap();
        Self::run(home, queue, config, Command::new(program)).await
    }

    /// As [`Stand::start`], by the user that owns nothing, whose the home is then.
    pub async fn start_as_nobody(more: &str) -> Self {
        let stand = Self::start(more).await;
        let Self {
            _successor: successor,
            home,
            mut process,
            queue,
            config,
            ..
        } = stand;
        process.kill().await.unwrap();
        drop(successor);
        // Where it was built he may not look.
        let program = home.path().join("etc/wpk-agent");
        copy_agent(&program);
        crate::system::give_to_nobody(home.path());
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command.arg(program);
        Self::run(home, queue, config, command).await
    }

    async fn run(home: TempDir, queue: UnixDatagram, config: PathBuf, agent: Command) -> Self {
        let process = run(agent, home.path(), &config).await;
        Self {
            _successor: Successor(home.path().to_owned()),
            home,
            process,
            ca: CA.get_or_init(|| SigningCa::new().unwrap()),
            queue,
            config,
        }
    }

    /// Kills the agent and starts it again.
    pub async fn restart(&mut self) {
        self.process.kill().await.unwrap();
        let program = build(&["wpk-agent"]).unwrap().join("wpk-agent");
        self.process = run(Command::new(program), self.home.path(), &self.config).await;
    }

    pub fn path(&self, inside: &str) -> PathBuf {
        self.home.path().join(inside)
    }

    /// The answer's code and text.
    pub async fn ask(&self, command: &str, parameters: Value) -> (u64, String) {
        let request = json!({"command": command, "parameters": parameters}).to_string();
        let mut client = Client::connect(self.path("queue/sockets/upgrade"))
            .await
            .unwrap();
        let answer = client.ask(request).await.unwrap().unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let text = answer["message"].as_str().unwrap().to_owned();
        (answer["error"].as_u64().unwrap(), text)
    }

    /// The code of `open`.
    pub async fn open(&self) -> u64 {
        self.ask("open", json!({"mode": "wb", "file": "f"})).await.0
    }

    pub async fn upload(&self, files: &[(&str, &[u8])]) {
        let content = self.ca.package(files).unwrap();
        let steps = async |command: &str, parameters: Value| {
            let answer = self.ask(command, parameters).await;
            assert_eq!(answer, (0, "ok".to_owned()), "{command}");
        };
        steps("open", json!({"mode": "wb", "file": "a.wpk"})).await;
        for chunk in content.chunks(32_768) {
            let buffer = base64_simd::STANDARD.encode_to_string(chunk);
            let write = json!({"buffer": buffer, "length": chunk.len(), "file": "a.wpk"});
            steps("write", write).await;
        }
        steps("close", json!({"file": "a.wpk"})).await;
    }

    /// Brings a package and has its installer run; the answer to `upgrade`.
    pub async fn upgrade(&self, files: &[(&str, &[u8])]) -> (u64, String) {
        self.upload(files).await;
        let parameters = json!({"file": "a.wpk", "installer": "upgrade.sh"});
        self.ask("upgrade", parameters).await
    }

    /// As [`Stand::upgrade`], with an installer of these lines.
    pub async fn install(&self, script: &str) -> (u64, String) {
        let script = format!("#!/bin/sh\n{script}\n");
        self.upgrade(&[("upgrade.sh", script.as_bytes())]).await
    }

    /// The next report, `STATUS: TEXT`.
    pub async fn told(&self) -> String {
        let mut buffer = vec![0; 4096];
        let length = tokio::time::timeout(DEADLINE, self.queue.recv(&mut buffer)).await;
        let Ok(length) = length else {
            let said = |file| fs::read_to_string(self.path(file)).unwrap_or_default();
            panic!(
                "nothing was reported\n{}\nand of the installer:\n{}\nof what is told of itself: \
                 {}; left: {:?}",
                self.process.output(),
                said("logs/wpk-installer.log"),
                said("var/run/wpk-agent.state"),
                self.left("var/installer"),
            );
        };
        let length = length.unwrap();
        let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
        let json = text.strip_prefix("u:upgrade_module:").unwrap();
        let value: Value = serde_json::from_str(json.trim_end_matches('\0')).unwrap();
        let of = |key: &str| value["parameters"][key].as_str().unwrap().to_owned();
        format!("{}: {}", of("status"), of("message"))
    }

    /// The names in a folder of the home.
    fn left(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten();
        let names = entries
            .filter_map(Result::ok)
            .map(|entry| entry.file_name());
        names.filter_map(|name| name.into_string().ok()).collect()
    }

    /// What was reported and not heard yet.
    pub fn told_so_far(&self) -> String {
        let mut buffer = vec![0; 4096];
        match self.queue.try_recv(&mut buffer) {
            Ok(length) => String::from_utf8_lossy(&buffer[..length]).into_owned(),
            Err(_) => "nothing told".to_owned(),
        }
    }

    /// The manager's part after a report.
    pub async fn clear(&self) -> u64 {
        let answer = self.ask("clear_upgrade_result", json!({})).await;
        self.forget_reports();
        answer.0
    }

    /// Reports of before that wait in the queue are about nothing any more.
    fn forget_reports(&self) {
        let mut buffer = vec![0; 4096];
        while self.queue.try_recv(&mut buffer).is_ok() {}
    }

    /// Waits until `probe` holds.
    pub async fn until(&self, what: &str, probe: impl Fn() -> bool) {
        let met = wait_until(DEADLINE, || std::future::ready(probe().then_some(()))).await;
        assert!(
            met.is_some(),
            "{what} did not happen\n{}",
            self.process.output()
        );
    }

    /// Waits until commands are taken.
    pub async fn until_open(&self) {
        let probe = async || (self.open().await == 0).then_some(());
        let met = wait_until(DEADLINE, probe).await;
        assert!(met.is_some(), "shut for good\n{}", self.process.output());
    }

    /// Has a whole upgrade go well; says so.
    pub async fn works(&self) -> &'static str {
        self.until_open().await;
        // One may have been on its way when the result was cleared.
        self.forget_reports();
        let answer = self.install("echo 0 > var/upgrade/upgrade_result").await;
        assert_eq!(answer, (0, "0".to_owned()), "{}", self.process.output());
        assert_eq!(self.told().await, "Done: Upgrade was successful");
        assert_eq!(self.clear().await, 0);
        assert_eq!(self.open().await, 0);
        "works"
    }
}

/// By another process: this one may be starting a third at any moment, which would hold
/// it open for writing.
fn copy_agent(to: &Path) {
    let built = build(&["wpk-agent"]).unwrap().join("wpk-agent");
    let copied = std::process::Command::new("cp").arg(built).arg(to).status();
    assert!(copied.unwrap().success());
}

pub fn is_gone(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z ")
}

async fn run(mut command: Command, home: &Path, config: &Path) -> Process {
    command.arg("--config").arg(config).arg("--home").arg(home);
    command.env("WPK_AGENT_LOG", "debug");
    let log = home.join("agent.log");
    // What an earlier one printed must not count.
    let _ = fs::remove_file(&log);
    let mut process = Process::start(command, log).unwrap();
    let ready = process.wait_for_line("the agent is ready", DEADLINE).await;
    assert!(ready.is_some(), "{}", process.output());
    process
}
