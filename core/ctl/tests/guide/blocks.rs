//! What the pages tell to type and to write: it runs, or at least it can be read.

use std::fs;
use std::path::Path;
use std::process::Command;

use wpk_config::{Sources, load};
use wpk_rollout::Definition;

use super::common::run;
use super::page::{Page, pages, source, sources};

/// Carries out all blocks of a kind, those of a page one after the other in an empty folder.
/// Returns how many there were, and what they printed.
fn carry_out(language: &str, programs: &Path) -> (usize, String) {
    let mut path = programs.as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    let (mut ran, mut printed) = (0, String::new());
    for page in pages() {
        let blocks = page.blocks().into_iter();
        let blocks = blocks.filter(|block| block.language == language);
        let code: Vec<String> = blocks.map(|block| block.code).collect();
        if code.is_empty() {
            continue;
        }
        ran += code.len();
        let home = tempfile::tempdir().unwrap();
        let script = format!("set -eu\n{LEAVE_NOTHING}\n{}", code.concat());
        // At the end of its time all that was started ends: it is one group of processes.
        let output = Command::new("timeout")
            .args(["--kill-after=5", LONGEST, "sh", "-c", &script])
            .current_dir(home.path())
            .env_clear()
            .env("PATH", &path)
            .env("HOME", home.path())
            .output()
            .unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let status = output.status;
        assert!(status.success(), "{}: {status}: {said}", page.topic);
        printed.push_str(&said);
    }
    (ran, printed)
}

/// Seconds that the blocks of a page may take.
const LONGEST: &str = "120";
/// What a block that fails leaves running ends with it.
const LEAVE_NOTHING: &str = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT";

#[test]
fn what_may_be_run_here_runs() {
    let program = Path::new(env!("CARGO_BIN_EXE_wpkctl"));
    let (ran, _) = carry_out("sh run", program.parent().unwrap());
    assert!(ran >= 4, "{ran} blocks");
}

/// From nothing to the first upgraded agent.
#[test]
fn what_needs_the_daemon_runs() {
    let programs = wpk_testkit::process::build(&["wpkd", "wpkctl", "wpk-agent"]).unwrap();
    let (ran, printed) = carry_out("sh run daemon", &programs);
    assert!(ran >= 1, "{ran} blocks");
    assert!(printed.contains("1 agents: 1 updated"), "{printed}");
}

#[test]
fn settings_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wpkd.toml");
    let mut read = 0;
    for page in pages() {
        for block in page
            .blocks()
            .iter()
            .filter(|block| block.language == "toml")
        {
            fs::write(&file, &block.code).unwrap();
            let sources = Sources {
                file: Some(file.clone()),
                home: Some(folder.path().to_owned()),
            };
            let found = load(&sources, None).map_err(|findings| findings.to_string());
            assert!(
                found.is_ok(),
                "{}: {}\n{}",
                page.topic,
                found.unwrap_err(),
                block.code
            );
            read += 1;
        }
    }
    assert!(read >= 5, "{read} blocks");
}

#[test]
fn definitions_can_be_read_and_their_keys_are_told() {
    let mut read = 0;
    for page in pages() {
        for block in page.blocks() {
            if block.language != "toml rollout" {
                continue;
            }
            let definition = Definition::from_toml(&block.code);
            let definition = definition
                .unwrap_or_else(|problems| panic!("{}: {problems:#?}\n{}", page.topic, block.code));
            assert!(!definition.rollouts.is_empty(), "{}", block.code);
            read += 1;
        }
    }
    assert!(read >= 5, "{read} definitions");
    let readme = source("README.md");
    let (_, rest) = readme.split_once("```toml\n[[rollout]]").unwrap();
    let (rest, _) = rest.split_once("```").unwrap();
    Definition::from_toml(&format!("[[rollout]]{rest}")).unwrap();
    let text = super::page::page("rollouts");
    for file in ["rollout", "site", "release"] {
        let source = source(&format!("core/rollout/src/definition/{file}.rs"));
        let fields = source.lines().filter_map(|line| {
            let field = line.strip_prefix("    pub ")?;
            let (name, _) = field.split_once(": ")?;
            (!name.contains(' ')).then_some(name)
        });
        for field in fields {
            // As they are written, each is a table of its own.
            let told = match field {
                "waves" => "`[[rollout.wave]]`".to_owned(),
                "sites" => "`[[site]]`".to_owned(),
                field => format!("`{field}`"),
            };
            assert!(text.contains(&told), "{file}.rs: {field}");
        }
    }
}

/// The words of each line of a shell block that begins with `program`, up to what the shell
/// itself reads.
fn lines(page: &Page, program: &str) -> Vec<Vec<String>> {
    let blocks = page.blocks().into_iter();
    let shell = blocks.filter(|block| block.language.starts_with("sh"));
    let mut found = Vec::new();
    for block in shell {
        for line in block.code.replace("\\\n", " ").lines() {
            let ends = |word: &String| ["|", "||", ">", "#", "&&"].contains(&word.as_str());
            let words = words(line).into_iter();
            let words: Vec<String> = words.take_while(|word| !ends(word)).collect();
            if words.first().is_some_and(|first| first == program) {
                found.push(words);
            }
        }
    }
    found
}

/// The words of a line; what stands between `"` or between `'` is one.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find(['"', '\'']) {
        let (before, quoted) = rest.split_at(at);
        let (quote, inside) = quoted.split_at(1);
        // An apostrophe in a comment closes nothing.
        let (inside, after) = inside.split_once(quote).unwrap_or((inside, ""));
        words.extend(before.split_whitespace().map(str::to_owned));
        words.push(inside.to_owned());
        rest = after;
    }
    words.extend(rest.split_whitespace().map(str::to_owned));
    words
}

#[test]
fn lines_with_wpkctl_are_understood() {
    let mut asked = 0;
    for page in pages() {
        for words in lines(&page, "wpkctl") {
            let mut words: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
            // It answers without doing anything, once all before it was understood.
            words.push("--help");
            let said = run(&words);
            assert_eq!(
                said.status,
                Some(0),
                "{}: {words:?}: {}",
                page.topic,
                said.err
            );
            asked += 1;
        }
    }
    assert!(asked >= 30, "{asked} lines");
}

#[test]
fn options_of_the_daemon_and_the_agent_are_there() {
    let daemon = source("core/daemon/src/cli.rs");
    let agent: String = (sources(&["core/agent/src"]).into_iter())
        .map(|(_, text)| text)
        .collect();
    let mut asked = 0;
    for page in pages() {
        for (program, cli) in [("wpkd", &daemon), ("wpk-agent", &agent)] {
            for words in lines(&page, program) {
                let options = words.iter().filter_map(|word| word.strip_prefix("--"));
                for option in options {
                    let field = format!("{}: ", option.replace('-', "_"));
                    assert!(cli.contains(&field), "{}: {words:?}", page.topic);
                }
                asked += 1;
            }
        }
    }
    assert!(asked >= 10, "{asked} lines");
}
