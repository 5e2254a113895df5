//! What a run does once it owes a result: everything that can fail without a
//! trace first (new files beside their targets, backups), then the change, then
//! the proof that the new version works. Each step is in the journal before the
//! next one, so that a run that is killed can be ended from there.

use std::time::{Duration, Instant};

use crate::change;
use crate::command::Command;
use crate::error::InstallError;
use crate::health::Health;
use crate::plan::{self, Planned, Resolved};
use crate::record::{Kind, Record};
use crate::requirement::Requirement;
use crate::verdict::{Step, Verdict};
use crate::work::{Hook, Work};

/// How long all health checks together may take by default.
const HEALTH_LIMIT: Duration = Duration::from_secs(60);

/// How long all files may take.
const FILES: Duration = Duration::from_secs(600);

/// What there is to do besides the targets themselves.
#[derive(Debug)]
pub(crate) struct Sequence {
    pub(crate) requirements: Vec<Requirement>,
    pub(crate) stop: Option<Command>,
    pub(crate) start: Option<Command>,
    pub(crate) health: Vec<Health>,
    pub(crate) health_limit: Duration,
}

impl Default for Sequence {
    fn default() -> Self {
        Self {
            requirements: Vec::new(),
            stop: None,
            start: None,
            health: Vec::new(),
            health_limit: HEALTH_LIMIT,
        }
    }
}

impl Sequence {
    /// What can be found wrong without touching anything.
    pub(crate) fn check(&self) -> Result<(), InstallError> {
        for command in self.stop.iter().chain(&self.start) {
            command.check()?;
        }
        self.health.iter().try_for_each(Health::check)
    }

    /// How long a run may take before something must be wrong with it: the limits of all
    /// that has one, the commands twice for a roll back, and plenty for the files.
    pub(crate) fn longest(&self) -> Duration {
        let commands = self.stop.iter().chain(&self.start);
        let commands: Duration = commands.map(|command| command.limit * 2).sum();
        FILES + commands + self.health_limit
    }

    /// Does it. After an error the run's end brings the old version back.
    ///
    /// # Errors
    /// The verdict to report and why.
    pub(crate) fn carry_out(
        &self,
        work: &mut Work,
        resolved: &[Resolved],
        hook: &mut Hook,
    ) -> Result<(), (Verdict, String)> {
        for requirement in &self.requirements {
            if !requirement.is_met(work.state.home()) {
                return Err((
                    Verdict::MissingDependency,
                    format!("{requirement} is missing"),
                ));
            }
        }
        hook(Step::Required);
        self.prepare(work, resolved, hook)
            .and_then(|record| self.install(work, &record, hook))
            .map_err(|reason| (Verdict::Failed, reason))
    }

    /// New files and backups beside the targets, which are as they were.
    fn prepare(
        &self,
        work: &mut Work,
        resolved: &[Resolved],
        hook: &mut Hook,
    ) -> Result<Record, String> {
        let journal = &mut work.journal;
        let mut record = journal.record.clone();
        record.stop.clone_from(&self.stop);
        record.start.clone_from(&self.start);
        let planned = plan::plan(resolved, &mut record).map_err(text)?;
        journal.plan(record.clone()).map_err(unwritable)?;
        hook(Step::Planned);
        for folder in &record.folders {
            let fail = |error| text(InstallError::path(&folder.path(), "make", error));
            change::make_folder(folder).map_err(fail)?;
            hook(Step::FolderMade);
        }
        for Planned { entry, put } in &planned {
            if let Some((source, rights)) = put {
                let open = |error| text(InstallError::path(&source.path(), "read", error));
                let file = source.open().map_err(open)?;
                let target = entry.place.path();
                let fail = |error| text(InstallError::path(&target, "write beside", error));
                change::stage(&record, entry, &file, *rights).map_err(fail)?;
                hook(Step::Staged);
            }
        }
        for entry in &record.entries {
            if entry.kind != Kind::Add {
                let fail = |error| text(InstallError::path(&entry.place.path(), "back up", error));
                change::back_up(&record, entry).map_err(fail)?;
                hook(Step::BackedUp);
            }
        }
        journal.ready().map_err(unwritable)?;
        hook(Step::Ready);
        Ok(record)
    }

    /// Changes the targets and sees whether the new version works.
    fn install(&self, work: &mut Work, record: &Record, hook: &mut Hook) -> Result<(), String> {
        let home = work.state.home();
        if let Some(stop) = &self.stop {
            stop.run(home, stop.limit)?;
            hook(Step::Stopped);
        }
        for entry in &record.entries {
            let fail = |error| text(InstallError::path(&entry.place.path(), "change", error));
            change::change(record, entry).map_err(fail)?;
            hook(Step::Changed);
        }
        let since = work.journal.changed().map_err(unwritable)?;
        if let Some(start) = &self.start {
            start.run(home, start.limit)?;
            hook(Step::Started);
        }
        let end = Instant::now() + self.health_limit;
        for health in &self.health {
            health
                .wait(home, since, end)
                .map_err(|reason| format!("not healthy: {reason}"))?;
            hook(Step::Healthy);
        }
        Ok(())
    }
}

fn text(error: InstallError) -> String {
    error.to_string()
}

fn unwritable(error: std::io::Error) -> String {
    format!("the journal cannot be written: {error}")
}
