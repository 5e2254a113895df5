//! The planner of rollouts.

mod apply;
mod attempt;
mod definition;
mod facts;
mod member;
mod name;
mod plan;
mod selector;
mod text;
mod waves;
mod window;

pub use apply::{Desired, NotAsPlanned};
pub use attempt::{Attempt, NoLeave, Outcome, Permit};
pub use definition::{
    Amount, AmountError, DEFAULT_SITE, Definition, Digest, LONGEST_DEFINITION, MOST_EXCLUDED,
    MOST_FLOORS, MOST_HOPS, MOST_RELEASES, MOST_RETRIES, MOST_ROLLOUTS, MOST_SITES, MOST_WAVES,
    Moment, MomentError, NoWay, Rate, RateError, Release, Releases, Rollout, SLOWEST, Site, Sites,
    Wave,
};
pub use facts::{Document, Facts, OpenedWave, Phase, Refused, RolloutKey, Settled};
pub use member::{Agent, Member};
pub use name::{LONGEST_NAME, Name, NameError};
pub use plan::{
    Action, AgentState, Cause, Counts, Gate, Inputs, Plan, Reason, RolloutState, RolloutStatus,
    Tally, Verdict, WaveStatus, plan,
};
pub use selector::{
    DEEPEST_SELECTOR, Field, LONGEST_SELECTOR, MOST_VALUES, Op, Selector, SelectorError, Value,
};
pub use window::{MOST_WINDOWS, Opening, UnknownZone, Window, WindowError, Zone, opening};
