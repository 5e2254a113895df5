//! What every [`TaskStore`] must do, as one call for the author of a store:
//!
//! ```no_run
//! # async fn example(open_a_store: impl Fn() -> std::sync::Arc<dyn wpk_api::TaskStore>) {
//! wpk_testkit::store_suite::run(async || open_a_store()).await;
//! # }
//! ```
//!
//! The maker is called many times and must return an empty store each time.
//! The suite panics with the first thing that is wrong. It has five parts: the
//! sentences of the trait's documentation one by one ([`contract`]), whose word
//! counts ([`words`]), timelines and the feed ([`history`]), callers that race
//! each other ([`races`]), and random sequences of all operations against a
//! simple store in memory ([`model`]), shrunk to a short one when they differ.

use std::sync::Arc;

use wpk_api::{
    AgentId, AgentInfo, Command, ConnectionStatus, Created, NewTask, Order, Platform, Status,
    Target, TaskId, TaskStore, Transition, UnixTime, Version, Wanted, WantedRelease,
};

use crate::suite::Options;

pub mod contract;
pub mod history;
pub mod model;
pub mod races;
pub mod words;

/// Random sequences that [`run`] tries.
pub const SEQUENCES: u32 = 48;

/// The whole suite. Needs a tokio runtime; races are better with several threads.
pub async fn run<M>(make: M)
where
    M: AsyncFn() -> Arc<dyn TaskStore>,
{
    run_with(make, &Options::default()).await;
}

/// The whole suite with options.
pub async fn run_with<M>(make: M, options: &Options)
where
    M: AsyncFn() -> Arc<dyn TaskStore>,
{
    contract::run(&make).await;
    words::run(&make).await;
    history::run(&make).await;
    races::run(&make).await;
    model::run(&make, SEQUENCES).await;
    options.no_leaks().await;
}

/// The time the suite's stories start.
pub const START: UnixTime = 1_700_000_000;

/// An agent's id.
pub fn agent(id: u32) -> AgentId {
    AgentId::new(i64::from(id)).unwrap_or(AgentId::MANAGER)
}

/// An order for an agent, different for each.
pub fn order(id: u32) -> Order {
    let platform = Platform {
        name: Some("ubuntu".to_owned()),
        major: Some("22".to_owned()),
        minor: Some("04".to_owned()),
        arch: Some("x86_64".to_owned()),
    };
    Order {
        agent: AgentInfo {
            id: agent(id),
            name: Some(format!("agent \"{id}\" d'été")),
            platform: platform.clone(),
            version: Some("Wazuh v4.7.0".to_owned()),
            connection: ConnectionStatus::Active,
            group: None,
            node: None,
        },
        wanted: Wanted::Release(WantedRelease {
            platform,
            target: Target::Exactly(Version::new(4, 14, 9)),
            repository: None,
            use_http: false,
            package_type: None,
        }),
        force: false,
        installer: None,
    }
}

/// A task of the upgrade socket: with an order, one per agent.
pub fn upgrade(id: u32, node: &str, created: UnixTime) -> NewTask {
    NewTask {
        agent: agent(id),
        node: node.to_owned(),
        module: "upgrade_module".to_owned(),
        command: Command::Upgrade,
        created,
        order: Some(order(id)),
        exclusive: true,
    }
}

/// A task of the task socket: nobody claims it, and an agent may have many.
pub fn bare(id: u32, node: &str, created: UnixTime) -> NewTask {
    NewTask {
        order: None,
        exclusive: false,
        ..upgrade(id, node, created)
    }
}

/// A move of one task.
pub fn to(task: TaskId, to: Status, node: &str, at: UnixTime) -> Transition {
    Transition {
        select: wpk_api::Selector::Task(task),
        to,
        node: node.to_owned(),
        error_msg: None,
        at,
        by: wpk_api::Mover::Delivery,
        entry: None,
        confirmation: None,
    }
}

/// Creates one task and returns its id.
async fn create(store: &dyn TaskStore, task: NewTask) -> TaskId {
    match ok(store.create(vec![task]).await).as_slice() {
        [Created::Task(id)] => *id,
        other => panic!("one new task was to be created, the store answered {other:?}"),
    }
}

#[track_caller]
fn ok<T>(result: Result<T, wpk_api::StoreError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("the store failed: {error}"),
    }
}
