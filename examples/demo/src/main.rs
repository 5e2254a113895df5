//! One upgrade of eight agents, end to end: `cargo run --release -p demo`. With the word
//! `rollout` after `--`, two rollouts to forty agents, which `rollout` tells.
//!
//! Everything is real: the manager `wpkd` as it runs without any configuration,
//! eight `wpk-agent` processes that dial it over TLS, signed WPK files, an HTTP
//! repository, the documented request over the documented socket, an installer
//! that replaces a program. Four agents are upgraded; one gets a package whose
//! program does not run, so its installer puts the old one back; one trusts
//! another CA, so it refuses the package. Two are upgraded themselves: one comes back as
//! the new `wpk-agent`, and one, whose new program does not run, is brought back by the
//! watchdog that its installer left behind.
//!
//! This file tells the story. `agents` is the cast, `packages` what they are
//! upgraded with, `manager` and `fleet` run the programs, `watch` looks at them
//! and `report` judges. `programs`, `scratch` and `signals` see to it that
//! nothing is left behind, whatever happens.

mod agents;
mod args;
mod error;
mod fleet;
mod home;
mod manager;
mod packages;
mod programs;
mod report;
mod rollout;
mod scratch;
mod screen;
mod signals;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use crate::args::{USAGE, Wanted};
use crate::error::DemoError;
use crate::fleet::Fleet;
use crate::manager::Manager;
use crate::packages::Repository;
use crate::programs::Programs;
use crate::scratch::Scratch;
use crate::screen::{say, scold};
use crate::signals::Signals;

/// For everything but building the programs.
const DEADLINE: Duration = Duration::from_secs(120);

/// What programs end with whose command line makes no sense.
const USAGE_ERROR: u8 = 2;

fn main() -> ExitCode {
    let wanted = match Wanted::read(std::env::args_os().skip(1)) {
        Ok(Wanted::Help) => {
            say(USAGE);
            return ExitCode::SUCCESS;
        }
        Ok(wanted) => wanted,
        Err(error) => {
            scold(format_args!("demo: {error}"));
            return ExitCode::from(USAGE_ERROR);
        }
    };
    match run(wanted) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            scold(format_args!("demo: {error}"));
            ExitCode::from(error.exit_status())
        }
    }
}

/// The demo between its first and its last step: what it needs is made, and
/// taken away again however the story ends.
fn run(wanted: Wanted) -> Result<bool, DemoError> {
    let programs = Programs::build()?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|source| DemoError::io("cannot start the async runtime", source))?;
    let signals = {
        let _inside = runtime.enter();
        Signals::watch()?
    };
    let scratch = Scratch::new()?;
    programs::adopt_orphans()?;
    let ended = runtime.block_on(async {
        let story = async {
            match wanted {
                Wanted::Rollout => rollout::story(&programs, &scratch).await,
                _ => story(&programs, &scratch).await,
            }
        };
        tokio::select! {
            ended = tokio::time::timeout(DEADLINE, story) => {
                ended.unwrap_or(Err(DemoError::Deadline(DEADLINE.as_secs())))
            }
            () = signals.wait() => Err(DemoError::Interrupted),
        }
    });
    // In this order: nobody may write into the folder while it is removed.
    drop(runtime);
    programs::end_orphans()?;
    if !matches!(ended, Ok(true) | Err(DemoError::Interrupted)) {
        scratch.show_logs();
    }
    scratch.remove()?;
    ended
}

/// The story. True if every agent ended as it should.
async fn story(programs: &Programs, scratch: &Scratch) -> Result<bool, DemoError> {
    say("making a signing CA and the packages");
    let repository = Repository::publish(programs, scratch).await?;
    say(format_args!("serving them at {}", repository.url()));

    say("starting wpkd without any configuration");
    let mut manager = Manager::start(programs, scratch).await?;

    say("enrolling and starting eight agents");
    let mut fleet = Fleet::start(programs, scratch, &manager, &repository).await?;
    fleet.wait_until_active(&manager).await?;

    // No version: the last one that the repository has.
    let request = format!(
        r#"{{"origin":{{"module":"api"}},"command":"upgrade","parameters":{{"agents":{agents:?},"wpk_repo":"{repo}","use_http":true}}}}"#,
        agents = fleet.ids().into_iter().map(i64::from).collect::<Vec<_>>(),
        repo = repository.base(),
    );
    say(format_args!(
        "\nasking {}\n  {request}",
        manager.socket().display()
    ));
    let answer = manager.ask(&request).await?;
    say(format_args!("  {answer}\n"));

    let endings = watch::until_ended(&manager, &fleet).await?;
    let outcomes = fleet.outcomes(endings).await?;

    fleet.stop().await?;
    manager.stop().await?;
    Ok(report::print(&outcomes))
}
