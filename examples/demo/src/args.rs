//! Which of the demos is wanted.

use std::ffi::OsString;

/// How the demo is called.
pub(crate) const USAGE: &str = "\
usage: cargo run --release -p demo [-- rollout]
  without arguments   one upgrade of eight agents
  rollout             a good and a bad release rolled out to forty agents";

/// What the command line wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// One upgrade of eight agents.
    Upgrade,
    /// Two rollouts to forty agents.
    Rollout,
    /// How it is called.
    Help,
}

impl Wanted {
    /// Reads the arguments after the program's name. The error names the first one that
    /// is not known.
    pub(crate) fn read(arguments: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut wanted = Self::Upgrade;
        for (at, argument) in arguments.enumerate() {
            wanted = match argument.to_str() {
                Some("rollout") if at == 0 => Self::Rollout,
                Some("-h" | "--help") if at == 0 => Self::Help,
                _ => return Err(format!("argument {argument:?} is not known here\n{USAGE}")),
            };
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_means_one_thing_and_everything_else_is_refused() {
        let read = |words: &[&str]| Wanted::read(words.iter().map(OsString::from));
        assert_eq!(read(&[]), Ok(Wanted::Upgrade));
        assert_eq!(read(&["rollout"]), Ok(Wanted::Rollout));
        assert_eq!(read(&["--help"]), Ok(Wanted::Help));
        for (words, named) in [
            (&["rolout"][..], "rolout"),
            (&["rollout", "rollout"], "rollout"),
            (&["rollout", "--fast"], "--fast"),
            (&[""], "\"\""),
        ] {
            let error = read(words).unwrap_err();
            assert!(error.contains(named) && error.contains("usage:"), "{error}");
        }
    }
}
