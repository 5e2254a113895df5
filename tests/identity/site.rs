//! An embedded manager and agents, all real processes, each agent in a home of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::process::Signal;
use wpk_testkit::{Home, Process, binary};

/// The manager.
pub(crate) struct Site {
    pub(crate) home: Home,
    pub(crate) address: String,
    settings: Vec<(String, String)>,
    starts: usize,
    daemon: Process,
}

/// Starts the manager; also answers where agents dial in.
async fn boot(
    home: &Home,
    listen: &str,
    settings: &[(String, String)],
    start: usize,
) -> (Process, String) {
    let mut command = Command::new(binary("wpkd").unwrap());
    command.arg("--home").arg(home.path("m"));
    command
        .env("WPKD_TRANSPORT__TYPE", "channel")
        .env("WPKD_TRANSPORT__LISTEN", listen);
    for (key, value) in settings {
        command.env(format!("WPKD_TRANSPORT__{key}"), value);
    }
    let log = home.path(format!("wpkd-{start}.log"));
    let mut daemon = Process::start(command, log).unwrap();
    let line = daemon
        .wait_for_line("agent channel listening", PATIENCE)
        .await;
    let ready = daemon.wait_for_line("ready", PATIENCE).await;
    let (Some(line), Some(_)) = (line, ready) else {
        panic!("{}", daemon.output())
    };
    let (_, address) = line.split_once(" address=").unwrap();
    let address = address.split(' ').next().unwrap().trim().to_owned();
    (daemon, address)
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With these settings of the channel.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let home = Home::new().unwrap();
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let settings: Vec<_> = settings.iter().map(owned).collect();
        let (daemon, address) = boot(&home, "127.0.0.1:0", &settings, 1).await;
        Self {
            home,
            address,
            settings,
            starts: 1,
            daemon,
        }
    }

    /// Stops the manager in order.
    pub(crate) async fn stop(&mut self) {
        self.daemon.signal(Signal::TERM).unwrap();
        let status = self.daemon.wait(PATIENCE).await.unwrap();
        assert!(status.success(), "{}", self.daemon.output());
    }

    /// Starts it again at its address.
    pub(crate) async fn again(&mut self) {
        self.starts += 1;
        let (address, settings) = (&self.address, &self.settings);
        (self.daemon, _) = boot(&self.home, address, settings, self.starts).await;
    }

    pub(crate) async fn wpkctl(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new(binary("wpkctl").unwrap());
        command
            .arg("--home")
            .arg(self.home.path("m"))
            .args(arguments);
        run(command, "").await
    }

    /// A fresh token.
    pub(crate) async fn token(&self, uses: &str) -> String {
        let ended = self
            .wpkctl(&["agent", "token", "--uses", uses])
            .await
            .ended(0);
        ended.out.trim().to_owned()
    }

    /// `wpk-agent enroll` into a home, the token on standard input.
    pub(crate) async fn enroll(&self, home: &Path, token: &str, more: &[&str]) -> Ended {
        let mut command = Command::new(binary("wpk-agent").unwrap());
        command.arg("enroll").arg("--home").arg(home);
        command.args(["--manager", &self.address, "--token-file", "-"]);
        command.args(more);
        run(command, token).await
    }

    /// What the manager knows of an agent.
    pub(crate) async fn agent(&self, name: &str) -> Option<Value> {
        let ended = self.wpkctl(&["agents", "--json"]).await.ended(0);
        let agents = ended
            .out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        let mut agents = agents.filter(|agent: &Value| agent["name"] == name);
        agents.next()
    }

    /// What the manager said.
    pub(crate) fn log(&self) -> String {
        self.daemon.output()
    }

    /// An empty folder.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.home.path(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }
}

impl Ended {
    pub(crate) fn ended(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{self:?}");
        self
    }
}

/// Runs a program to its end.
pub(crate) async fn run(mut command: Command, input: &str) -> Ended {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // One that does not read it may have ended.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output());
    let output = output.await.expect("an end").unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ended {
        status: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// Starts an agent and waits until it is connected.
pub(crate) async fn start(config: &Path, log: PathBuf) -> Process {
    let mut command = Command::new(binary("wpk-agent").unwrap());
    command.arg("--config").arg(config);
    let mut agent = Process::start(command, log).unwrap();
    let connected = agent.wait_for_line("connected to", PATIENCE).await;
    assert!(connected.is_some(), "{}", agent.output());
    agent
}
