//! `wpkd`, the manager daemon: the only crate that knows the engine and the
//! plugins, and puts one into the other.
//!
//! # Where to start
//! `main` (this file) is the whole story of a start:
//!
//! 1. `cli` reads the command line; `privileges` becomes the user of `--user`
//!    before anything is opened, `telemetry` starts the log.
//! 2. `builtins` lists the built-in plugins: each is a factory that answers to a
//!    `type = "..."` of the settings. `registry` holds them, and adds those that
//!    the libraries of `[[plugin]]` bring (`wpk-loader`).
//! 3. `settings` has `wpk-config` read the files and check every section, asking
//!    the registry about those that belong to plugins.
//! 4. The registry makes the parts of an engine (`wpk_runtime::Components`) from
//!    the sections, sources last; `wpk_runtime::Engine` runs them until a signal,
//!    while `service` tells a service manager how it stands and `reload` takes over
//!    changed settings at SIGHUP.
//!
//! The other commands share steps 1 to 3. `check` prints what the settings mean, and
//! what would stop the start. `give_back` tidies up after a kill.
//! `examine` asks every section's plugin what it would meet, for `wpkctl doctor`.
//! `monitor` shows metrics to those who ask over HTTP.
//! `reference` prints what can be set.
//! `import` and `generate` need no settings: they print those that an `ossec.conf`
//! stands for, and write man page and completions.
//!
//! # How it goes
//! A built-in plugin is a crate under `plugins/` that implements a trait of
//! `wpk-api` and is written as one of a third party is (`wpk_api::section`: a struct
//! for its section, a function that opens it), and a line in `builtins`; nothing
//! else here knows it by name. What the daemon does with a request is the engine's matter
//! (`wpk-runtime`); what the settings mean is `wpk-config`'s.

mod builtins;
mod check;
mod cli;
mod crash;
mod examine;
mod factories;
mod generate;
mod give_back;
mod import;
mod monitor;
mod observers;
mod privileges;
mod reference;
mod registry;
mod reload;
mod service;
mod settings;
mod start_error;
mod telemetry;

use std::convert::Infallible;
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};
use wpk_api::CancellationToken;
use wpk_config::{Settings, Written};
use wpk_runtime::{Control, Engine};

use cli::{Cli, Command, WRONG_SETTINGS, Where};
use registry::Registry;
use reload::Reload;
use telemetry::Log;

/// The C library's keeps what several threads freed in arenas of their own, tens of MiB
/// after a request for thousands of agents, and takes a fifth of such a request's time.
/// This one gives memory back 10 ms after it was freed; without huge pages (`no_thp`),
/// of which one small block keeps 2 MiB.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let place = match &cli.command {
        Some(Command::ImportOssecConf { home, file }) => return import::print(home, file),
        Some(Command::Generate { out }) => return generate::run(out),
        Some(Command::Settings(args)) => return reference::run(args),
        None => &cli.run,
        Some(Command::Run(place) | Command::Check(place) | Command::GiveBack(place)) => place,
        Some(Command::Examine(args)) => &args.place,
    };
    if let Some(user) = &place.user
        && let Err(error) = privileges::become_user(user)
    {
        eprintln!("wpkd: --user {user}: {error}");
        return ExitCode::FAILURE;
    }
    // Before anything is loaded: plugins may have something to say.
    let log = telemetry::start();
    crash::watch();
    if let Err(error) = reload::outlive_hangups() {
        error!(%error, "signals cannot be watched");
        return ExitCode::FAILURE;
    }
    let mut registry = builtins::registry();
    if let Some(Command::Examine(args)) = &cli.command {
        return examine::run(args, registry);
    }
    let read = match &cli.command {
        Some(Command::Check(_)) => match check::run(place, &mut registry) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(findings) => Err(findings),
        },
        _ => settings::read(place, &mut registry),
    };
    match read {
        Ok((settings, _)) if matches!(cli.command, Some(Command::GiveBack(_))) => {
            give_back::run(&settings, &registry)
        }
        Ok((settings, written)) => run(&Start {
            place,
            settings,
            written,
            registry: &registry,
            log: &log,
        }),
        Err(findings) => {
            eprintln!("{findings}");
            eprintln!(
                "wpkd: the configuration has {} mistake(s), see above",
                findings.0.len()
            );
            ExitCode::from(WRONG_SETTINGS)
        }
    }
}

/// What a daemon starts with.
struct Start<'a> {
    place: &'a Where,
    settings: Settings,
    written: Written,
    registry: &'a Registry,
    log: &'a Log,
}

/// Why a daemon ended.
enum End {
    /// It cannot be started with these settings.
    Settings(String),
    /// Anything else; another start may go better.
    Failed(String),
}

impl End {
    fn failed(cause: impl std::fmt::Display) -> Self {
        Self::Failed(cause.to_string())
    }
}

fn run(start: &Start<'_>) -> ExitCode {
    start.log.show(&start.settings.log);
    // What the daemon creates is for its user and group; each file that must be
    // narrower says so itself.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o027));
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "the async runtime cannot be started");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(serve(start));
    // Blocking work that hangs (a dead network file system) must not keep a
    // daemon alive that was told to stop.
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    start.registry.settle();
    match ended {
        Ok(()) => {
            info!("stopped");
            ExitCode::SUCCESS
        }
        Err(End::Settings(cause)) => {
            error!("{cause}");
            ExitCode::from(WRONG_SETTINGS)
        }
        Err(End::Failed(cause)) => {
            error!("{cause}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(start: &Start<'_>) -> Result<(), End> {
    let Start {
        settings, registry, ..
    } = start;
    make_home(&settings.home).map_err(End::Failed)?;
    info!(
        version = env!("CARGO_PKG_VERSION"), home = %settings.home.display(), node = %settings.node.name,
        role = settings.node.role.as_str(),
        dialect = settings.dialect.as_str(), "starting"
    );
    for warning in settings::warnings(settings) {
        warn!("{warning}");
    }
    let crashed = crash::begin(&settings.home);
    let stop = CancellationToken::new();
    let watched = |error| End::Failed(format!("signals cannot be watched: {error}"));
    stop_on_signals(&stop).map_err(watched)?;
    let hangups = signal(SignalKind::hangup()).map_err(watched)?;
    let parts = registry.build(settings).map_err(|error| {
        let cause = error.to_string();
        match error.is_of_settings() {
            true => End::Settings(cause),
            false => End::Failed(cause),
        }
    })?;
    let providers = settings
        .providers
        .iter()
        .cloned()
        .zip(parts.providers.clone());
    let providers = providers.collect();
    let mut engine = Engine::new(settings.clone(), parts).map_err(End::failed)?;
    if let Some(report) = crashed {
        engine = engine.after_crash(report.to_string());
    }
    let libraries = registry.libraries().to_vec();
    let reload = Reload {
        place: start.place,
        registry,
        log: start.log,
        control: engine.control(),
        written: start.written.clone(),
        context: settings.context(),
        providers,
    };
    let monitored = match settings.telemetry.listen {
        Some(address) => Some(monitor::open(address).await.map_err(End::Failed)?),
        None => None,
    };
    let monitored = monitored.map(|listener| {
        let shown = monitor::Shown {
            control: engine.control(),
            libraries,
        };
        tokio::spawn(monitor::serve(listener, shown, stop.clone()))
    });
    let closed = stop.clone().drop_guard();
    let ready = tell_when_ready(engine.control(), stop.clone());
    let ended = tokio::select! {
        ended = engine.run(stop) => ended.map_err(End::failed),
        never = reload.at_every(hangups) => match never {},
        never = ready => match never {},
    };
    drop(closed);
    if let Some(monitored) = monitored {
        // It ends with the token; whatever became of it, the daemon's end is told.
        let _ = monitored.await;
    }
    ended
}

/// Tells whoever started the daemon that requests are answered, as soon as they are: it
/// may still fail to read what the last run left.
async fn tell_when_ready(control: Control, stop: CancellationToken) -> Infallible {
    control.begun().await;
    info!("ready");
    let _watchdog = service::ready(&stop);
    std::future::pending().await
}

fn make_home(home: &std::path::Path) -> Result<(), String> {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = std::fs::DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o750)
        .create(home)
        .map_err(|error| {
            format!(
                "home {}: {error}; create it, or choose another with --home",
                home.display()
            )
        })
}

/// The first SIGTERM or SIGINT ends the daemon in order; a second one at once.
fn stop_on_signals(stop: &CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = stop.clone();
    tokio::spawn(async move {
        for asked in 1.. {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if asked > 1 {
                std::process::exit(1);
            }
            info!("stopping; a second signal stops at once");
            stop.cancel();
        }
    });
    Ok(())
}
