//! Rollouts: name a version and a window, walk away. What is desired and what was observed
//! in; what is to be done next, and one state with one reason for every agent, out. No
//! clock, no I/O, no memory: the same facts give the same plan, on whichever node it is
//! made.
//!
//! - [`Definition`] is what an administrator writes: [`Site`]s (who, when, how many at
//!   once), [`Rollout`]s of [`Wave`]s, [`Release`]s with floors. Every mistake is told.
//! - [`Selector`] says which agents, [`Window`] and [`Zone`] when.
//! - [`Desired`] is what a store keeps: sites, releases, and a [`Document`] for each
//!   rollout with its [`Facts`], the few things that cannot be undone.
//! - An [`Attempt`] is one task: one hop of one agent. [`Permit::check`] is the rule by
//!   which a store lets its installer begin.
//! - [`plan()`] makes [`Action`]s and [`Verdict`]s of all that.
//!
//! The engine makes a plan whenever something changed, and at [`Plan::next`]; it carries
//! the actions out in their order, each as a compare-and-set, and plans again. Only one
//! engine may carry out at a time, one plan after the other: it holds a lease, and the
//! store refuses the actions of one that lost it. It gathers the [`Inputs`] in the order
//! that is written there. Attempts of rollouts that are not over are not purged.
//!
//! How a gate judges: an agent counts as failed when a failure came after its installer was
//! begun, or when its tries are used up; it goes on counting when a later try succeeds,
//! until an operator asks for another try, skips or settles it. A success counts when its
//! version was seen and it stayed connected, or was seen again, for the soak. Silence is
//! `unknown`, keeps its place in every cap and gate, and is a failure after
//! `unknown_after`. In a strict wave no more is out than may fail, plus one:
//! `running + unknown + failed <= max_failures + 1`.
//!
//! ```
//! use std::collections::BTreeMap;
//! use wpk_api::{AgentId, ConnectionStatus};
//! use wpk_rollout::{Action, Agent, Definition, Desired, Inputs, Member, plan};
//!
//! let definition = Definition::from_toml(
//!     r#"
//!     [[rollout]]
//!     name = "prod"
//!     select = "group = prod and version < v4.14.7"
//!     target = "v4.14.7"
//!
//!       [[rollout.wave]]
//!       name = "canary"
//!       size = 1
//!       strict = true
//!
//!       [[rollout.wave]]
//!       name = "rest"
//!       size = "100%"
//!     "#,
//! )
//! .unwrap();
//! let stored = Desired::default();
//! let now = 1_796_000_000;
//! let desired = stored.apply(&definition, stored.digest(&definition), now).unwrap();
//!
//! let agents: Vec<Agent> = (1..=3)
//!     .map(|id| {
//!         let mut member = Member::new(AgentId::new(id).unwrap());
//!         member.groups = vec!["prod".into()];
//!         member.version = Some("v4.14.0".parse().unwrap());
//!         member.status = ConnectionStatus::Active;
//!         Agent::new(member)
//!     })
//!     .collect();
//! let made = plan(&Inputs {
//!     desired: &desired,
//!     agents: &agents,
//!     attempts: &[],
//!     holds: &BTreeMap::new(),
//!     now,
//! });
//! assert!(matches!(&made.actions[..], [Action::Open { wave: 0, members, .. }] if members.len() == 1));
//! assert_eq!(made.agents[0].state.as_str(), "waiting");
//! assert_eq!(made.agents[0].reason.to_string(), "the first wave has not opened");
//! ```

mod apply;
mod attempt;
mod bandwidth;
mod definition;
mod facts;
mod member;
mod name;
mod plan;
mod rehearse;
mod selector;
mod summary;
mod text;
mod waves;
mod window;

pub use apply::{Desired, NotAsPlanned};
pub use attempt::{Attempt, NoLeave, Outcome, Permit};
pub use bandwidth::{Bucket, WINDOW};
pub use definition::{
    Amount, AmountError, DEFAULT_SITE, Definition, Digest, LONGEST_DEFINITION, MOST_EXCLUDED,
    MOST_FLOORS, MOST_HOPS, MOST_RELEASES, MOST_RETRIES, MOST_ROLLOUTS, MOST_SITES, MOST_WAVES,
    Moment, MomentError, NoWay, ParseDigestError, Rate, RateError, Release, Releases, Rollout,
    SLOWEST, Site, Sites, Wave,
};
pub use facts::{Document, Facts, OpenedWave, Phase, Refused, RolloutKey, Settled};
pub use member::{Agent, Member};
pub use name::{LONGEST_NAME, Name, NameError};
pub use plan::{
    Action, AgentState, Cause, Counts, Gate, Inputs, Plan, Reason, RolloutState, RolloutStatus,
    Tally, Verdict, WaveStatus, plan,
};
pub use rehearse::{Event, Happened, Odds, Rehearsal, WaveBound, rehearse};
pub use selector::{
    DEEPEST_SELECTOR, Field, LONGEST_SELECTOR, MOST_VALUES, Op, Selector, SelectorError, Value,
};
pub use summary::{Summary, summaries};
pub use window::{MOST_WINDOWS, Opening, UnknownZone, Window, WindowError, Zone, opening};
