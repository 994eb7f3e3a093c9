//! The operator as a whole, on a real API server and with the simulator of the Live API.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod account;
mod accounts;
mod answers;
mod crashes;
mod credentials;
mod deletion;
mod faults;
mod judge;
mod kstatus;
mod kubectl;
mod life;
mod metrics;
mod oracle;
mod ownership;
mod pace;
mod poison;
mod relay;
mod resource;
mod scene;
mod secrets;
mod shutdown;
mod signature;
mod startup;
mod storm;
mod switches;
