//! Clients that ask one question right after the other: each has a thread while it does.
//!
//! A thread that sleeps until its client asks is woken by it, on the same processor, and
//! wakes it again with the answer. A worker of the runtime is awake on any processor: most
//! answers then wake a client of another one, which has to be interrupted for that. On a
//! virtual machine this takes longer than everything else of an answer together
//! (`scale --bench result`: half as many answers).

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::client::{Client, End, FIRST_READ, ServedSocket, later};

/// At most so many clients have a thread, for both sockets; all others are served as well.
pub(crate) const THREADS: usize = 64;
/// A question comes at once that comes within this time after the answer before.
const AT_ONCE: Duration = Duration::from_millis(2);
/// So many in a row are a habit.
const HABIT: u32 = 32;
/// A client that does not ask for so long gives its thread back. For so long, too, it may
/// take until the daemon that stops, or others that wait for its connection, are heard.
const PATIENCE: Duration = Duration::from_millis(50);

/// How soon a client asks again.
#[derive(Debug, Default)]
pub(crate) struct Habit {
    at_once: u32,
}

impl Habit {
    /// It took so long.
    pub(crate) fn asked_after(&mut self, waited: Duration) {
        self.at_once = match waited < AT_ONCE {
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
    mut client: Client,
    socket: &Arc<ServedSocket>,
) -> std::io::Result<Result<Client, End>> {
    let Ok(free) = Arc::clone(&socket.threads).try_acquire_owned() else {
        return Ok(Ok(client));
    };
    let socket = Arc::clone(socket);
    let served = tokio::task::spawn_blocking(move || {
        let ended = questions(&mut client, &socket);
        drop(free);
        ended.map(|ended| ended.map_or(Ok(client), Err))
    });
    served.await.map_err(std::io::Error::other)?
}

/// `None`: what it does now takes more than this, or it does nothing.
fn questions(client: &mut Client, socket: &ServedSocket) -> std::io::Result<Option<End>> {
    let runtime = Handle::current();
    let mut over = pin!(socket.over.cancelled());
    loop {
        let buffer = client.decoder.buffer_mut();
        match client.stream.read_asleep(buffer, FIRST_READ, PATIENCE) {
            Ok(0) if client.decoder.is_empty() => return Ok(Some(End::Orderly)),
            // Half of a frame, perhaps.
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(error) if later(&error) => return Ok(None),
            Err(error) => return Err(error),
        }
        let answered = loop {
            match client.next() {
                Err(end) => break Some(end),
                Ok(None) => break None,
                Ok(Some(payload)) => {
                    let room = &mut None;
                    let ended = runtime.block_on(async {
                        tokio::select! {
                            biased;
                            ended = client.answer(payload, room, socket) => ended,
                            // Nobody ends a thread: it would ask a runtime that is gone.
                            () = over.as_mut() => Ok(Some(End::Dropped("the daemon stops"))),
                        }
                    });
                    if let Some(ended) = ended? {
                        break Some(ended);
                    }
                }
            }
        };
        if answered.is_some() || !client.decoder.is_empty() || socket.stop.is_cancelled() {
            return Ok(answered);
        }
    }
}
