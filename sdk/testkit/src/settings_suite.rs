//! What every [`Factory`] must do with its settings, whether it is made by
//! [`plugin`](wpk_api::section::plugin) or by hand, for plugins of all kinds:
//!
//! ```no_run
//! # fn example(factory: &dyn wpk_api::Factory<dyn wpk_api::Transport>) {
//! wpk_testkit::settings_suite::run(factory, &serde_json::json!({"socket": "a/b"}));
//! # }
//! ```
//!
//! The second argument is a section that is right. The suite panics with the
//! first thing that is wrong.

use serde_json::{Map, Value, json};
use wpk_api::{BuildError, Demands, Factory};

use crate::Home;
use crate::suite::ok;

/// A key that no plugin has.
const UNKNOWN: &str = "no_such_setting";

/// The whole suite.
pub fn run<T: ?Sized>(factory: &(impl Factory<T> + ?Sized), good: &Value) {
    let kind = factory.kind();
    assert!(
        !kind.is_empty() && !kind.contains(|c: char| c.is_whitespace() || c.is_control()),
        "{kind:?} cannot be written after `type = `"
    );
    assert_eq!(kind, factory.kind());
    let problems = factory.check(good);
    assert!(problems.is_empty(), "{good} was to be right: {problems:?}");
    assert!(factory.check(good).is_empty(), "looked at twice");

    let home = ok("making a folder", Home::new());
    let files = files_below(home.root());
    let demands = factory.demands(good, &home.context());
    assert_eq!(demands, factory.demands(good, &home.context()));
    let now = files_below(home.root());
    assert_eq!(now, files, "asked what it demands, it made files");

    let Value::Object(entries) = good else {
        panic!("a section is a table, not {good}");
    };
    refused(factory, entries, &[(UNKNOWN, json!(1))]);
    refused(factory, entries, &[("", json!(1))]);
    refused(factory, entries, &[("Ключ \" \n", json!({"a": []}))]);
    // All mistakes are told at once, and a right key hides none.
    refused(
        factory,
        entries,
        &[(UNKNOWN, json!(null)), ("another", json!("x"))],
    );
    for no_table in [json!(null), json!([]), json!("text"), json!(5), json!(true)] {
        assert!(
            !factory.check(&no_table).is_empty(),
            "{no_table} is no section"
        );
        is_not_built(factory, &no_table);
    }
}

/// `good` with these keys added is refused, each of them by its name.
fn refused<T: ?Sized>(
    factory: &(impl Factory<T> + ?Sized),
    good: &Map<String, Value>,
    unknown: &[(&str, Value)],
) {
    let mut section = good.clone();
    section.extend(
        unknown
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone())),
    );
    let section = Value::Object(section);
    let problems = factory.check(&section);
    for (key, _) in unknown {
        let named = problems.iter().find(|problem| problem.key == *key);
        let Some(named) = named else {
            panic!("the unknown key {key:?} in {section} is not named by {problems:?}");
        };
        assert!(!named.message.is_empty(), "what is wrong with {key:?}?");
    }
    assert_eq!(
        problems.len(),
        unknown.len(),
        "only the unknown keys are wrong in {section}: {problems:?}"
    );
    is_not_built(factory, &section);
}

/// `build` refuses what `check` finds, before it touches anything, and such a section
/// demands nothing of others.
fn is_not_built<T: ?Sized>(factory: &(impl Factory<T> + ?Sized), section: &Value) {
    let home = ok("making a folder", Home::new());
    let files = files_below(home.root());
    match factory.build(section, &home.context()) {
        Ok(_) => panic!("a plugin was built from {section}"),
        Err(BuildError::Settings(problems)) => {
            assert_eq!(problems, factory.check(section), "of {section}");
        }
        Err(BuildError::Failed(why)) => {
            panic!("mistakes in {section} must be told as such, not as {why:?}")
        }
    }
    let demands = factory.demands(section, &home.context());
    assert_eq!(demands, Demands::default(), "demanded by {section}");
    let now = files_below(home.root());
    assert_eq!(now, files, "wrong settings, and files were made from them");
}

fn files_below(root: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found.sort();
    found
}
