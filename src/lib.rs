//! The operator.

pub mod live;
