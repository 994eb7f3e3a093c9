//! The rooms of the operator. `main` installs the TLS provider, reads the command line and dispatches; everything else is here.

pub mod admin;
pub mod api;
pub mod app;
pub mod cli;
pub mod events;
pub mod health;
pub mod live;
pub mod metrics;
pub mod names;
pub mod policy;
pub mod reasons;
pub mod task;
pub mod telemetry;
