//! The closed words of the status: phases, condition types and reasons.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where the object stands, in one word, for people. Tools read the conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Seen, and not yet armed or started.
    Pending,
    /// The task belongs to this object and will be stopped when the object is deleted.
    Armed,
    /// The relay runs.
    Running,
    /// The object is being deleted and the task is not yet known to be stopped.
    Stopping,
    /// The relay is stopped.
    Stopped,
    /// Hands off, as the spec asks.
    Suspended,
    /// Somebody has to change something before this goes on.
    Failed,
}

impl Phase {
    /// Every phase, in the order of an object's life.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Armed,
        Self::Running,
        Self::Stopping,
        Self::Stopped,
        Self::Suspended,
        Self::Failed,
    ];

    /// The word as it stands in the status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Armed => "Armed",
            Self::Running => "Running",
            Self::Stopping => "Stopping",
            Self::Stopped => "Stopped",
            Self::Suspended => "Suspended",
            Self::Failed => "Failed",
        }
    }
}

/// The condition types, with the meaning that kstatus and Flux give them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConditionType {
    /// The service is in the state that the spec asks for. Always present.
    Ready,
    /// The operator works on it or waits for something that heals by itself. Present only while true.
    Reconciling,
    /// Somebody has to change something. Present only while true.
    Stalled,
}

impl ConditionType {
    /// The type as it stands in the status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
        }
    }
}

/// Why a condition holds. Which condition a reason belongs to is fixed: see [`Reason::condition`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Ready: the task will be stopped when the object is deleted.
    Armed,
    /// Ready: the relay runs with the parameters that the spec asks for.
    Running,
    /// Ready: the relay is stopped, as the spec asks.
    Stopped,
    /// Ready: the relay was stopped by the service, by somebody or by its longest duration, and stays so.
    Completed,
    /// Ready: hands off is what the spec asks for.
    Suspended,
    /// Reconciling: the Start is being sent, or waits for its turn.
    Starting,
    /// Reconciling: the Update is being sent, or waits for its turn.
    Updating,
    /// Reconciling: the Stop is being sent, or waits for its turn.
    Stopping,
    /// Reconciling: nobody is in the channel yet.
    WaitingForChannel,
    /// Reconciling: a Secret or its key is not there.
    WaitingForSecret,
    /// Reconciling: a task that ended is not cleared yet, or one of its outputs still rests.
    CoolingDown,
    /// Reconciling: the service asks for fewer calls.
    Throttled,
    /// Reconciling: the service fails or does not answer.
    ServiceUnavailable,
    /// Reconciling: Stop was answered, but nothing proves that the task is stopped.
    StopUnconfirmed,
    /// Reconciling: nobody knows yet whether a Start or an Update was carried out.
    OutcomeUnknown,
    /// Stalled: somebody else has the task id.
    TaskIdInUse,
    /// Stalled: another object holds an output.
    OutputInUse,
    /// Stalled: the operator's policy does not allow the application or the task to this namespace.
    AppNotAllowed,
    /// Stalled: the stored object cannot be read.
    InvalidSpec,
    /// Stalled: the service does not know the application, or it belongs to another account.
    AppIdRejected,
    /// Stalled: the service refuses the request.
    RequestRejected,
    /// Stalled: the account's policy denies the call.
    AccessDenied,
    /// Stalled: the account has not enabled the Live service.
    ServiceNotEnabled,
    /// Stalled: the operator has no credentials.
    CredentialsMissing,
    /// Stalled: the service does not accept the credentials.
    CredentialsRejected,
    /// Stalled: the account has as many tasks as it may have.
    QuotaExceeded,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 26] = [
        Self::Armed,
        Self::Running,
        Self::Stopped,
        Self::Completed,
        Self::Suspended,
        Self::Starting,
        Self::Updating,
        Self::Stopping,
        Self::WaitingForChannel,
        Self::WaitingForSecret,
        Self::CoolingDown,
        Self::Throttled,
        Self::ServiceUnavailable,
        Self::StopUnconfirmed,
        Self::OutcomeUnknown,
        Self::TaskIdInUse,
        Self::OutputInUse,
        Self::AppNotAllowed,
        Self::InvalidSpec,
        Self::AppIdRejected,
        Self::RequestRejected,
        Self::AccessDenied,
        Self::ServiceNotEnabled,
        Self::CredentialsMissing,
        Self::CredentialsRejected,
        Self::QuotaExceeded,
    ];

    /// The condition that this reason stands under.
    #[must_use]
    pub fn condition(self) -> ConditionType {
        match self {
            Self::Armed | Self::Running | Self::Stopped | Self::Completed | Self::Suspended => {
                ConditionType::Ready
            }
            Self::Starting
            | Self::Updating
            | Self::Stopping
            | Self::WaitingForChannel
            | Self::WaitingForSecret
            | Self::CoolingDown
            | Self::Throttled
            | Self::ServiceUnavailable
            | Self::StopUnconfirmed
            | Self::OutcomeUnknown => ConditionType::Reconciling,
            Self::TaskIdInUse
            | Self::OutputInUse
            | Self::AppNotAllowed
            | Self::InvalidSpec
            | Self::AppIdRejected
            | Self::RequestRejected
            | Self::AccessDenied
            | Self::ServiceNotEnabled
            | Self::CredentialsMissing
            | Self::CredentialsRejected
            | Self::QuotaExceeded => ConditionType::Stalled,
        }
    }

    /// The reason as it stands in the status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Armed => "Armed",
            Self::Suspended => "Suspended",
            Self::Stopping => "Stopping",
            Self::Throttled => "Throttled",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::StopUnconfirmed => "StopUnconfirmed",
            Self::TaskIdInUse => "TaskIdInUse",
            Self::InvalidSpec => "InvalidSpec",
            Self::AppIdRejected => "AppIdRejected",
            Self::RequestRejected => "RequestRejected",
            Self::AccessDenied => "AccessDenied",
            Self::ServiceNotEnabled => "ServiceNotEnabled",
            Self::CredentialsMissing => "CredentialsMissing",
            Self::Running => "Running",
            Self::Stopped => "Stopped",
            Self::Completed => "Completed",
            Self::Starting => "Starting",
            Self::Updating => "Updating",
            Self::WaitingForChannel => "WaitingForChannel",
            Self::WaitingForSecret => "WaitingForSecret",
            Self::CoolingDown => "CoolingDown",
            Self::OutcomeUnknown => "OutcomeUnknown",
            Self::OutputInUse => "OutputInUse",
            Self::AppNotAllowed => "AppNotAllowed",
            Self::QuotaExceeded => "QuotaExceeded",
            Self::CredentialsRejected => "CredentialsRejected",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
