//! The security token service: what a role costs to ask for, and what its refusals mean for a person (dossier 9.2).

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use jiff::Timestamp;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use secrecy::{ExposeSecret as _, SecretString};

use super::Credentials;
use super::keeper::{Fetched, Source, SourceKind};
use crate::live::class::Class;
use crate::live::endpoint::Endpoint;
use crate::live::http::{self, Silence};
use crate::live::outcome::{Failure, judge_by};
use crate::live::redact;
use crate::live::reply::{Misshapen, Object};
use crate::live::sign::{Parameters, canonical_query};

/// The API version of STS (dossier 9.2).
pub(in crate::live) const VERSION: &str = "2015-04-01";

/// What a role's credentials are asked to live, in seconds: the service's default, which every role allows (dossier 9.2).
const DURATION_SECONDS: &str = "3600";

/// How long a token may be (dossier 9.2).
const TOKEN_LENGTH: std::ops::RangeInclusive<usize> = 4..=20_000;

/// The longest answer that is read.
const LONGEST_BODY: usize = 64 << 10;

/// A role that the cluster's own tokens may assume: RRSA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcRole {
    /// The role.
    pub role_arn: String,
    /// The cluster, as the account knows it.
    pub provider_arn: String,
    /// Where the pod's token is; read anew each time, since the kubelet replaces it.
    pub token_file: PathBuf,
    /// What the session is called in the account's records.
    pub session_name: String,
}

/// Asks STS for a role's credentials.
#[derive(Debug)]
pub(super) struct OidcSource {
    pub role: OidcRole,
    pub endpoint: Endpoint,
    pub http: reqwest::Client,
    pub deadline: Duration,
}

impl Source for OidcSource {
    fn kind(&self) -> SourceKind {
        SourceKind::Rrsa
    }

    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, Failure>> {
        self.assume().boxed()
    }
}

impl OidcSource {
    async fn assume(&self) -> Result<Fetched, Failure> {
        let token = self.token().await?;
        let token = token.expose_secret();
        let asked = Timestamp::now();
        let date = asked.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        // Unsigned, and with the token in the body: addresses end up in logs (dossier 9.2).
        let query = canonical_query(&Parameters::from([
            ("Action", "AssumeRoleWithOIDC"),
            ("Format", "JSON"),
            ("Timestamp", &date),
            ("Version", VERSION),
        ]));
        let form = canonical_query(&Parameters::from([
            ("DurationSeconds", DURATION_SECONDS),
            ("OIDCProviderArn", &self.role.provider_arn),
            ("OIDCToken", token),
            ("RoleArn", &self.role.role_arn),
            ("RoleSessionName", &self.role.session_name),
        ]));
        let request = self
            .http
            .post(format!("{}?{query}", self.endpoint.as_str()))
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        let answer = http::exchange(request, &self.endpoint, self.deadline, LONGEST_BODY)
            .await
            .map_err(|Silence { reason, .. }| {
                let told = redact::shown(&reason, &[token]);
                Failure::no_credentials(
                    Class::ServiceUnavailable,
                    format!("STS gives no credentials: {told}"),
                )
            })?;
        let date = answer.date;
        let meaning = |status, code: Option<&str>, _: &str, _| refusal(status, code).class;
        match judge_by(meaning, answer, &[token], &[], |_| false, assumed) {
            Ok(success) => {
                let (credentials, expires) = success.value;
                Ok(Fetched::new(credentials, expires, date, asked))
            }
            Err(failure) => Err(told(failure)),
        }
    }

    async fn token(&self) -> Result<SecretString, Failure> {
        let path = &self.role.token_file;
        let read = tokio::time::timeout(self.deadline, tokio::fs::read_to_string(path)).await;
        let problem = match read {
            Ok(Ok(token)) if TOKEN_LENGTH.contains(&token.len()) => {
                // A file that was made by hand ends in a newline. What is sent is what must not be repeated, to the letter.
                return Ok(SecretString::from(token.trim_ascii()));
            }
            Ok(Ok(token)) => format!("holds {} characters, which is no token", token.len()),
            Ok(Err(error)) => format!("cannot be read ({error})"),
            Err(_) => format!("cannot be read within {:?}", self.deadline),
        };
        Err(no_token(path, &problem))
    }
}

fn no_token(path: &Path, problem: &str) -> Failure {
    Failure::no_credentials(
        Class::CredentialsMissing,
        format!(
            "the file {} of ALIBABA_CLOUD_OIDC_TOKEN_FILE {problem}: mount a projected ServiceAccount token for the audience sts.aliyuncs.com there",
            path.display()
        ),
    )
}

/// The credentials in an answer of STS, and when they end.
fn assumed(answer: &Object) -> Result<(Credentials, Timestamp), Misshapen> {
    let credentials = answer
        .get("Credentials")
        .ok_or(Misshapen::new("it has no Credentials"))?;
    triple(credentials)
}

/// A triple with its end, as STS and the metadata server write it (dossier 9.2, 9.4).
pub(super) fn triple(object: &serde_json::Value) -> Result<(Credentials, Timestamp), Misshapen> {
    let text = |name: &str, missing| {
        object
            .get(name)
            .and_then(serde_json::Value::as_str)
            .filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()))
            .ok_or(Misshapen::new(missing))
    };
    let expires = text("Expiration", "it does not say when the credentials expire")?
        .parse()
        .map_err(|_| Misshapen::new("the end of the credentials is no time"))?;
    let credentials = Credentials::new(
        text("AccessKeyId", "it has no AccessKeyId")?,
        SecretString::from(text("AccessKeySecret", "it has no AccessKeySecret")?),
        Some(SecretString::from(text(
            "SecurityToken",
            "it has no SecurityToken",
        )?)),
    );
    Ok((credentials, expires))
}

/// What a refusal of STS means, and what a person does about it.
struct Refusal {
    class: Class,
    what_to_do: Option<&'static str>,
}

/// The table: the first line whose code is the answer's, or a prefix of it that ends before a dot, decides (dossier 9.2).
const REFUSALS: [(&str, Class, &str); 13] = [
    (
        "AuthenticationFail.OIDCToken.Expired",
        Class::CredentialsRejected,
        "the token in the file has expired: mount a projected ServiceAccount token there, which the kubelet renews",
    ),
    (
        "AuthenticationFail.OIDCToken.AudienceNotMatch",
        Class::CredentialsRejected,
        "the token is for another audience: give the projected ServiceAccount token the audience sts.aliyuncs.com",
    ),
    (
        "AuthenticationFail.OIDCToken.IssuerNotMatch",
        Class::CredentialsRejected,
        "the token is of another issuer than the OIDC provider: enable RRSA for this cluster, and recreate the pod if it is older than that",
    ),
    (
        "AuthenticationFail.OIDCToken.IssuerConfigurationBroken",
        Class::CredentialsRejected,
        "STS cannot read the cluster's issuer: enable RRSA for this cluster, and recreate the pod if it is older than that",
    ),
    (
        "AuthenticationFail.OIDCToken.PublicKeyFingerprintMismatch",
        Class::CredentialsRejected,
        "the OIDC provider has outdated fingerprints: update them in RAM",
    ),
    (
        "AuthenticationFail.OIDCToken",
        Class::CredentialsRejected,
        "the file holds no valid token; mount a projected ServiceAccount token for the audience sts.aliyuncs.com there",
    ),
    (
        "AuthenticationFail.NoPermission",
        Class::CredentialsRejected,
        "the role does not trust this ServiceAccount: let its trust policy name the OIDC provider of ALIBABA_CLOUD_OIDC_PROVIDER_ARN and \
         system:serviceaccount:<namespace>:<name> as oidc:sub",
    ),
    (
        "EntityNotExist.Role",
        Class::CredentialsRejected,
        "there is no such role: correct ALIBABA_CLOUD_ROLE_ARN, or create the role",
    ),
    (
        "Throttling",
        Class::ServiceUnavailable,
        "STS is asked too often from this account; it is asked again, ever more rarely",
    ),
    ("ServiceUnavailable", Class::ServiceUnavailable, ""),
    ("InternalError", Class::ServiceUnavailable, ""),
    (
        "NoPermission",
        Class::CredentialsRejected,
        "the role may not be assumed: correct its trust policy",
    ),
    (
        "InvalidParameter",
        Class::CredentialsRejected,
        "correct what ALIBABA_CLOUD_ROLE_ARN, _OIDC_PROVIDER_ARN and _ROLE_SESSION_NAME say",
    ),
];

fn refusal(status: u16, code: Option<&str>) -> Refusal {
    let code = code.unwrap_or_default();
    let is_of = |family: &str| {
        code.strip_prefix(family)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    if let Some((_, class, what_to_do)) = REFUSALS.iter().find(|(family, ..)| is_of(family)) {
        return Refusal {
            class: *class,
            what_to_do: Some(*what_to_do).filter(|words| !words.is_empty()),
        };
    }
    // Where there is no code it is not STS that answers.
    let is_refusal =
        (400..=499).contains(&status) && ![408, 429].contains(&status) && !code.is_empty();
    Refusal {
        class: if is_refusal {
            Class::CredentialsRejected
        } else {
            Class::ServiceUnavailable
        },
        what_to_do: None,
    }
}

/// The refusal of STS as a failure of the call that was to be signed.
fn told(failure: Failure) -> Failure {
    let Failure {
        class,
        delivery: _,
        status,
        code,
        message,
        task_gone: _,
        retry_after,
        request_id: _,
    } = failure;
    let words = match &code {
        Some(code) => {
            let what = refusal(status.unwrap_or_default(), Some(code)).what_to_do;
            format!("STS answers {code}: {}", what.unwrap_or(&message))
        }
        None => format!("STS gives no credentials: {message}"),
    };
    Failure {
        retry_after,
        ..Failure::no_credentials(class, redact::shown(&words, &[]))
    }
}

#[cfg(test)]
#[path = "sts_tests.rs"]
mod tests;
