//! The scripts that shells complete by: those that are made of the definitions, in front of
//! which the manager is asked. What it does not know is completed as before.

use clap_complete::Shell;

/// Bash: proposals take the place of the words that are known before.
const BASH: &str = r#"
_wpkctl() {
    local found
    if [[ "${COMP_WORDS[COMP_CWORD]}" != -* ]]; then
        found=$("${COMP_WORDS[0]}" complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
        if [[ -n "$found" ]]; then
            mapfile -t COMPREPLY <<<"$found"
            return 0
        fi
    fi
    _wpkctl_static "$@"
}
"#;

const ZSH: &str = r#"
_wpkctl() {
    local -a found
    if [[ "$PREFIX" != -* ]]; then
        found=("${(@f)$("${words[1]}" complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
        found=("${(@)found:#}")
        if (( $#found )); then
            compadd -- "${found[@]}"
            return 0
        fi
    fi
    _wpkctl_static "$@"
}
"#;

/// Fish: what stands for itself is proposed by the last line, the value of an option by that
/// of the option, which calls the same function (see [`asking`]).
const FISH: &str = r#"
function __fish_wpkctl_ask
    set -l words (commandline -opc)
    $words[1] complete -- $words[2..-1] (commandline -ct) 2>/dev/null
end
complete -c wpkctl -n 'not string match -q -- "-*" (commandline -ct)' -a '(__fish_wpkctl_ask)'
"#;

/// The script of a shell that asks the manager first.
pub(crate) fn asking(shell: Shell, script: &str) -> String {
    let ours = match shell {
        Shell::Bash => BASH,
        Shell::Zsh => ZSH,
        Shell::Fish => {
            // Those that take a value: of any kind, or no file.
            let takes = |line: &str| line.ends_with(" -r") || line.ends_with(" -r -f");
            let asks = |line: &str| match takes(line) {
                true => format!("{line} -a '(__fish_wpkctl_ask)'\n"),
                false => format!("{line}\n"),
            };
            let script: String = script.lines().map(asks).collect();
            return format!("{script}{FISH}");
        }
        _ => return script.to_owned(),
    };
    // Its own function gets out of the way; ours stands before the lines that call it.
    let script = format!("\n{script}").replacen("\n_wpkctl() {", "\n_wpkctl_static() {", 1);
    let (functions, calls) = script.split_at(script.rfind("\nif [").unwrap_or(script.len()));
    format!("{}\n{ours}{calls}", functions.trim_start())
}
