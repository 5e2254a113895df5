//! `wpkctl doctor`: looks at the whole path of an upgrade before anyone
//! upgrades. It reads and asks, and changes nothing.
//!
//! What the daemon needs is looked at by the daemon's own code: `daemon` runs
//! `wpkd examine`, which reads the settings and asks its plugins as its start
//! would, so that nothing is called good here that is refused there. `agent` asks
//! the running manager about a single agent, `tasks` how the last upgrades ended;
//! `report` prints all of it.

mod agent;
pub(crate) mod args;
mod daemon;
mod report;
mod tasks;

use std::ffi::OsString;
use std::path::PathBuf;

use wpk_config::Sources;

use crate::error::CtlError;
use crate::manager::client::Client;
use crate::manager::socket;
use crate::options::Global;
use crate::output::{Ending, Output};
use args::DoctorArgs;
use report::Report;

/// Prints one line, or one object, per check. Ends well if nothing failed.
///
/// # Errors
/// Where nothing can be printed.
pub(crate) async fn run(
    global: &Global,
    args: DoctorArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    tokio::select! {
        ended = look(global, &args, out) => ended,
        signal = tokio::signal::ctrl_c() => {
            signal.map_err(CtlError::Runtime)?;
            Ok(Ending::Interrupted)
        }
    }
}

async fn look(global: &Global, args: &DoctorArgs, out: &Output) -> Result<Ending, CtlError> {
    let mut report = Report::new(out);
    // Asked first: its platform decides whose files are looked at.
    let agent = match (&args.agent, socket::path(global)) {
        (Some(agent), Ok(socket)) => agent::look(&mut Client::new(socket), agent).await,
        // Mistakes in the settings are the daemon's to tell.
        _ => agent::Seen::default(),
    };
    let arguments = arguments(global, args, &agent);
    daemon::examine(arguments, args.timeout(), &mut report).await?;
    for check in &agent.checks {
        report.add("", check)?;
    }
    if let Ok(socket) = socket::path(global)
        && let Some(check) = tasks::look(&mut Client::new(socket)).await
    {
        report.add("", &check)?;
    }
    report.close()
}

/// What `wpkd examine` is called with.
fn arguments(global: &Global, args: &DoctorArgs, agent: &agent::Seen) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = Vec::new();
    let mut add = |name: &str, value: Option<OsString>| {
        if let Some(value) = value {
            arguments.extend([name.into(), value]);
        }
    };
    let text = |text: &Option<String>| text.clone().map(OsString::from);
    let path = |path: &Option<PathBuf>| path.clone().map(OsString::from);
    let platform = agent.platform.clone().unwrap_or_else(|| args.platform());
    // Where the tool finds the manager; what is wrong with that the daemon tells.
    let said = Sources {
        file: global.config.clone(),
        home: global.home.clone(),
    };
    let sources = socket::sources(global).unwrap_or(said);
    add("--config", path(&sources.file));
    add("--home", path(&sources.home));
    add(
        "--os-version",
        platform.major.as_ref().map(|major| match &platform.minor {
            Some(minor) => format!("{major}.{minor}").into(),
            None => major.into(),
        }),
    );
    add("--platform", text(&platform.name));
    add("--arch", text(&platform.arch));
    let package_type = args.package_type(&platform);
    add("--package-type", Some(package_type.as_str().into()));
    add(
        "--download",
        args.download.map(|count| count.to_string().into()),
    );
    add("--wpk", path(&args.wpk));
    args.ca.iter().for_each(|ca| add("--ca", Some(ca.into())));
    arguments
}
