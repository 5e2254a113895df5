//! How long a plan for 50,000 agents takes, each kind beside its bar of 50 ms.
//! `cargo bench -p wpk-rollout`
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeMap;
use std::time::Duration;

use wpk_api::{AgentId, ConnectionStatus, TaskId};
use wpk_rollout::{
    Action, Agent, Attempt, Definition, Desired, Inputs, Member, OpenedWave, Outcome, Plan, plan,
};

const AGENTS: i64 = 50_000;
const BAR: Duration = Duration::from_millis(50);
const NOW: i64 = 1_796_000_000;

fn fleet() -> Vec<Agent> {
    let agent = |number: i64| {
        let mut member = Member::new(AgentId::new(number).unwrap());
        member.name = Some(format!("host-{number}"));
        member.platform = Some(["ubuntu", "centos", "windows"][number as usize % 3].to_owned());
        member.groups = vec!["default".to_owned(), "prod".to_owned()];
        member.labels = [("site".to_owned(), format!("site-{}", number % 20))].into();
        member.version = Some("v4.14.0".parse().unwrap());
        member.status = match number % 10 {
            0 => ConnectionStatus::Disconnected,
            _ => ConnectionStatus::Active,
        };
        Agent::new(member)
    };
    (1..=AGENTS).map(agent).collect()
}

fn definition() -> Definition {
    let mut text = String::new();
    for site in 0..20 {
        text += &format!(
            "[[site]]\nname='site-{site}'\nselect='label.site = site-{site}'\n\
             time_zone='Europe/Paris'\nwindows=['22:00-06:00','06:00-21:59']\nmax_concurrent='5%'\n"
        );
    }
    text += "[[rollout]]\nname='prod'\ntarget='v4.14.7'\n\
             select='group = prod and not label.frozen = yes and version < v4.14.7'\n\
             [[rollout.wave]]\nname='canary'\nsize=20\nstrict=true\n\
             [[rollout.wave]]\nname='rest'\nsize='100%'\nmax_failures='5%'\n";
    Definition::from_toml(&text).unwrap()
}

fn measure(what: &str, desired: &Desired, agents: &[Agent], attempts: &[Attempt]) -> Plan {
    let holds = BTreeMap::new();
    let inputs = Inputs {
        desired,
        agents,
        attempts,
        holds: &holds,
        now: NOW,
    };
    let mut made = plan(&inputs);
    let mut times: Vec<Duration> = (0..41)
        .map(|_| {
            let start = on_cpu();
            made = plan(&inputs);
            on_cpu().saturating_sub(start)
        })
        .collect();
    times.sort_unstable();
    let median = times[times.len() / 2];
    let verdict = if median < BAR { "ok" } else { "TOO SLOW" };
    println!(
        "{what:<44} {median:>10.1?}  (best {:.1?}, worst {:.1?}, bar {BAR:?}, {} actions)  {verdict}",
        times[0],
        times[times.len() - 1],
        made.actions.len()
    );
    made
}

/// How long this thread was on a CPU: on a machine that does other things as well, the
/// clock on the wall measures those.
fn on_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

fn main() {
    let agents = fleet();
    let definition = definition();
    let empty = Desired::default();
    let mut desired = empty
        .apply(&definition, empty.digest(&definition), NOW)
        .unwrap();
    let first = measure(
        "the first wave opens, 50,000 are put in order",
        &desired,
        &agents,
        &[],
    );
    let Some(Action::Open {
        population: Some(population),
        members,
        ..
    }) = first.actions.first()
    else {
        panic!("{:?}", first.actions);
    };
    let facts = &mut desired.rollouts[0].facts;
    let wave = |members: &[AgentId]| OpenedWave {
        opened: NOW,
        members: members.to_vec(),
        passed: Some(NOW),
    };
    facts.waves = vec![wave(members), wave(&population[members.len()..])];
    facts.population = Some(population.clone());
    measure(
        "all waves are open, nobody was begun",
        &desired,
        &agents,
        &[],
    );
    let key = desired.rollouts[0].key.clone();
    let attempt = |(number, agent): (usize, &AgentId)| Attempt {
        id: TaskId(number as i64 + 1),
        agent: *agent,
        rollout: Some(key.clone()),
        target: Some("v4.14.7".parse().unwrap()),
        permit: None,
        staged: true,
        begun: Some(NOW - 100),
        end: match number % 50 {
            0 => Some((NOW - 50, Outcome::Failed("exit code 1".into()))),
            1 => Some((NOW - 50, Outcome::Silent)),
            _ => Some((NOW - 50, Outcome::Succeeded)),
        },
        observed: (number % 50 > 10).then_some(NOW - 40),
        soaked: (number % 50 > 30).then_some(NOW - 1),
    };
    let mut attempts: Vec<Attempt> = population.iter().enumerate().map(attempt).collect();
    measure(
        "every agent has one attempt, all kinds",
        &desired,
        &agents,
        &attempts,
    );
    let again: Vec<Attempt> = attempts
        .iter()
        .cloned()
        .map(|mut one| {
            one.id = TaskId(one.id.0 + AGENTS);
            one
        })
        .collect();
    attempts.extend(again);
    measure("every agent has two", &desired, &agents, &attempts);
}
