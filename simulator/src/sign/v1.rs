//! Signature V1 (dossier 5): HMAC-SHA1 over the parameters.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

use super::{Params, canonical, encode};

/// What is signed (dossier 5.1, steps 3 and 4).
pub fn string_to_sign(method: &str, params: &Params) -> String {
    let canonical = canonical(params.iter().filter(|(name, _)| *name != "Signature"));
    format!("{method}&%2F&{}", encode(&canonical))
}

/// Whether the signature is the one that the secret makes (dossier 5.1, step 5).
pub fn verify(secret: &str, string_to_sign: &str, signature: &str) -> bool {
    let Ok(given) = STANDARD.decode(signature) else {
        return false;
    };
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(format!("{secret}&").as_bytes()) else {
        return false;
    };
    mac.update(string_to_sign.as_bytes());
    mac.verify_slice(&given).is_ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::super::merge;
    use super::*;

    const SHARED: &str = "Format=JSON&Version=2016-11-01&AccessKeyId=testid&SignatureMethod=HMAC-SHA1\
        &SignatureVersion=1.0&Timestamp=2026-01-02T03%3A04%3A05Z";

    /// A vector: name, method, raw parameters besides the shared ones, string to sign (None: not compared), signature.
    struct Vector {
        name: &'static str,
        method: &'static str,
        shared: bool,
        own: &'static [(&'static str, &'static str)],
        to_sign: &'static str,
        signature: &'static str,
    }

    const VECTORS: &[Vector] = &[
        Vector {
            name: "V1-0",
            method: "GET",
            shared: false,
            own: &[
                ("Action", "DescribeRegions"),
                ("Format", "XML"),
                ("Version", "2014-05-26"),
                ("SignatureMethod", "HMAC-SHA1"),
                ("SignatureVersion", "1.0"),
                ("SignatureNonce", "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf"),
                ("Timestamp", "2016-02-23T12:46:24Z"),
                ("AccessKeyId", "testid"),
            ],
            to_sign: "GET&%2F&AccessKeyId%3Dtestid%26Action%3DDescribeRegions%26Format%3DXML%26SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3D3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf%26SignatureVersion%3D1.0%26Timestamp%3D2016-02-23T12%253A46%253A24Z%26Version%3D2014-05-26",
            signature: "OLeaidS1JvxuMvnyHOwuJ+uX5qY=",
        },
        Vector {
            name: "V1-A",
            method: "POST",
            shared: true,
            own: &[
                ("Action", "StopLiveMPUTask"),
                ("AppId", "app-01"),
                ("TaskId", "task_01-A"),
                ("SignatureNonce", "0f72851f5dc119799b2c450040316c3e"),
            ],
            to_sign: "POST&%2F&AccessKeyId%3Dtestid%26Action%3DStopLiveMPUTask%26AppId%3Dapp-01%26Format%3DJSON%26SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3D0f72851f5dc119799b2c450040316c3e%26SignatureVersion%3D1.0%26TaskId%3Dtask_01-A%26Timestamp%3D2026-01-02T03%253A04%253A05Z%26Version%3D2016-11-01",
            signature: "W/M3GULTxVTs1iKKeOdULyYYvBg=",
        },
        Vector {
            name: "V1-B",
            method: "GET",
            shared: true,
            own: &[
                ("Action", "StopLiveMPUTask"),
                ("AppId", "app-01"),
                ("SignatureNonce", "nonce-0002"),
                ("TaskId", "a b+c*d~e/f=g&h%i'j(k)!"),
                ("SecurityToken", "CAIS+abc/def==&x"),
            ],
            to_sign: "GET&%2F&AccessKeyId%3Dtestid%26Action%3DStopLiveMPUTask%26AppId%3Dapp-01%26Format%3DJSON%26SecurityToken%3DCAIS%252Babc%252Fdef%253D%253D%2526x%26SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3Dnonce-0002%26SignatureVersion%3D1.0%26TaskId%3Da%2520b%252Bc%252Ad~e%252Ff%253Dg%2526h%2525i%2527j%2528k%2529%2521%26Timestamp%3D2026-01-02T03%253A04%253A05Z%26Version%3D2016-11-01",
            signature: "3P3B34XLNNs9AOHwndL6RciN2rc=",
        },
        Vector {
            name: "V1-C",
            method: "POST",
            shared: true,
            own: &[
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
            to_sign: "POST&%2F&AccessKeyId%3Dtestid%26Action%3DStartLiveMPUTask%26AppId%3Dapp-01%26ChannelId%3Dch-01%26Format%3DJSON%26MaxIdleTime%3D120%26MixMode%3D1%26MultiStreamURL%3D%255B%257B%2522URL%2522%253A%2522rtmp%253A%252F%252Fpush.example.com%252Flive%252Fs1%253Fauth_key%253D1-2-3%252A~%2522%252C%2522IsAliCdn%2522%253Atrue%257D%255D%26Region%3DAP-Singapore%26SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3Dnonce-0003%26SignatureVersion%3D1.0%26TaskId%3Dtask_01-A%26Timestamp%3D2026-01-02T03%253A04%253A05Z%26TranscodeParams%3D%257B%2522EncodeParams%2522%253A%257B%2522AudioOnly%2522%253A%2522false%2522%252C%2522VideoWidth%2522%253A%25221280%2522%257D%252C%2522Layout%2522%253A%257B%2522UserPanes%2522%253A%255B%257B%2522X%2522%253A%25220.5%2522%252C%2522UserInfo%2522%253A%257B%2522UserId%2522%253A%2522%25E4%25B8%25BB%25E6%2592%25AD%25201%2522%257D%257D%255D%257D%257D%26Version%3D2016-11-01",
            signature: "vQYc8SqC70drvF2rPi0v4CJ8gGI=",
        },
        Vector {
            name: "V1-D",
            method: "POST",
            shared: true,
            own: &[
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
            to_sign: "POST&%2F&AccessKeyId%3Dtestid%26Action%3DStartLiveMPUTask%26AppId%3Dapp-01%26ChannelId%3Dch-01%26Format%3DJSON%26MixMode%3D0%26SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3Dnonce-0004%26SignatureVersion%3D1.0%26SingleSubParams%3D%257B%2522UserId%2522%253A%2522u%25201%2522%252C%2522StreamType%2522%253A%25220%2522%257D%26StreamURL%3Drtmp%253A%252F%252Fpush.example.com%252Flive%252Fs1%253Fauth_key%253D1-2-3%26TaskId%3Dtask_01-A%26Timestamp%3D2026-01-02T03%253A04%253A05Z%26Version%3D2016-11-01",
            signature: "x6esWZ8YyoISCWkOMu86f5XHu5M=",
        },
        Vector {
            name: "V1-E",
            method: "POST",
            shared: true,
            own: &[
                ("Action", "StopLiveMPUTask"),
                ("AppId", "app-01"),
                ("TaskId", "task_01-A"),
                ("SignatureNonce", "nonce-0005"),
                ("RegionId", "ap-southeast-1"),
                ("SignatureType", ""),
            ],
            to_sign: "POST&%2F&AccessKeyId%3Dtestid%26Action%3DStopLiveMPUTask%26AppId%3Dapp-01%26Format%3DJSON%26RegionId%3Dap-southeast-1%26SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3Dnonce-0005%26SignatureType%3D%26SignatureVersion%3D1.0%26TaskId%3Dtask_01-A%26Timestamp%3D2026-01-02T03%253A04%253A05Z%26Version%3D2016-11-01",
            signature: "54OWyZt+T0cirKv8LBJuf0HjgRA=",
        },
    ];

    fn params_of(vector: &Vector) -> Params {
        let mut params = Params::new();
        if vector.shared {
            assert!(merge(&mut params, SHARED));
        }
        params.extend(
            vector
                .own
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        params
    }

    #[test]
    fn the_vectors_of_the_dossier() {
        for vector in VECTORS {
            let mut params = params_of(vector);
            params.insert("Signature".to_owned(), "is not part of it".to_owned());
            let to_sign = string_to_sign(vector.method, &params);
            assert_eq!(to_sign, vector.to_sign, "{}", vector.name);
            assert!(
                verify("testsecret", &to_sign, vector.signature),
                "{}",
                vector.name
            );
            assert!(
                !verify("testsecret2", &to_sign, vector.signature),
                "{}",
                vector.name
            );
            assert!(
                !verify("testsecret", &format!("{to_sign}0"), vector.signature),
                "{}",
                vector.name
            );
        }
    }
}
