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
