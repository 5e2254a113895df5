//! `wpkctl generate`: what packages install beside the program.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::process::Command;

use common::run;

#[test]
fn man_pages_and_completions_are_written_and_again() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("share");
    for _ in 0..2 {
        run(&["generate", "--out", out.to_str().unwrap()]).ended(0);
    }
    let read = |path: &str| {
        let file = out.join(path);
        std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{path}: {e}"))
    };
    let page = read("man/man1/wpkctl.1");
    assert!(page.contains(".TH wpkctl 1"), "{page}");
    assert!(page.contains("wpkctl\\-doctor(1)"), "{page}");
    assert!(read("man/man1/wpkctl-upgrade.1").contains("\\-\\-dry\\-run"));
    assert!(read("man/man1/wpkctl-repo-add.1").contains("wpkctl repo add"));
    assert!(read("man/man1/agent_upgrade.1").contains("\\-\\-list_outdated"));
    let examples = read("man/man7/wpk-rollout.7");
    assert!(examples.contains(".TH wpk-rollout 7"), "{examples}");
    assert!(examples.contains("wpkd\\-rollouts(7)"), "{examples}");
    assert!(read("man/man7/wpkd-rollouts.7").contains("wpk\\-rollout(7)"));
    for (shell, path) in [
        ("bash", "bash-completion/completions/wpkctl"),
        ("bash", "bash-completion/completions/agent_upgrade"),
        ("zsh", "zsh/site-functions/_wpkctl"),
        ("fish", "fish/vendor_completions.d/wpkctl.fish"),
    ] {
        let script = read(path);
        let option = if path.ends_with("upgrade") {
            "package_type"
        } else {
            "doctor"
        };
        assert!(script.contains(option), "{path}");
        // Where the shell is here, it must be able to read its script.
        if let Ok(checked) = Command::new(shell).arg("-n").arg(out.join(path)).output() {
            assert!(checked.status.success(), "{path}: {checked:?}");
        }
    }
    for hidden in [
        "man/man1/wpkctl-generate.1",
        "man/man1/wpkctl-agent_upgrade.1",
    ] {
        assert!(!out.join(hidden).exists(), "{hidden}");
    }
    assert!(!read("bash-completion/completions/wpkctl").contains("generate"));
    assert!(!page.contains("generate"), "{page}");
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    run(&["generate", "--out", "/dev/null/share"]).ended(1);
}

/// What the man pages of all three programs refer to: a page that is not there sends whoever
/// looks for it away empty-handed.
#[test]
fn man_pages_cite_only_pages_that_exist() {
    let programs = wpk_testkit::process::build(&["wpkd", "wpkctl", "wpk-agent"]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().to_str().unwrap();
    for program in ["wpkd", "wpkctl", "wpk-agent"] {
        let made = Command::new(programs.join(program))
            .args(["generate", "--out", out])
            .output();
        assert!(made.unwrap().status.success(), "{program}");
    }
    let mut cited = 0;
    for section in ["1", "5", "7"] {
        for page in std::fs::read_dir(dir.path().join(format!("man/man{section}"))).unwrap() {
            let page = page.unwrap().path();
            let text = std::fs::read_to_string(&page).unwrap();
            for (name, section) in citations(&text) {
                let file = format!("man/man{section}/{name}.{section}");
                assert!(
                    dir.path().join(&file).exists(),
                    "{} cites {file}",
                    page.display()
                );
                cited += 1;
            }
        }
    }
    assert!(cited > 50, "{cited}");
}

/// Names with the section behind them, as in `wpkd(1)`, also where the name is set apart.
fn citations(page: &str) -> Vec<(String, char)> {
    let text = page
        .replace("\\-", "-")
        .replace("\\fR", "")
        .replace("\\fB", "");
    let mut found = Vec::new();
    for (at, _) in text.match_indices('(') {
        let (before, after) = text.split_at(at);
        let mut inside = after.chars().skip(1);
        let section = inside.next().filter(|c| matches!(c, '1' | '5' | '7' | '8'));
        let (Some(section), Some(')')) = (section, inside.next()) else {
            continue;
        };
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let before = before.trim_end();
        let start = before.rfind(|c| !part(c)).map_or(0, |at| at + 1);
        found.push((before.get(start..).unwrap_or_default().to_owned(), section));
    }
    found
}

/// Where nobody answers, the value of an option that is no file is not completed by files.
#[test]
fn files_are_proposed_where_a_file_is_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("share");
    run(&["generate", "--out", out.to_str().unwrap()]).ended(0);
    std::fs::write(dir.path().join("prod.wpk"), b"").unwrap();
    let ask = "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); \
               _wpkctl \"$1\" \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"; \
               printf '%s\\n' \"${COMPREPLY[@]}\"";
    for (words, files) in [
        (&["upgrade", "--file", "pro"][..], true),
        (&["rollout", "plan", "pro"], false),
        (&["upgrade", "--select", "pro"], false),
        (&["upgrade", "--version", "pro"], false),
        (&["doctor", "--agent", "pro"], false),
        (&["agent", "token", "--uses", "pro"], false),
    ] {
        let output = Command::new("bash")
            .current_dir(dir.path())
            .args(["-c", ask, "bash"])
            .arg(out.join("bash-completion/completions/wpkctl"))
            .args([env!("CARGO_BIN_EXE_wpkctl"), "--socket", "none"])
            .args(words)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said.contains("prod.wpk"), files, "{words:?}: {said}");
    }
}
