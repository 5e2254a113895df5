//! `sdk/README.md`, followed to the letter: its blocks are carried out in order
//! in a folder of their own, and what they made upgrades an agent. Nothing is
//! added but what the page asks for, and that nothing is downloaded.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use wpk_testkit::library::Library;
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{Manager, binary};

use crate::examples::REPOSITORY;

/// A block of the page, with the file it belongs into.
#[derive(Debug)]
enum Block {
    /// Commands.
    Run(String),
    /// `Put this into` or `below the rest of` the file named last.
    Write(PathBuf, String),
}

/// The blocks of a page in order. Each `rust` block belongs into the file in
/// backquotes that the text before it names last.
fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut text = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        let code: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let code = code.join("\n") + "\n";
        found.push(match language {
            "sh" => Block::Run(code),
            "rust" => {
                let file = text
                    .rsplit('`')
                    .nth(1)
                    .expect("a file's name before the block");
                Block::Write(file.into(), code)
            }
            other => panic!("the page has a block of {other:?}, which nobody carries out"),
        });
        text.clear();
    }
    found
}

/// One script of all blocks. Files are written by it too, so that they land
/// where a reader would be by then.
fn script(blocks: &[Block], folder: &Path) -> String {
    let mut script = "set -eu\n".to_owned();
    let mut written: Vec<&Path> = Vec::new();
    for (n, block) in blocks.iter().enumerate() {
        match block {
            Block::Run(code) => script.push_str(code),
            Block::Write(file, code) => {
                let copy = folder.join(format!("block-{n}"));
                fs::write(&copy, code).unwrap();
                let how = if written.contains(&file.as_path()) {
                    ">>"
                } else {
                    ">"
                };
                written.push(file);
                script += &format!("cat '{}' {how} '{}'\n", copy.display(), file.display());
            }
        }
    }
    script
}

/// A fresh folder in which what was compiled before is found again, and in
/// which the versions are those of this repository.
fn prepare(folder: &Path) {
    let repository = Path::new(REPOSITORY).canonicalize().unwrap();
    let target = repository.join("target/guide");
    fs::create_dir_all(&target).unwrap();
    let shelf = folder.join("shelf");
    fs::create_dir(&shelf).unwrap();
    std::os::unix::fs::symlink(target, shelf.join("target")).unwrap();
    fs::copy(repository.join("Cargo.lock"), shelf.join("Cargo.lock")).unwrap();
}

/// A shell as a reader has it, in a folder, with our programs in its `PATH`.
pub(crate) fn reader(folder: &Path) -> Command {
    let programs = binary("wpkd").unwrap();
    let mut path = programs.parent().unwrap().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    let mut command = Command::new("sh");
    // What the cargo around this test has set is not so for a reader.
    for (key, _) in std::env::vars_os() {
        let key = key.to_string_lossy().into_owned();
        if key.starts_with("CARGO_") && key != "CARGO_HOME" {
            command.env_remove(key);
        }
    }
    command
        .current_dir(folder)
        .env("WPKD", Path::new(REPOSITORY).canonicalize().unwrap())
        .env("PATH", path)
        .env("CARGO_NET_OFFLINE", "true");
    command
}

fn follow(folder: &Path) {
    let page = fs::read_to_string(Path::new(REPOSITORY).join("sdk/README.md")).unwrap();
    let blocks = blocks(&page);
    assert!(blocks.len() >= 6, "{blocks:?}");
    let script = script(&blocks, folder);
    let output = reader(folder).arg("-c").arg(script).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("it_does_what_every_provider_must ... ok"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_in_ten_minutes() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    tokio::task::block_in_place(|| follow(folder.path()));
    let shelf = folder.path().join("shelf");

    // The daemon finds the reader's mistake, ...
    let config = fs::read_to_string(shelf.join("wpkd.toml")).unwrap();
    fs::write(
        shelf.join("wrong.toml"),
        config.replace("folder =", "foldre ="),
    )
    .unwrap();
    let mut command = Command::new(binary("wpkd").unwrap());
    let check = command
        .args(["check", "--config"])
        .arg(shelf.join("wrong.toml"));
    let output = check.output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(
        !output.status.success() && said.contains("foldre"),
        "{said}"
    );

    // ... and takes the file off the shelf.
    let library = Library::copy(&shelf.join("plugins/libwpk_shelf.so")).unwrap();
    let settings = format!(
        "[node]\nversion = \"v4.15.0\"\n[[plugin]]\npath = {:?}\n[[provider]]\ntype = \"shelf\"\nfolder = {:?}\n",
        library.path(),
        shelf.join("home/shelf")
    );
    let manager = Manager::start(&settings).await.unwrap();
    manager.wdb.set_agents([agent_row(1, "Wazuh v4.7.0")]);
    manager.upgrade(&[1], json!({"version": "v4.15.0"})).await;
    let item = manager
        .wait_for_status(1, &["Updated", "Error"])
        .await
        .unwrap();
    assert_eq!(item["status"], "Updated", "{item}\n{}", manager.output());
    let received = manager.remoted.received(1).unwrap();
    assert_eq!(&received[..], b"not really a package\n");
}
