//! A real `wpkd` between a fake remote daemon and a fake wazuh-db: what a 4.x
//! manager looks like from the daemon's side.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::process::Signal;
use crate::remoted::Frame;
use crate::{FakeRemoted, FakeWazuhDb, Home, Process, ask, binary, wait_until};

/// How long a daemon may take to start, to stop, or to end a task in a test.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The settings every test begins with; what a test says is merged over them.
const SETTINGS: &str = r#"
dialect = "documented"
[node]
name = "node01"
version = "v4.14.9"
[directory]
type = "wazuh-db"
[transport]
type = "remoted"
timeout = "5s"
[[provider]]
type = "repository"
attempts = 2
retry_pause = "50ms"
timeout = "5s"
[[provider]]
type = "local-file"
"#;

/// A daemon and its surroundings. Everything ends and vanishes when it is dropped.
pub struct Manager {
    /// The installation folder.
    pub home: Home,
    /// The agents' records.
    pub wdb: FakeWazuhDb,
    /// The agents.
    pub remoted: FakeRemoted,
    /// What the daemon logs, as `RUST_LOG`; read at each start.
    pub log: String,
    daemon: Option<Process>,
    starts: usize,
}

impl Manager {
    /// Starts a daemon with `settings` (TOML) merged over the usual ones, and
    /// waits until it answers.
    ///
    /// # Errors
    /// What kept it from starting, with its output.
    pub async fn start(settings: &str) -> io::Result<Self> {
        let mut manager = Self::prepare(settings).await?;
        manager.boot().await?;
        Ok(manager)
    }

    /// Everything but the daemon, which [`boot`](Self::boot) starts.
    ///
    /// # Errors
    /// Those of folders and sockets, and settings that are no TOML.
    pub async fn prepare(settings: &str) -> io::Result<Self> {
        let home = Home::new()?;
        let wdb = FakeWazuhDb::start(home.wdb_socket())?;
        let remoted = FakeRemoted::start(home.remote_socket())?;
        remoted.acknowledge_to(home.upgrade_socket());
        let manager = Self {
            home,
            wdb,
            remoted,
            log: "debug,hyper=info,reqwest=info,h2=info,rustls=info".to_owned(),
            daemon: None,
            starts: 0,
        };
        manager.configure(settings)?;
        Ok(manager)
    }

    /// Writes the configuration anew; the next [`boot`](Self::boot) reads it.
    ///
    /// # Errors
    /// Settings that are no TOML, and those of writing the file.
    pub fn configure(&self, settings: &str) -> io::Result<()> {
        let parse = |text: &str| text.parse::<toml::Table>().map_err(io::Error::other);
        let mut table = parse(SETTINGS)?;
        merge(&mut table, parse(settings)?);
        table.insert("home".into(), self.home.root().display().to_string().into());
        let text = toml::to_string(&table).map_err(io::Error::other)?;
        std::fs::write(self.config(), text)
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.home.path("etc/wpkd.toml")
    }

    /// Starts the daemon, again after [`kill`](Self::kill) or [`stop`](Self::stop).
    ///
    /// # Errors
    /// What kept it from starting, with its output.
    pub async fn boot(&mut self) -> io::Result<()> {
        let mut command = Command::new(binary("wpkd")?);
        command.arg("--config").arg(self.config()).env("TZ", "UTC");
        command.env("RUST_LOG", &self.log);
        self.starts += 1;
        let log = self.home.path(format!("logs/wpkd-{}.log", self.starts));
        let mut daemon = Process::start(command, log)?;
        let ready = daemon.wait_for_line("wpkd: ready", PATIENCE).await;
        if ready.is_none() {
            return Err(io::Error::other(format!(
                "wpkd did not start:\n{}",
                daemon.output()
            )));
        }
        self.daemon = Some(daemon);
        Ok(())
    }

    /// The running daemon.
    ///
    /// # Errors
    /// None runs.
    pub fn daemon(&mut self) -> io::Result<&mut Process> {
        self.daemon
            .as_mut()
            .ok_or_else(|| io::Error::other("the daemon does not run"))
    }

    /// What the daemon wrote since its last start.
    pub fn output(&self) -> String {
        self.daemon
            .as_ref()
            .map(Process::output)
            .unwrap_or_default()
    }

    /// Kills the daemon with SIGKILL and reaps it.
    ///
    /// # Errors
    /// Those of the kernel.
    pub async fn kill(&mut self) -> io::Result<()> {
        match self.daemon.take() {
            Some(mut daemon) => daemon.kill().await,
            None => Ok(()),
        }
    }

    /// Asks the daemon to end and waits for it.
    ///
    /// # Errors
    /// It does not end in [`PATIENCE`].
    pub async fn stop(&mut self) -> io::Result<ExitStatus> {
        self.stop_within(PATIENCE).await
    }

    /// As [`stop`](Self::stop), with a limit.
    ///
    /// # Errors
    /// It does not end in time.
    pub async fn stop_within(&mut self, limit: Duration) -> io::Result<ExitStatus> {
        let mut daemon = self
            .daemon
            .take()
            .ok_or_else(|| io::Error::other("the daemon does not run"))?;
        daemon.signal(Signal::TERM)?;
        daemon.wait(limit).await
    }

    /// Sends one request to the upgrade socket.
    pub async fn ask(&self, request: impl AsRef<[u8]>) -> Option<Value> {
        let answer = ask(self.home.upgrade_socket(), request).await?;
        serde_json::from_slice(&answer).ok()
    }

    /// Sends one request to the task socket.
    pub async fn ask_tasks(&self, request: impl AsRef<[u8]>) -> Option<Value> {
        let answer = ask(self.home.task_socket(), request).await?;
        serde_json::from_slice(&answer).ok()
    }

    /// `upgrade` of these agents with these parameters; the items of the answer.
    pub async fn upgrade(&self, agents: &[u32], mut parameters: Value) -> Vec<Value> {
        parameters["agents"] = json!(agents);
        self.request("upgrade", parameters).await
    }

    /// `upgrade_custom` of these agents; the items of the answer.
    pub async fn upgrade_custom(&self, agents: &[u32], mut parameters: Value) -> Vec<Value> {
        parameters["agents"] = json!(agents);
        self.request("upgrade_custom", parameters).await
    }

    /// The item of `upgrade_result` for one agent.
    pub async fn result(&self, agent: u32) -> Value {
        let items = self
            .request("upgrade_result", json!({"agents": [agent]}))
            .await;
        items.into_iter().next().unwrap_or(Value::Null)
    }

    /// Waits until the newest task of an agent has one of these (shown)
    /// statuses, and returns its item; `None` after [`PATIENCE`].
    pub async fn wait_for_status(&self, agent: u32, statuses: &[&str]) -> Option<Value> {
        wait_until(PATIENCE, async || {
            let item = self.result(agent).await;
            let status = item.get("status").and_then(Value::as_str)?;
            statuses.contains(&status).then_some(item)
        })
        .await
    }

    /// Waits until an agent has been sent a command; `None` after [`PATIENCE`].
    pub async fn wait_for_step(&self, agent: u32, step: &str) -> Option<Frame> {
        self.remoted.wait_for(agent, step, PATIENCE).await
    }

    async fn request(&self, command: &str, parameters: Value) -> Vec<Value> {
        let request = json!({
            "origin": {"module": "api"}, "command": command, "parameters": parameters,
        });
        let answer = self.ask(request.to_string()).await.unwrap_or(Value::Null);
        answer
            .get("data")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    }
}

/// Tables are merged, everything else is replaced.
fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(into)), toml::Value::Table(from))
                if from.get("type").is_none() =>
            {
                merge(into, from);
            }
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}
