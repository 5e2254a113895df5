//! The sentences of [`Transport`]'s documentation, one story each.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;
use wpk_api::{AgentId, PEER_MAX_PAYLOAD, Transport, TransportError};

use super::agents::{self, Agents};
use super::stand::{Stand, answered, asked};
use crate::suite::{pattern, within};

/// The longest answer asked for, in bytes: what a 4.x peer may send.
const LONGEST_ANSWER: usize = PEER_MAX_PAYLOAD;

/// The longest command tried, in bytes, even if more is promised.
const LONGEST_TRIED: usize = 64 << 20;

/// All stories.
pub async fn run(set_up: &impl AsyncFn(Arc<Agents>) -> Stand) {
    let (agents, stand, transport) = Stand::ready(set_up).await;
    commands_and_answers_pass_unchanged(&*transport, &agents, stand.agent(0)).await;
    answers_come_in_order(&*transport, &agents, stand.agent(1)).await;
    a_command_may_be_as_long_as_promised(&*transport, &agents, stand.agent(2)).await;
    agents_are_asked_at_the_same_time(&transport, &agents, &stand.agents).await;
    two_commands_of_one_agent_may_overlap(&*transport, stand.agent(3)).await;
    an_unknown_agent_is_an_error(&*transport, &agents, &stand).await;
    who_is_connected_need_not_be_waited_for(&transport, &stand).await;
    what_agents_take_is_known(&*transport, &stand).await;
    drop(transport);
    let transport = stand.open().await;
    for agent in &stand.agents {
        answered(&*transport, *agent, "after a restart").await;
    }
}

async fn commands_and_answers_pass_unchanged(
    transport: &dyn Transport,
    agents: &Agents,
    agent: AgentId,
) {
    let every_byte: Vec<u8> = (0..=255).rev().collect();
    let commands = [
        Bytes::from_static(b"x"),
        Bytes::from_static(b"bytes"),
        Bytes::from_static(b"  spaces \r\n and ends\n"),
        Bytes::from_static(b"\0\0\0\0"),
        every_byte.into(),
        pattern(10_000),
        Bytes::from_static(b"long 1"),
        Bytes::from(format!("long {LONGEST_ANSWER}")),
    ];
    for command in &commands {
        answered(transport, agent, command.clone()).await;
    }
    assert_eq!(agents.got(agent), commands, "what the agent got");
}

async fn answers_come_in_order(transport: &dyn Transport, agents: &Agents, agent: AgentId) {
    let commands: Vec<Bytes> = (0..100).map(|n| format!("number {n}").into()).collect();
    for command in &commands {
        answered(transport, agent, command.clone()).await;
    }
    assert_eq!(agents.got(agent), commands, "each once, in order");
}

async fn a_command_may_be_as_long_as_promised(
    transport: &dyn Transport,
    agents: &Agents,
    agent: AgentId,
) {
    let most = transport.max_command();
    assert!(most >= 1024, "{most} bytes are too few for any command");
    assert_eq!(transport.max_command(), most);
    let longest = pattern(most.min(LONGEST_TRIED));
    answered(transport, agent, longest.clone()).await;
    // What is longer may pass all the same (an id of few digits leaves room),
    // but only as a whole.
    for over in [most.saturating_add(1), most.saturating_mul(2)] {
        if over > LONGEST_TRIED {
            break;
        }
        let command = pattern(over);
        match asked(transport, agent, command.clone()).await {
            Ok(answer) => assert_eq!(answer, agents::answer(agent, &command), "cut short"),
            Err(TransportError::Refused { .. }) => {}
            Err(other) => panic!("{over} bytes are over max_command, which is a refusal: {other}"),
        }
    }
    answered(transport, agent, "after a long one").await;
    let got = agents.got(agent);
    assert_eq!(got.first(), Some(&longest), "the longest one, unchanged");
}

async fn agents_are_asked_at_the_same_time(
    transport: &Arc<dyn Transport>,
    agents: &Agents,
    ids: &[AgentId],
) {
    let mut requests = JoinSet::new();
    for agent in ids {
        let (transport, agent) = (Arc::clone(transport), *agent);
        requests.spawn(async move { answered(&*transport, agent, "held").await });
    }
    // None is answered before all have it.
    agents.wait_for(ids, b"held", ids.len()).await;
    agents.hold(false);
    within("all answers", requests.join_all()).await;
    agents.hold(true);

    let mut requests = JoinSet::new();
    for agent in ids {
        let (transport, agent) = (Arc::clone(transport), *agent);
        requests.spawn(async move {
            for n in 0..50 {
                answered(&*transport, agent, format!("{n} of many")).await;
            }
        });
    }
    within("all answers", requests.join_all()).await;
}

/// `clear_upgrade_result` may come while a delivery is under way.
async fn two_commands_of_one_agent_may_overlap(transport: &dyn Transport, agent: AgentId) {
    for n in 0..50 {
        tokio::join!(
            answered(transport, agent, format!("write {n}")),
            answered(transport, agent, format!("clear {n}")),
        );
    }
}

async fn an_unknown_agent_is_an_error(transport: &dyn Transport, agents: &Agents, stand: &Stand) {
    let (unknown, other) = tokio::join!(
        asked(transport, stand.unknown, "is there anybody?"),
        asked(transport, stand.agent(4), "here"),
    );
    assert!(
        matches!(
            unknown,
            Err(TransportError::NotConnected(_) | TransportError::Refused { .. })
        ),
        "there is no agent {}: {unknown:?}",
        stand.unknown
    );
    assert!(other.is_ok(), "another agent is not concerned: {other:?}");
    assert!(agents.got(stand.unknown).is_empty());
}

async fn who_is_connected_need_not_be_waited_for(transport: &Arc<dyn Transport>, stand: &Stand) {
    let mut waiting = JoinSet::new();
    for n in 0..64 {
        let (transport, agent) = (Arc::clone(transport), stand.agent(n));
        waiting.spawn(async move { transport.connected(agent).await });
    }
    within("waiting for connected agents", waiting.join_all()).await;
    // For an agent that may never come the wait is given up, again and again.
    for _ in 0..64 {
        tokio::select! {
            biased;
            () = transport.connected(stand.unknown) => {}
            () = tokio::task::yield_now() => {}
        }
    }
    answered(&**transport, stand.agent(0), "after waiting").await;
}

async fn what_agents_take_is_known(transport: &dyn Transport, stand: &Stand) {
    for agent in &stand.agents {
        let names = within("names_tasks", transport.names_tasks(*agent)).await;
        let json = within("takes_json", transport.takes_json(*agent)).await;
        assert_eq!(
            (names, json),
            stand.takes,
            "whether agent {agent} names its task, and takes JSON whatever its version"
        );
    }
    let names = within("names_tasks", transport.names_tasks(stand.unknown)).await;
    assert!(
        !names,
        "nobody knows of an unknown agent that it names its task"
    );
}
