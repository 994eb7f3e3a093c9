//! The words in which the rest of the program speaks of a failed call.

/// What a failed call means for us. Closed, so that it can be a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// The service may be saying that there is no such task. Never proof by itself.
    NotFoundLike,
    /// The documented `InternalError`: a failure, or (undocumented) an unknown task.
    InternalError,
    /// Over a rate limit, ours or somebody else's on the same account.
    Throttled,
    /// No usable answer: another failure of the service, silence, or something that is not the service's answer.
    ServiceUnavailable,
    /// The application is unknown to the service or belongs to another account.
    AppIdRejected,
    /// The service refuses the request as it is.
    RequestRejected,
    /// The account's access policy does not allow it.
    AccessDenied,
    /// The account has not enabled the service, or it is suspended.
    ServiceNotEnabled,
    /// The key, its secret or its token is wrong, disabled or expired.
    CredentialsRejected,
    /// Our date is outside the service's window.
    ClockSkew,
    /// The nonce was seen before: a copy of the request arrived earlier.
    NonceUsed,
    /// There is nothing to sign with; nothing was sent.
    CredentialsMissing,
    /// Start: nobody is in the channel, or there is none yet.
    ChannelAbsent,
    /// Start: there is a task with this id.
    TaskExists,
    /// Start: a task with this id has ended and is not cleared yet.
    NotCleared,
    /// Start and Update: an output belongs to another task, or to one that ended within the last ten seconds.
    OutputBusy,
    /// Start: the account has as many tasks as it may have.
    QuotaExceeded,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 17] = [
        Self::NotFoundLike,
        Self::InternalError,
        Self::Throttled,
        Self::ServiceUnavailable,
        Self::AppIdRejected,
        Self::RequestRejected,
        Self::AccessDenied,
        Self::ServiceNotEnabled,
        Self::CredentialsRejected,
        Self::ClockSkew,
        Self::NonceUsed,
        Self::CredentialsMissing,
        Self::ChannelAbsent,
        Self::TaskExists,
        Self::NotCleared,
        Self::OutputBusy,
        Self::QuotaExceeded,
    ];

    /// Whether a call that was answered so may have been carried out all the same, or may still be: the service failed on the way, or a copy of the
    /// request had come before. Of the others the answer itself says that nothing was done.
    #[must_use]
    pub const fn may_have_taken_effect(self) -> bool {
        match self {
            Self::NonceUsed | Self::InternalError | Self::ServiceUnavailable => true,
            Self::NotFoundLike
            | Self::TaskExists
            | Self::NotCleared
            | Self::ChannelAbsent
            | Self::OutputBusy
            | Self::QuotaExceeded
            | Self::Throttled
            | Self::AppIdRejected
            | Self::RequestRejected
            | Self::AccessDenied
            | Self::ServiceNotEnabled
            | Self::CredentialsRejected
            | Self::ClockSkew
            | Self::CredentialsMissing => false,
        }
    }

    /// The value of the label `result` of a metric.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NotFoundLike => "not_found_like",
            Self::InternalError => "internal_error",
            Self::Throttled => "throttled",
            Self::ServiceUnavailable => "service_unavailable",
            Self::AppIdRejected => "app_id_rejected",
            Self::RequestRejected => "request_rejected",
            Self::AccessDenied => "access_denied",
            Self::ServiceNotEnabled => "service_not_enabled",
            Self::CredentialsRejected => "credentials_rejected",
            Self::ClockSkew => "clock_skew",
            Self::NonceUsed => "nonce_used",
            Self::CredentialsMissing => "credentials_missing",
            Self::ChannelAbsent => "channel_absent",
            Self::TaskExists => "task_exists",
            Self::NotCleared => "not_cleared",
            Self::OutputBusy => "output_busy",
            Self::QuotaExceeded => "quota_exceeded",
        }
    }
}
