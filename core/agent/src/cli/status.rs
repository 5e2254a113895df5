//! `wpk-agent status`: what runs now. It reads what the agent tells of itself (`facts`) and
//! what lies in its home, and asks nobody, so it answers also when the agent hangs.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use wpk_api::paths;
use wpk_api::words::{LONGEST_CAUSE, clean};

use super::exit::{NOT_RUNNING, WRONG_SETTINGS};
use crate::facts::{self, Channel, Told, now};
use crate::home::{AGENT_LOCK, INSTALLER_LOCK};
use crate::platform::files;
use crate::result::ResultFile;
use crate::settings::Settings;
use crate::task_file::TaskFile;

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// One JSON object instead of lines.
    #[arg(long)]
    json: bool,
}

/// What there is to tell.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    home: PathBuf,
    /// Its process, if it runs.
    pub(super) running: Option<u32>,
    /// What it told last, whether it runs or not.
    told: Option<Told>,
    pub(super) upgrade: Upgrade,
}

/// What goes on in `var/upgrade`.
#[derive(Debug, Serialize)]
pub(super) struct Upgrade {
    /// Whether an installer, or something that it began, runs.
    pub(super) installer_runs: bool,
    /// The task that it, or the result that waits, is of.
    task: Option<i64>,
    /// What the installer left and the manager has not taken yet.
    pub(super) result: Option<String>,
}

/// Prints it.
pub(super) fn run(config: &Path, home: Option<&Path>, options: &Options) -> ExitCode {
    let home = match Settings::load(config, home) {
        Ok(settings) => settings.home,
        // It may run with those from before.
        Err(problems) => match Settings::home_in(config, home) {
            Some(home) => home,
            None => {
                eprintln!("{problems}");
                return ExitCode::from(WRONG_SETTINGS);
            }
        },
    };
    let status = match look(&home) {
        Ok(status) => status,
        Err(error) => {
            let home = home.display();
            eprintln!("wpk-agent: {home}: {error}: ask as root, or as the agent's user");
            return ExitCode::FAILURE;
        }
    };
    let text = match options.json {
        true => serde_json::to_string(&status).unwrap_or_default() + "\n",
        false => status.lines(),
    };
    // Nobody may read it any more.
    let _ = io::Write::write_all(&mut io::stdout(), text.as_bytes());
    match status.running {
        Some(_) => ExitCode::SUCCESS,
        None => ExitCode::from(NOT_RUNNING),
    }
}

/// Looks into a home.
///
/// # Errors
/// It may not be looked into.
pub(super) fn look(home: &Path) -> io::Result<Status> {
    let told = match Told::read(home) {
        Ok(told) => Some(told),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
        // None was ever told, or it is no text of ours: the lock tells.
        Err(_) => None,
    };
    let alive = told.as_ref().filter(|told| told.is_alive());
    // Where it could not tell (a full disk), or has not yet.
    let running = match alive {
        Some(told) => Some(told.pid),
        None => files::holder(&home.join(AGENT_LOCK)),
    };
    let result = home.join(paths::UPGRADE_RESULT);
    let found = match ResultFile::read(&result) {
        ResultFile::Absent => None,
        ResultFile::Result(0) => Some("done".to_owned()),
        ResultFile::Result(code) => Some(format!("failed ({code})")),
        none => none.trouble().map(str::to_owned),
    };
    let task = TaskFile::beside(&result).read();
    Ok(Status {
        home: home.to_owned(),
        running,
        told,
        upgrade: Upgrade {
            installer_runs: files::holder(&home.join(INSTALLER_LOCK)).is_some(),
            task: task.map(|task| task.0),
            result: found,
        },
    })
}

impl Status {
    /// Whether what it told is of the process that runs.
    pub(super) fn told_now(&self) -> Option<&Told> {
        let told = self.told.as_ref()?;
        (self.running == Some(told.pid)).then_some(told)
    }

    /// For people.
    fn lines(&self) -> String {
        let mut text = String::new();
        let home = self.home.display();
        // Writing to a string does not fail.
        let _ = match (self.running, self.told_now()) {
            (Some(pid), Some(told)) => {
                let (version, age) = (&told.program_version, age(told.since));
                let yet = if told.ready { "" } else { "; it is starting" };
                writeln!(
                    text,
                    "agent:   wpk-agent {version} runs since {age}, process {pid}, home {home}{yet}"
                )
            }
            (Some(pid), None) => writeln!(
                text,
                "agent:   runs as process {pid} in {home}, and has told nothing more in {} (yet, or \
                 the disk is full: see its log)",
                facts::FILE
            ),
            (None, _) => writeln!(text, "agent:   not running in {home}"),
        };
        if let (None, Some(told)) = (self.running, &self.told) {
            let version = &told.program_version;
            let _ = writeln!(
                text,
                "         the last one was wpk-agent {version}, process {}",
                told.pid
            );
        }
        if let Some(told) = self.told_now() {
            let manager = told.channel.as_ref().map_or_else(
                || "none: there is no [channel] in its settings".to_owned(),
                connection,
            );
            let _ = writeln!(text, "manager: {}", clean(&manager, LONGEST_CAUSE));
            if let Some(socket) = &told.socket {
                let _ = writeln!(text, "socket:  {}", socket.display());
            }
        }
        let _ = writeln!(text, "upgrade: {}", self.upgrade.line());
        text
    }
}

/// Connected or not, and why not.
pub(super) fn connection(channel: &Channel) -> String {
    let (address, age) = (&channel.address, age(channel.since));
    let known = |text: &Option<String>| text.clone().unwrap_or_default();
    let who = match &channel.agent {
        Some(agent) => format!(" as agent {agent} ({})", known(&channel.name)),
        None => String::new(),
    };
    if channel.connected {
        let version = match known(&channel.version) {
            version if version.is_empty() => "no version".to_owned(),
            version => format!("version {version}"),
        };
        format!("connected to {address}{who} since {age}; it was told {version}")
    } else if channel.reason.is_empty() {
        format!("not connected yet: dialling {address} since {age}")
    } else {
        let reason = &channel.reason;
        format!("not connected to {address} since {age}: {reason}")
    }
}

impl Upgrade {
    pub(super) fn line(&self) -> String {
        let task = match self.task {
            Some(task) => format!(" of task {task}"),
            None => String::new(),
        };
        match (&self.result, self.installer_runs) {
            (Some(result), _) => {
                format!("the result{task} waits until the manager has taken it: {result}")
            }
            (None, true) => format!("the installer{task} runs"),
            (None, false) => "none runs, and no result waits".to_owned(),
        }
    }
}

/// How long ago, in the unit that people would take.
fn age(since: u64) -> String {
    let seconds = now().saturating_sub(since);
    match seconds {
        172_800.. => format!("{} days", seconds / 86_400),
        7_200.. => format!("{} hours", seconds / 3_600),
        120.. => format!("{} minutes", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_told_with_the_reason_it_is_none() {
        let mut channel = Channel {
            address: "m:1".to_owned(),
            since: now(),
            ..Channel::default()
        };
        assert_eq!(
            connection(&channel),
            "not connected yet: dialling m:1 since 0 s"
        );
        channel.reason = "nobody answered in time".to_owned();
        assert_eq!(
            connection(&channel),
            "not connected to m:1 since 0 s: nobody answered in time"
        );
        channel.connected = true;
        channel.agent = Some("007".to_owned());
        channel.name = Some("web".to_owned());
        assert_eq!(
            connection(&channel),
            "connected to m:1 as agent 007 (web) since 0 s; it was told no version"
        );
    }
}
