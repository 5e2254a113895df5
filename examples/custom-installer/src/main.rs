//! The installer inside a WPK: it puts a new sensor and its rules into the
//! agent's home, and takes them back when the sensor does not pass its self
//! test.

use std::process::ExitCode;
use std::time::Duration;

use wpk_installer::{Command, Health, InstallError, Installer};

fn main() -> ExitCode {
    match installer() {
        Ok(installer) => installer.run(),
        Err(error) => {
            eprintln!("custom-installer: {error}");
            ExitCode::from(2)
        }
    }
}

fn installer() -> Result<Installer, InstallError> {
    let self_test = Command::from(["bin/sensor", "--self-test"]).limit(Duration::from_secs(5));
    Ok(Installer::here()?
        .require_program("sh")
        .install("bin/sensor", "sensor", 0o750)
        .install("share/sensor/rules", "rules", 0o640)
        .health(Health::command(self_test))
        .health_limit(Duration::from_secs(20)))
}
