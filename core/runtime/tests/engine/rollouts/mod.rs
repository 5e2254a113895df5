//! Rollouts carried out: what begins when, what stops it, and what is told of it.

mod fleet;
mod gates;
mod operators;
<<<<<<< HEAD
mod sites;
=======
mod planners;
>>>>>>> 29dca46 (Test that another node goes on with a rollout; refuse digests of releases that nothing compares)
mod windows;
