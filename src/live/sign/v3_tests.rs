#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::live::sign::Parameters;

/// The hash of nothing, as the dossier gives it (6.1).
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A vector of dossier 6.2, by its parts.
struct Vector {
    name: &'static str,
    secret: &'static str,
    query: &'static [(&'static str, &'static str)],
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    payload: &'static str,
    /// The whole canonical request, where the dossier shows it.
    canonical: Option<&'static str>,
    hash: &'static str,
    signature: &'static str,
}

const VECTORS: [Vector; 4] = [
    Vector {
        name: "V3-0",
        secret: "YourAccessKeySecret",
        query: &[
            (
                "ImageId",
                "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd",
            ),
            ("RegionId", "cn-shanghai"),
        ],
        headers: &[
            ("host", "ecs.cn-shanghai.aliyuncs.com"),
            ("x-acs-action", "RunInstances"),
            ("x-acs-content-sha256", EMPTY),
            ("x-acs-date", "2023-10-26T10:22:32Z"),
            ("x-acs-signature-nonce", "3156853299f313e23d1673dc12e1703d"),
            ("x-acs-version", "2014-05-26"),
        ],
        body: "",
        payload: EMPTY,
        canonical: None,
        hash: "7ea06492da5221eba5297e897ce16e55f964061054b7695beedaac1145b1e259",
        signature: "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0",
    },
    Vector {
        name: "V3-A",
        secret: "testsecret",
        query: &[("AppId", "app-01"), ("TaskId", "task_01-A")],
        headers: &[
            ("host", "live.aliyuncs.com"),
            ("x-acs-action", "StopLiveMPUTask"),
            ("x-acs-content-sha256", EMPTY),
            ("x-acs-date", "2026-01-02T03:04:05Z"),
            ("x-acs-signature-nonce", "0f72851f5dc119799b2c450040316c3e"),
            ("x-acs-version", "2016-11-01"),
        ],
        body: "",
        payload: EMPTY,
        canonical: Some(CANONICAL_A),
        hash: "c2fa07e13b6d71d6dfa34b11eae7749de96090471f712b6e886b135c53af04c5",
        signature: "65abda1b6eea382c226f9f7740e9d0e683030d7fc67eca4c7084c32be77a918e",
    },
    Vector {
        name: "V3-B",
        secret: "testsecret",
        query: &START,
        headers: &[
            ("host", "live.aliyuncs.com"),
            ("x-acs-accesskey-id", "STS.testid"),
            ("x-acs-action", "StartLiveMPUTask"),
            ("x-acs-content-sha256", EMPTY),
            ("x-acs-date", "2026-01-02T03:04:05Z"),
            ("x-acs-security-token", "CAIS+abc/def==&x"),
            ("x-acs-signature-nonce", "nonce-0003"),
            ("x-acs-version", "2016-11-01"),
        ],
        body: "",
        payload: EMPTY,
        canonical: Some(CANONICAL_B),
        hash: "4a1ba66874631fea2d495b02dd5bac6232156c919f416283ca9881f85a87acd6",
        signature: "748ed8c6145287454d267252285efdd2dd6622a14cedb3bbdae961e29dafd0e1",
    },
    Vector {
        name: "V3-C",
        secret: "testsecret",
        query: &[],
        headers: &[
            ("content-type", "application/x-www-form-urlencoded"),
            ("host", "live.aliyuncs.com"),
            ("x-acs-action", "StopLiveMPUTask"),
            (
                "x-acs-content-sha256",
                "74e645a29d5da8795070de327b7aee5f3295eebddbaa49fb51d9668a7f3b78f5",
            ),
            ("x-acs-date", "2026-01-02T03:04:05Z"),
            ("x-acs-signature-nonce", "nonce-0006"),
            ("x-acs-version", "2016-11-01"),
        ],
        body: "AppId=app-01&TaskId=task_01-A",
        payload: "74e645a29d5da8795070de327b7aee5f3295eebddbaa49fb51d9668a7f3b78f5",
        canonical: None,
        hash: "dc538f07e4f6d287679248e7b6935661d2c80491ad341ce42731367b4a9d04c3",
        signature: "89002252a37966883d8adb54db9b209b0df8a7e7d9820fde0c8e9c1fbe87a6df",
    },
];

/// The parameters of V1-C and V3-B.
const START: [(&str, &str); 8] = [
    ("AppId", "app-01"),
    ("ChannelId", "ch-01"),
    ("TaskId", "task_01-A"),
    ("MixMode", "1"),
    ("MaxIdleTime", "120"),
    ("Region", "AP-Singapore"),
    (
        "TranscodeParams",
        r#"{"EncodeParams":{"AudioOnly":"false","VideoWidth":"1280"},"Layout":{"UserPanes":[{"X":"0.5","UserInfo":{"UserId":"主播 1"}}]}}"#,
    ),
    (
        "MultiStreamURL",
        r#"[{"URL":"rtmp://push.example.com/live/s1?auth_key=1-2-3*~","IsAliCdn":true}]"#,
    ),
];

fn credentials(key_id: &str, token: Option<&str>) -> Credentials {
    Credentials::new(
        key_id,
        SecretString::from("testsecret"),
        token.map(SecretString::from),
    )
}

fn then() -> Timestamp {
    "2026-01-02T03:04:05.999Z".parse().unwrap()
}

fn header<'a>(signed: &'a Signed, name: &str) -> Option<&'a str> {
    let mut found = signed.headers.iter().filter(|(known, _)| *known == name);
    let value = found.next().map(|(_, value)| value.as_str());
    assert!(found.next().is_none(), "{name} stands there twice");
    value
}

#[test]
fn every_published_vector_is_reproduced() {
    for vector in &VECTORS {
        let name = vector.name;
        let query = canonical_query(&vector.query.iter().copied().collect());
        let payload = payload_hash(vector.body.as_bytes());
        assert_eq!(payload, vector.payload, "{name}");
        let request = canonical_request("POST", &query, vector.headers, &payload);
        if let Some(canonical) = vector.canonical {
            assert_eq!(request, canonical, "{name}");
        }
        let text = string_to_sign(&request);
        assert_eq!(text, format!("ACS3-HMAC-SHA256\n{}", vector.hash), "{name}");
        let secret = SecretString::from(vector.secret);
        assert_eq!(signature(&text, &secret), vector.signature, "{name}");
    }
}

#[test]
fn a_whole_signed_stop_is_vector_a() {
    let signed = sign(
        "live.aliyuncs.com",
        "StopLiveMPUTask",
        &[("TaskId", "task_01-A"), ("AppId", "app-01")],
        &credentials("testid", None),
        "0f72851f5dc119799b2c450040316c3e",
        then(),
    );
    assert_eq!(signed.query, "AppId=app-01&TaskId=task_01-A");
    assert_eq!(signed.signature, VECTORS[1].signature);
    assert_eq!(
        header(&signed, "authorization").unwrap(),
        format!(
            "ACS3-HMAC-SHA256 Credential=testid,SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;\
             x-acs-version,Signature={}",
            VECTORS[1].signature
        )
    );
    assert_eq!(
        header(&signed, "x-acs-date").unwrap(),
        "2026-01-02T03:04:05Z"
    );
    assert_eq!(header(&signed, "x-acs-security-token"), None);
    assert_eq!(header(&signed, "x-acs-accesskey-id"), None);
}

#[test]
fn a_whole_signed_start_with_a_token_is_vector_b() {
    let signed = sign(
        "live.aliyuncs.com",
        "StartLiveMPUTask",
        &START,
        &credentials("STS.testid", Some("CAIS+abc/def==&x")),
        "nonce-0003",
        then(),
    );
    assert_eq!(signed.signature, VECTORS[2].signature);
    assert_eq!(
        header(&signed, "x-acs-security-token"),
        Some("CAIS+abc/def==&x")
    );
    let authorization = header(&signed, "authorization").unwrap();
    assert!(
        authorization.contains(";x-acs-security-token;"),
        "the token is signed: {authorization}"
    );
    let shown = format!("{signed:?}");
    assert_eq!(shown, "Signed { .. }");
}

proptest! {
    /// Whatever a value is, it stays a value: it changes neither host nor path nor another parameter, and no header holds any of it.
    #[test]
    fn a_value_cannot_leave_its_place(app in any::<String>(), task in any::<String>()) {
        let business = [("AppId", app.as_str()), ("TaskId", task.as_str())];
        let signed = sign("live.aliyuncs.com", "StopLiveMPUTask", &business, &credentials("testid", None), "n", then());
        let empty = sign("live.aliyuncs.com", "StopLiveMPUTask", &[], &credentials("testid", None), "n", then());

        let url = reqwest::Url::parse(&format!("https://live.aliyuncs.com/?{}", signed.query)).unwrap();
        prop_assert_eq!(url.host_str(), Some("live.aliyuncs.com"));
        prop_assert_eq!(url.path(), "/");
        prop_assert_eq!(url.fragment(), None);
        prop_assert_eq!(url.query(), Some(signed.query.as_str()));
        let decoded: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let expected: BTreeMap<String, String> = business.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        prop_assert_eq!(decoded, expected);
        for ((name, value), (other_name, other_value)) in signed.headers.iter().zip(&empty.headers) {
            prop_assert_eq!(name, other_name);
            prop_assert!(value == other_value || *name == "authorization");
        }
    }

    /// Each part of a request is signed: none can be changed on the way.
    #[test]
    fn every_part_counts(at in 0_usize..6, more in "[a-z0-9]{1,8}") {
        let signed = |changed: Option<usize>| {
            let part = |number: usize, text: &str| if changed == Some(number) { format!("{text}{more}") } else { text.to_owned() };
            let token = part(4, "token");
            let app = part(2, "app");
            let now = if changed == Some(5) { then() + std::time::Duration::from_secs(1) } else { then() };
            sign(&part(0, "h"), &part(1, "A"), &[("AppId", &app)], &credentials("id", Some(&token)), &part(3, "n"), now).signature
        };
        prop_assert_ne!(signed(None), signed(Some(at)));
    }
}

/// Both signatures take the same parameters to the same place.
#[test]
fn the_two_signatures_carry_the_same_parameters() {
    use crate::live::sign::Signature;

    let credentials = credentials("testid", Some("token"));
    let [first, third] = [Signature::V1, Signature::V3].map(|signature| {
        signature.sign(
            "h",
            "StartLiveMPUTask",
            &START,
            &credentials,
            "nonce",
            then(),
        )
    });
    let parameters: Parameters<'_> = START.iter().copied().collect();
    assert_eq!(third.query, canonical_query(&parameters));
    for pair in third.query.split('&') {
        assert!(first.query.split('&').any(|other| other == pair), "{pair}");
    }
    let named: Vec<&str> = first.headers.iter().map(|(name, _)| *name).collect();
    assert_eq!(named, ["x-acs-action", "x-acs-version"]);
}

const CANONICAL_A: &str = "POST
/
AppId=app-01&TaskId=task_01-A
host:live.aliyuncs.com
x-acs-action:StopLiveMPUTask
x-acs-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
x-acs-date:2026-01-02T03:04:05Z
x-acs-signature-nonce:0f72851f5dc119799b2c450040316c3e
x-acs-version:2016-11-01

host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const CANONICAL_B: &str = "POST
/
AppId=app-01&ChannelId=ch-01&MaxIdleTime=120&MixMode=1&MultiStreamURL=%5B%7B%22URL%22%3A%22rtmp%3A%2F%2Fpush.example.com%2Flive%2Fs1%3Fauth_key%3D1-2-3%2A~%22%2C%22IsAliCdn%22%3Atrue%7D%5D&Region=AP-Singapore&TaskId=task_01-A&TranscodeParams=%7B%22EncodeParams%22%3A%7B%22AudioOnly%22%3A%22false%22%2C%22VideoWidth%22%3A%221280%22%7D%2C%22Layout%22%3A%7B%22UserPanes%22%3A%5B%7B%22X%22%3A%220.5%22%2C%22UserInfo%22%3A%7B%22UserId%22%3A%22%E4%B8%BB%E6%92%AD%201%22%7D%7D%5D%7D%7D
host:live.aliyuncs.com
x-acs-accesskey-id:STS.testid
x-acs-action:StartLiveMPUTask
x-acs-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
x-acs-date:2026-01-02T03:04:05Z
x-acs-security-token:CAIS+abc/def==&x
x-acs-signature-nonce:nonce-0003
x-acs-version:2016-11-01

host;x-acs-accesskey-id;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-security-token;x-acs-signature-nonce;x-acs-version
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
