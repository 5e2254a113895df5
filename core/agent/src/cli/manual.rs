//! wpk-agent.toml(5): every setting, as the structs that read the file describe themselves.

use clap_mangen::roff::{Inline, Roff, bold, roman};
use wpk_api::settings::{keys, prose};

use crate::settings::reference;

const ABOUT: &str = "Settings of wpk-agent, a TOML file: /etc/wpk-agent/wpk-agent.toml, or the one \
     that --config names. Every key may be left out but those that must be there. An unknown key \
     is a mistake, and `wpk-agent check` prints all of them. SIGHUP has the agent read the file \
     again.";
const UNITS: &str = "Times are whole numbers with ms, s, m, h or d, sizes with B, KiB, MiB or \
     GiB, in quotes. A relative path starts at `home`.";

/// The page; `source` stands at its foot.
pub(super) fn page(source: &str) -> String {
    let mut roff = Roff::new();
    roff.control(
        "TH",
        ["wpk-agent.toml", "5", " ", source, "Settings of wpk-agent"],
    );
    roff.control("SH", ["NAME"]);
    roff.text([roman("wpk-agent.toml - settings of wpk-agent")]);
    roff.control("SH", ["DESCRIPTION"]);
    roff.text(words(ABOUT)).control("PP", []).text(words(UNITS));
    roff.control("SH", ["SETTINGS"]);
    for (heading, schema) in reference() {
        let title = match heading {
            "" => "Before the first section",
            heading => heading,
        };
        roff.control("SS", [title]);
        let about = schema.get("description").and_then(|about| about.as_str());
        if let Some(about) = about {
            roff.text(words(&prose(about)));
        }
        for key in keys(&schema) {
            roff.control("TP", []);
            let values = roman(format!(" ({}; {})", key.values, key.absence()));
            roff.text([bold(key.name.as_str()), values]);
            roff.text(words(&key.what));
        }
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([bold("wpk-agent"), roman("(1)")]);
    roff.render()
}

/// A text with its words in backquotes set apart.
fn words(text: &str) -> Vec<Inline> {
    let pieces = text.split('`').enumerate();
    pieces
        .filter(|(_, piece)| !piece.is_empty())
        .map(|(number, piece)| match number % 2 {
            0 => roman(piece),
            _ => bold(piece),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    /// The settings file of the packages.
    const SETTINGS: &str = include_str!("../../../../config/wpk-agent.toml");

    #[test]
    fn every_setting_has_its_description_unit_and_default() {
        let mut wrong = Vec::new();
        let mut count = 0;
        for (heading, schema) in reference() {
            let about = schema.get("description").and_then(|about| about.as_str());
            let about = about.unwrap_or_default();
            if !heading.is_empty() && !prose(about).ends_with('.') {
                wrong.push(format!("{heading} does not say what it is for"));
            }
            for key in keys(&schema) {
                count += 1;
                if let Some(what) = key.missing() {
                    wrong.push(format!("{heading} {}: {what}: {key:?}", key.name));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(count >= 38, "{count}");
    }

    /// A line of the file: its section `[upgrade]`, or a key, also behind a `#`.
    fn bare(line: &str) -> Option<&str> {
        let bare = line.strip_prefix('#').unwrap_or(line);
        let is_text = line.starts_with("# ") || bare.trim().is_empty();
        (!is_text).then_some(bare)
    }

    #[test]
    fn the_file_of_the_packages_has_every_key_in_its_section() {
        for (heading, schema) in reference() {
            let heading = (!heading.is_empty()).then_some(heading);
            let mut section = None;
            let mut shown = Vec::new();
            for line in SETTINGS.lines().filter_map(bare) {
                match line.starts_with('[') {
                    true => section = Some(line),
                    false if section == heading => shown.extend(line.split(" = ").next()),
                    false => {}
                }
            }
            let mut known: Vec<String> = keys(&schema).into_iter().map(|key| key.name).collect();
            shown.sort_unstable();
            known.sort_unstable();
            assert_eq!(shown, known, "{heading:?}");
        }
    }

    /// What stands behind a `#` is what counts without it, but for examples.
    #[test]
    fn the_values_shown_are_the_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let shown: String = SETTINGS
            .lines()
            .filter(|line| !line.ends_with("# example"))
            .filter_map(|line| bare(line).map(|bare| format!("{bare}\n")))
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
        let all = load(&shown);
        let short = "[listen]\n[channel]\naddress = \"manager.example:1517\"\n[agent]\n\
                     version_file = \"/usr/share/wpk-agent/VERSION\"\n";
        let defaults = load(short);
        assert_eq!(format!("{all:#?}"), format!("{defaults:#?}"));
    }

    #[test]
    fn the_page_tells_each_setting_with_its_default() {
        let page = page("wpk-agent 1");
        for part in [
            ".SS [upgrade]",
            ".SS \"Before the first section\"",
            "\\fBexecution_timeout\\fR (a time, such as \"30s\"; default \"1m\")",
            "\\fBaddress\\fR (a text; must be given)",
            "\\fBclear_upgrade_result\\fR",
        ] {
            let plain = page.replace("\\-", "-");
            assert!(plain.contains(part), "{part} is not in\n{plain}");
        }
        assert!(!page.lines().any(|line| line.starts_with('\'')));
    }
}
