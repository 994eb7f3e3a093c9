//! The controller of `MixedStreamTask`.

pub mod access;
mod announce;
pub mod cluster;
pub mod controller;
pub mod desired;
pub mod dossier;
pub mod evidence;
pub mod gone;
pub mod ledger;
pub mod memory;
pub mod observatory;
pub mod ownership;
pub mod parameters;
pub mod plan;
pub mod queue;
pub mod reconcile;
pub mod retry;
pub mod seen;
pub mod send;
pub mod shared;
pub mod store;
mod sweep;
#[cfg(test)]
mod tests;
pub mod trail;
pub mod verdict;
pub mod view;
pub mod watch;
