//! What the pages are written in: a small part of Markdown. Headings (`#` to `###`),
//! paragraphs, lists (`- ` and `1. `, further lines indented), tables, blocks of code between
//! lines of three backquotes; within a text `code`, **bold** and [links](topic.md).

/// A part of a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// With its level, 1 to 3.
    Heading(usize, String),
    Paragraph(String),
    /// With its mark, `-` or `1.`.
    Item(String, String),
    /// Lines that stay as they are.
    Code(Vec<String>),
    /// Rows of cells, the header first.
    Table(Vec<Vec<String>>),
}

/// How letters look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Bold,
    Code,
}

/// The parts of a page, in order.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.trim().is_empty() {
            continue;
        }
        if line.starts_with("```") {
            let code = lines.by_ref().take_while(|line| !line.starts_with("```"));
            found.push(Block::Code(code.map(str::to_owned).collect()));
        } else if let Some((level, heading)) = heading(line) {
            found.push(Block::Heading(level, heading.to_owned()));
        } else if line.starts_with('|') {
            let mut rows = vec![cells(line)];
            while let Some(line) = lines.next_if(|line| line.starts_with('|')) {
                if !line.starts_with("| ---") {
                    rows.push(cells(line));
                }
            }
            found.push(Block::Table(rows));
        } else {
            let (mark, first) = mark(line).unwrap_or(("", line));
            let mut text = first.trim().to_owned();
            while let Some(line) = lines.next_if(|line| goes_on(line)) {
                text.push(' ');
                text.push_str(line.trim());
            }
            found.push(match mark {
                "" => Block::Paragraph(text),
                mark => Block::Item(mark.to_owned(), text),
            });
        }
    }
    found
}

fn heading(line: &str) -> Option<(usize, &str)> {
    let bare = line.trim_start_matches('#');
    let level = line.len() - bare.len();
    (1..=3).contains(&level).then(|| (level, bare.trim()))
}

/// The mark of a list's item, and what follows.
fn mark(line: &str) -> Option<(&str, &str)> {
    let (mark, rest) = line.split_once(' ')?;
    let number = mark.strip_suffix('.');
    let is_number = number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    (mark == "-" || is_number).then_some((mark, rest))
}

/// Whether a line belongs to the paragraph or item before it.
fn goes_on(line: &str) -> bool {
    !line.trim().is_empty()
        && !line.starts_with("```")
        && !line.starts_with('|')
        && heading(line).is_none()
        && mark(line).is_none()
}

/// The cells of a row; `\|` is a `|` within one.
fn cells(line: &str) -> Vec<String> {
    let line = line.trim().replace("\\|", "\u{1}");
    let inner = line.trim_start_matches('|').trim_end_matches('|');
    let cells = inner.split('|');
    cells
        .map(|cell| cell.trim().replace('\u{1}', "|"))
        .collect()
}

/// A text as pieces of one look each. `link` makes the words of a link of its own words and
/// of where it leads to.
pub(super) fn pieces(text: &str, link: fn(&str, &str) -> String) -> Vec<(Style, String)> {
    let mut found: Vec<(Style, String)> = Vec::new();
    let mut rest = text;
    let mut plain = String::new();
    while let Some(next) = rest.chars().next() {
        let special = between(rest, "`", "`").map(|(code, end)| (Style::Code, code, end));
        let special = special
            .or_else(|| between(rest, "**", "**").map(|(bold, end)| (Style::Bold, bold, end)));
        if let Some((style, inner, end)) = special {
            if !plain.is_empty() {
                found.push((Style::Plain, std::mem::take(&mut plain)));
            }
            found.push((style, inner.to_owned()));
            rest = end;
        } else if let Some((words, place, end)) = linked(rest) {
            plain.push_str(&link(words, place));
            rest = end;
        } else {
            plain.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    if !plain.is_empty() {
        found.push((Style::Plain, plain));
    }
    found
}

/// What stands between two marks at the start of `text`, and what follows.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<(&'a str, &'a str)> {
    let (inner, rest) = text.strip_prefix(open)?.split_once(close)?;
    (!inner.is_empty()).then_some((inner, rest))
}

/// The words of a link at the start of `text`, where it leads to, and what follows.
fn linked(text: &str) -> Option<(&str, &str, &str)> {
    let (words, rest) = text.strip_prefix('[')?.split_once("](")?;
    let (place, rest) = rest.split_once(')')?;
    (!words.contains(']')).then_some((words, place, rest))
}

/// The topic of a link to another page.
pub(super) fn topic(place: &str) -> Option<&str> {
    let page = place.split('#').next()?.strip_suffix(".md")?;
    (!page.contains('/')).then_some(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_falls_into_its_blocks() {
        let page = "# T\n\nOne\ntwo.\n- a\n  b\n1. c\n\n```sh run\nls\n\nid\n```\n| k | v |\n| --- | --- |\n| `a\\|b` | c |\n";
        assert_eq!(
            blocks(page),
            [
                Block::Heading(1, "T".into()),
                Block::Paragraph("One two.".into()),
                Block::Item("-".into(), "a b".into()),
                Block::Item("1.".into(), "c".into()),
                Block::Code(vec!["ls".into(), String::new(), "id".into()]),
                Block::Table(vec![
                    vec!["k".into(), "v".into()],
                    vec!["`a|b`".into(), "c".into()],
                ]),
            ]
        );
    }

    #[test]
    fn a_text_falls_into_its_pieces() {
        let link = |words: &str, place: &str| format!("{words}={}", topic(place).unwrap_or("-"));
        assert_eq!(
            pieces("a `b*` **c** [d e](f.md#g) [x] 2 * 3 [h](../i.md)", link),
            [
                (Style::Plain, "a ".to_owned()),
                (Style::Code, "b*".to_owned()),
                (Style::Plain, " ".to_owned()),
                (Style::Bold, "c".to_owned()),
                (Style::Plain, " d e=f [x] 2 * 3 h=-".to_owned()),
            ]
        );
    }
}
