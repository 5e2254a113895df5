//! The agents: a home for each with what it is upgraded, and a `wpk-agent` process that
//! runs there. Two of them are what is upgraded themselves.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::Command;
use wpk_api::{AgentId, Cause};
use wpk_testkit::process::Process;
use wpk_testkit::wait_until;

use crate::agents::{CAST, Member, OLD};
use crate::error::DemoError;
use crate::home;
use crate::manager::{Manager, end};
use crate::packages::Repository;
use crate::programs::{Programs, command_of, output_of};
use crate::scratch::Scratch;

/// How long an agent may take to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// All running agents. Killed when dropped.
pub(crate) struct Fleet {
    agents: Vec<Agent>,
}

/// One of them.
pub(crate) struct Agent {
    pub(crate) id: AgentId,
    pub(crate) member: &'static Member,
    home: PathBuf,
    /// The version of its program before the upgrade.
    before: String,
    process: Process,
}

/// How the manager says that an agent's task ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ending {
    /// `Updated`, `Error`, ...
    pub(crate) status: String,
    /// `error_msg`; empty where there is none.
    pub(crate) reason: String,
    /// Why it failed, in the words of whoever said it, and what to do.
    pub(crate) cause: Option<Cause>,
    /// From the request until the end was seen.
    pub(crate) took: Duration,
}

/// What became of one agent.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) id: AgentId,
    pub(crate) member: &'static Member,
    /// What its program said before and after: a version, or why it does not run.
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) ending: Ending,
}

impl Fleet {
    /// Enrolls every agent, prepares its home, and starts it.
    pub(crate) async fn start(
        programs: &Programs,
        scratch: &Scratch,
        manager: &Manager,
        repository: &Repository,
    ) -> Result<Self, DemoError> {
        let mut agents = Vec::new();
        for member in &CAST {
            let home = scratch.agent_home(member.name);
            let id = manager.enroll(programs, member.name, &home).await?;
            home::prepare(&home, &member.system, repository.trusted_by(member.fate))?;
            let (before, mut command) = if member.fate.is_agents_own() {
                // A copy of its own, which another process has written: this one may be
                // starting a third at any moment, which would hold it open for writing.
                let mut copy = Command::new("cp");
                copy.arg(programs.path("wpk-agent")).arg(agent_in(&home));
                output_of(&mut copy).await?;
                (OLD.to_owned(), command_of(&agent_in(&home)))
            } else {
                (
                    home::ask_program(&home).await?,
                    programs.command("wpk-agent"),
                )
            };
            command
                .arg("--config")
                .arg(home::settings(&home))
                .env("WPK_AGENT_LOG", "info");
            let process = Process::start(command, scratch.log(member.name))
                .map_err(|source| DemoError::io("wpk-agent cannot be started", source))?;
            agents.push(Agent {
                id,
                member,
                home,
                before,
                process,
            });
        }
        Ok(Self { agents })
    }

    /// The agents, ascending by id.
    pub(crate) fn agents(&self) -> &[Agent] {
        &self.agents
    }

    /// Their ids.
    pub(crate) fn ids(&self) -> Vec<AgentId> {
        self.agents.iter().map(|agent| agent.id).collect()
    }

    /// Waits until the manager lists all of them as active.
    pub(crate) async fn wait_until_active(&self, manager: &Manager) -> Result<(), DemoError> {
        manager.wait_until_active(&self.ids()).await
    }

    /// Asks every program which version it is now. The endings are in the order
    /// of the agents.
    pub(crate) async fn outcomes(&self, endings: Vec<Ending>) -> Result<Vec<Outcome>, DemoError> {
        let mut outcomes = Vec::new();
        for (agent, ending) in self.agents.iter().zip(endings) {
            let asked = match agent.member.fate.is_agents_own() {
                true => ask_agent(&agent.home).await,
                false => home::ask_program(&agent.home).await,
            };
            let to = match asked {
                Ok(version) => version,
                // A program that does not run is a result, and a bad one.
                Err(error) => error.to_string(),
            };
            outcomes.push(Outcome {
                id: agent.id,
                member: agent.member,
                from: agent.before.clone(),
                to,
                ending,
            });
        }
        Ok(outcomes)
    }

    /// Asks every agent to end, and waits for it.
    pub(crate) async fn stop(&mut self) -> Result<(), DemoError> {
        for agent in &mut self.agents {
            if agent.member.fate.is_agents_own() {
                agent.end_successor().await?;
                continue;
            }
            end(&mut agent.process, agent.member.name).await?;
        }
        Ok(())
    }
}

impl Agent {
    /// `001 web-1`
    pub(crate) fn label(&self) -> String {
        label(self.id, self.member)
    }

    /// Ends the process that its installer has started in the place of ours.
    async fn end_successor(&self) -> Result<(), DemoError> {
        let name = self.member.name;
        let pid = status(&self.home).await?["running"].as_i64();
        let pid = pid.and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        let Some(pid) = pid else {
            return Err(DemoError::late(format_args!("{name} ran"), PATIENCE));
        };
        // One that has ended in between is seen below.
        let _ = kill_process(pid, Signal::TERM);
        let gone = async || {
            status(&self.home).await.ok()?["running"]
                .is_null()
                .then_some(())
        };
        wait_until(PATIENCE, gone)
            .await
            .ok_or_else(|| DemoError::late(format_args!("{name} did not stop"), PATIENCE))
    }
}

impl Outcome {
    /// `001 web-1`
    pub(crate) fn label(&self) -> String {
        label(self.id, self.member)
    }
}

fn label(id: AgentId, member: &Member) -> String {
    format!("{id} {}", member.name)
}

/// The copy of `wpk-agent` of a home whose agent is what is upgraded.
fn agent_in(home: &Path) -> PathBuf {
    home.join("bin/wpk-agent")
}

/// What the program of such a home tells of the agent that runs there.
async fn status(home: &Path) -> Result<Value, DemoError> {
    let mut command = command_of(&agent_in(home));
    command
        .arg("--config")
        .arg(home::settings(home))
        .args(["status", "--json"]);
    let output = command
        .output()
        .await
        .map_err(|source| DemoError::io("wpk-agent status cannot be run", source))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(&printed).map_err(|_| DemoError::Answer {
        request: "wpk-agent status".to_owned(),
        answer: printed + &String::from_utf8_lossy(&output.stderr),
    })
}

/// Which version did the agent that runs tell its manager, when it was welcomed?
async fn ask_agent(home: &Path) -> Result<String, DemoError> {
    let status = status(home).await?;
    let channel = &status["told"]["channel"];
    Ok(
        match (status["running"].is_u64(), channel["connected"].as_bool()) {
            (true, Some(true)) => channel["version"].as_str().unwrap_or_default().to_owned(),
            (true, _) => "not connected".to_owned(),
            (false, _) => "not running".to_owned(),
        },
    )
}
