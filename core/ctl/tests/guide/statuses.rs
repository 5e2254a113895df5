//! Exit statuses: those that the guide tells are those that the programs end with.

use std::collections::{BTreeMap, BTreeSet};

use super::page::{page, source, sources};

/// The text up to the bracket that closes the one before it.
fn argument(text: &str) -> &str {
    let mut depth = 1;
    let end = text.find(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0
    });
    &text[..end.expect("a call has an end")]
}

/// The statuses in an expression, as numbers or as constants of these sources.
fn in_expression(expression: &str, constants: &BTreeMap<String, u8>) -> Vec<u8> {
    let words = expression.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    let found: Vec<u8> = words
        .filter_map(|word| word.parse().ok().or_else(|| constants.get(word).copied()))
        .collect();
    assert!(!found.is_empty(), "which status is {expression}?");
    found
}

/// All statuses that the sources below a folder end with. `parse` of the command line
/// ends with 2 where it makes no sense.
fn of(folder: &str) -> BTreeSet<u8> {
    let sources = sources(&[folder]);
    let mut constants = BTreeMap::new();
    for (_, text) in &sources {
        for rest in text.split("const ").skip(1) {
            let name = rest.split_once(": u8 = ");
            let value = name.and_then(|(name, rest)| Some((name, rest.split_once(';')?.0)));
            if let Some((name, value)) = value
                && let Ok(value) = value.parse()
            {
                constants.insert(name.to_owned(), value);
            }
        }
    }
    let mut found = BTreeSet::new();
    for (_, text) in &sources {
        for (said, status) in [
            ("ExitCode::SUCCESS", 0),
            ("ExitCode::FAILURE", 1),
            ("Cli::parse()", 2),
            ("Arguments::parse()", 2),
        ] {
            found.extend(text.contains(said).then_some(status));
        }
        for call in ["ExitCode::from(", "process::exit("] {
            for rest in text.split(call).skip(1) {
                found.extend(in_expression(argument(rest), &constants));
            }
        }
    }
    found
}

/// The endings of wpkctl with their statuses: `Self::Well => 0`.
fn endings() -> BTreeMap<String, u8> {
    let output = source("core/ctl/src/output.rs");
    let (_, rest) = output.split_once("fn status(self) -> u8 {").unwrap();
    let (body, _) = rest.split_once("\n    }").unwrap();
    let arms = body.lines().filter_map(|line| {
        let (ending, status) = line.trim().strip_prefix("Self::")?.split_once(" => ")?;
        Some((
            ending.to_owned(),
            status.trim_end_matches(',').parse().ok()?,
        ))
    });
    arms.collect()
}

/// What `agent_upgrade` ends with: what its `run` says, and what `main` makes of the
/// errors that it lets through, which are of the command line or of standard output.
fn of_agent_upgrade(endings: &BTreeMap<String, u8>) -> BTreeSet<u8> {
    let tool = source("core/ctl/src/agent_upgrade/mod.rs");
    let said = tool.split("Ending::").skip(1).filter_map(|rest| {
        let name = rest.split(|c: char| !c.is_alphanumeric()).next()?;
        endings.get(name).copied()
    });
    let main = source("core/ctl/src/main.rs");
    let (_, rest) = main.split_once("ExitCode::from(").unwrap();
    let errors = in_expression(argument(rest), &BTreeMap::new());
    said.chain(errors).collect()
}

#[test]
fn every_exit_status_is_told() {
    let text = page("json-and-exit-codes");
    let told = |program: &str| -> BTreeSet<u8> {
        let heading = format!("## Exit status of {program}\n");
        let (_, rest) = text.split_once(&heading).unwrap();
        let section = rest.split("\n## ").next().unwrap();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| "));
        rows.filter_map(|row| row.split(' ').next()?.parse().ok())
            .collect()
    };
    let endings = endings();
    assert!(endings.len() >= 4, "{endings:?}");
    let tool = of_agent_upgrade(&endings);
    let main = source("core/ctl/src/main.rs");
    let (_, rest) = main.split_once("ExitCode::from(").unwrap();
    let mut ours: BTreeSet<u8> = endings.into_values().collect();
    ours.extend(in_expression(argument(rest), &BTreeMap::new()));
    for (program, statuses) in [
        ("wpkctl", ours),
        ("agent_upgrade", tool),
        ("wpkd", of("core/daemon/src")),
        ("wpk-agent", of("core/agent/src")),
    ] {
        assert!(statuses.len() >= 3, "{program}: {statuses:?}");
        assert_eq!(told(program), statuses, "{program}");
    }
}
