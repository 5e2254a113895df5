//! Who is meant: agents as every command line names them, by ids, ranges, names, patterns
//! and selectors. `named` reads an argument, `find` looks names up in the manager's list,
//! which is asked only where ids alone do not say it.
//!
//! A command that takes agents has [`Who`] among its options and says that they must be
//! given, or what else may stand for them:
//!
//! ```text
//! #[derive(Args)]
//! #[command(group = who::or(&["all"]))]
//! struct UpgradeArgs { #[command(flatten)] who: Who, #[arg(long)] all: bool }
//! ```

mod find;
mod named;

use clap::{ArgGroup, Args};
use wpk_api::AgentId;
use wpk_rollout::{Field, Selector};

use crate::error::CtlError;
use crate::manager::client::Client;
use crate::manager::fleet::{self, Agent};
use crate::output::clean;
use named::Word;
pub(crate) use named::{Named, OneAgent, detour};

/// Agents of a command line.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
pub(crate) struct Who {
    /// Agents: ids and ranges (7, 1-50), names (web01) and patterns ('db-*', where * stands for
    /// any characters); several with blanks or commas between them.
    #[arg(value_name = "AGENT")]
    pub(crate) agents: Vec<Named>,
    /// All agents that a selector means, as in rollouts: 'group = prod and version < v4.14'. It
    /// asks for id, name, group, version, platform, arch, site, node, status and label.NAME.
    #[arg(long, value_name = "SELECTOR")]
    pub(crate) select: Option<Selector>,
}

/// The rule that agents are named in one of the two ways.
pub(crate) fn must() -> ArgGroup {
    or(&[])
}

/// The rule that agents are named in one of the two ways, or not at all.
pub(crate) fn may() -> ArgGroup {
    must().required(false)
}

/// The rule that agents are named in one of the two ways, or one of these arguments says it.
pub(crate) fn or(others: &[&'static str]) -> ArgGroup {
    let group = ArgGroup::new("who").required(true);
    group
        .args(["agents", "select"])
        .args(others.iter().copied())
}

impl Who {
    /// Whether nobody is named.
    pub(crate) fn is_empty(&self) -> bool {
        self.agents.is_empty() && self.select.is_none()
    }

    /// The agents, in the order of their arguments, each once; those of a pattern and of a
    /// selector ascending. The manager is asked for its list where ids alone do not say it.
    ///
    /// # Errors
    /// [`CtlError::Usage`] for more than a million agents, a name that several have and a
    /// selector that asks what the manager does not tell; [`CtlError::Nobody`] for names,
    /// patterns and selectors that mean nobody; and those of the list.
    pub(crate) async fn find(&self, client: &mut Client) -> Result<Vec<AgentId>, CtlError> {
        if let Some(selector) = &self.select {
            let agents = list(client, asks_details(selector)).await?;
            return find::selected(selector, &agents);
        }
        let words: Vec<&Word> = self.agents.iter().flat_map(|named| &named.0).collect();
        let known = match words.iter().all(|word| matches!(word, Word::Ids(_))) {
            true => Vec::new(),
            false => list(client, false).await?,
        };
        find::words(&words, &known)
    }

    /// Keeps those of a list that are meant; all where nobody is named.
    ///
    /// # Errors
    /// As [`Who::find`], but that a selector may mean nobody.
    pub(crate) fn retain(&self, agents: &mut Vec<Agent>) -> Result<(), CtlError> {
        if self.is_empty() {
            return Ok(());
        }
        let mut found = match &self.select {
            Some(selector) => {
                find::can_be_asked(selector, agents)?;
                find::matching(selector, agents)
            }
            None => {
                let words: Vec<&Word> = self.agents.iter().flat_map(|named| &named.0).collect();
                find::words(&words, agents)?
            }
        };
        found.sort_unstable();
        agents.retain(|agent| found.binary_search(&agent.id()).is_ok());
        Ok(())
    }

    /// Whether the list must tell details.
    pub(crate) fn asks_details(&self) -> bool {
        self.select.as_ref().is_some_and(asks_details)
    }
}

/// Whether a selector asks for what only the details of the list tell.
fn asks_details(selector: &Selector) -> bool {
    selector.asks_labels() || selector.asks(&Field::Site)
}

impl OneAgent {
    /// The agent.
    ///
    /// # Errors
    /// As [`Who::find`].
    pub(crate) async fn find(&self, client: &mut Client) -> Result<AgentId, CtlError> {
        let agents = vec![Named(vec![self.0.clone()])];
        let who = Who {
            agents,
            select: None,
        };
        let found = who.find(client).await?.into_iter().next();
        found.ok_or_else(|| CtlError::Nobody("no agent is named".to_owned()))
    }
}

/// The manager's list. One that has none can be asked by ids only.
async fn list(client: &mut Client, details: bool) -> Result<Vec<Agent>, CtlError> {
    match fleet::list(client, None, details).await {
        Err(CtlError::Refused { code, message, .. }) => Err(CtlError::Nobody(format!(
            "the manager at {} does not list its agents (code {code}: {}), so they cannot be \
             found by name: write the ids",
            client.socket().display(),
            clean(&message)
        ))),
        other => other,
    }
}
