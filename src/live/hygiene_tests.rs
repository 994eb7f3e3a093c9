//! What no answer, no address and no value can make the client do.

use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::tests::{Act, LONG, SECRET, TOKEN, app, client_to, http, peer, query, task};
use super::*;
use crate::live::actions::{AppId, ChannelId, TaskId};
use crate::live::http::IDLE_CONNECTIONS;
use crate::live::relay::{Media, Output, Relay};
use crate::live::wire::{Region, SingleSubParams};

/// A TLS server whose certificate nobody has signed: it answers every request, and tells how many came.
fn self_signed() -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = rcgen::CertificateParams::new(names)
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    // Ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = rustls::StreamOwned::new(session, stream.unwrap());
            let mut byte = [0];
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && tls.read_exact(&mut byte).is_ok() {
                head.push(byte[0]);
            }
            if !head.is_empty() {
                counted.fetch_add(1, Ordering::SeqCst);
                let _ = tls.write_all(
                    http(200, "Connection: close\r\n", r#"{"RequestId":"r"}"#).as_bytes(),
                );
                tls.conn.send_close_notify();
                let _ = tls.flush();
            }
        }
    });
    (address, requests)
}

fn client_of(config: ClientConfig) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let credentials = Credentials::new("testid", SECRET.to_owned().into(), None);
    Client::new(config, Provider::fixed(Some(credentials))).unwrap()
}

#[tokio::test]
async fn a_server_whose_certificate_nobody_trusts_gets_no_request() {
    let (address, requests) = self_signed();
    let endpoint = Endpoint::parse(&format!("https://{address}"), false).unwrap();
    let config = ClientConfig {
        sts: endpoint.clone(),
        endpoint,
        signature: Signature::V1,
        call_deadline: LONG,
        proxy_from_environment: false,
    };
    let failure = client_of(config).stop(&app(), &task()).await.unwrap_err();
    assert_eq!(
        (failure.class, failure.delivery),
        (Class::ServiceUnavailable, Delivery::NeverSent),
        "{failure:?}"
    );
    assert!(
        failure.message.contains("certificate"),
        "the message says why: {failure}"
    );
    assert_eq!(requests.load(Ordering::SeqCst), 0);
    // It is the certificate alone: whoever does not look at it is served.
    let careless = reqwest::Client::builder()
        .no_proxy()
        .tls_danger_accept_invalid_certs(true)
        .build()
        .unwrap();
    let answer = careless
        .post(format!("https://{address}/"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn no_redirect_is_followed() {
    for status in [301, 302, 303, 307, 308] {
        let mut elsewhere = peer([]).await;
        let location = format!("Location: http://{}/?Action=Other\r\n", elsewhere.address);
        let mut here = peer([Act::Say(http(status, &location, r#"{"RequestId":"r"}"#))]).await;
        let failure = client_to(here.address, LONG)
            .stop(&app(), &task())
            .await
            .unwrap_err();
        assert_eq!(failure.status, Some(status));
        assert_eq!(failure.delivery, Delivery::MayHaveArrived);
        assert!(
            here.heads.try_recv().is_ok() && here.heads.try_recv().is_err(),
            "{status}"
        );
        assert!(elsewhere.heads.try_recv().is_err(), "{status}");
    }
}

async fn head(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return false,
        }
    }
    true
}

/// After a burst as many connections are kept as the pool holds, and they are used again.
#[tokio::test]
async fn idle_connections_are_bounded_and_used_again() {
    const BURST: usize = IDLE_CONNECTIONS + 18;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (closed, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let accepted = Arc::new(AtomicUsize::new(0));
    let all_here = Arc::new(tokio::sync::Barrier::new(BURST));
    let count = Arc::clone(&accepted);
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let (closed, all_here) = (closed.clone(), Arc::clone(&all_here));
            tokio::spawn(async move {
                let mut is_first = true;
                while head(&mut stream).await {
                    if std::mem::take(&mut is_first) {
                        // Nobody is answered before everybody has a connection of its own.
                        all_here.wait().await;
                    }
                    let answer = http(200, "", r#"{"RequestId":"r"}"#);
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
                let _ = closed.send(());
            });
        }
    });
    let client = client_to(address, LONG);
    let burst = || async {
        let (app, task) = (app(), task());
        let calls = (0..BURST).map(|_| client.stop(&app, &task));
        for reply in futures::future::join_all(calls).await {
            reply.unwrap();
        }
    };
    burst().await;
    assert_eq!(accepted.load(Ordering::SeqCst), BURST);
    for number in IDLE_CONNECTIONS..BURST {
        let end = tokio::time::timeout(LONG, ends.recv()).await;
        assert!(end.is_ok(), "{number} connections are kept");
    }
    for _ in 0..3 {
        client.stop(&app(), &task()).await.unwrap();
    }
    assert_eq!(
        accepted.load(Ordering::SeqCst),
        BURST,
        "the others are used again"
    );
    assert!(
        ends.try_recv().is_err(),
        "and no more than these are closed"
    );
    server.abort();
}

/// The environment is a process's own: this test runs itself once more, in one where every proxy is a dead end.
#[tokio::test]
async fn the_environments_proxy_is_used_only_where_that_is_asked_for() {
    const NAMES: [&str; 3] = ["http_proxy", "HTTP_PROXY", "ALL_PROXY"];
    const DEAD_END: &str = "http://127.0.0.1:1";
    if std::env::var(NAMES[0]).is_ok_and(|proxy| proxy == DEAD_END) {
        let peer = peer([Act::Say(http(200, "", r#"{"RequestId":"r"}"#))]).await;
        let endpoint = Endpoint::parse(&format!("http://{}", peer.address), true).unwrap();
        let stop = async |proxy_from_environment| {
            let config = ClientConfig {
                sts: endpoint.clone(),
                endpoint: endpoint.clone(),
                signature: Signature::V1,
                call_deadline: LONG,
                proxy_from_environment,
            };
            let client = client_of(config);
            client.stop(&app(), &task()).await
        };
        let failure = stop(true).await.unwrap_err();
        assert_eq!(failure.delivery, Delivery::NeverSent, "{failure:?}");
        stop(false).await.unwrap();
        return;
    }
    let name = concat!(
        module_path!(),
        "::the_environments_proxy_is_used_only_where_that_is_asked_for"
    );
    let (_, name) = name.split_once("::").unwrap();
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", name, "--nocapture"]);
    again.env_remove("NO_PROXY").env_remove("no_proxy");
    for name in NAMES {
        again.env(name, DEAD_END);
    }
    let output = again.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn id(longest: usize) -> impl Strategy<Value = String> {
    proptest::string::string_regex(&format!("[A-Za-z0-9_-]{{1,{longest}}}")).unwrap()
}

fn url() -> impl Strategy<Value = String> {
    // Whatever a URL can be made of, and what would end a parameter if it were not encoded.
    "rtmp://[a-z]{1,12}\\.example\\.com(:[1-9][0-9]{0,3})?/[a-z][!-~\u{e4}\u{4e3b}]{0,60}(\\?[!-~]{0,60})?(#[!-~]{0,9})?"
}

prop_compose! {
    fn relay()(
        channel in id(64),
        region in proptest::option::of(proptest::sample::select(vec![Region::CnShanghai, Region::ApSingapore, Region::EmaaSaudi])),
        urls in proptest::collection::vec((url(), proptest::option::of(any::<bool>())), 1..3),
        user_id in any::<String>(),
    ) -> (Relay, Vec<String>) {
        let outputs = urls.iter().map(|(url, ali_cdn)| Output::new(url.clone().into(), *ali_cdn).unwrap());
        let relay = Relay {
            channel: ChannelId::try_from(channel.as_str()).unwrap(),
            region,
            max_idle: None,
            outputs: outputs.collect(),
            media: Media::Single(SingleSubParams { source_type: None, stream_type: None, user_id }),
            sei: None,
        };
        (relay, urls.into_iter().map(|(url, _)| url).collect())
    }
}

/// One peer and one client for every case: a connection each would be slow.
fn asked(send: impl AsyncFnOnce(&Client)) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut peer = peer([Act::Say(http(200, "", r#"{"RequestId":"r"}"#))]).await;
        let client = client_to(peer.address, LONG);
        send(&client).await;
        let head = peer.heads.try_recv().unwrap();
        let host = format!("host: {}\r\n", peer.address);
        assert_eq!(
            head.to_ascii_lowercase().matches("host: ").count(),
            1,
            "{head}"
        );
        assert!(head.to_ascii_lowercase().contains(&host), "{head}");
        head
    })
}

/// The parameters of a request, each once.
fn parameters(head: &str) -> std::collections::BTreeMap<String, String> {
    let url = reqwest::Url::parse(&format!("http://h/?{}", query(head))).unwrap();
    assert_eq!((url.path(), url.fragment()), ("/", None));
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let map: std::collections::BTreeMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(map.len(), pairs.len(), "{pairs:?}");
    map
}

/// What every request has.
const COMMON: [&str; 10] = [
    "AccessKeyId",
    "Action",
    "Format",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureNonce",
    "SignatureVersion",
    "Timestamp",
    "Version",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever stands in an object, it stays where it belongs: host, path, action and every other parameter of the request are as they should be.
    #[test]
    fn no_value_of_an_object_changes_anything_else_of_the_request((relay, urls) in relay(), app in id(64), task in id(55), update in any::<bool>()) {
        let (app, task) = (AppId::try_from(app.as_str()).unwrap(), TaskId::try_from(task.as_str()).unwrap());
        let head = asked(async |client| {
            let reply = if update { client.update(&app, &task, &relay).await } else { client.start(&app, &task, &relay).await };
            reply.unwrap();
        });
        let sent = parameters(&head);
        let mut names: Vec<&str> = COMMON.to_vec();
        let is_one = urls.len() == 1 && sent.contains_key("StreamURL");
        names.extend(["AppId", "ChannelId", "MixMode", "SingleSubParams", "TaskId", if is_one { "StreamURL" } else { "MultiStreamURL" }]);
        names.extend((relay.region.is_some() && !update).then_some("Region"));
        names.sort_unstable();
        prop_assert_eq!(sent.keys().map(String::as_str).collect::<Vec<_>>(), names);
        let action = if update { "UpdateLiveMPUTask" } else { "StartLiveMPUTask" };
        for (name, value) in [
            ("Action", action), ("Version", "2016-11-01"), ("AppId", app.as_str()), ("TaskId", task.as_str()), ("ChannelId", relay.channel.as_str()),
            ("AccessKeyId", "testid"), ("SecurityToken", TOKEN),
        ] {
            prop_assert_eq!(&sent[name], value);
        }
        if let Media::Single(single) = &relay.media {
            let user: serde_json::Value = serde_json::from_str(&sent["SingleSubParams"]).unwrap();
            prop_assert_eq!(&user, &serde_json::json!({"UserId": &single.user_id}));
        }
        if is_one {
            prop_assert_eq!(&sent["StreamURL"], &urls[0]);
        } else {
            let sent: serde_json::Value = serde_json::from_str(&sent["MultiStreamURL"]).unwrap();
            let sent: Vec<_> = sent.as_array().unwrap().iter().map(|one| one["URL"].as_str().unwrap().to_owned()).collect();
            prop_assert_eq!(sent, urls);
        }
    }

    /// What could be more than an id is none.
    #[test]
    fn what_is_no_id_is_never_sent(text in any::<String>()) {
        let is_id = |longest| (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        prop_assert_eq!(AppId::try_from(text.as_str()).is_ok(), is_id(64));
        prop_assert_eq!(ChannelId::try_from(text.as_str()).is_ok(), is_id(64));
        prop_assert_eq!(TaskId::try_from(text.as_str()).is_ok(), is_id(55));
    }
}
