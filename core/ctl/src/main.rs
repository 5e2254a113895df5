//! `wpkctl`, the administrator's tool: asks a running manager over its upgrade
//! socket (`online`, `watch`), and makes and checks what it serves without one
//! (`package`, `repo`). Called as `agent_upgrade` it is the 4.x tool of that
//! name (`agent_upgrade`).
//!
//! This file only starts: it reads the command line, chooses the room, and
//! turns the ending into an exit status. 0: all ended well; 1: something did
//! not; 2: the command line makes no sense; 130: interrupted.

mod agent_upgrade;
mod cli;
mod doctor;
mod error;
mod files;
mod generate;
mod ids;
mod online;
mod output;
mod package;
mod repo;
mod watch;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use agent_upgrade::args::Tool;
use cli::{AgentCommand, Cli, Command};
use error::CtlError;
use output::{Ending, Output};

fn main() -> ExitCode {
    let called = std::env::args_os().next().map(PathBuf::from);
    let name = called.as_deref().and_then(Path::file_name);
    if name == Some(OsStr::new(agent_upgrade::args::NAME)) {
        let tool = Tool::read();
        let out = Output::new(&tool.global);
        return end(block_on(agent_upgrade::run(&tool.global, tool.args)), &out);
    }
    let cli = Cli::parse();
    let out = Output::new(&cli.global);
    end(run(cli, &out), &out)
}

fn end(ended: Result<Ending, CtlError>, out: &Output) -> ExitCode {
    match ended {
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
        Command::AgentUpgrade(args) => block_on(agent_upgrade::run(&global, args)),
        Command::Doctor(args) => block_on(doctor::run(&global, args, out)),
        Command::Generate(args) => generate::run(&args, out),
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
