//! What happens to a call before it reaches its action: common parameters, key, date, signature, nonce (dossier 5, 6, 7.1).

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::accounts::{Directory, KnownKey};
use crate::actions::Action;
use crate::claim::{Claim, Request, Version};
use crate::clock::Millis;
use crate::nonces::Nonces;
use crate::reply::Refusal;
use crate::sign::Params;
use crate::sts;

/// Tolerance of the date, either way.
const WINDOW: Millis = 15 * 60 * 1000;

/// What an authentication failure was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Violation {
    /// The signature does not fit.
    Signature,
    /// The nonce was used before.
    Nonce,
    /// The date is malformed or outside the window.
    Date,
}

/// Why a call does not get past the gateway.
#[derive(Debug)]
pub struct Rejection {
    /// The answer.
    pub refusal: Refusal,
    /// For the log.
    pub violation: Option<Violation>,
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            violation: None,
        }
    }
}

/// An authenticated call.
#[derive(Debug)]
pub struct Caller {
    /// The account's id.
    pub account: Arc<str>,
    /// The key's id; empty where the action asks for none.
    pub key_id: String,
    /// The action.
    pub action: Action,
}

/// Checks a request.
pub fn check(
    request: &Request,
    directory: &Directory,
    nonces: &mut Nonces,
    now: Millis,
) -> Result<Caller, Rejection> {
    if !matches!(request.method.as_str(), "GET" | "POST") {
        return Err(Refusal::new(
            400,
            "UnsupportedHTTPMethod",
            "The HTTP method is not supported.",
        )
        .into());
    }
    if request.path != "/" {
        return Err(Refusal::new(
            404,
            "InvalidApi.NotFound",
            "The specified API is not found.",
        )
        .into());
    }
    if request.params.is_none() {
        let message = "The parameters cannot be decoded, or one is given twice.";
        return Err(Refusal::new(400, "InvalidParameter", message).into());
    }
    let claim = request.claim();
    let given = |name: &str, value: &str| {
        if value.is_empty() {
            Err(Refusal::gateway_missing(name))
        } else {
            Ok(())
        }
    };
    given("Action", claim.action)?;
    let known = Action::of(claim.action);
    given("Version", claim.version)?;
    if claim.version != known.unwrap_or(Action::Stop).version() {
        return Err(Refusal::new(
            400,
            "InvalidVersion",
            "The specified parameter Version is not valid.",
        )
        .into());
    }
    let Some(action) = known else {
        let message = "The specified action is not found, please check your parameter.";
        return Err(Refusal::new(404, "InvalidAction.NotFound", message).into());
    };
    if action == Action::AssumeRole
        && let Some(params) = &request.params
    {
        return Ok(unsigned(action, params));
    }
    match request.version() {
        Version::V1 => given("AccessKeyId", claim.key_id)?,
        // There the id is a part of the signature's header.
        Version::V3 => {}
    }
    given("SignatureNonce", claim.nonce)?;
    given("Timestamp", claim.date)?;
    request.check_form()?;

    let known = known_key(directory, &claim, now)?;
    check_date(claim.date, now).map_err(|refusal| Rejection {
        refusal,
        violation: Some(Violation::Date),
    })?;
    request
        .check_signature(&known.key.secret)
        .map_err(|refusal| Rejection {
            refusal,
            violation: Some(Violation::Signature),
        })?;
    if !nonces.fresh(claim.key_id, claim.nonce, now) {
        let refusal = Refusal::new(
            400,
            "SignatureNonceUsed",
            "Specified signature nonce was used already.",
        );
        return Err(Rejection {
            refusal,
            violation: Some(Violation::Nonce),
        });
    }
    Ok(Caller {
        account: Arc::clone(&known.account),
        key_id: claim.key_id.to_owned(),
        action,
    })
}

/// Who calls an action that is not signed: the token in it stands for a signature (dossier 9.2).
fn unsigned(action: Action, params: &Params) -> Caller {
    Caller {
        account: sts::account_of(params).unwrap_or_default().into(),
        key_id: String::new(),
        action,
    }
}

fn known_key<'a>(
    directory: &'a Directory,
    claim: &Claim<'_>,
    now: Millis,
) -> Result<&'a KnownKey, Refusal> {
    let key_id = claim.key_id;
    let not_found = || {
        Refusal::new(
            404,
            "InvalidAccessKeyId.NotFound",
            "Specified access key is not found.",
        )
    };
    let known = directory.key(key_id).ok_or_else(not_found)?;
    if !known.key.enabled {
        return Err(Refusal::new(
            400,
            "InvalidAccessKeyId.Inactive",
            "Specified access key is disabled.",
        ));
    }
    let token = Some(claim.token).filter(|token| !token.is_empty());
    match (&known.key.token, token) {
        (None, None) => Ok(known),
        // A key id of a triple alone is not known (dossier 7.1).
        (Some(_), None) => Err(not_found()),
        (Some(expected), Some(given)) if expected == given => {
            if known.expired(now) {
                let message = "Specified SecurityToken is expired.";
                return Err(Refusal::new(400, "InvalidSecurityToken.Expired", message));
            }
            Ok(known)
        }
        (_, Some(given)) if directory.token_of_another(key_id, given) => {
            let message = "Specified SecurityToken mismatch with the AccessKey.";
            Err(Refusal::new(
                400,
                "InvalidSecurityToken.MismatchWithAccessKey",
                message,
            ))
        }
        (_, Some(_)) => Err(Refusal::new(
            400,
            "InvalidSecurityToken.Malformed",
            "Specified SecurityToken is malformed.",
        )),
    }
}

fn check_date(date: &str, now: Millis) -> Result<(), Refusal> {
    let shape = date.len() == 20 && date.as_bytes().get(10) == Some(&b'T') && date.ends_with('Z');
    let Some(at) = shape.then(|| date.parse::<Timestamp>().ok()).flatten() else {
        return Err(Refusal::new(
            400,
            "InvalidTimeStamp.Format",
            "Specified time stamp or date value is not well formatted.",
        ));
    };
    if at.as_millisecond().abs_diff(now) > WINDOW.unsigned_abs() {
        return Err(Refusal::new(
            400,
            "InvalidTimeStamp.Expired",
            "Specified time stamp or date value is expired.",
        ));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let now = "2026-01-02T03:04:05Z"
            .parse::<Timestamp>()
            .unwrap()
            .as_millisecond();
        for (date, expected) in [
            ("2026-01-02T03:04:05Z", None),
            ("2026-01-02T02:49:05Z", None),
            ("2026-01-02T03:19:05Z", None),
            ("2026-01-02T02:49:04Z", Some("InvalidTimeStamp.Expired")),
            ("2026-01-02T03:19:06Z", Some("InvalidTimeStamp.Expired")),
            ("2026-01-02 03:04:05Z", Some("InvalidTimeStamp.Format")),
            ("2026-01-02T03:04:05", Some("InvalidTimeStamp.Format")),
            ("2026-01-02T03:04:05.1Z", Some("InvalidTimeStamp.Format")),
            ("2026-13-02T03:04:05Z", Some("InvalidTimeStamp.Format")),
            ("1767323045", Some("InvalidTimeStamp.Format")),
        ] {
            assert_eq!(
                check_date(date, now)
                    .err()
                    .map(|refusal| refusal.code)
                    .as_deref(),
                expected,
                "{date}"
            );
        }
    }
}
