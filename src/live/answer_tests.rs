use super::*;
use crate::live::documented::DOCUMENTED;

#[path = "answer_words_tests.rs"]
mod words;

const ALL: [Call; 7] = Call::ALL;
const ONE_TASK: [Call; 2] = [Call::Stop, Call::ListTask];
const OTHERS: [Call; 2] = [Call::ListPage, Call::ChannelUsers];

fn assert_class(calls: &[Call], status: u16, code: Option<&str>, message: &str, expected: Class) {
    for call in calls {
        assert_eq!(
            classify(*call, status, code, message, false),
            expected,
            "{call:?} {status} {code:?} {message}"
        );
    }
}

/// Vendor page: `StopLiveMPUTask`, error codes.
#[test]
fn the_six_documented_errors() {
    assert_class(
        &ONE_TASK,
        400,
        Some("InvalidParam"),
        "task not exist.",
        Class::NotFoundLike,
    );
    assert_class(
        &OTHERS,
        400,
        Some("InvalidParam"),
        "PageNo.",
        Class::RequestRejected,
    );
    assert_class(
        &ALL,
        400,
        Some("InvalidAppId"),
        "app, please check and try again later.",
        Class::AppIdRejected,
    );
    assert_class(
        &ALL,
        400,
        Some("MissingParam"),
        "TaskId, please check and try again later.",
        Class::RequestRejected,
    );
    assert_class(
        &ALL,
        404,
        Some("MissingParam"),
        "TaskId, please check and try again later.",
        Class::RequestRejected,
    );
    assert_class(
        &ALL,
        500,
        Some("InternalError"),
        "InternalError",
        Class::InternalError,
    );
    assert_class(
        &ALL,
        403,
        Some("OperationDenied"),
        "Your account has not enabled the Live service",
        Class::ServiceNotEnabled,
    );
    assert_class(
        &ALL,
        403,
        Some("Forbidden"),
        "no right",
        Class::AccessDenied,
    );
}

/// Dossier 7.1, and spellings that it says to expect.
#[test]
fn the_codes_of_the_gateway() {
    for (status, code, expected) in [
        (400, "Throttling", Class::Throttled),
        (429, "Throttling.User", Class::Throttled),
        (503, "Throttling.Api", Class::Throttled),
        (400, "Rejected.Throttling", Class::Throttled),
        (503, "ServiceUnavailable", Class::ServiceUnavailable),
        (500, "UnknownError", Class::ServiceUnavailable),
        (500, "InternalServiceError", Class::ServiceUnavailable),
        (502, "BadGateway", Class::ServiceUnavailable),
        (504, "GatewayTimeout", Class::ServiceUnavailable),
        (400, "SignatureDoesNotMatch", Class::CredentialsRejected),
        (403, "SignatureDoesNotMatch", Class::CredentialsRejected),
        (400, "IncompleteSignature", Class::CredentialsRejected),
        (400, "SignatureNonceUsed", Class::NonceUsed),
        (400, "InvalidTimeStamp.Expired", Class::ClockSkew),
        (400, "InvalidTimeStamp.Format", Class::RequestRejected),
        (
            404,
            "InvalidAccessKeyId.NotFound",
            Class::CredentialsRejected,
        ),
        (
            400,
            "InvalidAccessKeyId.NotFound",
            Class::CredentialsRejected,
        ),
        (
            400,
            "InvalidAccessKeyId.Inactive",
            Class::CredentialsRejected,
        ),
        (
            403,
            "Forbidden.AccessKeyDisabled",
            Class::CredentialsRejected,
        ),
        (
            400,
            "InvalidSecurityToken.Expired",
            Class::CredentialsRejected,
        ),
        (
            403,
            "InvalidSecurityToken.Malformed",
            Class::CredentialsRejected,
        ),
        (
            400,
            "InvalidSecurityToken.MismatchWithAccessKey",
            Class::CredentialsRejected,
        ),
        (400, "MissingSecurityToken", Class::CredentialsRejected),
        (403, "Forbidden.RAM", Class::AccessDenied),
        (403, "NoPermission", Class::AccessDenied),
        (403, "Forbidden.Whatever", Class::AccessDenied),
        (403, "OperationDenied.Suspended", Class::ServiceNotEnabled),
        (404, "InvalidAction.NotFound", Class::RequestRejected),
        (404, "InvalidApi.NotFound", Class::RequestRejected),
        (400, "InvalidVersion", Class::RequestRejected),
        (404, "InvalidProduct.NotFound", Class::RequestRejected),
        (404, "InvalidProtocol.NeedSsl", Class::RequestRejected),
        (400, "MissingParameter", Class::RequestRejected),
        (400, "MissingTaskId", Class::RequestRejected),
        (400, "InvalidParameter", Class::RequestRejected),
        (400, "InvalidTaskId", Class::RequestRejected),
        (400, "UnsupportedHTTPMethod", Class::RequestRejected),
        (400, "InvalidParameter.Format", Class::RequestRejected),
    ] {
        assert_class(&ALL, status, Some(code), "words", expected);
        assert_class(
            &ALL,
            status,
            Some(&code.to_ascii_lowercase()),
            "words",
            expected,
        );
    }
}

/// The code with which this API refuses a call too many is not known (dossier 2). Whatever was asked, such a one slows the action.
#[test]
fn codes_of_a_rate_limit() {
    for code in [
        "QpsLimitExceeded",
        "OverQps",
        "FlowLimit",
        "FlowControl",
        "RateLimitExceeded",
        "ExceedRateLimit",
    ] {
        for status in [400, 403, 503] {
            assert_class(&ALL, status, Some(code), "words", Class::Throttled);
        }
    }
    let is_of_rates = |code: &str| {
        let code = code.to_ascii_lowercase();
        ["throttling", "qps", "flow", "ratelimit"]
            .iter()
            .any(|word| code.contains(word))
    };
    for answer in DOCUMENTED.iter().filter(|answer| !is_of_rates(answer.code)) {
        for call in answer.calls {
            let status = answer.statuses[0];
            let class = classify(*call, status, Some(answer.code), answer.message, false);
            assert!(
                class != Class::Throttled || status == 429,
                "{answer:?} {call:?}"
            );
        }
    }
}

/// Dossier 2.1: what sibling and older APIs say. Meant of a task only where one task was asked about.
#[test]
fn synonyms_of_not_found() {
    for code in [
        "NotFound.Task",
        "InvalidParameter.TaskId",
        "CodeTaskNotExist",
        "ResourceNotExist",
        "InvalidTask.NotFound",
        "TaskNotExist",
        "TaskNotFound",
    ] {
        for status in [400, 404] {
            assert_class(
                &ONE_TASK,
                status,
                Some(code),
                "no such task",
                Class::NotFoundLike,
            );
            assert_class(
                &[&OTHERS[..], &[Call::Start]].concat(),
                status,
                Some(code),
                "no such task",
                Class::RequestRejected,
            );
            assert_class(
                &[Call::Update],
                status,
                Some(code),
                "no such task",
                Class::NotFoundLike,
            );
        }
    }
    assert_class(
        &ONE_TASK,
        500,
        Some("NotFound.Task"),
        "no such task",
        Class::NotFoundLike,
    );
    assert_class(
        &ALL,
        400,
        Some("InvalidTask.IDError"),
        "bad id",
        Class::RequestRejected,
    );
    assert_class(
        &ALL,
        400,
        Some("InputInvalid"),
        "bad input",
        Class::RequestRejected,
    );
    assert_class(&ALL, 403, Some("NoAuth"), "no right", Class::AccessDenied);
}

#[test]
fn a_status_without_a_known_code() {
    for (status, expected) in [
        (200, Class::ServiceUnavailable),
        (301, Class::ServiceUnavailable),
        (307, Class::ServiceUnavailable),
        (400, Class::RequestRejected),
        (401, Class::RequestRejected),
        (403, Class::AccessDenied),
        (404, Class::RequestRejected),
        (408, Class::ServiceUnavailable),
        (418, Class::RequestRejected),
        (429, Class::Throttled),
        (500, Class::ServiceUnavailable),
        (502, Class::ServiceUnavailable),
        (503, Class::ServiceUnavailable),
        (504, Class::ServiceUnavailable),
        (599, Class::ServiceUnavailable),
    ] {
        assert_class(&ALL, status, None, "", expected);
        assert_class(&ALL, status, Some(""), "", expected);
        assert_class(
            &ALL,
            status,
            Some("NeverSeenBefore"),
            "task not found",
            expected,
        );
    }
    assert_class(
        &ALL,
        403,
        None,
        "Your account has not enabled the Live service",
        Class::ServiceNotEnabled,
    );
}

/// Dossier 7.2: any error with the header is throttling.
#[test]
fn a_request_to_wait_is_throttling_whatever_it_comes_with() {
    for (status, code) in [
        (400, Some("InvalidParam")),
        (404, None),
        (500, Some("InternalError")),
        (503, None),
    ] {
        for call in ALL {
            assert_eq!(classify(call, status, code, "", true), Class::Throttled);
        }
    }
}

#[test]
fn labels_are_distinct() {
    let labels: std::collections::BTreeSet<_> =
        Class::ALL.iter().map(|class| class.label()).collect();
    assert_eq!(labels.len(), Class::ALL.len());
}

/// Dossier 2.1, 4.3.
#[test]
fn the_list_of_channels() {
    for (status, code, expected) in [
        (400, "InputInvalid", Class::RequestRejected),
        (400, "InvalidParam", Class::RequestRejected),
        (403, "NoAuth", Class::AccessDenied),
        (404, "ResourceNotExist", Class::AppIdRejected),
    ] {
        assert_class(
            &[Call::LiveRooms],
            status,
            Some(code),
            "no such task",
            expected,
        );
    }
}

/// What the documents describe is decided by a line of its own, never by the status alone, but for the gateway's many words for a bad parameter and
/// for failures without a code.
#[test]
fn every_documented_answer_has_its_line() {
    let general = [
        "",
        "InvalidParam",
        "InvalidTimeStamp.Format",
        "MissingParameter",
        "MissingTaskId",
        "InvalidParameter",
        "InvalidTaskId",
        "UnsupportedHTTPMethod",
        "InvalidParameter.Format",
        "InvalidTask.IDError",
        "InputInvalid",
        // Of a task where none was asked about.
        "NotFound.Task",
        "InvalidParameter.TaskId",
        "CodeTaskNotExist",
        "InvalidTask.NotFound",
        "ResourceNotExist",
    ];
    for answer in DOCUMENTED {
        for (call, status) in answer
            .calls
            .iter()
            .flat_map(|call| answer.statuses.iter().map(move |status| (*call, *status)))
        {
            let code = answer.code.to_ascii_lowercase();
            let message = answer.message.to_ascii_lowercase();
            let row = row(call, status, &code, &message);
            let by_status = row.is_none_or(|row| {
                matches!(row.code, Text::Any) && matches!(row.message, Text::Any)
            });
            assert!(
                !by_status || general.contains(&answer.code),
                "{call:?} {status} {code} {message}"
            );
        }
    }
}

/// No line is on no page: each decides what some documented answer means.
#[test]
fn every_line_decides_a_documented_answer() {
    let mut idle: Vec<&Row> = TABLE.iter().collect();
    for answer in DOCUMENTED {
        for (call, status) in answer
            .calls
            .iter()
            .flat_map(|call| answer.statuses.iter().map(move |status| (*call, *status)))
        {
            let code = answer.code.to_ascii_lowercase();
            let message = answer.message.to_ascii_lowercase();
            if let Some(line) = row(call, status, &code, &message) {
                idle.retain(|row| !std::ptr::eq(*row, line));
            }
        }
    }
    assert!(idle.is_empty(), "{idle:#?}");
}

/// The status never changes what a documented code means.
#[test]
fn a_documented_code_means_the_same_with_every_status() {
    for answer in DOCUMENTED.iter().filter(|answer| !answer.code.is_empty()) {
        for call in answer.calls {
            let class = |status| classify(*call, status, Some(answer.code), answer.message, false);
            let classes: std::collections::BTreeSet<_> = answer
                .statuses
                .iter()
                .map(|status| class(*status))
                .collect();
            assert_eq!(classes.len(), 1, "{answer:?} {call:?}");
        }
    }
}
