//! STS and the machine's metadata server.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::harness::{Answer, Call, Outcome, Sim, escape, exchange};

const PATIENCE: Duration = Duration::from_secs(30);
const SUBJECT: &str = "system:serviceaccount:live:operator";

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn claims() -> Value {
    json!({"iss": "https://oidc.example.com", "aud": ["sts.aliyuncs.com"], "sub": SUBJECT, "exp": now() + 3600})
}

fn token(claims: &Value) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!(
        "{}.{}.{}",
        part("{}"),
        part(&claims.to_string()),
        part("hush-signature")
    )
}

/// An account with a role that a cluster's operator may assume.
fn sim(flags: &[&str]) -> Sim {
    let sim = Sim::start_with(flags);
    let account = json!({
        "id": "1234567890123456",
        "apps": ["app"],
        "keys": [{"id": "one", "secret": "testsecret"}, {"id": "two", "secret": "testsecret"}],
        "oidcProviders": [{"name": "ack", "issuer": "https://oidc.example.com"}],
        "roles": [{"name": "relay", "oidcProvider": "ack", "subjects": [SUBJECT]}],
        "instanceRole": "node",
    });
    sim.admin("POST", "/seed", &json!({"accounts": [account]}));
    sim
}

/// The parameters of an `AssumeRoleWithOIDC`, to be bent before it is sent.
struct Assume(BTreeMap<&'static str, String>);

impl Assume {
    fn new(token: &str) -> Self {
        let account = "acs:ram::1234567890123456";
        let params = [
            ("RoleArn", format!("{account}:role/relay")),
            ("OIDCProviderArn", format!("{account}:oidc-provider/ack")),
            ("OIDCToken", token.to_owned()),
            ("RoleSessionName", "session-1".to_owned()),
            ("DurationSeconds", "900".to_owned()),
        ];
        Self(params.into())
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.0.insert(name, value.to_owned());
        self
    }

    fn send(&self, sim: &Sim) -> Outcome {
        let pairs = self.0.iter();
        let pairs = pairs.map(|(name, value)| format!("{name}={}", escape(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        let request = format!(
            "POST /?Action=AssumeRoleWithOIDC&Version=2015-04-01&Format=JSON&Timestamp=2026-01-02T03%3A04%3A05Z HTTP/1.1\r\n\
             Host: sts.test\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        exchange(&sim.api, &request, PATIENCE)
    }

    fn answer(&self, sim: &Sim) -> Answer {
        self.send(sim).answer()
    }
}

/// A Stop signed with a triple as STS or the metadata server writes it.
fn stop_with(sim: &Sim, triple: &Value) -> String {
    let text = |name: &str| triple[name].as_str().unwrap().to_owned();
    let call = Call::new("StopLiveMPUTask", &[("AppId", "app"), ("TaskId", "t")])
        .with("AccessKeyId", &text("AccessKeyId"))
        .with("SecurityToken", &text("SecurityToken"));
    let call = Call {
        secret: text("AccessKeySecret"),
        ..call
    };
    let answer = call.send(sim).answer();
    if answer.status == 200 {
        "OK".to_owned()
    } else {
        answer.code()
    }
}

#[test]
fn a_clusters_token_is_worth_a_triple_that_expires() {
    let sim = sim(&[]);
    sim.switch(&json!({"stopGone": "ok"}));
    let answer = Assume::new(&token(&claims())).answer(&sim);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let body = answer.json();
    let triple = &body["Credentials"];
    assert!(triple["AccessKeyId"].as_str().unwrap().starts_with("STS."));
    let end: jiff::Timestamp = triple["Expiration"].as_str().unwrap().parse().unwrap();
    assert!((end.as_second() - now() - 900).abs() < 30, "{end}");
    assert_eq!(triple["Expiration"].as_str().unwrap().len(), 20);
    assert_eq!(body["OIDCTokenInfo"]["Subject"], SUBJECT);
    assert!(body["RequestId"].is_string());
    assert_eq!(stop_with(&sim, triple), "OK");

    let call = sim.last_call();
    assert_eq!(call["account"], "1234567890123456");
    let log = sim.get("/calls").to_string();
    for secret in ["AccessKeySecret", "SecurityToken"] {
        assert!(!log.contains(triple[secret].as_str().unwrap()));
    }
    assert!(!log.contains(&token(&claims())[..40]));
}

#[test]
fn each_refusal_has_its_code() {
    let sim = sim(&[]);
    let good = || Assume::new(&token(&claims()));
    let bad_claims = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        Assume::new(&token(&claims))
    };
    let oidc = "AuthenticationFail.OIDCToken";
    let account = "acs:ram::1234567890123456";
    for (call, status, code) in [
        (
            bad_claims("exp", json!(now() - 1)),
            400,
            format!("{oidc}.Expired"),
        ),
        (
            bad_claims("aud", json!("kubernetes")),
            400,
            format!("{oidc}.AudienceNotMatch"),
        ),
        (
            bad_claims("iss", json!("https://other")),
            400,
            format!("{oidc}.IssuerNotMatch"),
        ),
        (
            good().with("OIDCToken", "no-token"),
            400,
            format!("{oidc}.Invalid"),
        ),
        (
            bad_claims("sub", json!("system:serviceaccount:x:y")),
            403,
            "AuthenticationFail.NoPermission".to_owned(),
        ),
        (
            good().with("OIDCProviderArn", &format!("{account}:oidc-provider/other")),
            403,
            "AuthenticationFail.NoPermission".to_owned(),
        ),
        (
            good().with("OIDCProviderArn", "acs:ram::1:oidc-provider/ack"),
            403,
            "AuthenticationFail.NoPermission".to_owned(),
        ),
        (
            good().with("RoleArn", &format!("{account}:role/other")),
            404,
            "EntityNotExist.Role".to_owned(),
        ),
        (
            good().with("RoleArn", "acs:ram::1:role/relay"),
            404,
            "EntityNotExist.Role".to_owned(),
        ),
        (
            good().with("RoleArn", "relay"),
            400,
            "InvalidParameter.RoleArn".to_owned(),
        ),
        (
            good().with("DurationSeconds", "899"),
            400,
            "InvalidParameter.DurationSeconds".to_owned(),
        ),
        (
            good().with("DurationSeconds", "3601"),
            400,
            "InvalidParameter.DurationSeconds".to_owned(),
        ),
        (
            good().with("RoleSessionName", "a"),
            400,
            "InvalidParameter.RoleSessionName".to_owned(),
        ),
        (
            good().with("RoleSessionName", ""),
            400,
            "MissingParameter".to_owned(),
        ),
        (
            good().with("OIDCToken", &"x".repeat(20_001)),
            400,
            "InvalidParameter.OIDCToken".to_owned(),
        ),
    ] {
        let answer = call.answer(&sim);
        assert_eq!(
            (answer.status, answer.code()),
            (status, code.clone()),
            "{code}"
        );
    }
    let sessions = sim.get("/accounts/1234567890123456/sessions");
    assert_eq!(sessions, json!({"sessions": []}));
}

#[test]
fn a_providers_flaws_have_their_codes() {
    let sim = sim(&[]);
    let oidc = "AuthenticationFail.OIDCToken";
    for (field, code) in [
        ("fingerprintMatches", "PublicKeyFingerprintMismatch"),
        ("issuerWorks", "IssuerConfigurationBroken"),
    ] {
        let mut provider = json!({"name": "ack", "issuer": "https://oidc.example.com"});
        provider[field] = json!(false);
        let change = json!({"oidcProviders": [provider]});
        sim.admin("PATCH", "/accounts/1234567890123456", &change);
        let answer = Assume::new(&token(&claims())).answer(&sim);
        assert_eq!(answer.code(), format!("{oidc}.{code}"));
    }
}

#[test]
fn sts_fails_and_throttles_on_order() {
    let sim = sim(&[]);
    let assume = || Assume::new(&token(&claims()));
    let fault = json!({"action": "AssumeRoleWithOIDC", "kind": "error", "status": 503, "code": "ServiceUnavailable"});
    sim.fault(fault);
    assert_eq!(assume().answer(&sim).code(), "ServiceUnavailable");
    sim.fault(json!({"action": "AssumeRoleWithOIDC", "kind": "reset"}));
    assert!(matches!(assume().send(&sim), Outcome::Reset));
    let quota = json!({"quotas": {"AssumeRoleWithOIDC": 1}});
    sim.admin("PATCH", "/accounts/1234567890123456", &quota);
    let codes: Vec<u16> = (0..2).map(|_| assume().answer(&sim).status).collect();
    assert!(codes.contains(&400), "{codes:?}");
    assert_eq!(sim.last_call()["code"], "Throttling.User");
}

#[test]
fn a_triple_lives_as_long_as_the_switch_says_and_can_be_ended() {
    let sim = sim(&[]);
    sim.switch(&json!({"stopGone": "ok", "tripleSeconds": 5}));
    let assume = || {
        let answer = Assume::new(&token(&claims())).answer(&sim);
        answer.json()["Credentials"].clone()
    };
    let triple = assume();
    assert_eq!(stop_with(&sim, &triple), "OK");
    sim.advance(6.0);
    assert_eq!(stop_with(&sim, &triple), "InvalidSecurityToken.Expired");
    sim.switch(&json!({"tripleSeconds": null}));
    let triple = assume();
    let sessions = sim.get("/accounts/1234567890123456/sessions");
    let newest = &sessions["sessions"][1];
    assert_eq!(newest["keyId"], triple["AccessKeyId"]);
    assert_eq!(
        (&newest["role"], &newest["sessionName"]),
        (&json!("relay"), &json!("session-1"))
    );
    assert!(
        !sessions
            .to_string()
            .contains(triple["AccessKeySecret"].as_str().unwrap())
    );
    sim.admin("DELETE", "/accounts/1234567890123456/sessions", &json!({}));
    assert_eq!(stop_with(&sim, &triple), "InvalidSecurityToken.Expired");
    assert_eq!(stop_with(&sim, &assume()), "OK");
    // Other keys of the account come and go without touching what was given out.
    let held = assume();
    sim.admin("PATCH", "/accounts/1234567890123456", &json!({"keys": []}));
    assert_eq!(stop_with(&sim, &held), "OK");
}

fn identity(key: &str) -> Call {
    Call::new("GetCallerIdentity", &[])
        .with("Version", "2015-04-01")
        .with("AccessKeyId", key)
}

#[test]
fn whose_a_key_is() {
    let sim = sim(&[]);
    for key in ["one", "two"] {
        let answer = identity(key).send(&sim).answer();
        assert_eq!(answer.status, 200, "{}", answer.body);
        let body = answer.json();
        assert_eq!(body["AccountId"], "1234567890123456");
        assert_eq!(body["IdentityType"], "RAMUser");
        for member in ["Arn", "PrincipalId", "UserId", "RequestId"] {
            assert!(body[member].is_string(), "{member} in {body}");
        }
    }
    let triple = Assume::new(&token(&claims())).answer(&sim).json()["Credentials"].clone();
    let call = identity(triple["AccessKeyId"].as_str().unwrap())
        .with("SecurityToken", triple["SecurityToken"].as_str().unwrap());
    let call = Call {
        secret: triple["AccessKeySecret"].as_str().unwrap().to_owned(),
        ..call
    };
    let body = call.send(&sim).answer().json();
    assert_eq!(body["AccountId"], "1234567890123456");
    assert_eq!(body["IdentityType"], "AssumedRoleUser");
    assert!(body["RoleId"].is_string());
    assert_eq!(
        identity("testid").send(&sim).answer().json()["AccountId"],
        "default"
    );

    // Signed like any other call, and each version for its own actions.
    let forged = Call {
        secret: "wrong".to_owned(),
        ..identity("one")
    };
    assert_eq!(forged.send(&sim).answer().code(), "SignatureDoesNotMatch");
    let other = identity("one").with("Version", "2016-11-01");
    assert_eq!(other.send(&sim).answer().code(), "InvalidVersion");
    // It needs neither the service nor a permission, unless one is taken away by name.
    let change = json!({"serviceEnabled": false});
    sim.admin("PATCH", "/accounts/1234567890123456", &change);
    assert_eq!(identity("one").send(&sim).answer().status, 200);
    let change = json!({"denied": ["GetCallerIdentity"]});
    sim.admin("PATCH", "/accounts/1234567890123456", &change);
    assert_eq!(identity("one").send(&sim).answer().status, 403);
}

fn ask(sim: &Sim, method: &str, path: &str, headers: &str) -> Answer {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: 100.100.100.200\r\nConnection: close\r\n{headers}Content-Length: 0\r\n\r\n"
    );
    exchange(&sim.metadata, &request, PATIENCE).answer()
}

const ROLES: &str = "/latest/meta-data/ram/security-credentials/";

fn metadata_token(sim: &Sim) -> String {
    let life = "X-aliyun-ecs-metadata-token-ttl-seconds: 21600\r\n";
    let answer = ask(sim, "PUT", "/latest/api/token", life);
    assert_eq!(answer.status, 200);
    format!("X-aliyun-ecs-metadata-token: {}\r\n", answer.body)
}

#[test]
fn the_machines_role_is_given_for_a_token() {
    let sim = sim(&["--metadata", "127.0.0.1:0"]);
    sim.switch(&json!({"stopGone": "ok"}));
    let token = metadata_token(&sim);
    assert_eq!(ask(&sim, "GET", ROLES, &token).body, "node");
    let node = format!("{ROLES}node");
    let triple = || ask(&sim, "GET", &node, &metadata_token(&sim)).json();
    let first = triple();
    assert_eq!(first["Code"], "Success");
    assert!(first["LastUpdated"].is_string());
    assert_eq!(stop_with(&sim, &first), "OK");
    // The same ones until half of their life is over.
    assert_eq!(triple(), first);
    sim.advance(3.1 * 3600.0);
    let second = triple();
    assert_ne!(second["AccessKeyId"], first["AccessKeyId"]);

    // Nothing without a token, or with an old one.
    assert_eq!(ask(&sim, "GET", &node, "").status, 403);
    assert_eq!(ask(&sim, "GET", ROLES, "").status, 403);
    sim.advance(3.0 * 3600.0);
    assert_eq!(ask(&sim, "GET", &node, &token).status, 403);
    assert_eq!(ask(&sim, "PUT", "/latest/api/token", "").status, 400);
    let other = format!("{ROLES}other");
    assert_eq!(ask(&sim, "GET", &other, &metadata_token(&sim)).status, 404);
}

#[test]
fn the_metadata_server_denies_and_fails_on_order() {
    let sim = sim(&["--metadata", "127.0.0.1:0"]);
    let node = format!("{ROLES}node");
    let token = metadata_token(&sim);
    for (mood, status) in [("denies", 403), ("fails", 503), ("works", 200)] {
        sim.switch(&json!({"metadataServer": mood}));
        assert_eq!(ask(&sim, "GET", &node, &token).status, status);
    }
    sim.admin(
        "PATCH",
        "/accounts/1234567890123456",
        &json!({"instanceRole": ""}),
    );
    assert_eq!(ask(&sim, "GET", &node, &token).status, 404);
    assert_eq!(ask(&sim, "GET", ROLES, &token).status, 404);
}
