//! `wpkctl upgrade`: asks, tells what was refused, watches if wished, and sums
//! up. `args` are the options, `send` asks, `dry_run` only asks what would be.

pub(crate) mod args;
mod dry_run;
mod send;

use wpk_api::{AgentId, Version};

use crate::error::CtlError;
use crate::manager::ask::Ask;
use crate::manager::client::Client;
use crate::manager::{fleet, socket};
use crate::options::Global;
use crate::output::{Ending, Output};
use crate::watch;
use crate::watch::board::Board;
use crate::watch::report::{self, Asked, Closing};
use crate::watch::view::View;
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
    let ended = watch::unless_interrupted(work).await?;
    let closing = ended.unwrap_or(Closing::Interrupted);
    report::print(&board, &asked, closing, args.watch, out)
}

/// The agents that are named; for all of them every agent but the manager itself.
async fn meant(client: &mut Client, args: &UpgradeArgs) -> Result<Vec<AgentId>, CtlError> {
    match args.all {
        true => fleet::everyone(client).await,
        false => args.who.find(client).await,
    }
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
        watch::introduce(client, board).await?;
    }
    send::send(client, ask, &agents, board).await?;
    report::print_answers(board, args.watch && View::draws(out), out)?;
    if !args.watch || board.live().is_empty() {
        return Ok(Closing::Ended);
    }

    let pace = args.pace.pace(args.confirm_for);
    Ok(watch::to_the_end(client, board, asked, &pace, out).await)
}
