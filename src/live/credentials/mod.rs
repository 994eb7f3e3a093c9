//! What requests are signed with. Secrets are `secrecy` types from the moment they are read, and no `Debug` shows them.

mod provider;

use std::fmt;

use secrecy::SecretString;

pub use provider::Provider;

const KEY_ID: &str = "ALIBABA_CLOUD_ACCESS_KEY_ID";
const KEY_SECRET: &str = "ALIBABA_CLOUD_ACCESS_KEY_SECRET";
const TOKEN: &str = "ALIBABA_CLOUD_SECURITY_TOKEN";

/// An access key, or the triple of a temporary one.
#[derive(Clone)]
pub struct Credentials {
    key_id: String,
    key_secret: SecretString,
    token: Option<SecretString>,
}

/// Credentials that are given by half or cannot be right. Names the variable, never its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// One of the pair is missing.
    #[error("{given} is set but {missing} is not: set both, or neither")]
    Half {
        /// The variable that is set.
        given: &'static str,
        /// The variable that is not.
        missing: &'static str,
    },
    /// A value that no key has.
    #[error("{variable} is {problem}: set it to the value exactly as the vendor shows it")]
    Value {
        /// The variable.
        variable: &'static str,
        /// What is wrong with its value.
        problem: &'static str,
    },
}

impl Credentials {
    /// An access key, with its token when it is a temporary one.
    #[must_use]
    pub fn new(
        key_id: impl Into<String>,
        key_secret: SecretString,
        token: Option<SecretString>,
    ) -> Self {
        Self {
            key_id: key_id.into(),
            key_secret,
            token,
        }
    }

    /// Reads the vendor's own variables (dossier 9.1) by `lookup`, which gives a variable's value or nothing. `Ok(None)` when none of them is set.
    ///
    /// # Errors
    /// When they are given by half, or a value is empty or has blanks or characters that no key has.
    pub fn from_environment(
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, CredentialsError> {
        let id = checked(KEY_ID, lookup(KEY_ID))?;
        let secret = checked(KEY_SECRET, lookup(KEY_SECRET))?.map(SecretString::from);
        let token = checked(TOKEN, lookup(TOKEN))?.map(SecretString::from);
        match (id, secret) {
            (Some(id), Some(secret)) => Ok(Some(Self::new(id, secret, token))),
            (Some(_), None) => Err(CredentialsError::Half {
                given: KEY_ID,
                missing: KEY_SECRET,
            }),
            (None, Some(_)) => Err(CredentialsError::Half {
                given: KEY_SECRET,
                missing: KEY_ID,
            }),
            (None, None) if token.is_some() => Err(CredentialsError::Half {
                given: TOKEN,
                missing: KEY_ID,
            }),
            (None, None) => Ok(None),
        }
    }

    /// The key's id. Not a secret, though nobody's business either.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The key's secret.
    #[must_use]
    pub const fn key_secret(&self) -> &SecretString {
        &self.key_secret
    }

    /// The token of a temporary key.
    #[must_use]
    pub const fn token(&self) -> Option<&SecretString> {
        self.token.as_ref()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("temporary", &self.token.is_some())
            .finish_non_exhaustive()
    }
}

fn checked(
    variable: &'static str,
    value: Option<String>,
) -> Result<Option<String>, CredentialsError> {
    let Some(value) = value else { return Ok(None) };
    let problem = if value.is_empty() {
        "empty"
    } else if value.chars().any(char::is_whitespace) {
        "given with a blank or a line break in it"
    } else if !value.chars().all(|c| c.is_ascii_graphic()) {
        "given with a character in it that no key has"
    } else {
        return Ok(Some(value));
    };
    Err(CredentialsError::Value { variable, problem })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use secrecy::ExposeSecret as _;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Credentials>, CredentialsError> {
        Credentials::from_environment(|name| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn what_is_set_is_taken() {
        assert!(read(&[]).unwrap().is_none());
        let pair = read(&[(KEY_ID, "testid"), (KEY_SECRET, "testsecret")])
            .unwrap()
            .unwrap();
        assert_eq!(
            (pair.key_id(), pair.key_secret().expose_secret()),
            ("testid", "testsecret")
        );
        assert!(pair.token().is_none());
        let triple = read(&[
            (KEY_ID, "STS.testid"),
            (KEY_SECRET, "testsecret"),
            (TOKEN, "CAIS+abc/def=="),
        ])
        .unwrap()
        .unwrap();
        assert_eq!(triple.token().unwrap().expose_secret(), "CAIS+abc/def==");
    }

    #[test]
    fn what_is_given_by_half_or_wrong_is_named() {
        for (variables, expected) in [
            (
                &[(KEY_ID, "a")][..],
                "ALIBABA_CLOUD_ACCESS_KEY_ID is set but ALIBABA_CLOUD_ACCESS_KEY_SECRET is not",
            ),
            (
                &[(KEY_ID, "a"), (TOKEN, "t")],
                "ALIBABA_CLOUD_ACCESS_KEY_ID is set but ALIBABA_CLOUD_ACCESS_KEY_SECRET is not",
            ),
            (
                &[(KEY_SECRET, "hush")],
                "ALIBABA_CLOUD_ACCESS_KEY_SECRET is set but ALIBABA_CLOUD_ACCESS_KEY_ID is not",
            ),
            (
                &[(TOKEN, "hush")],
                "ALIBABA_CLOUD_SECURITY_TOKEN is set but ALIBABA_CLOUD_ACCESS_KEY_ID is not",
            ),
            (
                &[(KEY_ID, ""), (KEY_SECRET, "hush")],
                "ALIBABA_CLOUD_ACCESS_KEY_ID is empty",
            ),
            (
                &[(KEY_ID, "a"), (KEY_SECRET, "")],
                "ALIBABA_CLOUD_ACCESS_KEY_SECRET is empty",
            ),
            (
                &[(KEY_ID, "a"), (KEY_SECRET, "hush\n")],
                "ALIBABA_CLOUD_ACCESS_KEY_SECRET is given with a blank",
            ),
            (
                &[(KEY_ID, "a"), (KEY_SECRET, "hush hush")],
                "ALIBABA_CLOUD_ACCESS_KEY_SECRET is given with a blank",
            ),
            (
                &[(KEY_ID, "a\u{7}"), (KEY_SECRET, "hush")],
                "ALIBABA_CLOUD_ACCESS_KEY_ID is given with a character",
            ),
            (
                &[(KEY_ID, "a"), (KEY_SECRET, "hush"), (TOKEN, "é")],
                "ALIBABA_CLOUD_SECURITY_TOKEN is given with a character",
            ),
        ] {
            let error = read(variables).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
            assert!(!format!("{error} {error:?}").contains("hush"), "{error}");
        }
    }

    #[test]
    fn nothing_is_shown() {
        let credentials = read(&[
            (KEY_ID, "testid"),
            (KEY_SECRET, "testsecret"),
            (TOKEN, "testtoken"),
        ])
        .unwrap()
        .unwrap();
        assert_eq!(
            format!("{credentials:?}"),
            "Credentials { temporary: true, .. }"
        );
    }
}
