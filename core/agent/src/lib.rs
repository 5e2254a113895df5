//! The agent side of remote upgrades (PROTOCOL.md, sections 6, 7, 8 and 11).
//!
//! The program `wpk-agent` enters through [`run`] with [`Settings`]; so do
//! tests. Commands come in at two doors, of which one or both are open: the
//! listener on `queue/sockets/upgrade`, beside a real agent daemon, and the
//! channel that dials an embedded manager. Behind both stands one engine that
//! carries out one command at a time: files arrive in `var/incoming`, a
//! verified package is unpacked into `var/upgrade`, its installer runs as a
//! process group of its own. What the installer leaves in `upgrade_result` is
//! acknowledged over and over, on the same two ways, until the manager says
//! `clear_upgrade_result`.
//!
//! Nothing but files remembers anything: killed at any point, the agent starts
//! again from what lies in its home.

mod channel;
pub mod cli;
mod credentials;
mod door;
mod engine;
mod enroll;
mod facts;
mod files;
mod home;
mod identity;
mod in_progress;
mod installer;
mod installer_log;
mod leftovers;
mod listener;
mod lives;
mod notify;
mod outbox;
mod platform;
mod reason;
mod reload;
mod result;
mod rights;
mod running;
pub mod settings;
mod state;
mod supervisor;
mod task_file;
mod unfinished;
mod upgrade;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::facts::Facts;
use crate::home::Home;
use crate::identity::Identity;
use crate::installer::Installers;
use crate::listener::Listener;
use crate::lives::Lives;
use crate::outbox::Outbox;
use crate::platform::service;
use crate::rights::{Guard, narrow};
use crate::running::Running;
use crate::state::State;

pub use crate::enroll::{EnrollArgs, EnrollError, enroll};
pub use crate::home::HomeError;
pub use crate::reload::{Live, Renew};
pub use crate::settings::{Problem, Problems, Settings};
pub use crate::supervisor::{Order, supervise};
pub use wpk_socket_file::SocketError;

/// Why the agent cannot run. What goes wrong later is logged and tried again.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// A folder of the home cannot be used, or another agent uses it.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Others may write what the agent trusts.
    #[error("{0}")]
    Rights(std::io::Error),
    /// The listening socket cannot be put into place, or be kept there.
    #[error(transparent)]
    Socket(#[from] SocketError),
}

/// Runs the agent until `stop`. Settings that come later through `live` count from the
/// next command, report or connection on ([`Live`]). Must be called inside a multi-threaded tokio
/// runtime with I/O and time.
///
/// # Errors
/// [`AgentError`] when it cannot start.
pub async fn run(live: Live, stop: CancellationToken) -> Result<(), AgentError> {
    let settings = live.now();
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    narrow_trusted(&settings)?;
    let home = Arc::new(Home::prepare(&settings.home, settings.listen.is_some())?);
    let facts = tell(&home, &settings);
    let installers = Installers {
        home: home.root().to_owned(),
        log: home.installer_log(),
        live: live.clone(),
        running: Running::new(home.installer_lock()),
    };
    let state = Arc::new(State::new(
        settings.upgrade.enabled,
        home.upgrade_result(),
        installers.running.clone(),
        Lives::new(home.installer_lives()),
    ));
    let queue = settings.listen.as_ref().map(|listen| listen.queue.clone());
    let (outbox, pending) = Outbox::new(queue);
    let bound = match &settings.listen {
        Some(listen) => Some(door::open(listen)?),
        None => None,
    };

    let unfinished = unfinished::begin(&installers);
    let schedule = {
        let live = live.clone();
        move || notify::Schedule::new(&live.now().upgrade)
    };
    let watching = notify::run(Arc::clone(&state), schedule, outbox);
    let switching = reload::switch(live.clone(), Arc::clone(&state), settings.upgrade.enabled);
    let (commands, working) = Engine::start(home, live.clone(), state, installers);
    let listening = async {
        match (&settings.listen, bound) {
            (Some(listen), Some(file)) => {
                let listener = Listener::new(commands.clone(), listen.timeout.0);
                listener
                    .run(file, &stop)
                    .await
                    .inspect_err(|_| stop.cancel())
            }
            _ => {
                stop.cancelled().await;
                Ok(())
            }
        }
    };
    let dialling = async {
        match &settings.channel {
            Some(channel) => {
                let identity = Identity::new(&settings.home, &settings.agent);
                facts.dialling(&channel.address);
                channel::run(&live, identity, &commands, pending, &facts, &stop).await;
            }
            None => stop.cancelled().await,
        }
    };
    facts.ready();
    tracing::info!(home = %settings.home.display(), "the agent is ready");
    let ended = tokio::select! {
        // An installer that runs goes on by itself; it usually is the one who stops us.
        (ended, ()) = async { tokio::join!(listening, dialling) } => ended,
        () = async {
            unfinished::watch(unfinished).await;
            std::future::pending().await
        } => Ok(()),
        // None of these ends by itself.
        () = watching => Ok(()),
        () = working => Ok(()),
        () = switching => Ok(()),
        () = service::attend(&stop) => Ok(()),
    };
    tracing::info!("the agent has stopped");
    ended.map_err(AgentError::from)
}

/// What this agent tells of itself begins.
fn tell(home: &Home, settings: &Settings) -> Facts {
    let socket = settings.listen.as_ref().map(|l| l.socket.as_path());
    Facts::begin(home.root(), socket, settings.agent.version_file.as_deref())
}

/// What the agent trusts is its own to write; the CA store is looked at with each package,
/// the folders of the home where they are prepared. What is wrong with the ways to these,
/// or with the program, is said: an agent that does not start could not be mended from afar.
fn narrow_trusted(settings: &Settings) -> Result<(), AgentError> {
    let mut guard = Guard::new(settings);
    let say = |error| tracing::error!("{error}");
    if let Some(channel) = &settings.channel {
        for path in [&channel.ca, &channel.certificate, &channel.key] {
            narrow(path).map_err(AgentError::Rights)?;
            let _ = guard.trust(path).map_err(say);
        }
    }
    let program = std::env::current_exe().unwrap_or_default();
    for path in [Some(program.as_path()), program.parent()]
        .into_iter()
        .flatten()
    {
        let _ = narrow(path).map_err(say);
    }
    let _ = guard.trust(&program).map_err(say);
    Ok(())
}
