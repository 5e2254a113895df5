//! What `wpkctl doctor` is told of the two sockets: whether they are there, whom
//! they let in, and whether somebody answers who is what we expect. It is asked
//! beside a running daemon, so nothing is bound.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;
use wpk_api::Endpoint;
use wpk_api::examine::Check;
use wpk_socket_file::{Names, Standing, group_id, standing};
use wpk_wire::own::ListAgents;
use wpk_wire::{FrameDecoder, Response, TaskRequest, UpgradeCode, UpgradeRequest, frame};

use crate::served::Served;

/// How long a socket may take to answer.
const WITHIN: Duration = Duration::from_secs(15);
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 1 << 20;
/// What to do where nobody answers.
const START: &str = "start wpkd, or name the right place with --config or --home";

/// Looks at the sockets that are switched on, and at their group.
pub(crate) async fn examine(
    sockets: &[Served],
    take_over: bool,
    group: Option<&str>,
) -> Vec<Check> {
    let mut checks = Vec::new();
    for socket in sockets {
        let (name, path) = (socket.name(), &socket.path);
        // What lies there is asked; who lies there is another matter.
        let standing = standing(path).ok();
        checks.push(match (there(name, path), socket.endpoint) {
            // As it should be before the start.
            _ if waits_for_start(standing.as_ref()) => not_yet(name, path, standing.as_ref()),
            (Some(failure), _) => failure,
            (None, _) if take_over && waits(standing.as_ref()) => to_be_taken(name, path),
            (None, Endpoint::Upgrade) => upgrade(name, path, standing.as_ref()).await,
            (None, Endpoint::Task) => task(name, path, standing.as_ref()).await,
        });
        checks.extend(open_to_all(name, path));
    }
    if let Some(Err(error)) = group.map(group_id) {
        let advice = "name a group of this machine, or make it";
        checks.push(Check::failure("socket group", error.to_string(), advice));
    }
    checks
}

/// Whether the built-in serves it, as it should until wpkd starts.
fn waits(standing: Option<&Standing>) -> bool {
    matches!(standing, Some(Standing::Another | Standing::AnotherInFront))
}

/// Whether nobody serves it and no wpkd runs that should.
fn waits_for_start(standing: Option<&Standing>) -> bool {
    matches!(standing, Some(Standing::Nobody | Standing::Left { .. }))
}

fn not_yet(name: &str, path: &Path, standing: Option<&Standing>) -> Check {
    let told = standing.map(|standing| standing.told(path, Names::MANAGER));
    let detail = format!("{}; wpkd does not run", told.unwrap_or_default());
    Check::warning(name, detail, START)
}

fn to_be_taken(name: &str, path: &Path) -> Check {
    let Names { us, them } = Names::MANAGER;
    let detail = format!("{}: served by {them}, {us} does not yet", path.display());
    Check::warning(name, detail, "start wpkd, which takes it over")
}

/// What is said of a socket that answers: how fast, and who it is where that is known.
fn answered(path: &Path, took: &str, standing: Option<&Standing>) -> String {
    match standing {
        Some(standing @ Standing::Ours { .. }) => {
            format!("{}, {took}", standing.told(path, Names::MANAGER))
        }
        _ => format!("{}: {took}", path.display()),
    }
}

/// Asks for one agent, which wpkd alone understands.
async fn upgrade(name: &str, path: &Path, standing: Option<&Standing>) -> Check {
    let one = ListAgents {
        limit: Some(1),
        ..ListAgents::default()
    };
    let request = UpgradeRequest::Own(one.into());
    let shown = path.display();
    let (response, took) = match ask(path, &request.to_bytes()).await {
        Ok(answer) => answer,
        Err(error) => return silent(name, path, &error),
    };
    if response.error.is_success() {
        return Check::ok(name, answered(path, &took, standing));
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
            name,
            format!("{shown} is answered by another program than wpkd"),
            "set take_over = true in its [[source]]: a manager's own module cannot be switched \
             off; then start wpkd",
        );
    }
    Check::failure(
        name,
        format!("{shown}: wpkd cannot list agents: {message}"),
        "look at the agent directory it uses",
    )
}

/// Asks for the task of an agent that there is not: that reads only.
async fn task(name: &str, path: &Path, standing: Option<&Standing>) -> Check {
    let request = TaskRequest::Result {
        agents: vec![i64::from(i32::MAX).into()],
    };
    match ask(path, &request.to_bytes()).await {
        Ok((_, took)) => Check::ok(name, answered(path, &took, standing)),
        Err(error) => silent(name, path, &error),
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
