//! `wpk-agent generate`: the man pages and shell completions, made of the same definitions
//! that read the command line, and of the settings file that the packages bring.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::Command;
use clap_complete::{Shell, generate};

use super::manual;

const NAME: &str = "wpk-agent";

/// Writes them; files that are there are replaced.
pub(super) fn run(out: &Path, command: &Command) -> ExitCode {
    match write(out, command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{NAME}: {}: {error}", out.display());
            ExitCode::FAILURE
        }
    }
}

fn write(out: &Path, command: &Command) -> io::Result<()> {
    let put = |path: &str, content: &[u8]| {
        let file = out.join(path);
        fs::create_dir_all(file.parent().unwrap_or(out))?;
        fs::write(file, content)
    };
    let source = concat!("wpk-agent ", env!("CARGO_PKG_VERSION"));
    // A page for each command: that of the program names them.
    let pages = out.join("man/man1");
    fs::create_dir_all(&pages)?;
    clap_mangen::generate_to(command.clone(), pages)?;
    put("man/man5/wpk-agent.toml.5", manual::page(source).as_bytes())?;
    for (shell, path) in [
        (Shell::Bash, "bash-completion/completions/wpk-agent"),
        (Shell::Zsh, "zsh/site-functions/_wpk-agent"),
        (Shell::Fish, "fish/vendor_completions.d/wpk-agent.fish"),
    ] {
        let mut script = Vec::new();
        generate(shell, &mut command.clone(), NAME, &mut script);
        put(path, &script)?;
    }
    Ok(())
}
