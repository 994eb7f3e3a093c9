#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use secrecy::SecretString;

use super::*;
use crate::live::class::Class;
use crate::live::client::tests::{
    Act, LONG, app, client_to, http, ok, parameters, peer, query, task,
};
use crate::live::outcome::{Delivery, Failure};
use crate::live::relay::{Media, Output};
use crate::live::wire::SingleSubParams;

/// A path and a query that nobody would guess, and a host.
const URL: &str = "rtmp://push.example.com/live/STREAMKEY?auth_key=1700000000-0-0-AUTHKEY";

fn relay() -> Relay {
    Relay {
        channel: ChannelId::try_from("room-42").unwrap(),
        region: None,
        max_idle: None,
        outputs: vec![Output::new(SecretString::from(URL), None).unwrap()],
        media: Media::Single(SingleSubParams {
            source_type: None,
            stream_type: None,
            user_id: "主播 1".to_owned(),
        }),
        sei: None,
    }
}

#[tokio::test]
async fn each_call_carries_what_it_should() {
    let rooms = r#"{"RequestId":"r-3","Rooms":["a","b"],"Total":2}"#;
    let done = r#"{"RequestId":"r"}"#;
    let acts = [done, done, rooms].map(|body| Act::SayAndStay(http(200, "", body)));
    let mut peer = peer(acts).await;
    let client = client_to(peer.address, LONG);
    let relay = relay();
    client.start(&app(), &task(), &relay).await.unwrap();
    client.update(&app(), &task(), &relay).await.unwrap();
    let reply = client.live_rooms(&app(), 2).await.unwrap();
    assert_eq!(reply.request_id, "r-3");
    assert_eq!(reply.value.rooms, ["a", "b"]);
    assert_eq!(reply.value.total, Some(2));

    for action in ["StartLiveMPUTask", "UpdateLiveMPUTask"] {
        let head = peer.heads.try_recv().unwrap();
        let sent = parameters(&head);
        for (name, value) in [
            ("Action", action),
            ("AppId", "app-01"),
            ("TaskId", "final-42"),
            ("ChannelId", "room-42"),
            ("MixMode", "0"),
            ("StreamURL", URL),
            ("SingleSubParams", r#"{"UserId":"主播 1"}"#),
        ] {
            assert_eq!(sent[name], value);
        }
        assert!(
            query(&head)
                .contains("&SingleSubParams=%7B%22UserId%22%3A%22%E4%B8%BB%E6%92%AD%201%22%7D&")
        );
    }
    let sent = parameters(&peer.heads.try_recv().unwrap());
    for (name, value) in [
        ("Action", "ListRTCLiveRooms"),
        ("AppId", "app-01"),
        ("PageNo", "2"),
        ("PageSize", "100"),
    ] {
        assert_eq!(sent[name], value);
    }
}

/// What Start makes of one act of the peer.
async fn start_meets(act: Act) -> Failure {
    let peer = peer([act]).await;
    let client = client_to(peer.address, LONG);
    client.start(&app(), &task(), &relay()).await.unwrap_err()
}

#[tokio::test]
async fn only_an_answer_of_the_service_settles_a_start() {
    for (act, class, delivery) in [
        (
            ok(r#"{"RequestId":"r","Code":"TaskExisted","Message":"x"}"#),
            Class::TaskExists,
            Delivery::Answered,
        ),
        (
            Act::Say(http(
                400,
                "",
                r#"{"RequestId":"r","Code":"InvalidParam","Message":"The channel does not exist"}"#,
            )),
            Class::ChannelAbsent,
            Delivery::Answered,
        ),
        (
            ok("<html>"),
            Class::ServiceUnavailable,
            Delivery::MayHaveArrived,
        ),
        (
            ok("{}"),
            Class::ServiceUnavailable,
            Delivery::MayHaveArrived,
        ),
        (
            Act::Say(
                "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"RequestId\":\"r\"}".to_owned(),
            ),
            Class::ServiceUnavailable,
            Delivery::MayHaveArrived,
        ),
        (
            Act::Say("HTTP/1.1 400 No\r\nContent-Length: 100\r\n\r\n{\"Code\":\"Invali".to_owned()),
            Class::ServiceUnavailable,
            Delivery::MayHaveArrived,
        ),
        (
            Act::Reset,
            Class::ServiceUnavailable,
            Delivery::MayHaveArrived,
        ),
    ] {
        let failure = start_meets(act).await;
        assert_eq!(
            (failure.class, failure.delivery),
            (class, delivery),
            "{failure:?}"
        );
    }
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let failure = client_to(address, LONG)
        .start(&app(), &task(), &relay())
        .await
        .unwrap_err();
    assert_eq!(failure.delivery, Delivery::NeverSent);
}

#[tokio::test]
async fn a_list_of_channels_that_cannot_be_read_is_not_an_empty_one() {
    for body in [
        r#"{"RequestId":"r"}"#,
        r#"{"RequestId":"r","Rooms":null}"#,
        r#"{"Rooms":[]}"#,
    ] {
        let peer = peer([ok(body)]).await;
        let reply = client_to(peer.address, LONG).live_rooms(&app(), 1).await;
        assert_eq!(
            reply.unwrap_err().class,
            Class::ServiceUnavailable,
            "{body}"
        );
    }
}

#[tokio::test]
async fn an_id_that_reads_like_the_services_words_decides_nothing() {
    let body = r#"{"RequestId":"r","Code":"InvalidParam","Message":"The task not-clear_url_used-by already exists"}"#;
    let peer = peer([Act::Say(http(400, "", body))]).await;
    let task = TaskId::try_from("not-clear_url_used-by").unwrap();
    let client = client_to(peer.address, LONG);
    let failure = client.start(&app(), &task, &relay()).await.unwrap_err();
    assert_eq!(failure.class, Class::TaskExists);
}

/// Every byte that is no letter and no digit as `%XX`.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match char::from(byte) {
        plain if plain.is_ascii_alphanumeric() => plain.to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// Whole or in parts, plain or encoded: a service that repeats an ingest URL tells nobody of it through us.
#[tokio::test]
async fn no_part_of_an_ingest_url_is_shown() {
    let (_, path) = URL.split_once(".com/").unwrap();
    let json = format!(r#"[{{"IsAliCdn":true,"URL":"{URL}"}}]"#);
    let plain = [
        URL,
        path,
        "live/STREAMKEY",
        "STREAMKEY",
        "auth_key=1700000000-0-0-AUTHKEY",
        "1700000000-0-0-AUTHKEY",
        &json,
    ];
    let mut echoes: Vec<String> = Vec::new();
    for text in plain {
        let (once, slashed) = (encoded(text), text.replace('/', r"\/"));
        echoes.extend([
            encoded(&once),
            encoded(&slashed),
            once,
            slashed,
            text.to_owned(),
        ]);
        echoes.push(format!("StreamURL={},", text.replace('&', "\\u0026")));
        echoes.push(format!(
            "POST&%2F&AppId%3Da%26StreamURL%3D{}",
            encoded(&encoded(text))
        ));
    }
    for echo in echoes {
        let body = serde_json::json!({
            "RequestId": "r", "Code": "InvalidParam", "Message": format!("the stream ({echo}) is wrong: {echo}"),
        });
        let failure = start_meets(Act::Say(http(400, "", &body.to_string()))).await;
        let shown = format!("{failure:?} {failure}");
        for secret in ["STREAMKEY", "AUTHKEY", "1700000000"] {
            assert!(!shown.contains(secret), "{echo}: {shown}");
        }
        assert_eq!(failure.code.as_deref(), Some("InvalidParam"));
    }
}
