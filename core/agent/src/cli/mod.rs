//! The command line of `wpk-agent`. The program's `main` enters; each command is a file.

mod check;
mod doctor;
mod exit;
mod generate;
mod manual;
mod serve;
mod status;

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use exit::WRONG_SETTINGS;

use crate::enroll::{EnrollArgs, enroll};
use crate::settings::Settings;
use crate::supervisor::{Order, supervise};

/// Where the package has its settings.
const CONFIG: &str = "/etc/wpk-agent/wpk-agent.toml";

/// The agent side of remote upgrades.
///
/// Takes signed packages (WPK) from a manager, runs the installer in them, and tells the
/// manager how it ended. What it logs goes to standard error; WPK_AGENT_LOG=debug says
/// more.
///
/// SIGHUP: the settings are read again; the log tells what needs a restart. SIGTERM or
/// SIGINT: it ends in order; an installer that runs goes on.
///
/// Exit status: 0 after a signal, 2 after a mistake in the settings or on the command
/// line, 1 after anything else.
#[derive(Debug, Parser)]
#[command(name = "wpk-agent", version)]
struct Arguments {
    /// The settings, a TOML file; absent: /etc/wpk-agent/wpk-agent.toml, if it is there.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The agent's home, instead of the one in the settings.
    #[arg(long, global = true, value_name = "DIR")]
    home: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print every mistake in the settings, and whatever else would stop the start, and
    /// end.
    ///
    /// Also looks at who may write what the agent trusts, and at its identity. Changes
    /// nothing. Exit status 2 if the agent would not start.
    Check,
    /// Look at everything the agent meets: the manager, its own identity, the socket, the
    /// disk, what earlier upgrades left.
    ///
    /// Changes nothing, whether the agent runs or not. Exit status 1 if anything failed.
    Doctor(doctor::Options),
    /// Tell what runs now: version, identity, connection, upgrade.
    ///
    /// Exit status 0 if the agent runs, 3 if not, 1 if that cannot be told.
    Status(status::Options),
    /// After wpk-agent was killed: put the socket of the agent daemon's own module, which
    /// it had taken over (`take_over`), back to its path. Acts only where the socket at the
    /// path is wpk-agent's and nobody serves it any more. For ExecStopPost= of its unit.
    GiveBack,
    /// Enroll this agent with a manager: make a key here, have the manager certify it, and
    /// write what `--config` needs to start. Without --config the settings are
    /// /etc/wpk-agent/wpk-agent.toml if it is there and no --home is given, else
    /// etc/wpk-agent.toml in the home, without --home that is /var/ossec.
    Enroll(EnrollArgs),
    /// The agent's own: runs an installer and watches it.
    #[command(hide = true)]
    RunInstaller(Order),
    /// Write the man pages and shell completions, for those who build packages.
    #[command(hide = true)]
    Generate {
        /// The folder; laid out like /usr/share.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

/// Carries out the command line of this process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match &arguments.command {
        Some(Command::RunInstaller(order)) => {
            supervise(order);
            return ExitCode::SUCCESS;
        }
        Some(Command::Generate { out }) => return generate::run(out, &Arguments::command()),
        _ => {}
    }
    let usual = || Some(PathBuf::from(CONFIG)).filter(|file| file.exists());
    let home = arguments.home.as_deref();
    if let Some(Command::Enroll(args)) = &arguments.command {
        let usual = || usual().filter(|_| home.is_none());
        let config = arguments.config.clone().or_else(usual);
        return tell(enroll(args, config.as_deref(), home));
    }
    let Some(config) = arguments.config.clone().or_else(usual) else {
        eprintln!("wpk-agent: say where the settings are: --config FILE");
        return ExitCode::from(WRONG_SETTINGS);
    };
    match &arguments.command {
        Some(Command::Status(options)) => return status::run(&config, home, options),
        Some(Command::Doctor(options)) => return doctor::run(&config, home, options),
        _ => {}
    }
    let settings = match Settings::load(&config, home) {
        Ok(settings) => settings,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::from(WRONG_SETTINGS);
        }
    };
    match arguments.command {
        Some(Command::Check) => check::run(&settings, &config),
        Some(Command::GiveBack) => tell(settings.give_back()),
        // The others were carried out above.
        _ => serve::run(settings, &config, home),
    }
}

/// How it went.
fn tell(done: Result<impl Display, impl Display>) -> ExitCode {
    match done {
        Ok(done) => {
            println!("{done}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("wpk-agent: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_in_order() {
        Arguments::command().debug_assert();
    }
}
