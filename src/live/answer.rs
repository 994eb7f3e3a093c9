//! What an answer of the service means: the one place that knows the vendor's codes.

use super::actions::Call;
use super::class::Class;

pub use super::message::says_task_is_gone;

/// What an error answer means. `code` and `message` are the service's own, where its answer has them; an HTTP status alone tells little, and
/// 404 never that a task is gone (dossier 10).
#[must_use]
pub fn classify(
    call: Call,
    http_status: u16,
    code: Option<&str>,
    message: &str,
    has_retry_after: bool,
) -> Class {
    if has_retry_after {
        // Documented for any error that carries the header (dossier 7.2).
        return Class::Throttled;
    }
    let code = code.unwrap_or_default().to_ascii_lowercase();
    let message = message.to_ascii_lowercase();
    row(call, http_status, &code, &message).map_or(Class::ServiceUnavailable, |row| row.class)
}

/// Whether a call of this kind can fail so. Credentials that are missing or stale are no answer of the service: any call may lack good ones.
#[must_use]
pub fn can_fail_as(call: Call, class: Class) -> bool {
    matches!(class, Class::CredentialsMissing | Class::CredentialsStale)
        || TABLE
            .iter()
            .any(|row| row.class == class && row.asked.covers(call))
}

/// The line that decides. Code and message are in lower case.
fn row(call: Call, http_status: u16, code: &str, message: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| {
        row.asked.covers(call)
            && row.status.covers(http_status)
            && row.code.covers(code)
            && row.message.covers(message)
    })
}

/// Whether `code` in an answer with status 200 is an error nevertheless: an older edition of the API documents such (dossier 2.1).
#[must_use]
pub fn is_error_code(code: &str) -> bool {
    !code.is_empty() && !["ok", "success", "200", "0"].contains(&code.to_ascii_lowercase().as_str())
}

/// Whether an answer that asks to wait says of itself that nothing was done: a failure of the service says so by the documented code alone
/// (dossier 7.1), and a header that merely tells a delay does not make it a refusal.
#[must_use]
pub fn turns_away(http_status: u16, code: Option<&str>) -> bool {
    http_status < 500 || code.is_some_and(|code| code.to_ascii_lowercase().contains(THROTTLING))
}

/// In every documented code of a rate limit.
const THROTTLING: &str = "throttling";

/// Whether the message that comes with `code` repeats the whole request, so that none of it may be shown (dossier 6.3).
#[must_use]
pub fn echoes_the_request(code: &str) -> bool {
    SIGNATURE_CODES
        .iter()
        .any(|signature| signature.eq_ignore_ascii_case(code))
}

const SIGNATURE_CODES: [&str; 2] = ["SignatureDoesNotMatch", "IncompleteSignature"];

/// One line of the table. What is left open matches everything.
#[cfg_attr(test, derive(Debug))]
struct Row {
    asked: Asked,
    status: Status,
    code: Text,
    message: Text,
    class: Class,
}

#[cfg_attr(test, derive(Debug))]
enum Asked {
    Anything,
    /// About one task by its id that should be there: only then can an answer say that it is not.
    OneTask,
    /// Stop, or the list by task id.
    StopOrLook,
    Start,
    Update,
    StartOrUpdate,
    LiveRooms,
}

#[cfg_attr(test, derive(Debug))]
enum Status {
    Any,
    Is(u16),
    /// From the first to the last.
    Within(u16, u16),
}

/// A pattern in lower case: codes are matched tolerantly, since documents and services spell them differently over the years.
#[cfg_attr(test, derive(Debug))]
enum Text {
    Any,
    Is(&'static str),
    /// The word itself, or the word and a dot with more after it.
    Family(&'static str),
    /// All of these, anywhere.
    Has(&'static [&'static str]),
}

impl Asked {
    fn covers(&self, call: Call) -> bool {
        match self {
            Self::Anything => true,
            Self::OneTask => matches!(call, Call::Stop | Call::ListTask | Call::Update),
            Self::StopOrLook => matches!(call, Call::Stop | Call::ListTask),
            Self::Start => call == Call::Start,
            Self::Update => call == Call::Update,
            Self::StartOrUpdate => matches!(call, Call::Start | Call::Update),
            Self::LiveRooms => call == Call::LiveRooms,
        }
    }
}

impl Status {
    fn covers(&self, status: u16) -> bool {
        match *self {
            Self::Any => true,
            Self::Is(one) => status == one,
            Self::Within(first, last) => (first..=last).contains(&status),
        }
    }
}

impl Text {
    fn covers(&self, text: &str) -> bool {
        match *self {
            Self::Any => true,
            Self::Is(word) => text == word,
            Self::Family(word) => text
                .strip_prefix(word)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.')),
            Self::Has(parts) => parts.iter().all(|part| text.contains(part)),
        }
    }
}

const fn code(code: Text, class: Class) -> Row {
    Row {
        asked: Asked::Anything,
        status: Status::Any,
        code,
        message: Text::Any,
        class,
    }
}

const fn task(code: Text) -> Row {
    Row {
        asked: Asked::OneTask,
        status: Status::Any,
        code,
        message: Text::Any,
        class: Class::NotFoundLike,
    }
}

/// By the code, where Start or Update was asked for.
const fn doing(asked: Asked, code: Text, class: Class) -> Row {
    Row {
        asked,
        status: Status::Any,
        code,
        message: Text::Any,
        class,
    }
}

/// By the words, which decide where the code does not: `InvalidParam` stands for everything (dossier 2.1), other codes are not documented.
const fn says(asked: Asked, words: &'static [&'static str], class: Class) -> Row {
    Row {
        asked,
        status: Status::Within(200, 499),
        code: Text::Any,
        message: Text::Has(words),
        class,
    }
}

/// As [`says`], for `InvalidParam` alone.
const fn invalid(asked: Asked, words: &'static [&'static str], class: Class) -> Row {
    Row {
        code: Text::Family("invalidparam"),
        ..says(asked, words, class)
    }
}

const fn status(status: Status, class: Class) -> Row {
    Row {
        asked: Asked::Anything,
        status,
        code: Text::Any,
        message: Text::Any,
        class,
    }
}

/// The table: the first line that matches decides. A fact learnt about the real service changes one line.
static TABLE: &[Row] = &[
    // Rate limits come with 400, 429 or 503 (dossier 7.1).
    code(Text::Has(&[THROTTLING]), Class::Throttled),
    status(Status::Is(429), Class::Throttled),
    // What this API says where its own quotas are used up is not known (dossier 2): such a code slows the action, whatever was asked.
    code(Text::Has(&["qps"]), Class::Throttled),
    code(Text::Has(&["flow", "limit"]), Class::Throttled),
    code(Text::Has(&["flowcontrol"]), Class::Throttled),
    code(Text::Has(&["rate", "limit"]), Class::Throttled),
    // The six documented errors (vendor page), and their families. `InvalidParam` is the suspect for an unknown task.
    doing(
        Asked::StopOrLook,
        Text::Family("invalidparam"),
        Class::NotFoundLike,
    ),
    code(Text::Family("invalidappid"), Class::AppIdRejected),
    code(Text::Is("missingparam"), Class::RequestRejected),
    code(Text::Is("internalerror"), Class::InternalError),
    code(Text::Family("operationdenied"), Class::ServiceNotEnabled),
    code(
        Text::Family("forbidden.accesskeydisabled"),
        Class::CredentialsRejected,
    ),
    Row {
        asked: Asked::Anything,
        status: Status::Is(403),
        code: Text::Any,
        message: Text::Has(&["not enabled", "service"]),
        class: Class::ServiceNotEnabled,
    },
    code(Text::Family("forbidden"), Class::AccessDenied),
    // The gateway (dossier 7.1).
    code(
        Text::Is("signaturedoesnotmatch"),
        Class::CredentialsRejected,
    ),
    code(Text::Is("incompletesignature"), Class::CredentialsRejected),
    code(Text::Is("signaturenonceused"), Class::NonceUsed),
    code(Text::Is("invalidtimestamp.expired"), Class::ClockSkew),
    code(
        Text::Family("invalidaccesskeyid"),
        Class::CredentialsRejected,
    ),
    code(
        Text::Family("invalidsecuritytoken"),
        Class::CredentialsRejected,
    ),
    code(
        Text::Family("missingsecuritytoken"),
        Class::CredentialsRejected,
    ),
    code(Text::Family("nopermission"), Class::AccessDenied),
    code(Text::Family("noauth"), Class::AccessDenied),
    code(
        Text::Family("serviceunavailable"),
        Class::ServiceUnavailable,
    ),
    code(Text::Is("unknownerror"), Class::ServiceUnavailable),
    code(Text::Is("internalserviceerror"), Class::ServiceUnavailable),
    // Wrong action, version or host: not found, but no task.
    code(Text::Family("invalidaction"), Class::RequestRejected),
    code(Text::Family("invalidapi"), Class::RequestRejected),
    code(Text::Family("invalidversion"), Class::RequestRejected),
    code(Text::Family("invalidproduct"), Class::RequestRejected),
    code(Text::Family("invalidprotocol"), Class::RequestRejected),
    // What sibling and older APIs say of an unknown task (dossier 2.1); the task actions are not known to.
    task(Text::Is("invalidparameter.taskid")),
    task(Text::Is("resourcenotexist")),
    task(Text::Has(&["task", "notfound"])),
    task(Text::Has(&["task", "notexist"])),
    // The list of channels (dossier 2.1, 4.3).
    doing(
        Asked::LiveRooms,
        Text::Is("resourcenotexist"),
        Class::AppIdRejected,
    ),
    // Start and Update by their codes, none of which is documented for them; an older edition sends one with HTTP 200 (dossier 2.1).
    doing(
        Asked::Start,
        Text::Has(&["channel", "notexist"]),
        Class::ChannelAbsent,
    ),
    doing(
        Asked::Start,
        Text::Has(&["channel", "notfound"]),
        Class::ChannelAbsent,
    ),
    doing(
        Asked::Start,
        Text::Has(&["notexist"]),
        Class::RequestRejected,
    ),
    doing(Asked::Start, Text::Has(&["notclear"]), Class::NotCleared),
    // The words, from the most telling to the least: a task that "already exists, it is not cleared yet" is not cleared.
    says(Asked::Start, &["not", "clear"], Class::NotCleared),
    says(Asked::Start, &["n't", "clear"], Class::NotCleared),
    says(Asked::Start, &["being clear"], Class::NotCleared),
    says(Asked::Start, &["still clear"], Class::NotCleared),
    says(Asked::StartOrUpdate, &["url", "used by"], Class::OutputBusy),
    says(Asked::StartOrUpdate, &["url", "in use"], Class::OutputBusy),
    says(
        Asked::StartOrUpdate,
        &["url", "being used"],
        Class::OutputBusy,
    ),
    says(Asked::StartOrUpdate, &["url", "already"], Class::OutputBusy),
    says(
        Asked::StartOrUpdate,
        &["url", "occupied"],
        Class::OutputBusy,
    ),
    says(
        Asked::StartOrUpdate,
        &["url", "other task"],
        Class::OutputBusy,
    ),
    says(Asked::StartOrUpdate, &["url", "10 s"], Class::OutputBusy),
    says(Asked::StartOrUpdate, &["url", "10s"], Class::OutputBusy),
    says(Asked::StartOrUpdate, &["url", "ten s"], Class::OutputBusy),
    says(
        Asked::StartOrUpdate,
        &["stream", "used by"],
        Class::OutputBusy,
    ),
    says(
        Asked::StartOrUpdate,
        &["stream", "occupied"],
        Class::OutputBusy,
    ),
    says(
        Asked::StartOrUpdate,
        &["stream", "another task"],
        Class::OutputBusy,
    ),
    says(Asked::StartOrUpdate, &["stream", "10 s"], Class::OutputBusy),
    says(
        Asked::Start,
        &["channel", "not exist"],
        Class::ChannelAbsent,
    ),
    says(
        Asked::Start,
        &["channel", "n't exist"],
        Class::ChannelAbsent,
    ),
    says(
        Asked::Start,
        &["channel", "not found"],
        Class::ChannelAbsent,
    ),
    says(Asked::Start, &["no such channel"], Class::ChannelAbsent),
    says(Asked::Start, &["channel", "empty"], Class::ChannelAbsent),
    says(Asked::Start, &["channel", "nobody"], Class::ChannelAbsent),
    says(Asked::Start, &["channel", "no user"], Class::ChannelAbsent),
    says(Asked::Start, &["channel", "no one"], Class::ChannelAbsent),
    says(Asked::Start, &["not exist"], Class::RequestRejected),
    says(Asked::Start, &["already exist"], Class::TaskExists),
    says(Asked::Start, &["task", "exists"], Class::TaskExists),
    says(Asked::Start, &["task", "existed"], Class::TaskExists),
    says(Asked::Start, &["duplicate", "task"], Class::TaskExists),
    doing(
        Asked::Start,
        Text::Has(&["task", "exist"]),
        Class::TaskExists,
    ),
    doing(
        Asked::Start,
        Text::Has(&["duplicate", "task"]),
        Class::TaskExists,
    ),
    // What exceeds a length or a size is a parameter, not the number of tasks.
    invalid(Asked::Start, &["length"], Class::RequestRejected),
    invalid(Asked::Start, &["character"], Class::RequestRejected),
    says(Asked::Start, &["quota"], Class::QuotaExceeded),
    says(Asked::Start, &["too many", "task"], Class::QuotaExceeded),
    says(Asked::Start, &["exceed", "tasks"], Class::QuotaExceeded),
    says(
        Asked::Start,
        &["exceed", "task", "number"],
        Class::QuotaExceeded,
    ),
    says(
        Asked::Start,
        &["exceed", "task", "limit"],
        Class::QuotaExceeded,
    ),
    says(Asked::Start, &["maximum", "tasks"], Class::QuotaExceeded),
    says(Asked::Start, &["limit", "tasks"], Class::QuotaExceeded),
    doing(Asked::Start, Text::Has(&["quota"]), Class::QuotaExceeded),
    doing(Asked::Start, Text::Has(&["exceed"]), Class::QuotaExceeded),
    doing(Asked::Start, Text::Has(&["limit"]), Class::QuotaExceeded),
    invalid(Asked::Update, &["task", "not exist"], Class::NotFoundLike),
    invalid(Asked::Update, &["task", "n't exist"], Class::NotFoundLike),
    invalid(Asked::Update, &["task", "not found"], Class::NotFoundLike),
    invalid(Asked::Update, &["no such task"], Class::NotFoundLike),
    // Its channel is gone, and the task with it.
    invalid(
        Asked::Update,
        &["channel", "not exist"],
        Class::NotFoundLike,
    ),
    invalid(
        Asked::Update,
        &["channel", "n't exist"],
        Class::NotFoundLike,
    ),
    invalid(
        Asked::Update,
        &["channel", "not found"],
        Class::NotFoundLike,
    ),
    invalid(Asked::Update, &["no such channel"], Class::NotFoundLike),
    // By status alone: an unknown code, or no answer of the service's own.
    status(Status::Is(403), Class::AccessDenied),
    status(Status::Is(408), Class::ServiceUnavailable),
    status(Status::Within(400, 499), Class::RequestRejected),
    status(Status::Any, Class::ServiceUnavailable),
];

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
