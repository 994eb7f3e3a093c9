//! What a Secret with an access key holds, or what is wrong with it. Names keys, never values.

use crate::live::Credentials;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fmt};

use super::SecretName;

/// The keys of such a Secret.
pub const KEY_ID: &str = "accessKeyId";
/// See [`KEY_ID`].
pub const KEY_SECRET: &str = "accessKeySecret";
/// See [`KEY_ID`]; only of a temporary key.
pub const TOKEN: &str = "securityToken";

/// Makes credentials of what was read.
///
/// # Errors
/// Says what is missing or wrong, and what to do.
pub fn credentials(
    secret: &SecretName,
    values: &BTreeMap<String, SecretSlice<u8>>,
) -> Result<Credentials, String> {
    let needed = |key: &'static str| {
        value(secret, values, key)?.ok_or_else(|| {
            format!(
                "Secret {secret} has no key {key}: add it, with a value as the vendor shows it."
            )
        })
    };
    let id = needed(KEY_ID)?;
    let key_secret = needed(KEY_SECRET)?;
    // Templates leave it empty for a key that is not temporary.
    let token = value(secret, values, TOKEN)?;
    Ok(Credentials::new(id.expose_secret(), key_secret, token))
}

/// A value without the blanks around it; none where that leaves nothing.
fn value(
    secret: &SecretName,
    values: &BTreeMap<String, SecretSlice<u8>>,
    key: &'static str,
) -> Result<Option<SecretString>, String> {
    let Some(bytes) = values.get(key) else {
        return Ok(None);
    };
    // Files often end with a newline.
    let bytes = bytes.expose_secret().trim_ascii();
    if !bytes.iter().all(u8::is_ascii_graphic) {
        return Err(format!(
            "Key {key} of Secret {secret} has a blank or another character in it that no key has: put the value there exactly as the vendor shows it."
        ));
    }
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    Ok((!text.is_empty()).then(|| SecretString::from(text)))
}

/// Tells credentials from others within this process, the same key id with another secret included. Shown nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Print([u8; 32]);

impl Print {
    /// Of these credentials.
    #[must_use]
    pub fn of(credentials: &Credentials) -> Self {
        let mut hash = Sha256::new();
        let token = credentials.token().map_or("", ExposeSecret::expose_secret);
        for part in [
            credentials.key_id(),
            credentials.key_secret().expose_secret(),
            token,
        ] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

impl fmt::Debug for Print {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Print")
    }
}

/// What a claim records for an account as long as only its key is known: a hash of the key's id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mark(String);

impl Mark {
    const PREFIX: &str = "unconfirmed-";

    /// Of a key id.
    #[must_use]
    pub fn of(key_id: &str) -> Self {
        let hash: [u8; 32] = Sha256::digest(key_id).into();
        let digits = hash[..8].iter().map(|byte| format!("{byte:02x}"));
        Self(Self::PREFIX.to_owned() + &digits.collect::<String>())
    }

    /// What a claim records, if it is such a mark.
    #[must_use]
    pub fn read(account: &str) -> Option<Self> {
        account
            .starts_with(Self::PREFIX)
            .then(|| Self(account.to_owned()))
    }

    /// As a claim records it in place of an account.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The hash alone, as a claim records it beside an account.
    #[must_use]
    pub fn digits(&self) -> &str {
        self.0.strip_prefix(Self::PREFIX).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;

    fn read(values: &[(&str, &str)]) -> Result<Credentials, String> {
        let secret = SecretName {
            namespace: "team-a".to_owned(),
            name: "live".to_owned(),
        };
        let values = values
            .iter()
            .map(|(key, value)| {
                (
                    (*key).to_owned(),
                    SecretSlice::from(value.as_bytes().to_vec()),
                )
            })
            .collect();
        credentials(&secret, &values)
    }

    #[test]
    fn what_is_there_is_taken_without_the_newline_of_a_file() {
        let pair = read(&[(KEY_ID, "id\n"), (KEY_SECRET, "hush\n"), (TOKEN, "")]).unwrap();
        assert_eq!(
            (pair.key_id(), pair.key_secret().expose_secret()),
            ("id", "hush")
        );
        assert!(pair.token().is_none());
        let triple = read(&[(KEY_ID, "STS.id"), (KEY_SECRET, "hush"), (TOKEN, "CAIS+/=")]).unwrap();
        assert_eq!(triple.token().unwrap().expose_secret(), "CAIS+/=");
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_by_its_key_and_never_shown() {
        for (values, says) in [
            (&[][..], "Secret team-a/live has no key accessKeyId"),
            (&[(KEY_ID, "")], "Secret team-a/live has no key accessKeyId"),
            (
                &[(KEY_SECRET, "hush")],
                "Secret team-a/live has no key accessKeyId",
            ),
            (
                &[(KEY_ID, "id")],
                "Secret team-a/live has no key accessKeySecret",
            ),
            (
                &[(KEY_ID, "id"), (KEY_SECRET, " \n")],
                "has no key accessKeySecret",
            ),
            (
                &[(KEY_ID, "i d"), (KEY_SECRET, "hush")],
                "Key accessKeyId of Secret team-a/live",
            ),
            (
                &[(KEY_ID, "id"), (KEY_SECRET, "hush\nhush")],
                "Key accessKeySecret of Secret",
            ),
            (
                &[(KEY_ID, "id"), (KEY_SECRET, "hush"), (TOKEN, "é")],
                "Key securityToken of Secret",
            ),
        ] {
            let error = read(values).unwrap_err();
            assert!(error.contains(says), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn credentials_are_told_apart_and_shown_nowhere() {
        let of = |id: &str, secret: &str, token: Option<&str>| {
            let token = token.map(SecretString::from);
            Print::of(&Credentials::new(id, SecretString::from(secret), token))
        };
        let first = of("id", "secret", None);
        assert_eq!(first, of("id", "secret", None));
        for other in [
            of("id", "other", None),
            of("ids", "ecret", None),
            of("id", "secret", Some("token")),
        ] {
            assert_ne!(first, other);
        }
        assert_eq!(format!("{first:?}"), "Print");
        let mark = Mark::of("LTAI5tExample");
        assert_eq!(Mark::read(mark.as_str()), Some(mark.clone()));
        assert_eq!(mark.as_str().len(), "unconfirmed-".len() + 16);
        assert_eq!(Mark::read("1234567890"), None);
    }
}
