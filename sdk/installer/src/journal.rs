//! The journal: what a run is about to change and how far it came, so that
//! whoever starts next can finish it. README.md documents the format; this file
//! is its only reader and writer.
//!
//! Lines of fields, separated by tabs. A line without its newline was cut off
//! by a crash and does not count.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;

use crate::command::Command;
use crate::error::InstallError;
use crate::place::Place;
use crate::verdict::Verdict;

/// A journal is never longer, in bytes.
const LIMIT: u64 = 64 << 20;

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

    fn plan(&self) -> String {
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

    fn parse(text: &str) -> Result<Self, (usize, String)> {
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

/// The file and what it says.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    length: u64,
    pub(crate) record: Record,
}

impl Journal {
    /// Makes a new one. It appears with its heading, or not at all.
    pub(crate) fn create(path: &Path, run: &str) -> Result<Self, InstallError> {
        let fail = |error| InstallError::path(path, "write the journal", error);
        let temporary = path.with_extension("new");
        let heading = format!("wpk-installer\t1\t{run}\n");
        let made = || -> io::Result<File> {
            let mut file = OpenOptions::new()
                .append(true)
                .create_new(true)
                .mode(0o600)
                .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
                .open(&temporary)?;
            file.write_all(heading.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, path)?;
            sync_folder(path)?;
            Ok(file)
        };
        Ok(Self {
            file: made().map_err(fail)?,
            path: path.to_owned(),
            length: heading.len() as u64,
            record: Record {
                run: run.to_owned(),
                ..Record::default()
            },
        })
    }

    /// Reads one that was left behind; `None` when there is none.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, InstallError> {
        let fail = |error| InstallError::path(path, "read the journal", error);
        let wrong = |line, reason: &str| InstallError::Journal {
            path: path.to_owned(),
            line,
            reason: reason.to_owned(),
        };
        let opened = OpenOptions::new()
            .read(true)
            .append(true)
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
            .open(path);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fail(error)),
        };
        let meta = file.metadata().map_err(fail)?;
        // It says which files to put where and what to run.
        if !meta.is_file()
            || meta.uid() != rustix::process::geteuid().as_raw()
            || meta.mode() & 0o022 != 0
        {
            return Err(wrong(
                1,
                "it is no plain file of this user that nobody else may write",
            ));
        }
        if meta.len() > LIMIT {
            return Err(wrong(1, "it is longer than any journal"));
        }
        let mut bytes = Vec::new();
        (&file).take(LIMIT).read_to_end(&mut bytes).map_err(fail)?;
        bytes.truncate(
            bytes
                .iter()
                .rposition(|&byte| byte == b'\n')
                .map_or(0, |end| end + 1),
        );
        let text = std::str::from_utf8(&bytes).map_err(|_| wrong(1, "it is no UTF-8"))?;
        let record = Record::parse(text).map_err(|(line, reason)| wrong(line, &reason))?;
        let length = bytes.len() as u64;
        file.set_len(length).map_err(fail)?;
        Ok(Some(Self {
            file,
            path: path.to_owned(),
            length,
            record,
        }))
    }

    /// Writes what will be changed.
    pub(crate) fn plan(&mut self, record: Record) -> io::Result<()> {
        let text = record.plan() + "planned\n";
        self.append(&text)?;
        self.record = record;
        self.record.planned = true;
        Ok(())
    }

    pub(crate) fn ready(&mut self) -> io::Result<()> {
        self.append("ready\n")?;
        self.record.ready = true;
        Ok(())
    }

    /// All targets are changed. Tells when that was, by the clock of the file
    /// system.
    pub(crate) fn changed(&mut self) -> io::Result<SystemTime> {
        self.append("changed\n")?;
        self.file.metadata()?.modified()
    }

    pub(crate) fn decide(&mut self, verdict: Verdict) -> io::Result<()> {
        self.append(&format!("verdict\t{}\n", verdict.digit()))?;
        self.record.verdict = Some(verdict);
        Ok(())
    }

    pub(crate) fn restored(&mut self) -> io::Result<()> {
        self.append("restored\n")?;
        self.record.restored = true;
        Ok(())
    }

    /// Sets it aside: a new run begins.
    pub(crate) fn move_to(&mut self, path: &Path) -> Result<(), InstallError> {
        fs::rename(&self.path, path)
            .and_then(|()| sync_folder(path))
            .map_err(|error| InstallError::path(&self.path, "set the journal aside", error))?;
        path.clone_into(&mut self.path);
        Ok(())
    }

    /// Removes it: the run has ended.
    pub(crate) fn remove(self) -> Result<(), InstallError> {
        fs::remove_file(&self.path)
            .and_then(|()| sync_folder(&self.path))
            .map_err(|error| InstallError::path(&self.path, "remove the journal", error))
    }

    fn append(&mut self, text: &str) -> io::Result<()> {
        let written = self
            .file
            .write_all(text.as_bytes())
            .and_then(|()| self.file.sync_all());
        match written {
            Ok(()) => {
                self.length += text.len() as u64;
                Ok(())
            }
            Err(error) => {
                // A line cut off must not become part of the next one.
                let _ = self.file.set_len(self.length);
                Err(error)
            }
        }
    }
}

/// Makes what happened to the names in a file's folder last.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record() -> Record {
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
    fn it_is_read_as_it_was_written_and_cut_lines_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        assert!(Journal::open(&path).unwrap().is_none());
        let mut journal = Journal::create(&path, "0123456789abcdef").unwrap();
        journal.plan(record()).unwrap();
        journal.ready().unwrap();
        journal.decide(Verdict::Failed).unwrap();
        let expected = journal.record.clone();
        drop(journal);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"restored").unwrap();
        let mut journal = Journal::open(&path).unwrap().unwrap();
        assert_eq!(journal.record, expected);
        assert!(journal.record.must_restore());
        journal.restored().unwrap();
        let again = Journal::open(&path).unwrap().unwrap();
        assert!(again.record.restored && !again.record.must_restore());
    }

    #[test]
    fn what_others_may_write_is_not_believed() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        drop(Journal::create(&path, "0123456789abcdef").unwrap());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o622)).unwrap();
        assert!(matches!(
            Journal::open(&path),
            Err(InstallError::Journal { .. })
        ));
        let real = dir.path().join("real");
        fs::rename(&path, &real).unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&real, &path).unwrap();
        assert!(Journal::open(&path).is_err());
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
