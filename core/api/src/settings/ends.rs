//! Whether the description of a setting tells its range: where it begins and where it ends.
//! For the tests of whoever has settings: what prints a range is the description itself.

/// Units of times and of sizes.
const UNITS: [&str; 9] = ["ms", "s", "m", "h", "d", "B", "KiB", "MiB", "GiB"];

/// Whether `what` tells both ends: `A to B`; or one of `at least A`, `above A`, `not below A`
/// and one of `at most B`, `no upper limit`. An end is a number or another key in backquotes,
/// and where `units` is set, one of them at least is a number with its unit.
pub(super) fn are_told(what: &str, units: bool) -> bool {
    let what = what.replace("At ", "at ");
    let words: Vec<&str> = what
        .split_whitespace()
        .map(|word| word.trim_matches(|c: char| ",;:.()\"".contains(c)))
        .collect();
    let follows = |words: &[&str], lead: &[&str]| {
        let behind = words.strip_prefix(lead).filter(|rest| !rest.is_empty());
        behind.is_some_and(|rest| is_end(rest[0]))
    };
    let any = |leads: &[&[&str]]| {
        (0..words.len()).any(|at| leads.iter().any(|lead| follows(&words[at..], lead)))
    };
    let lower = any(&[&["at", "least"], &["above"], &["not", "below"]]);
    let endless = words
        .windows(3)
        .any(|three| three == ["no", "upper", "limit"]);
    let upper = endless || any(&[&["at", "most"]]);
    let both = (1..words.len()).any(|at| {
        let before = words[at - 1];
        let begun = is_number(before) || at > 1 && is_unit(before) && is_number(words[at - 2]);
        words[at] == "to" && begun && words.get(at + 1).is_some_and(|word| is_end(word))
    });
    let with_unit = (0..words.len()).any(|at| {
        let unit = words[at].trim_start_matches(|c: char| c.is_ascii_digit());
        let apart = words.get(at + 1).is_some_and(|word| is_unit(word));
        is_number(words[at]) && (is_unit(unit) || unit.is_empty() && apart)
    });
    (both || lower && upper) && (with_unit || !units)
}

fn is_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
}

/// A number, or another key.
fn is_end(word: &str) -> bool {
    is_number(word) || word.starts_with('`') || word == "twice"
}

fn is_unit(word: &str) -> bool {
    let word = word.strip_suffix("/s").unwrap_or(word);
    UNITS.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_two_ends() {
        for (what, told) in [
            ("How long, 1s to 100d.", true),
            ("How long, 1 s to 100 d; then it is lost.", true),
            ("How long, 0 to 1h.", true),
            ("At times it is at least 1KiB/s and at most 4GiB/s.", true),
            ("At least `other`, at most 366d.", true),
            ("At least twice `other`, at most 1024 GiB.", true),
            ("How long. 5 of them go to 7 places, each 3 s long.", false),
            ("How long; at least 1s.", false),
            ("How long; at most 1s.", false),
            ("At least 1B; no upper limit.", true),
            ("How long it takes to do 30s of work.", false),
            ("How long.", false),
        ] {
            assert_eq!(are_told(what, true), told, "{what}");
        }
        assert!(are_told("Tries, 1 to 100.", false));
        assert!(!are_told("Tries, 1 to 100.", true));
    }
}
