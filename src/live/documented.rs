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
/// Both name the outputs.
const OUTPUTS: &[Call] = &[Call::Start, Call::Update];
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

/// A code of Start's that nothing documents: a candidate too.
const fn start(code: &'static str) -> Documented {
    of("11", &[400], code, "", START)
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
    any("4.3", &[404], "ResourceNotExist"),
    of(
        "2.1",
        &[403],
        "",
        "Your account has not enabled the Live service",
        &Call::ALL,
    ),
    // A proxy's answers need have no code (dossier 1.2).
    any("1.2", &[403], ""),
    any("1.2", &[408], ""),
    any("7.1", &[429], ""),
    any("7.1", &[400, 429, 503], "Throttling"),
    any("7.1", &[400, 429, 503], "Throttling.User"),
    any("7.1", &[400, 429, 503], "Throttling.Api"),
    any("7.1", &[400, 429, 503], "Rejected.Throttling"),
    any("2", &[400], "QpsLimitExceeded"),
    any("2", &[400], "FlowLimitExceeded"),
    any("2", &[400], "FlowControl"),
    any("2", &[400], "RateLimitExceeded"),
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
    words(START, "The channel doesn't exist."),
    words(START, "The channel is not found."),
    words(START, "no such channel."),
    words(START, "The channel is empty."),
    words(START, "Nobody is in the channel."),
    words(START, "no user in the channel."),
    words(START, "There is no one in the channel."),
    words(START, "The user does not exist."),
    words(START, "The task already exists."),
    words(START, "The task exists."),
    words(START, "The task existed before."),
    words(START, "The TaskId is duplicated."),
    words(START, "The task already exists, it is not cleared yet."),
    words(START, "The task hasn't been cleared."),
    words(START, "The task is being cleared."),
    words(START, "The old task is still clearing."),
    words(START, "the number of tasks exceeds the limit."),
    words(START, "The task number is exceeded."),
    words(START, "The task limit is exceeded."),
    words(START, "The limit of tasks is reached."),
    words(START, "The maximum of tasks is reached."),
    words(START, "Too many tasks."),
    words(START, "The task quota is used up."),
    words(START, "The length of TaskId exceeds the limit."),
    words(START, "TaskId must have at most 55 characters."),
    words(START, "parameter verification failed."),
    words(OUTPUTS, "The StreamURL is used by another task."),
    words(
        OUTPUTS,
        "The StreamURL was used by a task that stopped less than 10 seconds ago.",
    ),
    words(OUTPUTS, "The StreamURL is in use."),
    words(OUTPUTS, "The StreamURL is being used."),
    words(OUTPUTS, "The StreamURL already has a task."),
    words(OUTPUTS, "The StreamURL is occupied."),
    words(OUTPUTS, "The StreamURL belongs to another task."),
    words(OUTPUTS, "The StreamURL must rest for 10 seconds."),
    words(OUTPUTS, "The StreamURL must not be reused within 10s."),
    words(OUTPUTS, "The StreamURL must rest for ten seconds."),
    words(OUTPUTS, "The stream is used by a task."),
    words(OUTPUTS, "The stream is occupied."),
    words(OUTPUTS, "The stream belongs to another task."),
    words(OUTPUTS, "The stream must rest for 10 seconds."),
    start("ChannelNotExist"),
    start("InvalidChannel.NotFound"),
    start("TaskAlreadyExist"),
    start("DuplicateTask"),
    start("TaskNotCleared"),
    start("QuotaExceeded"),
    start("TaskNumExceed"),
    start("OverTaskLimit"),
    words(UPDATE, "The task does not exist."),
    words(UPDATE, "The task doesn't exist."),
    words(UPDATE, "The task is not found."),
    words(UPDATE, "no such task."),
    words(UPDATE, "The channel does not exist."),
    words(UPDATE, "The channel doesn't exist."),
    words(UPDATE, "The channel is not found."),
    words(UPDATE, "no such channel."),
    words(UPDATE, "ChannelId is not that of the task."),
    words(UPDATE, "parameter verification failed."),
    words(STOP, "The task does not exist."),
    words(STOP, "no such task."),
    words(STOP, "The channel does not exist."),
    words(STOP, "parameter verification failed."),
    words(LIST, "The task does not exist."),
];
