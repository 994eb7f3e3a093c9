//! Replies that are not what they should be.

use super::*;

/// None of these is an accepted Stop, and all leave open what the service did.
#[tokio::test]
async fn a_200_that_is_not_the_services_is_no_success() {
    let long = format!(
        r#"{{"RequestId":"r","Filler":"{}"}}"#,
        "x".repeat(SMALL_BODY)
    );
    for (what, act) in [
        ("empty", ok("")),
        ("HTML", ok("<html>Welcome! RequestId</html>")),
        ("no object", ok(r#"["RequestId"]"#)),
        ("no request id", ok(r#"{"Status":"ok"}"#)),
        ("an empty request id", ok(r#"{"RequestId":" "}"#)),
        ("more than JSON", ok(r#"{"RequestId":"r"}{"#)),
        (
            "half of it",
            Act::Say(
                "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"RequestId\":\"r\"}".to_owned(),
            ),
        ),
        (
            "half a chunk",
            Act::Say(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{\"RequestId\":\"r\"}"
                    .to_owned(),
            ),
        ),
        ("too long", ok(&long)),
        (
            "another 2xx",
            Act::Say(http(202, "", r#"{"RequestId":"r"}"#)),
        ),
        (
            "a redirect",
            Act::Say(http(
                307,
                "Location: /elsewhere\r\n",
                r#"{"RequestId":"r"}"#,
            )),
        ),
        ("no HTTP", Act::Say("220 smtp ready\r\n".to_owned())),
        ("nothing", Act::Say(String::new())),
        ("a reset", Act::Reset),
    ] {
        let (reply, heads) = stop_meets(act, LONG).await;
        let failure = reply.expect_err(what);
        assert_eq!(
            (failure.class, failure.delivery),
            (Class::ServiceUnavailable, Delivery::MayHaveArrived),
            "{what}: {failure:?}"
        );
        assert!(!failure.task_gone, "{what}");
        assert_eq!(heads.len(), 1, "{what}: one call is one request");
    }
}

#[tokio::test]
async fn an_error_code_in_a_200_is_an_error() {
    let (reply, _) = stop_meets(
        ok(r#"{"RequestId":"r","Code":"InternalError","Message":"no"}"#),
        LONG,
    )
    .await;
    let failure = reply.unwrap_err();
    assert_eq!(
        (failure.class, failure.delivery),
        (Class::InternalError, Delivery::Answered)
    );
}

#[tokio::test]
async fn a_list_without_a_list_is_not_an_empty_one() {
    let mut peer = peer([ok(r#"{"RequestId":"r"}"#)]).await;
    let failure = client_to(peer.address, LONG)
        .list_task(&app(), &task())
        .await
        .unwrap_err();
    assert_eq!(
        (failure.class, failure.delivery),
        (Class::ServiceUnavailable, Delivery::MayHaveArrived)
    );
    assert!(peer.heads.try_recv().is_ok());
}

#[tokio::test]
async fn a_list_may_be_longer_than_other_answers_but_not_endless() {
    let filled = |length: usize| {
        format!(
            r#"{{"RequestId":"r","MPUTasks":[],"Filler":"{}"}}"#,
            "x".repeat(length)
        )
    };
    for (length, expected) in [(LIST_BODY - 100, true), (LIST_BODY, false)] {
        let peer = peer([ok(&filled(length))]).await;
        let reply = client_to(peer.address, LONG)
            .list_task(&app(), &task())
            .await;
        assert_eq!(reply.is_ok(), expected, "{length}");
    }
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let short = Duration::from_secs(1);
    for (what, act) in [
        ("no answer", Act::SayAndStay(String::new())),
        (
            "half a head",
            Act::SayAndStay("HTTP/1.1 200 OK\r\nContent-Le".to_owned()),
        ),
        (
            "half a body",
            Act::SayAndStay("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_owned()),
        ),
    ] {
        let (reply, heads) = stop_meets(act, short).await;
        let failure = reply.expect_err(what);
        assert_eq!(
            (failure.class, failure.delivery),
            (Class::ServiceUnavailable, Delivery::MayHaveArrived),
            "{what}: {failure:?}"
        );
        assert_eq!(heads.len(), 1, "{what}");
    }
}

/// Neither the deadline nor the memory is at the mercy of a peer that keeps talking.
#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let head = "HTTP/1.1 200 OK\r\n\r\n{\"RequestId\":\"r\"}";
    let (reply, _) = stop_meets(Act::Drip(head.to_owned()), LONG).await;
    assert_eq!(
        reply.unwrap_err().message,
        "HTTP 200, but not the service's answer: it is too long"
    );
}
