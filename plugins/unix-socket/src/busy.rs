//! Clients that ask one short question right after the other: each has a thread while it does.
//!
//! A thread that sleeps until its client asks is woken by it, on the same processor, and
//! wakes it again with the answer. A worker of the runtime is awake on any processor: most
//! answers then wake a client of another one, which has to be interrupted for that. On a
//! virtual machine this takes longer than everything else of an answer together
//! (`cargo bench -p wpk-tests --bench scale -- result`, tests/benches/README.md).
//!
//! While files are sent nobody has a thread: as many that hammer would halve what agents get.
//!
//! The threads are their own, and not the runtime's for blocking work: those may all wait for
//! a dead disk.

use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::client::{Client, End, FIRST_READ, ServedSocket, later};

/// At most so many clients have a thread, for both sockets; all others are served as well.
pub(crate) const THREADS: usize = 64;
/// A question comes at once that comes within this time after the answer before.
const AT_ONCE: Duration = Duration::from_millis(2);
/// So many in a row are a habit.
const HABIT: u32 = 32;
/// A client that does not ask for so long gives its thread back; where others may want one,
/// as soon as it does not ask at once. For so long, too, it may take until the daemon that
/// stops, or others that wait for its connection, are heard.
const PATIENCE: Duration = Duration::from_millis(50);

/// How soon a client asks again.
#[derive(Debug, Default)]
pub(crate) struct Habit {
    at_once: u32,
}

impl Habit {
    /// It took so long until it did, with so many bytes.
    pub(crate) fn asked(&mut self, waited: Duration, bytes: usize) {
        self.at_once = match waited < AT_ONCE && bytes <= FIRST_READ {
            true => self.at_once.saturating_add(1),
            false => 0,
        };
    }

    /// Whether it is worth a thread.
    pub(crate) fn asks_at_once(&self) -> bool {
        self.at_once >= HABIT
    }
}

/// Serves a client, of whom nothing is there, for as long as it asks at once, if a thread is
/// free. Gives it back where it does no more, or its connection has to end.
///
/// # Errors
/// Those of the connection.
pub(crate) async fn serve(
    client: Client,
    socket: &Arc<ServedSocket>,
) -> io::Result<Result<Client, End>> {
    let free = Arc::clone(&socket.threads).try_acquire_owned();
    let Some(free) = free.ok().filter(|_| !socket.service.is_sending()) else {
        return Ok(Ok(client));
    };
    let (tell, told) = oneshot::channel();
    // Left here where there is no thread.
    let waiting = Arc::new(Mutex::new(Some(client)));
    let take = |from: &Mutex<Option<Client>>| {
        let mut waiting = from.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.take()
    };
    let (theirs, socket, runtime) = (Arc::clone(&waiting), Arc::clone(socket), Handle::current());
    let thread = std::thread::Builder::new().name("client".to_owned());
    let started = thread.spawn(move || {
        let Some(mut client) = take(&theirs) else {
            return;
        };
        let ended = questions(&mut client, &socket, &runtime);
        drop(free);
        // Nobody hears it where the runtime is gone.
        drop(tell.send(ended.map(|ended| ended.map_or(Ok(client), Err))));
    });
    if let Err(error) = started {
        tracing::debug!(%error, "no thread for a client that asks often");
        return take(&waiting).map(Ok).ok_or(error);
    }
    // It says nothing where the engine panicked.
    told.await
        .unwrap_or(Ok(Err(End::Dropped("its request was not answered"))))
}

/// `None`: what it does now takes more than this, or it does nothing.
fn questions(
    client: &mut Client,
    socket: &ServedSocket,
    runtime: &Handle,
) -> io::Result<Option<End>> {
    let longest = PATIENCE.min(socket.idle_timeout);
    let mut over = pin!(socket.over.cancelled());
    loop {
        let patience = match socket.threads.available_permits() {
            0 => AT_ONCE.min(longest),
            _ => longest,
        };
        let buffer = client.decoder.buffer_mut();
        match client.stream.read_asleep(buffer, FIRST_READ, patience) {
            Ok(0) => return Ok(Some(End::Orderly)),
            Ok(_) => {}
            Err(error) if later(&error) => return Ok(None),
            Err(error) => return Err(error),
        }
        loop {
            let payload = match client.next() {
                Err(end) => return Ok(Some(end)),
                Ok(None) => break,
                Ok(Some(payload)) => payload,
            };
            let room = &mut None;
            let ended = runtime.block_on(async {
                tokio::select! {
                    biased;
                    // First: from then on the runtime may be gone, and nobody ends a thread.
                    () = over.as_mut() => Ok(Some(End::Dropped("the daemon stops"))),
                    ended = client.answer(payload, room, socket) => ended,
                }
            });
            if let Some(end) = ended? {
                return Ok(Some(end));
            }
        }
        // The rest of a frame, and a stop, are waited for by the runtime.
        let waits = !client.decoder.is_empty() || socket.stop.is_cancelled();
        if waits || socket.service.is_sending() {
            return Ok(None);
        }
    }
}
