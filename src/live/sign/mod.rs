//! Signatures of requests: pure functions; time and nonce are arguments.
//!
//! The query is built here in the very form that is signed, and sent so: the service rebuilds the same bytes whatever its decoder does to blanks.

pub mod v1;
pub mod v3;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use jiff::Timestamp;

use super::credentials::Credentials;

/// The API version of every action (dossier 0).
const VERSION: &str = "2016-11-01";

/// Parameters by name. In byte order of the raw names, as the signatures want them.
pub type Parameters<'a> = BTreeMap<&'a str, &'a str>;

/// Which signature the requests carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Signature {
    /// HMAC-SHA1 over the parameters (dossier 5): the older one, which the service still takes.
    #[default]
    V1,
    /// ACS3-HMAC-SHA256 over the whole request (dossier 6): what the vendor's newer clients use.
    V3,
}

/// What a POST without a body has to carry.
pub struct Signed {
    /// The whole query as it must be sent.
    pub query: String,
    /// The headers that belong to the signature, beside those of HTTP itself. Their values are secrets or nobody's business.
    pub headers: Vec<(&'static str, String)>,
    /// The signature before it was encoded for its place, to be kept out of every message.
    pub signature: String,
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed").finish_non_exhaustive()
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Operation<'a> {
    /// The version of the API that has it.
    pub version: &'a str,
    /// Its name.
    pub action: &'a str,
}

impl Signature {
    /// Signs a POST of `action` with its own parameters `business` to `host` (with its port, where that is not the scheme's own).
    #[must_use]
    pub fn sign(
        self,
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
        self.sign_for(host, operation, business, credentials, nonce, now)
    }

    /// As [`Signature::sign`], for an action of another API, which has another version.
    #[must_use]
    pub fn sign_for(
        self,
        host: &str,
        operation: Operation<'_>,
        business: &[(&str, &str)],
        credentials: &Credentials,
        nonce: &str,
        now: Timestamp,
    ) -> Signed {
        match self {
            Self::V1 => v1::sign_for(operation, business, credentials, nonce, now),
            Self::V3 => v3::sign_for(host, operation, business, credentials, nonce, now),
        }
    }
}

/// The parameters as the service writes them down before it checks a signature.
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
