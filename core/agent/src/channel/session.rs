//! One connection to the manager, from dialling to its end. Commands are
//! carried out one after the other, in order, while pings are answered and
//! acknowledgements sent; all three meet in the writer's queue.

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, sleep_until, timeout};
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;
use wpk_wire::agent::{Routed, route};
use wpk_wire::channel::{Authorities, MAX_PAYLOAD};
use wpk_wire::{AgentRequest, AgentResponse, ChannelMessage, FrameDecoder, Welcome};

use crate::credentials::{Age, Pair, Store};
use crate::engine::Commands;
use crate::facts::Facts;
use crate::identity::Identity;
use crate::outbox::Pending;
use crate::settings::ChannelSettings;

use super::ended::{Again, Ended};
use super::keeper::{Activity, Keeper};
use super::line::{dial, put, receive};

/// Commands that may wait: a manager has at most 64 under way.
const MOST_COMMANDS: usize = 64;
/// Messages that may wait to be written.
const OUTGOING: usize = 8;
/// Announced CAs that may wait.
const ANNOUNCED: usize = 8;
/// How long saying goodbye may take.
const GRACE: Duration = Duration::from_secs(1);

/// What a connection needs.
pub(super) struct Session<'a> {
    pub(super) settings: &'a ChannelSettings,
    pub(super) identity: &'a Identity,
    pub(super) commands: &'a Commands,
    pub(super) facts: &'a Facts,
    pub(super) stop: &'a CancellationToken,
    pub(super) store: &'a Store,
    /// What is shown.
    pub(super) pair: &'a Pair,
}

impl Session<'_> {
    /// Dials, talks, ends.
    pub(super) async fn run(&self, pending: &mut Pending) -> Ended {
        let version = self.identity.version_or_last();
        let dialling = async {
            let mut stream = dial(self.settings, self.store, self.pair).await?;
            let mut decoder = FrameDecoder::new(MAX_PAYLOAD);
            let welcome = self.greet(&mut stream, &mut decoder, &version).await?;
            Ok((stream, decoder, welcome))
        };
        let (stream, decoder, welcome) = tokio::select! {
            dialled = dialling => match dialled {
                Ok(dialled) => dialled,
                Err(ended) => return ended,
            },
            () = self.stop.cancelled() => return Ended::lost("stopping"),
        };
        tracing::info!(
            "connected to {} as agent {} ({}), version {version}",
            self.settings.address,
            welcome.agent,
            welcome.name
        );
        let (address, agent) = (&self.settings.address, welcome.agent.to_string());
        self.facts
            .connected(address, agent, &welcome.name, &version);
        if self.pair.age == Age::Next
            && let Err(error) = self.store.promote()
        {
            // It is shown again the next time, and found good again.
            tracing::error!("the new certificate cannot take its place: {error}");
        }
        let begin = Instant::now();
        let ended = self
            .talk(stream, decoder, &welcome, &version, pending)
            .await;
        Ended {
            lasted: begin.elapsed(),
            ..ended
        }
    }

    async fn greet(
        &self,
        stream: &mut TlsStream<TcpStream>,
        decoder: &mut FrameDecoder,
        version: &str,
    ) -> Result<Welcome, Ended> {
        let greeting = async {
            let hello = self.identity.hello(version, self.store);
            put(stream, &ChannelMessage::Hello(hello)).await?;
            receive(stream, decoder).await
        };
        let answer = timeout(self.settings.connect_timeout.0, greeting)
            .await
            .map_err(|_| Ended::lost("no welcome in time"))??;
        match answer {
            ChannelMessage::Welcome(welcome) => Ok(welcome),
            ChannelMessage::Goodbye { reason } => Err(Ended::dismissed(&reason)),
            other => Err(Ended::unexpected(&other)),
        }
    }

    async fn talk(
        &self,
        stream: TlsStream<TcpStream>,
        decoder: FrameDecoder,
        welcome: &Welcome,
        version: &str,
        pending: &mut Pending,
    ) -> Ended {
        let keepalive = Duration::from_secs(welcome.keepalive_seconds.into());
        let keeper = Keeper {
            settings: self.settings,
            store: self.store,
            pair: self.pair,
        };
        let activity = Activity::new();
        let (announced, announcements) = mpsc::channel(ANNOUNCED);
        let (reading, writing) = tokio::io::split(stream);
        let (outgoing, queue) = mpsc::channel(OUTGOING);
        let (accepted, waiting) = mpsc::channel(MOST_COMMANDS);
        let writing = write(queue, writing, keepalive.saturating_mul(3));
        tokio::pin!(writing);
        let ended = tokio::select! {
            ended = listen(reading, decoder, keepalive, &outgoing, (&accepted, &announced)) => ended,
            ended = self.work(waiting, &outgoing, version, &activity) => ended,
            ended = keeper.keep(
                welcome.certificate_seconds,
                announcements,
                &outgoing,
                &activity,
            ) => ended,
            ended = acknowledge(pending, &outgoing) => ended,
            ended = &mut writing => return ended,
            () = self.stop.cancelled() => Ended::lost("the agent is stopping"),
        };
        // The writer goes on from where it stands: no message is cut in half.
        let goodbye = ChannelMessage::Goodbye {
            reason: ended.reason.clone(),
        };
        let leaving = async {
            // Where the writer has ended there is nobody to tell.
            let _ = outgoing.send(goodbye).await;
            drop(outgoing);
            writing.await
        };
        if timeout(GRACE, leaving).await.is_err() {
            tracing::debug!("the manager did not take the goodbye");
        }
        ended
    }

    /// Carries out commands until one has changed the version of the agent:
    /// then the connection ends, so that the next Hello tells.
    async fn work(
        &self,
        mut waiting: mpsc::Receiver<(u32, Bytes)>,
        outgoing: &mpsc::Sender<ChannelMessage>,
        version: &str,
        activity: &Activity,
    ) -> Ended {
        while let Some((stream, command)) = waiting.recv().await {
            activity.begin();
            let mut cleared = false;
            let bytes = match route(&command) {
                Routed::LockRestart => Bytes::from_static(Routed::LOCK_RESTART_ANSWER),
                Routed::Unknown => Bytes::from_static(Routed::UNKNOWN_ANSWER),
                Routed::Upgrade(json) => {
                    cleared = matches!(
                        AgentRequest::parse(json),
                        Ok(AgentRequest::ClearUpgradeResult { .. })
                    );
                    let Some(answer) = self.commands.execute(command.slice_ref(json)).await else {
                        return Ended::lost("the agent is stopping");
                    };
                    cleared &= answer == AgentResponse::ok().to_bytes();
                    Bytes::from(answer)
                }
            };
            if outgoing
                .send(ChannelMessage::Answer { stream, bytes })
                .await
                .is_err()
            {
                break;
            }
            activity.end();
            let changed = cleared && self.identity.version().is_ok_and(|now| now != version);
            if changed && waiting.is_empty() {
                return Ended::new(Again::AtOnce, "the agent has another version now");
            }
        }
        Ended::lost("the connection is over")
    }
}

/// Sends what the notification loop leaves, also what it left while there was
/// no connection, or in the one before: that may never have arrived, and the
/// next repetition may come too late for the manager.
async fn acknowledge(pending: &mut Pending, outgoing: &mpsc::Sender<ChannelMessage>) -> Ended {
    pending.mark_changed();
    loop {
        if pending.changed().await.is_err() {
            return Ended::lost("the agent is stopping");
        }
        let message = pending.borrow_and_update().clone();
        if let Some(message) = message {
            tracing::info!("telling the manager the upgrade's result");
            if outgoing
                .send(ChannelMessage::Acknowledge(message))
                .await
                .is_err()
            {
                return Ended::lost("the connection is over");
            }
        }
    }
}

/// Reads until there is a reason to end, and holds the manager to its
/// keep-alives.
async fn listen(
    mut reading: impl AsyncRead + Unpin,
    mut decoder: FrameDecoder,
    keepalive: Duration,
    outgoing: &mpsc::Sender<ChannelMessage>,
    (accepted, announced): (&mpsc::Sender<(u32, Bytes)>, &mpsc::Sender<Authorities>),
) -> Ended {
    let silence = keepalive.saturating_mul(3);
    let mut heard = Instant::now();
    let mut asked = heard;
    loop {
        let next = (asked.max(heard) + keepalive).min(heard + silence);
        let message = tokio::select! {
            message = receive(&mut reading, &mut decoder) => match message {
                Ok(message) => message,
                Err(ended) => return ended,
            },
            () = sleep_until(next) => {
                asked = Instant::now();
                if asked >= heard + silence {
                    return Ended::lost(format_args!("nothing was heard for {silence:?}"));
                }
                // A full queue tells nothing new: the writer has its own limit.
                let _ = outgoing.try_send(ChannelMessage::Ping);
                continue;
            }
        };
        heard = Instant::now();
        match message {
            ChannelMessage::Command { stream, bytes } => {
                if accepted.try_send((stream, bytes)).is_err() {
                    return Ended::protocol("too many commands at a time");
                }
            }
            ChannelMessage::Ping => {
                if outgoing.send(ChannelMessage::Pong).await.is_err() {
                    return Ended::lost("the connection is over");
                }
            }
            ChannelMessage::Pong => {}
            ChannelMessage::Authorities(authorities) => {
                // One that finds no room comes again with the next connection.
                let _ = announced.try_send(authorities);
            }
            ChannelMessage::Goodbye { reason } => return Ended::dismissed(&reason),
            other => return Ended::unexpected(&other),
        }
    }
}

/// Writes what is queued; after the last message, or a failure, it ends.
async fn write(
    mut queue: mpsc::Receiver<ChannelMessage>,
    mut writing: impl AsyncWrite + Unpin,
    limit: Duration,
) -> Ended {
    while let Some(message) = queue.recv().await {
        match timeout(limit, put(&mut writing, &message)).await {
            Ok(Ok(())) => {}
            Ok(Err(ended)) => return ended,
            Err(_) => return Ended::lost("the manager does not read what is sent to it"),
        }
    }
    // Closing tells TLS that nothing was cut off; the manager may be gone by now.
    let _ = timeout(limit, writing.shutdown()).await;
    Ended::lost("the connection is over")
}
