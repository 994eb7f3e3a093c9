#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use super::*;
use crate::live::outcome::{Answer, Body, Delivery, Wait};

/// What a caller is told of such an answer.
fn failure(status: u16, body: &str) -> Failure {
    let answer = Answer {
        status,
        body: Body::Whole(body.as_bytes().to_vec()),
        request_id: None,
        wait: Wait::default(),
        date: None,
    };
    let meaning = |status, code: Option<&str>, _: &str, _| refusal(status, code).class;
    told(judge_by(meaning, answer, &["the-token"], &[], |_| false, assumed).unwrap_err())
}

fn refused(status: u16, code: &str) -> Failure {
    let body = serde_json::json!({"Code": code, "Message": "words of STS", "RequestId": "r"});
    failure(status, &body.to_string())
}

/// Every code of the dossier's table (9.2), and what else STS says: what it means, and the one thing to do.
#[test]
fn each_refusal_says_what_to_do() {
    use Class::{CredentialsRejected, ServiceUnavailable};
    let token = "AuthenticationFail.OIDCToken";
    for (status, code, class, words) in [
        (
            400,
            &*format!("{token}.Expired"),
            CredentialsRejected,
            "the kubelet renews",
        ),
        (
            400,
            &format!("{token}.Invalid"),
            CredentialsRejected,
            "no valid token",
        ),
        (
            400,
            &format!("{token}.AudienceNotMatch"),
            CredentialsRejected,
            "the audience sts.aliyuncs.com",
        ),
        (
            400,
            &format!("{token}.IssuerNotMatch"),
            CredentialsRejected,
            "enable RRSA",
        ),
        (
            400,
            &format!("{token}.IssuerConfigurationBroken"),
            CredentialsRejected,
            "enable RRSA",
        ),
        (
            400,
            &format!("{token}.PublicKeyFingerprintMismatch"),
            CredentialsRejected,
            "update them in RAM",
        ),
        (
            400,
            &format!("{token}.SomethingNew"),
            CredentialsRejected,
            "no valid token",
        ),
        (
            403,
            "AuthenticationFail.NoPermission",
            CredentialsRejected,
            "trust policy",
        ),
        (
            404,
            "EntityNotExist.Role",
            CredentialsRejected,
            "ALIBABA_CLOUD_ROLE_ARN",
        ),
        (
            400,
            "Throttling.User",
            ServiceUnavailable,
            "ever more rarely",
        ),
        (429, "Throttling", ServiceUnavailable, "ever more rarely"),
        (403, "NoPermission", CredentialsRejected, "trust policy"),
        (
            400,
            "InvalidParameter.RoleArn",
            CredentialsRejected,
            "ALIBABA_CLOUD_ROLE_ARN",
        ),
        (
            503,
            "ServiceUnavailable",
            ServiceUnavailable,
            "words of STS",
        ),
        (500, "InternalError", ServiceUnavailable, "words of STS"),
        (400, "NobodyKnows", CredentialsRejected, "words of STS"),
        (429, "NobodyKnows", ServiceUnavailable, "words of STS"),
        (502, "NobodyKnows", ServiceUnavailable, "words of STS"),
    ] {
        let failure = refused(status, code);
        assert_eq!(failure.class, class, "{code}");
        assert!(
            failure
                .message
                .starts_with(&format!("STS answers {code}: ")),
            "{failure}"
        );
        assert!(failure.message.contains(words), "{code}: {failure}");
        // Our own words name nothing in a way that hides the next one.
        assert!(!failure.message.contains("[redacted]"), "{code}: {failure}");
        assert!(!failure.message.ends_with('…'), "cut: {failure}");
        // Of the call that was to be signed.
        assert_eq!(
            (failure.delivery, failure.status),
            (Delivery::NeverSent, None)
        );
        assert_eq!((failure.code, failure.request_id), (None, None));
    }
}

#[test]
fn what_is_no_answer_of_sts_is_an_outage() {
    for (status, body) in [
        (200, ""),
        (200, "<html>Welcome</html>"),
        (200, r#"{"RequestId": "r"}"#),
        (
            200,
            r#"{"RequestId": "r", "Credentials": {"AccessKeyId": "STS.a"}}"#,
        ),
        (
            200,
            r#"{"Credentials": {"AccessKeyId": "STS.a", "AccessKeySecret": "s", "SecurityToken": "t", "Expiration": "2026-01-02T03:04:05Z"}}"#,
        ),
        (
            200,
            r#"{"RequestId": "r", "Credentials": {"AccessKeyId": "STS.a", "AccessKeySecret": "s", "SecurityToken": "t", "Expiration": "soon"}}"#,
        ),
        (
            200,
            r#"{"RequestId": "r", "Credentials": {"AccessKeyId": "STS.a", "AccessKeySecret": "s s", "SecurityToken": "t", "Expiration": "2026-01-02T03:04:05Z"}}"#,
        ),
        (302, ""),
        (404, "<html>not here</html>"),
        (502, "Bad Gateway"),
    ] {
        let failure = failure(status, body);
        assert_eq!(failure.class, Class::ServiceUnavailable, "{status} {body}");
        assert!(
            failure.message.starts_with("STS gives no credentials: "),
            "{failure}"
        );
    }
}

#[test]
fn the_token_is_not_repeated() {
    let failure = failure(
        400,
        r#"{"Code": "the-token", "Message": "bad token: the-token", "RequestId": "the-token"}"#,
    );
    assert!(!format!("{failure:?}").contains("the-token"), "{failure:?}");
}

#[test]
fn nothing_is_shown_of_what_is_held() {
    let answer = r#"{"Credentials": {"AccessKeyId": "STS.a", "AccessKeySecret": "hush", "SecurityToken": "hush", "Expiration": "2026-01-02T03:04:05Z"}}"#;
    let object = serde_json::from_str(answer).unwrap();
    let (credentials, expires) = assumed(&object).unwrap();
    assert_eq!(credentials.key_id(), "STS.a");
    assert_eq!(expires.to_string(), "2026-01-02T03:04:05Z");
    assert!(!format!("{credentials:?}").contains("hush"));
}

/// What is sent is what is hidden, to the letter: a file that was made by hand ends in a newline, which STS would not repeat.
#[tokio::test]
async fn a_token_file_may_end_in_a_newline() {
    // Fails where another test has installed it, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "the-token\n").unwrap();
    let source = OidcSource {
        role: OidcRole {
            role_arn: "acs:ram::1:role/r".to_owned(),
            provider_arn: "acs:ram::1:oidc-provider/p".to_owned(),
            token_file: file.path().to_owned(),
            session_name: "s".to_owned(),
        },
        endpoint: Endpoint::parse("http://127.0.0.1:9", true).unwrap(),
        http: reqwest::Client::builder().no_proxy().build().unwrap(),
        deadline: Duration::from_secs(10),
    };
    assert_eq!(source.token().await.unwrap().expose_secret(), "the-token");
}
