//! The real binary, over HTTP, with a signer and a client of these tests' own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod actions;
mod faults;
mod faults_of_start;
mod gateway;
mod harness;
mod page;
mod process;
mod quotas;
mod relays;
mod sts;
mod v3;
