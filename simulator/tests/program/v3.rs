//! Signature V3, with a signer of these tests' own.

use std::collections::BTreeMap;

use hmac::{KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Digest as _;

use crate::harness::{Answer, Call, Sim, date, exchange, nonce, pairs};

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(digit).collect()
}

fn sha256(text: &str) -> String {
    hex(&sha2::Sha256::digest(text))
}

/// One call, to be bent before it is signed and sent.
#[derive(Debug, Clone)]
struct Signed {
    method: &'static str,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: String,
    key_id: String,
    secret: String,
    /// Headers that are sent and not signed.
    unsigned: Vec<&'static str>,
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

fn stop() -> Signed {
    let headers = [
        ("host", "live.test"),
        ("accept", "application/json"),
        ("x-acs-action", "StopLiveMPUTask"),
        ("x-acs-version", "2016-11-01"),
        ("x-acs-date", &date(0)),
        ("x-acs-signature-nonce", &nonce()),
        ("x-acs-content-sha256", &sha256("")),
    ];
    Signed {
        method: "POST",
        query: map(&[("AppId", "app"), ("TaskId", "t")]),
        headers: map(&headers),
        body: String::new(),
        key_id: "testid".to_owned(),
        secret: "testsecret".to_owned(),
        unsigned: vec!["accept"],
    }
}

impl Signed {
    fn with(mut self, header: &str, value: &str) -> Self {
        self.headers.insert(header.to_owned(), value.to_owned());
        self
    }

    fn without(mut self, header: &str) -> Self {
        self.headers.remove(header);
        self
    }

    fn key(mut self, id: &str) -> Self {
        id.clone_into(&mut self.key_id);
        self
    }

    fn signed_names(&self) -> String {
        let names = self.headers.keys().map(String::as_str);
        let names: Vec<&str> = names.filter(|name| !self.unsigned.contains(name)).collect();
        names.join(";")
    }

    fn canonical_request(&self) -> String {
        let lines: String = self
            .headers
            .iter()
            .filter(|(name, _)| !self.unsigned.contains(&name.as_str()))
            .flat_map(|(name, value)| [name, ":", value, "\n"])
            .collect();
        format!(
            "{}\n/\n{}\n{lines}\n{}\n{}",
            self.method,
            pairs(self.query.iter()),
            self.signed_names(),
            sha256(&self.body)
        )
    }

    fn signature(&self) -> String {
        let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(self.secret.as_bytes()).unwrap();
        mac.update(format!("ACS3-HMAC-SHA256\n{}", sha256(&self.canonical_request())).as_bytes());
        hex(&mac.finalize().into_bytes())
    }

    fn authorization(&self) -> String {
        format!(
            "ACS3-HMAC-SHA256 Credential={},SignedHeaders={},Signature={}",
            self.key_id,
            self.signed_names(),
            self.signature()
        )
    }

    fn request(&self) -> String {
        self.request_authorized(&self.authorization())
    }

    fn request_authorized(&self, authorization: &str) -> String {
        let lines: String = self
            .headers
            .iter()
            .flat_map(|(name, value)| [name, ": ", value, "\r\n"])
            .collect();
        format!(
            "{} /?{} HTTP/1.1\r\n{lines}authorization: {authorization}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{}",
            self.method,
            pairs(self.query.iter()),
            self.body.len(),
            self.body
        )
    }

    fn send(&self, sim: &Sim) -> Answer {
        raw(sim, &self.request())
    }
}

fn raw(sim: &Sim, request: &str) -> Answer {
    exchange(&sim.api, request, Call::new("x", &[]).patience).answer()
}

#[test]
fn a_good_call_passes_by_every_way() {
    let sim = Sim::start();
    sim.switch(&json!({"stopGone": "ok"}));
    let form = Signed {
        query: BTreeMap::new(),
        body: "AppId=app&TaskId=t".to_owned(),
        ..stop()
            .with("content-type", "application/x-www-form-urlencoded")
            .with("x-acs-content-sha256", &sha256("AppId=app&TaskId=t"))
    };
    // The vendor's newest client signs all headers that it sets.
    let everything = Signed {
        unsigned: Vec::new(),
        ..stop().with("user-agent", "a client")
    };
    let get = Signed {
        method: "GET",
        ..stop()
    };
    for call in [stop(), form, everything, get] {
        let answer = call.send(&sim);
        assert_eq!(answer.status, 200, "{call:?}: {}", answer.body);
    }
    let log = sim.ended(4);
    assert_eq!(log[0]["signature"], "v3");
    assert_eq!(log[0]["keyId"], "testid");
    assert_eq!(log[0]["action"], "StopLiveMPUTask");
    assert_eq!(log[0]["taskId"], "t");
    assert_eq!(log[0]["authenticated"], true);
    let by_v1 = sim.stop("t");
    assert_eq!(by_v1.status, 200);
    assert_eq!(sim.last_call()["signature"], "v1");
}

#[test]
fn a_blank_sent_as_plus_is_the_blank_that_was_signed() {
    let sim = Sim::start();
    let mut call = stop();
    call.query.insert("Note".to_owned(), "a b".to_owned());
    let request = call.request().replace("a%20b", "a+b");
    assert!(request.contains("a+b"));
    assert_eq!(raw(&sim, &request).code(), "InvalidParam");
}

/// Sends each and compares status and code.
fn refused(sim: &Sim, cases: Vec<(Signed, u16, &str)>) {
    for (call, status, code) in cases {
        let answer = call.send(sim);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{call:?}"
        );
    }
}

#[test]
fn what_is_missing_or_wrong_has_its_code() {
    let sim = Sim::start();
    let bad_secret = Signed {
        secret: "wrong".to_owned(),
        ..stop()
    };
    let another_body = Signed {
        body: "AppId=app".to_owned(),
        ..stop().with("content-type", "text/plain")
    };
    let unsigned = |name| Signed {
        unsigned: vec!["accept", name],
        ..stop()
    };
    refused(
        &sim,
        vec![
            (stop().without("x-acs-action"), 400, "MissingParameter"),
            (stop().without("x-acs-version"), 400, "MissingParameter"),
            (stop().without("x-acs-date"), 400, "MissingParameter"),
            (
                stop().without("x-acs-signature-nonce"),
                400,
                "MissingParameter",
            ),
            (
                stop().without("x-acs-content-sha256"),
                400,
                "MissingParameter",
            ),
            (
                stop().with("x-acs-version", "2018-01-11"),
                400,
                "InvalidVersion",
            ),
            (
                stop().with("x-acs-action", "GetMPUTaskStatus"),
                404,
                "InvalidAction.NotFound",
            ),
            (
                stop().with("x-acs-date", &date(-901)),
                400,
                "InvalidTimeStamp.Expired",
            ),
            (
                stop().with("x-acs-date", &date(1000)),
                400,
                "InvalidTimeStamp.Expired",
            ),
            (
                stop().with("x-acs-date", "yesterday"),
                400,
                "InvalidTimeStamp.Format",
            ),
            (bad_secret, 400, "SignatureDoesNotMatch"),
            (another_body, 400, "SignatureDoesNotMatch"),
            (
                stop().with("x-acs-content-sha256", &sha256("other")),
                400,
                "SignatureDoesNotMatch",
            ),
            (unsigned("host"), 400, "IncompleteSignature"),
            (unsigned("x-acs-date"), 400, "IncompleteSignature"),
            (
                unsigned("x-acs-security-token").with("x-acs-security-token", "t"),
                400,
                "IncompleteSignature",
            ),
            (stop(), 400, "InvalidParam"),
        ],
    );
    for authorization in ["", "Basic eDp5", "ACS3-HMAC-SHA256 Credential=testid"] {
        let answer = raw(&sim, &stop().request_authorized(authorization));
        assert_eq!(answer.code(), "IncompleteSignature", "{authorization}");
    }
    // What is changed on the way was not signed.
    for (from, to) in [
        ("TaskId=t", "TaskId=u"),
        ("live.test", "live.other"),
        ("x-acs-action: Stop", "x-acs-action: Start"),
    ] {
        let request = stop().request().replacen(from, to, 1);
        assert_eq!(raw(&sim, &request).code(), "SignatureDoesNotMatch", "{to}");
    }
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
    let accounts = json!({"accounts": [{"id": "b", "keys": keys}]});
    sim.admin("POST", "/seed", &accounts);
    let with = |id: &str, token: &str| {
        let call = stop().with("x-acs-security-token", token).key(id);
        call.with("x-acs-accesskey-id", id)
    };
    refused(
        &sim,
        vec![
            (stop().key("nobody"), 404, "InvalidAccessKeyId.NotFound"),
            (stop().key("off"), 400, "InvalidAccessKeyId.Inactive"),
            (stop().key("STS.a"), 404, "InvalidAccessKeyId.NotFound"),
            (
                with("STS.a", "token-b"),
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
        ],
    );
}

#[test]
fn a_nonce_is_good_once_for_both_signatures() {
    let sim = Sim::start();
    let call = stop();
    assert_eq!(call.send(&sim).code(), "InvalidParam");
    assert_eq!(call.send(&sim).code(), "SignatureNonceUsed");
    let again = call.clone().with("x-acs-date", &date(1));
    assert_eq!(again.send(&sim).code(), "SignatureNonceUsed");
    let by_v1 = Call::new("StopLiveMPUTask", &[("AppId", "app"), ("TaskId", "t")]);
    let by_v1 = by_v1.with("SignatureNonce", &call.headers["x-acs-signature-nonce"]);
    assert_eq!(by_v1.send(&sim).answer().code(), "SignatureNonceUsed");
    assert_eq!(sim.ended(4)[1]["violation"], "nonce");
}

/// The refusal repeats all that was signed, as the service's does, and no more than that is ever shown.
#[test]
fn a_wrong_signature_is_told_what_was_expected() {
    let sim = Sim::start();
    let call = Signed {
        secret: "wrong".to_owned(),
        ..stop()
    };
    let answer = call.send(&sim).json();
    let message = answer["Message"].as_str().unwrap();
    assert!(message.contains(&call.canonical_request()), "{message}");
    let entry = sim.last_call();
    assert_eq!(entry["violation"], "signature");
    assert_eq!(entry["authenticated"], false);
    let log = sim.get("/calls").to_string();
    for secret in ["testsecret", &call.signature(), "SignedHeaders"] {
        assert!(!log.contains(secret), "{secret} in the log");
    }
}

#[test]
fn the_answer_is_of_the_form_that_is_accepted() {
    let sim = Sim::start();
    let xml = stop().without("accept").send(&sim);
    assert!(xml.body.contains("<Code>InvalidParam</Code>"), "{xml:?}");
    // It is V3 whatever stands in the query: an answer's form is asked for by a header.
    let mut call = stop();
    call.query.insert("Format".to_owned(), "XML".to_owned());
    assert_eq!(call.send(&sim).code(), "InvalidParam");
}
