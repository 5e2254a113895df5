//! Tables: without borders, which reads well and is easy to cut apart. On a terminal none is
//! wider than its window, whose lines would go on in the next: the widest column is broken at
//! blanks, and where that is not enough each row becomes a few lines of its own.

use comfy_table::{Cell, ColumnConstraint, ContentArrangement, Row, Table, Width, presets};
use console::{Term, measure_text_width, truncate_str};

/// The least columns to which the widest column is narrowed: about three words.
const LEAST: usize = 20;
/// What stands before the lines of a row but its first.
const INDENT: &str = "  ";

/// An empty one.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.iter().copied());
    table
}

/// The table as lines, without the blanks around them.
pub(crate) fn render(table: &Table) -> String {
    fitted(table, window()).join("\n")
}

/// The same, each line behind this many blanks.
pub(crate) fn indented(table: &Table, blanks: usize) -> Vec<String> {
    let room = window().map(|width| width.saturating_sub(blanks));
    let lines = fitted(table, room).into_iter();
    lines
        .map(|line| format!("{}{line}", " ".repeat(blanks)))
        .collect()
}

/// How many columns the terminal has that is printed to; `None` for a file or a pipe.
fn window() -> Option<usize> {
    let term = Term::stdout();
    let size = term.is_term().then(|| term.size_checked()).flatten();
    size.map(|(_, columns)| usize::from(columns))
        .filter(|columns| *columns > 0)
}

/// The lines, none wider than `width`.
fn fitted(table: &Table, width: Option<usize>) -> Vec<String> {
    let lines = bare(table);
    let Some(width) = width else { return lines };
    let widest = |lines: &[String]| lines.iter().map(|line| measure_text_width(line)).max();
    if widest(&lines).unwrap_or(0) <= width {
        return lines;
    }
    match narrowed(table, width) {
        Some(lines) if widest(&lines).unwrap_or(0) <= width => lines,
        _ => as_records(table, width),
    }
}

fn bare(table: &Table) -> Vec<String> {
    let bare = |line: String| {
        let line = line.strip_prefix(' ').unwrap_or(&line);
        line.trim_end().to_owned()
    };
    table.lines().map(bare).collect()
}

/// With its widest column broken at blanks; `None` where too little is left for it.
fn narrowed(table: &Table, width: usize) -> Option<Vec<String>> {
    let widths: Vec<usize> = (table.column_max_content_widths().into_iter())
        .map(usize::from)
        .collect();
    let (widest, most) = (widths.iter().enumerate()).max_by_key(|(_, width)| **width)?;
    // A blank on either side of each column, without the first of all.
    let others = widths.iter().sum::<usize>() - most + 2 * widths.len() - 1;
    let room = width.checked_sub(others).filter(|room| *room >= LEAST)?;
    let mut narrow = table.clone();
    narrow.set_content_arrangement(ContentArrangement::Dynamic);
    narrow.set_width(u16::try_from(width + 1).ok()?);
    for (index, column) in narrow.column_iter_mut().enumerate() {
        column.set_constraint(match index == widest {
            true => {
                let columns = u16::try_from(room + 2).unwrap_or(u16::MAX);
                ColumnConstraint::UpperBoundary(Width::Fixed(columns))
            }
            false => ColumnConstraint::ContentWidth,
        });
    }
    Some(bare(&narrow))
}

/// Each row as lines: what stands in its first column, which names it, then what stands in the
/// others under their headings.
fn as_records(table: &Table, width: usize) -> Vec<String> {
    let texts = |row: &Row| -> Vec<String> { row.cell_iter().map(Cell::content).collect() };
    let headings = table.header().map(texts).unwrap_or_default();
    let mut lines = Vec::new();
    for row in table.row_iter() {
        for (index, (heading, text)) in headings.iter().zip(texts(row)).enumerate() {
            // A dash is for what is not known; here nothing needs to stand for it.
            if index > 0 && (text.is_empty() || text == "-") {
                continue;
            }
            let told = [heading.as_str(), &text].join(" ");
            let first = if index == 0 { "" } else { INDENT };
            lines.extend(broken(told.trim(), first, width));
        }
    }
    lines
}

/// A text in lines, the first behind `first`, the others further in.
fn broken(text: &str, first: &str, width: usize) -> Vec<String> {
    let further = format!("{first}{INDENT}");
    let mut lines = Vec::new();
    let mut line = first.to_owned();
    let mut empty = true;
    for word in text.split_whitespace() {
        let mut word = word.to_owned();
        loop {
            let blank = usize::from(!empty);
            let room = width.saturating_sub(measure_text_width(&line) + blank);
            if measure_text_width(&word) <= room {
                if !empty {
                    line.push(' ');
                }
                line.push_str(&word);
                empty = false;
                break;
            }
            if empty {
                // A word that no line has room for is cut.
                let head = truncate_str(&word, room.max(2), "").into_owned();
                let rest = word.split_off(head.len().max(first_char(&word)));
                line.push_str(&word);
                word = rest;
            }
            lines.push(std::mem::replace(&mut line, further.clone()));
            empty = true;
        }
    }
    lines.push(line);
    lines
}

/// How many bytes the first character has.
fn first_char(word: &str) -> usize {
    word.chars().next().map_or(0, char::len_utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Table {
        let mut table = table(&["agent", "name", "status", "reason", "seconds"]);
        table.add_row(["001", "web01", "Updated", "-", "7.1"]);
        table.add_row([
            "002",
            "東京-db-2",
            "Failed",
            "Send upgrade command error: Could not verify signature (error 13); sign the package \
             with a certificate of a CA in the agent's store",
            "12.0",
        ]);
        table
    }

    #[test]
    fn a_file_gets_a_row_a_line() {
        let lines = fitted(&example(), None);
        assert_eq!(lines.len(), 3, "{lines:#?}");
        assert!(
            lines[2].ends_with("in the agent's store  12.0"),
            "{lines:#?}"
        );
    }

    #[test]
    fn the_widest_column_is_broken() {
        let lines = fitted(&example(), Some(80));
        assert_eq!(
            lines,
            [
                "agent  name       status   reason                                       seconds",
                "001    web01      Updated  -                                            7.1",
                "002    東京-db-2  Failed   Send upgrade command error: Could not        12.0",
                "                           verify signature (error 13); sign the",
                "                           package with a certificate of a CA in the",
                "                           agent's store",
            ]
        );
    }

    #[test]
    fn a_small_window_gets_lines_for_each_row() {
        let lines = fitted(&example(), Some(40));
        assert_eq!(
            lines,
            [
                "agent 001",
                "  name web01",
                "  status Updated",
                "  seconds 7.1",
                "agent 002",
                "  name 東京-db-2",
                "  status Failed",
                "  reason Send upgrade command error:",
                "    Could not verify signature (error",
                "    13); sign the package with a",
                "    certificate of a CA in the agent's",
                "    store",
                "  seconds 12.0",
            ]
        );
    }

    #[test]
    fn nothing_is_wider_than_any_window() {
        let mut table = example();
        table.add_row(["003", &"x".repeat(50), &"東".repeat(30), "", "é"]);
        for width in 8..250 {
            for line in fitted(&table, Some(width)) {
                assert!(measure_text_width(&line) <= width, "{width}: {line:?}");
            }
        }
        // Narrower than anything: all of it is there, and it ends.
        for width in 0..8 {
            let text = fitted(&table, Some(width)).concat();
            assert_eq!(text.matches('x').count(), 50, "{width}");
            assert_eq!(text.matches('東').count(), 31, "{width}");
        }
    }
}
