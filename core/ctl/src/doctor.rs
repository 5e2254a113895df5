//! `wpkctl doctor`: looks at the whole path of an upgrade before anyone
//! upgrades. It reads and asks, and changes nothing. `sockets` are the manager
//! and those it needs, `folders` rights and space, `repository` and `files`
//! what is downloaded (over `http`), `certificates` who signed it, `clock` and
//! `database` what the task manager relies on, `agent` a single agent.

mod agent;
pub(crate) mod args;
mod certificates;
mod clock;
mod database;
mod files;
mod folders;
mod http;
mod report;
mod repository;
mod sockets;

use std::path::PathBuf;

use wpk_config::{Settings, load};

use crate::error::CtlError;
use crate::manager::client::Client;
use crate::manager::socket;
use crate::options::Global;
use crate::output::{Ending, Output};
use args::DoctorArgs;
use report::{Check, Report};

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
    let Some(settings) = settings(global, &mut report)? else {
        return report.close();
    };
    let upgrade = match &global.socket {
        Some(socket) => Some(socket.clone()),
        None => socket::upgrade_socket(&settings),
    };
    report.add_all(sockets::manager(upgrade.as_deref(), &settings).await)?;
    report.add_all(sockets::wazuh(&settings).await)?;
    report.add_all(folders::rights(
        upgrade.as_deref(),
        global.config.as_deref(),
        &settings,
    ))?;
    report.add(folders::space(&settings))?;
    let mut platform = repository::Platform::new(args);
    if let (Some(id), Some(socket)) = (args.agent, upgrade) {
        let (checks, found) = agent::look(&mut Client::new(socket), id, args).await;
        report.add_all(checks)?;
        platform = found.unwrap_or(platform);
    }
    let mut sources = repository::sources(&settings);
    let mut newest = None;
    let mut date = None;
    for source in &mut sources {
        let listed = repository::look(source, &platform, &settings, &mut report).await?;
        date = date.or(listed.date);
        if let Some(count) = args.download {
            let wanted = listed.files.into_iter().take(count).collect();
            let (check, file) = files::look(source, wanted, settings.cache.max_size.0).await;
            report.add(check)?;
            newest = newest.or(file);
        }
    }
    report.add_all(certificates::look(args, &settings, newest.as_ref()))?;
    report.add(clock::look(date.as_ref()))?;
    report.add(database::look(&settings))?;
    report.close()
}

/// The settings; `None` after their mistakes were reported.
fn settings(global: &Global, report: &mut Report<'_>) -> Result<Option<Settings>, CtlError> {
    const NAME: &str = "settings";
    let sources = socket::sources(global)?;
    let named = |file: &PathBuf| file.display().to_string();
    let place = sources.file.as_ref().map_or("defaults".to_owned(), named);
    match load(&sources, None) {
        Ok(settings) => {
            let home = settings.home.display();
            report.add(Check::ok(NAME, format!("{place}, home {home}")))?;
            Ok(Some(settings))
        }
        Err(found) => {
            let advice = "correct it; `wpkd check` prints all mistakes";
            let checks = found.0.iter();
            report.add_all(checks.map(|one| Check::failure(NAME, one.to_string(), advice)))?;
            Ok(None)
        }
    }
}
