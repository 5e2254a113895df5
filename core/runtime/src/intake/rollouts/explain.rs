//! `rollout_agents` and `rollout_explain`: the agents of a rollout one by one.

use wpk_api::AgentId;
use wpk_rollout::{AgentState, Opening, Reason, Site};
use wpk_wire::own::rollout::{
    AttemptOfAgent, ExplainAgent, Explained, ListMembers, RolloutMember, SiteOfAgent, Words,
};
use wpk_wire::{Refusal, Response};

use super::refusals::of_store;
use super::shown::{Now, agent_state};
use super::status::{not_in, outcome, words};
use crate::workshop::Workshop;

/// Answers `rollout_agents`.
pub(super) async fn members(workshop: &Workshop, asked: ListMembers) -> Result<Response, Refusal> {
    let now = Now::look(workshop).await.map_err(of_store)?;
    let (document, _) = now.rollout(&asked.name)?;
    let (newest, names) = (now.newest_attempts(document), now.names());
    let mut found: Vec<_> = now
        .verdicts(document)
        .filter(|one| asked.after.is_none_or(|after| one.agent > after))
        .filter(|one| {
            asked
                .state
                .is_none_or(|state| agent_state(one.state) == state)
        })
        .collect();
    found.sort_by_key(|one| one.agent);
    found.truncate(asked.page());
    let item = |verdict: &wpk_rollout::Verdict| {
        let wave = verdict
            .wave
            .and_then(|wave| document.definition.waves.get(wave));
        let known = names.get(&verdict.agent);
        let member = RolloutMember {
            agent: verdict.agent,
            name: known.and_then(|agent| words(agent.member.name.as_ref())),
            state: agent_state(verdict.state),
            reason: verdict.reason.to_string().into(),
            wave: wave.map(|wave| (&*wave.name).into()),
            task_id: newest.get(&verdict.agent).map(|attempt| attempt.id),
        };
        member.to_item()
    };
    Ok(Response::success(found.into_iter().map(item).collect()))
}

/// Answers `rollout_explain`.
pub(super) async fn explain(workshop: &Workshop, asked: ExplainAgent) -> Result<Response, Refusal> {
    let now = Now::look(workshop).await.map_err(of_store)?;
    let (document, _) = now.rollout(&asked.name)?;
    let agent = asked.agent;
    let verdict = now.plan.agents.iter().find(|one| one.agent == agent);
    let verdict = verdict.ok_or_else(|| not_in(agent, &asked.name))?;
    let mine = verdict.rollout.as_deref() == Some(&document.key);
    let known = now.view.agents.iter().find(|one| one.member.id == agent);
    let member = known.map(|known| &known.member);
    let sites = &now.view.desired.sites;
    let site = member.and_then(|member| sites.sites.get(sites.find(member)));
    let hops = member.and_then(|member| {
        let (from, to) = (member.version?, document.definition.target?);
        now.view.desired.releases.hops(from, to).ok()
    });
    let wave = verdict.wave.filter(|_| mine);
    let wave = wave.and_then(|wave| document.definition.waves.get(wave));
    let mut attempts: Vec<_> = (now.view.attempts.iter())
        .filter(|one| one.agent == agent && one.rollout.as_ref() == Some(&document.key))
        .collect();
    attempts.sort_by_key(|one| one.id);
    let ids: Vec<_> = attempts.iter().map(|one| one.id).collect();
    let tasks = workshop.store().tasks(&ids).await.map_err(of_store)?;
    let attempts = attempts.into_iter().zip(tasks);
    let told = Explained {
        agent,
        name: member.and_then(|member| words(member.name.as_ref())),
        rollout: (&*document.key.name).into(),
        generation: document.key.generation,
        state: agent_state(verdict.state),
        reason: match &verdict.rollout {
            Some(other) if !mine => {
                format!("it belongs to rollout {}: {}", other.name, verdict.reason).into()
            }
            _ => verdict.reason.to_string().into(),
        },
        changes: changes(agent, &document.key.name, verdict.state, &verdict.reason),
        version: member.and_then(|member| Some(member.version?.to_string().into())),
        connection: member.map(|member| member.status.as_str().into()),
        wave: wave.map(|wave| (&*wave.name).into()),
        site: site.map(|site| of_site(site, now.view.now)),
        hops: (hops.into_iter().flatten())
            .map(|hop| hop.to_string().into())
            .collect(),
        attempts: attempts
            .map(|(attempt, task)| AttemptOfAgent {
                task_id: attempt.id,
                target: attempt.target.map(|target| target.to_string().into()),
                created: task.map(|task| task.created),
                staged: attempt.staged,
                begun: attempt.begun,
                ended: attempt.end.as_ref().map(|(at, _)| *at),
                outcome: outcome(attempt).into(),
                observed: attempt.observed,
                soaked: attempt.soaked,
            })
            .collect(),
    };
    Ok(Response::success(vec![told.to_item()]))
}

fn of_site(site: &Site, now: wpk_api::UnixTime) -> SiteOfAgent {
    let (open, changes) = match site.opening(now) {
        Opening::Open(until) => (true, until),
        Opening::Closed(opens) => (false, opens),
    };
    SiteOfAgent {
        name: (&*site.name).into(),
        time_zone: site.time_zone.to_string().into(),
        windows: (site.windows.as_ref()).map(|windows| {
            windows
                .iter()
                .map(|window| window.to_string().into())
                .collect()
        }),
        open,
        changes,
    }
}

/// What would change the state of an agent.
fn changes(agent: AgentId, rollout: &str, state: AgentState, reason: &Reason) -> Vec<Words> {
    let one = |text: String| vec![text.into()];
    let command = |what: &str| format!("`wpkctl rollout {what} {rollout} {agent}`");
    match (state, reason) {
        (AgentState::Failed { tries_left: 0 }, _) => vec![
            format!("another try: {}", command("retry")).into(),
            format!("leave it out: {}", command("skip")).into(),
        ],
        (AgentState::Failed { .. }, _) => one("it is tried again by itself once it is connected".into()),
        (AgentState::Unknown { .. }, _) => vec![
            "its version is seen: it comes back and tells it".into(),
            format!("your word, once you looked: `wpkctl rollout settle {rollout} {agent} succeeded` or `failed`").into(),
        ],
        (_, Reason::Held(_)) => one(format!("let it go: `wpkctl agent unhold {agent}`")),
        (_, Reason::ByHand) => one(format!(
            "take it out of `exclude` and apply the file, or, if it was skipped, {}",
            command("retry")
        )),
        (_, Reason::Elsewhere(other)) => {
            one(format!("rollout {other} ends or is cancelled: `wpkctl rollout cancel {other}`"))
        }
        (_, Reason::NoMatch | Reason::NotSelected) => {
            one("its group, labels or version change so that the selector holds".into())
        }
        (_, Reason::Offline(_) | Reason::Gone | Reason::NotSeenSince) => {
            one("it connects to its manager again".into())
        }
        (_, Reason::Paused | Reason::Halted) => {
            one(format!("`wpkctl rollout resume {rollout}`"))
        }
        (_, Reason::FirstWave | Reason::Wave(_) | Reason::Joins) => one(format!(
            "the gates of the waves before it pass: `wpkctl rollout status {rollout}`"
        )),
        (_, Reason::Window(..)) => one("the window of its site opens".into()),
        (_, Reason::SiteCap(..) | Reason::Cap(..) | Reason::Strict) => {
            one("others that are in flight come to their end".into())
        }
        (_, Reason::Retry(..) | Reason::Start(_) | Reason::Soaking) => one("time".into()),
        (_, Reason::OtherTask(task)) => one(format!("task {task} ends")),
        (_, Reason::NoTarget) => one("write `target` beside `file` and apply the file".into()),
        (_, Reason::NoWay(_)) => one("the release that is denied is allowed: `wpkctl release allow`".into()),
        (_, Reason::NoVersion) => one("it connects and tells its version".into()),
        (_, Reason::Unsupported(_)) => one("an upgrade by hand".into()),
        _ => Vec::new(),
    }
}
