//! What a request says of itself, by either signature: who sends it, what it asks for, when, and by which proof.

use crate::reply::{Format, Refusal};
use crate::sign::v3::{Authorization, Headers};
use crate::sign::{Params, v1, v3};

/// One request as it came.
#[derive(Debug)]
pub struct Request {
    /// HTTP method.
    pub method: String,
    /// Path without query.
    pub path: String,
    /// Query and form body; None where they cannot be decoded or name something twice.
    pub params: Option<Params>,
    /// The query alone, as far as it can be decoded.
    pub query: Params,
    /// By their names in lower case; the values of one that came several times are joined with commas.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
}

/// Which signature a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// In the parameters (dossier 5).
    V1,
    /// In the headers (dossier 6).
    V3,
}

/// What the common parameters, or headers, say. None is checked; what is missing is empty.
#[derive(Debug)]
pub struct Claim<'a> {
    /// Action.
    pub action: &'a str,
    /// API version.
    pub version: &'a str,
    /// Access key's id.
    pub key_id: &'a str,
    /// Nonce.
    pub nonce: &'a str,
    /// Date.
    pub date: &'a str,
    /// Token of a temporary key.
    pub token: &'a str,
}

impl Request {
    /// Which signature it carries. The vendor's clients send `x-acs-action` and `x-acs-version` with V1 too (dossier 6.3), so that these tell nothing.
    pub fn version(&self) -> Version {
        let is_v3 = ["authorization", "x-acs-content-sha256"]
            .iter()
            .any(|name| self.headers.contains_key(*name));
        if is_v3 { Version::V3 } else { Version::V1 }
    }

    /// The form in which it wants its answer: `Format` of V1, `Accept` of V3 (dossier 5.1, 6.1).
    pub fn format(&self) -> Format {
        match self.version() {
            Version::V1 => Format::of(self.params.as_ref().and_then(|params| params.get("Format"))),
            Version::V3 => Format::accepted(self.headers.get("accept")),
        }
    }

    /// What it says of itself.
    pub fn claim(&self) -> Claim<'_> {
        let header = |name| self.headers.get(name).map_or("", |value| value.trim());
        let param = |name| {
            let params = self.params.as_ref();
            params
                .and_then(|params| params.get(name))
                .map_or("", String::as_str)
        };
        match self.version() {
            Version::V1 => Claim {
                action: param("Action"),
                version: param("Version"),
                key_id: param("AccessKeyId"),
                nonce: param("SignatureNonce"),
                date: param("Timestamp"),
                token: param("SecurityToken"),
            },
            Version::V3 => Claim {
                action: header("x-acs-action"),
                version: header("x-acs-version"),
                key_id: self
                    .authorization()
                    .map_or("", |authorization| authorization.key_id),
                nonce: header("x-acs-signature-nonce"),
                date: header("x-acs-date"),
                token: header("x-acs-security-token"),
            },
        }
    }

    fn authorization(&self) -> Option<Authorization<'_>> {
        Authorization::parse(self.headers.get("authorization")?)
    }

    /// Checks that the proof is there and of a form that can be checked.
    pub fn check_form(&self) -> Result<(), Refusal> {
        match self.version() {
            Version::V1 => self.check_form_v1(),
            Version::V3 => self.check_form_v3(),
        }
    }

    fn check_form_v1(&self) -> Result<(), Refusal> {
        let param = |name: &str| {
            let params = self.params.as_ref();
            params
                .and_then(|params| params.get(name))
                .filter(|value| !value.is_empty())
        };
        for (name, expected) in [
            ("SignatureMethod", "HMAC-SHA1"),
            ("SignatureVersion", "1.0"),
        ] {
            let given = param(name).ok_or_else(|| Refusal::gateway_missing(name))?;
            if given != expected {
                let message =
                    format!("The specified parameter {name} is not valid: expected {expected}.");
                return Err(Refusal::new(400, "InvalidParameter", message));
            }
        }
        param("Signature")
            .map(drop)
            .ok_or_else(incomplete_signature)
    }

    fn check_form_v3(&self) -> Result<(), Refusal> {
        let hash = "x-acs-content-sha256";
        if self.headers.get(hash).is_none_or(String::is_empty) {
            return Err(Refusal::gateway_missing(hash));
        }
        self.authorization()
            .filter(|authorization| authorization.covers(&self.headers, !self.body.is_empty()))
            .map(drop)
            .ok_or_else(incomplete_signature)
    }

    /// Checks the signature against the key's secret. The refusal says what was expected, as the service's does: with everything that was signed.
    pub fn check_signature(&self, secret: &str) -> Result<(), Refusal> {
        match self.version() {
            Version::V1 => self.check_v1(secret),
            Version::V3 => self.check_v3(secret),
        }
    }

    fn check_v1(&self, secret: &str) -> Result<(), Refusal> {
        let none = Params::new();
        let params = self.params.as_ref().unwrap_or(&none);
        let to_sign = v1::string_to_sign(&self.method, params);
        let signature = params.get("Signature").map_or("", String::as_str);
        if v1::verify(secret, &to_sign, signature) {
            return Ok(());
        }
        // The vendor's older SDK takes what follows the first colon for the string to sign (dossier 6.3).
        Err(mismatch(format!(
            "Specified signature is not matched with our calculation. server string to sign is:{to_sign}"
        )))
    }

    fn check_v3(&self, secret: &str) -> Result<(), Refusal> {
        let Some(authorization) = self.authorization() else {
            return Err(incomplete_signature());
        };
        let (query, signed) = (&self.query, authorization.signed);
        let request = v3::canonical_request(&self.method, query, &self.headers, signed, &self.body);
        let to_sign = v3::string_to_sign(&request);
        let told_hash = self.headers.get("x-acs-content-sha256");
        let is_of_the_body = told_hash.is_some_and(|told| *told == v3::hash(&self.body));
        if is_of_the_body && v3::verify(secret, &to_sign, authorization.signature) {
            return Ok(());
        }
        Err(mismatch(format!(
            "Specified signature does not match our calculation. server StringToSign is [{to_sign}] server CanonicalRequest is [{request}]"
        )))
    }
}

fn mismatch(message: String) -> Refusal {
    Refusal::new(400, "SignatureDoesNotMatch", message)
}

fn incomplete_signature() -> Refusal {
    Refusal::new(
        400,
        "IncompleteSignature",
        "The request signature does not conform to the standards.",
    )
}
