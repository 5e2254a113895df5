//! `wpkctl rollout`: name a version and a window, walk away. Each command is a message of
//! the socket or two; a file each, their options in `args`, their words in `words`.

pub(crate) mod args;
mod change;
mod explain;
mod file;
mod history;
mod list;
mod plan;
mod rehearse;
mod status;
mod words;

use wpk_wire::own::rollout::RolloutChange;

use crate::error::CtlError;
use crate::options::Global;
use crate::output::{Ending, Output};
use crate::watch::args::RolloutPace;
use args::RolloutCommand;

/// Watches a rollout until nothing is left to do.
///
/// # Errors
/// As those of `rollout status --watch`.
pub(crate) async fn watch(
    global: &Global,
    name: &str,
    pace: RolloutPace,
    out: &Output,
) -> Result<Ending, CtlError> {
    status::run(global, args::StatusArgs::watching(name, pace)?, out).await
}

/// Runs one of the commands.
pub(crate) async fn run(
    global: &Global,
    command: RolloutCommand,
    out: &Output,
) -> Result<Ending, CtlError> {
    match command {
        RolloutCommand::Plan(args) => plan::plan(global, args, out).await,
        RolloutCommand::Apply(args) => plan::apply(global, args, out).await,
        RolloutCommand::List(args) => list::run(global, args, out).await,
        RolloutCommand::Status(args) => status::run(global, args, out).await,
        RolloutCommand::Explain(args) => explain::run(global, args, out).await,
        RolloutCommand::Pause(args) => {
            change::whole(global, args.name, RolloutChange::Pause, out).await
        }
        RolloutCommand::Resume(args) => {
            change::whole(global, args.name, RolloutChange::Resume, out).await
        }
        RolloutCommand::Cancel(args) => {
            change::whole(global, args.name, RolloutChange::Cancel, out).await
        }
        RolloutCommand::Halt(args) => change::halt(global, args, out).await,
        RolloutCommand::Retry(args) => change::retry(global, args, out).await,
        RolloutCommand::Skip(args) => change::skip(global, args, out).await,
        RolloutCommand::Settle(args) => change::settle(global, args, out).await,
        RolloutCommand::History(args) => history::run(global, args, out).await,
        RolloutCommand::Rehearse(args) => rehearse::run(global, args, out).await,
    }
}
