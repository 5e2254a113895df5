//! `wpkctl repo`: a repository folder as agents' managers read it
//! (protocol.md, section 4). `name` reads what a file's name tells, `layout`
//! knows where a WPK belongs, `versions` keeps the list, `add` puts it all
//! there.

mod add;
pub(crate) mod layout;
mod name;
mod versions;

use crate::cli::RepoCommand;
use crate::error::CtlError;
use crate::output::{Ending, Output};

/// Runs one of the commands.
pub(crate) fn run(command: RepoCommand, out: &Output) -> Result<Ending, CtlError> {
    match command {
        RepoCommand::Add(args) => add::run(&args, out),
    }
}
