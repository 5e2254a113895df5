//! One argument that names agents, as it is written: `7`, `1-50`, `web01`, `db-*`, and
//! several of these with commas between them.

use std::ops::RangeInclusive;
use std::str::FromStr;

use wpk_api::words::{clean, steers};

use crate::ids;

/// The longest name, in bytes; that of the daemon's own agents and of 4.x is shorter.
const LONGEST_NAME: usize = 255;
/// Characters of an argument that are repeated in an error.
const SHOWN: usize = 60;

/// What stands between two commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// Ids, from the first to the last.
    Ids(RangeInclusive<u32>),
    /// The agent of this name.
    Name(String),
    /// All agents whose name is like this; `*` stands for any characters.
    Pattern(String),
}

/// One argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named(pub(super) Vec<Word>);

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',')
            .map(word)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// One agent: an id or a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OneAgent(pub(super) Word);

impl FromStr for OneAgent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match word(text)? {
            Word::Ids(ids) if ids.start() != ids.end() => Err(format!(
                "{text:?} is more than one agent; write one id or one name"
            )),
            Word::Pattern(_) => Err(format!(
                "{text:?} may be more than one agent; write one id or one name"
            )),
            one => Ok(Self(one)),
        }
    }
}

/// Whether a command line takes this for ids, also where an agent has such a name.
pub(crate) fn looks_like_ids(name: &str) -> bool {
    let numeric = |byte: u8| byte.is_ascii_digit() || byte == b'-';
    name.bytes().all(numeric)
}

/// How an agent is named that a command line takes for something else; `None` where its name
/// does.
pub(crate) fn detour(name: &str) -> Option<String> {
    let taken_for = match name {
        name if looks_like_ids(name) => "ids",
        name if name.starts_with('-') => "an option",
        _ => return None,
    };
    Some(format!(
        "commands take the name {name} for {taken_for}: write the agent's id, or --select \
         'name = \"{name}\"'"
    ))
}

/// What looks like a number is an id, also where an agent has such a name.
fn word(text: &str) -> Result<Word, String> {
    if looks_like_ids(text) {
        return ids::range(text).map(Word::Ids);
    }
    if text.len() > LONGEST_NAME || text.chars().any(|c| c.is_whitespace() || steers(c)) {
        return Err(format!(
            "{:?} is no agent: write an id (7), ids (1-50), a name (web01) or a pattern ('db-*'); \
             by name = \"...\" --select finds names that have blanks",
            clean(text, SHOWN)
        ));
    }
    Ok(match text.contains('*') {
        true => Word::Pattern(text.to_owned()),
        false => Word::Name(text.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Word> {
        text.parse::<Named>().unwrap().0
    }

    #[test]
    fn an_argument_is_ids_names_and_patterns() {
        let (name, pattern) = (Word::Name("web01".into()), Word::Pattern("db-*".into()));
        assert_eq!(
            words("007,1-3,web01,db-*"),
            [Word::Ids(7..=7), Word::Ids(1..=3), name, pattern]
        );
        for name in ["1x", "10.0.0.7", "web-01", "a-1-2", "é", "+1"] {
            assert_eq!(words(name), [Word::Name(name.into())]);
        }
    }

    #[test]
    fn what_looks_like_a_number_is_an_id() {
        assert_eq!(words("2147483647"), [Word::Ids(2147483647..=2147483647)]);
        for bad in [
            "",
            "-1",
            "1-",
            "5-1",
            "1,,2",
            "2147483648",
            "1-2-3",
            "web01,",
        ] {
            let error = bad.parse::<Named>().unwrap_err();
            assert!(
                error.contains("id") || error.contains("backwards"),
                "{error}"
            );
        }
    }

    #[test]
    fn who_cannot_be_called_by_name_is_told_how() {
        for (name, what) in [("123", "ids"), ("1-2", "ids"), ("-x", "an option")] {
            let told = detour(name).unwrap();
            assert!(told.contains(&format!("for {what}: ")), "{told}");
        }
        assert_eq!(detour("web-01"), None);
    }

    #[test]
    fn blanks_and_what_steers_a_terminal_are_no_name() {
        for bad in [" 1", "web 01", "a\tb", "\u{1b}[2J", &"x".repeat(256)] {
            let error = bad.parse::<Named>().unwrap_err();
            assert!(error.contains("is no agent"), "{error}");
            assert!(!error.contains('\u{1b}') && error.len() < 400, "{error}");
        }
    }

    #[test]
    fn one_agent_is_one_id_or_one_name() {
        assert_eq!("7".parse(), Ok(OneAgent(Word::Ids(7..=7))));
        assert_eq!("web01".parse(), Ok(OneAgent(Word::Name("web01".into()))));
        for bad in ["1-2", "web*", ""] {
            assert!(bad.parse::<OneAgent>().is_err(), "{bad}");
        }
    }
}
