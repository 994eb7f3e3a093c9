//! Signature V1: HMAC-SHA1 over the sorted, percent-encoded parameters (dossier 5.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use sha1::Sha1;

use super::{Operation, Parameters, Signed, VERSION, canonical_query, date, encode_into};
use crate::live::credentials::Credentials;

/// Signs a POST of `action` with its own parameters `business`. A name of the protocol in `business` yields to the protocol's own value.
#[must_use]
pub fn sign(
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
    sign_for(operation, business, credentials, nonce, now)
}

/// As [`sign`], for an action of another API, which has another version.
#[must_use]
pub fn sign_for(
    operation: Operation<'_>,
    business: &[(&str, &str)],
    credentials: &Credentials,
    nonce: &str,
    now: Timestamp,
) -> Signed {
    let date = date(now);
    let mut parameters: Parameters<'_> = business.iter().copied().collect();
    parameters.extend([
        ("AccessKeyId", credentials.key_id()),
        ("Action", operation.action),
        ("Format", "JSON"),
        ("SignatureMethod", "HMAC-SHA1"),
        ("SignatureNonce", nonce),
        ("SignatureVersion", "1.0"),
        ("Timestamp", date.as_str()),
        ("Version", operation.version),
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
    Signed {
        query,
        // Not signed; the vendor's clients say it twice (dossier 6.3).
        headers: vec![
            ("x-acs-action", operation.action.to_owned()),
            ("x-acs-version", operation.version.to_owned()),
        ],
        signature,
    }
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

#[cfg(test)]
#[path = "v1_tests.rs"]
mod tests;
