//! Signature V3: ACS3-HMAC-SHA256 over method, path, query, headers and body (dossier 6.1).
//!
//! The business parameters stay in the query; action, version, date and nonce are headers. Only what must be signed is: a proxy may add or change
//! other headers.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::{Operation, Signed, VERSION, canonical_query, date};
use crate::live::credentials::Credentials;

const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// Signs a POST of `action` to `host` with its own parameters `business` in the query and an empty body. The request has to have exactly this `host`
/// in its header of that name.
#[must_use]
pub fn sign(
    host: &str,
    action: &str,
    business: &[(&str, &str)],
    credentials: &Credentials,
    nonce: &str,
    now: Timestamp,
) -> Signed {
    let operation = Operation {
        version: VERSION,
        action,
    };
    sign_for(host, operation, business, credentials, nonce, now)
}

/// As [`sign`], for an action of another API, which has another version.
#[must_use]
pub fn sign_for(
    host: &str,
    operation: Operation<'_>,
    business: &[(&str, &str)],
    credentials: &Credentials,
    nonce: &str,
    now: Timestamp,
) -> Signed {
    let query = canonical_query(&business.iter().copied().collect());
    let payload = payload_hash(b"");
    let mut headers = vec![
        ("x-acs-action", operation.action.to_owned()),
        ("x-acs-content-sha256", payload.clone()),
        ("x-acs-date", date(now)),
        ("x-acs-signature-nonce", nonce.to_owned()),
        ("x-acs-version", operation.version.to_owned()),
    ];
    if let Some(token) = credentials.token() {
        headers.push(("x-acs-accesskey-id", credentials.key_id().to_owned()));
        headers.push(("x-acs-security-token", token.expose_secret().to_owned()));
    }
    let mut to_sign: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    to_sign.push(("host", host));
    to_sign.sort_unstable();
    let request = canonical_request("POST", &query, &to_sign, &payload);
    let signature = signature(&string_to_sign(&request), credentials.key_secret());
    let authorization = format!(
        "{ALGORITHM} Credential={},SignedHeaders={},Signature={signature}",
        credentials.key_id(),
        names(&to_sign)
    );
    headers.push(("authorization", authorization));
    Signed {
        query,
        headers,
        signature,
    }
}

/// The request as the service writes it down before it checks the signature; the path of this API is always `/`. The names of `headers` are in lower
/// case and in byte order.
#[must_use]
pub fn canonical_request(
    method: &str,
    canonical_query: &str,
    headers: &[(&str, &str)],
    payload_hash: &str,
) -> String {
    let mut request = format!("{method}\n/\n{canonical_query}\n");
    for (name, value) in headers {
        // Writing to a String cannot fail.
        let _ = writeln!(request, "{name}:{}", value.trim());
    }
    let _ = write!(request, "\n{}\n{payload_hash}", names(headers));
    request
}

/// What the signature is made over.
#[must_use]
pub fn string_to_sign(canonical_request: &str) -> String {
    format!(
        "{ALGORITHM}\n{}",
        payload_hash(canonical_request.as_bytes())
    )
}

/// The signature in lower-case hexadecimal digits.
#[must_use]
pub fn signature(string_to_sign: &str, key_secret: &SecretString) -> String {
    // HMAC takes keys of every length; the other arm cannot be reached, and an empty signature is one that the service refuses.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key_secret.expose_secret().as_bytes()) else {
        return String::new();
    };
    mac.update(string_to_sign.as_bytes());
    hexadecimal(&mac.finalize().into_bytes())
}

/// SHA-256 in lower-case hexadecimal digits.
#[must_use]
pub fn payload_hash(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn names(headers: &[(&str, &str)]) -> String {
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    names.join(";")
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
#[path = "v3_tests.rs"]
mod tests;
