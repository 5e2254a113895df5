//! Installers that were begun and may still write a result: `var/wpk-installers`,
//! one file each, locked by its supervisor while anything of the installer lives. There
//! is mostly one. More are there when one left no result within its time and still
//! works while the next is begun: of a result that appears then it must be found out
//! whose it is, because all of them write it to the same place.
//!
//! Only what processes show is known: an installer that ended before there was a
//! result writes none; the only one of several that ended when there is one has
//! written it. An installer that hands its work to somebody else (a service manager)
//! shows nothing of that. `state` enters.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use wpk_api::TaskId;

use crate::home;
use crate::platform::files;
use crate::result::read_small;
use crate::rights::Own;

/// No file is longer than this, in bytes.
const LONGEST: u64 = 32;
/// What the name of an installer's file ends with once the next one was begun.
const LATE: &str = "late";
/// And once its result was taken to be told.
const WORD: &str = "word";

/// The folder.
#[derive(Debug, Clone)]
pub(crate) struct Lives(PathBuf);

/// One installer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Life {
    /// The later one has the greater.
    number: u64,
    /// Another was begun after it.
    pub(crate) late: bool,
    /// Anything of it lives.
    pub(crate) alive: bool,
    /// Of which task it is, if the manager named it.
    pub(crate) task: Option<TaskId>,
}

/// Whose a result is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Of the installer that was begun last.
    Last,
    /// Of one before it.
    Earlier(Life),
    /// That cannot be told (yet).
    Unclear,
}

/// The result of an earlier installer, waiting to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LateWord {
    pub(crate) task: TaskId,
    pub(crate) result: u8,
}

/// Locks an installer's file for as long as the result is open. For its supervisor.
///
/// # Errors
/// The agent knows of no such installer, or the system gives no lock.
pub(crate) fn hold(path: &Path) -> io::Result<File> {
    let file = files::unlinked(0).read(true).open(path)?;
    file.lock_shared()?;
    Ok(file)
}

/// The file of an installer that is about to begin, held until its supervisor holds it.
#[derive(Debug)]
pub(crate) struct NewLife {
    pub(crate) path: PathBuf,
    _held: File,
}

/// Whose a result is that is there, after it was looked who of these lives.
pub(crate) fn whose(lives: &[Life]) -> Whose {
    if lives.iter().all(|life| !life.late) {
        return Whose::Last;
    }
    let mut ended = lives.iter().filter(|life| !life.alive);
    let writer = match (ended.next(), ended.next(), lives) {
        (Some(one), None, _) | (None, _, [one]) => one,
        _ => return Whose::Unclear,
    };
    match writer.late {
        true => Whose::Earlier(writer.clone()),
        false => Whose::Last,
    }
}

impl Lives {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// All, the earliest first, and whether they live as of now.
    pub(crate) fn all(&self) -> Vec<Life> {
        let mut all: Vec<Life> = self
            .names()
            .filter_map(|(number, end)| {
                let late = match end.as_str() {
                    "" => false,
                    LATE => true,
                    _ => return None,
                };
                let path = self.path(number, &end);
                let task = read_small(&path, LONGEST).ok().and_then(|text| task(&text));
                let alive = files::is_locked(&path).unwrap_or(false);
                Some(Life {
                    number,
                    late,
                    alive,
                    task,
                })
            })
            .collect();
        all.sort_by_key(|life| life.number);
        all
    }

    /// Writes down an installer that is about to begin; those before it are late then.
    ///
    /// # Errors
    /// What the disk says; it must not begin then.
    pub(crate) fn add(&self, task: Option<TaskId>) -> io::Result<NewLife> {
        home::make_folder(&self.0).map_err(io::Error::other)?;
        Own::open(&self.0)?;
        for life in self.all().iter().filter(|life| !life.late) {
            fs::rename(self.path(life.number, ""), self.path(life.number, LATE))?;
        }
        let last = self.names().map(|(number, _)| number).max().unwrap_or(0);
        let path = self.path(last.saturating_add(1), "");
        // It gets its name locked: whoever looks must not find it ended.
        let new = self.0.join("new");
        gone(&new, home::remove(&new));
        let mut file = files::unlinked(0o600)
            .write(true)
            .create_new(true)
            .open(&new)?;
        file.lock_shared()?;
        if let Some(task) = task {
            file.write_all(format!("{task}\n").as_bytes())?;
        }
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(&self.0)?.sync_all()?;
        Ok(NewLife { path, _held: file })
    }

    /// Nothing more comes of these.
    pub(crate) fn remove<'a>(&self, lives: impl IntoIterator<Item = &'a Life>) {
        for life in lives {
            let path = self.path(life.number, if life.late { LATE } else { "" });
            gone(&path, home::remove(&path));
        }
    }

    /// Keeps the result of an earlier installer, so that its place is free for the next.
    ///
    /// # Errors
    /// What the disk says.
    pub(crate) fn keep_word(&self, of: &Life, result: u8) -> io::Result<()> {
        let Some(task) = of.task else { return Ok(()) };
        let path = self.path(of.number, WORD);
        let mut file = files::unlinked(0o600)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        file.write_all(format!("{task}\n{result}\n").as_bytes())?;
        file.sync_all()
    }

    /// The earliest result of an earlier installer that waits to be told.
    pub(crate) fn word(&self) -> Option<LateWord> {
        self.words().into_iter().next().map(|(_, word)| word)
    }

    /// The result of that task was told. `false`: none waited.
    pub(crate) fn forget_word(&self, of: TaskId) -> bool {
        let told = self.words().into_iter().find(|(_, word)| word.task == of);
        if let Some((path, _)) = &told {
            gone(path, home::remove(path));
        }
        told.is_some()
    }

    fn words(&self) -> Vec<(PathBuf, LateWord)> {
        let mut numbers: Vec<u64> = self
            .names()
            .filter_map(|(number, end)| (end == WORD).then_some(number))
            .collect();
        numbers.sort_unstable();
        let read = |number| {
            let path = self.path(number, WORD);
            let text = read_small(&path, LONGEST).ok()?;
            let (first, second) = std::str::from_utf8(&text).ok()?.split_once('\n')?;
            let word = LateWord {
                task: task(format!("{first}\n").as_bytes())?,
                result: second.strip_suffix('\n')?.parse().ok()?,
            };
            Some((path, word))
        };
        numbers.into_iter().filter_map(read).collect()
    }

    fn names(&self) -> impl Iterator<Item = (u64, String)> + use<> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        entries.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let (number, end) = name.split_once('.').unwrap_or((&name, ""));
            Some((number.parse().ok()?, end.to_owned()))
        })
    }

    fn path(&self, number: u64, end: &str) -> PathBuf {
        let dot = if end.is_empty() { "" } else { "." };
        self.0.join(format!("{number}{dot}{end}"))
    }
}

fn task(text: &[u8]) -> Option<TaskId> {
    let text = std::str::from_utf8(text).ok()?;
    // Cut off, it would be another id.
    let id = text.strip_suffix('\n')?.parse().ok()?;
    (id > 0).then_some(TaskId(id))
}

fn gone(path: &Path, removed: io::Result<()>) {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            // It is tried again with each look.
            tracing::debug!("{}: cannot be removed: {error}", path.display());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(number: u64, late: bool, alive: bool) -> Life {
        Life {
            number,
            late,
            alive,
            task: Some(TaskId(10)),
        }
    }

    #[test]
    fn a_result_is_of_the_only_one_that_ended() {
        let (last, ended) = (life(2, false, true), life(2, false, false));
        let (late, late_ended) = (life(1, true, true), life(1, true, false));
        let earlier = |life: &Life| Whose::Earlier(life.clone());
        let cases = [
            (vec![], Whose::Last),
            (vec![last.clone()], Whose::Last),
            (vec![ended.clone()], Whose::Last),
            (vec![late.clone(), ended.clone()], Whose::Last),
            (vec![late_ended.clone(), last.clone()], earlier(&late_ended)),
            (vec![late.clone(), last], Whose::Unclear),
            (vec![late_ended.clone(), ended], Whose::Unclear),
            (vec![late.clone()], earlier(&late)),
            (vec![late_ended.clone()], earlier(&late_ended)),
            (vec![late.clone(), life(0, true, true)], Whose::Unclear),
        ];
        for (lives, expected) in cases {
            assert_eq!(whose(&lives), expected, "{lives:?}");
        }
    }

    #[test]
    fn the_last_one_begun_makes_those_before_it_late() {
        let dir = tempfile::tempdir().unwrap();
        let lives = Lives::new(dir.path().join("run/installers"));
        assert_eq!(lives.all(), []);
        let first = lives.add(Some(TaskId(7))).unwrap();
        let second = lives.add(None).unwrap();
        let shown = |life: &Life| (life.number, life.late, life.alive, life.task);
        let all = |lives: &Lives| lives.all().iter().map(shown).collect::<Vec<_>>();
        let seven = Some(TaskId(7));
        assert_eq!(
            all(&lives),
            [(1, true, true, seven), (2, false, true, None)]
        );
        drop((first, second));
        assert_eq!(
            all(&lives),
            [(1, true, false, seven), (2, false, false, None)]
        );
        lives.remove(lives.all().iter().filter(|life| life.late));
        assert_eq!(all(&lives), [(2, false, false, None)]);
    }

    #[test]
    fn a_late_word_is_kept_until_it_was_told() {
        let dir = tempfile::tempdir().unwrap();
        let lives = Lives::new(dir.path().to_owned());
        drop(lives.add(Some(TaskId(7))).unwrap());
        let life = lives.all().remove(0);
        lives.keep_word(&life, 1).unwrap();
        lives.remove([&life]);
        let word = LateWord {
            task: TaskId(7),
            result: 1,
        };
        assert_eq!(Lives::new(dir.path().to_owned()).word(), Some(word));
        assert!(!lives.forget_word(TaskId(8)));
        assert!(lives.forget_word(TaskId(7)));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
