//! Rollouts carried out: what begins when, what stops it, and what is told of it.

pub mod fleet;
mod gates;
mod operators;
mod planners;
mod sites;
mod sources;
mod windows;
