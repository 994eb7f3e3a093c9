//! Signatures of requests: pure functions; time and nonce are arguments.

pub mod v1;
