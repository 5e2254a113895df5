//! What `wpkctl guide` prints.

use super::common::{program, run};
use super::page::pages;

#[test]
fn every_page_is_listed_and_shown() {
    let list = run(&["guide"]).ended(0);
    let objects = run(&["guide", "--json"]).ended(0).objects();
    assert_eq!(objects.len(), pages().len());
    for page in pages() {
        assert!(
            list.out.contains(&format!("`{}`", page.topic)),
            "{}",
            list.out
        );
        let shown = run(&["guide", &page.topic]).ended(0);
        let title = page.text.lines().next().unwrap().trim_start_matches("# ");
        shown.begins(title);
        assert!(shown.out.ends_with('\n') && !shown.out.contains('\u{1b}'));
        let objects = run(&["guide", &page.topic, "--json"]).ended(0).objects();
        assert_eq!(objects[0]["text"], page.text);
        assert_eq!(objects[0]["title"], title);
    }
}

#[test]
fn a_wrong_topic_names_those_that_are_near() {
    for (asked, near) in [
        ("trouble", "troubleshooting"),
        ("backup", "backup-and-restore"),
        ("secruity", "security"),
    ] {
        let said = run(&["guide", asked]).ended(2);
        let tip = said.err.lines().find(|line| line.contains("tip:")).unwrap();
        assert!(tip.contains(near), "{}", said.err);
        assert!(
            said.err.contains("possible values: first-manager"),
            "{}",
            said.err
        );
    }
}

#[test]
fn it_is_as_wide_as_it_is_told() {
    let shown = |columns: &str| {
        let mut command = program(&["guide", "glossary"]);
        let output = command.env("COLUMNS", columns).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| line.chars().count()).max().unwrap()
    };
    assert!((30..=40).contains(&shown("40")));
    assert!((60..=80).contains(&shown("80")));
    // Longer lines are hard to read; what is no number is passed over.
    assert!(shown("500") <= 100);
    assert!(shown("wide") <= 80);
}

#[test]
fn packages_get_it_as_files_and_man_pages() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    run(&["generate", "--out", out.to_str().unwrap()]).ended(0);
    let read = |path: String| {
        std::fs::read_to_string(out.join(&path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    for page in pages() {
        assert_eq!(read(format!("doc/wpkd/guide/{}.md", page.topic)), page.text);
        let name = match page.topic.as_str() {
            "rollout-examples" => "wpk-rollout".to_owned(),
            topic => format!("wpkd-{topic}"),
        };
        let manual = read(format!("man/man7/{name}.7"));
        assert!(manual.contains(".SH NAME\n"), "{manual}");
    }
    assert!(read("man/man1/wpkctl-guide.1".to_owned()).contains("first\\-manager"));
    let completions = read("bash-completion/completions/wpkctl".to_owned());
    assert!(completions.contains("troubleshooting"));
    let with_titles = read("zsh/site-functions/_wpkctl".to_owned());
    assert!(with_titles.contains("Packages and installers of your own"));
}
