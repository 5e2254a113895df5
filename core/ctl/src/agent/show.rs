//! One agent as lines for people.

use crate::manager::fleet::Agent;
use crate::output::time;

/// What is known of an agent: key and value.
pub(super) fn lines(agent: &Agent) -> Vec<(&'static str, String)> {
    let details = &agent.listed().details;
    let known = [
        ("agent", Some(agent.id().to_string())),
        ("name", agent.name()),
        ("status", Some(status(agent))),
        ("version", agent.version()),
        ("system", agent.system()),
        ("system version", agent.system_version()),
        ("arch", agent.arch()),
        ("group", agent.group()),
        ("node", agent.node()),
        ("address", agent.address()),
        ("labels", Some(agent.labels_text())),
        ("site", agent.site()),
        ("last seen", details.last_seen.map(time)),
        ("last result", last_result(agent)),
        ("enrolled", details.enrolled.map(time)),
        ("certificate end", details.certificate_end.map(time)),
    ];
    let known = known.into_iter();
    known
        .filter_map(|(key, value)| Some((key, value.filter(|value| !value.is_empty())?)))
        .collect()
}

fn status(agent: &Agent) -> String {
    match agent.listed().details.revoked {
        Some(at) => format!("revoked on {}", time(at)),
        None => agent.connection().as_str().to_owned(),
    }
}

fn last_result(agent: &Agent) -> Option<String> {
    let result = agent.last_result()?;
    Some(match agent.listed().details.last_result_at {
        Some(at) => format!("{result} ({})", time(at)),
        None => result,
    })
}
