//! How the last upgrades ended: a person may have to look at agents that reported
//! success and were never seen to run what they were sent, and at those that never
//! reported at all. Asked of the running manager; one that has no timelines, or
//! does not run, has nothing to say about it.

use std::time::{SystemTime, UNIX_EPOCH};

use wpk_api::examine::Check;
use wpk_api::{AgentId, Confirmation, UnixTime};
use wpk_wire::UpgradeCode;

use crate::error::CtlError;
use crate::ids;
use crate::manager::client::Client;
use crate::manager::fleet;
use crate::manager::state::State;
use crate::manager::timelines::{self, Told};

const NAME: &str = "last upgrades";
/// The most agents that are asked about.
const MOST: usize = 10_000;
/// What a manager answers whose task store cannot be read.
const UNREADABLE: UpgradeCode = UpgradeCode::TaskManagerCommunication;
/// How far back is looked, in seconds.
const LOOK_BACK: UnixTime = 86_400;

/// Looks at the last upgrade of each agent; `None` where nobody can tell.
pub(super) async fn look(client: &mut Client) -> Option<Check> {
    match ask(client).await {
        Ok(check) => check,
        // The socket's own check tells of a manager that is not there, or not ours.
        Err(CtlError::Unreachable { .. }) => None,
        Err(CtlError::Refused { code, .. }) if code != UNREADABLE => None,
        Err(error) => {
            let advice = "look into wpkd's log: its task store cannot be read";
            Some(Check::failure(NAME, error.to_string(), advice))
        }
    }
}

async fn ask(client: &mut Client) -> Result<Option<Check>, CtlError> {
    let listed = fleet::list(client, None, false).await?;
    let mut agents: Vec<AgentId> = listed.iter().map(fleet::Agent::id).collect();
    agents.retain(|agent| *agent != AgentId::MANAGER);
    let all = agents.len();
    agents.truncate(MOST);
    // The newest step tells when.
    let Some(told) = timelines::of_agents(client, &agents, Some(1)).await? else {
        return Ok(None);
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| {
        UnixTime::try_from(now.as_secs()).unwrap_or(UnixTime::MAX)
    });
    let of = |which: fn(&Told) -> bool| -> Vec<AgentId> {
        let such = told.iter().filter(|(_, told)| which(told));
        let lately = such.filter(|(_, told)| last(told).is_some_and(|at| at >= now - LOOK_BACK));
        lately.map(|(agent, _)| *agent).collect()
    };
    let (unconfirmed, silent) = (of(is_unconfirmed), of(is_silent));
    let looked = match all {
        all if all > MOST => format!("the first {MOST} of {all} agents"),
        all => format!("{all} agents"),
    };
    let mut seen = Vec::new();
    for (agents, what) in [
        (&unconfirmed, "not seen to run what they were sent"),
        (&silent, "without a word after their installer began"),
    ] {
        if !agents.is_empty() {
            let ids = ids::compact(agents.iter().copied());
            seen.push(format!("{} {what} ({ids})", agents.len()));
        }
    }
    Ok(Some(match seen.as_slice() {
        [] => Check::ok(NAME, format!("{looked}, none of them in doubt since a day")),
        seen => Check::warning(
            NAME,
            format!("{looked}, since a day {}", seen.join(", ")),
            "look at these agents; `wpkctl result AGENT --log` tells what was seen of each",
        ),
    }))
}

/// When the last thing happened.
fn last(told: &Told) -> Option<UnixTime> {
    let line = told.timeline.as_ref()?.timeline.last()?;
    Some(line.entry.at)
}

fn is_unconfirmed(told: &Told) -> bool {
    let timeline = told.timeline.as_ref();
    let confirmation = timeline.and_then(|timeline| timeline.confirmation.as_ref());
    matches!(confirmation, Some(Confirmation::Unconfirmed(_)))
}

/// The task timed out.
fn is_silent(told: &Told) -> bool {
    let status = told.item.status.as_deref();
    status.and_then(State::from_shown) == Some(State::Timeout)
}
