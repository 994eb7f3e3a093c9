//! The client of the Live API: what one call is, how it is signed, what its answer means, and when it may be sent.
//!
//! Knows nothing of Kubernetes. One method call of [`Client`] is exactly one HTTP request, so that the [`Limiter`] counts what the service counts.

pub mod actions;
mod adapt;
pub mod answer;
mod calls;
pub mod class;
pub mod client;
mod clock;
pub mod credentials;
pub mod documented;
pub mod endpoint;
mod growth;
mod http;
pub mod identity;
mod latency;
pub mod limiter;
mod message;
pub mod outcome;
pub mod output;
pub mod redact;
pub mod relay;
mod reply;
pub mod share;
pub mod sign;
mod traffic;
pub mod turns;
pub mod wire;

pub use actions::{
    Account, Action, AppId, Call, ChannelId, ChannelUsers, IdError, ListedTask, LiveRooms,
    PAGE_SIZE, TaskId,
};
pub use answer::{can_fail_as, classify, says_task_is_gone};
pub use class::Class;
pub use client::{Client, ClientConfig, ClientError};
pub use credentials::{
    Credentials, CredentialsError, METADATA_SERVER, Observer, OidcRole, Origin, Provider, Refresh,
    SourceKind, Surroundings, sts_endpoint,
};
pub use endpoint::{Endpoint, EndpointError};
pub use identity::AccountId;
pub use limiter::{Limiter, Permit, Taken, Ticket};
pub use outcome::{Delivery, Failure, Reply, Success, Throttle};
pub use output::{OutputError, OutputId};
pub use relay::{Media, Output, Parameters, Relay};
pub use share::{QuotaShare, ShareError};
pub use sign::Signature;
pub use turns::{Lane, Turns};
