//! Renewal: an agent that shows a certificate of ours, one that has ended too, may ask for
//! the next on a connection of its own, in the place of a Hello. The greeting enters.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};
use wpk_api::{AgentId, DirectoryError, UnixTime};
use wpk_wire::ChannelMessage;
use wpk_wire::channel::{PROTOCOL, Renew, Renewed};

use crate::certificate::{DAY, Fingerprint};
use crate::clock::now;
use crate::core::Serving;
use crate::goodbye::Goodbye;
use crate::reader::Stream;
use crate::sharing;
use crate::writer::{dismiss, say_last};

/// Whose certificate was shown.
pub(crate) struct Shown {
    pub(crate) agent: AgentId,
    pub(crate) name: String,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) end: Option<UnixTime>,
}

/// What a certificate is good for.
pub(crate) enum Left {
    /// All.
    Life,
    /// Renewal at most; what to tell the agent.
    Renewal(Goodbye),
}

/// What is left of this one.
pub(crate) fn left(shown: &Shown, now: UnixTime) -> Left {
    match shown.end {
        Some(end) if end > now => Left::Life,
        _ => Left::Renewal(Goodbye::expired(
            "this certificate has ended: it may be renewed, or the agent enrolled again with a \
             fresh token (wpk-agent enroll --again)",
        )),
    }
}

/// Serves one renewal to its end.
pub(crate) async fn serve(
    serving: &Serving,
    mut stream: Stream,
    peer: SocketAddr,
    shown: Shown,
    renew: Renew,
    deadline: Instant,
) {
    let agent = shown.agent;
    let answer = timeout_at(deadline, answer(serving, shown, renew)).await;
    let goodbye = match answer {
        Ok(Ok((certificate, days))) => {
            tracing::info!(%agent, %peer, days, "the agent's certificate was renewed");
            let renewed = Renewed {
                protocol: PROTOCOL,
                certificate,
            };
            return say_last(&mut stream, &ChannelMessage::Renewed(renewed)).await;
        }
        Ok(Err(goodbye)) => goodbye,
        Err(_) => Goodbye::silent("no renewal in time"),
    };
    tracing::warn!(%agent, %peer, reason = %goodbye, "the agent's certificate was not renewed");
    dismiss(stream, goodbye).await;
}

async fn answer(serving: &Serving, shown: Shown, renew: Renew) -> Result<(String, i64), Goodbye> {
    let (agent, fingerprint) = (shown.agent, shown.fingerprint);
    let within = serving.core.settings.renew_within.0.as_secs();
    let within = UnixTime::try_from(within).unwrap_or(UnixTime::MAX);
    let late = now().saturating_sub(shown.end.unwrap_or_default());
    if late > within {
        return Err(Goodbye::expired(format!(
            "this certificate ended {} days ago, and is renewed for {} days only: the agent needs a \
             fresh token (on the manager: wpkctl agent token, on the agent: wpk-agent enroll --again)",
            late / DAY,
            within / DAY
        )));
    }
    if !serving.renewals.may(agent) {
        return Err(Goodbye::crowded());
    }
    let Ok(_turn) = serving.enrolling.acquire().await else {
        return Err(Goodbye::stopping());
    };
    let core = Arc::clone(&serving.core);
    let renewed = tokio::task::spawn_blocking(move || {
        sharing::may_certify(&core)?;
        let issue = || core.authority.issue_for_request(agent, &renew.csr, true);
        core.registry.renew(agent, &fingerprint, issue)
    });
    match renewed.await {
        Ok(Ok(issued)) => Ok((issued.certificate_pem, (issued.not_after - now()) / DAY)),
        Ok(Err(DirectoryError::Refused(text))) => Err(Goodbye::refused(text)),
        Ok(Err(error)) => Err(unavailable(agent, &error)),
        Err(error) => Err(unavailable(agent, &error)),
    }
}

fn unavailable(agent: AgentId, error: &dyn std::fmt::Display) -> Goodbye {
    tracing::warn!(%agent, %error, "a certificate could not be made");
    Goodbye::unsure()
}
