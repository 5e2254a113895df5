//! The writing half of a connection: frames from the link's queue, at the end
//! the Goodbye. An agent that does not read is given up, and holds up nobody
//! but itself. Sessions enter.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;
use wpk_wire::ChannelMessage;

use crate::goodbye::{Ending, Goodbye};
use crate::limits::GRACE;
use crate::link::Link;

/// Room made for one read.
pub(crate) const READ: usize = 2 * 1024;

/// What is read and thrown away so that the Goodbye is not lost.
const DRAIN: usize = 256 * 1024;

/// Writes until the link ends; `limit` is for a single frame.
pub(crate) async fn write(
    link: &Arc<Link>,
    mut queue: mpsc::Receiver<Bytes>,
    mut stream: impl AsyncWrite + Unpin,
    limit: Duration,
) {
    loop {
        let frame = tokio::select! {
            biased;
            () = link.over() => break,
            frame = queue.recv() => match frame {
                Some(frame) => frame,
                None => break,
            },
        };
        let written = tokio::select! {
            biased;
            written = timeout(limit, put(&mut stream, &frame)) => written,
            // A frame cut in the middle cannot be followed by a Goodbye.
            () = after_the_end(link) => return,
        };
        match written {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                link.end(Ending::Theirs(format!("the connection broke: {error}")));
                return;
            }
            Err(_) => {
                link.end(Ending::Ours(Goodbye::silent(
                    "it does not read what is sent to it",
                )));
                return;
            }
        }
    }
    // Whoever waits for room in the queue need not wait for the Goodbye.
    drop(queue);
    if let Some(Ending::Ours(goodbye)) = link.ending() {
        say_goodbye(&mut stream, &goodbye).await;
    }
}

async fn after_the_end(link: &Link) {
    link.over().await;
    tokio::time::sleep(GRACE).await;
}

async fn put(stream: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> io::Result<()> {
    stream.write_all(frame).await?;
    stream.flush().await
}

/// Sends a Goodbye and closes the writing half, if that can be done soon.
pub(crate) async fn say_goodbye(stream: &mut (impl AsyncWrite + Unpin), goodbye: &Goodbye) {
    let message = ChannelMessage::Goodbye {
        reason: goodbye.to_string(),
    };
    say_last(stream, &message).await;
}

/// The same with another message.
pub(crate) async fn say_last(stream: &mut (impl AsyncWrite + Unpin), message: &ChannelMessage) {
    let Ok(frame) = message.encode() else { return };
    let saying = async {
        put(stream, &frame).await?;
        stream.shutdown().await
    };
    match timeout(GRACE, saying).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a goodbye was not sent"),
        Err(_) => tracing::debug!("a goodbye was not taken in time"),
    }
}

/// Says goodbye to a connection that has no link.
pub(crate) async fn dismiss(mut stream: impl AsyncRead + AsyncWrite + Unpin, goodbye: Goodbye) {
    say_goodbye(&mut stream, &goodbye).await;
    drain(&mut stream).await;
}

/// Reads on for a moment: closing a socket with unread bytes resets it, and
/// the other side might never see the Goodbye.
pub(crate) async fn drain(stream: &mut (impl AsyncRead + Unpin)) {
    let mut thrown_away = Vec::with_capacity(READ);
    let reading = async {
        let mut total = 0;
        while total < DRAIN {
            thrown_away.clear();
            match stream.read_buf(&mut thrown_away).await {
                Ok(0) | Err(_) => return,
                Ok(read) => total += read,
            }
        }
    };
    // Either way it is over now.
    let _ = timeout(GRACE, reading).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use wpk_api::{AgentId, TransportError};

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_does_not_read_is_given_up() {
        let (link, queue) = Link::new(AgentId::new(7).unwrap(), false, false);
        let (ours, _theirs) = tokio::io::duplex(16);
        let limit = Duration::from_secs(30);
        let (answer, ()) = tokio::join!(
            link.request(Bytes::from_static(&[0; 100]), 10 * limit),
            write(&link, queue, ours, limit)
        );
        let Err(TransportError::Closed { reason, .. }) = answer else {
            panic!("{answer:?}");
        };
        assert!(reason.contains("does not read"), "{reason}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_goodbye_is_the_last_frame() {
        let (link, queue) = Link::new(AgentId::new(7).unwrap(), false, false);
        let (ours, mut theirs) = tokio::io::duplex(4_096);
        link.send(&ChannelMessage::Ping);
        let mut read = Vec::new();
        tokio::join!(write(&link, queue, ours, Duration::from_secs(30)), async {
            theirs.read_exact(&mut [0; 9]).await.unwrap();
            link.send(&ChannelMessage::Ping);
            link.end(Ending::Ours(Goodbye::stopping()));
            theirs.read_to_end(&mut read).await.unwrap();
        });
        let message = ChannelMessage::decode(&Bytes::from(read).slice(4..)).unwrap();
        let reason = Goodbye::stopping().to_string();
        assert_eq!(message, ChannelMessage::Goodbye { reason });
    }
}
