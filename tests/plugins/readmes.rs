//! The READMEs of the examples: blocks `sh run` are carried out in order, the settings of each
//! stand where its commands look for them. Any other shell block says why it does not run here.

use std::fs;
use std::path::Path;

use wpk_testkit::binary;

use crate::examples::REPOSITORY;
use crate::guide::reader;

/// What differs from a reader's machine: nobody becomes root, `cargo` builds as these tests were
/// built (a release would take minutes), and folders of a machine lie below a temporary one.
fn replaced(code: &str, folder: &Path) -> String {
    let here = |path: &str| format!("{}{path}", folder.display());
    let mut code = code
        .replace("sudo ", "")
        .replace("cargo build --release", "build")
        .replace("target/release", "\"$BUILT\"")
        .replace("-I sdk/", "-I \"$WPKD\"/sdk/")
        .replace(" examples/", " \"$WPKD\"/examples/");
    for place in ["/usr/lib/wpkd", "/etc/wpkd", "/srv/wpk", "/tmp/"] {
        let mark = format!("@{}", &place[1..]);
        code = code.replace(place, &mark);
    }
    for place in ["/usr/lib/wpkd", "/etc/wpkd", "/srv/wpk", "/tmp/"] {
        code = code.replace(&format!("@{}", &place[1..]), &here(place));
    }
    code
}

/// One script of a README, and the number of its blocks that run.
fn script(page: &str, folder: &Path) -> (usize, String) {
    let mut script = "set -eu\numask 022\n\
        build() { cargo build --manifest-path \"$WPKD/Cargo.toml\" --target-dir \"$TARGET\" \"$@\"; }\n"
        .to_owned();
    let mut ran = 0;
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            continue;
        };
        let code: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let code = replaced(&(code.join("\n") + "\n"), folder);
        match language.split_once(' ').unwrap_or((language, "")) {
            ("sh", "run") => {
                script.push_str(&code);
                ran += 1;
            }
            ("sh", rest) => {
                let reason = rest.strip_prefix("elsewhere: ").unwrap_or_default();
                assert!(reason.contains(' '), "neither runs nor says why:\n{code}");
            }
            ("toml", _) => {
                let home = folder.join("home");
                let code = format!("home = {home:?}\n{code}");
                fs::write(folder.join("etc/wpkd/wpkd.toml"), code).unwrap();
            }
            _ => {}
        }
    }
    (ran, script)
}

fn follow(example: &str, at_least: usize) {
    let folder = tempfile::tempdir().unwrap();
    for inside in [
        "etc/wpkd",
        "srv/wpk",
        "tmp",
        "home/var/wpkd",
        "home/queue/tasks",
    ] {
        fs::create_dir_all(folder.path().join(inside)).unwrap();
    }
    fs::write(folder.path().join("any.wpk"), "not really a package").unwrap();
    let readme = Path::new(REPOSITORY)
        .join("examples")
        .join(example)
        .join("README.md");
    let (ran, script) = script(&fs::read_to_string(readme).unwrap(), folder.path());
    assert!(ran >= at_least, "{ran} blocks");
    let built = binary("wpkd").unwrap();
    let built = built.parent().unwrap();
    let mut command = reader(folder.path());
    command
        .env("BUILT", built)
        .env("TARGET", built.parent().unwrap());
    let output = command.arg("-c").arg(&script).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{example}: {said}\n{script}");
}

#[test]
fn readmes_of_the_examples_are_right() {
    follow("provider-c", 3);
    follow("provider-rust", 3);
    follow("observer-rust", 2);
    follow("store-rust", 2);
    follow("custom-installer", 1);
}
