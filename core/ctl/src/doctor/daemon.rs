//! Has the daemon look by itself: `wpkd examine` reads the settings as its start
//! does, and its plugins look at what they would meet. What it says is passed on;
//! what keeps it from saying anything is a failure of its own.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::timeout;
use wpk_api::examine::{Check, Line};
use wpk_api::settings::Span;

use super::report::Report;
use crate::error::CtlError;

/// The program.
const DAEMON: &str = "wpkd";
/// The name of the check that tells what became of it.
const NAME: &str = "wpkd";
/// The most that is read of what it says, in bytes.
const MOST: u64 = 16 << 20;
/// How much is repeated of what it said on standard error, in characters.
const SHOWN: usize = 600;

/// Runs `wpkd examine` with these arguments and adds each check it tells. `limit`
/// is for all of it.
///
/// # Errors
/// [`CtlError::Print`].
pub(super) async fn examine(
    arguments: Vec<OsString>,
    limit: Duration,
    report: &mut Report<'_>,
) -> Result<(), CtlError> {
    let Some(program) = find() else {
        let detail = format!("{DAEMON} is neither beside this program nor in PATH");
        let advice = "install it on this machine: only the daemon knows what it needs";
        return report.add("", &Check::failure(NAME, detail, advice));
    };
    let shown = format!("{} examine", program.display());
    let child = Command::new(&program)
        .args(["examine", "--json"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            let detail = format!("{shown} cannot be started: {error}");
            return report.add("", &Check::failure(NAME, detail, "install it anew"));
        }
    };
    let ended = match timeout(limit, listen(&mut child, report)).await {
        Ok(ended) => ended?,
        Err(_elapsed) => Err(Broken {
            what: format!("did not end within {}", Span(limit)),
            advice: "whatever it was to look at next does not answer; give it longer with --timeout",
        }),
    };
    match ended {
        Ok(()) => Ok(()),
        Err(Broken { what, advice }) => {
            report.add("", &Check::failure(NAME, format!("{shown} {what}"), advice))
        }
    }
}

/// Why not everything was looked at.
struct Broken {
    what: String,
    advice: &'static str,
}

/// Adds what it tells until its end.
async fn listen(
    child: &mut Child,
    report: &mut Report<'_>,
) -> Result<Result<(), Broken>, CtlError> {
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Ok(Err(broken("has no output", &[])));
    };
    let (told, said) = tokio::join!(pass_on(stdout, report), last(stderr));
    let told = told?;
    let status = match child.wait().await {
        Ok(status) => ended(status),
        Err(error) => error.to_string(),
    };
    Ok(match told {
        Told::All => Ok(()),
        Told::Some => Err(broken(&format!("broke off ({status})"), &said)),
        Told::Nonsense(what) => Err(broken(&format!("says what cannot be read ({what})"), &said)),
    })
}

/// How much it told.
enum Told {
    /// Everything: the last line says so.
    All,
    /// It ended before.
    Some,
    /// What is no line of an examination, and why.
    Nonsense(String),
}

async fn pass_on(stdout: ChildStdout, report: &mut Report<'_>) -> Result<Told, CtlError> {
    let mut lines = BufReader::new(stdout.take(MOST)).lines();
    loop {
        let text = match lines.next_line().await {
            Ok(Some(text)) => text,
            Ok(None) => return Ok(Told::Some),
            Err(error) => return Ok(Told::Nonsense(error.to_string())),
        };
        match serde_json::from_str(&text) {
            Ok(Line::Check { section, check }) => report.add(&section, &check)?,
            Ok(Line::End) => return Ok(Told::All),
            Err(error) => return Ok(Told::Nonsense(error.to_string())),
        }
    }
}

fn broken(what: &str, said: &[u8]) -> Broken {
    let said = String::from_utf8_lossy(said);
    let said = said.trim();
    let from = said
        .char_indices()
        .rev()
        .nth(SHOWN - 1)
        .map_or(0, |(at, _)| at);
    let said = said.get(from..).unwrap_or_default();
    Broken {
        what: match said {
            "" => what.to_owned(),
            said => format!("{what}: {}", said.replace('\n', " | ")),
        },
        advice: "install both programs from one release, and report it if they are",
    }
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no exit status".to_owned(),
    }
}

/// The end of what it says on standard error.
async fn last(mut stderr: ChildStderr) -> Vec<u8> {
    const KEPT: usize = 4 * SHOWN;
    let mut said = Vec::with_capacity(2 * KEPT);
    // A text that breaks off is told as far as it came.
    while let Ok(1..) = stderr.read_buf(&mut said).await {
        if said.len() >= 2 * KEPT {
            said.drain(..said.len() - KEPT);
        }
    }
    said
}

/// The daemon beside this program, or in `PATH`.
fn find() -> Option<PathBuf> {
    let own = std::env::current_exe().ok();
    let beside = own.as_deref().and_then(Path::parent).map(Path::to_owned);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = beside.into_iter().chain(std::env::split_paths(&path));
    // An empty entry is the working folder, where anybody may have put a program.
    let folders = folders.filter(|folder| folder.is_absolute());
    let mut programs = folders.map(|folder| folder.join(DAEMON));
    programs.find(|program| {
        let meta = program.metadata();
        meta.is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    })
}
