//! `wpkctl upgrade`: asks, tells what was refused, watches if wished, and sums
//! up. `args` are the options, `send` asks, `dry_run` only asks what would be.

pub(crate) mod args;
mod dry_run;
mod send;

use std::io::IsTerminal;

use wpk_api::{AgentId, Version};

use crate::error::CtlError;
use crate::manager::ask::Ask;
use crate::manager::client::Client;
use crate::manager::{fleet, socket};
use crate::options::Global;
use crate::output::{Ending, Output};
use crate::watch::board::Board;
use crate::watch::report::{self, Asked, Closing};
use crate::watch::view::View;
use crate::watch::{self, Pace, WatchEnd};
use args::UpgradeArgs;

/// Upgrades. See [`UpgradeArgs`] for what is asked and when it ends well.
pub(crate) async fn run(
    global: &Global,
    args: UpgradeArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    let mut client = Client::new(socket::path(global)?);
    let ask = args.ask(out)?;
    if args.dry_run {
        let agents = meant(&mut client, &args).await?;
        return dry_run::run(&mut client, &ask, &agents, out).await;
    }
    let asked = match (&args.file, &args.version) {
        (Some(_), _) => Asked::File,
        (None, None) => Asked::Latest,
        (None, Some(text)) => Asked::Version(
            text.parse::<Version>()
                .map_or_else(|_| text.clone(), |version| version.to_string()),
        ),
    };
    let mut board = Board::new(&[]);
    let work = ask_and_watch(&mut client, &args, &ask, &asked, &mut board, out);
    let ended = tokio::select! {
        ended = work => Some(ended?),
        signal = tokio::signal::ctrl_c() => {
            signal.map_err(CtlError::Runtime)?;
            None
        }
    };
    let closing = match ended {
        Some(closing) => closing,
        None => Closing::Interrupted,
    };
    report::print(&board, &asked, closing, args.watch, out)
}

/// The agents that are named; for all of them every agent but the manager itself.
async fn meant(client: &mut Client, args: &UpgradeArgs) -> Result<Vec<AgentId>, CtlError> {
    if !args.all {
        return args.who.find(client).await;
    }
    let agents = fleet::list(client, None, false).await?.into_iter();
    Ok(agents
        .map(|agent| agent.id())
        .filter(|id| *id != AgentId::MANAGER)
        .collect())
}

async fn ask_and_watch(
    client: &mut Client,
    args: &UpgradeArgs,
    ask: &Ask,
    asked: &Asked,
    board: &mut Board,
    out: &Output,
) -> Result<Closing, CtlError> {
    *board = Board::new(&meant(client, args).await?);
    let agents = board.agents();
    if agents.is_empty() {
        out.line("There are no agents.")?;
        return Ok(Closing::Ended);
    }
    if args.watch {
        board.came_from(watch::versions(client, &agents).await?);
    }
    send::send(client, ask, &agents, board).await?;
    report::print_answers(board, out)?;
    if !args.watch || board.live().is_empty() {
        return Ok(Closing::Ended);
    }

    let bars = !out.json && !out.quiet && std::io::stderr().is_terminal();
    let mut view = View::new(board, bars, *out);
    let pace = Pace {
        interval: args.interval,
        timeout: args.timeout,
        reconnect_for: args.reconnect_for,
        confirm_for: args.confirm_for,
    };
    let ended = watch::watch(client, board, &mut view, &pace).await;
    view.finish();
    match ended {
        Ok(WatchEnd::Ended) => {
            watch::settle(client, board, asked, pace.interval).await;
            Ok(Closing::Ended)
        }
        Ok(WatchEnd::TimedOut) => {
            watch::settle(client, board, asked, pace.interval).await;
            Ok(Closing::TimedOut(args.timeout))
        }
        // What is known is told before the error is.
        Err(error) => Ok(Closing::Lost(error)),
    }
}
