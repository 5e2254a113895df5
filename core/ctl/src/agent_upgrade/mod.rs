//! The 4.x tool `agent_upgrade` (PROTOCOL.md, section 13): called by that name,
//! `wpkctl` takes its options, prints its lines and ends with its exit
//! statuses, so that scripts and habits go on. `args` are the options, `place`
//! finds the manager, `request` sends, `follow` waits for the end, `text` knows
//! the numbers and texts, `say` prints them or not, `outdated` is `-l`.

pub(crate) mod args;
mod follow;
mod outdated;
mod place;
mod request;
mod say;
mod text;

use std::collections::BTreeSet;

use tokio::signal::unix::{SignalKind, signal};
use wpk_api::AgentId;

use crate::error::CtlError;
use crate::ids;
use crate::manager::client::Client;
use crate::manager::fleet;
use crate::options::Global;
use crate::output::{self, Ending};
use crate::watch::board::Board;
use args::{Tool, ToolArgs};
use say::{Say, note};

/// Does what that tool does. Ends well also when agents or the whole call
/// failed, badly on Ctrl-C.
///
/// # Errors
/// What makes no sense on the command line, and where nothing can be printed.
pub(crate) async fn run(global: &Global, args: ToolArgs) -> Result<Ending, CtlError> {
    if args.agents.is_empty() && !args.list_outdated {
        let help = Tool::documented().render_help();
        output::print(&help.to_string())?;
        return Ok(Ending::Well);
    }
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CtlError::Runtime)?;
    let ended = tokio::select! {
        ended = work(global, &args) => ended,
        _ = interrupt.recv() => return Ok(Ending::Badly),
    };
    match ended {
        Ok(()) => {}
        Err(error @ (CtlError::Usage(_) | CtlError::Print(_))) => return Err(error),
        Err(error) => output::print(&format!("{}\n", text::failure(&error)))?,
    }
    Ok(Ending::Well)
}

async fn work(global: &Global, args: &ToolArgs) -> Result<(), CtlError> {
    let say = Say {
        silent: args.silent,
        debug: args.debug,
    };
    let socket = place::socket(global)?;
    say.debug(format!("the manager's socket is {}", socket.display()));
    let mut client = Client::new(socket);
    if args.list_outdated {
        return outdated::list(&mut client).await;
    }
    upgrade(&mut client, args, &say).await
}

async fn upgrade(client: &mut Client, args: &ToolArgs, say: &Say) -> Result<(), CtlError> {
    let ask = args.ask()?;
    let ids: BTreeSet<AgentId> = args.agents.iter().copied().collect();
    let ids: Vec<AgentId> = ids.into_iter().collect();
    let known = match fleet::find(client, ids.iter().copied()).await {
        Ok(agents) => Some(agents),
        // The manager cannot tell; the upgrade itself may still be possible.
        Err(error @ CtlError::Refused { .. }) => {
            say.debug(format!("no list of agents: {error}"));
            None
        }
        Err(error) => return Err(error),
    };
    let mut board = Board::new(&ids);
    board.came_from(known.as_ref().map(fleet::version_texts).unwrap_or_default());
    let sent = request::send(client, &ask, &mut board, say).await;
    if sent.is_err() && !board.with_task().is_empty() {
        note(&format!(
            "the upgrade of agent {} was started before this failure and goes on",
            ids::compact(board.with_task())
        ));
    }
    sent?;
    say.line(&text::refusals(&board, |agent| {
        known
            .as_ref()
            .is_some_and(|known| known.contains_key(&agent))
    }))?;
    if board.with_task().is_empty() {
        return Ok(());
    }
    say.line("\nUpgrading...\n")?;
    follow::follow(client, &mut board, args.interval, say).await?;
    let target = args.target();
    if target.is_none() && !say.silent {
        follow::settle(client, &mut board, args.interval).await;
    }
    say.line(&text::endings(&board, target.as_deref()))
}
