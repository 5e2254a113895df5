//! Definitions: what an administrator writes into a file, read with every mistake found
//! at once. The keys, with their units, ranges and defaults, are the fields of [`Site`],
//! [`Rollout`], [`Wave`] and [`Release`].

mod amount;
mod digest;
mod moment;
mod read;
mod release;
mod rollout;
mod site;
mod whole;

pub use amount::{Amount, AmountError, Rate, RateError, SLOWEST};
pub use digest::{Digest, ParseDigestError};
pub use moment::{Moment, MomentError};
pub use release::{MOST_FLOORS, MOST_HOPS, NoWay, Release, Releases};
pub(crate) use rollout::seconds;
pub use rollout::{MOST_EXCLUDED, MOST_RETRIES, MOST_WAVES, Rollout, Wave};
pub use site::{DEFAULT_SITE, Site, Sites};
pub use whole::{Definition, LONGEST_DEFINITION, MOST_RELEASES, MOST_ROLLOUTS, MOST_SITES};
