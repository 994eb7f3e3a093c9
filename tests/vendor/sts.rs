//! The actions of STS: neither client has methods of its own for them, so they are sent by the clients' general means.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};
use support::Simulator;

use crate::clients::{Call, Clients, Outcome, Vendor};
use crate::tally::{Tally, equal};

const VERSION: &str = "2015-04-01";
const ISSUER: &str = "https://oidc.example.com";
const SUBJECT: &str = "system:serviceaccount:live:operator";

/// Checks whose a key is with every client, and a role with those that can send a request without a signature.
pub async fn check(python: &Path, tally: &mut Tally) {
    let simulator = Simulator::start().await.unwrap();
    let trust = json!({
        "oidcProviders": [{"name": "ack", "issuer": ISSUER}],
        "roles": [{"name": "relay", "oidcProvider": "ack", "subjects": [SUBJECT]}],
    });
    simulator.set_account("default", &trust).await.unwrap();
    let mut clients = Clients::start(python, &simulator.addresses().api).unwrap();
    for vendor in Vendor::ALL {
        let name = vendor.name();
        let call = Call::new(vendor, "GetCallerIdentity", json!({})).with("version", VERSION);
        let found = body(clients.call(&call).await);
        let account = found.and_then(|body| equal(&body["AccountId"], &json!("default")));
        tally.check(&format!("{name}: GetCallerIdentity"), account);
        let call = call.key("testid", "another", None);
        let expected = match vendor {
            Vendor::NewV3 | Vendor::NewV1 => "SignatureDoesNotMatch",
            // It compares the text that was signed with its own, and blames the secret.
            Vendor::OldV1 => "InvalidAccessKeySecret",
        };
        let refused = code(clients.call(&call).await, expected);
        tally.check(&format!("{name}: GetCallerIdentity, refused"), refused);
    }
    for vendor in [Vendor::NewV3, Vendor::NewV1] {
        let name = vendor.name();
        let result = role(&mut clients, vendor).await;
        tally.check(
            &format!("{name}: AssumeRoleWithOIDC, and its triple"),
            result,
        );
        for (what, fields, expected) in REFUSALS {
            let call = assume(vendor, &fields());
            let refused = code(clients.call(&call).await, expected);
            tally.check(&format!("{name}: AssumeRoleWithOIDC, {what}"), refused);
        }
    }
}

/// What is wrong, the parameters that say so, and the code.
type Refusal = (&'static str, fn() -> Value, &'static str);

const REFUSALS: [Refusal; 3] = [
    (
        "a role that there is not",
        || json!({"RoleArn": "acs:ram::default:role/none"}),
        "EntityNotExist.Role",
    ),
    (
        "an expired token",
        || json!({"OIDCToken": token(-60)}),
        "AuthenticationFail.OIDCToken.Expired",
    ),
    (
        "a token that is none",
        || json!({"OIDCToken": "none"}),
        "AuthenticationFail.OIDCToken.Invalid",
    ),
];

/// A triple by the pod's token, and what it is good for.
async fn role(clients: &mut Clients, vendor: Vendor) -> Result<(), String> {
    let given = body(clients.call(&assume(vendor, &json!({}))).await)?;
    let triple = &given["Credentials"];
    let of = |name: &str| -> Result<&'static str, String> {
        let value = triple[name].as_str().ok_or(format!("no {name}"))?;
        Ok(value.to_owned().leak())
    };
    let call = Call::new(vendor, "GetCallerIdentity", json!({}))
        .with("version", VERSION)
        .key(
            of("AccessKeyId")?,
            of("AccessKeySecret")?,
            Some(of("SecurityToken")?),
        );
    let known = body(clients.call(&call).await)?;
    equal(&known["AccountId"], &json!("default"))
}

fn assume(vendor: Vendor, fields: &Value) -> Call {
    let mut parameters = json!({
        "RoleArn": "acs:ram::default:role/relay", "OIDCProviderArn": "acs:ram::default:oidc-provider/ack",
        "OIDCToken": token(3600), "RoleSessionName": "proof", "DurationSeconds": "900",
    });
    for (name, value) in fields.as_object().into_iter().flatten() {
        parameters[name] = value.clone();
    }
    Call::new(vendor, "AssumeRoleWithOIDC", parameters)
        .with("version", VERSION)
        .with("anonymous", true)
}

/// A pod's token that ends in so many seconds.
fn token(seconds: i64) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let end = Timestamp::now().as_second() + seconds;
    let claims = json!({"iss": ISSUER, "aud": ["sts.aliyuncs.com"], "sub": SUBJECT, "exp": end});
    format!(
        "{}.{}.{}",
        part(r#"{"alg": "RS256"}"#),
        part(&claims.to_string()),
        part("signature")
    )
}

fn body(answer: Result<Outcome, String>) -> Result<Value, String> {
    match answer? {
        Outcome::Body(body) => Ok(body),
        Outcome::Error(error) => Err(format!("{error:?}")),
    }
}

fn code(answer: Result<Outcome, String>, expected: &str) -> Result<(), String> {
    match answer? {
        Outcome::Error(error) => equal(&error.code.as_deref(), &Some(expected)),
        Outcome::Body(body) => Err(format!("{body}")),
    }
}
