//! A home with an old version, a package with a new one, and an installer in a
//! process of its own: this test program, started again to carry out `child`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    dead_code,
    missing_docs,
    unreachable_pub
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

use wpk_installer::{Health, Installer};

pub const DEADLINE: Duration = Duration::from_secs(60);

/// Path, rights and content of everything an upgrade is about.
pub type Snapshot = BTreeMap<String, (u32, String)>;

pub struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("wpki").tempdir().unwrap();
        let home = Self { dir };
        home.fill(
            "",
            &[
                ("bin/sensor", "old sensor", 0o751),
                ("share/rules.dat", "old rules", 0o644),
                ("share/gone", "old gone", 0o600),
            ],
        );
        home.fill(
            "var/upgrade",
            &[
                ("sensor", "new sensor", 0o600),
                ("rules.dat", "new rules", 0o600),
                ("added", "new added", 0o600),
            ],
        );
        fs::create_dir(home.path("logs")).unwrap();
        home
    }

    fn fill(&self, folder: &str, files: &[(&str, &str, u32)]) {
        for (name, content, mode) in files {
            let path = self.path(folder).join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
        }
    }

    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    pub fn path(&self, inside: &str) -> PathBuf {
        self.dir.path().join(inside)
    }

    pub fn read(&self, inside: &str) -> String {
        fs::read_to_string(self.path(inside)).unwrap_or_default()
    }

    /// Everything but the state of agent and installer.
    pub fn snapshot(&self) -> Snapshot {
        let mut found = Snapshot::new();
        for folder in ["bin", "share", "new"] {
            walk(self.root(), &self.path(folder), &mut found);
        }
        found
    }

    pub fn result(&self) -> Option<String> {
        fs::read_to_string(self.path("var/upgrade/upgrade_result")).ok()
    }

    /// The result, as the manager takes it.
    pub fn take_result(&self) -> Option<String> {
        let result = self.result();
        if result.is_some() {
            fs::remove_file(self.path("var/upgrade/upgrade_result")).unwrap();
        }
        result
    }

    /// What is left of the installer's own files.
    pub fn state(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("var/installer"));
        let mut names: Vec<_> = entries
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// A command that acts as an installer; `how` is read by [`child`].
    pub fn command(&self, how: &str) -> Command {
        self.command_of(&std::env::current_exe().unwrap(), how)
    }

    pub fn finish(&self, how: &str) -> Command {
        self.command_of(&self.path("var/installer/finish"), how)
    }

    fn command_of(&self, program: &Path, how: &str) -> Command {
        let mut command = Command::new(program);
        command
            .args(["child", "--exact", "--nocapture"])
            .env("TEST_HOME", self.root())
            .env("TEST_HOW", how)
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, how: &str) -> Output {
        self.command(how).output().unwrap()
    }
}

fn walk(root: &Path, path: &Path, found: &mut Snapshot) {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return;
    };
    let name = path
        .strip_prefix(root)
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    let mode = meta.permissions().mode() & 0o7777;
    if meta.is_dir() {
        found.insert(name, (mode, String::new()));
        for entry in fs::read_dir(path).unwrap() {
            walk(root, &entry.unwrap().path(), found);
        }
    } else {
        found.insert(name, (mode, fs::read_to_string(path).unwrap()));
    }
}

/// What [`Home::snapshot`] shows before.
pub fn old() -> Snapshot {
    Home::new().snapshot()
}

/// What it shows after an upgrade.
pub fn new() -> Snapshot {
    let mut files = old();
    files.insert("bin/sensor".to_owned(), (0o751, "new sensor".to_owned()));
    files.insert(
        "share/rules.dat".to_owned(),
        (0o600, "new rules".to_owned()),
    );
    files.remove("share/gone").unwrap();
    files.insert("new".to_owned(), (0o750, String::new()));
    files.insert("new/er".to_owned(), (0o750, String::new()));
    files.insert("new/er/added".to_owned(), (0o710, "new added".to_owned()));
    files
}

/// The installer of all tests, without health checks.
pub fn installer(home: &Path) -> Installer {
    Installer::new(home)
        .unwrap()
        .replace("bin/sensor", "sensor")
        .install("share/rules.dat", "rules.dat", 0o600)
        .install("new/er/added", "added", 0o710)
        .remove("share/gone")
        .remove("share/never-there")
        .stop(["sh", "-c", "echo stop >> calls"])
        .start(["sh", "-c", "echo start >> calls"])
}

/// What the process does when it is an installer: words of `TEST_HOW`.
pub fn child() {
    let Some(home) = std::env::var_os("TEST_HOME").map(PathBuf::from) else {
        return;
    };
    let how = std::env::var("TEST_HOW").unwrap();
    let mut installer = installer(&home).health_limit(DEADLINE);
    let mut background = false;
    for word in how.split_whitespace() {
        let (word, value) = word.split_once('=').unwrap_or((word, ""));
        installer = match word {
            "good" => {
                installer.health(Health::command(["grep", "-qx", "new sensor", "bin/sensor"]))
            }
            "bad" => installer.health(Health::command(["false"])),
            "wait" => installer.health(Health::file("go")),
            "limit" => installer.health_limit(Duration::from_millis(value.parse().unwrap())),
            "hang" => installer.health(Health::command(["sleep", "1000"])),
            "file" => installer.health(Health::file(value)),
            "fresh" => installer.health(Health::file(value).fresh()),
            "port" => {
                let address: std::net::SocketAddr = value.parse().unwrap();
                installer.health(Health::port(address))
            }
            "require" => installer.require_program(value),
            "require-file" => installer.require_file(value),
            "replace" => installer.replace(value, "sensor"),
            "outside" => installer.allow_outside(value),
            "look" => installer.start(["sh", "-c", LOOK]),
            "watchdog" => installer.watchdog(),
            // Only the installer itself.
            "kill" if std::env::var_os("WPK_INSTALLER_WATCHDOG").is_some() => installer,
            "kill" => {
                let mut left: u32 = value.parse().unwrap();
                installer.observe(move |_| {
                    left -= 1;
                    if left == 0 {
                        let me = rustix::process::getpid();
                        rustix::process::kill_process(me, rustix::process::Signal::KILL).unwrap();
                    }
                })
            }
            "background" => {
                background = true;
                installer
            }
            other => panic!("{other}"),
        };
    }
    let status = if background {
        let code = installer.run();
        (0..=255)
            .find(|&status| ExitCode::from(status) == code)
            .unwrap()
    } else {
        match installer.run_here() {
            Ok(_) => 0,
            Err(error) => {
                eprintln!("{error}");
                error.exit_status()
            }
        }
    };
    std::process::exit(status.into());
}

/// A start command that writes down what the background process is like.
const LOOK: &str = "{ cut -d' ' -f5,6 /proc/$PPID/stat; echo $PPID; readlink /proc/$PPID/cwd; \
    ls -l /proc/$PPID/fd; } > look.new; env > env.txt; mv look.new look";

/// Waits until `probe` has something.
pub fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < end, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}
