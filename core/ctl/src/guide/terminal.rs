//! A page as lines of a terminal. Prose is broken at the width; code is not, so that it can
//! be copied. A table is its first column, with the others below.

use super::markdown::{Block, Style, blocks, pieces, topic};

/// How it is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// Columns of a line of prose.
    pub(super) width: usize,
    /// Whether the terminal knows bold letters; without, code stands in backquotes.
    pub(super) bold: bool,
}

const BOLD: &str = "\x1b[1m";
const USUAL: &str = "\x1b[0m";

/// The page, as it is printed.
pub(super) fn lay_out(page: &str, look: Look) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut before_was_item = false;
    for block in blocks(page) {
        let is_item = matches!(block, Block::Item(..));
        let joins = is_item && before_was_item;
        if !lines.is_empty() && !joins {
            lines.push(String::new());
        }
        before_was_item = is_item;
        match block {
            Block::Heading(level, text) => lines.extend(heading(level, &text, look)),
            Block::Paragraph(text) => lines.extend(wrapped(&text, "", "", look)),
            Block::Item(mark, text) => {
                let indent = " ".repeat(mark.len() + 1);
                lines.extend(wrapped(&text, &format!("{mark} "), &indent, look));
            }
            Block::Code(code) => lines.extend(code.iter().map(|line| match line.is_empty() {
                true => String::new(),
                false => format!("    {line}"),
            })),
            Block::Table(rows) => lines.extend(table(&rows, look)),
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

fn heading(level: usize, text: &str, look: Look) -> Vec<String> {
    let lines = letters(text, Style::Bold, look);
    let mut lines = broken(&lines, look.width, "", "");
    if !look.bold && level < 3 {
        let longest = lines.iter().map(|line| line.len()).max().unwrap_or(0);
        let rule = if level == 1 { "=" } else { "-" };
        let rule = rule.repeat(longest).chars().map(|c| (c, false)).collect();
        lines.push(rule);
    }
    lines.into_iter().map(|line| shown(&line)).collect()
}

fn table(rows: &[Vec<String>], look: Look) -> Vec<String> {
    let mut lines = Vec::new();
    let (header, rows) = rows
        .split_first()
        .map_or((&[][..], &[][..]), |(h, r)| (h, r));
    for row in rows {
        let Some((first, others)) = row.split_first() else {
            continue;
        };
        lines.extend(wrapped(first, "", "  ", look));
        for (at, cell) in others
            .iter()
            .enumerate()
            .filter(|(_, cell)| !cell.is_empty())
        {
            // Where there are several, each says what it is.
            let name = header.get(at + 1).filter(|_| others.len() > 1);
            let text = name.map_or_else(|| cell.clone(), |name| format!("{name}: {cell}"));
            lines.extend(wrapped(&text, "    ", "    ", look));
        }
    }
    lines
}

fn wrapped(text: &str, first: &str, indent: &str, look: Look) -> Vec<String> {
    let letters = letters(text, Style::Plain, look);
    let lines = broken(&letters, look.width, first, indent);
    lines.into_iter().map(|line| shown(&line)).collect()
}

/// A letter, and whether it is bold.
type Letter = (char, bool);

fn letters(text: &str, usual: Style, look: Look) -> Vec<Letter> {
    let mut found = Vec::new();
    for (style, piece) in pieces(text, link) {
        let piece = match style {
            Style::Code if !look.bold => format!("`{piece}`"),
            _ => piece,
        };
        let bold = look.bold && (style != Style::Plain || usual == Style::Bold);
        found.extend(piece.chars().map(|c| (c, bold)));
    }
    found
}

fn link(words: &str, place: &str) -> String {
    match topic(place) {
        Some(topic) => format!("{words} (wpkctl guide {topic})"),
        None => format!("{words} ({place})"),
    }
}

/// Lines of at most `width` letters; what has no blank is broken anywhere.
fn broken(letters: &[Letter], width: usize, first: &str, indent: &str) -> Vec<Vec<Letter>> {
    let start = |text: &str| -> Vec<Letter> { text.chars().map(|c| (c, false)).collect() };
    let mut lines = Vec::new();
    let mut line = start(first);
    let mut begun = false;
    for word in letters
        .split(|(c, _)| *c == ' ')
        .filter(|word| !word.is_empty())
    {
        if begun && line.len() + 1 + word.len() > width {
            lines.push(std::mem::replace(&mut line, start(indent)));
            begun = false;
        }
        if begun {
            // Bold where it joins bold letters, so that code stays one piece.
            let bold = line.last().is_some_and(|(_, bold)| *bold) && word[0].1;
            line.push((' ', bold));
        }
        for letter in word {
            if line.len() >= width && begun {
                lines.push(std::mem::replace(&mut line, start(indent)));
            }
            line.push(*letter);
            begun = true;
        }
    }
    lines.push(line);
    lines
}

fn shown(line: &[Letter]) -> String {
    let mut text = String::new();
    let mut is_bold = false;
    for (c, bold) in line {
        if *bold != is_bold {
            text.push_str(if *bold { BOLD } else { USUAL });
            is_bold = *bold;
        }
        text.push(*c);
    }
    if is_bold {
        text.push_str(USUAL);
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guide::PAGES;

    const PLAIN: Look = Look {
        width: 20,
        bold: false,
    };

    #[test]
    fn prose_is_broken_and_code_is_not() {
        let page = "# Title\n\nA word and `some code` at the end.\n\n- an item that is long, see [it](x.md)\n- b\n\n```sh\nls --all --recursive /var/lib/wpkd\n```\n\n| a | b |\n| --- | --- |\n| `k` | what it is, at length |\n";
        let expected = "Title\n=====\n\nA word and `some\ncode` at the end.\n\n- an item that is\n  long, see it\n  (wpkctl guide x)\n- b\n\n    ls --all --recursive /var/lib/wpkd\n\n`k`\n    what it is, at\n    length\n";
        assert_eq!(lay_out(page, PLAIN), expected);
    }

    #[test]
    fn a_terminal_gets_bold_letters() {
        let look = Look {
            bold: true,
            ..PLAIN
        };
        let shown = lay_out("# T\n\na `b c` d\n", look);
        assert_eq!(shown, "\x1b[1mT\x1b[0m\n\na \x1b[1mb c\x1b[0m d\n");
    }

    #[test]
    fn nothing_but_code_is_wider_than_the_terminal() {
        for width in [20, 40, 60, 80, 100] {
            for page in PAGES {
                for line in lay_out(page.text, Look { width, bold: false }).lines() {
                    let is_code = line.starts_with("    ");
                    let fits = line.chars().count() <= width;
                    assert!(fits || is_code, "{}, {width}: {line}", page.topic);
                }
            }
        }
    }

    #[test]
    fn code_fits_the_usual_terminal() {
        for page in PAGES {
            for line in lay_out(
                page.text,
                Look {
                    width: 80,
                    bold: false,
                },
            )
            .lines()
            {
                assert!(line.chars().count() <= 80, "{}: {line}", page.topic);
            }
        }
    }
}
