//! `wpkd settings` and wpkd.toml(5): every setting, as the structs that read the
//! configuration describe themselves. `section` is what is set together,
//! `text` shows sections in a terminal, `manual` as a man page.

mod manual;
mod section;
mod text;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::json;

use crate::builtins;
use crate::cli::{SettingsArgs, WRONG_SETTINGS, Where};
use crate::settings;
pub(crate) use manual::page;
use section::Section;
pub(crate) use section::sections;

/// Prints them.
pub(crate) fn run(args: &SettingsArgs) -> ExitCode {
    let mut registry = builtins::registry();
    if let Some(file) = &args.config {
        let place = Where {
            config: Some(file.clone()),
            home: None,
            user: None,
        };
        if let Err(findings) = settings::libraries(&place, &mut registry) {
            eprintln!("{findings}");
            return ExitCode::from(WRONG_SETTINGS);
        }
    }
    let mut sections = sections(&registry);
    if let Some(name) = &args.section {
        let known = names(&sections);
        sections.retain(|section| section.is_called(name));
        if sections.is_empty() {
            eprintln!("wpkd: there is no section {name}; there are {known}");
            return ExitCode::from(WRONG_SETTINGS);
        }
    }
    let text = match args.json {
        true => objects(&sections),
        false => text::of(&sections),
    };
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wpkd: standard output: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What a section may be asked for by: its name, or the type of its plugin; each once.
pub(crate) fn words(sections: &[Section]) -> Vec<String> {
    let names = sections.iter().flat_map(Section::words);
    let words: BTreeSet<&str> = names.filter(|name| !name.is_empty()).collect();
    words.into_iter().map(str::to_owned).collect()
}

fn names(sections: &[Section]) -> String {
    let mut names: Vec<&str> = (sections.iter())
        .map(|section| section.heading.trim_matches(['[', ']']))
        .filter(|name| !name.is_empty())
        .collect();
    names.dedup();
    names.join(", ")
}

fn objects(sections: &[Section]) -> String {
    let mut text = String::new();
    for section in sections {
        for key in &section.keys {
            let object = json!({
                "section": section.heading,
                "type": section.plugin,
                "key": key.name,
                "what": key.what,
                "values": key.values,
                "default": key.default,
                "required": key.required,
            });
            text.push_str(&format!("{object}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_its_description_unit_and_default() {
        let mut wrong = Vec::new();
        let sections = sections(&builtins::registry());
        let mut keys = 0;
        for section in &sections {
            assert!(section.described, "{} has no schema", section.title());
            assert!(section.about.ends_with('.'), "{}", section.title());
            for key in &section.keys {
                keys += 1;
                if let Some(what) = key.missing() {
                    wrong.push(format!("{} {}: {what}: {key:?}", section.title(), key.name));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(keys >= 70, "{keys}");
    }

    #[test]
    fn sections_are_asked_for_by_their_names_and_by_types() {
        let words = words(&sections(&builtins::registry()));
        for word in ["delivery", "store", "postgres", "repository", "channel"] {
            assert!(words.iter().any(|one| one == word), "{word}: {words:?}");
        }
        let plain = |word: &String| !word.is_empty() && !word.contains(['[', ']', ' ']);
        assert!(words.iter().all(plain), "{words:?}");
    }

    #[test]
    fn lines_are_not_longer_than_a_terminal() {
        let text = text::of(&sections(&builtins::registry()));
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        for part in [
            "[[source]] type = \"unix-socket\"",
            "  max_frame: a size",
            "default \"16MiB\"",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
