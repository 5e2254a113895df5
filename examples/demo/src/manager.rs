//! The manager: a `wpkd` process, and what is asked of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use wpk_api::{AgentId, ConnectionStatus};
use wpk_testkit::client::ask;
use wpk_testkit::process::{Process, Signal};
use wpk_testkit::wait_until;
use wpk_wire::own::{ListAgents, ListedAgent, OwnRequest, RolloutRequest};
use wpk_wire::{Item, Response, UpgradeRequest};

use crate::error::DemoError;
use crate::programs::{Programs, output_of};
use crate::scratch::Scratch;

/// How long it may take to start, and to stop.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long all agents together may take to connect.
const CONNECTING: Duration = Duration::from_secs(30);

/// A running manager. Killed when dropped.
pub(crate) struct Manager {
    process: Process,
    home: PathBuf,
    socket: PathBuf,
}

impl Manager {
    /// Starts it as it runs without a configuration file: its own task store,
    /// its own agent channel, everything in one folder. Only its port is not
    /// the usual one, so that it gets in nobody's way.
    pub(crate) async fn start(programs: &Programs, scratch: &Scratch) -> Result<Self, DemoError> {
        Self::begin(programs.command("wpkd"), scratch).await
    }

    /// The same with a configuration file that names the repository at this address.
    pub(crate) async fn start_with_repository(
        programs: &Programs,
        scratch: &Scratch,
        url: &str,
    ) -> Result<Self, DemoError> {
        let file = scratch.path("wpkd.toml");
        let text = format!("[[provider]]\ntype = \"repository\"\nurl = \"{url}\"\n");
        std::fs::write(&file, text)
            .map_err(|source| DemoError::io(file.display().to_string(), source))?;
        let mut command = programs.command("wpkd");
        command.arg("--config").arg(file);
        Self::begin(command, scratch).await
    }

    async fn begin(mut command: Command, scratch: &Scratch) -> Result<Self, DemoError> {
        let home = scratch.manager_home();
        command
            .arg("--home")
            .arg(&home)
            .env("WPKD_TRANSPORT__TYPE", "channel")
            .env("WPKD_TRANSPORT__LISTEN", "127.0.0.1:0")
            .env("RUST_LOG", "info");
        let mut process = Process::start(command, scratch.log("wpkd"))
            .map_err(|source| DemoError::io("wpkd cannot be started", source))?;
        match process.wait_for_line("wpkd: ready", PATIENCE).await {
            Some(_) => Ok(Self {
                process,
                home,
                socket: scratch.manager_socket(),
            }),
            None => Err(DemoError::late("wpkd was not ready", PATIENCE)),
        }
    }

    /// The socket that takes requests.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Sends one request as the documentation says: four bytes of length, little
    /// endian, then JSON; the answer comes back in the same form.
    pub(crate) async fn ask(&self, request: &str) -> Result<String, DemoError> {
        let answer = ask(&self.socket, request).await;
        let text = answer.and_then(|answer| String::from_utf8(answer).ok());
        text.ok_or_else(|| DemoError::Answer {
            request: request.to_owned(),
            answer: "nothing".to_owned(),
        })
    }

    /// The items of the answer to a request.
    pub(crate) async fn items(&self, request: &UpgradeRequest) -> Result<Vec<Item>, DemoError> {
        let request = String::from_utf8_lossy(&request.to_bytes()).into_owned();
        let answer = self.ask(&request).await?;
        match Response::parse(answer.as_bytes()) {
            // It was understood, whatever is to say about single agents.
            Ok(response) if response.error.is_success() => Ok(response.data),
            _ => Err(DemoError::Answer { request, answer }),
        }
    }

    /// The items of the answer to a request about rollouts.
    pub(crate) async fn ask_rollout(
        &self,
        request: impl Into<RolloutRequest>,
    ) -> Result<Vec<Item>, DemoError> {
        let request = UpgradeRequest::Own(OwnRequest::Rollout(request.into()));
        self.items(&request).await
    }

    /// Enrolls an agent with the administrator's tool, which also makes the
    /// agent's home. Returns the agent's id.
    pub(crate) async fn enroll(
        &self,
        programs: &Programs,
        name: &str,
        home: &Path,
    ) -> Result<AgentId, DemoError> {
        let mut command = self.tool(programs);
        command
            .args(["agent", "enroll", name, "--json", "--out"])
            .arg(home);
        let printed = output_of(&mut command).await?;
        let answer: Option<Value> = serde_json::from_str(&printed).ok();
        answer
            .as_ref()
            .and_then(|answer| AgentId::new(answer.get("agent")?.as_i64()?).ok())
            .ok_or_else(|| DemoError::Answer {
                request: format!("wpkctl agent enroll {name}"),
                answer: printed,
            })
    }

    /// The administrator's tool, for this manager.
    pub(crate) fn tool(&self, programs: &Programs) -> Command {
        let mut command = programs.command("wpkctl");
        command.arg("--home").arg(&self.home);
        command
    }

    /// Waits until it lists all of these as active.
    pub(crate) async fn wait_until_active(&self, agents: &[AgentId]) -> Result<(), DemoError> {
        let is_active = |item: &Item| {
            let listed = ListedAgent::from_item(item)?;
            (listed.connection == ConnectionStatus::Active).then_some(listed.agent)
        };
        let all = async || {
            let request = UpgradeRequest::Own(ListAgents::default().into());
            let items = self.items(&request).await.ok()?;
            let active: Vec<AgentId> = items.iter().filter_map(is_active).collect();
            agents
                .iter()
                .all(|agent| active.contains(agent))
                .then_some(())
        };
        wait_until(CONNECTING, all)
            .await
            .ok_or_else(|| DemoError::late("not all agents were active", CONNECTING))
    }

    /// Asks it to end, and waits for it.
    pub(crate) async fn stop(&mut self) -> Result<(), DemoError> {
        end(&mut self.process, "wpkd").await
    }
}

/// Ends a process in order: SIGTERM, then its exit status 0.
pub(crate) async fn end(process: &mut Process, name: &str) -> Result<(), DemoError> {
    process
        .signal(Signal::TERM)
        .map_err(|source| DemoError::io(format_args!("{name} cannot be stopped"), source))?;
    match process.wait(PATIENCE).await {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(DemoError::Failed {
            program: name.to_owned(),
            status,
            output: "it was asked to stop".to_owned(),
        }),
        Err(_) => Err(DemoError::late(
            format_args!("{name} did not stop"),
            PATIENCE,
        )),
    }
}
