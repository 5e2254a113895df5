//! `wpkd give-back`: after a kill, puts the sockets of a manager's own module back to
//! their paths (`wpk-socket-file`). The unit runs it after each end.

use std::process::ExitCode;

use wpk_config::Settings;
use wpk_socket_file::{GivenBack, give_back};

use crate::registry::Registry;

/// Exit status 0: every path is as it should be; 1: one could not be looked at or put
/// right.
pub(crate) fn run(settings: &Settings, registry: &Registry) -> ExitCode {
    let mut failed = false;
    for path in registry.served(settings) {
        let shown = path.display();
        match give_back(&path) {
            Ok(GivenBack::Yes) => println!("{shown}: given back to the manager's own module"),
            Ok(GivenBack::NobodyBehind) => {
                println!("{shown}: removed what a killed wpkd left; nobody is behind it");
            }
            Ok(GivenBack::NotOurs) => println!("{shown}: nothing of wpkd's lies there"),
            Ok(GivenBack::Running) => println!("{shown}: left alone, a wpkd runs and serves it"),
            Err(error) => {
                eprintln!("wpkd: {error}");
                failed = true;
            }
        }
    }
    match failed {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}
