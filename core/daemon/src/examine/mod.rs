//! `wpkd examine`: what the daemon would meet if it started now. The settings are
//! read as at the start (`settings`), and every section's plugin looks by itself
//! ([`Factory::examine`](wpk_api::Factory::examine)); what is no plugin's is
//! looked at here: `rights` and `space` on disk, `crashes`, `certificates` of WPKs. `print`
//! tells it, a line for each check as soon as it is known. Nothing is changed.

mod certificates;
mod crashes;
mod print;
mod rights;
mod space;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use tempfile::TempDir;
use wpk_api::examine::{Check, Examine, Level, MANAGER_VERSION};
use wpk_api::settings::Problem;
use wpk_api::{Dialect, PluginKind, Role, Version, repository};
use wpk_config::{Findings, Settings};

use crate::cli::{Examination, WRONG_SETTINGS};
use crate::registry::Registry;
use crate::settings;
use print::Printer;

/// Looks and prints. Exit status 0: nothing failed; 1: something did; 2: the
/// settings have mistakes.
pub(crate) fn run(args: &Examination, mut registry: Registry) -> ExitCode {
    let mut out = Printer::new(args.json);
    let looked = match settings::read(&args.place, &mut registry) {
        Ok((settings, _)) => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .and_then(|runtime| runtime.block_on(look(args, &settings, &registry, &mut out)))
            .map(|()| ExitCode::FAILURE),
        Err(findings) => mistakes(&findings, &mut out).map(|()| ExitCode::from(WRONG_SETTINGS)),
    };
    registry.settle();
    match looked.and_then(|bad| out.end().map(|()| bad)) {
        Ok(_) if out.all_is_well() => ExitCode::SUCCESS,
        Ok(bad) => bad,
        Err(error) => {
            eprintln!("wpkd: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Each mistake in the settings; there is nothing else to look at then.
fn mistakes(findings: &Findings, out: &mut Printer) -> io::Result<()> {
    let advice = "correct it; `wpkd check` prints all mistakes";
    let checks = findings.0.iter();
    out.add_all(
        "",
        checks.map(|found| Check::failure("settings", found.to_string(), advice)),
    )
}

async fn look(
    args: &Examination,
    settings: &Settings,
    registry: &Registry,
    out: &mut Printer,
) -> io::Result<()> {
    let config = args.place.config.as_deref();
    let place = config.map_or("defaults".to_owned(), |file| file.display().to_string());
    let home = settings.home.display();
    out.add("", Check::ok("settings", format!("{place}, home {home}")))?;

    // Downloads are looked into, and gone when this ends.
    let kept = (args.download > 0).then(TempDir::new).transpose()?;
    let kept = kept.as_ref().map(TempDir::path);
    let blocked = wpk_runtime::outlook(settings).into_iter().map(stops);
    out.add_all("", blocked)?;
    let mut asked = Examine {
        keep: kept.map(PathBuf::from),
        ..asked(args, settings)
    };
    for kind in [
        PluginKind::Source,
        PluginKind::Directory,
        PluginKind::Transport,
    ] {
        let manager = sections(kind, &asked, settings, registry, out).await?;
        // Upgrades that name no version: PROTOCOL.md, section 12.
        if settings.dialect == Dialect::Wazuh4 {
            asked.version = asked.version.or(manager);
        }
    }
    out.add_all(
        "",
        rights::look(settings, config, &registry.served(settings)),
    )?;
    out.add_all("", space::look(settings))?;
    out.add_all("", crashes::look(&settings.home))?;
    sections(PluginKind::Provider, &asked, settings, registry, out).await?;
    out.add_all(
        "",
        certificates::look(settings, &args.ca, args.wpk.as_deref(), kept),
    )?;
    sections(PluginKind::Store, &asked, settings, registry, out).await?;
    sections(PluginKind::Observer, &asked, settings, registry, out).await?;
    out.add_all("", unshown(settings))
}

/// What `wpkd check` would tell as well.
fn stops(problem: Problem) -> Check {
    let advice = "correct it: wpkd does not start like this";
    Check::failure("start", problem.to_string(), advice)
}

/// Whether the API and the dashboard of the manager around us see our tasks: their lists
/// are read from its own table. A section of `[[observer]]` replaces what stands for none.
fn unshown(settings: &Settings) -> Option<Check> {
    let shown = (settings.observers.iter()).any(|section| section.kind == "wazuh-tasks");
    let master = settings.node.role == Role::Master;
    (settings.context().manager && master && !shown).then(|| {
        let detail = "our tasks are not shown there: no [[observer]] has type = \"wazuh-tasks\"";
        let advice = "write that one as well, or know that the API's and the dashboard's lists \
                      of tasks lack them";
        Check::warning("manager's task table", detail, advice)
    })
}

/// What plugins are asked beside themselves.
fn asked(args: &Examination, settings: &Settings) -> Examine {
    let (os, arch) = (args.os_version.as_deref(), args.arch.as_deref());
    let platform = args.platform.as_deref();
    Examine {
        platform: platform.map(|name| repository::platform(name, os, arch)),
        package_type: args.package_type,
        // Upgrades that name no version: PROTOCOL.md, section 12.
        version: (settings.node.version).filter(|_| settings.dialect == Dialect::Wazuh4),
        downloads: args.download,
        max_size: Some(settings.cache.max_size.0),
        keep: None,
        task_timeout: Some(settings.tasks.task_timeout),
    }
}

/// Asks every plugin of a kind. Gives the manager's version, where one told it.
async fn sections(
    kind: PluginKind,
    asked: &Examine,
    settings: &Settings,
    registry: &Registry,
    out: &mut Printer,
) -> io::Result<Option<Version>> {
    let context = settings.context();
    let mut manager = None;
    for (number, section) in registry.sections(kind, settings).iter().enumerate() {
        let key = match kind.is_list() {
            true => format!("{kind}.{number}"),
            false => kind.to_string(),
        };
        let mut checks = registry.examine(kind, section, &context, asked).await;
        let told = checks.iter().find(|check| check.name == MANAGER_VERSION);
        manager = manager.or_else(|| told?.detail.parse().ok());
        // A source says itself what is in its way; and where another plugin has found
        // what is wrong, it has said it better.
        let silent = kind != PluginKind::Source;
        if silent && checks.iter().all(|check| check.level != Level::Failure) {
            let outlook = registry.outlook(kind, section, &context).await;
            checks.extend(outlook.problems.into_iter().map(stops));
        }
        out.add_all(&key, checks)?;
    }
    Ok(manager)
}
