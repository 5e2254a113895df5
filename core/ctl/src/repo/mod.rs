//! `wpkctl repo`: a repository folder as agents' managers read it
//! (PROTOCOL.md, section 4). What such a folder looks like is in
//! [`wpk_api::repository`]; `args` are the options, `place` finds in it where a
//! WPK belongs, `add` puts it there.

mod add;
pub(crate) mod args;
mod place;

use crate::error::CtlError;
use crate::output::{Ending, Output};
use args::RepoCommand;

/// Runs one of the commands.
pub(crate) fn run(command: RepoCommand, out: &Output) -> Result<Ending, CtlError> {
    match command {
        RepoCommand::Add(args) => add::run(&args, out),
    }
}
