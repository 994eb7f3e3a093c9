#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use secrecy::ExposeSecret as _;

use super::*;

fn lookup<'a>(variables: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<String> + 'a {
    |name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    }
}

fn read(variables: &[(&str, &str)]) -> Result<Origin, CredentialsError> {
    Origin::from_environment(lookup(variables))
}

const KEY: [(&str, &str); 2] = [(KEY_ID, "testid"), (KEY_SECRET, "testsecret")];
const RRSA: [(&str, &str); 3] = [
    (ROLE_ARN, "acs:ram::1:role/relay"),
    (PROVIDER_ARN, "acs:ram::1:oidc-provider/ack-rrsa-c1"),
    (TOKEN_FILE, "/var/run/secrets/a token"),
];
const MACHINE: [(&str, &str); 1] = [(ECS_METADATA, "node-role")];

#[test]
fn a_key_is_taken() {
    let Origin::Key(pair) = read(&KEY).unwrap() else {
        panic!("no key")
    };
    assert_eq!(
        (pair.key_id(), pair.key_secret().expose_secret()),
        ("testid", "testsecret")
    );
    assert!(pair.token().is_none());
    let triple = [&KEY[..], &[(TOKEN, "CAIS+abc/def==")]].concat();
    let Origin::Key(triple) = read(&triple).unwrap() else {
        panic!("no key")
    };
    assert_eq!(triple.token().unwrap().expose_secret(), "CAIS+abc/def==");
}

#[test]
fn a_role_is_taken() {
    let Origin::Oidc(role) = read(&RRSA).unwrap() else {
        panic!("no role")
    };
    let expected = OidcRole {
        role_arn: "acs:ram::1:role/relay".to_owned(),
        provider_arn: "acs:ram::1:oidc-provider/ack-rrsa-c1".to_owned(),
        token_file: PathBuf::from("/var/run/secrets/a token"),
        session_name: "mixed-stream-operator".to_owned(),
    };
    assert_eq!(role, expected);
    let named = [&RRSA[..], &[(SESSION_NAME, "relay@cluster-1")]].concat();
    let Origin::Oidc(role) = read(&named).unwrap() else {
        panic!("no role")
    };
    assert_eq!(role.session_name, "relay@cluster-1");
    let Origin::EcsRole(role) = read(&MACHINE).unwrap() else {
        panic!("no role")
    };
    assert_eq!(role, "node-role");
}

#[test]
fn a_key_goes_before_rrsa_and_that_before_the_machine() {
    assert!(matches!(read(&[]).unwrap(), Origin::Nowhere));
    let all = [&KEY[..], &RRSA, &MACHINE].concat();
    assert!(matches!(read(&all).unwrap(), Origin::Key(_)));
    assert!(matches!(read(&all[2..]).unwrap(), Origin::Oidc(_)));
    // These alone ask for nothing.
    let details = [(SESSION_NAME, "name"), (STS_ENDPOINT, "sts.aliyuncs.com")];
    assert!(matches!(read(&details).unwrap(), Origin::Nowhere));
}

#[test]
fn what_is_given_by_half_or_wrong_is_named() {
    let rrsa_but = |left_out: usize| {
        let mut variables = RRSA.to_vec();
        variables.remove(left_out);
        variables
    };
    let rrsa_with = |name, value| [&RRSA[..], &[(name, value)]].concat();
    let key_with = |name, value| [&KEY[..], &[(name, value)]].concat();
    let (one, two, three) = (rrsa_but(0), rrsa_but(1), rrsa_but(2));
    let cases: Vec<(Vec<(&str, &str)>, String)> = vec![
        (
            vec![(KEY_ID, "a")],
            format!("{KEY_ID} is set but {KEY_SECRET} is not"),
        ),
        (
            vec![(KEY_ID, "a"), (TOKEN, "t")],
            format!("{KEY_ID} is set but {KEY_SECRET} is not"),
        ),
        (
            vec![(KEY_SECRET, "hush")],
            format!("{KEY_SECRET} is set but {KEY_ID} is not"),
        ),
        (
            vec![(TOKEN, "hush")],
            format!("{TOKEN} is set but {KEY_ID} is not"),
        ),
        (
            vec![(KEY_ID, ""), (KEY_SECRET, "hush")],
            format!("{KEY_ID} is empty"),
        ),
        (
            vec![(KEY_ID, "a"), (KEY_SECRET, "")],
            format!("{KEY_SECRET} is empty"),
        ),
        (
            vec![(KEY_ID, "a"), (KEY_SECRET, "hush\n")],
            format!("{KEY_SECRET} is given with a blank"),
        ),
        (
            vec![(KEY_ID, "a"), (KEY_SECRET, "hush hush")],
            format!("{KEY_SECRET} is given with a blank"),
        ),
        (
            vec![(KEY_ID, "a\u{7}"), (KEY_SECRET, "hush")],
            format!("{KEY_ID} is given with a character"),
        ),
        (
            key_with(TOKEN, "é"),
            format!("{TOKEN} is given with a character"),
        ),
        // Half a key is no reason to look elsewhere.
        (
            rrsa_with(KEY_ID, "a"),
            format!("{KEY_ID} is set but {KEY_SECRET} is not"),
        ),
        (one, format!("{PROVIDER_ARN} is set but {ROLE_ARN} is not")),
        (two, format!("{ROLE_ARN} is set but {PROVIDER_ARN} is not")),
        (three, format!("{ROLE_ARN} is set but {TOKEN_FILE} is not")),
        (
            vec![(TOKEN_FILE, "/token"), MACHINE[0]],
            format!("{TOKEN_FILE} is set but {ROLE_ARN} is not"),
        ),
        (
            rrsa_with(SESSION_NAME, "a"),
            format!("{SESSION_NAME} is too short"),
        ),
        (
            rrsa_with(SESSION_NAME, "a/b"),
            format!("{SESSION_NAME} is given with a character"),
        ),
        (vec![(TOKEN_FILE, "")], format!("{TOKEN_FILE} is empty")),
        (vec![(ECS_METADATA, "")], format!("{ECS_METADATA} is empty")),
        // It becomes part of an address.
        (
            vec![(ECS_METADATA, "..")],
            format!("{ECS_METADATA} is given with a character"),
        ),
        (
            vec![(ECS_METADATA, "a/../b")],
            format!("{ECS_METADATA} is given with a character"),
        ),
    ];
    for (variables, expected) in cases {
        let error = read(&variables).unwrap_err();
        assert!(error.to_string().starts_with(&expected), "{error}");
        assert!(!format!("{error} {error:?}").contains("hush"), "{error}");
    }
}

#[test]
fn where_sts_is() {
    for (given, allow_http, expected) in [
        (None, false, Ok("https://sts.aliyuncs.com")),
        (
            Some("sts-vpc.cn-hangzhou.aliyuncs.com"),
            false,
            Ok("https://sts-vpc.cn-hangzhou.aliyuncs.com"),
        ),
        (Some("h:8443"), false, Ok("https://h:8443")),
        (Some("https://h"), false, Ok("https://h")),
        (Some("http://127.0.0.1:1"), true, Ok("http://127.0.0.1:1")),
        (
            Some("http://127.0.0.1:1"),
            false,
            Err(EndpointError::PlainHttp),
        ),
        (Some("h/path"), false, Err(EndpointError::MoreThanHost)),
        (Some("user@h"), false, Err(EndpointError::UserInfo)),
        (Some("ftp://h"), true, Err(EndpointError::Scheme)),
        (Some(""), true, Err(EndpointError::NotAUrl)),
    ] {
        let variables: Vec<(&str, &str)> = given
            .map(|value| (STS_ENDPOINT, value))
            .into_iter()
            .collect();
        let read = sts_endpoint(lookup(&variables), allow_http);
        let expected = expected
            .map(str::to_owned)
            .map_err(CredentialsError::Endpoint);
        assert_eq!(
            read.map(|endpoint| endpoint.to_string()),
            expected,
            "{given:?}"
        );
    }
}

#[test]
fn nothing_is_shown() {
    let variables = [&KEY[..], &[(TOKEN, "testtoken")]].concat();
    let shown = format!("{:?}", read(&variables).unwrap());
    assert_eq!(shown, "Key(Credentials { temporary: true, .. })");
}
