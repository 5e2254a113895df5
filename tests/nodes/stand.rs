//! Two managers, their agents, and the database that both share.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::postgres::PostgresServer;
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{Manager, Repository, release, wait_until};

/// The lease of the nodes, in seconds: the shortest there is.
pub const LEASE: u64 = 3;

/// The nodes.
pub struct Site {
    pub database: PostgresServer,
    pub nodes: Vec<Manager>,
    pub parameters: Value,
    _repository: Repository,
}

/// The name of the node at this place.
pub fn name(at: usize) -> String {
    format!("node{:02}", at + 1)
}

/// The settings of a node.
pub fn settings(at: usize, database: &PostgresServer, more: &str) -> String {
    format!(
        "{more}\n[node]\nname = {:?}\n[store]\ntype = \"postgres\"\nhost = {:?}\nport = {}\n\
         user = \"postgres\"\ndatabase = \"postgres\"\nlease = \"{LEASE}s\"\n",
        name(at),
        database.socket_folder(),
        database.port(),
    )
}

impl Site {
    /// Two nodes with a WPK of `size` bytes; `None` where there is no PostgreSQL.
    pub async fn start(size: usize, more: &str) -> Option<Self> {
        Self::of(2, size, more).await
    }

    /// The same with so many nodes.
    pub async fn of(number: usize, size: usize, more: &str) -> Option<Self> {
        let database = PostgresServer::start()?;
        let mut nodes = Vec::new();
        for at in 0..number {
            let mut node = Manager::prepare(&settings(at, &database, more))
                .await
                .unwrap();
            node.log = "info".to_owned();
            node.remoted.keep_bytes(false);
            node.boot().await.unwrap();
            nodes.push(node);
        }
        let (repository, mut parameters) = release(&vec![7; size]).await.unwrap();
        parameters["version"] = json!("v4.14.8");
        Some(Self {
            database,
            nodes,
            parameters,
            _repository: repository,
        })
    }

    /// Every directory shows these agents as connected to a node, which takes their words.
    pub fn place(&self, agents: impl Iterator<Item = u32> + Clone, at: usize) {
        for node in &self.nodes {
            for id in agents.clone() {
                let mut row = agent_row(id.into(), "Wazuh v4.7.0");
                row["node_name"] = json!(name(at));
                node.wdb.set_agent(row);
            }
        }
    }

    /// All nodes have seen each other.
    pub async fn acquainted(&self) {
        let others = |at: usize| (0..self.nodes.len()).filter(move |other| *other != at);
        for (at, node) in self.nodes.iter().enumerate() {
            for other in others(at).map(name) {
                let seen = wait_until(PATIENCE, async || {
                    let output = node.output();
                    let seen = |line: &str| {
                        let says = ["another node shares", "another node is back"];
                        line.contains(&other) && says.iter().any(|words| line.contains(words))
                    };
                    output.lines().any(seen).then_some(())
                });
                seen.await.unwrap();
            }
        }
    }

    /// The shown status of each agent's newest task, as a node tells it.
    pub async fn statuses(&self, at: usize, agents: &[u32]) -> BTreeMap<u32, String> {
        let request = json!({
            "origin": {"module": "api"}, "command": "upgrade_result",
            "parameters": {"agents": agents},
        });
        let answer = self.nodes[at].ask(request.to_string()).await;
        let answer = answer.unwrap_or(Value::Null);
        let items = answer["data"].as_array().cloned().unwrap_or_default();
        let status = |item: &Value| {
            let agent = u32::try_from(item["agent"].as_u64()?).ok()?;
            Some((agent, item["status"].as_str()?.to_owned()))
        };
        items.iter().filter_map(status).collect()
    }

    /// Waits until no task of these agents is under way, as a node tells it.
    pub async fn all_ended(
        &self,
        at: usize,
        agents: &[u32],
        within: Duration,
    ) -> BTreeMap<u32, String> {
        // Two thousand agents are no small question: it is not asked all the time.
        let mut ticks = tokio::time::interval(Duration::from_millis(250));
        let ended = async {
            loop {
                ticks.tick().await;
                let statuses = self.statuses(at, agents).await;
                let over = |status: &String| !["In queue", "Updating"].contains(&status.as_str());
                if statuses.len() == agents.len() && statuses.values().all(over) {
                    return statuses;
                }
            }
        };
        match tokio::time::timeout(within, ended).await {
            Ok(ended) => ended,
            Err(_) => {
                let statuses = self.statuses(at, agents).await;
                let mut counts = BTreeMap::<&str, usize>::new();
                for status in statuses.values() {
                    *counts.entry(status).or_default() += 1;
                }
                panic!("{within:?} later: {counts:?}\n{}", self.nodes[at].output());
            }
        }
    }

    /// How often each agent was told to run its installer, by any node.
    pub fn begun(&self) -> BTreeMap<u32, usize> {
        let mut begun = BTreeMap::new();
        for frame in self.nodes.iter().flat_map(|node| node.remoted.frames()) {
            if frame.step == "upgrade" {
                *begun.entry(frame.agent).or_default() += 1;
            }
        }
        begun
    }
}
