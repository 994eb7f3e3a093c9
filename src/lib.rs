//! The rooms of the operator. `main` installs the TLS provider, reads the command line and dispatches; everything else is here.

pub mod api;
pub mod live;
pub mod task;
