//! Lines with colours: what is drawn on a terminal, before it is text.

use console::{measure_text_width, truncate_str};

/// What a piece of a line is about; its colour follows from that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    /// Nothing special.
    Plain,
    /// A heading.
    Strong,
    /// It went well.
    Good,
    /// It went wrong.
    Bad,
    /// Nobody knows how it went.
    Doubt,
    /// It is under way.
    Work,
}

impl Paint {
    /// What switches to it; `None` where nothing has to.
    const fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Strong => Some("\x1b[1m"),
            Self::Good => Some("\x1b[32m"),
            Self::Bad => Some("\x1b[31m"),
            Self::Doubt => Some("\x1b[33m"),
            Self::Work => Some("\x1b[36m"),
        }
    }
}

/// Back to what is usual.
const USUAL: &str = "\x1b[0m";

/// One line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line(Vec<(Paint, String)>);

impl Line {
    /// A line of one colour.
    pub(crate) fn new(paint: Paint, text: impl Into<String>) -> Self {
        Self(vec![(paint, text.into())])
    }

    /// The same with something behind it.
    #[must_use]
    pub(crate) fn and(mut self, paint: Paint, text: impl Into<String>) -> Self {
        self.0.push((paint, text.into()));
        self
    }

    /// Its columns.
    pub(crate) fn width(&self) -> usize {
        let widths = self.0.iter().map(|(_, text)| measure_text_width(text));
        widths.sum()
    }

    /// The same, cut where it is wider than this.
    #[must_use]
    pub(crate) fn fit(self, width: usize) -> Self {
        let mut left = width;
        let mut fitting = Vec::new();
        for (paint, text) in self.0 {
            let wide = measure_text_width(&text);
            if wide > left && left == 0 {
                break;
            }
            if wide > left {
                fitting.push((paint, truncate_str(&text, left, "…").into_owned()));
                break;
            }
            left -= wide;
            fitting.push((paint, text));
        }
        Self(fitting)
    }

    /// As it is written, with or without colours.
    pub(crate) fn text(&self, colors: bool) -> String {
        let mut written = String::new();
        for (paint, text) in &self.0 {
            match paint.code().filter(|_| colors && !text.is_empty()) {
                Some(code) => written.extend([code, text, USUAL]),
                None => written.push_str(text),
            }
        }
        written
    }
}

/// A list, cut at its parts where it is wider than a line; later lines are set in by two.
pub(crate) fn wrapped(parts: impl IntoIterator<Item = (Paint, String)>, width: usize) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut parts = parts.into_iter().peekable();
    while let Some((paint, text)) = parts.next() {
        let comma = if parts.peek().is_some() { "," } else { "" };
        let wide = measure_text_width(&text) + comma.len();
        match lines.last_mut() {
            Some(line) if line.width() + 1 + wide <= width => {
                line.0.push((Paint::Plain, " ".to_owned()));
                line.0.push((paint, text));
            }
            last => {
                let inset = if last.is_some() { "  " } else { "" };
                lines.push(Line::new(Paint::Plain, inset).and(paint, text));
            }
        }
        if let Some(line) = lines.last_mut() {
            line.0.push((Paint::Plain, comma.to_owned()));
        }
    }
    lines
}

/// A bar: each sign has its share of so many columns, and at least one where there is
/// anything of it, as long as there is room. What is left of the whole is blank.
pub(crate) fn bar(parts: &[(char, u64)], whole: u64, columns: usize) -> String {
    let whole = whole.max(1);
    let all = u64::try_from(columns).unwrap_or(u64::MAX);
    let mut shares: Vec<(char, usize)> = (parts.iter())
        .filter(|(_, count)| *count > 0)
        .map(|(sign, count)| {
            let share = count.saturating_mul(all) / whole;
            let share = usize::try_from(share).unwrap_or(columns);
            (*sign, share.clamp(1, columns.max(1)))
        })
        .collect();
    // The few took columns that the many have to spare.
    while shares.iter().map(|(_, share)| share).sum::<usize>() > columns {
        let Some((_, largest)) = shares.iter_mut().max_by_key(|(_, share)| *share) else {
            break;
        };
        *largest -= 1;
    }
    let mut bar = String::new();
    for (sign, share) in shares {
        bar.extend(std::iter::repeat_n(sign, share));
    }
    let left = columns.saturating_sub(bar.len());
    bar.extend(std::iter::repeat_n(' ', left));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_at_its_columns_and_not_at_its_bytes() {
        let line = Line::new(Paint::Bad, "日本").and(Paint::Plain, " is wide");
        assert_eq!(line.width(), 12);
        assert_eq!(line.clone().fit(7).text(false), "日本 i…");
        assert_eq!(line.clone().fit(3).text(false), "日…");
        assert_eq!(line.fit(6).text(true), "\x1b[31m日本\x1b[0m …");
    }

    #[test]
    fn a_list_is_cut_at_its_parts() {
        let parts = ["1 updated", "2 failed", "3 waiting"];
        let parts = || parts.map(|text| (Paint::Plain, text.to_owned()));
        let text = |width| -> Vec<String> {
            let lines = wrapped(parts(), width).into_iter();
            lines.map(|line| line.text(false)).collect()
        };
        assert_eq!(text(40), ["1 updated, 2 failed, 3 waiting"]);
        assert_eq!(text(20), ["1 updated, 2 failed,", "  3 waiting"]);
        assert_eq!(text(5), ["1 updated,", "  2 failed,", "  3 waiting"]);
    }

    #[test]
    fn the_few_are_seen_beside_the_many() {
        assert_eq!(bar(&[('=', 5_000), ('!', 1)], 5_001, 10), "=========!");
        assert_eq!(bar(&[('=', 1), ('>', 1)], 4, 8), "==>>    ");
        assert_eq!(bar(&[], 0, 3), "   ");
        assert_eq!(bar(&[('=', u64::MAX)], 1, 3), "===");
    }
}
