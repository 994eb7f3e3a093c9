//! The answers that documents describe, of this API and of those beside it: what the table of answers has to know.

use super::actions::Call;

/// One answer.
#[derive(Debug, Clone, Copy)]
pub struct Documented {
    /// The section of the dossier.
    pub section: &'static str,
    /// The HTTP statuses that it was seen with; they differ between gateways and years.
    pub statuses: &'static [u16],
    /// The code.
    pub code: &'static str,
    /// Its words; empty where they do not matter.
    pub message: &'static str,
    /// What was asked.
    pub calls: &'static [Call],
}

const START: &[Call] = &[Call::Start];
const UPDATE: &[Call] = &[Call::Update];
const STOP: &[Call] = &[Call::Stop];
const LIST: &[Call] = &[Call::ListTask];
const ROOMS: &[Call] = &[Call::LiveRooms];

const fn of(
    section: &'static str,
    statuses: &'static [u16],
    code: &'static str,
    message: &'static str,
    calls: &'static [Call],
) -> Documented {
    Documented {
        section,
        statuses,
        code,
        message,
        calls,
    }
}

const fn any(section: &'static str, statuses: &'static [u16], code: &'static str) -> Documented {
    of(section, statuses, code, "", &Call::ALL)
}

/// Under `InvalidParam`, where the words alone tell. The service's own are not known: these are the candidates (dossier 11).
const fn words(calls: &'static [Call], message: &'static str) -> Documented {
    of("11", &[400], "InvalidParam", message, calls)
}

/// Every one.
pub static DOCUMENTED: &[Documented] = &[
    any("2.1", &[400], "InvalidParam"),
    any("2.1", &[400], "InvalidAppId"),
    any("2.1", &[400, 404], "MissingParam"),
    any("2.1", &[403], "OperationDenied"),
    any("2.1", &[403], "OperationDenied.Suspended"),
    any("2.1", &[403], "Forbidden"),
    any("2.1", &[500], "InternalError"),
    any("2.1", &[400], "NotFound.Task"),
    any("2.1", &[400], "InvalidParameter.TaskId"),
    any("2.1", &[400], "CodeTaskNotExist"),
    any("2.1", &[404], "InvalidTask.NotFound"),
    any("2.1", &[400], "InvalidTask.IDError"),
    of("2.1", &[200], "TaskExisted", "", START),
    of("4.3", &[400], "InputInvalid", "", ROOMS),
    of("4.3", &[403], "NoAuth", "", ROOMS),
    of("4.3", &[404], "ResourceNotExist", "", ROOMS),
    any("7.1", &[400, 429, 503], "Throttling"),
    any("7.1", &[400, 429, 503], "Throttling.User"),
    any("7.1", &[400, 429, 503], "Throttling.Api"),
    any("7.1", &[400, 429, 503], "Rejected.Throttling"),
    any("7.1", &[503], "ServiceUnavailable"),
    any("7.1", &[500], "UnknownError"),
    any("7.1", &[500], "InternalServiceError"),
    any("7.1", &[500, 502, 504], ""),
    any("7.1", &[400, 403], "SignatureDoesNotMatch"),
    any("7.1", &[400, 403], "IncompleteSignature"),
    any("7.1", &[400], "SignatureNonceUsed"),
    any("7.1", &[400], "InvalidTimeStamp.Expired"),
    any("7.1", &[400], "InvalidTimeStamp.Format"),
    any("7.1", &[400, 404], "InvalidAccessKeyId.NotFound"),
    any("7.1", &[400, 403], "InvalidAccessKeyId.Inactive"),
    any("7.1", &[400, 403], "Forbidden.AccessKeyDisabled"),
    any("7.1", &[400, 403], "InvalidSecurityToken.Expired"),
    any("7.1", &[400, 403], "InvalidSecurityToken.Malformed"),
    any(
        "7.1",
        &[400, 403],
        "InvalidSecurityToken.MismatchWithAccessKey",
    ),
    any("7.1", &[400, 403], "MissingSecurityToken"),
    any("7.1", &[403], "Forbidden.RAM"),
    any("7.1", &[403], "NoPermission"),
    any("7.1", &[400, 404], "InvalidAction.NotFound"),
    any("7.1", &[400, 404], "InvalidApi.NotFound"),
    any("7.1", &[400, 404], "InvalidVersion"),
    any("7.1", &[400, 404], "InvalidProduct.NotFound"),
    any("7.1", &[404], "InvalidProtocol.NeedSsl"),
    any("7.1", &[400], "MissingParameter"),
    any("7.1", &[400], "MissingTaskId"),
    any("7.1", &[400], "InvalidParameter"),
    any("7.1", &[400], "InvalidTaskId"),
    any("7.1", &[400], "UnsupportedHTTPMethod"),
    any("7.1", &[400], "InvalidParameter.Format"),
    words(START, "The channel does not exist."),
    words(START, "no user in the channel."),
    words(START, "The task already exists."),
    words(START, "The TaskId is duplicated."),
    words(START, "The task already exists, it is not cleared yet."),
    words(START, "The StreamURL is used by another task."),
    words(
        START,
        "The StreamURL was used by a task that stopped less than 10 seconds ago.",
    ),
    words(START, "the number of tasks exceeds the limit."),
    words(START, "parameter verification failed."),
    of("11", &[400], "ChannelNotExist", "", START),
    of("11", &[400], "TaskAlreadyExist", "", START),
    of("11", &[400], "QuotaExceeded", "", START),
    words(UPDATE, "The task does not exist."),
    words(UPDATE, "The StreamURL is used by another task."),
    words(UPDATE, "ChannelId is not that of the task."),
    words(UPDATE, "parameter verification failed."),
    words(STOP, "The task does not exist."),
    words(STOP, "no such task."),
    words(STOP, "The channel does not exist."),
    words(STOP, "parameter verification failed."),
    words(LIST, "The task does not exist."),
];
