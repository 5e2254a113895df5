//! One run's hold on the home: lock, journal and prepared result, from the
//! beginning to the report. The installer enters to begin a run, [`recover`] to
//! end one that was killed; both leave through the same end.
//!
//! [`recover`]: crate::recover

use std::time::Duration;

use rand::RngExt;

use crate::change;
use crate::error::InstallError;
use crate::guard::{self, Watched};
use crate::journal::Journal;
use crate::log::say;
use crate::place::Place;
use crate::record::Record;
use crate::state::State;
use crate::verdict::{Step, Verdict};

/// Called after each step.
pub(crate) type Hook = Box<dyn FnMut(Step)>;

/// A run that owes a result.
pub(crate) struct Work {
    pub(crate) state: State,
    pub(crate) journal: Journal,
    /// Whether this process knows that nothing was reported yet.
    fresh: bool,
    _watched: Option<Watched>,
}

/// Why a run that was killed has failed.
const KILLED: &str = "the installer was killed, or the machine went down, before it had found \
                      the new version healthy";

impl Work {
    /// Begins a new run. An unfinished one is set aside and answered too: it
    /// must be settled before anything is changed. Its result is withdrawn: the
    /// manager waits for that of the new one. `watch`: a watchdog is left behind first,
    /// which gives the run so long.
    pub(crate) fn begin(
        state: State,
        watch: Option<Duration>,
        hook: &mut Hook,
    ) -> Result<(Self, Option<Journal>), InstallError> {
        hook(Step::Locked);
        if state.result_waits() {
            return Err(InstallError::ResultWaiting(state.result()));
        }
        let mut previous = Journal::open(&state.previous())?;
        match Journal::open(&state.journal())? {
            Some(mut journal) => {
                if let Some(older) = previous.take() {
                    settle(&state, older, hook)?;
                }
                journal.move_to(&state.previous())?;
                state.withdraw(&journal.record.run);
                hook(Step::SetAside);
                previous = Some(journal);
            }
            None => state.sweep()?,
        }
        let run = format!("{:016x}", rand::rng().random::<u64>());
        state.prepare_result(&run)?;
        hook(Step::ResultPrepared);
        state.keep_program()?;
        state.tell_reason(None);
        let watched = watch
            .map(|limit| guard::leave(state.home(), &state.program(), &run, limit))
            .transpose()?;
        let journal = Journal::create(&state.journal(), &run)?;
        hook(Step::Begun);
        say(format_args!("run {run} begins"));
        let work = Self {
            state,
            journal,
            fresh: true,
            _watched: watched,
        };
        Ok((work, previous))
    }

    /// Takes over a run that was killed; `None` when there is none.
    pub(crate) fn resume(state: State, hook: &mut Hook) -> Result<Option<Self>, InstallError> {
        hook(Step::Locked);
        if let Some(previous) = Journal::open(&state.previous())? {
            settle(&state, previous, hook)?;
            hook(Step::PreviousEnded);
        }
        match Journal::open(&state.journal())? {
            Some(journal) => Ok(Some(Self {
                state,
                journal,
                fresh: false,
                _watched: None,
            })),
            None => {
                state.sweep()?;
                Ok(None)
            }
        }
    }

    /// Decides, rolls back unless installed, tidies up, reports, and ends. `reason` says
    /// why it is not installed; of a run that was killed it is known, if at all, from
    /// before. Answers the verdict that was reported.
    pub(crate) fn end(
        mut self,
        mut verdict: Verdict,
        reason: Option<&str>,
        hook: &mut Hook,
    ) -> Result<Verdict, InstallError> {
        let run = self.journal.record.run.clone();
        if let Some(reason) = reason {
            self.state.note_reason(&run, reason);
        }
        if self.journal.record.verdict.is_none() {
            if let Err(error) = self.journal.decide(verdict) {
                say(format_args!("the journal cannot be written: {error}"));
                if verdict == Verdict::Installed {
                    // Whoever comes next could not know, and would roll back.
                    verdict = Verdict::Failed;
                    let reason = format!("the journal cannot be written: {error}");
                    self.state.note_reason(&run, &reason);
                }
            }
            hook(Step::Decided);
        }
        let restored = if verdict == Verdict::Installed {
            Ok(())
        } else {
            undo(&self.state, &mut self.journal, hook)
        };
        if restored.is_ok() {
            tidy(&self.journal, verdict, hook);
        }
        let reason = (verdict != Verdict::Installed).then(|| {
            let noted = self.state.reason(&run);
            told(noted.as_deref(), &self.journal.record, &restored)
        });
        self.state.tell_reason(reason.as_deref());
        if self.state.report(&run, verdict, self.fresh)? {
            say(format_args!(
                "run {run} ends with result {}",
                verdict.digit()
            ));
        }
        self.state.forget_reason(&run);
        hook(Step::Reported);
        // With the journal in place the next start tries again to restore.
        restored?;
        self.state.drop_program();
        self.journal.remove()?;
        hook(Step::Ended);
        Ok(verdict)
    }
}

/// Why it failed, and what is there now.
fn told(reason: Option<&str>, record: &Record, restored: &Result<(), InstallError>) -> String {
    let reason = reason.unwrap_or(KILLED).trim();
    match restored {
        Err(error) => format!("{reason}; the old version could not be put back: {error}"),
        Ok(()) if record.ready => format!("{reason}; the old version is back"),
        Ok(()) => format!("{reason}; nothing was changed"),
    }
}

/// Ends an unfinished run without a report.
pub(crate) fn settle(
    state: &State,
    mut journal: Journal,
    hook: &mut Hook,
) -> Result<(), InstallError> {
    let verdict = journal.record.verdict.unwrap_or(Verdict::Failed);
    say(format_args!("run {} was not finished", journal.record.run));
    if verdict != Verdict::Installed {
        undo(state, &mut journal, hook)?;
    }
    tidy(&journal, verdict, hook);
    state.withdraw(&journal.record.run);
    journal.remove()
}

/// Puts the old version back, as far as it was replaced.
fn undo(state: &State, journal: &mut Journal, hook: &mut Hook) -> Result<(), InstallError> {
    if !journal.record.must_restore() {
        return Ok(());
    }
    let record = journal.record.clone();
    let home = state.home();
    // Neither of the commands keeps the files from coming back.
    let run = |command: &Option<crate::Command>| {
        if let Some(Err(error)) = command
            .as_ref()
            .map(|command| command.run(home, command.limit))
        {
            say(error);
        }
    };
    if record.ready {
        run(&record.stop);
        hook(Step::Stopped);
    }
    let mut problem = None;
    for entry in record.entries.iter().rev() {
        if let Err(error) = change::restore(&record, entry) {
            let error = InstallError::path(&entry.place.path(), "restore", error);
            say(&error);
            problem = Some(error);
        }
        hook(Step::Restored);
    }
    if record.ready {
        run(&record.start);
        hook(Step::Started);
    }
    if let Some(problem) = problem {
        return Err(problem);
    }
    if let Err(error) = journal.restored() {
        // Restoring a second time does no harm.
        say(format_args!("the journal cannot be written: {error}"));
    }
    hook(Step::RolledBack);
    Ok(())
}

/// Removes what the run has laid beside its targets.
fn tidy(journal: &Journal, verdict: Verdict, hook: &mut Hook) {
    let record = &journal.record;
    let cannot = |place: &Place, error: std::io::Error| {
        say(format_args!(
            "{}: cannot tidy up beside it: {error}",
            place.path().display()
        ));
    };
    for entry in &record.entries {
        if let Err(error) = change::tidy(record, entry) {
            cannot(&entry.place, error);
        }
    }
    if verdict != Verdict::Installed {
        for folder in record.folders.iter().rev() {
            if let Err(error) = change::remove_folder(folder) {
                cannot(folder, error);
            }
        }
    }
    hook(Step::Tidied);
}
