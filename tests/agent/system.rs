//! What the system does not let the agent do: write, be root, make control groups.

use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::stand::{Stand, is_gone};
use crate::table::{Check, check};

pub const CHECKS: &[Check] = &[
    check!(
        a_read_only_var,
        "the agent runs",
        "var cannot be written for a while",
        "open 6; works"
    ),
    check!(
        installers_that_cannot_be_noted,
        "an installer is begun",
        "that it is cannot be written down",
        "code 18, nothing of it ran; works"
    ),
    check!(
        a_result_that_cannot_be_removed,
        "a result was told",
        "var/upgrade cannot be written for a while",
        "Done: Upgrade was successful, clear 19, open 1; works"
    ),
    check!(
        not_root,
        "an installer is over its time limit",
        "the agent is not root, a child began a session of its own",
        "no group, said: true; code 18, the child is gone; works"
    ),
];

/// A folder that nobody can write; as before when dropped.
struct ReadOnly(PathBuf);

impl ReadOnly {
    /// `None` where this user or this machine may not mount.
    fn make(folder: &Path) -> Option<Self> {
        let mount = |arguments: &[&str]| {
            let mut command = Command::new("mount");
            let output = command.args(arguments).arg(folder).output();
            output.is_ok_and(|output| output.status.success())
        };
        if !mount(&["--bind", folder.to_str()?]) {
            let why = format!("only root can mount {}", folder.display());
            wpk_testkit::skipped::say_skipped(&why);
            return None;
        }
        let read_only = Self(folder.to_owned());
        mount(&["-o", "remount,ro,bind"]).then_some(read_only)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} was not unmounted", self.0.display());
        }
    }
}

async fn a_read_only_var() -> Option<String> {
    let stand = Stand::start("").await;
    let var = ReadOnly::make(&stand.path("var"))?;
    let open = stand.open().await;
    drop(var);
    Some(format!("open {open}; {}", stand.works().await))
}

async fn installers_that_cannot_be_noted() -> Option<String> {
    let stand = Stand::start("").await;
    let notes = ReadOnly::make(&stand.path("var/wpk-installers"))?;
    let (code, _) = stand.install("touch ran").await;
    drop(notes);
    let ran = match stand.path("ran").exists() {
        true => "it",
        false => "nothing of it",
    };
    Some(format!("code {code}, {ran} ran; {}", stand.works().await))
}

async fn a_result_that_cannot_be_removed() -> Option<String> {
    let stand = Stand::start("").await;
    let script = "echo 0 > var/upgrade/upgrade_result";
    assert_eq!(stand.install(script).await.0, 0);
    let told = stand.told().await;
    let upgrade = ReadOnly::make(&stand.path("var/upgrade"))?;
    let (clear, open) = (stand.clear().await, stand.open().await);
    drop(upgrade);
    assert_eq!(stand.clear().await, 0);
    let works = stand.works().await;
    Some(format!("{told}, clear {clear}, open {open}; {works}"))
}

/// Only root can become somebody else.
async fn not_root() -> Option<String> {
    let own = fs::metadata("/proc/self").ok()?;
    if std::os::unix::fs::MetadataExt::uid(&own) != 0 {
        return None;
    }
    let stand = Stand::start_as_nobody("execution_timeout = \"1s\"").await;
    let script = "setsid sh -c 'echo $$ > var/pid; exec sleep 300' &\nsleep 300";
    let (code, _) = stand.install(script).await;
    let pid = fs::read_to_string(stand.path("var/pid")).unwrap();
    stand.until("the end of the child", || is_gone(&pid)).await;
    let none = "the installer has no control group of its own (";
    let said = stand.process.output().contains(none);
    Some(format!(
        "no group, said: {said}; code {code}, the child is gone; {}",
        stand.works().await
    ))
}

/// Gives a home to the user that owns nothing.
pub fn give_to_nobody(home: &Path) {
    let mut open = vec![home.to_owned()];
    while let Some(path) = open.pop() {
        lchown(&path, Some(65_534), Some(65_534)).unwrap();
        if path.is_dir() {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
            open.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
}
