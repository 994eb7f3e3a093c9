//! What became of one call: the types that a caller sees, and the reading of an answer into them.

use std::time::Duration;

use jiff::Timestamp;

use super::actions::Call;
use super::answer::{classify, echoes_the_request, is_error_code, turns_away};
use super::class::Class;
use super::message::without_ids;
use super::redact;
use super::reply::{self, Complaint, Misshapen, Object};

/// Whether the service can have seen the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// It cannot.
    NeverSent,
    /// It may have, and may have acted on it: silence, an answer that is not the service's, or a failure of the service that asks to wait.
    MayHaveArrived,
    /// It answered, with an error.
    Answered,
}

/// A call that did not succeed. Holds nothing that must not be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What it means for us.
    pub class: Class,
    /// Whether the service can have seen the request.
    pub delivery: Delivery,
    /// The HTTP status, where one came. Whoever sent it, a reply came: a permit for the call has ended. Without one, and unless it was never
    /// sent, the permit is unanswered.
    pub status: Option<u16>,
    /// The service's code, where it gave one.
    pub code: Option<String>,
    /// For people: redacted, one line, at most [`redact::LONGEST`] characters.
    pub message: String,
    /// Stop alone: the service's own, unshortened message says that the task does not exist ([`super::says_task_is_gone`]), and its class is one
    /// that can mean it ([`Class::NotFoundLike`], [`Class::InternalError`]).
    pub task_gone: bool,
    /// How long the service asks us to wait, at most 120 s (dossier 7.2).
    pub retry_after: Option<Duration>,
    /// The service's id of the request, where it gave one.
    pub request_id: Option<String>,
}

/// How a call shows that it may have found no room in the quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Throttle {
    /// The service says so.
    Refused,
    /// There was no answer: some services swallow what is too much.
    Unanswered,
}

impl Throttle {
    /// Every way.
    pub const ALL: [Self; 2] = [Self::Refused, Self::Unanswered];

    /// The value of the label `sign` of a metric.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unanswered => "unanswered",
        }
    }
}

impl Failure {
    /// Whether the call may have found no room in the quota.
    #[must_use]
    pub fn throttle(&self) -> Option<Throttle> {
        match (self.delivery, self.class, self.status) {
            (Delivery::NeverSent, ..) => None,
            (_, Class::Throttled, _) => Some(Throttle::Refused),
            (_, _, None) => Some(Throttle::Unanswered),
            (_, _, Some(_)) => None,
        }
    }

    /// Nothing was sent, since there are no parameters to send.
    #[must_use]
    pub fn nothing_to_send() -> Self {
        Self {
            delivery: Delivery::NeverSent,
            ..unavailable("nothing was sent: the parameters are not known".to_owned())
        }
    }
}

impl Failure {
    /// Nothing was sent, since there is nothing to sign with.
    #[must_use]
    pub fn no_credentials(class: Class, message: impl Into<String>) -> Self {
        Self {
            class,
            delivery: Delivery::NeverSent,
            ..unavailable(message.into())
        }
    }

    /// The pages of a list have no end.
    #[must_use]
    pub fn endless() -> Self {
        unavailable("the list has no end, or shows the same page again".to_owned())
    }
}

/// A call that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Success<T> {
    /// What the answer holds.
    pub value: T,
    /// The service's id of the request; never empty.
    pub request_id: String,
}

/// The outcome of one call.
pub type Reply<T> = Result<Success<T>, Failure>;

/// The longest that the service can make us wait (dossier 7.2).
const LONGEST_WAIT: Duration = Duration::from_mins(2);

/// An answer as it came.
pub(super) struct Answer {
    pub status: u16,
    pub body: Body,
    /// From the header; a body has its own.
    pub request_id: Option<String>,
    pub wait: Wait,
    /// The time by the clock of whoever answered.
    pub date: Option<Timestamp>,
}

/// As much of a body as could be read.
pub(super) enum Body {
    Whole(Vec<u8>),
    TooLong,
    Torn,
}

/// What the headers say of the next try.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wait {
    /// By the service's own header, which makes every error a throttling.
    pub throttled: bool,
    pub at_least: Option<Duration>,
}

impl Wait {
    /// Reads `x-acs-retry-after` (milliseconds; zero, negative or unreadable is none) and the standard `Retry-After` (seconds), which only a proxy
    /// sends (dossier 7.2).
    pub fn from_headers(service: Option<&str>, standard: Option<&str>) -> Self {
        let positive = |text: Option<&str>| {
            text.and_then(|text| text.parse::<u64>().ok())
                .filter(|number| *number > 0)
        };
        let own = positive(service).map(Duration::from_millis);
        let wait = own.or_else(|| positive(standard).map(Duration::from_secs));
        Self {
            throttled: own.is_some(),
            at_least: wait.map(|wait| wait.min(LONGEST_WAIT)),
        }
    }
}

/// Reads an answer. Nothing in the result shows one of `secrets`; what the service repeats of `ids` is no word of its own; `says_gone` sees its
/// message before it is shortened.
pub(super) fn judge<T>(
    call: Call,
    answer: Answer,
    secrets: &[&str],
    ids: &[&str],
    says_gone: impl Fn(&str) -> bool,
    read: impl Fn(&Object) -> Result<T, Misshapen>,
) -> Reply<T> {
    let meaning = |status, code: Option<&str>, words: &str, throttled| {
        classify(call, status, code, words, throttled)
    };
    judge_by(meaning, answer, secrets, ids, says_gone, read)
}

/// As [`judge`], where `meaning` tells what an error means: by the HTTP status, the code, the service's own words, and whether the answer has the
/// service's own header for throttling.
pub(super) fn judge_by<T>(
    meaning: impl Fn(u16, Option<&str>, &str, bool) -> Class,
    answer: Answer,
    secrets: &[&str],
    ids: &[&str],
    says_gone: impl Fn(&str) -> bool,
    read: impl Fn(&Object) -> Result<T, Misshapen>,
) -> Reply<T> {
    let Answer {
        status,
        body,
        request_id: header_id,
        wait,
        date: _,
    } = answer;
    let shown = |text: &str| redact::shown(text, secrets);
    let Complaint {
        code,
        message,
        request_id,
    } = match &body {
        Body::Whole(bytes) => reply::complaint(bytes),
        Body::TooLong | Body::Torn => Complaint::default(),
    };
    let request_id = request_id.or(header_id).map(|id| shown(&id));
    let complains = code.as_deref().is_some_and(is_error_code);
    if status == 200 && !complains {
        return match understood(&body, read) {
            Ok((value, id)) => Ok(Success {
                value,
                request_id: shown(&id),
            }),
            Err(flaw) => Err(Failure {
                status: Some(status),
                request_id,
                ..unavailable(format!("HTTP 200, but not the service's answer: {flaw}"))
            }),
        };
    }
    let is_error = status >= 400 || complains;
    let raw = message.unwrap_or_default();
    let words = without_ids(&raw, ids);
    // What the status of a torn answer means is in the part that is missing.
    let class = match (
        &body,
        meaning(status, code.as_deref(), &words, wait.throttled),
    ) {
        (Body::Torn, class) if class != Class::Throttled => Class::ServiceUnavailable,
        (Body::Whole(_) | Body::TooLong | Body::Torn, class) => class,
    };
    let by_itself = meaning(status, code.as_deref(), &words, false);
    let is_open = class == Class::Throttled
        && (by_itself.may_have_taken_effect() || !turns_away(status, code.as_deref()));
    let delivery = match body {
        Body::Whole(_) | Body::TooLong if is_error && !is_open => Delivery::Answered,
        Body::Whole(_) | Body::TooLong | Body::Torn => Delivery::MayHaveArrived,
    };
    let message = match shown(&raw) {
        _ if code.as_deref().is_some_and(echoes_the_request) => {
            "the service refuses the signature: the access key secret does not belong to the access key id".to_owned()
        }
        message if message.is_empty() && matches!(body, Body::Torn) => {
            format!("HTTP {status}, and the rest of the answer did not come")
        }
        message if message.is_empty() => format!("HTTP {status} without a message of the service"),
        // Something has to name it.
        message if code.as_deref().is_none_or(str::is_empty) => format!("HTTP {status}: {message}"),
        message => message,
    };
    Err(Failure {
        class,
        delivery,
        status: Some(status),
        code: code
            .filter(|code| is_plain(code) && !secrets.iter().any(|secret| holds(code, secret))),
        message,
        task_gone: may_speak_of_a_task(class) && says_gone(&raw),
        retry_after: wait.at_least,
        request_id,
    })
}

/// Whether the words that come with an answer can be about the task at all. A refusal for another reason may mention that a task was not found; it
/// was then not the service of tasks that looked.
const fn may_speak_of_a_task(class: Class) -> bool {
    match class {
        Class::NotFoundLike | Class::InternalError => true,
        Class::Throttled
        | Class::ServiceUnavailable
        | Class::AppIdRejected
        | Class::RequestRejected
        | Class::AccessDenied
        | Class::ServiceNotEnabled
        | Class::CredentialsRejected
        | Class::CredentialsStale
        | Class::ClockSkew
        | Class::NonceUsed
        | Class::CredentialsMissing
        | Class::ChannelAbsent
        | Class::TaskExists
        | Class::NotCleared
        | Class::OutputBusy
        | Class::QuotaExceeded => false,
    }
}

/// The value and the request id of a success, or what is wrong with it.
fn understood<T>(
    body: &Body,
    read: impl Fn(&Object) -> Result<T, Misshapen>,
) -> Result<(T, String), String> {
    let bytes = match body {
        Body::Whole(bytes) => bytes,
        Body::TooLong => return Err("it is too long".to_owned()),
        Body::Torn => return Err("it was cut off".to_owned()),
    };
    if bytes.is_empty() {
        return Err("it is empty".to_owned());
    }
    let object = reply::object(bytes).ok_or_else(|| "it is no JSON object".to_owned())?;
    let id = reply::request_id(&object).ok_or_else(|| "it has no RequestId".to_owned())?;
    let value = read(&object).map_err(|misshapen| misshapen.to_string())?;
    Ok((value, id))
}

fn holds(text: &str, secret: &str) -> bool {
    !secret.is_empty() && text.contains(secret)
}

/// Looks like a code at all; the text of one is shown beside our own words.
fn is_plain(code: &str) -> bool {
    code.len() <= 64
        && code
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// Nothing is known of what the service did.
pub(super) fn unavailable(message: String) -> Failure {
    Failure {
        class: Class::ServiceUnavailable,
        delivery: Delivery::MayHaveArrived,
        status: None,
        code: None,
        message,
        task_gone: false,
        retry_after: None,
        request_id: None,
    }
}

/// There is nothing to sign with.
pub(super) fn credentials_missing() -> Failure {
    let message = "the operator has no credentials: set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET, or what RRSA needs, and \
                   restart it";
    Failure::no_credentials(Class::CredentialsMissing, message)
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;
