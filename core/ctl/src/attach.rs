//! `wpkctl watch`: attaches to what runs already, at any time and as often as wished: to all
//! that is under way, to some agents, or to a rollout.

use std::time::Duration;

use clap::Args;
use wpk_api::AgentId;
use wpk_rollout::Selector;

use crate::error::CtlError;
use crate::ids;
use crate::manager::client::Client;
use crate::manager::{fleet, socket};
use crate::options::{Global, pause};
use crate::output::{Ending, Output};
use crate::rollout;
use crate::watch;
use crate::watch::args::PaceArgs;
use crate::watch::board::Board;
use crate::watch::report::{self, Asked, Closing};
use crate::who::{Named, Who};

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Agents, as every command takes them: ids, ranges, names, patterns; or, alone, the name of a
    /// rollout that no agent has. Absent: every agent whose task is under way.
    #[arg(value_name = "AGENTS|ROLLOUT")]
    what: Vec<String>,
    /// All agents that a selector means, as in rollouts.
    #[arg(long, value_name = "SELECTOR", conflicts_with = "what")]
    select: Option<Selector>,
    /// How long to wait for new versions to be seen once every task has ended, 0s for not at
    /// all. Absent: until the manager has decided.
    #[arg(long, value_name = "TIME", value_parser = pause)]
    confirm_for: Option<Duration>,
    #[command(flatten)]
    pace: PaceArgs,
}

/// Watches until all of it has ended. Ends as `upgrade --watch` does, or as `rollout status
/// --watch`.
pub(crate) async fn run(
    global: &Global,
    args: WatchArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    let mut client = Client::new(socket::path(global)?);
    let agents = match (who(&args), &*args.what) {
        (Ok(who), []) if who.is_empty() => None,
        (Ok(who), what) => match (who.find(&mut client).await, what) {
            (Err(CtlError::Nobody(_)), [name]) => return rollout::watch(global, name, out).await,
            (found, _) => Some(found?),
        },
        (Err(_), [name]) => return rollout::watch(global, name, out).await,
        (Err(error), _) => return Err(CtlError::Usage(error)),
    };
    let mut board = Board::new(&[]);
    let work = attach_and_watch(&mut client, agents, &args, &mut board, out);
    let (closing, without) = match watch::unless_interrupted(work).await? {
        Some((closing, without)) => (closing, without),
        None => (Closing::Interrupted, Vec::new()),
    };
    let watched = !board.entries().is_empty();
    let told = report::print(&board, &Asked::File, closing, watched, out)?;
    // Nothing was ever asked of these, which the caller thought of otherwise.
    Ok(Ending::of([told, Ending::when(without.is_empty())]))
}

/// The agents that are named.
fn who(args: &WatchArgs) -> Result<Who, String> {
    let agents = args.what.iter().map(|word| word.parse::<Named>());
    Ok(Who {
        agents: agents.collect::<Result<_, _>>()?,
        select: args.select.clone(),
    })
}

/// How watching ended, and which of the agents have no task.
async fn attach_and_watch(
    client: &mut Client,
    named: Option<Vec<AgentId>>,
    args: &WatchArgs,
    board: &mut Board,
    out: &Output,
) -> Result<(Closing, Vec<AgentId>), CtlError> {
    let agents = match &named {
        Some(agents) => agents.clone(),
        None => fleet::everyone(client).await?,
    };
    let mut found = watch::attach(client, &agents).await?;
    let entries = found.entries().iter();
    let without = entries.filter(|entry| entry.task.is_none());
    let mut without: Vec<AgentId> = without.map(|entry| entry.agent).collect();
    match named {
        Some(_) => found.keep(|entry| entry.task.is_some()),
        None => {
            without.clear();
            found.keep(|entry| entry.task.is_some() && !entry.state.ended());
        }
    }
    *board = found;
    if !without.is_empty() {
        let ids = ids::compact(without.iter().copied());
        out.warn(format!("no upgrade task: {ids}"));
    }
    if board.entries().is_empty() {
        out.line("Nothing is under way.")?;
        return Ok((Closing::Ended, without));
    }
    watch::introduce(client, board).await?;
    let pace = args.pace.pace(args.confirm_for);
    let closing = watch::to_the_end(client, board, &Asked::File, &pace, out).await;
    Ok((closing, without))
}
