//! The controller of `MixedStreamTask`.

pub mod cluster;
pub mod controller;
pub mod dossier;
pub mod evidence;
pub mod ownership;
pub mod plan;
pub mod queue;
pub mod reconcile;
pub mod retry;
pub mod send;
pub mod shared;
pub mod store;
#[cfg(test)]
mod tests;
pub mod trail;
pub mod verdict;
pub mod view;
pub mod watch;
