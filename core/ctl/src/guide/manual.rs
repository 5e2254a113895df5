//! A page of the guide as a man page, section 7: `wpkd-TOPIC`, but for `wpk-rollout`.

use clap_mangen::roff::{Inline, Roff, bold, roman};

use super::markdown::{Block, Style, blocks, pieces, topic};
use super::pages::Page;

/// The name of the man page of a topic. The examples are looked for under the name of what
/// they are of.
fn name(topic: &str) -> String {
    match topic {
        "rollout-examples" => "wpk-rollout".to_owned(),
        topic => format!("wpkd-{topic}"),
    }
}

/// Its name without `.7`, and its bytes.
pub(crate) fn page(page: &Page) -> (String, Vec<u8>) {
    let name = name(page.topic);
    let source = concat!("wpkd ", env!("CARGO_PKG_VERSION"));
    let mut roff = Roff::new();
    // Without a date: a blank, for an empty word is written as none.
    roff.control("TH", [name.as_str(), "7", " ", source, "The guide of wpkd"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{name} - {}", page.title()))]);
    // The title stands in NAME.
    let mut described = false;
    for block in blocks(page.text).iter().skip(1) {
        if !described && !matches!(block, Block::Heading(..)) {
            roff.control("SH", ["DESCRIPTION"]);
        }
        described = true;
        write(&mut roff, block);
    }
    (name, roff.render().into_bytes())
}

fn write(roff: &mut Roff, block: &Block) {
    match block {
        Block::Heading(level, text) => {
            let command = if *level < 3 { "SH" } else { "SS" };
            let bare: String = pieces(text, link).into_iter().map(|(_, t)| t).collect();
            roff.control(command, [bare.as_str()]);
        }
        Block::Paragraph(text) => {
            roff.control("PP", []).text(inlines(text));
        }
        Block::Item(mark, text) => {
            roff.control("IP", [mark.as_str(), "4"]).text(inlines(text));
        }
        Block::Code(lines) => {
            roff.control("PP", [])
                .control("RS", ["4"])
                .control("nf", []);
            for line in lines {
                match line.is_empty() {
                    true => roff.control("sp", []),
                    false => roff.text([roman(line.as_str())]),
                };
            }
            roff.control("fi", []).control("RE", []);
        }
        Block::Table(rows) => {
            for row in rows.iter().skip(1) {
                let Some((first, others)) = row.split_first() else {
                    continue;
                };
                roff.control("TP", ["4"]).text(inlines(first));
                roff.text(inlines(&others.join(" -- ")));
            }
        }
    }
}

fn inlines(text: &str) -> Vec<Inline> {
    let pieces = pieces(text, link).into_iter();
    pieces
        .map(|(style, text)| match style {
            Style::Plain => roman(text),
            Style::Bold | Style::Code => bold(text),
        })
        .collect()
}

fn link(words: &str, place: &str) -> String {
    match topic(place) {
        Some(topic) => format!("{words} ({}(7))", name(topic)),
        None => format!("{words} ({place})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_code_stays_as_it_is() {
        let (name, text) = page(&Page {
            topic: "x",
            text: "# About\n\nSee [y](y.md).\n\n```sh\n.ls 'a' -l \\\n\nid\n```\n",
        });
        let text = String::from_utf8(text).unwrap();
        assert_eq!(name, "wpkd-x");
        for part in [
            ".TH wpkd-x 7",
            "wpkd\\-x \\- About",
            "See y (wpkd\\-y(7)).",
            ".nf\n\\&.ls",
            ".sp\nid\n.fi",
        ] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
    }
}
