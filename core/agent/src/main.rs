//! `wpk-agent`: everything is in the library's `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    wpk_agent::cli::main()
}
