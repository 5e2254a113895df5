//! `wpkctl watch`: attaches to what runs already, at any time and as often as wished: to all
//! that is under way, to some agents, or to a rollout.

use std::time::Duration;

use clap::Args;
use wpk_api::AgentId;
use wpk_rollout::Selector;
use wpk_wire::own::rollout::AskRollout;

use crate::error::CtlError;
use crate::ids;
use crate::manager::client::Client;
use crate::manager::{fleet, socket};
use crate::options::{Global, pause};
use crate::output::{Ending, Output, clean};
use crate::rollout;
use crate::watch;
use crate::watch::args::PaceArgs;
use crate::watch::board::Board;
use crate::watch::report::{self, Asked, Closing};
use crate::who::{Named, Who};

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Agents, as every command takes them: ids, ranges, names, patterns; or, alone, the name of a
    /// rollout. Absent: every agent whose task is under way.
    #[arg(value_name = "AGENTS|ROLLOUT")]
    what: Vec<String>,
    /// All agents that a selector means, as in rollouts.
    #[arg(long, value_name = "SELECTOR", conflicts_with = "what")]
    select: Option<Selector>,
    /// A rollout, also where an agent has the same name.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["what", "select", "confirm_for"])]
    rollout: Option<String>,
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
    if let Some(name) = &args.rollout {
        return rollout::watch(global, name, args.pace.of_rollout(), out).await;
    }
    let mut client = Client::new(socket::path(global)?);
    let agents = match (who(&args), &*args.what) {
        (Ok(who), []) if who.is_empty() => None,
        (Ok(who), what) => match (who.find(&mut client).await, what) {
            (Err(CtlError::Nobody(no_agent)), [name]) => {
                let watched = rollout::watch(global, name, args.pace.of_rollout(), out).await;
                return watched.map_err(|error| neither(error, &no_agent, CtlError::Nobody));
            }
            (Ok(found), [name]) if !is_number(name) => {
                is_no_rollout(&mut client, name, &found).await?;
                Some(found)
            }
            (found, _) => Some(found?),
        },
        (Err(no_agent), [name]) => {
            let watched = rollout::watch(global, name, args.pace.of_rollout(), out).await;
            return watched.map_err(|error| neither(error, &no_agent, CtlError::Usage));
        }
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

/// The error where a word means no agent and, as `error` tells, no rollout.
fn neither(error: CtlError, no_agent: &str, both: fn(String) -> CtlError) -> CtlError {
    match error {
        CtlError::Refused { message, .. } => both(format!("{}; and {no_agent}", clean(&message))),
        CtlError::Usage(no_rollout) => both(format!("{no_agent}; and {no_rollout}")),
        other => other,
    }
}

/// What looks like a number is an id and nothing else.
fn is_number(word: &str) -> bool {
    let numeric = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b',');
    word.bytes().all(numeric)
}

/// Whether the name of these agents is theirs alone.
///
/// # Errors
/// [`CtlError::Usage`] where a rollout has it too; those of the connection.
async fn is_no_rollout(
    client: &mut Client,
    name: &str,
    agents: &[AgentId],
) -> Result<(), CtlError> {
    let asked = AskRollout {
        name: name.to_owned(),
        failures: Some(0),
    };
    match client.own(asked).await {
        Ok(_) => Err(CtlError::Usage(format!(
            "{name:?} is the name of agent {} and of a rollout; write the agent's id, or \
             --rollout {name}",
            ids::compact(agents.iter().copied())
        ))),
        // There is none, or none of any name.
        Err(CtlError::Refused { .. }) => Ok(()),
        Err(error) => Err(error),
    }
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
        // Of those that were named it was said above.
        if without.is_empty() {
            out.line("Nothing is under way.")?;
        }
        return Ok((Closing::Ended, without));
    }
    watch::introduce(client, board).await?;
    let pace = args.pace.pace(args.confirm_for);
    let closing = watch::to_the_end(client, board, &Asked::File, &pace, out).await;
    Ok((closing, without))
}
