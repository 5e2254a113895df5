//! The planner of rollouts.

mod definition;
mod member;
mod name;
mod selector;
mod text;
mod window;

pub use definition::{
    Amount, AmountError, DEFAULT_SITE, Definition, Digest, LONGEST_DEFINITION, MOST_EXCLUDED,
    MOST_FLOORS, MOST_HOPS, MOST_RELEASES, MOST_RETRIES, MOST_ROLLOUTS, MOST_SITES, MOST_WAVES,
    Moment, MomentError, NoWay, Rate, RateError, Release, Releases, Rollout, SLOWEST, Site, Sites,
    Wave,
};
pub use member::{Agent, Member};
pub use name::{LONGEST_NAME, Name, NameError};
pub use selector::{
    DEEPEST_SELECTOR, Field, LONGEST_SELECTOR, MOST_VALUES, Op, Selector, SelectorError, Value,
};
pub use window::{MOST_WINDOWS, Opening, UnknownZone, Window, WindowError, Zone, opening};
