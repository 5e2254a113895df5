//! What is asked for at the end of a command line, by the same definitions that read it.

use clap::{Arg, Command, FromArgMatches};

use crate::options::Global;

/// What the manager can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Agents,
    Rollouts,
    /// Agents, or a rollout.
    Watched,
    /// What the repositories have.
    Versions,
    /// That, and what rollouts know.
    Releases,
    /// What is denied.
    Denied,
}

impl Kind {
    /// Whether several may be written with commas between them.
    fn takes_commas(self) -> bool {
        matches!(self, Self::Agents | Self::Watched)
    }
}

/// A command line that is being typed.
#[derive(Debug)]
pub(crate) struct Line {
    pub(super) kind: Kind,
    /// What is typed of the word that is wanted, behind the last comma.
    pub(super) word: String,
    /// What stands before that.
    pub(super) before: String,
    /// Where the manager is, as far as it was typed.
    pub(super) global: Global,
}

impl Line {
    /// Reads the words behind the program's name, which takes what `root` says; `None` where
    /// the manager is not asked.
    pub(crate) fn read(words: &[String], mut root: Command) -> Option<Self> {
        let (last, typed) = words.split_last()?;
        if last.starts_with('-') {
            return None;
        }
        root.build();
        let (mut command, mut place, mut pending) = (&root, 0, None);
        let mut said = vec![root.get_name().to_owned()];
        for word in typed {
            if let Some(option) = pending.take() {
                keep(option, Some(word), &mut said);
            } else if word.starts_with('-') {
                let option = option(command, word);
                let takes = option.filter(|option| option.get_action().takes_values());
                match takes {
                    Some(option) if word.contains('=') => {
                        let value = word.split_once('=').map(|(_, value)| value.to_owned());
                        keep(option, value.as_ref(), &mut said);
                    }
                    takes => pending = takes,
                }
            } else if let Some(inner) = command.find_subcommand(word) {
                (command, place) = (inner, 0);
            } else {
                place += 1;
            }
        }
        let asked = match pending {
            Some(option) => option,
            None => positional(command, place)?,
        };
        let kind = kind(command, asked)?;
        let (before, word) = match last.rfind(',').filter(|_| kind.takes_commas()) {
            Some(comma) => last.split_at(comma + 1),
            None => ("", last.as_str()),
        };
        // One rollout is watched at a time, and nothing beside it.
        let kind = match kind {
            Kind::Watched if place > 0 || !before.is_empty() => Kind::Agents,
            kind => kind,
        };
        Some(Self {
            kind,
            word: word.to_owned(),
            before: before.to_owned(),
            global: global(&said)?,
        })
    }
}

/// The options that say where the manager is, among those that were typed.
fn keep(option: &Arg, value: Option<&String>, said: &mut Vec<String>) {
    let long = option.get_long().filter(|long| PLACES.contains(long));
    if let (Some(long), Some(value)) = (long, value) {
        said.push(format!("--{long}={value}"));
    }
}

const PLACES: [&str; 3] = ["socket", "home", "config"];

fn global(said: &[String]) -> Option<Global> {
    let command = <Global as clap::Args>::augment_args(Command::new("wpkctl"));
    let matches = command.try_get_matches_from(said).ok()?;
    Global::from_arg_matches(&matches).ok()
}

/// The option that a word names; of short ones that stand together the last.
fn option<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let name = word.split('=').next().unwrap_or(word);
    let mut options = command.get_arguments();
    match name.strip_prefix("--") {
        Some(long) => options.find(|option| option.get_long() == Some(long)),
        None => options.find(|option| option.get_short() == name.chars().last()),
    }
}

/// The argument at a place; the last takes all that follow, where it takes several.
fn positional(command: &Command, place: usize) -> Option<&Arg> {
    let all: Vec<&Arg> = command.get_positionals().collect();
    let several = |arg: &&&Arg| {
        arg.get_num_args()
            .is_some_and(|range| range.max_values() > 1)
    };
    (all.get(place).or_else(|| all.last().filter(several))).copied()
}

fn kind(command: &Command, asked: &Arg) -> Option<Kind> {
    let value = asked.get_value_names().and_then(<[_]>::first)?.as_str();
    let of = |command_of: &str| {
        let name = command.get_bin_name().unwrap_or_default();
        name.ends_with(command_of) || name.contains(&format!("{command_of} "))
    };
    match (asked.get_id().as_str(), value) {
        ("name", _) if of(" rollout") => Some(Kind::Rollouts),
        ("rollout", _) => Some(Kind::Rollouts),
        ("what", _) if of(" watch") => Some(Kind::Watched),
        ("version", _) if of(" release deny") => Some(Kind::Releases),
        ("version", _) if of(" release allow") => Some(Kind::Denied),
        // What is added to a repository is not in it yet.
        ("version", _) if of(" repo") => None,
        ("version", _) if asked.get_action().takes_values() => Some(Kind::Versions),
        (_, "AGENT" | "AGENT|KEY=VALUE") => Some(Kind::Agents),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn line(text: &str) -> Option<Line> {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        Line::read(&words, crate::cli::Cli::command())
    }

    #[test]
    fn what_the_manager_can_name_is_known_by_its_place() {
        for (text, kind) in [
            ("upgrade ", Kind::Agents),
            ("upgrade --watch 7 we", Kind::Agents),
            ("--json upgrade -F --version v4.14.0 1 we", Kind::Agents),
            ("upgrade -v v4.", Kind::Versions),
            ("upgrade --version ", Kind::Versions),
            ("result x", Kind::Agents),
            ("agents x", Kind::Agents),
            ("agent show w", Kind::Agents),
            ("agent label w", Kind::Agents),
            ("agent hold 1 2 w", Kind::Agents),
            ("doctor --agent w", Kind::Agents),
            ("rollout status p", Kind::Rollouts),
            ("rollout skip prod w", Kind::Agents),
            ("rollout explain prod w", Kind::Agents),
            ("release deny v", Kind::Releases),
            ("release allow v", Kind::Denied),
            ("watch w", Kind::Watched),
            ("watch web01 w", Kind::Agents),
            ("watch web01,w", Kind::Agents),
            ("watch --rollout p", Kind::Rollouts),
        ] {
            assert_eq!(line(text).map(|line| line.kind), Some(kind), "{text}");
        }
        for text in [
            "",
            "up",
            "upgrade --fi",
            "upgrade --file ",
            "upgrade --select ",
            "agent enroll w",
            "agent rename web01 w",
            "rollout plan f",
            "guide t",
            "package inspect f",
            "repo add --version v",
            "watch --select ",
        ] {
            assert!(line(text).is_none(), "{text}");
        }
    }

    #[test]
    fn only_what_is_behind_the_last_comma_is_completed() {
        let asked = line("--home /m upgrade --socket=/s 1,web01,we").unwrap();
        assert_eq!((&*asked.before, &*asked.word), ("1,web01,", "we"));
        assert_eq!(asked.global.home.unwrap().to_str(), Some("/m"));
        assert_eq!(asked.global.socket.unwrap().to_str(), Some("/s"));
        let watched = line("watch 1,we").unwrap();
        assert_eq!((&*watched.before, &*watched.word), ("1,", "we"));
    }
}
