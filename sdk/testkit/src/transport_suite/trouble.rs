//! Agents that vanish or never answer: the caller learns it in bounded time,
//! and nobody else is concerned.

use std::sync::Arc;

use wpk_api::{Transport, TransportError};

use super::agents::Agents;
use super::stand::{Stand, answered, answers_again, asked};

/// How often an agent vanishes.
const TIMES: usize = 10;

/// All stories.
pub async fn run(set_up: &impl AsyncFn(Arc<Agents>) -> Stand) {
    let (agents, stand, transport) = Stand::ready(set_up).await;
    let transport = &*transport;
    a_vanished_agent_is_an_error(transport, &stand).await;
    others_are_not_concerned(transport, &agents, &stand).await;
    a_silent_agent_times_out(transport, &stand).await;
    a_late_answer_is_nobodys(transport, &agents, &stand).await;
}

async fn a_vanished_agent_is_an_error(transport: &dyn Transport, stand: &Stand) {
    let agent = stand.agent(0);
    for _ in 0..TIMES {
        let outcome = asked(transport, agent, "vanish").await;
        assert!(
            matches!(outcome, Err(TransportError::Closed { .. })),
            "the agent got the command and vanished; whether it carried it out is not known, \
             so this is Closed: {outcome:?}"
        );
        answers_again(transport, agent).await;
    }
}

async fn others_are_not_concerned(transport: &dyn Transport, agents: &Agents, stand: &Stand) {
    let (lost, waits) = (stand.agent(1), stand.agent(2));
    let both = async {
        tokio::join!(
            asked(transport, lost, "vanish"),
            answered(transport, waits, "held")
        )
    };
    let meanwhile = async {
        agents.wait_for(&[lost], b"vanish", 1).await;
        agents.wait_for(&[waits], b"held", 1).await;
        answered(transport, stand.agent(3), "meanwhile").await;
        agents.hold(false);
    };
    let ((outcome, ()), ()) = tokio::join!(both, meanwhile);
    agents.hold(true);
    assert!(outcome.is_err(), "the agent vanished: {outcome:?}");
    answers_again(transport, lost).await;
}

async fn a_silent_agent_times_out(transport: &dyn Transport, stand: &Stand) {
    let agent = stand.agent(4);
    let (outcome, ()) = tokio::join!(
        asked(transport, agent, "silent"),
        answered(transport, stand.agent(5), "meanwhile"),
    );
    assert_eq!(
        outcome,
        Err(TransportError::TimedOut(agent)),
        "the agent never answers; a transport has a time limit of its own"
    );
}

/// The answer to a command that nobody waits for any more must not be taken
/// for the answer to the next.
async fn a_late_answer_is_nobodys(transport: &dyn Transport, agents: &Agents, stand: &Stand) {
    let agent = stand.agent(6);
    let outcome = asked(transport, agent, "held too long").await;
    assert_eq!(outcome, Err(TransportError::TimedOut(agent)));
    agents.hold(false);
    for n in 0..10 {
        answered(transport, agent, format!("next {n}")).await;
    }
    agents.hold(true);
}
