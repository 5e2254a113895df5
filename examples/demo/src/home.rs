//! The home of an agent: what is put into it, and what the program in it says of itself.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tokio::process::Command;
use wpk_api::paths;

use crate::agents::System;
use crate::error::DemoError;
use crate::packages::install_old_program;
use crate::programs::output_of;

/// The agent's settings, which enrolment began.
pub(crate) fn settings(home: &Path) -> PathBuf {
    home.join(paths::AGENT_SETTINGS)
}

/// Puts the old program into the home, the CA that the agent trusts, and the
/// rest of its settings.
pub(crate) fn prepare(home: &Path, system: &System, trusted_ca: &str) -> Result<(), DemoError> {
    fill(home, system, trusted_ca).map_err(|source| {
        DemoError::io(
            format_args!("{}: cannot be prepared", home.display()),
            source,
        )
    })
}

fn fill(home: &Path, system: &System, trusted_ca: &str) -> io::Result<()> {
    install_old_program(home)?;
    fs::write(home.join(paths::CA_STORE), trusted_ca)?;
    // Real agents take their system from the machine, and report a result after
    // 30 s; here many machines must fit into one, and nobody wants to wait.
    let settings_text = format!(
        r#"
[agent]
version_file = "VERSION"
platform = "{platform}"
os_version = "{major}.{minor}"
os_major = "{major}"
os_minor = "{minor}"
arch = "{arch}"

[upgrade]
result_check = "100ms"
notification_wait_start = "500ms"
"#,
        platform = system.platform,
        major = system.major,
        minor = system.minor,
        arch = system.arch,
    );
    let mut file = OpenOptions::new().append(true).open(settings(home))?;
    file.write_all(settings_text.as_bytes())
}

/// Really runs the program in an agent's home: which version is it?
pub(crate) async fn ask_program(home: &Path) -> Result<String, DemoError> {
    let mut command = Command::new(home.join("bin/sensor"));
    command.arg("--version").kill_on_drop(true);
    let printed = output_of(&mut command).await?;
    Ok(printed.trim_end().to_owned())
}
