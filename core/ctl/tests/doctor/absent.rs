//! A daemon that is not there, or does not tell everything, is a failure by
//! itself, and never a good word.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use wpk_testkit::wait_until;

use crate::common::{Run, programs};
use crate::site::{Site, healthy};

/// The program in a folder of its own, with this one of `daemons` beside it.
struct Alone(tempfile::TempDir);

impl Alone {
    fn with(daemon: Option<&str>) -> Self {
        // There, so that a link to the program can be made: one that was just
        // copied may still be open for writing, and cannot be run then.
        let dir = tempfile::tempdir_in(programs()).unwrap();
        std::fs::hard_link(programs().join("wpkctl"), dir.path().join("wpkctl")).unwrap();
        if let Some(daemon) = daemon {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doctor/daemons");
            symlink(Path::new(folder).join(daemon), dir.path().join("wpkd")).unwrap();
        }
        Self(dir)
    }

    fn pid_file(&self) -> PathBuf {
        self.0.path().join("pid")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.0.path().join("wpkctl"));
        command.arg("doctor").args(arguments).env_clear();
        command.env("PATH", "/nonexistent:/usr/bin:/bin");
        command.env("PID_FILE", self.pid_file());
        command
    }

    /// The only failure that is told, and the whole run.
    #[track_caller]
    fn failure(&self, arguments: &[&str]) -> (String, Run) {
        let run = Run::of(self.command(arguments).output().unwrap()).ended(1);
        let failures = run.out.lines().filter(|line| line.starts_with("failure "));
        let failures: Vec<String> = failures.map(str::to_owned).collect();
        let [failure] = &failures[..] else {
            panic!("{}", run.out);
        };
        (failure.clone(), run)
    }
}

#[test]
fn a_daemon_that_is_not_there_is_looked_for_in_the_path() {
    let alone = Alone::with(None);
    let (line, run) = alone.failure(&[]);
    assert!(line.contains("wpkd: wpkd is neither beside this program nor in PATH; install"));
    assert!(
        run.out.ends_with("\n0 ok, 0 warnings, 1 failures\n"),
        "{}",
        run.out
    );

    // Where no PATH is set, the working folder is none either: anybody's may be it.
    let other = Alone::with(Some("killed"));
    let mut command = alone.command(&[]);
    command.env_remove("PATH").current_dir(other.0.path());
    let run = Run::of(command.output().unwrap()).ended(1);
    assert!(run.out.contains("wpkd is neither beside"), "{}", run.out);

    let home = alone.0.path().join("home");
    let mut command = alone.command(&["--home", home.to_str().unwrap()]);
    let run = Run::of(command.env("PATH", programs()).output().unwrap()).ended(1);
    run.begins("ok       settings: defaults, home ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_agent_can_be_asked_about_without_the_daemons_program() {
    let site = Site::new(healthy(Vec::new())).await;
    let config = site.config();
    let alone = Alone::with(None);
    let (line, run) = alone.failure(&["--config", config.to_str().unwrap(), "--agent", "1"]);
    assert!(line.contains("wpkd: "), "{line}");
    assert!(
        run.out.contains("\nok       agent: 001 (host1) is active"),
        "{}",
        run.out
    );
}

#[test]
fn what_breaks_off_is_a_failure_after_what_it_told() {
    let (line, run) = Alone::with(Some("killed")).failure(&[]);
    run.begins("ok       settings: as far as it came\n");
    assert!(
        line.contains("/wpkd examine broke off (signal 9): out of memory; "),
        "{line}"
    );

    let (line, _) = Alone::with(Some("old")).failure(&[]);
    let said = "broke off (exit status 2): error: unrecognized subcommand 'examine'; install both";
    assert!(line.contains(said), "{line}");

    let (line, _) = Alone::with(Some("foreign")).failure(&[]);
    assert!(line.contains("says what cannot be read ("), "{line}");
}

#[tokio::test]
async fn what_does_not_end_is_a_failure_and_is_ended() {
    let alone = Alone::with(Some("silent"));
    let (line, run) = alone.failure(&["--timeout", "3s"]);
    run.begins("ok       settings: as far as it came\n");
    assert!(
        line.contains("/wpkd examine did not end within 3s; "),
        "{line}"
    );
    let pid = std::fs::read_to_string(alone.pid_file()).unwrap();
    let process = Path::new("/proc").join(pid.trim());
    let gone = wait_until(std::time::Duration::from_secs(10), async || {
        (!process.exists()).then_some(())
    });
    assert!(gone.await.is_some(), "{} still runs", process.display());
}
