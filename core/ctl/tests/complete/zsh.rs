//! The generated zsh script: zsh on a terminal, at which somebody types.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use wpk_testkit::skipped::leave_out;

use crate::common::terminal::Terminal;
use crate::stage::*;

/// The prompt, as it is drawn and not as it is typed.
const PROMPT: &str = "\u{1b}[JREADY> ";

/// zsh with the completions of the package; `None` where it is not installed.
fn zsh(dir: &Path) -> Option<Terminal> {
    if Command::new("zsh").arg("--version").output().is_err() {
        leave_out("zsh is not installed (apt-get install zsh)");
        return None;
    }
    let folder = share(dir).join("zsh/site-functions");
    let programs = Path::new(env!("CARGO_BIN_EXE_wpkctl")).parent().unwrap();
    let mut shell = Command::new("zsh");
    shell
        .args(["-f", "-i"])
        .env_clear()
        .env("HOME", dir)
        .envs(PATIENT)
        .env("PS1", "BEGIN> ")
        .env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
    let mut terminal = Terminal::of(shell, 200, 40);
    // What is typed before it reads a line is lost.
    terminal.wait_for("BEGIN> ");
    let folder = folder.display();
    // Who owns the folder is nothing that a test can say.
    let begin =
        format!("fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D; PS1='READY> '\n");
    terminal.keys.write_all(begin.as_bytes()).unwrap();
    terminal.wait_for(PROMPT);
    Some(terminal)
}

#[test]
fn zsh_proposes_what_the_manager_knows_and_what_the_tool_takes() {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(dir.path(), true);
    let socket = manager.socket.to_str().unwrap();
    let Some(mut terminal) = zsh(dir.path()) else {
        return;
    };
    // What one word can be is written, of several those are shown.
    for (line, keys, shown) in [
        ("upgrade --watch 7,db", "\t", &["7,db-1"][..]),
        ("upgrade we", "\t\t", &["web01", "web02"]),
        ("upgrade --version v4", "\t\t", &["v4.14.1", "v4.15.0"]),
        ("watch wee", "\t", &["weekly"]),
        ("upgrade --dry", "\t", &["--dry-run"]),
    ] {
        terminal.text.clear();
        let typed = format!("wpkctl --socket {socket} {line}{keys}");
        terminal.keys.write_all(typed.as_bytes()).unwrap();
        for words in shown {
            terminal.wait_for(words);
        }
        // The line is taken back, and another begins.
        terminal.text.clear();
        terminal.keys.write_all(b"\x15\n").unwrap();
        terminal.wait_for(PROMPT);
    }
    terminal.keys.write_all(b"exit\n").unwrap();
    terminal.end();
}
