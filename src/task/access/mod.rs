//! Which credentials an object's calls use, and whose account they are of.
//!
//! An object that names a Secret brings its own. Secrets are read by `get` alone, one reading for all objects that name the same one
//! ([`keyring`]); whose key it is, the service is asked once for each ([`accounts`]); [`fetch`] does both.

pub mod accounts;
mod entry;
pub mod fetch;
pub mod keyring;
mod question;
pub mod value;

pub use accounts::{Accounts, Concern, Owner, Recorded};
pub use keyring::{Granted, Keyring};

use super::{evidence::Answer, view::View};
use crate::{
    api::Reason,
    live::{AppId, Class},
};
use serde_json::Value;
use std::{fmt, time::Duration};

/// Where an object's credentials come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// They are the operator's own.
    Own,
    /// A Secret in the object's namespace.
    Secret(SecretName),
    /// The object names some, but in a form that cannot be read: the operator's own must not take their place.
    Unreadable,
}

/// Namespace and name of a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretName {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl Source {
    /// What a spec says, leniently.
    #[must_use]
    pub fn read(spec: &Value, namespace: &str) -> Self {
        let Some(reference) = spec
            .get("credentialsSecretRef")
            .filter(|reference| !reference.is_null())
        else {
            return Self::Own;
        };
        let name = reference.get("name").and_then(Value::as_str);
        match name.filter(|name| is_secret_name(name)) {
            Some(name) => Self::Secret(SecretName {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            }),
            None => Self::Unreadable,
        }
    }

    /// The Secret, where it is one.
    #[must_use]
    pub fn secret(&self) -> Option<&SecretName> {
        match self {
            Self::Secret(name) => Some(name),
            Self::Own | Self::Unreadable => None,
        }
    }

    /// Whose turns the calls of a bulk read take.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.secret().map_or("", |secret| &secret.namespace)
    }
}

/// An application, as those see it whose credentials come from one place: no bulk read shows an object what its own credentials would not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Site {
    /// Whose credentials.
    pub source: Source,
    /// The application.
    pub app: AppId,
}

impl Site {
    /// Where the object's task is, if its ids can be read.
    #[must_use]
    pub fn of(view: &View) -> Option<Self> {
        let ids = view.ids.as_ref().ok()?;
        Some(Self {
            source: view.source.clone(),
            app: ids.app.clone(),
        })
    }
}

/// A name that the API server would take; it becomes part of a path.
fn is_secret_name(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 253
        && name.starts_with(is_word)
        && name.ends_with(is_word)
        && name.chars().all(|c| is_word(c) || c == '-' || c == '.')
}

/// What a decision needs to know of an object's credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// There are some, as far as is known; or they are the operator's own, of which the service tells whether they are good.
    #[default]
    Given,
    /// Not known yet, or not whose they are. The object is looked at again when that is known, and at this moment at the latest.
    Unread(Option<Duration>),
    /// They cannot be used, or not for everything, or will not be for long.
    Unusable {
        /// Missing or rejected.
        reason: Reason,
        /// Why, in a sentence, and what to do.
        message: String,
        /// What a Stop can be tried with all the same.
        left: Left,
    },
}

/// What there is, where credentials cannot be used for everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// The last good ones, which are kept in memory.
    Kept,
    /// Some that may be of another account than the task: only that a Stop is accepted says something of it.
    Doubtful,
}

impl Keys {
    /// Nothing can be sent with them, so that no claim can be made either.
    #[must_use]
    pub fn send_nothing(&self) -> Option<(Reason, &str)> {
        match self {
            Self::Unusable {
                reason,
                message,
                left: Left::Nothing,
            } => Some((*reason, message)),
            Self::Given
            | Self::Unread(_)
            | Self::Unusable {
                left: Left::Kept | Left::Doubtful,
                ..
            } => None,
        }
    }

    /// What they are shown is what is there: they are of the account of the object's task.
    #[must_use]
    pub fn are_believed(&self) -> bool {
        match self {
            Self::Given
            | Self::Unusable {
                left: Left::Kept, ..
            } => true,
            Self::Unread(_)
            | Self::Unusable {
                left: Left::Nothing | Left::Doubtful,
                ..
            } => false,
        }
    }
}

/// What a call about an object is signed with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signed {
    /// Which version of the credentials.
    pub version: u64,
    /// Why what the service answers to them does not count, where it does not: they may be of another account than the task.
    pub doubt: Option<String>,
}

impl Signed {
    /// The answer, as far as it can be believed. In another account there would be no such task either, and a Stop that is accepted has stopped one.
    #[must_use]
    pub fn believed(&self, answer: Answer) -> Answer {
        let Some(doubt) = &self.doubt else {
            return answer;
        };
        let nothing = |may_act| Answer::Failed {
            class: Class::CredentialsRejected,
            words: doubt.clone(),
            says_gone: false,
            may_act,
            retry_after: None,
        };
        match answer {
            Answer::Task(_) | Answer::Page { .. } | Answer::Users { .. } => nothing(false),
            Answer::Failed {
                class: Class::NotFoundLike | Class::InternalError,
                may_act,
                ..
            } => nothing(may_act),
            Answer::Accepted { .. } | Answer::Failed { .. } => answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_operators_own_credentials_never_stand_in_for_what_cannot_be_read() {
        let read =
            |reference: Value| Source::read(&json!({"credentialsSecretRef": reference}), "a");
        assert_eq!(Source::read(&json!({}), "a"), Source::Own);
        assert_eq!(Source::read(&json!(5), "a"), Source::Own);
        assert_eq!(read(Value::Null), Source::Own);
        let good = read(json!({"name": "live-account.v2"}));
        assert_eq!(
            good.secret().map(SecretName::to_string).as_deref(),
            Some("a/live-account.v2")
        );
        for bad in [
            json!({}),
            json!(7),
            json!("live"),
            json!({"name": 7}),
            json!({"name": ""}),
            json!({"name": "../../nodes"}),
            json!({"name": "Live"}),
            json!({"name": "a?x=y"}),
        ] {
            assert_eq!(read(bad.clone()), Source::Unreadable, "{bad}");
        }
    }
}
