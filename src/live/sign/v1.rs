//! Signature V1: HMAC-SHA1 over the sorted, percent-encoded parameters (dossier 5.1).
//!
//! The query is built here in the very form that is signed, and sent so: the service rebuilds the same bytes whatever its decoder does to blanks.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use sha1::Sha1;

use crate::live::credentials::Credentials;

/// The API version of every action (dossier 0).
const VERSION: &str = "2016-11-01";

/// Parameters by name. In byte order of the raw names, as the signature wants them.
pub type Parameters<'a> = BTreeMap<&'a str, &'a str>;

/// A signed query, and the signature in it.
pub struct SignedQuery {
    /// The whole query as it must be sent, `Signature` last.
    pub query: String,
    /// The signature before it was percent-encoded, to be kept out of every message.
    pub signature: String,
}

/// Signs a POST of `action` with its own parameters `business`. A name of the protocol in `business` yields to the protocol's own value.
#[must_use]
pub fn sign(
    action: &str,
    business: &[(&str, &str)],
    credentials: &Credentials,
    nonce: &str,
    now: Timestamp,
) -> SignedQuery {
    let date = date(now);
    let mut parameters: Parameters<'_> = business.iter().copied().collect();
    parameters.extend([
        ("AccessKeyId", credentials.key_id()),
        ("Action", action),
        ("Format", "JSON"),
        ("SignatureMethod", "HMAC-SHA1"),
        ("SignatureNonce", nonce),
        ("SignatureVersion", "1.0"),
        ("Timestamp", date.as_str()),
        ("Version", VERSION),
    ]);
    parameters.remove("Signature");
    parameters.remove("SecurityToken");
    if let Some(token) = credentials.token() {
        parameters.insert("SecurityToken", token.expose_secret());
    }
    let mut query = canonical_query(&parameters);
    let signature = signature(&string_to_sign("POST", &query), credentials.key_secret());
    query.push_str("&Signature=");
    encode_into(&mut query, &signature);
    SignedQuery { query, signature }
}

/// The parameters as the service writes them down before it checks the signature.
#[must_use]
pub fn canonical_query(parameters: &Parameters<'_>) -> String {
    let mut query = String::new();
    for (name, value) in parameters {
        if !query.is_empty() {
            query.push('&');
        }
        encode_into(&mut query, name);
        query.push('=');
        encode_into(&mut query, value);
    }
    query
}

/// What the signature is made over; the path of this API is always `/`.
#[must_use]
pub fn string_to_sign(method: &str, canonical_query: &str) -> String {
    let mut text = format!("{method}&%2F&");
    encode_into(&mut text, canonical_query);
    text
}

/// The signature in Base64, not yet percent-encoded.
#[must_use]
pub fn signature(string_to_sign: &str, key_secret: &SecretString) -> String {
    let key = Zeroizing::new(format!("{}&", key_secret.expose_secret()));
    // HMAC takes keys of every length; the other arm cannot be reached, and an empty signature is one that the service refuses.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key.as_bytes()) else {
        return String::new();
    };
    mac.update(string_to_sign.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// `2026-01-02T03:04:05Z`: whole seconds, UTC.
fn date(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Keeps `A-Z a-z 0-9 - _ . ~`, writes every other byte as `%XX`.
fn encode_into(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
#[path = "v1_tests.rs"]
mod tests;
