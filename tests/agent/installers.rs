//! Installers that work for long, never end, print without end, or are none.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use wpk_testkit::process::Signal;

use crate::stand::{DEADLINE, Stand, is_gone};
use crate::table::{Check, check};

pub const CHECKS: &[Check] = &[
    check!(
        a_second_upgrade,
        "an installer works in the background",
        "a second upgrade comes",
        "open 1, upgrade 1; Failed: Upgrade failed due missing dependency; works"
    ),
    check!(
        a_second_upgrade_after_a_restart,
        "an installer works in the background",
        "the agent is killed, a second upgrade comes",
        "open 1, upgrade 1; Failed: Upgrade failed due missing dependency; works"
    ),
    check!(
        a_service_without_a_result,
        "an installer started a service",
        "it leaves no result",
        "open 1; works"
    ),
    check!(
        a_service_after_a_result,
        "an installer started a service",
        "its result was delivered",
        "Done: Upgrade was successful; works"
    ),
    check!(
        a_late_result,
        "the next installer works",
        "one that was over its time writes its result",
        "said: true, nothing told; Done: Upgrade was successful; works"
    ),
    check!(
        a_late_result_of_nobody,
        "the next installer works",
        "one that was over its time writes its result, both live on",
        "said: true, nothing told; works"
    ),
    check!(
        no_result_at_all,
        "an installer ran",
        "it leaves no result and no process",
        "works"
    ),
    check!(
        a_readme_as_installer,
        "an installer is begun",
        "it is a text without #!",
        "code 18, nothing of it ran; works"
    ),
    check!(
        an_empty_installer,
        "an installer is begun",
        "it is empty",
        "code 18, nothing of it ran; works"
    ),
    check!(
        output_without_end,
        "an installer runs",
        "it prints 40 MB at once",
        "at most 64 KiB; works"
    ),
    check!(
        output_that_nobody_can_keep,
        "an installer runs",
        "the log is a folder",
        "code 0; works"
    ),
    check!(
        a_session_of_its_own,
        "an installer is over its time limit",
        "a child began a session of its own",
        "code 18, the child is gone; works"
    ),
    check!(
        a_chain_of_processes,
        "an installer is over its time limit",
        "each process of it begins the next and ends",
        "code 18, the chain is gone: true; works"
    ),
    check!(
        the_end_of_its_supervisor,
        "an installer runs",
        "it kills the process that watches it",
        "code 18, its fate is known: true; works"
    ),
    check!(
        by_what_it_is_ended,
        "an installer runs",
        "there are control groups, or none",
        "as the system has it: true; works"
    ),
    check!(
        a_hanging_finish,
        "an upgrade was cut short",
        "var/installer/finish hangs",
        "ready, open 1, SIGTERM ends it: true; works"
    ),
];

/// Waits for the file `go` and then reports.
const WORKING: &str = "( until [ -e go ]; do sleep 0.01; done\n\
    echo 1 > var/upgrade/upgrade_result ) > /dev/null 2>&1 &";

async fn refused_then_told(stand: &Stand) -> String {
    let open = stand.open().await;
    let parameters = json!({"file": "a.wpk", "installer": "upgrade.sh"});
    let (upgrade, _) = stand.ask("upgrade", parameters).await;
    fs::write(stand.path("go"), "").unwrap();
    let told = stand.told().await;
    assert_eq!(stand.clear().await, 0);
    let works = stand.works().await;
    format!("open {open}, upgrade {upgrade}; {told}; {works}")
}

async fn a_second_upgrade() -> String {
    let stand = Stand::start("").await;
    assert_eq!(stand.install(WORKING).await.0, 0);
    refused_then_told(&stand).await
}

async fn a_second_upgrade_after_a_restart() -> String {
    let mut stand = Stand::start("").await;
    assert_eq!(stand.install(WORKING).await.0, 0);
    stand.restart().await;
    refused_then_told(&stand).await
}

/// Lives until its home is gone.
const SERVICE: &str = "( while [ -e etc ]; do sleep 0.05; done ) > /dev/null 2>&1 &";

async fn a_service_without_a_result() -> String {
    let stand = Stand::start("result_within = \"1s\"").await;
    assert_eq!(stand.install(SERVICE).await.0, 0);
    let open = stand.open().await;
    format!("open {open}; {}", stand.works().await)
}

async fn a_service_after_a_result() -> String {
    let stand = Stand::start("").await;
    let script = format!("{SERVICE}\necho 0 > var/upgrade/upgrade_result");
    assert_eq!(stand.install(&script).await.0, 0);
    let told = stand.told().await;
    assert_eq!(stand.clear().await, 0);
    format!("{told}; {}", stand.works().await)
}

/// Leaves no result within its time; writes one when the file `late` is there, and
/// then does `then`.
async fn late(then: &str) -> Stand {
    let stand = Stand::start("result_within = \"1s\"").await;
    let script = format!(
        "( until [ -e late ]; do sleep 0.01; done\necho 1 > var/upgrade/upgrade_result\n\
         {then} ) > /dev/null 2>&1 &"
    );
    assert_eq!(stand.install(&script).await.0, 0);
    stand.until_open().await;
    stand
}

/// Has the late one write its result while the next works; what is said and told.
async fn written_late(stand: &Stand, words: &str) -> String {
    fs::write(stand.path("late"), "").unwrap();
    let said = || stand.process.output().contains(words);
    stand.until("a word of the late result", said).await;
    assert!(!stand.path("var/upgrade/upgrade_result").exists());
    format!("said: true, {}", stand.told_so_far())
}

async fn a_late_result() -> String {
    let stand = late("").await;
    assert_eq!(
        stand.install(&WORKING.replace("echo 1", "echo 0")).await.0,
        0
    );
    let seen = written_late(&stand, "is that of an earlier upgrade").await;
    fs::write(stand.path("go"), "").unwrap();
    let told = stand.told().await;
    assert_eq!(stand.clear().await, 0);
    format!("{seen}; {told}; {}", stand.works().await)
}

async fn a_late_result_of_nobody() -> String {
    let stand = late("while [ -e etc ]; do sleep 0.05; done").await;
    assert_eq!(stand.install(SERVICE).await.0, 0);
    let seen = written_late(&stand, "may be that of an earlier upgrade").await;
    format!("{seen}; {}", stand.works().await)
}

async fn no_result_at_all() -> String {
    let stand = Stand::start("").await;
    assert_eq!(stand.install("exit 0").await.0, 0);
    stand.works().await.to_owned()
}

async fn no_program(content: &str) -> String {
    let stand = Stand::start("").await;
    let (code, _) = stand.upgrade(&[("upgrade.sh", content.as_bytes())]).await;
    let ran = if stand.path("ran").exists() {
        "it"
    } else {
        "nothing of it"
    };
    format!("code {code}, {ran} ran; {}", stand.works().await)
}

async fn a_readme_as_installer() -> String {
    no_program("How to install\ntouch ran\n").await
}

async fn an_empty_installer() -> String {
    no_program("").await
}

async fn output_without_end() -> String {
    let more = "[limits]\ninstaller_log = \"64KiB\"";
    let stand = Stand::start(more).await;
    let log = stand.path("logs/wpk-installer.log");
    let largest = std::sync::atomic::AtomicU64::new(0);
    let look = || {
        let size = fs::metadata(&log).map_or(0, |meta| meta.len());
        largest.fetch_max(size, std::sync::atomic::Ordering::Relaxed);
        fs::read(&log).is_ok_and(|text| text.ends_with(b"done\n"))
    };
    let script = "( head -c 40000000 /dev/zero | tr '\\0' x; echo done ) &";
    assert_eq!(stand.install(script).await.0, 0);
    stand.until("the end of what it prints", look).await;
    let most = match largest.into_inner() {
        0..=65_536 => "at most 64 KiB".to_owned(),
        more => format!("{more} bytes"),
    };
    format!("{most}; {}", stand.works().await)
}

async fn output_that_nobody_can_keep() -> String {
    let stand = Stand::start_after("", |home| {
        fs::create_dir_all(home.join("logs/wpk-installer.log")).unwrap();
    })
    .await;
    let (code, _) = stand.install("echo much").await;
    format!("code {code}; {}", stand.works().await)
}

async fn a_session_of_its_own() -> String {
    let stand = Stand::start("execution_timeout = \"1s\"").await;
    let script = "setsid sh -c 'echo $$ > pid; exec sleep 300' &\nsleep 300";
    let (code, _) = stand.install(script).await;
    let pid = fs::read_to_string(stand.path("pid")).unwrap();
    stand.until("the end of the child", || is_gone(&pid)).await;
    format!("code {code}, the child is gone; {}", stand.works().await)
}

async fn a_chain_of_processes() -> String {
    let stand = Stand::start("execution_timeout = \"1s\"").await;
    // Where it is not ended it ends with the home.
    let link = "[ -e etc ] || exit\n: >> beat\nsh ./link &\n";
    fs::write(stand.path("link"), link).unwrap();
    let (code, text) = stand.install("setsid sh ./link\nsleep 300").await;
    assert!(!text.contains("still running"), "{text}");
    fs::remove_file(stand.path("beat")).unwrap();
    let works = stand.works().await;
    let gone = !stand.path("beat").exists();
    format!("code {code}, the chain is gone: {gone}; {works}")
}

/// Whether root may make groups beside the test's own: then the agent must have done so.
fn has_groups() -> bool {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let group = own.lines().find_map(|line| line.strip_prefix("0::/"));
    let mount = mounts.lines().find(|line| line.contains(" - cgroup2 "));
    let (Some(group), Some(at)) = (group, mount.and_then(|line| line.split(' ').nth(4))) else {
        return false;
    };
    let probe = Path::new(at).join(group).join("wpk-test-probe");
    let made = fs::create_dir(&probe).is_ok();
    let can_kill = probe.join("cgroup.kill").exists();
    // Left where it cannot be removed it would be found at once.
    let _ = fs::remove_dir(&probe);
    if !(made && can_kill) {
        let why = format!("no control group can be made here: {probe:?}");
        wpk_testkit::skipped::say_skipped(&why);
    }
    made && can_kill
}

async fn the_end_of_its_supervisor() -> String {
    let stand = Stand::start("").await;
    let script = "setsid sh -c 'echo $$ > pid; exec sleep 300' &\nuntil [ -s pid ]; do :; done\n\
        kill -9 $PPID\nsleep 300";
    let (code, text) = stand.install(script).await;
    let pid = fs::read_to_string(stand.path("pid")).unwrap();
    let known = if has_groups() {
        stand.until("the end of the child", || is_gone(&pid)).await;
        !text.contains("still running")
    } else {
        let known = text.contains("still running") && !is_gone(&pid);
        kill(&pid);
        known
    };
    format!(
        "code {code}, its fate is known: {known}; {}",
        stand.works().await
    )
}

fn kill(pid: &str) {
    let status = std::process::Command::new("kill").arg(pid.trim()).status();
    assert!(status.unwrap().success());
}

async fn by_what_it_is_ended() -> String {
    let stand = Stand::start("").await;
    assert_eq!(stand.install("exit 0").await.0, 0);
    let log = stand.process.output();
    let group = log.contains("the installer has a control group of its own");
    let none = log.contains("the installer has no control group of its own (");
    let right = (group, none) == (has_groups(), !has_groups());
    format!("as the system has it: {right}; {}", stand.works().await)
}

async fn a_hanging_finish() -> String {
    use std::os::unix::fs::PermissionsExt;
    let mut stand = Stand::start_after("", |home| {
        let folder = home.join("var/installer");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("journal"), "").unwrap();
        let finish = folder.join("finish");
        let script = "#!/bin/sh\nuntil [ -e go ]; do sleep 0.01; done\nrm -r var/installer\n";
        wpk_testkit::write_executable(&finish, script.as_bytes(), 0o700).unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    })
    .await;
    let open = stand.open().await;
    stand.process.signal(Signal::TERM).unwrap();
    let ended = stand.process.wait(Duration::from_secs(10)).await;
    let ended = ended.is_ok_and(|status| status.success());
    fs::write(stand.path("go"), "").unwrap();
    let folder = stand.path("var/installer");
    let gone = || std::future::ready((!folder.exists()).then_some(()));
    wpk_testkit::wait_until(DEADLINE, gone).await.unwrap();
    stand.restart().await;
    let works = stand.works().await;
    format!("ready, open {open}, SIGTERM ends it: {ended}; {works}")
}
