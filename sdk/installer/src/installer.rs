//! The builder an author writes, and the two ways to run it: here, or in the
//! background while the agent has its answer. What a run does then is told by
//! the `sequence`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::background::{self, Starter};
use crate::command::Command;
use crate::error::InstallError;
use crate::guard;
use crate::health::Health;
use crate::home;
use crate::log::say;
use crate::plan::{self, Item};
use crate::recover;
use crate::requirement::Requirement;
use crate::sequence::Sequence;
use crate::state::State;
use crate::verdict::{Step, Verdict};
use crate::watchdog;
use crate::work::{Hook, Work, settle};

/// An upgrade: what to replace, how to see that it went well.
///
/// Everything before [`run`](Self::run) is carried out in two processes, the
/// one that the agent waits for and the one in the background; it should only
/// describe.
pub struct Installer {
    home: PathBuf,
    package: PathBuf,
    outside: Vec<PathBuf>,
    items: Vec<Item>,
    sequence: Sequence,
    watched: bool,
    hook: Hook,
}

impl std::fmt::Debug for Installer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Installer")
            .field("home", &self.home)
            .field("items", &self.items)
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

impl Installer {
    /// An installer for the agent in `home`.
    ///
    /// # Errors
    /// [`InstallError::Path`] when `home` is no folder.
    pub fn new(home: impl AsRef<Path>) -> Result<Self, InstallError> {
        Ok(Self {
            home: home::find(home.as_ref())?,
            package: PathBuf::from(home::PACKAGE),
            outside: Vec::new(),
            items: Vec::new(),
            sequence: Sequence::default(),
            watched: false,
            hook: Box::new(|_| {}),
        })
    }

    /// An installer for the agent that runs it: the home is where this program
    /// was unpacked, else the working directory.
    ///
    /// # Errors
    /// [`InstallError::Path`] when there is none.
    pub fn here() -> Result<Self, InstallError> {
        Self::new(home::of_program()?)
    }

    /// The home that is worked in: absolute, without links.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Whether this process is to carry out what it describes; `false` in one that only
    /// brings to its end what another has begun, for which the journal describes it.
    #[must_use]
    pub fn is_first(&self) -> bool {
        guard::order().is_none() && !home::is_finish(&self.home)
    }

    /// Takes new files from another folder than `var/upgrade`; relative to the
    /// home.
    #[must_use]
    pub fn package(mut self, folder: impl Into<PathBuf>) -> Self {
        self.package = folder.into();
        self
    }

    /// Lets targets lie in this folder outside the home; absolute. They are
    /// then given as absolute paths.
    #[must_use]
    pub fn allow_outside(mut self, folder: impl Into<PathBuf>) -> Self {
        self.outside.push(folder.into());
        self
    }

    /// Replaces `target`, relative to the home, by `source` of the package.
    /// Mode and owner stay; a target that is not there yet gets mode 0640.
    #[must_use]
    pub fn replace(mut self, target: impl Into<PathBuf>, source: impl Into<PathBuf>) -> Self {
        self.items.push(Item::Put {
            target: target.into(),
            source: source.into(),
            mode: None,
        });
        self
    }

    /// As [`replace`](Self::replace), with the mode given, such as `0o750`.
    #[must_use]
    pub fn install(
        mut self,
        target: impl Into<PathBuf>,
        source: impl Into<PathBuf>,
        mode: u32,
    ) -> Self {
        self.items.push(Item::Put {
            target: target.into(),
            source: source.into(),
            mode: Some(mode),
        });
        self
    }

    /// Removes `target`; one that is not there is fine.
    #[must_use]
    pub fn remove(mut self, target: impl Into<PathBuf>) -> Self {
        self.items.push(Item::Remove {
            target: target.into(),
        });
        self
    }

    /// Requires a program in `PATH`, or at an absolute path: without it the
    /// result is 1 and nothing is changed.
    #[must_use]
    pub fn require_program(mut self, name: impl Into<String>) -> Self {
        self.sequence
            .requirements
            .push(Requirement::Program(name.into()));
        self
    }

    /// Requires a file or folder; a relative path starts at the home.
    #[must_use]
    pub fn require_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.sequence
            .requirements
            .push(Requirement::File(path.into()));
        self
    }

    /// Stops what is upgraded, after all backups and before the first change,
    /// and again before a roll back. It must not fail when nothing runs.
    #[must_use]
    pub fn stop(mut self, command: impl Into<Command>) -> Self {
        self.sequence.stop = Some(command.into());
        self
    }

    /// Starts what was upgraded, before the health checks, and again after a
    /// roll back.
    #[must_use]
    pub fn start(mut self, command: impl Into<Command>) -> Self {
        self.sequence.start = Some(command.into());
        self
    }

    /// Adds a health check. They are done in order, and all must be good.
    #[must_use]
    pub fn health(mut self, health: Health) -> Self {
        self.sequence.health.push(health);
        self
    }

    /// How long all health checks together may take. Default 60 s.
    #[must_use]
    pub fn health_limit(mut self, limit: Duration) -> Self {
        self.sequence.health_limit = limit;
        self
    }

    /// Leaves a watchdog behind, a second process of this program: if the installer is
    /// killed, it brings the work to its end at once, which means that the old version
    /// comes back unless the new one was found healthy already. It also ends an installer
    /// that takes ten minutes longer than all its time limits together.
    ///
    /// For whatever upgrades the agent itself: without it a killed installer waits for the
    /// next start of an agent that may not start any more.
    #[must_use]
    pub fn watchdog(mut self) -> Self {
        self.watched = true;
        self
    }

    /// Calls `hook` after each step, in the process that does it: to log, or to
    /// have tests kill it there.
    #[must_use]
    pub fn observe(mut self, hook: impl FnMut(Step) + 'static) -> Self {
        self.hook = Box::new(hook);
        self
    }

    /// Does it the way PROTOCOL.md, section 7, asks for: answers status 0 at
    /// once while the work goes on in the background, which ends with a result.
    /// Another status says that nothing was begun and nothing will be reported:
    /// 75 while another installer is at work or a result waits, else 2.
    ///
    /// Run as `var/installer/finish`, it only ends what was killed, as
    /// [`recover`](crate::recover()) does.
    #[must_use]
    pub fn run(self) -> ExitCode {
        if guard::order().is_some() {
            return match self.run_here() {
                Ok(_) => ExitCode::SUCCESS,
                Err(error) => refuse(error.exit_status(), &error),
            };
        }
        if background::is_background() {
            return match Starter::detach() {
                Ok(starter) => self.run_detached(starter),
                Err(error) => refuse(error.exit_status(), &error),
            };
        }
        // What an author got wrong shows at once.
        if let Err(error) = self.check() {
            return refuse(error.exit_status(), &error);
        }
        match background::start(&self.home) {
            Ok(()) => ExitCode::SUCCESS,
            Err((status, text)) => refuse(status, &text),
        }
    }

    fn run_detached(self, starter: Starter) -> ExitCode {
        // It says ready or why not, whichever comes first, once.
        let mut starter = Some(starter);
        let ended = self.work(&mut || starter.take().map_or(Ok(()), Starter::ready));
        match (ended, starter) {
            (Ok(Some(Verdict::Installed) | None), _) => ExitCode::SUCCESS,
            (Ok(_), _) => ExitCode::FAILURE,
            (Err(error), Some(starter)) => {
                starter.failed(&error);
                ExitCode::from(error.exit_status())
            }
            (Err(error), None) => refuse(error.exit_status(), &error),
        }
    }

    /// Does it in this process, to its end: for installers that are in the
    /// background already. Answers the verdict that was reported; `None` when
    /// run as `var/installer/finish` and there was nothing to finish.
    ///
    /// # Errors
    /// Nothing was begun, or the old version could not be brought back.
    pub fn run_here(self) -> Result<Option<Verdict>, InstallError> {
        self.work(&mut || Ok(()))
    }

    fn work(
        mut self,
        ready: &mut dyn FnMut() -> Result<(), InstallError>,
    ) -> Result<Option<Verdict>, InstallError> {
        if let Some((run, limit)) = guard::order() {
            return watchdog::watch(&self.home, &run, limit, &mut self.hook);
        }
        let resolved = self.check()?;
        let state = State::open(&self.home)?;
        if home::is_finish(&self.home) {
            ready()?;
            return recover::finish(state, &mut self.hook);
        }
        let watch = self.watched.then(|| self.sequence.longest());
        let (mut work, previous) = Work::begin(state, watch, &mut self.hook)?;
        if let Err(error) = ready() {
            // Nobody heard that it goes on: nothing is owed to anybody.
            work.state.withdraw(&work.journal.record.run);
            if previous.is_none() {
                work.state.drop_program();
            }
            work.journal.remove()?;
            return Err(error);
        }
        let settled = previous.map_or(Ok(()), |previous| {
            settle(&work.state, previous, &mut self.hook)
        });
        let verdict = match settled.map_err(|error| error.to_string()) {
            Ok(()) => {
                (self.hook)(Step::PreviousEnded);
                self.sequence
                    .carry_out(&mut work, &resolved, &mut self.hook)
            }
            Err(reason) => Err((Verdict::Failed, reason)),
        };
        let (verdict, reason) = match verdict {
            Ok(()) => (Verdict::Installed, None),
            Err((verdict, reason)) => {
                say(&reason);
                (verdict, Some(reason))
            }
        };
        work.end(verdict, reason.as_deref(), &mut self.hook)
            .map(Some)
    }

    /// What can be found wrong without touching anything.
    fn check(&self) -> Result<Vec<plan::Resolved>, InstallError> {
        self.sequence.check()?;
        plan::resolve(&self.home, &self.package, &self.outside, &self.items)
    }
}

fn refuse(status: u8, text: &dyn std::fmt::Display) -> ExitCode {
    say(text);
    ExitCode::from(status)
}
