//! Beside a real agent: a 4.x package's installer, which works in the layout of its home,
//! and what it leaves there.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::json;
use wpk_testkit::write_executable;

use crate::stand::Stand;
use crate::table::{Check, check};

pub const CHECKS: &[Check] = &[
    check!(
        a_package_of_four,
        "a 4.x package's installer works",
        "a second upgrade comes, the agent is restarted",
        "open 1; Done: Upgrade was successful; v4.14.9, state connected; works"
    ),
    check!(
        a_package_of_four_that_fails,
        "a 4.x package's installer works",
        "the new agent does not connect",
        "Failed: Upgrade failed; v4.14.0, state connected; works"
    ),
    check!(
        a_living_pid,
        "an installer of somebody else works",
        "its pid is in upgrade_in_progress_pid",
        "open 1, upgrade 1; works"
    ),
    check!(
        a_dead_pid,
        "an installer of somebody else was killed",
        "its pid is in upgrade_in_progress_pid",
        "open 0; works"
    ),
    check!(
        a_pid_of_another,
        "an installer of somebody else was killed",
        "its pid is another process's by now",
        "open 0; works"
    ),
    check!(
        no_pid,
        "the agent runs",
        "upgrade_in_progress_pid says nothing, or is a pipe, a folder, a link",
        "works"
    ),
    check!(
        a_pid_in_a_package,
        "a package comes",
        "it brings upgrade_in_progress_pid with a living pid",
        "code 0, open 0; works"
    ),
    check!(
        an_installer_in_a_folder,
        "an installer is begun",
        "it lies in a folder of the package",
        "code 0, it ran: true; works"
    ),
    check!(
        an_installer_elsewhere,
        "an installer is begun",
        "its name leads out of the package",
        "codes 5 5 5 5; works"
    ),
];

const NOTE: &str = "var/upgrade/upgrade_in_progress_pid";
const STATE: &str = "var/run/wazuh-agentd.state";

/// What stands for a real agent: its version, its state, and what starts and stops it.
/// `sick` versions never connect.
const CONTROL: &str = "#!/bin/sh
cd \"$(dirname \"$0\")/..\" || exit 1
case $1 in
stop) rm -f var/run/wazuh-agentd.state ;;
start)
    status=connected
    case $(cat VERSION) in *sick) status=pending ;; esac
    printf \"status='%s'\\n\" \"$status\" > var/run/wazuh-agentd.state ;;
*) exit 2 ;;
esac
";

/// The installer that is begun: ends at once, has the work done behind it.
const BEGIN: &str = "#!/bin/sh
sh ./var/upgrade/src/work.sh > /dev/null 2>&1 &
exit 0
";

/// The work: waits for the test, replaces the version, and goes back where it does not
/// connect. The note is its own to write and to remove.
const WORK: &str = "#!/bin/sh
echo $$ > var/upgrade/upgrade_in_progress_pid
until [ -e go ]; do sleep 0.01; done
cp VERSION VERSION.old
./bin/wazuh-control stop
cp var/upgrade/VERSION VERSION
./bin/wazuh-control start
result=0
if ! grep -q \"status='connected'\" var/run/wazuh-agentd.state; then
    ./bin/wazuh-control stop
    cp VERSION.old VERSION
    ./bin/wazuh-control start
    result=2
fi
rm -f var/upgrade/upgrade_in_progress_pid
echo $result > var/upgrade/upgrade_result
";

/// A real agent of v4.14.0, connected, and a 4.x package with `version` begun by ours.
async fn begun(version: &str) -> Stand {
    let stand = Stand::start_after("", |home| {
        for folder in ["bin", "var/run"] {
            fs::create_dir_all(home.join(folder)).unwrap();
        }
        write_executable(&home.join("bin/wazuh-control"), CONTROL.as_bytes(), 0o750).unwrap();
        fs::write(home.join("VERSION"), "v4.14.0\n").unwrap();
        fs::write(home.join(STATE), "status='connected'\n").unwrap();
    })
    .await;
    let answer = stand
        .upgrade(&[
            ("upgrade.sh", BEGIN.as_bytes()),
            ("src/work.sh", WORK.as_bytes()),
            ("VERSION", format!("{version}\n").as_bytes()),
        ])
        .await;
    assert_eq!(answer, (0, "0".to_owned()));
    let noted = || fs::read(stand.path(NOTE)).is_ok_and(|text| text.ends_with(b"\n"));
    stand.until("the installer's note", noted).await;
    stand
}

async fn ended(stand: &Stand) -> String {
    fs::write(stand.path("go"), "").unwrap();
    let told = stand.told().await;
    let version = fs::read_to_string(stand.path("VERSION")).unwrap();
    let state = fs::read_to_string(stand.path(STATE)).unwrap();
    let state = state
        .trim()
        .trim_start_matches("status=")
        .trim_matches('\'');
    assert_eq!(stand.clear().await, 0);
    let seen = format!("{told}; {}, state {state}", version.trim());
    format!("{seen}; {}", stand.works().await)
}

async fn a_package_of_four() -> String {
    let mut stand = begun("v4.14.9").await;
    let open = stand.open().await;
    stand.restart().await;
    assert_eq!(stand.open().await, open);
    format!("open {open}; {}", ended(&stand).await)
}

async fn a_package_of_four_that_fails() -> String {
    ended(&begun("v4.15.0 sick").await).await
}

/// A process that ends when its input does.
fn living() -> Child {
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    command.spawn().unwrap()
}

async fn a_living_pid() -> String {
    let stand = Stand::start("").await;
    stand.upload(&[("upgrade.sh", b"#!/bin/sh\n")]).await;
    let mut other = living();
    fs::write(stand.path(NOTE), format!("{}\n", other.id())).unwrap();
    let open = stand.open().await;
    let parameters = json!({"file": "a.wpk", "installer": "upgrade.sh"});
    let (upgrade, _) = stand.ask("upgrade", parameters).await;
    drop(other.stdin.take());
    other.wait().unwrap();
    format!("open {open}, upgrade {upgrade}; {}", stand.works().await)
}

async fn a_dead_pid() -> String {
    let stand = Stand::start("").await;
    let mut other = living();
    fs::write(stand.path(NOTE), format!("{}\n", other.id())).unwrap();
    other.kill().unwrap();
    other.wait().unwrap();
    format!("open {}; {}", stand.open().await, stand.works().await)
}

async fn a_pid_of_another() -> String {
    let stand = Stand::start("").await;
    let mut other = living();
    fs::write(stand.path(NOTE), format!("{}\n", other.id())).unwrap();
    // Written before that process began.
    let file = File::options().write(true).open(stand.path(NOTE)).unwrap();
    let before = SystemTime::now() - Duration::from_secs(60);
    file.set_modified(before).unwrap();
    let seen = format!("open {}; {}", stand.open().await, stand.works().await);
    drop(other.stdin.take());
    other.wait().unwrap();
    seen
}

async fn no_pid() -> String {
    let stand = Stand::start("").await;
    let note = stand.path(NOTE);
    let none = [
        "",
        "\n",
        "0",
        "-1",
        "4294967297",
        "99999999999999999999",
        "x",
    ];
    for text in none {
        fs::write(&note, text).unwrap();
        assert_eq!(stand.open().await, 0, "{text:?}");
    }
    fs::remove_file(&note).unwrap();
    std::os::unix::fs::symlink("/proc/self/stat", &note).unwrap();
    assert_eq!(stand.open().await, 0, "a link");
    fs::remove_file(&note).unwrap();
    let made = Command::new("mkfifo").arg(&note).status().unwrap();
    assert!(made.success());
    assert_eq!(stand.open().await, 0, "a pipe");
    fs::remove_file(&note).unwrap();
    fs::create_dir(&note).unwrap();
    assert_eq!(stand.open().await, 0, "a folder");
    stand.works().await.to_owned()
}

async fn a_pid_in_a_package() -> String {
    let stand = Stand::start("").await;
    let files: &[(&str, &[u8])] = &[
        ("upgrade.sh", b"#!/bin/sh\n"),
        ("upgrade_in_progress_pid", b"1\n"),
    ];
    let (code, _) = stand.upgrade(files).await;
    let open = stand.open().await;
    format!("code {code}, open {open}; {}", stand.works().await)
}

async fn begin(stand: &Stand, installer: &str) -> u64 {
    let script = b"#!/bin/sh\ntouch ran\n";
    stand.upload(&[("sub/dir/upgrade.sh", script)]).await;
    let parameters = json!({"file": "a.wpk", "installer": installer});
    stand.ask("upgrade", parameters).await.0
}

async fn an_installer_in_a_folder() -> String {
    let stand = Stand::start("").await;
    let code = begin(&stand, "sub/dir/upgrade.sh").await;
    let ran = stand.path("ran").exists();
    format!("code {code}, it ran: {ran}; {}", stand.works().await)
}

async fn an_installer_elsewhere() -> String {
    let stand = Stand::start("").await;
    let path = stand.path("bin/elsewhere.sh");
    fs::create_dir_all(stand.path("bin")).unwrap();
    write_executable(&path, b"#!/bin/sh\ntouch ran\n", 0o750).unwrap();
    let absolute = path.to_str().unwrap();
    let up = "../../bin/elsewhere.sh";
    let mut codes = Vec::new();
    for name in [up, "sub/../../../bin/elsewhere.sh", absolute, "sub/dir/"] {
        codes.push(begin(&stand, name).await.to_string());
    }
    assert!(!stand.path("ran").exists());
    format!("codes {}; {}", codes.join(" "), stand.works().await)
}
