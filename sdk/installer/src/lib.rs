//! For authors of custom installers: the program inside a WPK that an agent
//! runs (PROTOCOL.md, section 7). A binary crate enters through [`Installer`];
//! README.md tells the contract, also for installers that are scripts.
//!
//! ```no_run
//! use std::process::ExitCode;
//! use wpk_installer::{Health, InstallError, Installer};
//!
//! fn main() -> ExitCode {
//!     match installer() {
//!         Ok(installer) => installer.run(),
//!         Err(error) => {
//!             eprintln!("{error}");
//!             ExitCode::from(2)
//!         }
//!     }
//! }
//!
//! fn installer() -> Result<Installer, InstallError> {
//!     Ok(Installer::here()?
//!         .require_program("sha1sum")
//!         .replace("bin/sensor", "sensor")
//!         .install("share/rules.dat", "rules.dat", 0o640)
//!         .remove("share/old-rules.dat")
//!         .start(["systemctl", "restart", "sensor"])
//!         .health(Health::command(["bin/sensor", "--self-test"]))
//!         .health(Health::file("var/run/sensor.state").fresh().holding("connected")))
//! }
//! ```
//!
//! However it ends, also by a power failure, the home holds either the old
//! version or the new one, and `var/upgrade/upgrade_result` is written once.

mod background;
mod change;
mod command;
mod error;
mod guard;
mod health;
mod home;
mod installer;
mod journal;
mod lock;
mod log;
mod place;
mod plan;
mod record;
mod recover;
mod requirement;
mod sequence;
mod state;
mod verdict;
mod watchdog;
mod work;

pub use command::Command;
pub use error::InstallError;
pub use health::Health;
pub use installer::Installer;
pub use recover::recover;
pub use verdict::{Step, Verdict};
