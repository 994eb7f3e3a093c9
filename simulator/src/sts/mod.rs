//! The security token service: roles that a cluster's tokens may assume, the triples that they are given, and whose a key is (dossier 9).

mod token;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::accounts::{Account, Directory, Key};
use crate::clock::{Millis, rfc3339};
use crate::reply::Refusal;
use crate::sign::Params;
use token::{Token, TokenError};

/// The version of the API of STS.
pub const VERSION: &str = "2015-04-01";

/// The only audience that STS takes.
const AUDIENCE: &str = "sts.aliyuncs.com";

/// The least that a triple can be asked to live, in seconds.
const SHORTEST: u32 = 900;

/// What it lives where nobody asks, in seconds.
const USUAL: u32 = 3600;

/// A cluster whose tokens an account knows.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OidcProvider {
    /// Its name; its ARN is `acs:ram::<account>:oidc-provider/<name>`.
    pub name: String,
    /// Who signs its tokens.
    pub issuer: String,
    /// False: the fingerprint of its key is outdated.
    #[serde(default = "yes")]
    pub fingerprint_matches: bool,
    /// False: STS cannot read its configuration.
    #[serde(default = "yes")]
    pub issuer_works: bool,
}

/// A role, and whom it trusts.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Role {
    /// Its name; its ARN is `acs:ram::<account>:role/<name>`.
    pub name: String,
    /// The provider that it trusts, by name; none: nobody's tokens.
    #[serde(default)]
    pub oidc_provider: Option<String>,
    /// The subjects that it trusts: `system:serviceaccount:<namespace>:<name>`.
    #[serde(default)]
    pub subjects: BTreeSet<String>,
    /// The longest that a triple may be asked to live, in seconds.
    #[serde(default = "usual")]
    pub max_session_seconds: u32,
}

fn yes() -> bool {
    true
}

fn usual() -> u32 {
    USUAL
}

/// A triple that was given out.
#[derive(Debug, Clone)]
pub struct Session {
    /// The triple.
    pub key: Key,
    /// The role.
    pub role: String,
    /// The name that its holder gave it.
    pub name: String,
    /// When it was given out.
    pub issued: Millis,
}

/// A session as it is shown: without secrets.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionView<'a> {
    key_id: &'a str,
    role: &'a str,
    session_name: &'a str,
    issued_at: String,
    expires_at: String,
}

impl Session {
    /// A new triple for a role.
    pub fn new(role: &str, name: &str, seconds: u32, now: Millis) -> Self {
        let random = || Uuid::new_v4().simple().to_string();
        // Whole seconds, as they are written on the wire.
        let end = (now / 1000 + i64::from(seconds)) * 1000;
        Self {
            key: Key {
                id: format!("STS.{}", random()),
                secret: random(),
                // As long and as strange as a real one.
                token: Some(format!("CAIS+{}/{}==", random().repeat(8), random())),
                expires_at: Some(time(end)),
                enabled: true,
            },
            role: role.to_owned(),
            name: name.to_owned(),
            issued: now,
        }
    }

    /// When it ends.
    pub fn end(&self) -> Millis {
        self.key
            .expires_at
            .map_or(Millis::MAX, Timestamp::as_millisecond)
    }

    /// How it is shown.
    pub fn view(&self) -> SessionView<'_> {
        SessionView {
            key_id: &self.key.id,
            role: &self.role,
            session_name: &self.name,
            issued_at: rfc3339(self.issued),
            expires_at: rfc3339(self.end()),
        }
    }

    /// The triple as it is given to its holder.
    pub fn triple(&self) -> Map<String, Value> {
        let mut members = Map::new();
        members.insert("AccessKeyId".to_owned(), json!(self.key.id));
        members.insert("AccessKeySecret".to_owned(), json!(self.key.secret));
        members.insert("SecurityToken".to_owned(), json!(self.key.token));
        members.insert("Expiration".to_owned(), json!(rfc3339(self.end())));
        members
    }
}

fn time(millis: Millis) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
}

/// The account, the kind and the name in an ARN of RAM.
fn arn<'a>(text: &'a str, kind: &str) -> Option<(&'a str, &'a str)> {
    let (account, rest) = text.strip_prefix("acs:ram::")?.split_once(':')?;
    let name = rest.strip_prefix(kind)?.strip_prefix('/')?;
    Some((account, name))
}

/// The account whose role is asked for, where the ARN is one.
pub fn account_of(params: &Params) -> Option<&str> {
    params
        .get("RoleArn")
        .and_then(|text| arn(text, "role"))
        .map(|(account, _)| account)
}

/// `AssumeRoleWithOIDC` (dossier 9.2). `lifetime` overrides how long the triple lives.
pub fn assume_role(
    directory: &mut Directory,
    params: &Params,
    lifetime: Option<u32>,
    now: Millis,
) -> Result<Map<String, Value>, Refusal> {
    let required = |name: &str| {
        let value = params.get(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| Refusal::gateway_missing(name))
    };
    let invalid = |name: &str| {
        Refusal::new(
            400,
            &format!("InvalidParameter.{name}"),
            format!("The parameter {name} is invalid."),
        )
    };
    let (role_arn, provider_arn) = (required("RoleArn")?, required("OIDCProviderArn")?);
    let (token, session) = (required("OIDCToken")?, required("RoleSessionName")?);
    if !(4..=20_000).contains(&token.len()) {
        return Err(invalid("OIDCToken"));
    }
    let is_legal = |c: char| c.is_ascii_alphanumeric() || ".@-_".contains(c);
    if !(2..=64).contains(&session.len()) || !session.chars().all(is_legal) {
        return Err(invalid("RoleSessionName"));
    }
    let seconds = match params
        .get("DurationSeconds")
        .filter(|text| !text.is_empty())
    {
        None => USUAL,
        Some(text) => text.parse().map_err(|_| invalid("DurationSeconds"))?,
    };
    let (account_id, role_name) = arn(role_arn, "role").ok_or_else(|| invalid("RoleArn"))?;
    let no_role = || Refusal::new(404, "EntityNotExist.Role", "The specified Role not exists.");
    let account = directory.account(account_id).ok_or_else(no_role)?;
    let found = account.roles.iter().find(|role| role.name == role_name);
    let role = found.ok_or_else(no_role)?;
    if !(SHORTEST..=role.max_session_seconds).contains(&seconds) {
        return Err(invalid("DurationSeconds"));
    }
    let provider = trusted(account, role, provider_arn)?;
    let subject = subject(token, provider, now)?;
    if !role.subjects.contains(&subject) {
        return Err(no_permission());
    }

    let session = Session::new(role_name, session, lifetime.unwrap_or(seconds), now);
    let (account_id, role_name) = (account_id.to_owned(), role_name.to_owned());
    let mut members = Map::new();
    members.insert(
        "AssumedRoleUser".to_owned(),
        json!({
            "Arn": format!("acs:ram::{account_id}:role/{role_name}/{}", session.name),
            "AssumedRoleId": format!("{role_name}-id:{}", session.name),
        }),
    );
    members.insert(
        "OIDCTokenInfo".to_owned(),
        json!({"Subject": subject, "Issuer": provider.issuer, "ClientIds": AUDIENCE, "VerificationInfo": "Success"}),
    );
    members.insert("Credentials".to_owned(), Value::Object(session.triple()));
    directory.give_out(&account_id, session);
    Ok(members)
}

fn no_permission() -> Refusal {
    let message = "This operation is forbidden by permission system.";
    Refusal::new(403, "AuthenticationFail.NoPermission", message)
}

/// The provider that is named, if it is the account's and the role trusts it.
fn trusted<'a>(
    account: &'a Account,
    role: &Role,
    provider_arn: &str,
) -> Result<&'a OidcProvider, Refusal> {
    let named = arn(provider_arn, "oidc-provider").filter(|(id, _)| *id == account.id);
    let (_, name) = named.ok_or_else(no_permission)?;
    let provider = account
        .oidc_providers
        .iter()
        .find(|provider| provider.name == name && role.oidc_provider.as_deref() == Some(name));
    provider.ok_or_else(no_permission)
}

/// Whose token it is, if it is good.
fn subject(token: &str, provider: &OidcProvider, now: Millis) -> Result<String, Refusal> {
    let bad = |code: &str, message: &str| {
        Refusal::new(
            400,
            &format!("AuthenticationFail.OIDCToken.{code}"),
            message,
        )
    };
    let token =
        Token::read(token).map_err(|error: TokenError| bad("Invalid", &error.to_string()))?;
    if !provider.issuer_works {
        let message = "The configuration of the issuer cannot be read.";
        return Err(bad("IssuerConfigurationBroken", message));
    }
    if token.issuer != provider.issuer {
        return Err(bad("IssuerNotMatch", "The issuer does not match."));
    }
    if !provider.fingerprint_matches {
        let message = "The fingerprint of the public key does not match.";
        return Err(bad("PublicKeyFingerprintMismatch", message));
    }
    if !token.audiences.iter().any(|audience| audience == AUDIENCE) {
        return Err(bad("AudienceNotMatch", "The audience does not match."));
    }
    if token.expires.saturating_mul(1000) <= now {
        return Err(bad("Expired", "The token has expired."));
    }
    Ok(token.subject)
}

/// `GetCallerIdentity` (dossier 9.7).
pub fn caller_identity(directory: &Directory, account: &str, key_id: &str) -> Map<String, Value> {
    let members: BTreeMap<&str, String> = match directory.session(key_id) {
        Some(session) => BTreeMap::from([
            (
                "Arn",
                format!(
                    "acs:ram::{account}:assumed-role/{}/{}",
                    session.role, session.name
                ),
            ),
            ("IdentityType", "AssumedRoleUser".to_owned()),
            (
                "PrincipalId",
                format!("{}-id:{}", session.role, session.name),
            ),
            ("RoleId", format!("{}-id", session.role)),
        ]),
        None => BTreeMap::from([
            ("Arn", format!("acs:ram::{account}:user/{key_id}")),
            ("IdentityType", "RAMUser".to_owned()),
            ("PrincipalId", format!("{key_id}-user")),
            ("UserId", format!("{key_id}-user")),
        ]),
    };
    let mut members: Map<String, Value> = members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect();
    members.insert("AccountId".to_owned(), json!(account));
    members
}
