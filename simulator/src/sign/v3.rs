//! Signature V3 (dossier 6): ACS3-HMAC-SHA256 over method, path, query, headers and body.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::{Params, canonical};

/// The algorithm as the header `Authorization` names it.
const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// Headers by their names in lower case.
pub type Headers = BTreeMap<String, String>;

/// The header `Authorization`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization<'a> {
    /// The access key's id.
    pub key_id: &'a str,
    /// The names of the signed headers, as they stand there.
    pub signed: &'a str,
    /// The signature.
    pub signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// Takes the header apart. None where it is not of this algorithm, or lacks a part.
    pub fn parse(header: &'a str) -> Option<Self> {
        let parts = header.trim().strip_prefix(ALGORITHM)?.strip_prefix(' ')?;
        let part = |name: &str| {
            parts
                .split(',')
                .filter_map(|part| part.trim().split_once('='))
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value)
                .filter(|value| !value.is_empty())
        };
        Some(Self {
            key_id: part("Credential")?,
            signed: part("SignedHeaders")?,
            signature: part("Signature")?,
        })
    }

    /// Whether all that has to be signed is: the host, every `x-acs-` header that was sent, and the type of a body (dossier 6.1, step 3).
    pub fn covers(&self, headers: &Headers, has_body: bool) -> bool {
        let signs = |name: &str| self.signed.split(';').any(|signed| signed == name);
        signs("host")
            && headers
                .keys()
                .filter(|name| name.starts_with("x-acs-") || (has_body && *name == "content-type"))
                .all(|name| signs(name))
    }
}

/// The request in the form that is signed (dossier 6.1, steps 2 to 4). A signed header that was not sent counts as empty.
pub fn canonical_request(
    method: &str,
    query: &Params,
    headers: &Headers,
    signed: &str,
    body: &[u8],
) -> String {
    let mut names: Vec<&str> = signed.split(';').collect();
    names.sort_unstable();
    let mut lines = String::new();
    for name in names {
        let value = headers.get(name).map_or("", |value| value.trim());
        lines.extend([name, ":", value, "\n"]);
    }
    format!(
        "{method}\n/\n{}\n{lines}\n{signed}\n{}",
        canonical(query.iter()),
        hash(body)
    )
}

/// What is signed (dossier 6.1, step 5).
pub fn string_to_sign(canonical_request: &str) -> String {
    format!("{ALGORITHM}\n{}", hash(canonical_request.as_bytes()))
}

/// Whether the signature is the one that the secret makes (dossier 6.1, step 6). Upper-case digits are none of it.
pub fn verify(secret: &str, string_to_sign: &str, signature: &str) -> bool {
    let Some(given) = unhex(signature) else {
        return false;
    };
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return false;
    };
    mac.update(string_to_sign.as_bytes());
    mac.verify_slice(&given).is_ok()
}

/// SHA-256 in lower-case hexadecimal digits.
pub fn hash(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    let digest = Sha256::digest(bytes);
    let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(digit).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| Some(digit(pair[0])? * 16 + digit(pair[1])?))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::super::merge;
    use super::*;

    /// A vector of dossier 6.2; what the headers of most have in common is added.
    struct Vector {
        name: &'static str,
        secret: &'static str,
        query: &'static str,
        own: &'static [(&'static str, &'static str)],
        body: &'static str,
        hash: &'static str,
        signature: &'static str,
    }

    const SHARED: [(&str, &str); 3] = [
        ("host", "live.aliyuncs.com"),
        ("x-acs-date", "2026-01-02T03:04:05Z"),
        ("x-acs-version", "2016-11-01"),
    ];

    const VECTORS: &[Vector] = &[
        Vector {
            name: "V3-0",
            secret: "YourAccessKeySecret",
            query: "ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai",
            own: &[
                ("host", "ecs.cn-shanghai.aliyuncs.com"),
                ("x-acs-action", "RunInstances"),
                ("x-acs-date", "2023-10-26T10:22:32Z"),
                ("x-acs-signature-nonce", "3156853299f313e23d1673dc12e1703d"),
                ("x-acs-version", "2014-05-26"),
            ],
            body: "",
            hash: "7ea06492da5221eba5297e897ce16e55f964061054b7695beedaac1145b1e259",
            signature: "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0",
        },
        Vector {
            name: "V3-A",
            secret: "testsecret",
            query: "TaskId=task_01-A&AppId=app-01",
            own: &[
                ("x-acs-action", "StopLiveMPUTask"),
                ("x-acs-signature-nonce", "0f72851f5dc119799b2c450040316c3e"),
            ],
            body: "",
            hash: "c2fa07e13b6d71d6dfa34b11eae7749de96090471f712b6e886b135c53af04c5",
            signature: "65abda1b6eea382c226f9f7740e9d0e683030d7fc67eca4c7084c32be77a918e",
        },
        Vector {
            name: "V3-B",
            secret: "testsecret",
            // Blanks as the vendor's newer SDK sends them (dossier 6.3).
            query: "AppId=app-01&ChannelId=ch-01&MaxIdleTime=120&MixMode=1&MultiStreamURL=%5B%7B%22URL%22%3A%22rtmp%3A%2F%2Fpush.example.com%2Flive%2Fs1%3Fauth_key%3D1-2-3%2A~%22%2C%22IsAliCdn%22%3Atrue%7D%5D&Region=AP-Singapore&TaskId=task_01-A&TranscodeParams=%7B%22EncodeParams%22%3A%7B%22AudioOnly%22%3A%22false%22%2C%22VideoWidth%22%3A%221280%22%7D%2C%22Layout%22%3A%7B%22UserPanes%22%3A%5B%7B%22X%22%3A%220.5%22%2C%22UserInfo%22%3A%7B%22UserId%22%3A%22%E4%B8%BB%E6%92%AD+1%22%7D%7D%5D%7D%7D",
            own: &[
                ("x-acs-accesskey-id", "STS.testid"),
                ("x-acs-action", "StartLiveMPUTask"),
                ("x-acs-security-token", "CAIS+abc/def==&x"),
                ("x-acs-signature-nonce", "nonce-0003"),
            ],
            body: "",
            hash: "4a1ba66874631fea2d495b02dd5bac6232156c919f416283ca9881f85a87acd6",
            signature: "748ed8c6145287454d267252285efdd2dd6622a14cedb3bbdae961e29dafd0e1",
        },
        Vector {
            name: "V3-C",
            secret: "testsecret",
            query: "",
            own: &[
                ("content-type", "application/x-www-form-urlencoded"),
                ("x-acs-action", "StopLiveMPUTask"),
                ("x-acs-signature-nonce", "nonce-0006"),
            ],
            body: "AppId=app-01&TaskId=task_01-A",
            hash: "dc538f07e4f6d287679248e7b6935661d2c80491ad341ce42731367b4a9d04c3",
            signature: "89002252a37966883d8adb54db9b209b0df8a7e7d9820fde0c8e9c1fbe87a6df",
        },
    ];

    fn headers(vector: &Vector) -> Headers {
        SHARED
            .iter()
            .chain(vector.own)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .chain([(
                "x-acs-content-sha256".to_owned(),
                hash(vector.body.as_bytes()),
            )])
            .collect()
    }

    #[test]
    fn the_vectors_of_the_dossier() {
        for vector in VECTORS {
            let name = vector.name;
            let mut query = Params::new();
            assert!(merge(&mut query, vector.query));
            let headers = headers(vector);
            let signed: Vec<&str> = headers.keys().map(String::as_str).collect();
            let signed = signed.join(";");
            let body = vector.body.as_bytes();
            let request = canonical_request("POST", &query, &headers, &signed, body);
            let to_sign = string_to_sign(&request);
            assert_eq!(
                to_sign,
                format!("ACS3-HMAC-SHA256\n{}", vector.hash),
                "{name}"
            );
            assert!(verify(vector.secret, &to_sign, vector.signature), "{name}");
            assert!(!verify("another", &to_sign, vector.signature), "{name}");
            assert!(!verify(vector.secret, "x", vector.signature), "{name}");
            let upper = vector.signature.to_uppercase();
            assert!(!verify(vector.secret, &to_sign, &upper), "{name}");
        }
    }

    #[test]
    fn the_header_is_taken_apart() {
        let parsed = Authorization::parse(
            "ACS3-HMAC-SHA256 Credential=id,SignedHeaders=host;x-acs-date,Signature=00ff",
        );
        let parsed = parsed.unwrap();
        assert_eq!(
            (parsed.key_id, parsed.signed, parsed.signature),
            ("id", "host;x-acs-date", "00ff")
        );
        for bad in [
            "",
            "ACS3-HMAC-SHA256",
            "ACS3-HMAC-SHA256 Credential=id,SignedHeaders=host",
            "ACS3-HMAC-SHA256 Credential=,SignedHeaders=host,Signature=00",
            "ACS3-HMAC-SM3 Credential=id,SignedHeaders=host,Signature=00",
            "Basic aWQ6c2VjcmV0",
        ] {
            assert_eq!(Authorization::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_has_to_be_signed() {
        let sent: Headers = ["host", "content-type", "x-acs-date", "user-agent"]
            .into_iter()
            .map(|name| (name.to_owned(), "x".to_owned()))
            .collect();
        let covers = |signed, has_body| {
            Authorization {
                key_id: "id",
                signed,
                signature: "00",
            }
            .covers(&sent, has_body)
        };
        assert!(covers("host;x-acs-date", false));
        assert!(covers("content-type;host;x-acs-date", true));
        assert!(!covers("host;x-acs-date", true));
        assert!(!covers("host", false));
        assert!(!covers("x-acs-date", false));
    }
}
