//! Enrolment over the network: a connection without a certificate may bring a token and
//! a request for one, and leaves with a certificate or with a word why not. Strangers
//! come here: little is read, few are served at a time, and an address that is refused
//! again and again has to wait.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};
use wpk_api::{AgentId, DirectoryError};
use wpk_wire::channel::{Enroll, Enrolled, PROTOCOL};
use wpk_wire::{ChannelMessage, FrameDecoder};

use crate::announcing;
use crate::clock::now;
use crate::core::Serving;
use crate::goodbye::Goodbye;
use crate::reader::{LONGEST_FIRST, Stream, read_first};
use crate::registry::NewAgent;
use crate::sharing;
use crate::writer::{dismiss, say_last};

/// Serves one such connection to its end.
pub(crate) async fn serve(
    serving: &Serving,
    mut stream: Stream,
    peer: SocketAddr,
    deadline: Instant,
) {
    let answer = timeout_at(deadline, answer(serving, &mut stream, peer)).await;
    let goodbye = match answer {
        Ok(Ok(enrolled)) => {
            say_last(&mut stream, &ChannelMessage::Enrolled(enrolled)).await;
            return;
        }
        Ok(Err(goodbye)) => goodbye,
        Err(_) => Goodbye::silent("no enrolment in time"),
    };
    if let Some(left_out) = serving.quiet.may_speak() {
        tracing::warn!(%peer, reason = %goodbye, left_out, "a connection without a certificate was refused");
    }
    dismiss(stream, goodbye).await;
}

async fn answer(
    serving: &Serving,
    stream: &mut Stream,
    peer: SocketAddr,
) -> Result<Enrolled, Goodbye> {
    if !serving.tries.may_try(peer.ip()) {
        return Err(Goodbye::slower());
    }
    let mut decoder = FrameDecoder::new(LONGEST_FIRST);
    let enroll = match read_first(stream, &mut decoder).await {
        Ok(Ok(ChannelMessage::Enroll(enroll))) => enroll,
        Ok(Ok(other)) => {
            return Err(Goodbye::protocol(format!(
                "`{}` came without a certificate, where only `enroll` may",
                other.name()
            )));
        }
        Ok(Err(goodbye)) => return Err(goodbye),
        Err(error) => return Err(Goodbye::silent(format!("it left: {error}"))),
    };
    let Ok(_turn) = serving.enrolling.acquire().await else {
        return Err(Goodbye::stopping());
    };
    let core = Arc::clone(&serving.core);
    let (name, token) = (enroll.name.clone(), enroll.token.id_text());
    let enrolled = tokio::task::spawn_blocking(move || {
        sharing::may_certify(&core)?;
        let labels = core.registry.redeem(&enroll.token, now())?;
        let Enroll {
            token,
            name,
            csr,
            renews,
            ..
        } = enroll;
        let agent = NewAgent {
            name: &name,
            labels,
            token: Some(&token.id),
            trusts: announcing::trusted(&core),
        };
        let issue = |id: AgentId| core.authority.issue_for_request(id, &csr, renews);
        let (agent, issued) = core.registry.enroll(agent, now(), issue)?;
        Ok(Enrolled {
            protocol: PROTOCOL,
            agent,
            name,
            certificate: issued.certificate_pem,
            ca: core.authority.ca_pem(),
        })
    });
    match enrolled.await {
        Ok(Ok(enrolled)) => {
            let agent = enrolled.agent;
            tracing::info!(%agent, name, token, %peer, "the agent was enrolled with a token");
            Ok(enrolled)
        }
        Ok(Err(DirectoryError::Refused(text))) => {
            serving.tries.refused(peer.ip());
            Err(Goodbye::refused(text))
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "an agent could not be enrolled");
            Err(Goodbye::refused(
                "the manager cannot enroll agents now; its log says why",
            ))
        }
        Err(error) => {
            tracing::warn!(%error, "an enrolment ended early");
            Err(Goodbye::refused(
                "the manager cannot enroll agents now; its log says why",
            ))
        }
    }
}
