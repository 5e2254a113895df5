//! Blocks `sh run stand`: typed as an administrator types them, beside a manager with agents and
//! a repository (`stand/setup.sh`). And that every other shell block runs, or says why not.
//!
//! What is not as on an administrator's machine is all in two places: the programs in
//! `stand/bin`, which stand before the others in `PATH`, and [`replaced`].

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use wpk_testkit::http::HttpServer;
use wpk_testkit::skipped::leave_out;

use super::page::{Block, Page, pages};

const RUN: &str = "sh run stand";
/// Agents may be refused in such a block, or end in an unknown way.
const SOME_REFUSE: &str = "sh run stand, some refuse";
/// What a block begins with that cannot run here; the reason follows.
const ELSEWHERE: &str = "sh elsewhere: ";

/// A block as it runs here: folders of the packages lie below a temporary one, the user of the
/// packages is the one who runs the test, and there are three agents.
fn replaced(code: &str) -> String {
    let mut code = code.to_owned();
    for (there, here) in [
        ("/etc/wpkd", "$STAND/etc/wpkd"),
        ("/var/lib/wpk", "$STAND/var/lib/wpk"),
        ("/root/", "$STAND/root/"),
        ("/srv/wpk", "$STAND/srv/wpk"),
        ("tar -C / ", "tar -C $STAND "),
        // The day of the example.
        ("wpkd-2026-01-31", "wpkd-????-??-??"),
        ("wpkd:wpkd", "$(id -u):$(id -g)"),
        ("-g wpkd", "-g $(id -g)"),
        ("127.0.0.1:9474", "$METRICS"),
        (" 1-500", " 1-3"),
        (" 1-50", " 1-3"),
        (" 1-20", " 1-3"),
        (" 100-180", " 1-3"),
        (" 12,40", " 2,3"),
        (" 117", " 3"),
        (" 12", " 2"),
        (" 31 ", " 3 "),
        (" 7", " 3"),
    ] {
        code = code.replace(there, here);
    }
    code
}

/// The blocks of a page that run here, one after the other, each in a shell of its own. What
/// `stand/PAGE.sh` defines as `before` and `after` is called around each, with its number.
fn script(page: &Page) -> Option<String> {
    let blocks = page.blocks().into_iter();
    let blocks: Vec<_> = blocks
        .filter(|block| block.language.starts_with(RUN))
        .collect();
    if blocks.is_empty() {
        return None;
    }
    let mut script = "set -eu\n\
        trap 'kill -9 $(cat \"$STAND/run/pids\") 2> /dev/null || true' EXIT\n\
        before() { :; }\nafter() { :; }\n\
        . \"$BEGIN/setup.sh\"\n"
        .to_owned();
    let more = folder().join(format!("{}.sh", page.topic));
    if more.is_file() {
        script += &format!(". '{}'\n", more.display());
    }
    for (n, block) in (1..).zip(&blocks) {
        let some = if block.language == SOME_REFUSE {
            "yes"
        } else {
            ""
        };
        let code = replaced(&block.code);
        script += &format!("before {n}\nexport SOME_REFUSE={some}\n(\n{code})\n");
        script += &format!("export SOME_REFUSE=\nafter {n}\n");
    }
    Some(script)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guide/stand")
}

/// The definitions of a page are there under the names that its commands use.
fn write_definitions(page: &Page, place: &Path) {
    for block in page.blocks() {
        if block.language == "toml rollout" {
            let (_, rest) = block.code.split_once("[[rollout]]\nname = \"").unwrap();
            let (name, _) = rest.split_once('"').unwrap();
            let code = replaced(&block.code).replace("$STAND", place.to_str().unwrap());
            let code: Vec<String> = code.lines().map(of_three).collect();
            let code = code.join("\n");
            fs::write(place.join(format!("{name}.toml")), code).unwrap();
        }
    }
}

/// A line of a definition for three agents, which are in no group.
fn of_three(line: &str) -> String {
    let (key, value) = line.trim().split_once(" = ").unwrap_or_default();
    if ["size", "min_sample"].contains(&key) && !value.contains('%') {
        return format!("{key} = 1");
    }
    line.replace("group = prod and ", "")
        .replace("group = web", "id = 1-3")
}

fn carry_out(page: &Page, script: &str, programs: &Path, repository: &Path, url: &str) {
    let home = tempfile::tempdir().unwrap();
    write_definitions(page, home.path());
    let mut path = folder().join("bin").into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    let output = Command::new("timeout")
        .args(["--kill-after=5", "120", "sh", "-x", "-c", script])
        .current_dir(home.path())
        .env_clear()
        .envs([("STAND", home.path()), ("HOME", home.path())])
        .envs([("PROGRAMS", programs), ("REPOSITORY", repository)])
        .env("BEGIN", folder())
        .env("REPOSITORY_URL", url)
        .env("SOME_REFUSE", "")
        .env("PATH", &path)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into());
    let [out, err]: [String; 2] = said;
    let log = fs::read_to_string(home.path().join("run/wpkd.log")).unwrap_or_default();
    let status = output.status;
    assert!(
        status.success(),
        "{}: {status}:\n{out}\n{err}\n{log}",
        page.topic
    );
}

/// Programs of others that pages call.
const TOOLS: [&str; 3] = ["curl", "jq", "sqlite3"];

/// Whether the programs of others that a page calls are here.
fn has_tools(page: &Page) -> bool {
    let blocks = page.blocks().into_iter();
    let code: String = blocks
        .filter(|block| block.language.starts_with(RUN))
        .map(|block| block.code)
        .collect();
    let called = |tool: &&str| code.split_whitespace().any(|word| word == *tool);
    let is_here = |tool: &str| Command::new(tool).arg("--version").output().is_ok();
    let mut missing = TOOLS
        .into_iter()
        .filter(called)
        .filter(|tool| !is_here(tool));
    let Some(tool) = missing.next() else {
        return true;
    };
    leave_out(&format!(
        "{tool} is not installed (apt-get install {tool}): page {}",
        page.topic
    ));
    false
}

/// Carries out the pages of one half, so that two tests share the work; or the page that the
/// variable `GUIDE_PAGE` names.
async fn run_pages(mine: impl Fn(usize) -> bool) {
    let programs = wpk_testkit::process::build(&["wpkd", "wpkctl", "wpk-agent"]).unwrap();
    let only = std::env::var("GUIDE_PAGE").ok();
    let mut ran = 0;
    let scripts = pages()
        .into_iter()
        .filter_map(|page| script(&page).map(|script| (page, script)));
    for (n, (page, script)) in scripts.enumerate() {
        if !mine(n) || only.as_ref().is_some_and(|only| *only != page.topic) {
            continue;
        }
        ran += 1;
        if !has_tools(&page) {
            continue;
        }
        let repository = tempfile::tempdir().unwrap();
        let server = HttpServer::start_folder(repository.path()).await.unwrap();
        let url = format!("{}/", server.url().trim_end_matches('/'));
        tokio::task::block_in_place(|| {
            carry_out(&page, &script, &programs, repository.path(), &url);
        });
    }
    assert!(ran >= 1 || only.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_manager_with_agents_runs() {
    run_pages(|n| n % 2 == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_manager_with_agents_runs_on_other_pages() {
    run_pages(|n| n % 2 == 1).await;
}

/// Whether a test carries such a block out, or it says why none can.
fn is_settled(language: &str) -> bool {
    let words = language.split([' ', '{', ',']).next().unwrap_or_default();
    if !["sh", "bash", "shell", "console"].contains(&words) {
        return true;
    }
    let reason = language.strip_prefix(ELSEWHERE);
    ["sh run", "sh run daemon", RUN, SOME_REFUSE].contains(&language)
        || reason.is_some_and(|reason| reason.split_whitespace().count() >= 2)
}

#[test]
fn no_shell_block_is_forgotten() {
    assert!(!is_settled("sh") && !is_settled("sh elsewhere: ") && !is_settled("bash"));
    for page in pages() {
        for block in page.blocks() {
            let Block { language, code } = &block;
            assert!(
                is_settled(language),
                "{}: {language:?} neither runs nor says why:\n{code}",
                page.topic
            );
        }
    }
}
