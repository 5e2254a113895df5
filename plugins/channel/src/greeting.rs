//! The beginning of a connection: TLS, whose certificate it is, Hello. Until then it is
//! nobody's and has little time and room. Sessions enter.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use wpk_api::{AgentId, UnixTime};
use wpk_wire::{ChannelMessage, FrameDecoder, Hello};

use crate::certificate::{end, fingerprint};
use crate::clock::now;
use crate::core::Serving;
use crate::enrolment;
use crate::goodbye::Goodbye;
use crate::limits::Place;
use crate::reader::{LONGEST_FIRST, Stream, read_first};
use crate::record::Dialled;
use crate::registry::Known;
use crate::writer::dismiss;

/// An agent that has introduced itself.
pub(crate) struct Greeted {
    pub(crate) stream: Stream,
    pub(crate) decoder: FrameDecoder,
    pub(crate) agent: AgentId,
    pub(crate) name: String,
    pub(crate) names_tasks: bool,
}

/// TLS, the registry, Hello; `None` if it ends before the Welcome.
pub(crate) async fn greet(
    serving: &Serving,
    tcp: TcpStream,
    peer: SocketAddr,
    place: &mut Place,
) -> Option<Greeted> {
    let core = &serving.core;
    let deadline = Instant::now() + core.settings.handshake_timeout.0;
    let mut stream = match shake_hands(serving, tcp, peer, deadline).await {
        Ok(stream) => stream,
        Err(reason) => {
            refuse(serving, peer, reason);
            return None;
        }
    };
    if stream.get_ref().1.peer_certificates().is_none() {
        enrolment::serve(serving, stream, peer, deadline).await;
        return None;
    }
    let (agent, name, certificate_end) = match identify(serving, &stream, place) {
        Ok(known) => known,
        Err((reason, goodbye)) => {
            refuse(serving, peer, reason);
            dismiss(stream, goodbye).await;
            return None;
        }
    };
    let mut decoder = FrameDecoder::new(LONGEST_FIRST);
    let goodbye = match timeout_at(deadline, read_hello(&mut stream, &mut decoder)).await {
        Ok(Ok(Ok(hello))) => {
            place.known();
            let dialled = Dialled {
                address: Some(peer.ip().to_canonical().to_string()),
                certificate_end,
            };
            core.registry.greet(agent, &hello, dialled, now());
            return Some(Greeted {
                stream,
                decoder,
                agent,
                name,
                names_tasks: hello.names_tasks,
            });
        }
        Ok(Ok(Err(goodbye))) => goodbye,
        Ok(Err(error)) => {
            tracing::debug!(%agent, %peer, %error, "the agent left before its Hello");
            return None;
        }
        Err(_) => Goodbye::silent("no Hello came in time"),
    };
    tracing::warn!(%agent, %peer, reason = %goodbye, "the agent was sent away");
    dismiss(stream, goodbye).await;
    None
}

/// The TLS handshake, or why there was none.
async fn shake_hands(
    serving: &Serving,
    tcp: TcpStream,
    peer: SocketAddr,
    deadline: Instant,
) -> Result<Stream, String> {
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%peer, %error, "small frames will wait for larger ones");
    }
    match timeout_at(deadline, serving.core.acceptor.accept(tcp)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(format!("TLS: {error}")),
        Err(_) => Err("no TLS handshake in time".to_owned()),
    }
}

/// Whose certificate was shown, and when it ends; else a line for the log and the word
/// for the agent.
fn identify(
    serving: &Serving,
    stream: &Stream,
    place: &mut Place,
) -> Result<(AgentId, String, Option<UnixTime>), (String, Goodbye)> {
    let (_, tls) = stream.get_ref();
    let certificates = tls.peer_certificates().unwrap_or_default();
    let shown = certificates.first();
    let known = shown.map(|one| serving.core.registry.identify(&fingerprint(one)));
    match known {
        Some(Known::Agent(agent, name)) => match place.shown(agent) {
            true => Ok((agent, name, shown.and_then(|one| end(one)))),
            false => Err((
                format!(
                    "agent {agent} has too many connections already; if this repeats, its key may \
                     be stolen"
                ),
                Goodbye::crowded(),
            )),
        },
        Some(Known::Revoked(agent)) => Err((
            format!("the certificate of agent {agent} was revoked"),
            Goodbye::revoked(),
        )),
        Some(Known::Stranger) | None => Err((
            "its certificate is signed by our CA but belongs to no enrolled agent".to_owned(),
            Goodbye::unknown(),
        )),
    }
}

/// Says in the log why a connection became nobody's.
fn refuse(serving: &Serving, peer: SocketAddr, reason: String) {
    if let Some(left_out) = serving.quiet.may_speak() {
        tracing::warn!(%peer, reason, left_out, "a connection was refused");
    }
}

async fn read_hello(
    stream: &mut Stream,
    decoder: &mut FrameDecoder,
) -> io::Result<Result<Hello, Goodbye>> {
    Ok(match read_first(stream, decoder).await? {
        Ok(ChannelMessage::Hello(hello)) => Ok(hello),
        Ok(other) => Err(Goodbye::protocol(format!(
            "`{}` came where `hello` must be first",
            other.name()
        ))),
        Err(goodbye) => Err(goodbye),
    })
}
