//! The sockets: whether they are there, whom they let in, and whether somebody
//! answers who is what we expect.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;
use wpk_api::{Role, paths};
use wpk_config::{PluginSection, Settings};
use wpk_wire::own::ListAgents;
use wpk_wire::{FrameDecoder, Response, TaskRequest, UpgradeCode, frame};

use super::report::Check;
use crate::error::CtlError;
use crate::manager::client::Client;

/// How long a socket may take to answer.
const WITHIN: Duration = Duration::from_secs(15);
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// The upgrade and the task socket.
pub(super) async fn manager(upgrade: Option<&Path>, settings: &Settings) -> Vec<Check> {
    const NAME: &str = "upgrade socket";
    let Some(upgrade) = upgrade else {
        let advice = "add a [[source]] of the type \"unix-socket\"";
        return vec![Check::failure(NAME, "none is configured", advice)];
    };
    let mut checks = match there(NAME, upgrade, START) {
        Some(failure) => vec![failure],
        None => vec![upgrade_answer(NAME, upgrade).await],
    };
    checks.extend(open_to_all(NAME, upgrade));
    // The task manager runs on the master only (protocol.md, section 10).
    if settings.node.role == Role::Master {
        let section = settings.sources.iter().find(|s| s.kind == "unix-socket");
        let task = section.and_then(|section| text(section, "task"));
        let task = task.unwrap_or(paths::TASK_SOCKET);
        if !task.is_empty() && (section.is_some() || settings.sources.is_empty()) {
            checks.extend(task_socket(&settings.path(task)).await);
        }
    }
    checks
}

const START: &str = "start wpkd, or name the right place with --config, --home or --socket";

async fn upgrade_answer(name: &'static str, path: &Path) -> Check {
    let began = Instant::now();
    let one = ListAgents {
        limit: Some(1),
        ..ListAgents::default()
    };
    let mut client = Client::new(path.to_owned());
    let shown = path.display();
    match client.own(one).await {
        Ok(_) => Check::ok(name, format!("{shown}: {}", answered(began))),
        // What a 4.x module says to a command without agents, or unknown to it.
        Err(CtlError::Refused { message, .. })
            if [UpgradeCode::RequiredParameters, UpgradeCode::NotRecognized]
                .iter()
                .any(|code| code.text() == message) =>
        {
            Check::failure(
                name,
                format!("{shown} is answered by another program than wpkd"),
                "switch the built-in module off (<agent-upgrade><enabled>no</enabled> in \
                 ossec.conf), restart the manager, then start wpkd",
            )
        }
        Err(CtlError::Refused { message, .. }) => Check::failure(
            name,
            format!("{shown}: wpkd cannot list agents: {message}"),
            "look at the agent directory it uses",
        ),
        Err(error) => Check::failure(name, error.to_string(), ""),
    }
}

async fn task_socket(path: &Path) -> Vec<Check> {
    const NAME: &str = "task socket";
    if let Some(failure) = there(NAME, path, START) {
        return vec![failure];
    }
    // Reads only; there is no such agent.
    let request = TaskRequest::Result {
        agents: vec![i64::from(i32::MAX).into()],
    };
    let began = Instant::now();
    let answer = exchange(path, &request.to_bytes()).await;
    let shown = path.display();
    let first = match answer.map(|answer| Response::parse(&answer)) {
        Ok(Ok(_)) => Check::ok(NAME, format!("{shown}: {}", answered(began))),
        Ok(Err(error)) => Check::failure(NAME, format!("{shown}: {error}"), START),
        Err(error) => Check::failure(NAME, format!("{shown}: {error}"), advice(&error, START)),
    };
    std::iter::once(first)
        .chain(open_to_all(NAME, path))
        .collect()
}

/// The sockets of a 4.x manager that we need.
pub(super) async fn wazuh(settings: &Settings) -> Vec<Check> {
    let mut checks = Vec::new();
    let of = |section: &Option<PluginSection>, kind| {
        section.clone().filter(|section| section.kind == kind)
    };
    if let Some(directory) = of(&settings.directory, "wazuh-db") {
        let path = text(&directory, "socket").unwrap_or(paths::DATABASE_SOCKET);
        checks.push(database_daemon(&settings.path(path)).await);
    }
    if let Some(transport) = of(&settings.transport, "remoted") {
        let path = text(&transport, "socket").unwrap_or(paths::REMOTE_SOCKET);
        let advice = "start the manager's remote daemon, or set transport.socket";
        checks.push(accepts("remote daemon", &settings.path(path), advice).await);
        if settings.node.role == Role::Worker {
            let path = settings.path(paths::CLUSTER_SOCKET);
            let advice = "start the manager's cluster daemon: tasks are kept by the master";
            checks.push(accepts("cluster", &path, advice).await);
        }
    }
    checks
}

async fn database_daemon(path: &Path) -> Check {
    const NAME: &str = "agent database";
    const ADVICE: &str = "start the manager's database daemon, or set directory.socket";
    if let Some(failure) = there(NAME, path, ADVICE) {
        return failure;
    }
    let began = Instant::now();
    let shown = path.display();
    match exchange(path, b"global get-agent-info 0").await {
        Ok(answer) if answer.starts_with(b"ok") => {
            Check::ok(NAME, format!("{shown}: {}", answered(began)))
        }
        Ok(answer) => {
            let answer = String::from_utf8_lossy(&answer);
            let answer: String = answer.chars().take(200).collect();
            Check::failure(NAME, format!("{shown} answered {answer:?}"), ADVICE)
        }
        Err(error) => Check::failure(NAME, format!("{shown}: {error}"), advice(&error, ADVICE)),
    }
}

async fn accepts(name: &'static str, path: &Path, start: &str) -> Check {
    if let Some(failure) = there(name, path, start) {
        return failure;
    }
    let shown = path.display();
    match connect(path).await {
        Ok(_) => Check::ok(name, format!("{shown} accepts connections")),
        Err(error) => Check::failure(name, format!("{shown}: {error}"), advice(&error, start)),
    }
}

/// A failure if there is no socket at `path`.
fn there(name: &'static str, path: &Path, start: &str) -> Option<Check> {
    let shown = path.display();
    match path.metadata() {
        Ok(meta) if meta.file_type().is_socket() => None,
        Ok(_) => {
            let detail = format!("{shown} is no socket");
            Some(Check::failure(name, detail, "correct the settings"))
        }
        Err(error) => {
            let detail = format!("{shown}: {error}");
            Some(Check::failure(name, detail, advice(&error, start)))
        }
    }
}

/// A warning where every user of the machine may upgrade agents.
fn open_to_all(name: &'static str, path: &Path) -> Option<Check> {
    let mode = path.metadata().ok()?.permissions().mode();
    (mode & 0o002 != 0).then(|| {
        let detail = format!(
            "{} lets every user in (mode {:04o})",
            path.display(),
            mode & 0o7777
        );
        Check::warning(
            name,
            detail,
            "set mode = \"0660\" and a group in its [[source]]",
        )
    })
}

async fn connect(path: &Path) -> io::Result<UnixStream> {
    timeout(WITHIN, UnixStream::connect(path))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Sends one frame and reads one.
async fn exchange(path: &Path, payload: &[u8]) -> io::Result<Vec<u8>> {
    let talk = async {
        let mut stream = connect(path).await?;
        stream.write_all(&frame::frame(payload)).await?;
        let mut decoder = FrameDecoder::new(MAX_ANSWER);
        loop {
            if let Some(frame) = decoder.next_frame().map_err(io::Error::other)? {
                return Ok(frame.to_vec());
            }
            if stream.read_buf(decoder.buffer_mut()).await? == 0 {
                return Err(io::Error::other("closed without an answer"));
            }
        }
    };
    let silent = || Err(io::Error::other("no answer within 15 s"));
    timeout(WITHIN, talk).await.unwrap_or_else(|_| silent())
}

fn advice<'a>(error: &io::Error, start: &'a str) -> &'a str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "ask as root or as a member of the socket's group",
        _ => start,
    }
}

fn answered(began: Instant) -> String {
    format!("answered in {} ms", began.elapsed().as_millis())
}

/// A text among the settings of a plugin.
fn text<'a>(section: &'a PluginSection, key: &str) -> Option<&'a str> {
    section
        .settings
        .get(key)
        .and_then(serde_json::Value::as_str)
}
