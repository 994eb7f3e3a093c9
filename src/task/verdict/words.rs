//! Failures in words: what happened, what helps, and the reason that stands for it.

use crate::{
    api::{ConditionType, Reason},
    live::{Call, Class},
    task::{
        access::Source,
        retry::{Cause, Wait},
        view::View,
    },
};

/// With how long it has failed, and when it is tried again.
pub(super) fn with_schedule(text: &str, wait: Option<&Wait>) -> String {
    match wait {
        Some(wait) => format!("{text} Failing {}.", wait.schedule()),
        None => text.to_owned(),
    }
}

/// What happened, with the service's words.
pub(super) fn fault(wait: &Wait) -> String {
    let class = match wait.cause {
        Cause::Unconfirmed | Cause::Open => "is not confirmed",
        Cause::Foreign => "shows a task that this object did not start",
        Cause::Answer(class) => became_of(class),
    };
    if wait.words.is_empty() {
        class.to_owned()
    } else {
        format!("{class} ({})", wait.words)
    }
}

/// What became of a call, after its action's name.
#[must_use]
pub fn became_of(class: Class) -> &'static str {
    match class {
        Class::NotFoundLike => "was answered not-found",
        Class::InternalError => "failed inside the service",
        Class::Throttled => "is throttled",
        Class::ServiceUnavailable => "was not answered properly",
        Class::AppIdRejected => "was refused for its application",
        Class::RequestRejected => "was refused",
        Class::AccessDenied => "was denied",
        Class::ServiceNotEnabled => "was refused for the account",
        Class::CredentialsMissing => "could not be sent",
        Class::CredentialsRejected => "was refused for the credentials",
        Class::CredentialsStale => "was refused for credentials that are being replaced",
        Class::ClockSkew => "was refused for its date",
        Class::NonceUsed => "was refused as a repetition",
        Class::ChannelAbsent => "was refused for its channel",
        Class::TaskExists => "was refused for its task id",
        Class::NotCleared => "was refused for a task that is not cleared yet",
        Class::OutputBusy => "was refused for an output",
        Class::QuotaExceeded => "was refused for the number of tasks",
    }
}

/// What helps whoever looks after these credentials, in a sentence.
pub(super) fn advice(cause: Cause, view: &View) -> String {
    // The words say what to do.
    if cause == Cause::Answer(Class::CredentialsMissing) && view.source != Source::Own {
        return "It is sent when that is done.".to_owned();
    }
    if let (Cause::Answer(class), Source::Secret(secret)) = (cause, &view.source) {
        match class {
            Class::AccessDenied => {
                return format!(
                    "Grant this action to the key in Secret {secret}, or settle what the service's words say."
                );
            }
            Class::CredentialsRejected => return format!("Put a valid key into Secret {secret}."),
            Class::CredentialsMissing
            | Class::CredentialsStale
            | Class::NotFoundLike
            | Class::InternalError
            | Class::Throttled
            | Class::ServiceUnavailable
            | Class::AppIdRejected
            | Class::RequestRejected
            | Class::ServiceNotEnabled
            | Class::ClockSkew
            | Class::NonceUsed
            | Class::ChannelAbsent
            | Class::TaskExists
            | Class::NotCleared
            | Class::OutputBusy
            | Class::QuotaExceeded => {}
        }
    }
    general_advice(cause).to_owned()
}

/// What helps, in a sentence.
#[must_use]
pub fn general_advice(cause: Cause) -> &'static str {
    match cause {
        Cause::Unconfirmed | Cause::Open | Cause::Foreign => "It is tried again.",
        Cause::Answer(class) => match class {
            Class::NotFoundLike
            | Class::InternalError
            | Class::ServiceUnavailable
            | Class::NonceUsed => "It is tried again.",
            Class::Throttled => {
                "The account's quota is used up, by this operator or by others; it is tried again."
            }
            Class::AppIdRejected => {
                "Check spec.appId, and that the credentials are of the account that owns it."
            }
            Class::RequestRejected => "The service does not take this request as it is.",
            Class::AccessDenied => {
                "Grant this action to the operator's credentials, or settle what the service's words say."
            }
            Class::ServiceNotEnabled => {
                "Enable ApsaraVideo Live for the account, or settle what suspended it."
            }
            // What is to be done is in the words: it depends on where the credentials come from.
            Class::CredentialsMissing => "Give the operator credentials.",
            Class::CredentialsRejected => {
                "Give the operator valid credentials; a key from its environment needs a restart."
            }
            Class::CredentialsStale => "The operator fetches new ones; it is tried again.",
            Class::ClockSkew => "Check the clock of the operator's node.",
            Class::ChannelAbsent => "Nobody is in the channel yet; it is tried again.",
            Class::TaskExists => {
                "A task with this id exists already: choose another spec.taskId, or stop that task."
            }
            Class::NotCleared => "The service clears the old task by itself; it is tried again.",
            Class::OutputBusy => {
                "An output belongs to another task, or rests for ten seconds after one; it is tried again."
            }
            Class::QuotaExceeded => {
                "The account has as many tasks as it may have: stop some, or have the vendor raise the limit."
            }
        },
    }
}

/// The reason that a cause is told as.
#[must_use]
pub fn reason(cause: Cause) -> Reason {
    match cause {
        Cause::Unconfirmed => Reason::StopUnconfirmed,
        Cause::Open => Reason::OutcomeUnknown,
        Cause::Foreign => Reason::TaskIdInUse,
        Cause::Answer(class) => match class {
            Class::Throttled => Reason::Throttled,
            Class::NotFoundLike
            | Class::InternalError
            | Class::ServiceUnavailable
            | Class::ClockSkew
            | Class::CredentialsStale
            | Class::NonceUsed => Reason::ServiceUnavailable,
            Class::AppIdRejected => Reason::AppIdRejected,
            Class::RequestRejected => Reason::RequestRejected,
            Class::AccessDenied => Reason::AccessDenied,
            Class::ServiceNotEnabled => Reason::ServiceNotEnabled,
            Class::CredentialsMissing => Reason::CredentialsMissing,
            Class::CredentialsRejected => Reason::CredentialsRejected,
            Class::ChannelAbsent => Reason::WaitingForChannel,
            Class::TaskExists => Reason::TaskIdInUse,
            Class::NotCleared | Class::OutputBusy => Reason::CoolingDown,
            Class::QuotaExceeded => Reason::QuotaExceeded,
        },
    }
}

/// The reason that a failed call of this kind is told as, while nothing else is known of its object. The list and a channel's users are asked after a
/// Stop that found nothing, the live channels for a relay that waits for its own. Verdicts and the page of reasons both go by it.
#[must_use]
pub fn told_as(call: Call, class: Class) -> Reason {
    let own = reason(Cause::Answer(class));
    match (call, class) {
        // The list tells what became of it.
        (Call::Start, _) if class.may_have_taken_effect() => Reason::OutcomeUnknown,
        // The task is gone, it seems; the next reads of the list tell.
        (Call::Update, Class::NotFoundLike | Class::ChannelAbsent) => Reason::Updating,
        // By id it may be the list's way to say that there is none: its pages are read at once.
        (Call::ListTask, Class::NotFoundLike | Class::InternalError) => Reason::Stopping,
        // A Stop that found nothing is no failure: the list has to confirm it. Where that is denied, Stop goes on trying. And while the task is
        // listed, its channel would only have told more.
        (Call::Stop, Class::NotFoundLike)
        | (Call::ListTask | Call::ListPage, Class::AccessDenied)
        | (Call::ChannelUsers, _) => Reason::StopUnconfirmed,
        // Where nobody may ask, Start is what tells whether somebody is there.
        (Call::LiveRooms, Class::AccessDenied) => Reason::WaitingForChannel,
        // It waits for the channel all the same; only what somebody has to mend is worth a reason of its own.
        (Call::LiveRooms, _) if own.condition() != ConditionType::Stalled => {
            Reason::WaitingForChannel
        }
        (
            Call::Start
            | Call::Update
            | Call::Stop
            | Call::ListTask
            | Call::ListPage
            | Call::LiveRooms,
            _,
        ) => own,
    }
}

/// The same of what an action waits for.
pub(super) fn told(call: Call, cause: Cause) -> Reason {
    match cause {
        Cause::Answer(class) => told_as(call, class),
        Cause::Unconfirmed | Cause::Open | Cause::Foreign => reason(cause),
    }
}
