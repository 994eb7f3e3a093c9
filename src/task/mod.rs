//! The controller of `MixedStreamTask`.

pub mod evidence;
pub mod ownership;
pub mod plan;
pub mod retry;
pub mod store;
pub mod verdict;
pub mod view;
