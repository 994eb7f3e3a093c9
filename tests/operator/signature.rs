//! Both signatures against the simulator, which verifies them by its own reading of the protocol; and the operator told to use the newer one.

use std::time::Duration;

use mixed_stream_operator::live::{
    AppId, ChannelId, Class, Client, ClientConfig, Credentials, Delivery, Endpoint, Failure, Media,
    Output, Provider, Relay as LiveRelay, Signature, TaskId, wire::SingleSubParams,
};
use secrecy::SecretString;
use serde_json::json;
use support::Simulator;
use support::relay::Relay;
use support::simulator::{Call, Filter, TaskState};

use crate::relay::{ROOMS, START, STOP, with};
use crate::scene::APP;

const BOTH: [(Signature, &str); 2] = [(Signature::V1, "v1"), (Signature::V3, "v3")];
/// No part of it is a word that a message may have.
const OTHER: &str = "0ther-secret";
const TASK: &str = "final-42";
const CHANNEL: &str = "room-42";
/// Characters that a query and a header carry in different ways.
const TOKEN: &str = "CAIS+abc/def==&x";

fn client(simulator: &Simulator, signature: Signature, key: (&str, &str, Option<&str>)) -> Client {
    // Fails where the process has a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let endpoint = Endpoint::parse(&simulator.endpoint(), true).unwrap();
    let config = ClientConfig {
        sts: endpoint.clone(),
        endpoint,
        proxy_from_environment: false,
        call_deadline: Duration::from_secs(30),
        signature,
    };
    let (id, secret, token) = key;
    let credentials = Credentials::new(id, SecretString::from(secret), token.map(Into::into));
    Client::new(config, Provider::fixed(Some(credentials))).unwrap()
}

fn ids() -> (AppId, TaskId, ChannelId) {
    (
        AppId::try_from(APP).unwrap(),
        TaskId::try_from(TASK).unwrap(),
        ChannelId::try_from(CHANNEL).unwrap(),
    )
}

async fn calls(simulator: &Simulator) -> Vec<Call> {
    simulator.calls(&Filter::default()).await.unwrap()
}

/// The life of a task, with a key and with a temporary one.
#[tokio::test]
async fn every_action_is_taken_with_both_signatures() {
    let simulator = Simulator::start().await.unwrap();
    let keys = json!({"keys": [
        {"id": "testid", "secret": "testsecret"},
        {"id": "STS.one", "secret": "other/secret+", "token": TOKEN},
    ]});
    let key = ("testid", "testsecret", None);
    let triple = ("STS.one", "other/secret+", Some(TOKEN));
    for (signature, name) in BOTH {
        for key in [key, triple] {
            simulator.reset().await.unwrap();
            simulator.set_account("default", &keys).await.unwrap();
            simulator
                .set_users(APP, CHANNEL, &["主播 1+&=%*~"], &[])
                .await
                .unwrap();
            live(&simulator, &client(&simulator, signature, key)).await;
            for call in calls(&simulator).await {
                assert_eq!(call.signature.as_deref(), Some(name), "{call:?}");
                assert_eq!(call.key_id.as_deref(), Some(key.0), "{call:?}");
                assert!(call.authenticated && call.code.is_none(), "{call:?}");
            }
        }
    }
}

async fn live(simulator: &Simulator, client: &Client) {
    let (app, task, channel) = ids();
    let url = "rtmp://push.example.com/live/s1?auth_key=1-2-3*~";
    let relay = LiveRelay {
        channel: channel.clone(),
        region: None,
        max_idle: None,
        outputs: vec![Output::new(SecretString::from(url), None).unwrap()],
        media: Media::Single(SingleSubParams {
            source_type: None,
            stream_type: None,
            user_id: "主播 1+&=%*~".to_owned(),
        }),
        sei: None,
    };
    let users = client.channel_users(&app, &channel).await.unwrap().value;
    assert_eq!(users.interactive, 1);
    let rooms = client.live_rooms(&app, 1).await.unwrap().value.rooms;
    assert_eq!(rooms, [CHANNEL]);
    client.start(&app, &task, &relay).await.unwrap();
    client.update(&app, &task, &relay).await.unwrap();
    let listed = client.list_task(&app, &task).await.unwrap().value;
    assert_eq!(listed[0].outputs, Some(relay.output_ids()));
    assert_eq!(client.list_page(&app, 1).await.unwrap().value, listed);
    client.stop(&app, &task).await.unwrap();
    let account = client.caller_account().await.unwrap().value;
    assert_eq!(account.as_str(), "default");
    let task = simulator.task(APP, TASK).await.unwrap();
    assert_eq!(task.state, TaskState::Stopped);
}

/// What the gateway says of a bad call is understood, whichever signature it has; the secrets that the answer repeats are not shown.
#[tokio::test]
async fn each_refusal_of_the_gateway_is_understood_with_both_signatures() {
    let simulator = Simulator::start().await.unwrap();
    let keys = json!({"keys": [
        {"id": "testid", "secret": "testsecret"},
        {"id": "off", "secret": "0ther-secret", "enabled": false},
        {"id": "STS.a", "secret": "0ther-secret", "token": "token-a"},
        {"id": "STS.b", "secret": "0ther-secret", "token": "token-b"},
        {"id": "STS.old", "secret": "0ther-secret", "token": "token-old", "expiresAt": "2020-01-01T00:00:00Z"},
    ]});
    simulator.set_account("default", &keys).await.unwrap();
    let (app, task, _) = ids();
    for (signature, name) in BOTH {
        for (key, code) in [
            (("testid", "wr0ng/secret", None), "SignatureDoesNotMatch"),
            (("nobody", OTHER, None), "InvalidAccessKeyId.NotFound"),
            (("off", OTHER, None), "InvalidAccessKeyId.Inactive"),
            (("STS.a", OTHER, None), "InvalidAccessKeyId.NotFound"),
            (
                ("STS.a", OTHER, Some("token-b")),
                "InvalidSecurityToken.MismatchWithAccessKey",
            ),
            (
                ("STS.a", OTHER, Some("token-x")),
                "InvalidSecurityToken.Malformed",
            ),
            (
                ("STS.old", OTHER, Some("token-old")),
                "InvalidSecurityToken.Expired",
            ),
        ] {
            let client = client(&simulator, signature, key);
            let failure = client.stop(&app, &task).await.unwrap_err();
            assert_eq!(failure.code.as_deref(), Some(code), "{name}: {failure:?}");
            assert_eq!(failure.class, Class::CredentialsRejected, "{failure:?}");
            assert_eq!(failure.delivery, Delivery::Answered);
            let shown = format!("{failure:?} {failure}");
            for secret in ["wr0ng", OTHER, "token-", "SignatureNonce", "x-acs-"] {
                assert!(!shown.contains(secret), "{name}: {secret} in {shown}");
            }
        }
    }
    let violations = calls(&simulator).await;
    let wrong = violations
        .iter()
        .filter(|call| call.violation.as_deref() == Some("signature"));
    assert_eq!(wrong.count(), BOTH.len());
}

/// A clock that is off is told, and the next call is signed by the service's.
#[tokio::test]
async fn a_clock_that_is_off_is_told_and_made_up_for() {
    let (app, task, _) = ids();
    for (signature, name) in BOTH {
        for seconds in [1200.0, -1200.0] {
            let simulator = Simulator::start().await.unwrap();
            simulator
                .set_switches(&json!({"stopGone": "ok"}))
                .await
                .unwrap();
            simulator.advance(seconds).await.unwrap();
            let client = client(&simulator, signature, ("testid", "testsecret", None));
            let Failure { class, code, .. } = client.stop(&app, &task).await.unwrap_err();
            assert_eq!(class, Class::ClockSkew, "{name}");
            assert_eq!(code.as_deref(), Some("InvalidTimeStamp.Expired"));
            client.stop(&app, &task).await.unwrap();
            let nonces: Vec<_> = calls(&simulator)
                .await
                .into_iter()
                .map(|call| call.nonce)
                .collect();
            assert_ne!(nonces[0], nonces[1], "{name}: each attempt has its own");
        }
    }
}

/// The whole life of a relay, every call of it signed with V3 and a temporary key.
#[tokio::test]
async fn the_operator_signs_with_v3_where_it_is_told_to() {
    let scene = with("signature", |launch| {
        launch
            .flags(["--signature", "v3"])
            .credentials("STS.one", "other/secret+")
            .env("ALIBABA_CLOUD_SECURITY_TOKEN", TOKEN)
    })
    .await;
    let keys = json!({"keys": [{"id": "STS.one", "secret": "other/secret+", "token": TOKEN}]});
    scene.simulator.set_account("default", &keys).await.unwrap();
    scene.join("signed").await;
    scene.relay(Relay::single(APP, "signed")).await;
    scene.until_reason("signed", "Running").await;
    scene.end("signed").await;

    let calls = calls(&scene.simulator).await;
    for action in [START, STOP, ROOMS] {
        let made = calls
            .iter()
            .any(|call| call.action.as_deref() == Some(action));
        assert!(made, "{action}: {calls:?}");
    }
    for call in &calls {
        assert_eq!(call.signature.as_deref(), Some("v3"), "{call:?}");
        assert!(call.authenticated, "{call:?}");
    }
    let logs = String::from_utf8_lossy(&scene.operator.logs()).into_owned();
    for secret in ["other/secret+", TOKEN, "CAIS", "Credential="] {
        assert!(!logs.contains(secret), "{secret} in the log");
    }
}
