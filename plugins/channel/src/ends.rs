//! Which certificates end soon: said in the log once a day, and by `wpkctl doctor`. What
//! renews itself is told only once it should have.

use std::path::Path;

use wpk_api::examine::Check;
use wpk_api::{AgentId, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::certificate::DAY;
use crate::clock::now;
use crate::database::ends_in;
use crate::files;

/// From when on an end is near, in seconds.
pub(crate) const SOON: i64 = 30 * DAY;
/// Agents that are named.
const NAMED: usize = 20;

/// From when on a certificate that renews itself should have been: it is at a third of
/// its life before its end, and tries again and again.
pub(crate) fn overdue(life: i64) -> i64 {
    (life / 5).min(SOON)
}

/// An end that is near, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) what: &'static str,
    pub(crate) detail: String,
    pub(crate) advice: &'static str,
}

/// The CA in use.
pub(crate) fn ca(end: UnixTime, now: UnixTime) -> Option<Ending> {
    (end - now < SOON).then(|| Ending {
        what: "CA of agents",
        detail: when("it", end, now),
        advice: "replace it: wpkctl agent ca replace",
    })
}

/// The manager's own certificate, which lives so many seconds.
pub(crate) fn manager(end: UnixTime, life: i64, now: UnixTime) -> Option<Ending> {
    (end - now < overdue(life)).then(|| Ending {
        what: "certificate of the agent channel",
        detail: when("it", end, now),
        advice: "it should have been renewed by wpkd: its log says why it was not",
    })
}

/// Those of agents, by id.
pub(crate) fn agents(ending: &[(AgentId, UnixTime)], now: UnixTime) -> Option<Ending> {
    let first = ending.iter().map(|(_, end)| *end).min()?;
    let mut named: Vec<String> = ending.iter().map(|(id, _)| id.to_string()).collect();
    let more = named.len().saturating_sub(NAMED);
    named.truncate(NAMED);
    if more > 0 {
        named.push(format!("{more} more"));
    }
    Some(Ending {
        what: "certificates of agents",
        detail: format!(
            "agents {}: {}",
            named.join(", "),
            when("the first", first, now)
        ),
        advice: "an agent that renews does so when it connects; one that is too old to renew \
                 must be enrolled again: wpk-agent enroll --again",
    })
}

fn when(what: &str, end: UnixTime, now: UnixTime) -> String {
    match end - now {
        left if left < 0 => format!("{what} ended {} days ago", -left / DAY),
        left => format!("{what} ends in {} days", left / DAY),
    }
}

/// What the files of the channel say, for `wpkctl doctor`.
pub(crate) fn examine(state: &Path, registry: &Path, life: i64) -> Vec<Check> {
    let (now, mut checks) = (now(), Vec::new());
    let mut add = |name: &str, ending: Option<Ending>, end: Option<UnixTime>| match (ending, end) {
        (Some(ending), _) => {
            checks.push(Check::warning(name, ending.detail, ending.advice));
        }
        (None, Some(end)) => checks.push(Check::ok(name, when("it", end, now))),
        (None, None) => {}
    };
    if let Some((_, end)) = life_of(&state.join("ca.pem")) {
        add("CA of agents", ca(end, now), Some(end));
    }
    if let Some((from, end)) = life_of(&state.join("manager.pem")) {
        let name = "certificate of the agent channel";
        add(name, manager(end, end - from, now), Some(end));
    }
    match ends_in(registry, now, SOON, overdue(life)) {
        Ok(ending) => add("certificates of agents", agents(&ending, now), None),
        Err(error) => checks.push(Check::warning(
            "certificates of agents",
            format!("{}: {error}", registry.display()),
            "when they end cannot be told",
        )),
    }
    checks
}

/// From when to when a certificate of ours is good; a file that cannot be read is told by
/// the start.
fn life_of(path: &Path) -> Option<(UnixTime, UnixTime)> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let text = files::read_text(path).ok()??;
    let der = CertificateDer::from_pem_slice(text.as_bytes()).ok()?;
    let (_, parsed) = X509Certificate::from_der(&der).ok()?;
    let validity = parsed.validity();
    Some((
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_thirty_days_ahead_and_what_renews_itself_when_it_should_have() {
        let end = 1_000 * DAY;
        assert_eq!(ca(end, end - 31 * DAY), None);
        let near = ca(end, end - 29 * DAY).unwrap();
        assert!(near.detail.contains("ends in 29 days") && near.advice.contains("ca replace"));
        assert!(
            ca(end, end + DAY)
                .unwrap()
                .detail
                .contains("ended 1 days ago")
        );
        // Of 90 days it is renewed 30 before the end.
        assert_eq!(manager(end, 90 * DAY, end - 19 * DAY), None);
        assert!(manager(end, 90 * DAY, end - 17 * DAY).is_some());
        assert!(manager(end, 3_650 * DAY, end - 29 * DAY).is_some());
        assert_eq!(agents(&[], 0), None);
        let many: Vec<_> = (1..=25)
            .map(|n| (AgentId::new(n).unwrap(), end + n))
            .collect();
        let told = agents(&many, end - 5 * DAY).unwrap().detail;
        assert!(
            told.contains("001, 002") && told.contains("020, 5 more"),
            "{told}"
        );
        assert!(told.contains("the first ends in 5 days"), "{told}");
    }
}
