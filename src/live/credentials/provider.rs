//! Where a client takes its credentials from, call by call.

use std::future::ready;
use std::sync::Arc;

use super::Credentials;
use crate::live::outcome::{Failure, credentials_missing};

/// Where credentials come from. Cheap to clone; clones share what they hold.
#[derive(Debug, Clone)]
pub struct Provider(Option<Arc<Credentials>>);

impl Provider {
    /// Always these; without any, every call fails as [`CredentialsMissing`](crate::live::Class::CredentialsMissing).
    #[must_use]
    pub fn fixed(credentials: Option<Credentials>) -> Self {
        Self(credentials.map(Arc::new))
    }

    /// What to sign with now.
    ///
    /// # Errors
    /// When there is nothing to sign with: a failure of a call that was never sent, which says what to do.
    pub async fn current(&self) -> Result<Arc<Credentials>, Failure> {
        ready(self.0.clone()).await.ok_or_else(credentials_missing)
    }

    /// The service refused these. Whether others can be had, so that another attempt is worth making soon.
    #[must_use]
    pub fn rejected(&self, _refused: &Credentials) -> bool {
        false
    }
}
