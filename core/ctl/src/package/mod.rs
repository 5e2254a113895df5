//! `wpkctl package`: makes WPK files and looks into them, without a manager
//! (PROTOCOL.md, section 8). The work is that of the package crate; here it
//! gets its files from the command line and says what came of it.

pub(crate) mod args;
mod build;
pub(crate) mod certificates;
mod keygen;
mod look;

use crate::error::CtlError;
use crate::output::{Ending, Output};
use args::PackageCommand;

/// Runs one of the commands.
pub(crate) fn run(command: PackageCommand, out: &Output) -> Result<Ending, CtlError> {
    match command {
        PackageCommand::Build(args) => build::run(&args, out),
        PackageCommand::Keygen(args) => keygen::run(&args, out),
        PackageCommand::Verify(args) => look::verify(&args, out),
        PackageCommand::Inspect(args) => look::inspect(&args, out),
        PackageCommand::Unpack(args) => look::unpack(&args, out),
    }
}
