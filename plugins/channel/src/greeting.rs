//! The beginning of a connection: TLS, whose certificate it is, Hello. Until then it is
//! nobody's and has little time and room. Sessions enter.

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
use crate::renewal::{self, Left, Shown};
use crate::sharing;
use crate::writer::dismiss;

/// An agent that has introduced itself.
pub(crate) struct Greeted {
    pub(crate) stream: Stream,
    pub(crate) decoder: FrameDecoder,
    pub(crate) agent: AgentId,
    pub(crate) name: String,
    pub(crate) hello: Hello,
    /// When its certificate ends.
    pub(crate) end: Option<UnixTime>,
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
    let shown = match identify(serving, &stream, place, deadline).await {
        Ok(shown) => shown,
        Err((reason, goodbye)) => {
            refuse(serving, peer, reason);
            dismiss(stream, goodbye).await;
            return None;
        }
    };
    let agent = shown.agent;
    let mut decoder = FrameDecoder::new(LONGEST_FIRST);
    let goodbye = match timeout_at(deadline, read_first(&mut stream, &mut decoder)).await {
        Ok(Ok(Ok(ChannelMessage::Hello(hello)))) => match renewal::left(&shown, now()) {
            Left::Life => {
                place.known();
                let dialled = Dialled {
                    shown: shown.fingerprint,
                    address: Some(peer.ip().to_canonical().to_string()),
                    certificate_end: shown.end,
                };
                core.registry.greet(agent, &hello, dialled, now());
                return Some(Greeted {
                    stream,
                    decoder,
                    agent,
                    name: shown.name,
                    hello,
                    end: shown.end,
                });
            }
            Left::Renewal(goodbye) => goodbye,
        },
        Ok(Ok(Ok(ChannelMessage::Renew(renew)))) => {
            renewal::serve(serving, stream, peer, shown, renew, deadline).await;
            return None;
        }
        Ok(Ok(Ok(other))) => Goodbye::protocol(format!(
            "`{}` came where `hello` must be first",
            other.name()
        )),
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
async fn identify(
    serving: &Serving,
    stream: &Stream,
    place: &mut Place,
    deadline: Instant,
) -> Result<Shown, (String, Goodbye)> {
    let (_, tls) = stream.get_ref();
    let certificates = tls.peer_certificates().unwrap_or_default();
    let certificate = certificates.first().map_or(&[][..], |one| one);
    let fingerprint = fingerprint(certificate);
    let mut known = serving.core.registry.identify(&fingerprint);
    if known == Known::Stranger {
        let looked = timeout_at(deadline, sharing::look(&serving.core)).await;
        if !looked.unwrap_or(false) {
            return Err((
                "its certificate is not known here, and other managers' agents cannot be read now"
                    .to_owned(),
                Goodbye::unsure(),
            ));
        }
        known = serving.core.registry.identify(&fingerprint);
        if known == Known::Stranger && serving.core.registry.leaves_out() {
            return Err((
                "its certificate is not known here, and what others wrote of some agents is not \
                 understood"
                    .to_owned(),
                Goodbye::unsure(),
            ));
        }
    }
    match known {
        Known::Agent(agent, name) => match place.shown(agent) {
            true => Ok(Shown {
                agent,
                name,
                fingerprint,
                end: end(certificate),
            }),
            false => Err((
                format!(
                    "agent {agent} has too many connections already; if this repeats, its key may \
                     be stolen"
                ),
                Goodbye::crowded(),
            )),
        },
        Known::Revoked(agent) => Err((
            format!("the certificate of agent {agent} was revoked"),
            Goodbye::revoked(),
        )),
        Known::Stranger => Err((
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
