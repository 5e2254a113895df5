//! What an installer does to a home when all goes well, and when it does not.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::time::Instant;

use common::{DEADLINE, Home, installer, new, old, until};
use wpk_installer::{InstallError, Installer, Verdict, recover};

#[test]
fn child() {
    common::child();
}

fn rolled_back(home: &Home, how: &str) {
    let output = home.run(how);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(home.result().as_deref(), Some("2\n"), "{how}: {said}");
    assert_eq!(home.snapshot(), old(), "{how}: {said}");
    assert_eq!(home.state(), ["lock"]);
}

#[test]
fn all_is_replaced() {
    let home = Home::new();
    let ended = installer(home.root())
        .require_program("sh")
        .require_file("bin/sensor")
        .run_here();
    assert_eq!(ended.unwrap(), Some(Verdict::Installed));
    assert_eq!(home.snapshot(), new());
    assert_eq!(home.result().as_deref(), Some("0\n"));
    assert_eq!(home.read("calls"), "stop\nstart\n");
    assert_eq!(home.state(), ["lock"]);
    let result = fs::metadata(home.path("var/upgrade/upgrade_result")).unwrap();
    assert_eq!(result.permissions().mode() & 0o777, 0o640);
    let folder = fs::metadata(home.path("var/installer")).unwrap();
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);
    assert_eq!(recover(home.root()).unwrap(), None);
}

#[test]
fn an_old_file_is_never_written_into() {
    let home = Home::new();
    let open = fs::File::open(home.path("bin/sensor")).unwrap();
    let before = fs::metadata(home.path("share/rules.dat")).unwrap().ino();
    installer(home.root()).run_here().unwrap();
    assert_eq!(std::io::read_to_string(open).unwrap(), "old sensor");
    assert_ne!(
        fs::metadata(home.path("share/rules.dat")).unwrap().ino(),
        before
    );
}

#[test]
fn a_roll_back_gives_the_same_files_back() {
    let home = Home::new();
    let before = fs::metadata(home.path("bin/sensor")).unwrap();
    rolled_back(&home, "good bad");
    let after = fs::metadata(home.path("bin/sensor")).unwrap();
    assert_eq!(
        (before.ino(), before.mtime_nsec()),
        (after.ino(), after.mtime_nsec())
    );
    assert_eq!(after.nlink(), 1);
    assert_eq!(home.read("calls"), "stop\nstart\nstop\nstart\n");
}

#[test]
fn every_health_check_can_fail() {
    let home = Home::new();
    rolled_back(&home, "bad");
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap();
    rolled_back_again(&home, &format!("limit=300 port={free}"));
    rolled_back_again(&home, "limit=300 file=never");
    fs::write(home.path("stale"), "").unwrap();
    rolled_back_again(&home, "limit=300 fresh=stale");
    let begin = Instant::now();
    rolled_back_again(&home, "limit=300 hang");
    assert!(begin.elapsed() < DEADLINE);
    // The limit is for all of them together.
    rolled_back_again(&home, "good limit=300 file=stale file=never good");
}

fn rolled_back_again(home: &Home, how: &str) {
    home.take_result().unwrap();
    rolled_back(home, how);
}

#[test]
fn every_health_check_can_be_passed() {
    let home = Home::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap();
    let output = home.run(&format!("good port={port} file=bin/sensor fresh=calls"));
    assert_eq!(home.result().as_deref(), Some("0\n"), "{output:?}");
}

#[test]
fn a_missing_dependency_changes_nothing() {
    for missing in [
        "require=no-such-program",
        "require=/no/such",
        "require-file=etc/none",
    ] {
        let home = Home::new();
        assert!(home.run(missing).status.success());
        assert_eq!(home.result().as_deref(), Some("1\n"), "{missing}");
        assert_eq!(home.snapshot(), old());
        assert_eq!(home.read("calls"), "");
        assert_eq!(home.state(), ["lock"]);
    }
}

#[test]
fn a_file_missing_in_the_package_changes_nothing() {
    let home = Home::new();
    fs::remove_file(home.path("var/upgrade/added")).unwrap();
    rolled_back(&home, "good");
    assert_eq!(home.read("calls"), "", "nothing was stopped");
}

#[test]
fn targets_that_were_missing_go_again() {
    let home = Home::new();
    fs::remove_file(home.path("bin/sensor")).unwrap();
    let before = home.snapshot();
    home.run("bad");
    assert_eq!(home.take_result().as_deref(), Some("2\n"));
    assert_eq!(home.snapshot(), before);
    home.run("good");
    assert_eq!(home.result().as_deref(), Some("0\n"));
    let made = fs::metadata(home.path("bin/sensor")).unwrap();
    assert_eq!(made.permissions().mode() & 0o7777, 0o640);
}

#[test]
fn folders_used_by_others_stay() {
    let home = Home::new();
    let root = home.root().to_owned();
    let other = root.join("new/er/of-others");
    let ended = installer(&root)
        .health(wpk_installer::Health::command([
            "sh",
            "-c",
            "touch new/er/of-others; exit 1",
        ]))
        .run_here();
    assert_eq!(ended.unwrap(), Some(Verdict::Failed));
    assert!(other.exists() && !root.join("new/er/added").exists());
}

#[test]
fn two_never_run_at_once() {
    let home = Home::new();
    let mut first = home.command("wait").stderr(Stdio::null()).spawn().unwrap();
    until("the start", || home.path("calls").exists().then_some(()));
    let second = home.run("good");
    assert_eq!(second.status.code(), Some(75), "{second:?}");
    let background = home.run("good background");
    assert_eq!(background.status.code(), Some(75), "{background:?}");
    assert!(matches!(recover(home.root()), Err(InstallError::Locked(_))));
    assert_eq!(home.result(), None);
    fs::write(home.path("go"), "").unwrap();
    assert!(first.wait().unwrap().success());
    assert_eq!(home.result().as_deref(), Some("0\n"));
    assert_eq!(home.snapshot(), new());
}

#[test]
fn many_at_once_give_one_result() {
    let home = Home::new();
    let runs: Vec<_> = (0..8)
        .map(|_| {
            home.command("good")
                .stderr(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    let codes: Vec<_> = runs
        .into_iter()
        .map(|mut run| run.wait().unwrap().code())
        .collect();
    assert_eq!(
        codes.iter().filter(|&&code| code == Some(0)).count(),
        1,
        "{codes:?}"
    );
    assert!(
        codes.iter().all(|code| matches!(code, Some(0 | 75))),
        "{codes:?}"
    );
    assert_eq!(home.snapshot(), new());
}

#[test]
fn a_waiting_result_is_not_overwritten() {
    let home = Home::new();
    let result = home.path("var/upgrade/upgrade_result");
    fs::write(&result, "1\n").unwrap();
    assert_eq!(home.run("good").status.code(), Some(75));
    assert_eq!(home.result().as_deref(), Some("1\n"));
    assert_eq!(home.snapshot(), old());
    // One that comes meanwhile is not followed by a second one.
    fs::remove_file(&result).unwrap();
    let other = "echo 2 > var/upgrade/upgrade_result";
    let check = wpk_installer::Health::command(["sh", "-c", other]);
    installer(home.root()).health(check).run_here().unwrap();
    assert_eq!(home.result().as_deref(), Some("2\n"));
    assert_eq!(home.state(), ["lock"]);
}

#[test]
fn a_package_folder_emptied_meanwhile_still_gives_a_result() {
    let home = Home::new();
    let check = wpk_installer::Health::command(["sh", "-c", "rm -rf var/upgrade/*"]);
    installer(home.root()).health(check).run_here().unwrap();
    assert_eq!(home.result().as_deref(), Some("0\n"));
}

#[test]
fn planted_links_lead_nowhere() {
    let outside = tempfile::tempdir().unwrap();
    let kept = outside.path().join("sensor");
    fs::write(&kept, "kept").unwrap();
    let mode = fs::metadata(&kept).unwrap().permissions();

    // The target itself, a folder on the way, a new folder.
    for link in ["bin/sensor", "bin", "new"] {
        let home = Home::new();
        let path = home.path(link);
        if path.is_dir() {
            fs::rename(&path, home.path("moved")).unwrap();
        } else {
            let _ = fs::remove_file(&path);
        }
        let to = if link == "bin/sensor" {
            kept.as_path()
        } else {
            outside.path()
        };
        symlink(to, &path).unwrap();
        assert!(home.run("good").status.success());
        assert_eq!(home.result().as_deref(), Some("2\n"), "{link}");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1, "{link}");
        assert_eq!(fs::read_to_string(&kept).unwrap(), "kept");
        assert_eq!(home.read("share/rules.dat"), "old rules");
    }
    // A source.
    let home = Home::new();
    fs::remove_file(home.path("var/upgrade/sensor")).unwrap();
    symlink("/etc/hostname", home.path("var/upgrade/sensor")).unwrap();
    rolled_back(&home, "good");
    // Where the result goes: the link is replaced, not followed.
    let home = Home::new();
    symlink(&kept, home.path("var/upgrade/upgrade_result")).unwrap();
    home.run("good");
    assert_eq!(fs::read_to_string(&kept).unwrap(), "kept");
    assert_eq!(home.result().as_deref(), Some("0\n"));
    assert!(!home.path("var/upgrade/upgrade_result").is_symlink());
    // The installer's own folder and log.
    for link in ["var/installer", "var/upgrade"] {
        let home = Home::new();
        let _ = fs::rename(home.path(link), home.path("moved"));
        symlink(outside.path(), home.path(link)).unwrap();
        assert_eq!(home.run("good").status.code(), Some(2), "{link}");
        assert_eq!(home.snapshot(), old());
    }
    let home = Home::new();
    symlink(&kept, home.path("logs/wpk-installer.log")).unwrap();
    assert_eq!(home.run("good background").status.code(), Some(2));
    assert_eq!(fs::read_to_string(&kept).unwrap(), "kept");
    assert_eq!(fs::metadata(&kept).unwrap().permissions(), mode);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn what_leads_out_is_refused_before_anything_is_done() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("unit");
    for bad in [
        "../x",
        "/etc/passwd",
        "bin/../../x",
        "bin/sensor",
        "var/installer/lock",
        "var/upgrade/upgrade_result",
    ] {
        let home = Home::new();
        let ended = installer(home.root()).replace(bad, "sensor").run_here();
        assert!(
            matches!(ended, Err(InstallError::Refused { .. })),
            "{bad}: {ended:?}"
        );
        assert_eq!(home.result(), None);
        assert_eq!(home.state(), Vec::<String>::new());
    }
    let home = Home::new();
    let source = installer(home.root())
        .replace("x", "../../../etc/passwd")
        .run_here();
    assert!(source.is_err());
    let target = target.to_str().unwrap();
    assert_eq!(
        home.run(&format!("background replace={target}"))
            .status
            .code(),
        Some(2)
    );
    let allowed = format!("bad outside={} replace={target}", outside.path().display());
    rolled_back(&home, &allowed);
    assert!(!outside.path().join("unit").exists());
    home.take_result().unwrap();
    home.run(&allowed.replace("bad", "good"));
    assert_eq!(fs::read_to_string(target).unwrap(), "new sensor");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

/// Runs with a limit on the size of files; exceeding it is an error, no signal.
fn limited(home: &Home, how: &str, blocks: u32) -> std::process::Output {
    let inner = home.command(how);
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!(
        "trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\""
    ));
    command.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        command.env(name, value.unwrap());
    }
    command.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn a_full_disk_rolls_back() {
    let home = Home::new();
    fs::write(home.path("var/upgrade/added"), vec![7; 300_000]).unwrap();
    let output = limited(&home, "good", 64);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(home.take_result().as_deref(), Some("2\n"), "{output:?}");
    assert_eq!(home.snapshot(), old());
    assert_eq!(home.state(), ["lock"]);
    assert_eq!(home.read("calls"), "", "nothing was stopped");
    // Not even a journal: nothing is begun, nothing is reported.
    let output = limited(&home, "good", 0);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(home.result(), None);
    assert_eq!(home.snapshot(), old());
    fs::write(home.path("var/upgrade/added"), "new added").unwrap();
    home.run("good");
    assert_eq!(home.result().as_deref(), Some("0\n"));
    assert_eq!(home.snapshot(), new());
}

#[test]
fn a_disk_that_fills_up_on_the_way_cannot_stop_the_roll_back() {
    let home = Home::new();
    // Killed after the changes; whoever finishes it can write no byte.
    let step = (1..40)
        .find(|step| {
            let home = Home::new();
            home.run(&format!("bad kill={step}"));
            !home.path("share/gone").exists()
        })
        .unwrap();
    home.run(&format!("bad kill={step}"));
    assert_ne!(home.snapshot(), old());
    let finish = home.finish("bad");
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\""])
        .arg(finish.get_program());
    command
        .args(finish.get_args())
        .env("TEST_HOME", home.root())
        .env("TEST_HOW", "bad");
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(home.snapshot(), old(), "{output:?}");
    // The digit cannot be written; with room again it is, once.
    let reported = home.take_result();
    let _ = recover(home.root());
    let later = home.take_result();
    assert_eq!(
        reported.into_iter().chain(later).collect::<Vec<_>>(),
        ["2\n"],
        "{output:?}"
    );
    assert_eq!(home.state(), ["lock"]);
}

#[test]
fn a_journal_of_others_is_not_carried_out() {
    let home = Home::new();
    fs::create_dir(home.path("var/installer")).unwrap();
    fs::set_permissions(
        home.path("var/installer"),
        fs::Permissions::from_mode(0o700),
    )
    .unwrap();
    let journal = home.path("var/installer/journal");
    fs::write(&journal, "wpk-installer\t9\t0123456789abcdef\n").unwrap();
    let error = recover(home.root()).unwrap_err().to_string();
    assert!(error.contains("journal, line 1"), "{error}");
    assert_eq!(home.run("good").status.code(), Some(2));
    assert_eq!(home.run("good background").status.code(), Some(2));
    fs::set_permissions(&journal, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(recover(home.root()).is_err());
    fs::remove_file(&journal).unwrap();
    fs::set_permissions(
        home.path("var/installer"),
        fs::Permissions::from_mode(0o777),
    )
    .unwrap();
    assert!(matches!(
        recover(home.root()),
        Err(InstallError::Refused { .. })
    ));
}

#[test]
fn a_home_must_be_a_folder() {
    assert!(Installer::new("/no/such/folder").is_err());
    assert!(Installer::new("/etc/passwd").is_err());
    let home = Home::new();
    fs::remove_dir_all(home.path("var/upgrade")).unwrap();
    let error = installer(home.root()).run_here().unwrap_err();
    assert!(error.to_string().contains("var/upgrade"), "{error}");
}
