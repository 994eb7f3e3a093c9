#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use super::*;

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status,
        body: Body::Whole(body.as_bytes().to_vec()),
        request_id: None,
        wait: Wait::default(),
        date: None,
    }
}

fn failed(answer: Answer) -> Failure {
    judge(
        Call::Stop,
        answer,
        &["s3cr3t"],
        &[],
        |message| message.contains("not exist"),
        |_| Ok(()),
    )
    .unwrap_err()
}

#[test]
fn waiting_times() {
    let ms = |millis| Some(Duration::from_millis(millis));
    for (service, standard, throttled, at_least) in [
        (None, None, false, None),
        (Some("250"), None, true, ms(250)),
        (Some("250"), Some("7"), true, ms(250)),
        (Some("999999999"), None, true, ms(120_000)),
        (Some("0"), None, false, None),
        (Some("-5"), None, false, None),
        (Some("soon"), Some("7"), false, ms(7_000)),
        (None, Some("3600"), false, ms(120_000)),
        (None, Some("Tue, 15 Nov 1994 08:12:31 GMT"), false, None),
    ] {
        assert_eq!(
            Wait::from_headers(service, standard),
            Wait {
                throttled,
                at_least
            },
            "{service:?} {standard:?}"
        );
    }
}

/// Whatever a header says of the next try, a failure of the service leaves open what it did.
#[test]
fn a_failure_that_asks_to_wait_may_have_acted() {
    let asks = Wait::from_headers(Some("700"), None);
    for (status, code, delivery) in [
        (500, "InternalError", Delivery::MayHaveArrived),
        (500, "InvalidParam", Delivery::MayHaveArrived),
        (502, "", Delivery::MayHaveArrived),
        (503, "", Delivery::MayHaveArrived),
        (503, "ServiceUnavailable", Delivery::MayHaveArrived),
        (503, "FlowLimit", Delivery::MayHaveArrived),
        (408, "", Delivery::MayHaveArrived),
        (400, "SignatureNonceUsed", Delivery::MayHaveArrived),
        (503, "Throttling.User", Delivery::Answered),
        (503, "Rejected.Throttling", Delivery::Answered),
        (400, "Throttling", Delivery::Answered),
        (400, "InvalidParam", Delivery::Answered),
        (429, "", Delivery::Answered),
        (404, "", Delivery::Answered),
    ] {
        for call in [Call::Start, Call::Update, Call::Stop] {
            let body = format!(r#"{{"RequestId":"r","Code":"{code}","Message":"m"}}"#);
            let answer = Answer {
                wait: asks,
                ..answer(status, &body)
            };
            let failure = judge(call, answer, &[], &[], |_| false, |_| Ok(())).unwrap_err();
            assert_eq!(
                (failure.class, failure.delivery),
                (Class::Throttled, delivery),
                "{call:?} {status} {code}"
            );
            assert_eq!(failure.retry_after, asks.at_least);
            assert_eq!(failure.throttle(), Some(Throttle::Refused));
        }
    }
    // Without the header the code alone says the same.
    let limited = judge(
        Call::Start,
        answer(503, r#"{"RequestId":"r","Code":"FlowLimit"}"#),
        &[],
        &[],
        |_| false,
        |_| Ok(()),
    );
    assert_eq!(limited.unwrap_err().delivery, Delivery::MayHaveArrived);
}

#[test]
fn a_body_that_cannot_be_read_is_judged_by_status() {
    for (status, class) in [
        (400, Class::RequestRejected),
        (403, Class::AccessDenied),
        (429, Class::Throttled),
        (500, Class::ServiceUnavailable),
        (502, Class::ServiceUnavailable),
    ] {
        let html = failed(answer(status, "<html><Code>InvalidParam</Code></html>"));
        assert_eq!(
            (html.class, html.delivery, html.status),
            (class, Delivery::Answered, Some(status))
        );
        assert_eq!(
            html.message,
            format!("HTTP {status} without a message of the service")
        );
        let long = failed(Answer {
            body: Body::TooLong,
            ..answer(status, "")
        });
        assert_eq!((long.class, long.delivery), (class, Delivery::Answered));
        let torn = failed(Answer {
            body: Body::Torn,
            ..answer(status, "")
        });
        // The status alone is no refusal: what it means did not come.
        let torn_class = if status == 429 {
            Class::Throttled
        } else {
            Class::ServiceUnavailable
        };
        assert_eq!(
            (torn.class, torn.delivery),
            (torn_class, Delivery::MayHaveArrived)
        );
    }
}

#[test]
fn the_header_names_the_request_where_the_body_does_not() {
    let header = |body: &str| Answer {
        request_id: Some("from-header".to_owned()),
        ..answer(500, body)
    };
    assert_eq!(
        failed(header("")).request_id.as_deref(),
        Some("from-header")
    );
    assert_eq!(
        failed(header(r#"{"RequestId":"from-body"}"#))
            .request_id
            .as_deref(),
        Some("from-body")
    );
}

#[test]
fn what_the_service_repeats_of_a_signature_is_replaced_whole() {
    let failure = failed(answer(
        400,
        r#"{"Code":"SignatureDoesNotMatch","Message":"server string to sign is: POST & whatever"}"#,
    ));
    assert_eq!(failure.class, Class::CredentialsRejected);
    assert_eq!(
        failure.message,
        "the service refuses the signature: the access key secret does not belong to the access key id"
    );
}

#[test]
fn a_code_that_looks_like_none_is_not_shown() {
    for code in ["a b", "s3cr3t", "http://h/x", "é", &"x".repeat(65)] {
        let body = serde_json::json!({"Code": code, "Message": "m"}).to_string();
        assert_eq!(failed(answer(400, &body)).code, None, "{code}");
    }
}

/// What the message says is judged before it is shortened and redacted.
#[test]
fn the_whole_message_is_judged() {
    let body = serde_json::json!({"Code": "InvalidParam", "Message": format!("{} task not exist", "x".repeat(redact::LONGEST))}).to_string();
    let failure = failed(answer(400, &body));
    assert!(failure.task_gone);
    assert!(!failure.message.contains("not exist"));
}

/// Dossier 7: these are no evidence, whatever they say.
#[test]
fn only_answers_about_tasks_can_say_that_one_is_gone() {
    for (status, code, expected) in [
        (400, "InvalidParam", true),
        (404, "InvalidTask.NotFound", true),
        (500, "InternalError", true),
        (400, "MissingParam", false),
        (400, "InvalidAppId", false),
        (403, "Forbidden", false),
        (403, "OperationDenied", false),
        (429, "InvalidParam", false),
        (400, "Throttling", false),
        (503, "ServiceUnavailable", false),
        (404, "InvalidAction.NotFound", false),
        (404, "NeverSeenBefore", false),
        (302, "NeverSeenBefore", false),
        (400, "SignatureDoesNotMatch", false),
    ] {
        let body = serde_json::json!({"Code": code, "Message": "task not exist"}).to_string();
        assert_eq!(
            failed(answer(status, &body)).task_gone,
            expected,
            "{status} {code}"
        );
    }
}
