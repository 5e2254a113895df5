//! `wpk-agent doctor`: looks at everything that an upgrade of this machine needs, with the
//! agent's own code, and changes nothing. One line for each thing, as `wpkctl doctor`.

pub(crate) mod certificate;
mod manager;
mod places;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use wpk_api::examine::{Check, Level, Line};

use super::check::too_wide;
use super::status::{self, connection};
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// One JSON object for each thing, and one at the end.
    #[arg(long)]
    json: bool,
}

/// Prints what it sees as it sees it.
pub(super) fn run(config: &Path, home: Option<&Path>, options: &Options) -> ExitCode {
    let mut report = Report {
        json: options.json,
        worst: Level::Ok,
    };
    match Settings::load(config, home) {
        Ok(settings) => look(&settings, config, &mut report),
        Err(problems) => {
            for line in problems.to_string().lines() {
                let advice = "mend it; `wpk-agent check` tells whether all is well";
                report.add(Check::failure("settings", line, advice));
            }
            if let Some(home) = Settings::home_in(config, home) {
                agent(&home, &mut report);
                places::look(&home)
                    .into_iter()
                    .for_each(|check| report.add(check));
            }
        }
    }
    report.end()
}

fn look(settings: &Settings, config: &Path, report: &mut Report) {
    let shown = config.display();
    let warnings = settings.warnings();
    if warnings.is_empty() {
        report.add(Check::ok("settings", format!("no mistakes in {shown}")));
    }
    for warning in warnings {
        report.add(Check::warning("settings", warning, ""));
    }
    let wide = too_wide(settings, config);
    if wide.is_empty() {
        let detail = "nobody else may write what the agent trusts";
        report.add(Check::ok("rights", detail));
    }
    for line in wide {
        report.add(Check::warning("rights", line, ""));
    }
    if let Some(channel) = &settings.channel {
        report.add(match certificate::look(&channel.certificate) {
            Ok(end) if end.is_over() => {
                let advice = "once it runs the manager renews it, unless it was away too long: then \
                              enroll it again";
                Check::failure("certificate", end.to_string(), advice)
            }
            Ok(end) if end.is_near() => {
                let advice = "it renews itself while the manager is reached; else enroll again";
                Check::warning("certificate", end.to_string(), advice)
            }
            Ok(end) => Check::ok("certificate", end.to_string()),
            Err(reason) => Check::failure("certificate", reason, "enroll the agent again"),
        });
        for check in manager::look(channel) {
            report.add(check);
        }
    }
    match settings.outlook() {
        Ok(None) => {}
        Ok(Some(told)) => report.add(Check::ok("socket", told)),
        Err(problem) => {
            let detail = format!("{}: {}", problem.key, problem.message);
            report.add(Check::failure("socket", detail, ""));
        }
    }
    agent(&settings.home, report);
    places::look(&settings.home)
        .into_iter()
        .for_each(|check| report.add(check));
}

/// Whether it runs, and is connected.
fn agent(home: &Path, report: &mut Report) {
    const NAME: &str = "agent";
    let status = match status::look(home) {
        Ok(status) => status,
        Err(error) => {
            let detail = format!("{}: {error}", home.display());
            let advice = "ask as root, or as the agent's user";
            return report.add(Check::failure(NAME, detail, advice));
        }
    };
    let Some(pid) = status.running else {
        let advice = "start it, for example with `systemctl start wpk-agent`";
        return report.add(Check::warning(NAME, "not running", advice));
    };
    let channel = status
        .told_now()
        .and_then(|told| Some((told, told.channel.as_ref()?)));
    report.add(match channel {
        Some((_, channel)) if !channel.connected => Check::failure(
            NAME,
            format!("process {pid}, {}", connection(channel)),
            "it dials again by itself once the reason is gone",
        ),
        Some((_, channel)) => Check::ok(NAME, format!("process {pid}, {}", connection(channel))),
        None => Check::ok(NAME, format!("runs as process {pid}")),
    });
    let upgrade = &status.upgrade;
    report.add(match (&upgrade.result, upgrade.installer_runs) {
        (Some(_), _) | (None, true) => Check::warning(
            "upgrade",
            upgrade.line(),
            "no other upgrade begins until then",
        ),
        _ => Check::ok("upgrade", upgrade.line()),
    });
}

/// Prints checks.
pub(super) struct Report {
    json: bool,
    worst: Level,
}

impl Report {
    pub(super) fn add(&mut self, check: Check) {
        self.worst = self.worst.max(check.level);
        let text = match self.json {
            false => check.to_string(),
            true => json(&Line::Check {
                section: String::new(),
                check,
            }),
        };
        print(&text);
    }

    fn end(self) -> ExitCode {
        if self.json {
            print(&json(&Line::End));
        }
        match self.worst {
            Level::Failure => ExitCode::FAILURE,
            _ => ExitCode::SUCCESS,
        }
    }
}

fn json(line: &Line) -> String {
    serde_json::to_string(line).unwrap_or_default()
}

/// Whoever reads may be gone.
fn print(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
