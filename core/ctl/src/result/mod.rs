//! `wpkctl result`: the last upgrade task of each agent, tasks by their ids, or all
//! (`history`). `found` is one of them as a row and as an object, `log` its timeline.

mod found;
mod history;
mod log;

use std::collections::HashMap;

use clap::{ArgGroup, Args};
use wpk_api::{AgentId, TaskId};
use wpk_wire::Item;

use crate::error::CtlError;
use crate::manager::client::Client;
use crate::manager::fleet::{self, Agent};
use crate::manager::results::{self, CHUNK};
use crate::manager::socket;
use crate::manager::timelines;
use crate::options::Global;
use crate::output::{Ending, Output};
use crate::table::{render, table};
use crate::who::{self, Who};
use found::{COLUMNS, Found};
use history::HistoryArgs;

#[derive(Debug, Args)]
#[command(group = who::or(&["task"]).required(false))]
#[command(group = asked())]
#[command(group = history::group())]
pub(crate) struct ResultArgs {
    #[command(flatten)]
    pub(crate) who: Who,
    /// These tasks instead of the last ones of agents.
    #[arg(long, value_name = "TASK", num_args = 1.., value_parser = task)]
    pub(crate) task: Vec<i64>,
    /// Tell what happened to each task, step by step: when, who was asked, what came of it,
    /// and for a failure the words of whoever said it and what to do.
    #[arg(long)]
    pub(crate) log: bool,
    /// Every task that the manager still has, not only the last ones; the newest first. With
    /// agents: theirs. For a daemon that lists its tasks.
    #[arg(long, conflicts_with_all = ["task", "log"])]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) history: HistoryArgs,
}

fn task(text: &str) -> Result<i64, String> {
    let wrong = |_| format!("{text:?} is no number of a task: write what `wpkctl tasks` shows");
    text.parse().map_err(wrong)
}

/// Something must be asked for.
fn asked() -> ArgGroup {
    let group = ArgGroup::new("asked").required(true).multiple(true);
    group.args(["agents", "select", "task", "all", "since", "failed"])
}

/// Prints one row, or one object, per task. For how it ends see [`Found::ending`].
pub(crate) async fn run(
    global: &Global,
    args: ResultArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    let mut client = Client::new(socket::path(global)?);
    if args.all || args.history.since.is_some() || args.history.failed {
        let agents = match args.who.is_empty() {
            true => Vec::new(),
            false => args.who.find(&mut client).await?,
        };
        return history::run(&mut client, &args.history, &agents, out).await;
    }
    let entries = if args.log { None } else { Some(0) };
    let mut found = if args.task.is_empty() {
        let agents = args.who.find(&mut client).await?;
        of_agents(&mut client, &agents, entries, args.log, out).await?
    } else {
        let tasks: Vec<TaskId> = args.task.iter().copied().map(TaskId).collect();
        of_tasks(&mut client, &tasks, entries).await?
    };
    introduce(&mut client, &mut found).await;
    let mut rows = table(&COLUMNS);
    for found in &found {
        out.event(&found.object(args.log))?;
        rows.add_row(found.cells());
    }
    out.line(render(&rows))?;
    if args.log {
        for found in &found {
            log::print(found, out)?;
        }
    }
    Ok(Ending::of(found.iter().map(Found::ending)))
}

/// Enters what the agents are called, as far as the manager tells: what is known of the tasks
/// is worth printing without it.
async fn introduce(client: &mut Client, found: &mut [Found]) {
    let agents = found.iter().filter_map(|found| found.agent);
    let Ok(agents) = fleet::find(client, agents).await else {
        return;
    };
    for found in found {
        let agent = found.agent.and_then(|agent| agents.get(&agent));
        found.name = agent.and_then(Agent::name);
    }
}

/// The last task of each agent, and why those ended that did.
async fn of_agents(
    client: &mut Client,
    agents: &[AgentId],
    entries: Option<usize>,
    log: bool,
    out: &Output,
) -> Result<Vec<Found>, CtlError> {
    let mut items: HashMap<AgentId, Item> = HashMap::new();
    for chunk in agents.chunks(CHUNK) {
        let answer = results::of(client, chunk).await?.into_iter();
        items.extend(answer.filter_map(|item| Some((item.agent_id()?, item))));
    }
    let mut found: Vec<Found> = agents
        .iter()
        .map(|agent| Found::of_agent(*agent, items.remove(agent)))
        .collect();
    let asked: Vec<AgentId> = (found.iter())
        .filter(|found| found.has_timeline(log))
        .filter_map(|found| found.agent)
        .collect();
    match timelines::of_agents(client, &asked, entries).await? {
        Some(mut told) => {
            for found in &mut found {
                let of_agent = found.agent.and_then(|agent| told.remove(&agent));
                found.learn(of_agent.and_then(|told| told.timeline));
            }
        }
        None if log => out.warn(timelines::NONE),
        None => {}
    }
    Ok(found)
}

/// Tasks by their ids, in the order asked.
async fn of_tasks(
    client: &mut Client,
    tasks: &[TaskId],
    entries: Option<usize>,
) -> Result<Vec<Found>, CtlError> {
    let Some(mut told) = timelines::of_tasks(client, tasks, entries).await? else {
        return Err(CtlError::Unexpected(format!(
            "{} and cannot be asked for tasks by their ids; ask for agents",
            timelines::NONE
        )));
    };
    Ok(tasks
        .iter()
        .map(|task| Found::of_task(*task, told.remove(task)))
        .collect())
}
