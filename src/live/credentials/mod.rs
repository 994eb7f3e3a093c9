//! What requests are signed with, and where it comes from. Secrets are `secrecy` types from the moment they are read, and no `Debug` shows them.

mod ecs;
mod environment;
mod keeper;
mod provider;
mod schedule;
mod sts;

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

pub use ecs::METADATA_SERVER;
pub use environment::{CredentialsError, Origin, sts_endpoint};
pub use keeper::{Observer, Refresh, SourceKind};
pub use provider::{Provider, Surroundings};
pub use sts::OidcRole;
pub(super) use sts::VERSION as STS_VERSION;

/// An access key, or the triple of a temporary one.
#[derive(Clone)]
pub struct Credentials {
    key_id: String,
    key_secret: SecretString,
    token: Option<SecretString>,
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

    /// Whether a request signed with the one is a request signed with the other.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        fn token(of: &Credentials) -> Option<&str> {
            of.token.as_ref().map(ExposeSecret::expose_secret)
        }
        self.key_id == other.key_id
            && self.key_secret.expose_secret() == other.key_secret.expose_secret()
            && token(self) == token(other)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("temporary", &self.token.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(id: &str, secret: &str, token: Option<&str>) -> Credentials {
        Credentials::new(
            id,
            SecretString::from(secret),
            token.map(SecretString::from),
        )
    }

    #[test]
    fn the_same_are_told_from_others() {
        let one = credentials("id", "hush", Some("token"));
        assert!(one.is_same_as(&one.clone()));
        for other in [
            credentials("other", "hush", Some("token")),
            credentials("id", "other", Some("token")),
            credentials("id", "hush", Some("other")),
            credentials("id", "hush", None),
        ] {
            assert!(!one.is_same_as(&other) && !other.is_same_as(&one));
        }
    }

    #[test]
    fn nothing_is_shown() {
        let shown = format!("{:?}", credentials("id", "hush", Some("token")));
        assert_eq!(shown, "Credentials { temporary: true, .. }");
    }
}
