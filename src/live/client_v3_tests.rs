//! The client that signs with V3, against a peer on the wire.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::tests::{
    LONG, SECRET, TOKEN, app, client_signing, credentials, header, http, ok, parameters, peer,
    query, signed_stop_meets, task,
};
use super::*;

/// With V3 too: everything that was signed is there once and as it was signed, the host with its port included.
#[tokio::test]
async fn what_is_sent_with_v3_is_what_was_signed() {
    let answer = ok(r#"{"RequestId":"r-1"}"#);
    let (reply, heads) = signed_stop_meets(Signature::V3, answer, LONG).await;
    assert!(reply.is_ok(), "{reply:?}");
    let [head] = &heads[..] else {
        panic!("{heads:?}")
    };
    let (nonce, date) = ("x-acs-signature-nonce", "x-acs-date");
    let now: Timestamp = header(head, date).unwrap().parse().unwrap();
    assert!(Timestamp::now().duration_since(now).unsigned_abs() < Duration::from_mins(1));
    let signed = Signature::V3.sign(
        header(head, "host").unwrap(),
        "StopLiveMPUTask",
        &[("AppId", "app-01"), ("TaskId", "final-42")],
        &credentials(),
        header(head, nonce).unwrap(),
        now,
    );
    assert_eq!(query(head), signed.query);
    for (name, value) in &signed.headers {
        let sent = head.lines().filter(|line| {
            line.split_once(": ")
                .is_some_and(|(known, _)| known.eq_ignore_ascii_case(name))
        });
        assert_eq!(sent.count(), 1, "{name} in {head}");
        assert_eq!(header(head, name), Some(value.as_str()), "{name}");
    }
    assert_eq!(header(head, "x-acs-security-token"), Some(TOKEN));
    assert_eq!(header(head, "content-length"), Some("0"));
    assert_eq!(header(head, "accept"), Some("application/json"));
}

/// The question whose the key is goes to another API, but is signed like everything else.
#[tokio::test]
async fn whose_the_key_is_is_asked_with_the_signature_that_is_chosen() {
    for signature in [Signature::V1, Signature::V3] {
        let mut peer = peer([ok(r#"{"RequestId":"r-1","AccountId":"1234"}"#)]).await;
        let client = client_signing(signature, peer.address, LONG);
        let account = client.caller_account().await.unwrap().value;
        assert_eq!(account.as_str(), "1234");
        let head = peer.heads.try_recv().unwrap();
        let asked = match signature {
            Signature::V1 => {
                assert_eq!(header(&head, "authorization"), None);
                let sent = parameters(&head);
                ["Action", "Version"].map(|name| sent[name].clone())
            }
            Signature::V3 => {
                assert_eq!(query(&head), "");
                assert_eq!(header(&head, "x-acs-security-token"), Some(TOKEN));
                let names = ["x-acs-action", "x-acs-version"];
                names.map(|name| header(&head, name).unwrap().to_owned())
            }
        };
        assert_eq!(asked, ["GetCallerIdentity", "2015-04-01"]);
    }
}

/// Whoever prints a request on its way shows none of it.
#[tokio::test]
async fn no_header_of_the_signature_is_printed() {
    let nobody = "127.0.0.1:1".parse().unwrap();
    let client = client_signing(Signature::V3, nobody, LONG);
    let nonce = "n0nc3";
    let signed = Signature::V3.sign(
        "127.0.0.1:1",
        "StopLiveMPUTask",
        &[],
        &credentials(),
        nonce,
        Timestamp::now(),
    );
    let request = client.request(&client.inner.endpoint, &signed);
    let request = request.ok().unwrap().build().unwrap();
    let printed = format!("{request:?}");
    assert!(printed.contains("x-acs-security-token"), "{printed}");
    for secret in [TOKEN, &signed.signature, nonce, "testid"] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
}

/// The real refusal of a V3 signature repeats the whole canonical request, its headers included; so may any other answer.
#[tokio::test]
async fn nothing_secret_is_shown_of_what_v3_sends() {
    for code in ["SignatureDoesNotMatch", "InvalidParam"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client_signing(Signature::V3, listener.local_addr().unwrap(), LONG);
        let echo = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let lines: Vec<String> = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| format!("{}:{value}", name.to_ascii_lowercase()))
                .collect();
            let message = format!(
                "server StringToSign is [ACS3-HMAC-SHA256\n0123] server CanonicalRequest is [POST\n/\n{}\n{}] {head}",
                query(&head),
                lines.join("\n")
            );
            let body = serde_json::json!({"Code": code, "Message": message, "RequestId": TOKEN});
            stream
                .write_all(http(400, "", &body.to_string()).as_bytes())
                .await
                .unwrap();
            head
        };
        let (app, task) = (app(), task());
        let (reply, head) = tokio::join!(client.stop(&app, &task), echo);
        let failure = reply.unwrap_err();
        let shown = format!("{failure:?} {failure}");
        let (_, signature) = header(&head, "authorization")
            .unwrap()
            .split_once("Signature=")
            .unwrap();
        let nonce = header(&head, "x-acs-signature-nonce").unwrap();
        for secret in [SECRET, TOKEN, "CAIS", signature, nonce, "SignedHeaders"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }
}

/// What no header can carry is told as such, and not sent.
#[tokio::test]
async fn a_token_that_no_header_can_carry_is_not_sent() {
    let mut peer = peer([]).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let endpoint = Endpoint::parse(&format!("http://{}", peer.address), true).unwrap();
    let config = ClientConfig {
        sts: endpoint.clone(),
        endpoint,
        proxy_from_environment: false,
        call_deadline: LONG,
        signature: Signature::V3,
    };
    let token = SecretString::from("two\nlines");
    let credentials = Credentials::new("testid", SecretString::from(SECRET), Some(token));
    let client = Client::new(config, Provider::fixed(Some(credentials))).unwrap();
    let failure = client.stop(&app(), &task()).await.unwrap_err();
    assert_eq!(failure.delivery, Delivery::NeverSent);
    assert!(!failure.message.contains("lines"), "{failure}");
    assert!(peer.heads.try_recv().is_err());
}
