//! Rehearsals: the planner against a fleet that is made up as it goes, so that an
//! administrator sees beforehand how long it takes, how many agents are down at once, how
//! much goes to each site. Nothing is sent to anybody.
//!
//! Times are rounded up to a step, which is longer the more agents there are (15 s, and
//! 5 s for every 1,000 agents); how a link is shared is estimated when a file starts.

mod carry;
mod odds;
mod played;
mod stage;

pub use odds::Odds;
pub use played::{Event, Happened, Rehearsal, WaveBound};
pub use stage::rehearse;
