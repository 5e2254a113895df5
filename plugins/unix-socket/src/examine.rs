//! What `wpkctl doctor` is told of the two sockets: whether they are there, whom
//! they let in, and whether somebody answers who is what we expect. It is asked
//! beside a running daemon, so nothing is bound.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;
use wpk_api::examine::Check;
use wpk_wire::own::ListAgents;
use wpk_wire::{FrameDecoder, Response, TaskRequest, UpgradeCode, UpgradeRequest, frame};

use crate::group::group_id;

/// How long a socket may take to answer.
const WITHIN: Duration = Duration::from_secs(15);
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 1 << 20;
/// What to do where nobody answers.
const START: &str = "start wpkd, or name the right place with --config or --home";

const UPGRADE: &str = "upgrade socket";
const TASK: &str = "task socket";

/// Looks at the sockets that are switched on, and at their group.
pub(crate) async fn examine(
    upgrade_socket: Option<PathBuf>,
    task_socket: Option<PathBuf>,
    group: Option<&str>,
) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Some(path) = upgrade_socket {
        checks.push(match there(UPGRADE, &path) {
            Some(failure) => failure,
            None => upgrade(&path).await,
        });
        checks.extend(open_to_all(UPGRADE, &path));
    }
    if let Some(path) = task_socket {
        checks.push(match there(TASK, &path) {
            Some(failure) => failure,
            None => task(&path).await,
        });
        checks.extend(open_to_all(TASK, &path));
    }
    if let Some(Err(error)) = group.map(group_id) {
        let advice = "name a group of this machine, or make it";
        checks.push(Check::failure("socket group", error.to_string(), advice));
    }
    checks
}

/// Asks for one agent, which wpkd alone understands.
async fn upgrade(path: &Path) -> Check {
    let one = ListAgents {
        limit: Some(1),
        ..ListAgents::default()
    };
    let request = UpgradeRequest::Own(one.into());
    let shown = path.display();
    let (response, took) = match ask(path, &request.to_bytes()).await {
        Ok(answer) => answer,
        Err(error) => return silent(UPGRADE, path, &error),
    };
    if response.error.is_success() {
        return Check::ok(UPGRADE, format!("{shown}: {took}"));
    }
    // The item has the more specific text.
    let message = match response.data.first() {
        Some(item) => &item.message,
        None => &response.message,
    };
    // What a 4.x module says to a command without agents, or unknown to it.
    let foreign = [UpgradeCode::RequiredParameters, UpgradeCode::NotRecognized];
    if foreign.iter().any(|code| code.text() == message) {
        return Check::failure(
            UPGRADE,
            format!("{shown} is answered by another program than wpkd"),
            "switch the built-in module off (<agent-upgrade><enabled>no</enabled> in ossec.conf), \
             restart the manager, then start wpkd",
        );
    }
    Check::failure(
        UPGRADE,
        format!("{shown}: wpkd cannot list agents: {message}"),
        "look at the agent directory it uses",
    )
}

/// Asks for the task of an agent that there is not: that reads only.
async fn task(path: &Path) -> Check {
    let request = TaskRequest::Result {
        agents: vec![i64::from(i32::MAX).into()],
    };
    match ask(path, &request.to_bytes()).await {
        Ok((_, took)) => Check::ok(TASK, format!("{}: {took}", path.display())),
        Err(error) => silent(TASK, path, &error),
    }
}

/// A failure if there is no socket at `path`.
fn there(name: &str, path: &Path) -> Option<Check> {
    match path.metadata() {
        Ok(meta) if meta.file_type().is_socket() => None,
        Ok(_) => {
            let detail = format!("{} is no socket", path.display());
            Some(Check::failure(name, detail, "correct the settings"))
        }
        Err(error) => Some(silent(name, path, &error)),
    }
}

fn silent(name: &str, path: &Path, error: &io::Error) -> Check {
    let advice = match error.kind() {
        io::ErrorKind::PermissionDenied => "ask as root or as a member of the socket's group",
        _ => START,
    };
    Check::failure(name, format!("{}: {error}", path.display()), advice)
}

/// A warning where every user of the machine may upgrade agents.
fn open_to_all(name: &str, path: &Path) -> Option<Check> {
    let mode = path.metadata().ok()?.permissions().mode();
    (mode & 0o002 != 0).then(|| {
        let (shown, mode) = (path.display(), mode & 0o7777);
        let detail = format!("{shown} lets every user in (mode {mode:04o})");
        let advice = "set mode = \"0660\" and a group in its [[source]]";
        Check::warning(name, detail, advice)
    })
}

/// Sends one request; gives the answer, and how long it took in words.
async fn ask(path: &Path, request: &[u8]) -> io::Result<(Response, String)> {
    let began = Instant::now();
    let talk = async {
        let mut stream = UnixStream::connect(path).await?;
        stream.write_all(&frame::frame(request)).await?;
        answer(&mut stream).await
    };
    let silent = |_| Err(io::Error::other(format!("no answer within {WITHIN:?}")));
    let answer = timeout(WITHIN, talk).await.unwrap_or_else(silent)?;
    let response = Response::parse(&answer).map_err(io::Error::other)?;
    let took = format!("answered in {} ms", began.elapsed().as_millis());
    Ok((response, took))
}

async fn answer(stream: &mut UnixStream) -> io::Result<Bytes> {
    let mut decoder = FrameDecoder::new(MAX_ANSWER);
    loop {
        if let Some(frame) = decoder.next_frame().map_err(io::Error::other)? {
            return Ok(frame);
        }
        if stream.read_buf(decoder.buffer_mut()).await? == 0 {
            return Err(io::Error::other("closed without an answer"));
        }
    }
}
