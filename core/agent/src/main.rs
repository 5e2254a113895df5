//! `wpk-agent`: reads its command line and settings, runs the agent until a
//! signal, and knows nothing else.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use wpk_agent::{EnrollArgs, Live, Order, Renew, Settings};

/// The agent side of remote upgrades. What it logs goes to standard error;
/// WPK_AGENT_LOG=debug says more.
#[derive(Debug, Parser)]
#[command(name = "wpk-agent")]
struct Arguments {
    /// The settings, a TOML file.
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
    Check,
    /// After wpk-agent was killed: put the socket of the agent daemon's own module, which
    /// it had taken over (`take_over`), back to its path. Acts only where the socket at the
    /// path is wpk-agent's and nobody serves it any more. For ExecStopPost= of its unit.
    GiveBack,
    /// Enroll this agent with a manager: make a key here, have the manager certify it, and
    /// write what `--config` needs to start. Without --config the settings are
    /// etc/wpk-agent.toml in the home, without --home that is /var/ossec.
    Enroll(EnrollArgs),
    /// The agent's own: runs an installer and watches it.
    #[command(hide = true)]
    RunInstaller(Order),
}

/// The exit status after wrong settings, as `wpkd`'s: another start goes no better.
const WRONG_SETTINGS: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Command::RunInstaller(order)) = &arguments.command {
        wpk_agent::supervise(order);
        return ExitCode::SUCCESS;
    }
    if let Some(Command::Enroll(args)) = &arguments.command {
        return enroll(args, &arguments);
    }
    let Some(config) = &arguments.config else {
        eprintln!("wpk-agent: say where the settings are: --config FILE");
        return ExitCode::from(WRONG_SETTINGS);
    };
    let settings = match Settings::load(config, arguments.home.as_deref()) {
        Ok(settings) => settings,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::from(WRONG_SETTINGS);
        }
    };
    match arguments.command {
        Some(Command::Check) => check(&settings, config),
        Some(Command::GiveBack) => match settings.give_back() {
            Ok(done) => {
                println!("{done}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("wpk-agent: {error}");
                ExitCode::FAILURE
            }
        },
        // The last two were carried out above.
        None | Some(Command::RunInstaller(_) | Command::Enroll(_)) => {
            serve(settings, config, arguments.home.as_deref())
        }
    }
}

fn enroll(args: &EnrollArgs, arguments: &Arguments) -> ExitCode {
    let (config, home) = (arguments.config.as_deref(), arguments.home.as_deref());
    match wpk_agent::enroll(args, config, home) {
        Ok(told) => {
            println!("{told}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("wpk-agent: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The settings are good; says the rest.
fn check(settings: &Settings, config: &Path) -> ExitCode {
    let shown = config.display();
    for warning in settings.warnings() {
        println!("{shown}: warning: {warning}");
    }
    match settings.outlook() {
        Ok(note) => {
            println!("{shown}: no mistakes found");
            if let Some(note) = note {
                println!("{note}");
            }
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{shown}: {}: {}", problem.key, problem.message);
            ExitCode::from(WRONG_SETTINGS)
        }
    }
}

fn serve(settings: Settings, config: &Path, home: Option<&Path>) -> ExitCode {
    let filter =
        EnvFilter::try_from_env("WPK_AGENT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        // A log that cannot be written is no reason to end.
        .log_internal_errors(false)
        .init();
    if let Err(error) = wpk_agent::narrow(config) {
        tracing::error!("{error}");
        return ExitCode::from(WRONG_SETTINGS);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("wpk-agent: the system gives no threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(async {
        let stop = CancellationToken::new();
        let (mut terminate, mut interrupt) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        let mut hangup = signal(SignalKind::hangup())?;
        let (renew, live) = Live::new(settings);
        let (config, home) = (config.to_owned(), home.map(Path::to_owned));
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                reload(&renew, &config, home.as_deref());
            }
        });
        let asked = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            asked.cancel();
        });
        wpk_agent::run(live, stop)
            .await
            .map_err(std::io::Error::other)
    });
    // Nobody waits for a file operation that is under way: files survive any end.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the settings again; with a mistake in them those from before count.
fn reload(renew: &Renew, config: &Path, home: Option<&Path>) {
    let settings = match Settings::load(config, home) {
        Ok(settings) => settings,
        Err(problems) => {
            for line in problems.to_string().lines() {
                tracing::error!("{line}");
            }
            tracing::error!("SIGHUP: the settings before go on to count");
            return;
        }
    };
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    let later = renew.renew(settings);
    if later.is_empty() {
        tracing::info!("SIGHUP: the settings were reloaded");
    } else {
        let later = later.join(", ");
        tracing::warn!("SIGHUP: the settings were reloaded; {later}: needs a restart");
    }
}
