//! The names of observers: the store keeps each one's place in the feed of changes
//! under its name, so a name is the same at every start. The registry enters.

use std::collections::{BTreeMap, BTreeSet};

use wpk_config::PluginSection;

/// The longest name of a reader that a store takes, in bytes.
const LONGEST: usize = 64;

/// A name for each of these sections, no two of them the same: its type, and `type-2`,
/// `type-3` for further ones of the same type, in the order of the settings.
pub(crate) fn names(sections: &[PluginSection]) -> Vec<String> {
    // What is the first of its type is called like it, whatever else there is.
    let mut taken: BTreeSet<String> = (sections.iter())
        .map(|section| shortened(&section.kind, LONGEST).to_owned())
        .collect();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut names = Vec::with_capacity(sections.len());
    for section in sections {
        let kind = shortened(&section.kind, LONGEST);
        let number = seen.entry(kind).or_insert(0);
        *number += 1;
        let mut name = kind.to_owned();
        while *number > 1 {
            name = numbered(kind, *number);
            if taken.insert(name.clone()) {
                break;
            }
            *number += 1;
        }
        names.push(name);
    }
    names
}

fn numbered(kind: &str, number: usize) -> String {
    let suffix = format!("-{number}");
    format!("{}{suffix}", shortened(kind, LONGEST - suffix.len()))
}

/// The first characters of a text, so many bytes of them at the most.
fn shortened(text: &str, bytes: usize) -> &str {
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.take_while(|end| *end <= bytes).last();
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(types: &[&str]) -> Vec<String> {
        let sections: Vec<_> = types.iter().map(|kind| PluginSection::of(kind)).collect();
        names(&sections)
    }

    #[test]
    fn one_of_a_type_is_called_like_it_and_further_ones_are_numbered() {
        assert_eq!(named(&[]), [""; 0]);
        assert_eq!(named(&["audit"]), ["audit"]);
        let types = ["audit", "hook", "audit", "hook", "audit"];
        let names = ["audit", "hook", "audit-2", "hook-2", "audit-3"];
        assert_eq!(named(&types), names);
        assert_eq!(named(&types), names, "at every start");
    }

    #[test]
    fn no_two_have_one_name_whatever_they_are_called() {
        let types = ["a", "a", "a-2", "a-2", "a"];
        assert_eq!(named(&types), ["a", "a-3", "a-2", "a-2-2", "a-4"]);
        assert_eq!(named(&["a-2", "a", "a"]), ["a-2", "a", "a-3"]);
    }

    #[test]
    fn a_name_is_short_enough_for_every_store() {
        for kind in ["x".repeat(64), "\u{e4}".repeat(40)] {
            let names = named(&[&kind, &kind, &kind]);
            let different: BTreeSet<_> = names.iter().collect();
            assert_eq!(different.len(), 3, "{names:?}");
            let fits = |name: &String| (1..=LONGEST).contains(&name.len());
            assert!(names.iter().all(fits), "{names:?}");
        }
    }
}
