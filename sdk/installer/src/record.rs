//! What a journal says: what a run is about to change and how far it came, so
//! that whoever starts next can finish it. README.md documents the format; this
//! file and `journal` are its only reader and writer.
//!
//! Lines of fields, separated by tabs.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::command::Command;
use crate::place::Place;
use crate::verdict::Verdict;

/// What becomes of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is there and gets a new content.
    Swap,
    /// It is not there yet.
    Add,
    /// It is there and goes.
    Remove,
}

impl Kind {
    const ALL: [(Kind, &'static str); 3] = [
        (Kind::Swap, "swap"),
        (Kind::Add, "add"),
        (Kind::Remove, "remove"),
    ];

    fn word(self) -> &'static str {
        match self {
            Kind::Swap => "swap",
            Kind::Add => "add",
            Kind::Remove => "remove",
        }
    }
}

/// One target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    /// Unlike that of every other entry of the run.
    pub(crate) number: usize,
    pub(crate) place: Place,
}

/// What a journal says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Record {
    /// 16 hex digits.
    pub(crate) run: String,
    pub(crate) stop: Option<Command>,
    pub(crate) start: Option<Command>,
    /// Folders that the run makes, outermost first.
    pub(crate) folders: Vec<Place>,
    pub(crate) entries: Vec<Entry>,
    /// All of the above is complete.
    pub(crate) planned: bool,
    /// All backups and new files are there; targets may have changed.
    pub(crate) ready: bool,
    pub(crate) verdict: Option<Verdict>,
    /// All targets are as they were before.
    pub(crate) restored: bool,
}

impl Record {
    /// The name of an entry's backup, in the folder of its target.
    pub(crate) fn old_name(&self, entry: &Entry) -> String {
        format!(".wpk-{}-{}.old", self.run, entry.number)
    }

    /// The name of an entry's new file, in the folder of its target.
    pub(crate) fn new_name(&self, entry: &Entry) -> String {
        format!(".wpk-{}-{}.new", self.run, entry.number)
    }

    /// Whether targets may be in between and must be brought back.
    pub(crate) fn must_restore(&self) -> bool {
        self.planned && !self.restored && self.verdict != Some(Verdict::Installed)
    }

    /// The lines of what will be changed.
    pub(crate) fn plan(&self) -> String {
        let mut text = String::new();
        for (word, command) in [("stop", &self.stop), ("start", &self.start)] {
            if let Some(command) = command {
                let words = command.words.join("\t");
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{word}\t{}\t{words}", command.limit.as_secs());
            }
        }
        let fields =
            |place: &Place| format!("{}\t{}", place.root.display(), place.inside.display());
        for place in &self.folders {
            let _ = writeln!(text, "folder\t{}", fields(place));
        }
        for entry in &self.entries {
            let _ = writeln!(
                text,
                "{}\t{}\t{}",
                entry.kind.word(),
                entry.number,
                fields(&entry.place)
            );
        }
        text
    }

    /// Reads the lines of a journal.
    ///
    /// # Errors
    /// The line, counted from 1, and what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut record = Self::default();
        for (index, line) in text.lines().enumerate() {
            let read = if index == 0 {
                record.header(line)
            } else {
                record.line(line)
            };
            read.map_err(|reason| (index + 1, reason))?;
        }
        if record.run.is_empty() {
            return Err((1, "it is empty".to_owned()));
        }
        Ok(record)
    }

    fn header(&mut self, line: &str) -> Result<(), String> {
        match line.split('\t').collect::<Vec<_>>().as_slice() {
            ["wpk-installer", "1", run]
                if run.len() == 16 && run.bytes().all(|b| b.is_ascii_hexdigit()) =>
            {
                (*run).clone_into(&mut self.run);
                Ok(())
            }
            _ => Err(format!("{line:?} is no heading of a journal of version 1")),
        }
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let place = |root: &str, inside: &str| {
            Place::new(Path::new(root), Path::new(inside)).map_err(|error| error.to_string())
        };
        let unknown = || format!("{line:?} is unknown");
        match line.split('\t').collect::<Vec<_>>().as_slice() {
            [word @ ("stop" | "start"), seconds, words @ ..] => {
                let seconds = seconds.parse().map_err(|_| unknown())?;
                let command = Command {
                    words: words.iter().map(|&word| word.to_owned()).collect(),
                    limit: Duration::from_secs(seconds),
                };
                command.check().map_err(|error| error.to_string())?;
                let kept = if *word == "stop" {
                    &mut self.stop
                } else {
                    &mut self.start
                };
                *kept = Some(command);
            }
            ["folder", root, inside] => self.folders.push(place(root, inside)?),
            ["planned"] => self.planned = true,
            ["ready"] => self.ready = true,
            ["changed"] => {}
            ["verdict", digit] => {
                self.verdict = Some(Verdict::from_digit(digit).ok_or_else(unknown)?);
            }
            ["restored"] => self.restored = true,
            [word, number, root, inside] => {
                let (kind, _) = Kind::ALL
                    .into_iter()
                    .find(|(_, known)| known == word)
                    .ok_or_else(unknown)?;
                let number = number.parse().map_err(|_| unknown())?;
                self.entries.push(Entry {
                    kind,
                    number,
                    place: place(root, inside)?,
                });
            }
            _ => return Err(unknown()),
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One with everything that a plan can hold.
    pub(crate) fn full_record() -> Record {
        let place = |inside: &str| Place::new(Path::new("/var/ossec"), Path::new(inside)).unwrap();
        Record {
            run: "0123456789abcdef".to_owned(),
            stop: Some(Command::from(["service", "agent", "stop", ""])),
            start: Some(Command::new("bin/a b").limit(Duration::from_secs(7))),
            folders: vec![place("new"), place("new/er")],
            entries: vec![
                Entry {
                    kind: Kind::Swap,
                    number: 0,
                    place: place("bin/sensor"),
                },
                Entry {
                    kind: Kind::Add,
                    number: 1,
                    place: place("new/er/file"),
                },
                Entry {
                    kind: Kind::Remove,
                    number: 2,
                    place: place("old file"),
                },
            ],
            ..Record::default()
        }
    }

    #[test]
    fn lines_that_are_unknown_are_told() {
        for text in [
            "",
            "wpk-installer\t2\t0123456789abcdef\n",
            "wpk-installer\t1\t0123456789abcdef\nswap\t1\t/home\t../etc/passwd\n",
            "wpk-installer\t1\t0123456789abcdef\nswap\tx\t/home\ta\n",
            "wpk-installer\t1\t0123456789abcdef\nverdict\t3\n",
            "wpk-installer\t1\t0123456789abcdef\nfolder\thome\ta\n",
            "wpk-installer\t1\t0123456789abcdef\nstop\t5\n",
        ] {
            assert!(Record::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(text in "(wpk-installer\t1\t0123456789abcdef\n)?([a-z0-9/.\t]{0,20}\n){0,5}") {
            let _ = Record::parse(&text);
        }
    }
}
