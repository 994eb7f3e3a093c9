//! Which account the credentials belong to (dossier 9.7).

use std::fmt;

use secrecy::ExposeSecret as _;
use uuid::Uuid;

use super::actions::{Account, Call};
use super::answer::classify;
use super::calls::SMALL_BODY;
use super::client::Client;
use super::credentials::STS_VERSION;
use super::http::Silence;
use super::outcome::{Failure, Reply, judge_by, unavailable};
use super::redact;
use super::reply::{Misshapen, Object};
use super::sign::Operation;

/// The number by which the vendor knows an account. Quotas of the Live API belong to it: the keys of one account share them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(String);

impl AccountId {
    /// The account of that number.
    #[must_use]
    pub fn new(number: impl Into<String>) -> Self {
        Self(number.into())
    }

    /// The number, as the vendor writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<AccountId> for Account {
    fn from(id: AccountId) -> Self {
        Self::new(id.0)
    }
}

impl Client {
    /// Asks STS whose credentials these are. No permission is needed for it (dossier 9.7), and no quota of the Live API is used.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn caller_account(&self) -> Reply<AccountId> {
        let credentials = &*self.credentials().current().await?;
        let nonce = Uuid::new_v4().simple().to_string();
        let action = "GetCallerIdentity";
        let sts = self.sts();
        let signed = self.signature().sign_for(
            sts.authority(),
            Operation {
                version: STS_VERSION,
                action,
            },
            &[],
            credentials,
            &nonce,
            self.clock().now(),
        );
        let secrets = [
            credentials.key_secret().expose_secret(),
            credentials
                .token()
                .map_or("", |token| token.expose_secret()),
            &signed.signature,
            &nonce,
        ];
        let reply = match self.send(sts, &signed, SMALL_BODY).await {
            Ok(answer) => {
                let date = answer.date;
                // The gateway says the same whatever is asked; of all questions a page of a list has the fewest meanings of its own.
                let meaning = |status, code: Option<&str>, words: &str, throttled| {
                    classify(Call::ListPage, status, code, words, throttled)
                };
                judge_by(meaning, answer, &secrets, &[], |_| false, account)
                    .map_err(|failure| self.clock().learn(failure, date))
            }
            Err(Silence { delivery, reason }) => Err(Failure {
                delivery,
                ..unavailable(redact::shown(&reason, &secrets))
            }),
        };
        let reply = self.unless_stale(reply, credentials);
        tracing::debug!(
            action,
            result = reply
                .as_ref()
                .map_or_else(|failure| failure.class.label(), |_| "ok"),
            "call"
        );
        reply
    }
}

/// Account numbers are digits; what would not be a sound name is no answer.
fn account(answer: &Object) -> Result<AccountId, Misshapen> {
    let misshapen = Misshapen::new("it names no account");
    let id = answer
        .get("AccountId")
        .and_then(serde_json::Value::as_str)
        .ok_or(misshapen)?;
    let is_sound = (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if is_sound {
        Ok(AccountId(id.to_owned()))
    } else {
        Err(Misshapen::new("the account in it is no account's name"))
    }
}
