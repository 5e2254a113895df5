//! `wpkctl generate`: man pages and shell completions, made of the same
//! definitions that read the command line, so that they are never behind, and the
//! guide. For those who build packages.

use std::path::Path;

use clap::{Arg, Command, CommandFactory, ValueHint};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::agent_upgrade::{self, args::Tool};
use crate::cli::{Cli, GenerateArgs};
use crate::complete::asking;
use crate::error::CtlError;
use crate::files::{make_folder, replace};
use crate::guide::{self, PAGES};
use crate::output::{Ending, Output};

/// Writes them for `wpkctl` and `agent_upgrade`; files that are there are replaced.
///
/// # Errors
/// A folder that cannot be written to.
pub(crate) fn run(args: &GenerateArgs, out: &Output) -> Result<Ending, CtlError> {
    let write = |path: &str, content: &[u8]| {
        let file = args.out.join(path);
        make_folder(file.parent().unwrap_or(Path::new(".")), 0o755)?;
        replace(&file, content, 0o644)?;
        out.line(file.display())
    };
    for (name, command) in [
        ("wpkctl", Cli::command()),
        (agent_upgrade::args::NAME, Tool::documented()),
    ] {
        let command = visible(&command, name);
        for (page, text) in pages(command.clone())? {
            write(&format!("man/man1/{page}.1"), &text)?;
        }
        for (shell, path) in [
            (Shell::Bash, format!("bash-completion/completions/{name}")),
            (Shell::Zsh, format!("zsh/site-functions/_{name}")),
            (
                Shell::Fish,
                format!("fish/vendor_completions.d/{name}.fish"),
            ),
        ] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut without_files(&command), name, &mut script);
            if name == "wpkctl" {
                let text = String::from_utf8_lossy(&script);
                script = asking(shell, &text).into_bytes();
            }
            write(&path, &script)?;
        }
    }
    for page in PAGES {
        let (name, text) = guide::man_page(page);
        write(&format!("man/man7/{name}.7"), &text)?;
        let file = format!("doc/wpkd/guide/{}.md", page.topic);
        write(&file, page.text.as_bytes())?;
    }
    Ok(Ending::Well)
}

/// A page for the command, and one for each of its commands on every level.
fn pages(command: Command) -> Result<Vec<(String, Vec<u8>)>, CtlError> {
    let mut root = command.disable_help_subcommand(true);
    root.build();
    let mut found = Vec::new();
    let mut left = vec![(root.get_name().to_owned(), root)];
    while let Some((name, command)) = left.pop() {
        for inner in command.get_subcommands() {
            let inner_name = format!("{name}-{}", inner.get_name());
            left.push((inner_name, inner.clone()));
        }
        let command = command.display_name(&name);
        let mut text = Vec::new();
        // Writing into memory cannot fail.
        let rendered = Man::new(command)
            .source(concat!("wpkctl ", env!("CARGO_PKG_VERSION")))
            .render(&mut text);
        rendered.map_err(CtlError::Print)?;
        found.push((name, text));
    }
    found.sort();
    Ok(found)
}

/// The command whose values are completed by the names of files only where they are files.
fn without_files(command: &Command) -> Command {
    let hinted = |arg: Arg| match arg.get_value_hint() {
        ValueHint::Unknown if arg.get_action().takes_values() => arg.value_hint(ValueHint::Other),
        _ => arg,
    };
    let inner: Vec<Command> = command.get_subcommands().map(without_files).collect();
    let command = command.clone().mut_args(hinted);
    inner.into_iter().fold(command, |command, inner| {
        let name = inner.get_name().to_owned();
        command.mut_subcommand(name, |_| inner)
    })
}

/// The command without the commands that its help does not show either.
fn visible(command: &Command, name: &'static str) -> Command {
    let shown = command
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set());
    let mut bare = Command::new(name)
        .args(command.get_arguments().cloned())
        .subcommand_required(command.is_subcommand_required_set())
        .subcommands(shown.cloned());
    if let Some(about) = command.get_about() {
        bare = bare.about(about.clone());
    }
    if command.get_version().is_some() {
        bare = bare.version(env!("CARGO_PKG_VERSION"));
    }
    bare
}
