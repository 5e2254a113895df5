//! wpkd.toml(5).

use clap_mangen::roff::{Inline, Roff, bold, roman};

use super::section::{Section, without_keys};

const ABOUT: &str = "Settings of wpkd, a TOML file: the one that --config names, and conf.d/*.toml \
     beside it. Every key may be left out but those that must be given. An unknown key is a \
     mistake; `wpkd check` prints every mistake at once. `wpkd settings --config FILE` shows this \
     page's text, with the settings of the libraries that the file names.";
const UNITS: &str = "Times are whole numbers with ms, s, m, h or d, sizes with B, KiB, MiB or GiB, in \
     quotes. A relative path starts at `home`. A variable such as WPKD_NODE__NAME stands for \
     [node] name and wins over the files.";

/// The page; `source` stands at its foot.
pub(crate) fn page(sections: &[Section], source: &str) -> Vec<u8> {
    let mut roff = Roff::new();
    roff.control("TH", ["wpkd.toml", "5", " ", source, "Settings of wpkd"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman("wpkd.toml - settings of wpkd")]);
    roff.control("SH", ["DESCRIPTION"]);
    roff.text(words(ABOUT)).control("PP", []).text(words(UNITS));
    roff.control("SH", ["SETTINGS"]);
    for section in sections {
        let title = section.title();
        roff.control("SS", [title.as_str()]);
        roff.text(words(&section.about));
        if section.keys.is_empty() {
            roff.text([roman(without_keys(section))]);
        }
        for key in &section.keys {
            roff.control("TP", []);
            let values = roman(format!(" ({}; {})", key.values, key.absence()));
            roff.text([bold(key.name.as_str()), values]);
            roff.text(words(&key.what));
        }
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([
        bold("wpkd"),
        roman("(1), "),
        bold("wpkd-settings"),
        roman("(7)"),
    ]);
    roff.render().into_bytes()
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
