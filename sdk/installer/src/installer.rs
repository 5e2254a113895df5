//! The builder an author writes, and the sequence it stands for.

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::background::{self, Starter};
use crate::change;
use crate::command::Command;
use crate::error::InstallError;
use crate::health::Health;
use crate::log::say;
use crate::plan::{self, Item};
use crate::recover;
use crate::state::{self, State};
use crate::verdict::{Step, Verdict};
use crate::work::{Hook, Work, settle};

/// Where an agent unpacks packages (protocol.md, section 7).
const PACKAGE: &str = "var/upgrade";
/// How long all health checks together may take by default.
const HEALTH_LIMIT: Duration = Duration::from_secs(60);

/// Something that must be there before anything is changed.
#[derive(Debug, Clone)]
enum Requirement {
    Program(String),
    File(PathBuf),
}

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
    requirements: Vec<Requirement>,
    stop: Option<Command>,
    start: Option<Command>,
    health: Vec<Health>,
    health_limit: Duration,
    hook: Hook,
}

impl std::fmt::Debug for Installer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Installer")
            .field("home", &self.home)
            .field("items", &self.items)
            .field("health", &self.health)
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
            home: find_home(home.as_ref())?,
            package: PathBuf::from(PACKAGE),
            outside: Vec::new(),
            items: Vec::new(),
            requirements: Vec::new(),
            stop: None,
            start: None,
            health: Vec::new(),
            health_limit: HEALTH_LIMIT,
            hook: Box::new(|_| {}),
        })
    }

    /// An installer for the agent that runs it: the home is where this program
    /// was unpacked, else the working directory.
    ///
    /// # Errors
    /// [`InstallError::Path`] when there is none.
    pub fn here() -> Result<Self, InstallError> {
        let fail = |error| InstallError::path(Path::new("."), "find the home from", error);
        let program = env::current_exe().map_err(fail)?;
        let folder = program.parent().unwrap_or(Path::new("/"));
        let ours = folder.ends_with(PACKAGE) || folder.ends_with(state::FOLDER);
        if let Some(home) = folder.ancestors().nth(2).filter(|_| ours) {
            return Self::new(home);
        }
        Self::new(env::current_dir().map_err(fail)?)
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
        self.requirements.push(Requirement::Program(name.into()));
        self
    }

    /// Requires a file or folder; a relative path starts at the home.
    #[must_use]
    pub fn require_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.requirements.push(Requirement::File(path.into()));
        self
    }

    /// Stops what is upgraded, after all backups and before the first change,
    /// and again before a roll back. It must not fail when nothing runs.
    #[must_use]
    pub fn stop(mut self, command: impl Into<Command>) -> Self {
        self.stop = Some(command.into());
        self
    }

    /// Starts what was upgraded, before the health checks, and again after a
    /// roll back.
    #[must_use]
    pub fn start(mut self, command: impl Into<Command>) -> Self {
        self.start = Some(command.into());
        self
    }

    /// Adds a health check. They are done in order, and all must be good.
    #[must_use]
    pub fn health(mut self, health: Health) -> Self {
        self.health.push(health);
        self
    }

    /// How long all health checks together may take. Default 60 s.
    #[must_use]
    pub fn health_limit(mut self, limit: Duration) -> Self {
        self.health_limit = limit;
        self
    }

    /// Calls `hook` after each step, in the process that does it: to log, or to
    /// have tests kill it there.
    #[must_use]
    pub fn observe(mut self, hook: impl FnMut(Step) + 'static) -> Self {
        self.hook = Box::new(hook);
        self
    }

    /// Does it the way protocol.md, section 7, asks for: answers status 0 at
    /// once while the work goes on in the background, which ends with a result.
    /// Another status says that nothing was begun and nothing will be reported:
    /// 75 while another installer is at work or a result waits, else 2.
    ///
    /// Run as `var/installer/finish`, it only ends what was killed, as
    /// [`recover`](crate::recover()) does.
    #[must_use]
    pub fn run(self) -> ExitCode {
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
        let resolved = self.check()?;
        let state = State::open(&self.home)?;
        if is_finish(&self.home) {
            ready()?;
            return recover::finish(state, &mut self.hook);
        }
        let (mut work, previous) = Work::begin(state, &mut self.hook)?;
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
                self.carry_out(&mut work, &resolved)
            }
            Err(reason) => Err((Verdict::Failed, reason)),
        };
        let verdict = verdict.map_or_else(
            |(verdict, reason)| {
                say(reason);
                verdict
            },
            |()| Verdict::Installed,
        );
        work.end(verdict, &mut self.hook).map(Some)
    }

    /// What can be found wrong without touching anything.
    fn check(&self) -> Result<Vec<plan::Resolved>, InstallError> {
        for command in self.stop.iter().chain(&self.start) {
            command.check()?;
        }
        for health in &self.health {
            health.check()?;
        }
        plan::resolve(&self.home, &self.package, &self.outside, &self.items)
    }

    fn carry_out(
        &mut self,
        work: &mut Work,
        resolved: &[plan::Resolved],
    ) -> Result<(), (Verdict, String)> {
        for requirement in &self.requirements {
            if !requirement.is_met(&self.home) {
                return Err((
                    Verdict::MissingDependency,
                    format!("{requirement:?} is missing"),
                ));
            }
        }
        (self.hook)(Step::Required);
        self.install_all(work, resolved)
            .map_err(|reason| (Verdict::Failed, reason))
    }

    fn install_all(&mut self, work: &mut Work, resolved: &[plan::Resolved]) -> Result<(), String> {
        let (home, hook) = (&self.home, &mut self.hook);
        let text = |error: InstallError| error.to_string();
        let journal = &mut work.journal;
        let unwritable = |error| format!("the journal cannot be written: {error}");
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
        for plan::Planned { entry, put } in &planned {
            if let Some((source, rights)) = put {
                let open = |error| text(InstallError::path(&source.path(), "read", error));
                let file = source.open().map_err(open)?;
                let fail = |error| {
                    text(InstallError::path(
                        &entry.place.path(),
                        "write beside",
                        error,
                    ))
                };
                change::stage(&record, entry, &file, *rights).map_err(fail)?;
                hook(Step::Staged);
            }
        }
        for entry in record
            .entries
            .iter()
            .filter(|entry| entry.kind != crate::journal::Kind::Add)
        {
            let fail = |error| text(InstallError::path(&entry.place.path(), "back up", error));
            change::back_up(&record, entry).map_err(fail)?;
            hook(Step::BackedUp);
        }
        journal.ready().map_err(unwritable)?;
        hook(Step::Ready);
        if let Some(stop) = &self.stop {
            stop.run(home, stop.limit)?;
            hook(Step::Stopped);
        }
        for entry in &record.entries {
            let fail = |error| text(InstallError::path(&entry.place.path(), "change", error));
            change::change(&record, entry).map_err(fail)?;
            hook(Step::Changed);
        }
        let since = journal.changed().map_err(unwritable)?;
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

impl Requirement {
    fn is_met(&self, home: &Path) -> bool {
        match self {
            Self::File(path) => home.join(path).exists(),
            Self::Program(name) if name.contains('/') => is_program(Path::new(name)),
            Self::Program(name) => {
                let path = env::var_os("PATH").unwrap_or_default();
                env::split_paths(&path).any(|folder| is_program(&folder.join(name)))
            }
        }
    }
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path)
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

pub(crate) fn find_home(home: &Path) -> Result<PathBuf, InstallError> {
    let fail = |error| InstallError::path(home, "use as home", error);
    let canonical = home.canonicalize().map_err(fail)?;
    if canonical.is_dir() {
        Ok(canonical)
    } else {
        Err(fail(std::io::ErrorKind::NotADirectory.into()))
    }
}

/// Whether this program was started to finish what another one began.
fn is_finish(home: &Path) -> bool {
    let finish = home.join(state::FOLDER).join(state::FINISH);
    env::current_exe().is_ok_and(|program| program == finish)
}

fn refuse(status: u8, text: &dyn std::fmt::Display) -> ExitCode {
    say(text);
    ExitCode::from(status)
}
