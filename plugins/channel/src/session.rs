//! One connection from its first byte to its last: the greeting ([`crate::greeting`]) and
//! the Welcome, then reading while [`crate::writer`] writes, then the end.
//!
//! Nothing an agent sends makes the manager wait for it, keep more than one
//! frame of it, or do more than a little work: see the limits below.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::ReadHalf;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use wpk_api::{AgentId, Endpoint, Peer, Request, UnixTime};
use wpk_wire::channel::{MAX_PAYLOAD, PROTOCOL};
use wpk_wire::{Acknowledgement, ChannelMessage, FrameDecoder, Welcome};

use crate::announcing;
use crate::clock::now;
use crate::core::Serving;
use crate::goodbye::{Ending, Goodbye};
use crate::greeting::{Greeted, greet};
use crate::limits::{Bucket, Place};
use crate::link::Link;
use crate::reader::{Stream, read_some};
use crate::writer::{self, drain};

/// An acknowledgement longer than this, in bytes, is none.
const LONGEST_ACKNOWLEDGEMENT: usize = 4 * 1024;

/// Messages that nobody asked for: this many at once, then so many a second.
const UNASKED: (u32, u32) = (64, 32);

/// Serves one connection.
pub(crate) async fn run(serving: Arc<Serving>, tcp: TcpStream, peer: SocketAddr, mut place: Place) {
    let greeting = greet(&serving, tcp, peer, &mut place);
    if let Some(Some(greeted)) = serving.stop.run_until_cancelled(greeting).await {
        talk(&serving, greeted, peer).await;
    }
}

/// From the Welcome on.
async fn talk(serving: &Arc<Serving>, greeted: Greeted, peer: SocketAddr) {
    let Greeted {
        stream,
        decoder: mut early,
        agent,
        name,
        hello,
        end,
    } = greeted;
    let core = &serving.core;
    let (link, queue) = Link::new(agent, hello.names_tasks, hello.renews);
    let seconds = core.settings.keepalive.0.as_millis().div_ceil(1_000).max(1);
    // First in the queue, before anybody can find the link.
    link.send(&ChannelMessage::Welcome(Welcome {
        protocol: PROTOCOL,
        agent,
        name: name.clone(),
        keepalive_seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
        certificate_seconds: u64::try_from(core.authority.lives().renewed).ok(),
    }));
    let again = core.links.insert(Arc::clone(&link));
    core.registry.came(agent);
    // Once the link can be found: a CA that is replaced now is announced to it as well.
    announcing::announce(core, &link, &hello.trusts);
    if serving.stop.is_cancelled() {
        link.end(Ending::Ours(Goodbye::stopping()));
    }
    if !core.registry.is_enrolled(agent) {
        link.end(Ending::Ours(Goodbye::revoked()));
    }
    if again {
        tracing::warn!(
            %agent,
            name,
            %peer,
            "the agent dialled in again; the older connection ends"
        );
    } else {
        tracing::info!(%agent, name, %peer, "the agent connected");
    }

    let (mut reading, writing) = tokio::io::split(stream);
    let mut decoder = FrameDecoder::new(MAX_PAYLOAD);
    decoder.push(&early.buffer_mut().split());
    let ending = {
        let listening = listen(serving, &link, &mut reading, &mut decoder, end);
        let silence = core.settings.silence();
        let writing = writer::write(&link, queue, writing, silence);
        let (ended, ()) = tokio::join!(
            async {
                let ending = tokio::select! {
                    ending = listening => ending,
                    () = link.over() => Ending::Theirs(String::new()),
                };
                link.end(ending);
                // At once: from now on the agent is disconnected for everybody.
                core.links.remove(&link);
                core.registry.seen(agent, now());
                core.registry.left(agent);
                link.ending()
            },
            writing
        );
        ended
    };
    if let Some(ending) = ending {
        tracing::info!(%agent, name, %peer, reason = %ending, "the agent disconnected");
        if matches!(ending, Ending::Ours(_)) {
            drain(&mut reading).await;
        }
    }
}

/// Reads until the connection has a reason to end.
async fn listen(
    serving: &Arc<Serving>,
    link: &Arc<Link>,
    reading: &mut ReadHalf<Stream>,
    decoder: &mut FrameDecoder,
    end: Option<UnixTime>,
) -> Ending {
    let agent = link.agent;
    let settings = &serving.core.settings;
    let (keepalive, silence) = (settings.keepalive.0, settings.silence());
    let mut unasked = Bucket::new(UNASKED.0, UNASKED.1);
    let mut heard = Instant::now();
    let mut asked = heard;
    loop {
        if end.is_some_and(|end| end <= now()) {
            return Ending::Ours(Goodbye::expired(
                "the certificate of this connection has ended",
            ));
        }
        loop {
            let message = match decoder.next_frame() {
                Ok(None) => break,
                Ok(Some(payload)) => ChannelMessage::decode(&payload),
                Err(error) => return protocol(error),
            };
            heard = Instant::now();
            let expected = match message {
                Err(error) => return protocol(error),
                Ok(ChannelMessage::Answer { stream, bytes }) => link.answer(stream, bytes),
                Ok(ChannelMessage::Acknowledge(body)) => {
                    acknowledge(serving, link, agent, &body);
                    false
                }
                Ok(ChannelMessage::Ping) => {
                    link.send(&ChannelMessage::Pong);
                    false
                }
                Ok(ChannelMessage::Pong) => false,
                Ok(ChannelMessage::Trusts(trusts)) => {
                    serving.core.registry.trusts(agent, trusts.trusts);
                    false
                }
                Ok(ChannelMessage::Goodbye { reason }) => {
                    return Ending::Theirs(format!("the agent said goodbye: {reason}"));
                }
                Ok(other) => {
                    return protocol(format!("`{}` is not an agent's to send now", other.name()));
                }
            };
            if !expected && !unasked.take() {
                return Ending::Ours(Goodbye::flood());
            }
        }
        let next = (asked.max(heard) + keepalive).min(heard + silence);
        tokio::select! {
            read = read_some(reading, decoder) => match read {
                Ok(0) => return Ending::Theirs("the agent closed the connection".to_owned()),
                Ok(_) => {}
                Err(error) => return Ending::Theirs(format!("the connection broke: {error}")),
            },
            () = sleep_until(next) => {
                let now = Instant::now();
                if now >= heard + silence {
                    return Ending::Ours(Goodbye::silent(format!(
                        "nothing was heard for {} ms",
                        silence.as_millis()
                    )));
                }
                asked = now;
                link.send(&ChannelMessage::Ping);
            }
        }
    }
}

fn protocol(error: impl ToString) -> Ending {
    Ending::Ours(Goodbye::protocol(error.to_string()))
}

/// Passes on what the agent says of its own upgrade, in its own name only:
/// whatever else the message names is not looked at. One at a time; an agent
/// repeats what got lost.
fn acknowledge(serving: &Arc<Serving>, link: &Arc<Link>, agent: AgentId, body: &Bytes) {
    if body.len() > LONGEST_ACKNOWLEDGEMENT {
        tracing::debug!(%agent, bytes = body.len(), "a long acknowledgement was left out");
        return;
    }
    let acknowledgement = match Acknowledgement::parse(body) {
        Ok(acknowledgement) => acknowledgement,
        Err(refusal) => {
            tracing::debug!(%agent, ?refusal, "an acknowledgement is not understood");
            return;
        }
    };
    let Some(turn) = link.acknowledge() else {
        tracing::debug!(%agent, "acknowledged again while the first is under way");
        return;
    };
    let request = Request {
        endpoint: Endpoint::Upgrade,
        peer: Peer::Agent(agent),
        payload: acknowledgement.to_bytes_for(&[agent.into()]).into(),
    };
    let service = Arc::clone(&serving.service);
    serving.tasks.spawn(async move {
        // The answer is nobody's: the agent hears `clear_upgrade_result`.
        service.call(request).await;
        drop(turn);
    });
}
