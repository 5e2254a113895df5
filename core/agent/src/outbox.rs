//! Where acknowledgements go (section 6): as a datagram to the queue of a real
//! agent daemon, and to the channel. The notification loop sends; it repeats, so
//! nothing here does.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::UnixDatagram;
use tokio::sync::watch;
use tokio::time::timeout;
use wpk_wire::Acknowledgement;

/// How long a full queue may make us wait.
const PATIENCE: Duration = Duration::from_secs(5);

/// The acknowledgement that the channel has not sent yet, if any. It is kept
/// while there is no connection.
pub(crate) type Pending = watch::Receiver<Option<Bytes>>;

/// Both ways out.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: Option<PathBuf>,
    channel: watch::Sender<Option<Bytes>>,
}

impl Outbox {
    /// `queue`: the datagram socket, if one is to be used.
    pub(crate) fn new(queue: Option<PathBuf>) -> (Self, Pending) {
        let (channel, pending) = watch::channel(None);
        (Self { queue, channel }, pending)
    }

    /// Sends one acknowledgement on both ways.
    pub(crate) async fn send(&self, acknowledgement: &Acknowledgement) {
        let message = Bytes::from(acknowledgement.to_bytes());
        self.channel.send_replace(Some(message));
        let Some(queue) = &self.queue else { return };
        let datagram = acknowledgement.to_datagram();
        let sending = async { UnixDatagram::unbound()?.send_to(&datagram, queue).await };
        let reason = match timeout(PATIENCE, sending).await {
            Ok(Ok(_)) => {
                tracing::info!(queue = %queue.display(), "the upgrade's result was sent");
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "its queue is full".to_owned(),
        };
        tracing::warn!(
            "{}: the upgrade's result is not taken: {reason}",
            queue.display()
        );
    }

    /// Sends one that names its task, where that is understood.
    pub(crate) fn send_named(&self, acknowledgement: &Acknowledgement) {
        let message = Bytes::from(acknowledgement.to_bytes());
        self.channel.send_replace(Some(message));
    }

    /// The result was delivered: nothing waits any more.
    pub(crate) fn clear(&self) {
        self.channel.send_replace(None);
    }
}
