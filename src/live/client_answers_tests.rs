//! Answers that are none, cut, too long, too slow, or sent elsewhere: what each call makes of them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeSet;

use tokio::net::TcpListener;

use super::tests::{Act, LONG, app, client_to, http, parameters, peer, task};
use super::*;
use crate::live::calls::SMALL_BODY;
use crate::live::class::Class;

/// What Stop makes of one act of the peer.
async fn stop_meets(act: Act, deadline: Duration) -> Failure {
    let peer = peer([act]).await;
    let client = client_to(peer.address, deadline);
    client.stop(&app(), &task()).await.unwrap_err()
}

fn xml(status: u16, body: &str) -> Act {
    let head = "Content-Type: text/xml;charset=utf-8\r\n";
    Act::Say(http(
        status,
        head,
        &format!("<?xml version='1.0' encoding='UTF-8'?>{body}"),
    ))
}

/// The gateway speaks XML where a request has lost its format on the way: its errors are understood, its successes prove nothing.
#[tokio::test]
async fn errors_in_xml_are_understood_and_successes_are_not() {
    for (status, code, class) in [
        (400, "InvalidParam", Class::NotFoundLike),
        (400, "Throttling.User", Class::Throttled),
        (403, "Forbidden.RAM", Class::AccessDenied),
        (
            404,
            "InvalidAccessKeyId.NotFound",
            Class::CredentialsRejected,
        ),
        (500, "InternalError", Class::InternalError),
    ] {
        let body = format!(
            "<Error><RequestId>R-1</RequestId><Code>{code}</Code><Message>a &lt; b</Message></Error>"
        );
        let failure = stop_meets(xml(status, &body), LONG).await;
        assert_eq!(
            (failure.class, failure.delivery),
            (class, Delivery::Answered),
            "{failure:?}"
        );
        assert_eq!(failure.request_id.as_deref(), Some("R-1"));
        assert_eq!(failure.message, "a < b");
    }
    let success = "<StopLiveMPUTaskResponse><RequestId>R</RequestId></StopLiveMPUTaskResponse>";
    let failure = stop_meets(xml(200, success), LONG).await;
    assert_eq!(
        (failure.class, failure.delivery),
        (Class::ServiceUnavailable, Delivery::MayHaveArrived)
    );
}

/// An error that was cut off may be any, is no refusal, and leaves open what was done; one that is too long or no JSON is judged by its status.
#[tokio::test]
async fn errors_that_cannot_be_read() {
    let long = format!(
        r#"{{"Code":"InvalidParam","Message":"{}"}}"#,
        "x".repeat(SMALL_BODY)
    );
    let cut = |status: u16| {
        Act::Say(format!(
            "HTTP/1.1 {status} No\r\nContent-Length: 100\r\n\r\n{{\"Code\":\"InvalidPara"
        ))
    };
    for (what, act, class, delivery) in [
        (
            "cut, 400",
            cut(400),
            Class::ServiceUnavailable,
            Delivery::MayHaveArrived,
        ),
        (
            "cut, 500",
            cut(500),
            Class::ServiceUnavailable,
            Delivery::MayHaveArrived,
        ),
        (
            "empty, 404",
            Act::Say(http(404, "", "")),
            Class::RequestRejected,
            Delivery::Answered,
        ),
        (
            "empty, 503",
            Act::Say(http(503, "", "")),
            Class::ServiceUnavailable,
            Delivery::Answered,
        ),
        (
            "HTML, 502",
            Act::Say(http(502, "Content-Type: text/html\r\n", "<h1>no</h1>")),
            Class::ServiceUnavailable,
            Delivery::Answered,
        ),
        (
            "too long",
            Act::Say(http(400, "", &long)),
            Class::RequestRejected,
            Delivery::Answered,
        ),
        (
            "half of JSON",
            Act::Say(http(400, "", r#"{"Code":"InvalidParam","Mess"#)),
            Class::RequestRejected,
            Delivery::Answered,
        ),
    ] {
        let failure = stop_meets(act, LONG).await;
        assert_eq!(
            (failure.class, failure.delivery),
            (class, delivery),
            "{what}: {failure:?}"
        );
        assert!(!failure.task_gone, "{what}");
    }
}

/// A signed request goes to the configured address and to no other, whatever the answer asks for.
#[tokio::test]
async fn no_redirect_is_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = elsewhere.local_addr().unwrap();
    for status in [301, 302, 303, 307, 308] {
        let location = format!("Location: http://{address}/?x=1\r\n");
        let body = r#"{"RequestId":"r"}"#;
        let failure = stop_meets(Act::Say(http(status, &location, body)), LONG).await;
        assert_eq!(
            (failure.class, failure.delivery),
            (Class::ServiceUnavailable, Delivery::MayHaveArrived),
            "{status}: {failure:?}"
        );
        assert!(!failure.message.contains("x=1"), "{failure}");
    }
    let asked = tokio::time::timeout(Duration::ZERO, elsewhere.accept()).await;
    assert!(asked.is_err(), "somebody went there");
}

/// A peer that sends a byte now and then is cut off at the deadline, wherever in the answer it is. Its status counts where it came in time.
#[tokio::test]
async fn a_slow_drip_ends_at_the_deadline() {
    let deadline = Duration::from_millis(300);
    let body = "Content-Length: 60000\r\n\r\n";
    for (begun, class, status) in [
        (
            format!("HTTP/1.1 200 OK\r\n{body}"),
            Class::ServiceUnavailable,
            Some(200),
        ),
        (
            format!("HTTP/1.1 503 No\r\n{body}"),
            Class::ServiceUnavailable,
            Some(503),
        ),
        (
            format!("HTTP/1.1 429 No\r\n{body}"),
            Class::Throttled,
            Some(429),
        ),
        (
            "HTTP/1.1 200 OK\r\nX-Slow: ".to_owned(),
            Class::ServiceUnavailable,
            None,
        ),
    ] {
        let before = Instant::now();
        let met = stop_meets(Act::Trickle(begun.clone()), deadline);
        let failure = tokio::time::timeout(Duration::from_secs(10), met).await;
        let failure = failure.unwrap_or_else(|_| panic!("{begun:?} was not cut off"));
        assert!(before.elapsed() >= deadline);
        assert_eq!(
            (failure.class, failure.status, failure.delivery),
            (class, status, Delivery::MayHaveArrived),
            "{failure:?}"
        );
    }
}

/// A nonce is of one request: also after the service has said that one was used.
#[tokio::test]
async fn after_a_used_nonce_the_next_is_fresh() {
    let used =
        r#"{"Code":"SignatureNonceUsed","Message":"Specified signature nonce was used already."}"#;
    let acts = [400, 400, 200].map(|status| {
        let body = if status == 200 {
            r#"{"RequestId":"r"}"#
        } else {
            used
        };
        Act::SayAndStay(http(status, "", body))
    });
    let mut peer = peer(acts).await;
    let client = client_to(peer.address, LONG);
    for _ in 0..2 {
        let failure = client.stop(&app(), &task()).await.unwrap_err();
        assert_eq!(failure.class, Class::NonceUsed);
        assert!(
            failure.class.may_have_taken_effect(),
            "an earlier copy may have been carried out"
        );
    }
    client.stop(&app(), &task()).await.unwrap();
    let mut nonces = BTreeSet::new();
    while let Ok(head) = peer.heads.try_recv() {
        assert!(nonces.insert(parameters(&head)["SignatureNonce"].clone()));
    }
    assert_eq!(nonces.len(), 3);
}
