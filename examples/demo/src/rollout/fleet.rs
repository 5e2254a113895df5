//! The agents: a home for each with what it is upgraded, and a `wpk-agent` process that
//! runs there.

use std::path::PathBuf;

use wpk_api::AgentId;
use wpk_testkit::process::Process;

use crate::agents::UBUNTU;
use crate::error::DemoError;
use crate::home;
use crate::manager::{Manager, end};
use crate::programs::{Programs, output_of};
use crate::rollout::evidence::Evidence;
use crate::rollout::plan::{EACH, SITES, Site};
use crate::scratch::Scratch;

/// All running agents. Killed when dropped.
pub(crate) struct Fleet {
    agents: Vec<Agent>,
}

/// One of them.
pub(crate) struct Agent {
    pub(crate) id: AgentId,
    pub(crate) name: String,
    pub(crate) site: &'static Site,
    home: PathBuf,
    process: Process,
}

impl Fleet {
    /// Enrolls every agent, labels it with its site, prepares its home, and starts it.
    pub(crate) async fn start(
        programs: &Programs,
        scratch: &Scratch,
        manager: &Manager,
        trusted_ca: &str,
    ) -> Result<Self, DemoError> {
        let mut agents = Vec::new();
        for site in &SITES {
            let of_site = agents.len();
            for number in 1..=EACH {
                let name = format!("{}-{number:02}", site.name);
                let home = scratch.agent_home(&name);
                let id = manager.enroll(programs, &name, &home).await?;
                home::prepare(&home, &UBUNTU, trusted_ca)?;
                let mut command = programs.command("wpk-agent");
                command
                    .arg("--config")
                    .arg(home::settings(&home))
                    .env("WPK_AGENT_LOG", "info");
                let process = Process::start(command, scratch.log(&name))
                    .map_err(|source| DemoError::io("wpk-agent cannot be started", source))?;
                agents.push(Agent {
                    id,
                    name,
                    site,
                    home,
                    process,
                });
            }
            let ids = agents
                .iter()
                .skip(of_site)
                .map(|agent| agent.id.to_string());
            let ids: Vec<String> = ids.collect();
            let mut label = manager.tool(programs);
            label
                .args(["agent", "label", &ids.join(",")])
                .arg(format!("site={}", site.name));
            output_of(&mut label).await?;
        }
        Ok(Self { agents })
    }

    /// The agents, site by site.
    pub(crate) fn agents(&self) -> &[Agent] {
        &self.agents
    }

    /// Their ids.
    pub(crate) fn ids(&self) -> Vec<AgentId> {
        self.agents.iter().map(|agent| agent.id).collect()
    }

    /// One of them.
    pub(crate) fn find(&self, id: AgentId) -> Option<&Agent> {
        self.agents.iter().find(|agent| agent.id == id)
    }

    /// What their homes tell, in their order.
    pub(crate) async fn evidence(&self) -> Result<Vec<Evidence>, DemoError> {
        let mut evidence = Vec::new();
        for agent in &self.agents {
            evidence.push(Evidence::of(&agent.home).await?);
        }
        Ok(evidence)
    }

    /// Asks every agent to end, and waits for it.
    pub(crate) async fn stop(&mut self) -> Result<(), DemoError> {
        for agent in &mut self.agents {
            end(&mut agent.process, &agent.name).await?;
        }
        Ok(())
    }
}

impl Agent {
    /// `001 lyon-01`
    pub(crate) fn label(&self) -> String {
        format!("{} {}", self.id, self.name)
    }
}
