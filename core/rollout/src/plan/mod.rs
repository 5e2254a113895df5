//! The planner: what is desired and what was observed in; what is to be done, and one
//! state with one reason for every agent, out. It reads no clock and remembers nothing.

mod action;
mod fare;
mod flights;
mod gate;
mod grant;
mod ground;
mod inputs;
mod look;
mod next;
mod opening;
mod owners;
mod roll;
mod soak;
mod sources;
mod state;
mod status;
mod tidy;
mod turn;
mod whole;

pub use action::Action;
pub use gate::{Counts, Gate, Tally};
pub use inputs::Inputs;
pub use state::{AgentState, Cause, Reason, Verdict};
pub use status::{RolloutState, RolloutStatus, WaveStatus};
pub use whole::{Plan, plan};
