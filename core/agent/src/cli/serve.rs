//! `wpk-agent` without a command: the agent itself, until a signal.

use std::path::Path;
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::exit::WRONG_SETTINGS;
use crate::platform::service::{Asked, Asking};
use crate::reload::{Live, Renew};
use crate::rights::{Guard, narrow};
use crate::settings::{Problem, Problems, Settings};

/// Runs the agent.
pub(super) fn run(settings: Settings, config: &Path, home: Option<&Path>) -> ExitCode {
    let filter =
        EnvFilter::try_from_env("WPK_AGENT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        // A log that cannot be written is no reason to end.
        .log_internal_errors(false)
        .init();
    if let Err(error) = narrow(config) {
        tracing::error!("{error}");
        return ExitCode::from(WRONG_SETTINGS);
    }
    let settings = match trusted(settings, config, home) {
        Ok(settings) => settings,
        Err(problems) => {
            tracing::error!("{problems}");
            return ExitCode::from(WRONG_SETTINGS);
        }
    };
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
        let mut asking = Asking::begin()?;
        let (renew, live) = Live::new(settings);
        let (config, home) = (config.to_owned(), home.map(Path::to_owned));
        let asked = stop.clone();
        tokio::spawn(async move {
            while asking.next().await == Asked::Reload {
                reload(&renew, &config, home.as_deref());
            }
            asked.cancel();
        });
        crate::run(live, stop).await.map_err(std::io::Error::other)
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

/// The settings once more, as they stand in the file that was looked at: what was read
/// before may have been another's. Where only the way to it is bad that is said: an agent
/// that does not start could not be mended from afar.
fn trusted(settings: Settings, config: &Path, home: Option<&Path>) -> Result<Settings, Problems> {
    match Guard::new(&settings).trust(config) {
        Ok(Some(held)) => Settings::load_from(&held.path(), config, home),
        Ok(None) => Settings::load(config, home),
        Err(error) => {
            tracing::error!("{error}");
            Ok(settings)
        }
    }
}

/// Reads the settings again; with a mistake in them those from before count.
fn reload(renew: &Renew, config: &Path, home: Option<&Path>) {
    let own = narrow(config).map_err(|error| Problems {
        file: config.to_owned(),
        problems: vec![Problem::new("", error.to_string())],
    });
    let loaded = own
        .and_then(|()| Settings::load(config, home))
        .and_then(|settings| trusted(settings, config, home));
    let settings = match loaded {
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
