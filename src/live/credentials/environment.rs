//! Which credentials the environment asks for, by the vendor's own names (dossier 9.1).

use std::ops::RangeInclusive;
use std::path::PathBuf;

use secrecy::SecretString;

use super::Credentials;
use super::sts::OidcRole;
use crate::live::endpoint::{Endpoint, EndpointError};

const KEY_ID: &str = "ALIBABA_CLOUD_ACCESS_KEY_ID";
const KEY_SECRET: &str = "ALIBABA_CLOUD_ACCESS_KEY_SECRET";
const TOKEN: &str = "ALIBABA_CLOUD_SECURITY_TOKEN";
const ROLE_ARN: &str = "ALIBABA_CLOUD_ROLE_ARN";
const PROVIDER_ARN: &str = "ALIBABA_CLOUD_OIDC_PROVIDER_ARN";
const TOKEN_FILE: &str = "ALIBABA_CLOUD_OIDC_TOKEN_FILE";
const SESSION_NAME: &str = "ALIBABA_CLOUD_ROLE_SESSION_NAME";
const STS_ENDPOINT: &str = "ALIBABA_CLOUD_STS_ENDPOINT";
const ECS_METADATA: &str = "ALIBABA_CLOUD_ECS_METADATA";

/// Where STS is, unless the environment says otherwise (dossier 9.2).
const STS: &str = "https://sts.aliyuncs.com";

/// What a session is called unless the environment says otherwise.
const DEFAULT_SESSION: &str = "mixed-stream-operator";

/// Where the operator's own credentials come from.
#[derive(Debug, Clone)]
pub enum Origin {
    /// There are none.
    Nowhere,
    /// A key.
    Key(Credentials),
    /// A role, by the token that the cluster gives the pod (RRSA).
    Oidc(OidcRole),
    /// The RAM role of the machine, by name.
    EcsRole(String),
}

/// Credentials that are given by half or cannot be right. Names the variable, never its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// Some of those that belong together are missing.
    #[error("{given} is set but {missing} is not: set all that belong together, or none")]
    Half {
        /// The variable that is set.
        given: &'static str,
        /// The variable that is not.
        missing: &'static str,
    },
    /// A value that cannot be right.
    #[error("{variable} is {problem}: set it to the value exactly as the vendor shows it")]
    Value {
        /// The variable.
        variable: &'static str,
        /// What is wrong with its value.
        problem: &'static str,
    },
    /// An address of STS that cannot be used.
    #[error("{STS_ENDPOINT}: {0}")]
    Endpoint(EndpointError),
}

impl Origin {
    /// Reads the variables by `lookup`, which gives a variable's value or nothing. A key goes before RRSA, and that before the machine's role.
    ///
    /// # Errors
    /// When one of the three is given by half, or a value cannot be right.
    pub fn from_environment(
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, CredentialsError> {
        if let Some(key) = key(&lookup)? {
            return Ok(Self::Key(key));
        }
        if let Some(role) = oidc_role(&lookup)? {
            return Ok(Self::Oidc(role));
        }
        let role = named(ECS_METADATA, lookup(ECS_METADATA), 1..=64, "-_.")?;
        Ok(role.map_or(Self::Nowhere, Self::EcsRole))
    }
}

/// Where STS is; a bare host is reached by https.
///
/// # Errors
/// When the address cannot be used, or is plain HTTP without `allow_http`.
pub fn sts_endpoint(
    lookup: impl Fn(&str) -> Option<String>,
    allow_http: bool,
) -> Result<Endpoint, CredentialsError> {
    let text = match lookup(STS_ENDPOINT) {
        None => STS.to_owned(),
        Some(text) if text.contains("://") => text,
        Some(host) => format!("https://{host}"),
    };
    Endpoint::parse(&text, allow_http).map_err(CredentialsError::Endpoint)
}

fn key(lookup: &impl Fn(&str) -> Option<String>) -> Result<Option<Credentials>, CredentialsError> {
    let id = checked(KEY_ID, lookup(KEY_ID))?;
    let secret = checked(KEY_SECRET, lookup(KEY_SECRET))?.map(SecretString::from);
    let token = checked(TOKEN, lookup(TOKEN))?.map(SecretString::from);
    match (id, secret) {
        (Some(id), Some(secret)) => Ok(Some(Credentials::new(id, secret, token))),
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

fn oidc_role(
    lookup: &impl Fn(&str) -> Option<String>,
) -> Result<Option<OidcRole>, CredentialsError> {
    let role = checked(ROLE_ARN, lookup(ROLE_ARN))?;
    let provider = checked(PROVIDER_ARN, lookup(PROVIDER_ARN))?;
    let file = lookup(TOKEN_FILE);
    if file.as_deref() == Some("") {
        return Err(CredentialsError::Value {
            variable: TOKEN_FILE,
            problem: "empty",
        });
    }
    let values = [
        (ROLE_ARN, role.is_some()),
        (PROVIDER_ARN, provider.is_some()),
        (TOKEN_FILE, file.is_some()),
    ];
    let (Some(role_arn), Some(provider_arn), Some(file)) = (role, provider, file) else {
        let first = |wanted| {
            let mut found = values.iter().filter(|(_, is_set)| *is_set == wanted);
            found.next().map(|(name, _)| *name)
        };
        return match (first(true), first(false)) {
            (Some(given), Some(missing)) => Err(CredentialsError::Half { given, missing }),
            (Some(_) | None, None) | (None, Some(_)) => Ok(None),
        };
    };
    // These (dossier 9.2).
    let session_name = named(SESSION_NAME, lookup(SESSION_NAME), 2..=64, ".@-_")?;
    Ok(Some(OidcRole {
        role_arn,
        provider_arn,
        token_file: PathBuf::from(file),
        session_name: session_name.unwrap_or_else(|| DEFAULT_SESSION.to_owned()),
    }))
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
        "given with a character in it that does not belong there"
    } else {
        return Ok(Some(value));
    };
    Err(CredentialsError::Value { variable, problem })
}

/// A name of so many letters, digits and, but not to begin with, `others`.
fn named(
    variable: &'static str,
    value: Option<String>,
    lengths: RangeInclusive<usize>,
    others: &str,
) -> Result<Option<String>, CredentialsError> {
    let Some(name) = checked(variable, value)? else {
        return Ok(None);
    };
    let is_legal = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
    let problem = if !lengths.contains(&name.len()) {
        "too short or too long"
    } else if !name.chars().all(is_legal) || name.starts_with(|c| others.contains(c)) {
        "given with a character in it that does not belong there"
    } else {
        return Ok(Some(name));
    };
    Err(CredentialsError::Value { variable, problem })
}

#[cfg(test)]
#[path = "environment_tests.rs"]
mod tests;
