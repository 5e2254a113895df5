//! `wpk-agent check`: what would stop the start, and what the start would put right or
//! complain of. Changes nothing.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::doctor::certificate;
use super::exit::WRONG_SETTINGS;
use crate::rights::Guard;
use crate::settings::Settings;

/// The settings are good; says the rest.
pub(super) fn run(settings: &Settings, config: &Path) -> ExitCode {
    let shown = config.display();
    for warning in settings.warnings() {
        println!("{shown}: warning: {warning}");
    }
    for wide in too_wide(settings, config) {
        println!("{shown}: warning: {wide}");
    }
    let mut mistakes = Vec::new();
    if let Some(channel) = &settings.channel {
        match certificate::look(&channel.certificate) {
            // It may still renew itself.
            Ok(end) if end.is_over() => println!(
                "{shown}: warning: channel.certificate: {end}; until the manager has renewed it \
                 it is good for nothing else: see whether the agent connects, else enroll it again"
            ),
            Ok(end) if end.is_near() => println!("{shown}: warning: channel.certificate: {end}"),
            Ok(_) => {}
            Err(reason) => mistakes.push(format!("channel.certificate: {reason}")),
        }
    }
    let note = match settings.outlook() {
        Ok(note) => note,
        Err(problem) => {
            mistakes.push(format!("{}: {}", problem.key, problem.message));
            None
        }
    };
    for mistake in &mistakes {
        eprintln!("{shown}: {mistake}");
    }
    if !mistakes.is_empty() {
        return ExitCode::from(WRONG_SETTINGS);
    }
    println!("{shown}: no mistakes found");
    if let Some(note) = note {
        println!("{note}");
    }
    ExitCode::SUCCESS
}

/// What others may write although the agent trusts it, a line each.
pub(super) fn too_wide(settings: &Settings, config: &Path) -> Vec<String> {
    let mut trusted = vec![config.to_owned()];
    trusted.extend(config.parent().map(Path::to_owned));
    trusted.extend(
        ["", "var", "var/run", "var/upgrade", "var/installer"].map(|folder| {
            let path = settings.home.join(folder);
            // Without the slash at its end, for people.
            path.components().collect::<PathBuf>()
        }),
    );
    trusted.extend(settings.upgrade.ca_verification.ca_store.iter().cloned());
    if let Some(channel) = &settings.channel {
        trusted.extend([&channel.ca, &channel.certificate, &channel.key].map(Clone::clone));
    }
    let program = std::env::current_exe().unwrap_or_default();
    trusted.extend(program.parent().map(Path::to_owned));
    trusted.push(program);
    trusted.sort();
    trusted.dedup();
    let mut guard = Guard::new(settings);
    trusted
        .iter()
        .flat_map(|path| guard.complaints(path))
        .collect()
}
