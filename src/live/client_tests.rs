//! The client against a real peer on the wire that plays a script.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;
use crate::live::actions::{AppId, ChannelId, ChannelUsers, ListedTask, TaskId};
use crate::live::calls::{LIST_BODY, SMALL_BODY};
use crate::live::class::Class;
use crate::live::credentials::Credentials;
use crate::live::outcome::{Delivery, Success};
use crate::live::sign::v1;

#[path = "client_replies_tests.rs"]
mod replies;
#[path = "client_secrets_tests.rs"]
mod secrets;

pub(in crate::live) const SECRET: &str = "s3cr3t/Key+1";
pub(in crate::live) const TOKEN: &str = "CAIS+abc/def==";

/// What the peer does with one connection once it has read a request's head.
#[derive(Clone)]
pub(in crate::live) enum Act {
    /// Writes this and closes.
    Say(String),
    /// Writes this and keeps the connection open, for the next act or for ever.
    SayAndStay(String),
    /// Closes so that the client sees a reset.
    Reset,
    /// Writes this, and then one blank after the other until the client is gone.
    Drip(String),
    /// Writes this, and then a byte every twenty milliseconds until the client is gone.
    Trickle(String),
}

/// A peer that plays one act for each request that it gets and tells the requests' heads.
pub(in crate::live) struct Peer {
    pub(in crate::live) address: SocketAddr,
    pub(in crate::live) heads: mpsc::UnboundedReceiver<String>,
}

pub(in crate::live) async fn peer(acts: impl IntoIterator<Item = Act>) -> Peer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (told, heads) = mpsc::unbounded_channel();
    let acts: Vec<Act> = acts.into_iter().collect();
    tokio::spawn(async move {
        let mut acts = acts.into_iter();
        while let Ok((stream, _)) = listener.accept().await {
            // One connection at a time: a second one beside an open one would never be served, and the test would see it.
            serve(stream, &mut acts, &told).await;
        }
    });
    Peer { address, heads }
}

async fn serve(
    mut stream: TcpStream,
    acts: &mut impl Iterator<Item = Act>,
    told: &mpsc::UnboundedSender<String>,
) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let _ = told.send(String::from_utf8(head).unwrap());
        match acts.next() {
            Some(Act::Say(answer)) => {
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
                return;
            }
            Some(Act::SayAndStay(answer)) => {
                let _ = stream.write_all(answer.as_bytes()).await;
            }
            Some(Act::Reset) => {
                stream.set_zero_linger().unwrap();
                return;
            }
            Some(Act::Drip(answer)) => {
                let _ = stream.write_all(answer.as_bytes()).await;
                while stream.write_all(b" ").await.is_ok() {
                    tokio::task::yield_now().await;
                }
                return;
            }
            Some(Act::Trickle(answer)) => {
                let _ = stream.write_all(answer.as_bytes()).await;
                // The slowness is what is tested: nobody waits for the sleep's end.
                while stream.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                return;
            }
            None => return,
        }
    }
}

pub(in crate::live) fn http(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} Whatever\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

pub(in crate::live) fn ok(body: &str) -> Act {
    Act::Say(http(200, "", body))
}

pub(in crate::live) fn credentials() -> Credentials {
    Credentials::new(
        "testid",
        SecretString::from(SECRET),
        Some(SecretString::from(TOKEN)),
    )
}

pub(in crate::live) fn client_to(address: SocketAddr, deadline: Duration) -> Client {
    client_signing(Signature::V1, address, deadline)
}

pub(in crate::live) fn client_signing(
    signature: Signature,
    address: SocketAddr,
    deadline: Duration,
) -> Client {
    // A second one finds the first installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let endpoint = Endpoint::parse(&format!("http://{address}"), true).unwrap();
    Client::new(
        ClientConfig {
            sts: endpoint.clone(),
            endpoint,
            call_deadline: deadline,
            signature,
            proxy_from_environment: false,
        },
        Provider::fixed(Some(credentials())),
    )
    .unwrap()
}

pub(in crate::live) const LONG: Duration = Duration::from_secs(30);

pub(in crate::live) fn app() -> AppId {
    AppId::try_from("app-01").unwrap()
}

pub(in crate::live) fn task() -> TaskId {
    TaskId::try_from("final-42").unwrap()
}

/// What Stop makes of one act of the peer.
async fn stop_meets(act: Act, deadline: Duration) -> (Reply<()>, Vec<String>) {
    signed_stop_meets(Signature::V1, act, deadline).await
}

pub(in crate::live) async fn signed_stop_meets(
    signature: Signature,
    act: Act,
    deadline: Duration,
) -> (Reply<()>, Vec<String>) {
    let mut peer = peer([act]).await;
    let reply = client_signing(signature, peer.address, deadline)
        .stop(&app(), &task())
        .await;
    let mut heads = Vec::new();
    while let Ok(head) = peer.heads.try_recv() {
        heads.push(head);
    }
    (reply, heads)
}

/// A header of a request.
pub(in crate::live) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

pub(in crate::live) fn query(head: &str) -> &str {
    head.strip_prefix("POST /?")
        .unwrap()
        .split_once(" HTTP/1.1\r\n")
        .unwrap()
        .0
}

pub(in crate::live) fn parameters(head: &str) -> BTreeMap<String, String> {
    reqwest::Url::parse(&format!("http://h/?{}", query(head)))
        .unwrap()
        .query_pairs()
        .into_owned()
        .collect()
}

#[tokio::test]
async fn what_is_sent_is_what_was_signed() {
    let (reply, heads) = stop_meets(ok(r#"{"RequestId":"r-1"}"#), LONG).await;
    assert_eq!(
        reply,
        Ok(Success {
            value: (),
            request_id: "r-1".to_owned()
        })
    );
    let [head] = &heads[..] else {
        panic!("{heads:?}")
    };
    let sent = parameters(head);
    let now: Timestamp = sent["Timestamp"].parse().unwrap();
    let ids = [("AppId", "app-01"), ("TaskId", "final-42")];
    let signed = v1::sign(
        "StopLiveMPUTask",
        &ids,
        &credentials(),
        &sent["SignatureNonce"],
        now,
    );
    assert_eq!(query(head), signed.query);
    assert!(Timestamp::now().duration_since(now).unsigned_abs() < Duration::from_mins(1));
    let lower = head.to_ascii_lowercase();
    assert!(lower.contains("content-length: 0\r\n"), "{head}");
    assert!(lower.contains("accept: application/json\r\n"), "{head}");
    assert!(!lower.contains("transfer-encoding"), "{head}");
}

#[tokio::test]
async fn each_call_asks_for_what_it_should() {
    let list = r#"{"RequestId":"r","MPUTasks":[{"TaskId":"final-42","ChannelId":"room","MaxIdleTime":"60"}]}"#;
    let users = r#"{"RequestId":"r","IsChannelExists":true,"InteractiveUserNumber":1,"LiveUserNumber":2,"Timestamp":7}"#;
    let acts = [list, list, users].map(|body| Act::SayAndStay(http(200, "", body)));
    let mut peer = peer(acts).await;
    let client = client_to(peer.address, LONG);
    let expected = ListedTask {
        task_id: "final-42".to_owned(),
        channel_id: Some("room".to_owned()),
        max_idle: Some(Duration::from_mins(1)),
        mix_mode: None,
        outputs: None,
    };
    assert_eq!(
        client.list_task(&app(), &task()).await.unwrap().value,
        vec![expected.clone()]
    );
    assert_eq!(client.list_page(&app(), 3).await.unwrap().value, [expected]);
    let channel = ChannelId::try_from("room").unwrap();
    let users = client.channel_users(&app(), &channel).await.unwrap().value;
    assert_eq!(
        users,
        ChannelUsers {
            exists: true,
            interactive: 1,
            viewers: 2,
            timestamp: 7
        }
    );

    let mut nonces = BTreeSet::new();
    for expected in [
        &[
            ("Action", "ListRtcMPUTaskDetail"),
            ("AppId", "app-01"),
            ("TaskId", "final-42"),
        ][..],
        &[
            ("Action", "ListRtcMPUTaskDetail"),
            ("AppId", "app-01"),
            ("PageNo", "3"),
            ("PageSize", "100"),
        ],
        &[
            ("Action", "DescribeChannelUsers"),
            ("AppId", "app-01"),
            ("ChannelId", "room"),
        ],
    ] {
        let sent = parameters(&peer.heads.try_recv().unwrap());
        for (name, value) in expected {
            assert_eq!(sent[*name], *value);
        }
        assert!(nonces.insert(sent["SignatureNonce"].clone()));
    }
}

#[tokio::test]
async fn nobody_there_means_never_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let failure = client_to(address, LONG)
        .stop(&app(), &task())
        .await
        .unwrap_err();
    assert_eq!(
        (failure.class, failure.delivery),
        (Class::ServiceUnavailable, Delivery::NeverSent)
    );
    assert!(
        failure
            .message
            .starts_with(&format!("cannot connect to http://{address}: ")),
        "{}",
        failure.message
    );
    assert!(
        !failure.message.contains("Signature"),
        "{}",
        failure.message
    );
}

#[tokio::test]
async fn without_credentials_nothing_is_sent() {
    let mut peer = peer([]).await;
    let endpoint = Endpoint::parse(&format!("http://{}", peer.address), true).unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::new(
        ClientConfig {
            sts: endpoint.clone(),
            endpoint,
            call_deadline: LONG,
            signature: Signature::V1,
            proxy_from_environment: false,
        },
        Provider::fixed(None),
    )
    .unwrap();
    let failure = client.stop(&app(), &task()).await.unwrap_err();
    assert_eq!(
        (failure.class, failure.delivery),
        (Class::CredentialsMissing, Delivery::NeverSent)
    );
    assert!(peer.heads.try_recv().is_err());
}

#[tokio::test]
async fn an_error_tells_all_that_it_may() {
    let body = r#"{"RequestId":"r-9","Code":"InvalidParam","Message":"task final-42 not exist.","HostId":"h"}"#;
    let (reply, _) = stop_meets(Act::Say(http(400, "Retry-After: 3600\r\n", body)), LONG).await;
    let expected = Failure {
        class: Class::NotFoundLike,
        delivery: Delivery::Answered,
        status: Some(400),
        code: Some("InvalidParam".to_owned()),
        message: "task final-42 not exist.".to_owned(),
        task_gone: true,
        retry_after: Some(Duration::from_mins(2)),
        request_id: Some("r-9".to_owned()),
    };
    assert_eq!(reply, Err(expected));
}

#[tokio::test]
async fn after_a_refused_date_the_services_clock_counts() {
    let theirs = Timestamp::now() + SignedDuration::from_mins(20);
    let refusal = |date: Timestamp| {
        let date = jiff::fmt::rfc2822::to_string(&date.to_zoned(jiff::tz::TimeZone::UTC)).unwrap();
        let body = r#"{"Code":"InvalidTimeStamp.Expired","Message":"Specified time stamp or date value is expired."}"#;
        Act::SayAndStay(http(400, &format!("Date: {date}\r\n"), body))
    };
    let years = Timestamp::now() + SignedDuration::from_hours(25);
    let accepted = || Act::SayAndStay(http(200, "", r#"{"RequestId":"r"}"#));
    let mut peer = peer([refusal(theirs), accepted(), refusal(years), accepted()]).await;
    let client = client_to(peer.address, LONG);
    let mut dates = Vec::new();
    for refused in [true, false, true, false] {
        let reply = client.stop(&app(), &task()).await;
        assert_eq!(
            reply.is_err_and(|failure| failure.class == Class::ClockSkew),
            refused
        );
        let sent: Timestamp = parameters(&peer.heads.try_recv().unwrap())["Timestamp"]
            .parse()
            .unwrap();
        dates.push(sent);
    }
    let near = |date: Timestamp, other: Timestamp| {
        date.duration_since(other).unsigned_abs() < Duration::from_mins(1)
    };
    assert!(near(dates[0], Timestamp::now()), "{dates:?}");
    assert!(near(dates[1], theirs), "{dates:?}");
    assert!(
        near(dates[3], theirs),
        "a date that cannot be right is not believed: {dates:?}"
    );
}

/// The peer serves one connection at a time: a second one would not be answered.
#[tokio::test]
async fn a_client_with_other_credentials_shares_connections_and_clock() {
    let theirs = Timestamp::now() + SignedDuration::from_mins(20);
    let date = jiff::fmt::rfc2822::to_string(&theirs.to_zoned(jiff::tz::TimeZone::UTC)).unwrap();
    let expired = r#"{"Code":"InvalidTimeStamp.Expired","Message":"expired"}"#;
    let acts = [
        Act::SayAndStay(http(400, &format!("Date: {date}\r\n"), expired)),
        Act::SayAndStay(http(200, "", r#"{"RequestId":"r"}"#)),
    ];
    let mut peer = peer(acts).await;
    let client = client_to(peer.address, LONG);
    let others = Credentials::new("otherid", SecretString::from("other"), None);
    let other = client.with_credentials(Provider::fixed(Some(others)));
    assert!(client.stop(&app(), &task()).await.is_err());
    assert!(other.stop(&app(), &task()).await.is_ok());
    let sent = [(); 2].map(|()| parameters(&peer.heads.try_recv().unwrap()));
    assert_eq!(sent[0]["AccessKeyId"], "testid");
    assert_eq!(sent[1]["AccessKeyId"], "otherid");
    assert!(!sent[1].contains_key("SecurityToken"));
    let date: Timestamp = sent[1]["Timestamp"].parse().unwrap();
    assert!(date.duration_since(theirs).unsigned_abs() < Duration::from_mins(1));
}

/// A kept connection that the peer has closed costs no second request on the wire.
#[tokio::test]
async fn a_reset_on_a_kept_connection_is_not_sent_again() {
    let acts = [
        Act::SayAndStay(http(200, "", r#"{"RequestId":"r"}"#)),
        Act::Reset,
        ok(r#"{"RequestId":"r"}"#),
    ];
    let mut peer = peer(acts).await;
    let client = client_to(peer.address, LONG);
    assert!(client.stop(&app(), &task()).await.is_ok());
    let failure = client.stop(&app(), &task()).await.unwrap_err();
    assert_eq!(failure.delivery, Delivery::MayHaveArrived);
    assert!(peer.heads.try_recv().is_ok() && peer.heads.try_recv().is_ok());
    assert!(peer.heads.try_recv().is_err());
    assert!(
        client.stop(&app(), &task()).await.is_ok(),
        "the next call has a fresh connection"
    );
}

/// A peer that cannot be reached is told from one that does not answer, also where it takes the connection and no more.
#[tokio::test]
async fn a_connection_that_is_never_ready_means_never_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let endpoint = Endpoint::parse(
        &format!("https://{}", listener.local_addr().unwrap()),
        false,
    )
    .unwrap();
    let config = ClientConfig {
        sts: endpoint.clone(),
        endpoint,
        call_deadline: Duration::from_millis(400),
        signature: Signature::V1,
        proxy_from_environment: false,
    };
    let failure = Client::new(config, Provider::fixed(Some(credentials())))
        .unwrap()
        .stop(&app(), &task())
        .await
        .unwrap_err();
    assert_eq!(
        (failure.class, failure.delivery),
        (Class::ServiceUnavailable, Delivery::NeverSent),
        "{failure:?}"
    );
}
