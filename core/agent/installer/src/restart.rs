//! Starting the agent anew: by systemd where it is a service of it, else the process, with
//! what it was started with. Also whoever rolls back calls this, so it must work when no
//! agent runs any more.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::agent::Agent;

/// How long the agent may take to end in order, as in its unit.
const PATIENCE: Duration = Duration::from_secs(20);
/// Pause between two looks at a process that is not ours.
const PAUSE: Duration = Duration::from_millis(50);
/// Where the log goes if it went to no file.
const LOG: &str = "logs/wpk-agent.log";

/// Starts the agent of this home anew.
///
/// # Errors
/// Why it could not be.
pub(crate) fn restart(home: &Path) -> Result<(), String> {
    let agent =
        Agent::read(home).map_err(|error| format!("which agent ran is not told: {error}"))?;
    if let Some(unit) = &agent.unit
        && Path::new("/run/systemd/system").exists()
    {
        // systemd waits for nobody who may be waiting for it.
        let status = Command::new("systemctl")
            .args(["--no-block", "restart", unit])
            .stdin(Stdio::null())
            .status();
        return match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("systemctl restart {unit}: {status}")),
            Err(error) => Err(format!("systemctl cannot be run: {error}")),
        };
    }
    let environment = environment(&agent);
    end(&agent);
    start(home, &agent, environment)
}

/// What the process has in its environment, while it lives.
fn environment(agent: &Agent) -> Vec<(OsString, OsString)> {
    let text = fs::read(format!("/proc/{}/environ", agent.pid)).unwrap_or_default();
    let pair = |line: &[u8]| {
        let at = line.iter().position(|&byte| byte == b'=')?;
        let (key, value) = line.split_at(at);
        let own = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
        Some((own(key), own(value.get(1..)?)))
    };
    let found: Vec<_> = text.split(|&byte| byte == 0).filter_map(pair).collect();
    if found.is_empty() || !agent.is_alive() {
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        return vec![("PATH".into(), path.into())];
    }
    found
}

fn end(agent: &Agent) {
    let Some(pid) = i32::try_from(agent.pid).ok().and_then(Pid::from_raw) else {
        return;
    };
    let begin = Instant::now();
    let mut signal = Signal::TERM;
    let mut asked = false;
    while agent.is_alive() {
        if signal == Signal::TERM && begin.elapsed() > PATIENCE {
            (signal, asked) = (Signal::KILL, false);
        }
        if !asked {
            asked = true;
            // It may have ended just now.
            let _ = kill_process(pid, signal);
        }
        sleep(PAUSE);
    }
}

fn start(home: &Path, agent: &Agent, environment: Vec<(OsString, OsString)>) -> Result<(), String> {
    let log = log(home, agent);
    let program = agent.program.display();
    // A log that cannot be written is no reason not to run.
    let output = || match log.as_ref().map(File::try_clone) {
        Some(Ok(file)) => Stdio::from(file),
        _ => Stdio::null(),
    };
    Command::new(&agent.program)
        .args(agent.arguments.iter().skip(1))
        .env_clear()
        .envs(environment)
        .current_dir(&agent.folder)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output())
        .stderr(output())
        .spawn()
        .map(drop)
        .map_err(|error| format!("{program} cannot be started: {error}"))
}

fn log(home: &Path, agent: &Agent) -> Option<File> {
    let usual = home.join(LOG);
    let open = |path: &Path| OpenOptions::new().append(true).create(true).open(path);
    let wanted = agent.log.as_deref().unwrap_or(&usual);
    let opened = open(wanted).or_else(|_| open(&usual));
    opened.ok()
}
