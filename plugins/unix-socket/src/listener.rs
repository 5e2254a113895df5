//! Accepts the connections of one socket, within its limit.
//!
//! A free place is taken before a connection is accepted, so that what cannot
//! be served yet waits in the queue of the kernel and nothing accepted is ever
//! thrown away. While places are missing, clients that keep one without sending
//! are asked to leave. Errors of `accept` (no descriptor left, for example) are
//! met by growing pauses, never by a busy loop.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use wpk_api::{CancellationToken, Peer, SourceError};
use wpk_socket_file::{Kept, SocketFile};

use crate::client::{PATIENCE_WHEN_CROWDED, ServedSocket};
use crate::connection;

/// First and longest pause after an error of `accept`.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// At most this many errors are logged one by one; then every 60th.
const LOGGED_ERRORS: u32 = 3;

/// How long a socket whose file was removed is still accepted from, where another had to
/// be made: for clients that had connected by then.
const OLD_CLIENTS: Duration = Duration::from_secs(5);

/// Accepts connections and gives each a place.
pub(crate) struct Listener {
    pub(crate) socket: Arc<ServedSocket>,
    pub(crate) allow_uids: Option<Arc<[u32]>>,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) tracker: TaskTracker,
    /// Somebody waits for the end in order; where the source is dropped nobody does.
    pub(crate) asked_to_stop: CancellationToken,
}

/// Accepts until `socket.stop`, and keeps the socket at its path; then gives it back, and
/// lets those be answered who had connected by then.
///
/// # Errors
/// [`SourceError`] if the socket itself is broken, or cannot be kept at its path.
pub(crate) async fn run(listener: Arc<Listener>, mut file: SocketFile) -> Result<(), SourceError> {
    loop {
        let kept = tokio::select! {
            ended = listener.accept(&file) => {
                ended?;
                break;
            }
            kept = file.kept() => kept.map_err(|error| SourceError {
                source_name: file.path().display().to_string(),
                message: format!("the socket was removed and cannot be made again: {error}"),
            })?,
        };
        match kept {
            Kept::Back => listener.socket.service.was_away(),
            Kept::Anew(anew) => {
                let old = std::mem::replace(&mut file, anew);
                let listener = Arc::clone(&listener);
                tokio::spawn(async move {
                    // How that ends is of no interest: nobody can come any more.
                    drop(tokio::time::timeout(OLD_CLIENTS, listener.accept(&old)).await);
                });
            }
        }
    }
    file.give_back();
    if !listener.asked_to_stop.is_cancelled() {
        return Ok(());
    }
    for stream in file.waiting() {
        listener.serve(stream, None, &file);
    }
    Ok(())
}

impl Listener {
    /// Accepts until the daemon stops, spawning connections.
    ///
    /// # Errors
    /// [`SourceError`] if the socket itself is broken.
    async fn accept(&self, file: &SocketFile) -> Result<(), SourceError> {
        let Self { socket, places, .. } = self;
        let mut failures = 0u32;
        loop {
            let Some(place) = free_place(places, socket).await else {
                return Ok(());
            };
            let accepted = tokio::select! {
                biased;
                () = socket.stop.cancelled() => return Ok(()),
                accepted = file.listener().accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    failures = 0;
                    self.serve(stream, Some(place), file);
                }
                Err(error) if is_of_one_client(&error) => {}
                Err(error) if is_fatal(&error) => {
                    return Err(SourceError {
                        source_name: file.path().display().to_string(),
                        message: format!(
                            "the socket accepts no connections any more: {error}; restart the daemon"
                        ),
                    });
                }
                Err(error) => {
                    if failures < LOGGED_ERRORS || failures.is_multiple_of(60) {
                        tracing::error!(
                            path = %file.path().display(), %error,
                            "cannot accept a connection; trying again (raise the limit of open files \
                             if there are too many)"
                        );
                    }
                    // Clients that send nothing may hold the descriptors that are missing.
                    socket.crowded.notify_waiters();
                    let pause = PAUSES.0.saturating_mul(1 << failures.min(8)).min(PAUSES.1);
                    failures = failures.saturating_add(1);
                    tokio::select! {
                        () = socket.stop.cancelled() => return Ok(()),
                        () = tokio::time::sleep(pause) => {}
                    }
                }
            }
        }
    }

    /// Serves a client, who has a `place` while it lasts.
    fn serve(&self, stream: UnixStream, place: Option<OwnedSemaphorePermit>, file: &SocketFile) {
        let Some(peer) = admit(&stream, self.allow_uids.as_deref(), file) else {
            return;
        };
        let socket = Arc::clone(&self.socket);
        self.tracker.spawn(async move {
            connection::serve(stream, peer, &socket).await;
            drop(place);
        });
    }
}

/// A place for one more connection; `None`: the daemon stops.
async fn free_place(
    places: &Arc<Semaphore>,
    socket: &ServedSocket,
) -> Option<OwnedSemaphorePermit> {
    if let Ok(place) = Arc::clone(places).try_acquire_owned() {
        return Some(place);
    }
    tracing::debug!(endpoint = ?socket.endpoint, "max_connections reached; new clients wait");
    loop {
        socket.crowded.notify_waiters();
        let freed = Arc::clone(places).acquire_owned();
        tokio::select! {
            () = socket.stop.cancelled() => return None,
            place = tokio::time::timeout(PATIENCE_WHEN_CROWDED, freed) => match place {
                Ok(place) => return place.ok(),
                Err(_still_crowded) => {}
            },
        }
    }
}

/// Who the client is; `None`: it may not send requests.
fn admit(stream: &UnixStream, allow_uids: Option<&[u32]>, file: &SocketFile) -> Option<Peer> {
    let uid = stream.peer_cred().ok().map(|credentials| credentials.uid());
    let allowed = allow_uids.is_none_or(|allowed| uid.is_some_and(|uid| allowed.contains(&uid)));
    if !allowed {
        tracing::warn!(
            path = %file.path().display(), uid,
            "refused a client: its user id is not in allow_uids"
        );
        return None;
    }
    Some(uid.map_or(Peer::Unknown, |uid| Peer::Local { uid }))
}

/// The client left before it was accepted; the next one may be fine.
fn is_of_one_client(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
    )
}

/// No later `accept` on this socket can succeed.
fn is_fatal(error: &std::io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw_os_error),
        Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::OPNOTSUPP)
    )
}
