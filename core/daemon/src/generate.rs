//! `wpkd generate`: the man pages and shell completions, made of the same
//! definitions that read the command line and the settings.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;
use clap::builder::PossibleValuesParser;
use clap_complete::{Shell, generate};

use crate::cli::Cli;
use crate::{builtins, reference};

/// Writes them; files that are there are replaced.
pub(crate) fn run(out: &Path) -> ExitCode {
    match write(out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wpkd: {}: {error}", out.display());
            ExitCode::FAILURE
        }
    }
}

fn write(out: &Path) -> io::Result<()> {
    let put = |path: &str, content: &[u8]| {
        let file = out.join(path);
        fs::create_dir_all(file.parent().unwrap_or(out))?;
        fs::write(file, content)
    };
    let source = concat!("wpkd ", env!("CARGO_PKG_VERSION"));
    // A page for each command: that of the program names them.
    let pages = out.join("man/man1");
    fs::create_dir_all(&pages)?;
    clap_mangen::generate_to(Cli::command(), pages)?;
    let sections = reference::sections(&builtins::registry());
    put("man/man5/wpkd.toml.5", &reference::page(&sections, source))?;
    // Libraries bring further types, so that only completions are told of these. Definitions
    // keep what lives as long as the program.
    let words = reference::words(&sections).into_iter();
    let known = PossibleValuesParser::new(words.map(|word| &*word.leak()));
    let section = |arg: clap::Arg| arg.value_parser(known.clone());
    let settings = |command: clap::Command| command.mut_arg("section", section);
    let mut command = Cli::command().mut_subcommand("settings", settings);
    for (shell, path) in [
        (Shell::Bash, "bash-completion/completions/wpkd"),
        (Shell::Zsh, "zsh/site-functions/_wpkd"),
        (Shell::Fish, "fish/vendor_completions.d/wpkd.fish"),
    ] {
        let mut script = Vec::new();
        generate(shell, &mut command, "wpkd", &mut script);
        put(path, &script)?;
    }
    Ok(())
}
