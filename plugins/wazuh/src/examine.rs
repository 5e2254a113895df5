//! What `wpkctl doctor` is told of a 4.x manager's daemons: whether they are there
//! and answer, asked with the clients that the plugins themselves use. Questions
//! that change nothing.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use wpk_api::AgentId;
use wpk_api::examine::{Check, MANAGER_VERSION};

use crate::peer::{Peer, PeerError};
use crate::pool::Pool;
use crate::row;

/// The longest a daemon may take to answer, whatever is configured.
const WITHIN: Duration = Duration::from_secs(15);
/// How much of a foreign text is repeated, in characters.
const SHOWN: usize = 200;

/// The database daemon: it is asked about the manager itself, and says its version.
/// `limit` is for the answer.
pub(crate) async fn database(socket: PathBuf, limit: Duration) -> Vec<Check> {
    const NAME: &str = "agent database";
    const ADVICE: &str = "start the manager's database daemon, or set directory.socket";
    let shown = socket.display().to_string();
    let began = Instant::now();
    let pool = Pool::new(socket, 1, limit.min(WITHIN));
    let answer = match pool.place().await {
        Ok(mut place) => place.ask("global get-agent-info 0").await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(answer) if answer.starts_with(b"ok") => {
            let manager = row::agent(&answer, AgentId::MANAGER).ok();
            let version = manager.and_then(|manager| manager.parsed_version());
            let version = version.map(|version| Check::ok(MANAGER_VERSION, version.to_string()));
            let answered = Check::ok(NAME, format!("{shown}: {}", answered(began)));
            std::iter::once(answered).chain(version).collect()
        }
        Ok(answer) => {
            let answer: String = String::from_utf8_lossy(&answer)
                .chars()
                .take(SHOWN)
                .collect();
            let detail = format!("{shown} answered {answer:?}");
            vec![Check::failure(NAME, detail, ADVICE)]
        }
        Err(error) => {
            let detail = within(&shown, &error.to_string());
            vec![Check::failure(NAME, detail, ADVICE)]
        }
    }
}

/// The remote daemon: a connection is enough, since each question is an
/// agent's. `limit` is for the connection.
pub(crate) async fn remote(socket: PathBuf, limit: Duration) -> Check {
    const NAME: &str = "remote daemon";
    const ADVICE: &str = "start the manager's remote daemon, or set transport.socket";
    let shown = socket.display().to_string();
    let limit = limit.min(WITHIN);
    let connected: Result<Peer, PeerError> = match timeout(limit, Peer::connect(&socket)).await {
        Ok(connected) => connected,
        Err(_elapsed) => Err(PeerError::Closed(format!("no connection within {limit:?}"))),
    };
    match connected {
        Ok(_) => Check::ok(NAME, format!("{shown} accepts connections")),
        Err(error) => Check::failure(NAME, within(&shown, &error.to_string()), ADVICE),
    }
}

/// How long it took since, in words.
pub(crate) fn answered(began: Instant) -> String {
    format!("answered in {} ms", began.elapsed().as_millis())
}

/// An error with the socket it belongs to, named once.
pub(crate) fn within(socket: &str, error: &str) -> String {
    match error.contains(socket) {
        true => error.to_owned(),
        false => format!("{socket}: {error}"),
    }
}
