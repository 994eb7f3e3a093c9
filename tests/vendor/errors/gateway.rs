//! What every call may meet before and beside its action (dossier 2.1, 7.1).

use serde_json::{Value, json};

use super::{APP, Call, Case, Expected, Order, Vendor, error};

/// Every case of a call.
pub fn cases(call: &Call) -> Vec<Case> {
    [
        of_keys(call),
        of_dates_and_nonces(call),
        of_the_account(call),
        of_the_quota(call),
        of_faults(call),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// An action that there is not.
pub fn unknown_action(vendor: Vendor) -> Case {
    let call = Call::new(vendor, "GetMPUTaskStatus", json!({"AppId": APP}));
    let expected = error(404, "InvalidAction.NotFound");
    Case::new("an unknown action", &[], &call, &expected)
}

/// What it is, key id, secret and token, status and code.
type KeyCase = (
    &'static str,
    (&'static str, &'static str, Option<&'static str>),
    u16,
    &'static str,
);

#[rustfmt::skip]
const KEYS: [KeyCase; 7] = [
    ("a wrong secret", ("testid", "wrong", None), 400, "SignatureDoesNotMatch"),
    ("an unknown key", ("nobody", "s", None), 404, "InvalidAccessKeyId.NotFound"),
    ("a disabled key", ("off", "s", None), 400, "InvalidAccessKeyId.Inactive"),
    ("a triple without its token", ("STS.a", "s", None), 404, "InvalidAccessKeyId.NotFound"),
    ("another's token", ("STS.a", "s", Some("token-b")), 400, "InvalidSecurityToken.MismatchWithAccessKey"),
    ("no token at all", ("STS.a", "s", Some("x")), 400, "InvalidSecurityToken.Malformed"),
    ("an expired token", ("STS.old", "s", Some("token-old")), 400, "InvalidSecurityToken.Expired"),
];

fn of_keys(call: &Call) -> Vec<Case> {
    let keys = Order::Account(json!({"keys": [
        {"id": "testid", "secret": "testsecret"},
        {"id": "off", "secret": "s", "enabled": false},
        {"id": "STS.a", "secret": "s", "token": "token-a"},
        {"id": "STS.b", "secret": "s", "token": "token-b"},
        {"id": "STS.old", "secret": "s", "token": "token-old", "expiresAt": "2020-01-01T00:00:00Z"},
    ]}));
    let case = |(what, (id, secret, token), status, code): KeyCase| {
        let call = call.clone().key(id, secret, token);
        let keys = std::slice::from_ref(&keys);
        Case::new(what, keys, &call, &error(status, code))
    };
    KEYS.map(case).into()
}

fn of_dates_and_nonces(call: &Call) -> Vec<Case> {
    let date = |seconds: i64| {
        let at = jiff::Timestamp::now().as_second() + seconds;
        jiff::Timestamp::from_second(at).unwrap().to_string()
    };
    let mut cases: Vec<Case> = [
        (
            "a date of the past",
            date(-1000),
            "InvalidTimeStamp.Expired",
        ),
        (
            "a date of the future",
            date(1000),
            "InvalidTimeStamp.Expired",
        ),
        (
            "no date at all",
            "yesterday".to_owned(),
            "InvalidTimeStamp.Format",
        ),
    ]
    .into_iter()
    .map(|(what, date, code)| {
        let call = call.clone().with("date", date);
        Case::new(what, &[], &call, &error(400, code))
    })
    .collect();
    let again = call.clone().with("nonce", "once");
    let used = error(400, "SignatureNonceUsed");
    cases.push(Case::new(
        "a nonce that was used",
        &[Order::SameCall],
        &again,
        &used,
    ));
    let other = Call {
        parameters: json!({"AppId": APP}),
        ..call.clone()
    };
    let other = other.with("version", "2018-01-11");
    let invalid = error(400, "InvalidVersion");
    cases.push(Case::new("another version", &[], &other, &invalid));
    cases
}

fn of_the_account(call: &Call) -> Vec<Case> {
    // The list of channels is not of the relay family, and has other codes.
    let is_rooms = call.action == "ListRTCLiveRooms";
    let account = |fields: Value| [Order::Account(fields)];
    let (not_ours, no_app) = if is_rooms {
        (error(404, "ResourceNotExist"), error(400, "InputInvalid"))
    } else {
        (error(400, "InvalidAppId"), error(400, "MissingParam"))
    };
    let mut without_app = call.clone();
    without_app
        .parameters
        .as_object_mut()
        .unwrap()
        .remove("AppId");
    let off = Expected::Error(403, "OperationDenied", "has not enabled");
    let mut cases = vec![
        Case::new(
            "another account's application",
            &account(json!({"apps": ["another"]})),
            call,
            &not_ours,
        ),
        Case::new("no application", &[], &without_app, &no_app),
        Case::new(
            "not enabled",
            &account(json!({"serviceEnabled": false})),
            call,
            &off,
        ),
    ];
    for code in ["Forbidden", "NoPermission", "NoAuth"] {
        let denied = account(json!({"denied": [call.action], "denialCode": code}));
        let expected = Expected::Error(403, code, call.action);
        cases.push(Case::new(
            format!("denied as {code}"),
            &denied,
            call,
            &expected,
        ));
    }
    cases
}

fn of_the_quota(call: &Call) -> Vec<Case> {
    let taken = Order::Account(json!({"neighbourShare": 1.0}));
    let mut cases = Vec::new();
    for (excess, status) in [
        ("throttling400", 400),
        ("throttling429", 429),
        ("throttling503", 503),
    ] {
        let wait = Order::Switches(json!({"excess": excess, "excessRetryAfterMillis": 1500}));
        let call = call.clone().with("retryAfterMillis", 1500);
        let expected = Expected::Error(status, "Throttling.User", "flow control");
        cases.push(Case::new(excess, &[taken.clone(), wait], &call, &expected));
    }
    for excess in ["close", "drop"] {
        let silent = Order::Switches(json!({ "excess": excess }));
        let what = format!("excess: {excess}");
        let orders = [taken.clone(), silent];
        cases.push(Case::new(
            what,
            &orders,
            &impatient(call),
            &Expected::NoAnswer,
        ));
    }
    cases
}

fn of_faults(call: &Call) -> Vec<Case> {
    let mut cases = Vec::new();
    for (status, code) in [
        (500, "InternalError"),
        (503, "ServiceUnavailable"),
        (403, "Forbidden.RAM"),
        (404, "InvalidProtocol.NeedSsl"),
    ] {
        let fault = Order::Fault(
            json!({"kind": "error", "status": status, "code": code, "message": "words"}),
        );
        let expected = Expected::Error(status, code, "words");
        cases.push(Case::new(code, &[fault], call, &expected));
    }
    for kind in [
        "torn",
        "reset",
        "close",
        "drop",
        "emptyReply",
        "foreignReply",
    ] {
        let fault = Order::Fault(json!({ "kind": kind }));
        cases.push(Case::new(
            kind,
            &[fault],
            &impatient(call),
            &Expected::NoAnswer,
        ));
    }
    let late = Order::Fault(json!({"kind": "lateEffect", "millis": 1}));
    cases.push(Case::new(
        "lateEffect",
        &[late],
        &impatient(call),
        &Expected::NoAnswer,
    ));
    let wrong = Order::Fault(json!({"kind": "wrongJson"}));
    cases.push(Case::new(
        "wrongJson",
        &[wrong],
        call,
        &Expected::ForeignBody,
    ));
    cases
}

/// With a client that does not wait for long.
fn impatient(call: &Call) -> Call {
    call.clone().with("timeoutMillis", 400)
}
