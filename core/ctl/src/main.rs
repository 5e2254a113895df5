//! `wpkctl`, the administrator's tool: asks a running manager over its upgrade
//! socket (`online`, `watch`), and makes and checks what it serves without one
//! (`package`, `repo`).
//!
//! This file only starts: it reads the command line, chooses the room, and
//! turns the ending into an exit status. 0: all ended well; 1: something did
//! not; 2: the command line makes no sense; 130: interrupted.

mod cli;
mod error;
mod files;
mod ids;
mod online;
mod output;
mod package;
mod repo;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use cli::{AgentCommand, Cli, Command};
use error::CtlError;
use output::{Ending, Output};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let out = Output::new(&cli.global);
    match run(cli, &out) {
        Ok(ending) => ending.into(),
        Err(error) => {
            out.error(&error);
            ExitCode::from(if error.is_usage() { 2 } else { 1 })
        }
    }
}

fn run(cli: Cli, out: &Output) -> Result<Ending, CtlError> {
    let global = cli.global;
    match cli.command {
        Command::Package { command } => package::run(command, out),
        Command::Repo { command } => repo::run(command, out),
        Command::Upgrade(args) => block_on(online::upgrade::run(&global, args, out)),
        Command::Result(args) => block_on(online::result::run(&global, args, out)),
        Command::Agents(args) => block_on(online::agents::run(&global, args, out)),
        Command::Agent {
            command: AgentCommand::Enroll(args),
        } => block_on(online::enroll::run(&global, args, out)),
    }
}

/// One thread is enough: the work is waiting for a socket.
fn block_on<F>(work: F) -> Result<Ending, CtlError>
where
    F: Future<Output = Result<Ending, CtlError>>,
{
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CtlError::Runtime)?
        .block_on(work)
}
