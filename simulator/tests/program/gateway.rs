//! Signatures, dates, nonces, keys, and what else a call meets before its action.

use serde_json::json;

use crate::harness::{Call, Sim, date, exchange, nonce};

fn stop() -> Call {
    Call::new("StopLiveMPUTask", &[("AppId", "app"), ("TaskId", "t")])
}

#[test]
fn a_good_call_passes_by_every_way() {
    let sim = Sim::start();
    sim.switch(&json!({"stopGone": "ok"}));
    let get = Call {
        method: "GET",
        ..stop()
    };
    let form = Call {
        in_body: vec!["AppId", "TaskId", "Action"],
        ..stop()
    };
    let lower = stop().with("Format", "json");
    let extra = stop()
        .with("RegionId", "cn-shanghai")
        .with("SignatureType", "");
    for call in [stop(), get, form, lower, extra] {
        let answer = call.send(&sim).answer();
        assert_eq!(answer.status, 200, "{call:?}: {}", answer.body);
        let body = answer.json();
        let id = body["RequestId"].as_str().unwrap();
        assert_eq!(body, json!({"RequestId": id}));
        assert_eq!(id, id.to_uppercase());
        assert!(uuid::Uuid::parse_str(id).is_ok(), "{id}");
        assert_eq!(answer.headers["x-acs-request-id"], id);
    }
}

#[test]
fn a_blank_sent_as_plus_is_the_blank_that_was_signed() {
    let sim = Sim::start();
    let call = stop().with("Note", "a b");
    let request = call.request().replace("a%20b", "a+b");
    assert!(request.contains("a+b"));
    let answer = exchange(&sim.api, &request, call.patience).answer();
    assert_eq!(
        answer.code(),
        "InvalidParam",
        "the task is unknown, the signature is fine"
    );
}

/// Sends each and compares status and code; an error has all its documented members.
fn refused(sim: &Sim, cases: Vec<(Call, u16, &str)>) {
    for (call, status, code) in cases {
        let answer = call.send(sim).answer();
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{call:?}"
        );
        let body = answer.json();
        for member in ["RequestId", "HostId", "Code", "Message", "Recommend"] {
            assert!(body[member].is_string(), "{member} in {body}");
        }
    }
}

#[test]
fn what_is_missing_or_wrong_has_its_code() {
    let sim = Sim::start();
    let cases = vec![
        (stop().without("Action"), 400, "MissingParameter"),
        (stop().without("Version"), 400, "MissingParameter"),
        (stop().without("AccessKeyId"), 400, "MissingParameter"),
        (stop().without("SignatureNonce"), 400, "MissingParameter"),
        (stop().without("Timestamp"), 400, "MissingParameter"),
        (stop().without("SignatureMethod"), 400, "MissingParameter"),
        (
            stop().with("SignatureMethod", "HMAC-SHA256"),
            400,
            "InvalidParameter",
        ),
        (
            stop().with("SignatureVersion", "2.0"),
            400,
            "InvalidParameter",
        ),
        (stop().with("Version", "2018-01-11"), 400, "InvalidVersion"),
        (
            stop().with("Action", "GetMPUTaskStatus"),
            404,
            "InvalidAction.NotFound",
        ),
        (
            Call {
                method: "PUT",
                ..stop()
            },
            400,
            "UnsupportedHTTPMethod",
        ),
        (
            stop().with("Timestamp", &date(-901)),
            400,
            "InvalidTimeStamp.Expired",
        ),
        (
            stop().with("Timestamp", &date(1000)),
            400,
            "InvalidTimeStamp.Expired",
        ),
        (
            stop().with("Timestamp", "yesterday"),
            400,
            "InvalidTimeStamp.Format",
        ),
        (
            Call {
                secret: "wrong".to_owned(),
                ..stop()
            },
            400,
            "SignatureDoesNotMatch",
        ),
        (stop(), 400, "InvalidParam"),
    ];
    refused(&sim, cases);
    let raw = |request: &str| exchange(&sim.api, request, stop().patience).answer();
    assert_eq!(
        raw(&stop().request_signed("")).code(),
        "IncompleteSignature"
    );
    assert_eq!(
        raw(&stop().request().replacen("/?", "/v2?", 1)).code(),
        "InvalidApi.NotFound"
    );
    assert_eq!(
        raw(&stop().request().replacen("/?", "/?Note=%zz&", 1)).status,
        400
    );
    assert_eq!(raw("garbage\r\n\r\n").status, 400);
}

#[test]
fn keys_and_tokens() {
    let sim = Sim::start();
    let keys = json!([
        {"id": "off", "secret": "testsecret", "enabled": false},
        {"id": "STS.a", "secret": "testsecret", "token": "token-a"},
        {"id": "STS.b", "secret": "testsecret", "token": "token-b"},
        {"id": "STS.old", "secret": "testsecret", "token": "token-old", "expiresAt": "2020-01-01T00:00:00Z"},
    ]);
    sim.admin(
        "POST",
        "/seed",
        &json!({"accounts": [{"id": "b", "keys": keys}]}),
    );
    let key = |id: &str| stop().with("AccessKeyId", id);
    let with = |id: &str, token: &str| key(id).with("SecurityToken", token);
    let cases = vec![
        (key("nobody"), 404, "InvalidAccessKeyId.NotFound"),
        (key("off"), 400, "InvalidAccessKeyId.Inactive"),
        (key("STS.a"), 404, "InvalidAccessKeyId.NotFound"),
        (
            with("STS.a", "token-b"),
            400,
            "InvalidSecurityToken.MismatchWithAccessKey",
        ),
        (
            with("testid", "token-b"),
            400,
            "InvalidSecurityToken.MismatchWithAccessKey",
        ),
        (with("STS.a", "x"), 400, "InvalidSecurityToken.Malformed"),
        (
            with("STS.old", "token-old"),
            400,
            "InvalidSecurityToken.Expired",
        ),
        (with("STS.a", "token-a"), 400, "InvalidAppId"),
    ];
    refused(&sim, cases);
}

#[test]
fn a_wrong_signature_is_told_what_was_expected() {
    let sim = Sim::start();
    let call = Call {
        secret: "wrong".to_owned(),
        ..stop()
    };
    let message = call.send(&sim).answer().json()["Message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        message.split(':').nth(1),
        Some(call.string_to_sign().as_str())
    );
}

#[test]
fn a_nonce_is_good_once() {
    let sim = Sim::start();
    let call = stop();
    assert_eq!(call.send(&sim).answer().code(), "InvalidParam");
    assert_eq!(call.send(&sim).answer().code(), "SignatureNonceUsed");
    assert_eq!(
        call.clone()
            .with("Timestamp", &date(1))
            .send(&sim)
            .answer()
            .code(),
        "SignatureNonceUsed"
    );
    assert_eq!(
        call.with("SignatureNonce", &nonce())
            .send(&sim)
            .answer()
            .code(),
        "InvalidParam"
    );
    let log = sim.ended(4);
    assert_eq!(log[1]["violation"], "nonce");
    assert_eq!(log[1]["authenticated"], false);
}

#[test]
fn the_date_follows_the_simulated_clock() {
    let sim = Sim::start();
    sim.advance(1200.0);
    let answer = stop().send(&sim).answer();
    assert_eq!(answer.code(), "InvalidTimeStamp.Expired");
    let told = &answer.headers["date"];
    let told = jiff::fmt::rfc2822::parse(told)
        .unwrap()
        .timestamp()
        .as_second();
    assert!(
        (told - jiff::Timestamp::now().as_second() - 1200).abs() < 30,
        "{told}"
    );
    assert_eq!(
        stop()
            .with("Timestamp", &date(1200))
            .send(&sim)
            .answer()
            .code(),
        "InvalidParam"
    );
    sim.advance(-2400.0);
    assert_eq!(
        stop().send(&sim).answer().code(),
        "InvalidTimeStamp.Expired"
    );
    assert_eq!(
        stop()
            .with("Timestamp", &date(-1200))
            .send(&sim)
            .answer()
            .code(),
        "InvalidParam"
    );
    let usage = &sim.get("/quota")["usage"][0];
    assert_eq!(
        (&usage["dateViolations"], &usage["calls"]),
        (&json!(2), &json!(4))
    );
}

#[test]
fn no_secret_signature_or_address_is_shown() {
    let sim = Sim::start();
    sim.users("c", &["host"]);
    let url = "rtmp://push.example.com/live/hush?auth_key=hush-hush";
    let single = r#"{"UserId":"host"}"#;
    let own = [
        ("AppId", "app"),
        ("ChannelId", "c"),
        ("TaskId", "t"),
        ("MixMode", "0"),
        ("SingleSubParams", single),
        ("StreamURL", url),
    ];
    let start = Call::new("StartLiveMPUTask", &own);
    assert_eq!(start.send(&sim).answer().status, 200);
    let bad = Call {
        secret: "wrong".to_owned(),
        ..start.clone()
    };
    assert_eq!(bad.send(&sim).answer().code(), "SignatureDoesNotMatch");
    for path in [
        "/calls",
        "/history",
        "/quota",
        "/tasks",
        "/accounts",
        "/faults",
        "/apps/app/tasks/t",
    ] {
        let shown = sim.get(path).to_string();
        for secret in ["hush", "testsecret", &start.signature(), &bad.signature()] {
            assert!(!shown.contains(secret), "{secret} in {path}");
        }
    }
}
