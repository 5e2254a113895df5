//! `wpkd check`: every mistake in the settings, what would stop the start although they
//! are good, and what they mean. Nothing is changed.

use wpk_api::PluginKind;
use wpk_config::{Findings, PluginSection, Reading, Settings};

use crate::cli::Where;
use crate::registry::Registry;
use crate::settings;

/// Prints what the settings mean, if nothing is wrong.
///
/// # Errors
/// Everything that is.
pub(crate) fn run(place: &Where, registry: &mut Registry) -> Result<(), Findings> {
    let mut reading = settings::read_on(place, registry)?;
    let mut notes = Vec::new();
    let own = match reading.is_at_home() {
        true => wpk_runtime::outlook(reading.settings()),
        false => Vec::new(),
    };
    // Everything else lies in the home.
    let homeless = !reading.is_at_home() || own.iter().any(|problem| problem.key == "home");
    for problem in own {
        reading.seen(&problem.key, problem.message);
    }
    let seen = match homeless {
        true => Vec::new(),
        false => look_ahead(&reading, registry),
    };
    for (section, outlook) in seen {
        notes.extend(outlook.notes);
        for problem in outlook.problems {
            let problem = problem.inside(&section);
            reading.seen(&problem.key, problem.message);
        }
    }
    say(&reading.end()?, &notes);
    Ok(())
}

/// What each plugin would meet, with the key of its section; as far as it is sure what
/// the section means. Without a runtime of the system's nothing is known.
fn look_ahead(reading: &Reading, registry: &Registry) -> Vec<(String, wpk_api::Outlook)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        return Vec::new();
    };
    let settings = reading.settings();
    let context = settings.context();
    runtime.block_on(async {
        let mut seen = Vec::new();
        for kind in PluginKind::ALL {
            let sections = registry.sections(kind, settings);
            for (number, section) in sections.iter().enumerate() {
                let key = match kind.is_list() {
                    true => format!("{kind}.{number}"),
                    false => kind.to_string(),
                };
                let Some(section) = reading.sure(&key, section) else {
                    continue;
                };
                seen.push((key, registry.outlook(kind, &section, &context).await));
            }
        }
        seen
    })
}

fn say(settings: &Settings, notes: &[String]) {
    let kinds = |sections: &[PluginSection]| match sections {
        [] => "none".to_owned(),
        sections => (sections.iter())
            .map(|section| section.kind.as_str())
            .collect::<Vec<_>>()
            .join(", "),
    };
    println!("the configuration is good");
    for warning in settings::warnings(settings) {
        println!("warning    {warning}");
    }
    println!("home       {}", settings.home.display());
    println!("dialect    {}", settings.dialect.as_str());
    println!(
        "node       {} ({})",
        settings.node.name,
        settings.node.role.as_str()
    );
    println!("sources    {}", kinds(&settings.sources));
    println!("directory  {}", kinds(settings.directory.as_slice()));
    println!("transport  {}", kinds(settings.transport.as_slice()));
    println!("providers  {}", kinds(&settings.providers));
    println!("store      {}", kinds(settings.store.as_slice()));
    println!("observers  {}", kinds(&settings.observers));
    for file in &settings.plugins {
        println!("plugin     {}", file.path.display());
    }
    const MANAGER: &str = "manager version:";
    match settings.node.version {
        Some(version) => println!("now        {MANAGER} {version} (from node.version)"),
        None if notes.iter().any(|note| note.starts_with(MANAGER)) => {}
        None => println!("now        {MANAGER} unknown, so there is no limit"),
    }
    for note in notes {
        println!("now        {note}");
    }
}
