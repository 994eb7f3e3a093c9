#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A vector of dossier 5.2; key `testid`, secret `testsecret`.
struct Vector {
    name: &'static str,
    method: &'static str,
    /// Has the parameters that vectors A to E share.
    shared: bool,
    parameters: &'static [(&'static str, &'static str)],
    string_to_sign: &'static str,
    signature: &'static str,
}

const SHARED: [(&str, &str); 6] = [
    ("Format", "JSON"),
    ("Version", "2016-11-01"),
    ("AccessKeyId", "testid"),
    ("SignatureMethod", "HMAC-SHA1"),
    ("SignatureVersion", "1.0"),
    ("Timestamp", "2026-01-02T03:04:05Z"),
];

const VECTORS: [Vector; 6] = [
    Vector {
        name: "V1-0",
        method: "GET",
        shared: false,
        parameters: &[
            ("Action", "DescribeRegions"),
            ("Format", "XML"),
            ("Version", "2014-05-26"),
            ("SignatureMethod", "HMAC-SHA1"),
            ("SignatureVersion", "1.0"),
            ("SignatureNonce", "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf"),
            ("Timestamp", "2016-02-23T12:46:24Z"),
            ("AccessKeyId", "testid"),
        ],
        string_to_sign: "GET&%2F&AccessKeyId%3Dtestid%26Action%3DDescribeRegions%26Format%3DXML%26SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3D3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf%26SignatureVersion%3D1.0%26Timestamp%3D2016-02-23T12%253A46%253A24Z%26Version%3D2014-05-26",
        signature: "OLeaidS1JvxuMvnyHOwuJ+uX5qY=",
    },
    Vector {
        name: "V1-A",
        method: "POST",
        shared: true,
        parameters: &[
            ("Action", "StopLiveMPUTask"),
            ("AppId", "app-01"),
            ("TaskId", "task_01-A"),
            ("SignatureNonce", "0f72851f5dc119799b2c450040316c3e"),
        ],
        string_to_sign: "POST&%2F&AccessKeyId%3Dtestid%26Action%3DStopLiveMPUTask%26AppId%3Dapp-01%26Format%3DJSON%26SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3D0f72851f5dc119799b2c450040316c3e%26SignatureVersion%3D1.0%26TaskId%3Dtask_01-A%26Timestamp%3D2026-01-02T03%253A04%253A05Z%26Version%3D2016-11-01",
        signature: "W/M3GULTxVTs1iKKeOdULyYYvBg=",
    },
    Vector {
        name: "V1-B",
        method: "GET",
        shared: true,
        parameters: &[
            ("Action", "StopLiveMPUTask"),
            ("AppId", "app-01"),
            ("SignatureNonce", "nonce-0002"),
            ("TaskId", "a b+c*d~e/f=g&h%i'j(k)!"),
            ("SecurityToken", "CAIS+abc/def==&x"),
        ],
        string_to_sign: "GET&%2F&AccessKeyId%3Dtestid%26Action%3DStopLiveMPUTask%26AppId%3Dapp-01%26Format%3DJSON%26SecurityToken%3DCAIS%252Babc%252Fdef%253D%253D%2526x%26SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3Dnonce-0002%26SignatureVersion%3D1.0%26TaskId%3Da%2520b%252Bc%252Ad~e%252Ff%253Dg%2526h%2525i%2527j%2528k%2529%2521%26Timestamp%3D2026-01-02T03%253A04%253A05Z%26Version%3D2016-11-01",
        signature: "3P3B34XLNNs9AOHwndL6RciN2rc=",
    },
    Vector {
        name: "V1-C",
        method: "POST",
        shared: true,
        parameters: &[
            ("Action", "StartLiveMPUTask"),
            ("AppId", "app-01"),
            ("ChannelId", "ch-01"),
            ("TaskId", "task_01-A"),
            ("MixMode", "1"),
            ("MaxIdleTime", "120"),
            ("Region", "AP-Singapore"),
            ("SignatureNonce", "nonce-0003"),
            (
                "TranscodeParams",
                r#"{"EncodeParams":{"AudioOnly":"false","VideoWidth":"1280"},"Layout":{"UserPanes":[{"X":"0.5","UserInfo":{"UserId":"主播 1"}}]}}"#,
            ),
            (
                "MultiStreamURL",
                r#"[{"URL":"rtmp://push.example.com/live/s1?auth_key=1-2-3*~","IsAliCdn":true}]"#,
            ),
        ],
        string_to_sign: "POST&%2F&AccessKeyId%3Dtestid%26Action%3DStartLiveMPUTask%26AppId%3Dapp-01%26ChannelId%3Dch-01%26Format%3DJSON%26MaxIdleTime%3D120%26MixMode%3D1%26MultiStreamURL%3D%255B%257B%2522URL%2522%253A%2522rtmp%253A%252F%252Fpush.example.com%252Flive%252Fs1%253Fauth_key%253D1-2-3%252A~%2522%252C%2522IsAliCdn%2522%253Atrue%257D%255D%26Region%3DAP-Singapore%26SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3Dnonce-0003%26SignatureVersion%3D1.0%26TaskId%3Dtask_01-A%26Timestamp%3D2026-01-02T03%253A04%253A05Z%26TranscodeParams%3D%257B%2522EncodeParams%2522%253A%257B%2522AudioOnly%2522%253A%2522false%2522%252C%2522VideoWidth%2522%253A%25221280%2522%257D%252C%2522Layout%2522%253A%257B%2522UserPanes%2522%253A%255B%257B%2522X%2522%253A%25220.5%2522%252C%2522UserInfo%2522%253A%257B%2522UserId%2522%253A%2522%25E4%25B8%25BB%25E6%2592%25AD%25201%2522%257D%257D%255D%257D%257D%26Version%3D2016-11-01",
        signature: "vQYc8SqC70drvF2rPi0v4CJ8gGI=",
    },
    Vector {
        name: "V1-D",
        method: "POST",
        shared: true,
        parameters: &[
            ("Action", "StartLiveMPUTask"),
            ("SignatureNonce", "nonce-0004"),
            ("AppId", "app-01"),
            ("ChannelId", "ch-01"),
            ("TaskId", "task_01-A"),
            ("MixMode", "0"),
            (
                "StreamURL",
                "rtmp://push.example.com/live/s1?auth_key=1-2-3",
            ),
            ("SingleSubParams", r#"{"UserId":"u 1","StreamType":"0"}"#),
        ],
        string_to_sign: "POST&%2F&AccessKeyId%3Dtestid%26Action%3DStartLiveMPUTask%26AppId%3Dapp-01%26ChannelId%3Dch-01%26Format%3DJSON%26MixMode%3D0%26SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3Dnonce-0004%26SignatureVersion%3D1.0%26SingleSubParams%3D%257B%2522UserId%2522%253A%2522u%25201%2522%252C%2522StreamType%2522%253A%25220%2522%257D%26StreamURL%3Drtmp%253A%252F%252Fpush.example.com%252Flive%252Fs1%253Fauth_key%253D1-2-3%26TaskId%3Dtask_01-A%26Timestamp%3D2026-01-02T03%253A04%253A05Z%26Version%3D2016-11-01",
        signature: "x6esWZ8YyoISCWkOMu86f5XHu5M=",
    },
    Vector {
        name: "V1-E",
        method: "POST",
        shared: true,
        parameters: &[
            ("Action", "StopLiveMPUTask"),
            ("AppId", "app-01"),
            ("TaskId", "task_01-A"),
            ("SignatureNonce", "nonce-0005"),
            ("RegionId", "ap-southeast-1"),
            ("SignatureType", ""),
        ],
        string_to_sign: "POST&%2F&AccessKeyId%3Dtestid%26Action%3DStopLiveMPUTask%26AppId%3Dapp-01%26Format%3DJSON%26RegionId%3Dap-southeast-1%26SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3Dnonce-0005%26SignatureType%3D%26SignatureVersion%3D1.0%26TaskId%3Dtask_01-A%26Timestamp%3D2026-01-02T03%253A04%253A05Z%26Version%3D2016-11-01",
        signature: "54OWyZt+T0cirKv8LBJuf0HjgRA=",
    },
];

fn credentials(token: Option<&str>) -> Credentials {
    Credentials::new(
        "testid",
        SecretString::from("testsecret"),
        token.map(SecretString::from),
    )
}

#[test]
fn every_published_vector_is_reproduced() {
    for vector in &VECTORS {
        let mut parameters: Parameters<'_> = vector.parameters.iter().copied().collect();
        if vector.shared {
            parameters.extend(SHARED);
        }
        let text = string_to_sign(vector.method, &canonical_query(&parameters));
        assert_eq!(text, vector.string_to_sign, "{}", vector.name);
        assert_eq!(
            signature(&text, &SecretString::from("testsecret")),
            vector.signature,
            "{}",
            vector.name
        );
    }
}

#[test]
fn the_canonical_query_of_the_vectors_with_reserved_characters() {
    let canonical = |name: &str| {
        let vector = VECTORS.iter().find(|vector| vector.name == name).unwrap();
        canonical_query(&vector.parameters.iter().copied().chain(SHARED).collect())
    };
    assert_eq!(canonical("V1-B"), CANONICAL_B);
    assert_eq!(canonical("V1-C"), CANONICAL_C);
}

#[test]
fn a_whole_signed_stop_is_vector_a() {
    let now: Timestamp = "2026-01-02T03:04:05.999Z".parse().unwrap();
    let business = [("AppId", "app-01"), ("TaskId", "task_01-A")];
    let signed = sign(
        "StopLiveMPUTask",
        &business,
        &credentials(None),
        "0f72851f5dc119799b2c450040316c3e",
        now,
    );
    assert_eq!(signed.signature, "W/M3GULTxVTs1iKKeOdULyYYvBg=");
    assert!(
        signed
            .query
            .ends_with("&Version=2016-11-01&Signature=W%2FM3GULTxVTs1iKKeOdULyYYvBg%3D"),
        "{}",
        signed.query
    );
}

proptest! {
    /// Whatever a value is, it stays a value: it changes neither host nor path nor action nor another parameter, and URL parsers leave the bytes
    /// as they were signed.
    #[test]
    fn a_value_cannot_leave_its_place(app in any::<String>(), task in any::<String>(), token in proptest::option::of("\\PC{1,20}"), nonce in any::<String>()) {
        let credentials = credentials(token.as_deref());
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let signed = sign("StopLiveMPUTask", &[("AppId", &app), ("TaskId", &task)], &credentials, &nonce, now);

        let url = reqwest::Url::parse(&format!("https://live.aliyuncs.com/?{}", signed.query)).unwrap();
        prop_assert_eq!(url.host_str(), Some("live.aliyuncs.com"));
        prop_assert_eq!(url.path(), "/");
        prop_assert_eq!(url.fragment(), None);
        prop_assert_eq!(url.query(), Some(signed.query.as_str()));

        let decoded: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let mut expected: BTreeMap<String, String> = SHARED.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let others = [("Action", "StopLiveMPUTask"), ("AppId", &app), ("TaskId", &task), ("SignatureNonce", &nonce), ("Signature", &signed.signature)];
        expected.extend(others.map(|(k, v)| (k.to_owned(), v.to_owned())));
        expected.extend(token.map(|token| ("SecurityToken".to_owned(), token)));
        prop_assert_eq!(url.query_pairs().count(), expected.len());
        prop_assert_eq!(decoded, expected);
    }

    /// A name of the protocol among an action's own parameters cannot take its place.
    #[test]
    fn the_protocol_has_the_last_word(name in "Action|Version|AccessKeyId|SignatureNonce|Timestamp|Format|Signature|SecurityToken", value in "\\PC*") {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let plain = sign("StopLiveMPUTask", &[], &credentials(None), "n", now);
        let nasty = sign("StopLiveMPUTask", &[(&name, &value)], &credentials(None), "n", now);
        prop_assert_eq!(plain.query, nasty.query);
    }
}

const CANONICAL_B: &str = "AccessKeyId=testid&Action=StopLiveMPUTask&AppId=app-01&Format=JSON&SecurityToken=CAIS%2Babc%2Fdef%3D%3D%26x&SignatureMethod=HMAC-SHA1&SignatureNonce=nonce-0002&SignatureVersion=1.0&TaskId=a%20b%2Bc%2Ad~e%2Ff%3Dg%26h%25i%27j%28k%29%21&Timestamp=2026-01-02T03%3A04%3A05Z&Version=2016-11-01";
const CANONICAL_C: &str = "AccessKeyId=testid&Action=StartLiveMPUTask&AppId=app-01&ChannelId=ch-01&Format=JSON&MaxIdleTime=120&MixMode=1&MultiStreamURL=%5B%7B%22URL%22%3A%22rtmp%3A%2F%2Fpush.example.com%2Flive%2Fs1%3Fauth_key%3D1-2-3%2A~%22%2C%22IsAliCdn%22%3Atrue%7D%5D&Region=AP-Singapore&SignatureMethod=HMAC-SHA1&SignatureNonce=nonce-0003&SignatureVersion=1.0&TaskId=task_01-A&Timestamp=2026-01-02T03%3A04%3A05Z&TranscodeParams=%7B%22EncodeParams%22%3A%7B%22AudioOnly%22%3A%22false%22%2C%22VideoWidth%22%3A%221280%22%7D%2C%22Layout%22%3A%7B%22UserPanes%22%3A%5B%7B%22X%22%3A%220.5%22%2C%22UserInfo%22%3A%7B%22UserId%22%3A%22%E4%B8%BB%E6%92%AD%201%22%7D%7D%5D%7D%7D&Version=2016-11-01";
