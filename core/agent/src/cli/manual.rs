//! wpk-agent.toml(5), made of the settings file that the packages bring: its comments
//! explain every key, so there is no second text that could fall behind.

use std::fmt::Write as _;

/// The settings file of the packages.
const SETTINGS: &str = include_str!("../../../../config/wpk-agent.toml");

const BEFORE: &str = "\
.SH DESCRIPTION
Settings of
.BR wpk-agent (1),
a TOML file: /etc/wpk-agent/wpk-agent.toml, or the one that \\-\\-config names. Below is what
the file of the package says of each key, with its default. Unknown keys are mistakes, and
.B wpk-agent check
prints all of them. SIGHUP has the agent read the file again.
.SH SETTINGS
";

const AFTER: &str = "\
.SH SEE ALSO
.BR wpk-agent (1)
";

/// The page; `source` stands at its foot.
pub(super) fn page(source: &str) -> String {
    let mut page = format!(
        ".TH wpk\\-agent.toml 5 \"\" \"{source}\"\n.SH NAME\nwpk\\-agent.toml \\- settings of \
         wpk\\-agent\n{BEFORE}"
    );
    let mut shows_code = false;
    for line in SETTINGS.lines() {
        let line = Line::of(line);
        let is_code = matches!(line, Line::Code(_));
        if is_code != shows_code {
            page.push_str(if is_code { ".PP\n.nf\n" } else { ".fi\n.PP\n" });
            shows_code = is_code;
        }
        // Writing to a string does not fail.
        let _ = match line {
            Line::Empty => writeln!(page, ".PP"),
            Line::Section(name) => writeln!(page, ".SS {}", escape(name)),
            Line::Code(text) | Line::Text(text) => writeln!(page, "{}", escape(text)),
        };
    }
    if shows_code {
        page.push_str(".fi\n");
    }
    page + AFTER
}

/// What a line of the file is.
enum Line<'a> {
    Empty,
    /// `[upgrade]`, also behind a `#`.
    Section(&'a str),
    /// A key with its value, also behind a `#`.
    Code(&'a str),
    Text(&'a str),
}

impl<'a> Line<'a> {
    fn of(line: &'a str) -> Self {
        let bare = line.strip_prefix('#').unwrap_or(line);
        if bare.trim().is_empty() {
            Self::Empty
        } else if bare.starts_with('[') && bare.ends_with(']') {
            Self::Section(bare)
        } else if let Some(text) = line.strip_prefix("# ") {
            Self::Text(text)
        } else {
            Self::Code(bare)
        }
    }
}

fn escape(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('-', "\\-");
    // A dot or quote at the beginning would be a command.
    match escaped.starts_with(['.', '\'']) {
        true => format!("\\&{escaped}"),
        false => escaped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{
        AgentSettings, CaVerification, ChannelSettings, Limits, ListenSettings, Settings,
        UpgradeSettings,
    };
    use serde::de::DeserializeOwned;

    /// The keys of a section: what it says of an unknown one.
    fn keys<T: DeserializeOwned>() -> Vec<String> {
        let table: toml::Table = "zz = 1".parse().unwrap();
        let error = match table.try_into::<T>() {
            Ok(_) => panic!("unknown keys are mistakes"),
            Err(error) => error.to_string(),
        };
        let named = error.split_once("expected").unwrap().1;
        named
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn every_key_is_explained_in_its_section() {
        let sections = [
            ("[agent]", keys::<AgentSettings>()),
            ("[upgrade]", keys::<UpgradeSettings>()),
            ("[upgrade.ca_verification]", keys::<CaVerification>()),
            ("[limits]", keys::<Limits>()),
            ("[listen]", keys::<ListenSettings>()),
            ("[channel]", keys::<ChannelSettings>()),
        ];
        for (section, keys) in sections {
            assert!(!keys.is_empty(), "{section}");
            let shown = |line: &&str| matches!(Line::of(line), Line::Section(s) if s == section);
            let inside: Vec<_> = SETTINGS
                .lines()
                .skip_while(|line| !shown(line))
                .skip(1)
                .take_while(|line| !matches!(Line::of(line), Line::Section(_)))
                .collect();
            for key in keys {
                let begin = format!("{key} = ");
                let at = inside
                    .iter()
                    .position(|line| line.trim_start_matches('#').starts_with(&begin));
                let at = at.unwrap_or_else(|| panic!("{section} does not explain {key}"));
                assert!(
                    inside[..at]
                        .last()
                        .is_some_and(|line| line.starts_with("# "))
                        || inside[at - 1].contains(" = "),
                    "{section}: {key} has no words before it"
                );
            }
        }
    }

    /// What stands behind a `#` is what counts without it, but for examples.
    #[test]
    fn the_values_shown_are_the_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let bare: String = SETTINGS
            .lines()
            .filter(|line| !line.ends_with("# example"))
            .filter_map(|line| match Line::of(line) {
                Line::Section(text) | Line::Code(text) => Some(format!("{text}\n")),
                _ => None,
            })
            .collect();
        let load = |text: &str| {
            let file = dir.path().join("wpk-agent.toml");
            std::fs::write(&file, text).unwrap();
            for name in ["ca.pem", "agent.pem", "agent.key"] {
                std::fs::create_dir_all(dir.path().join("etc/channel")).unwrap();
                std::fs::write(dir.path().join("etc/channel").join(name), "").unwrap();
            }
            Settings::load(&file, Some(dir.path())).unwrap_or_else(|error| panic!("{error}"))
        };
        let all = load(&bare);
        let short = "[listen]\n[channel]\naddress = \"manager.example:1517\"\n[agent]\n\
                     version_file = \"/usr/share/wpk-agent/VERSION\"\n";
        let defaults = load(short);
        assert_eq!(format!("{all:#?}"), format!("{defaults:#?}"));
    }

    #[test]
    fn the_page_is_whole() {
        let page = page("wpk-agent 1");
        assert!(page.contains(".SS [upgrade]") && page.contains("execution_timeout"));
        assert_eq!(page.matches(".nf\n").count(), page.matches(".fi\n").count());
        assert!(!page.lines().any(|line| line.starts_with('\'')));
    }
}
