//! One reading of a Secret, or one question whose a key is.

use super::keyring::{Errand, Fetched};
use crate::{
    live::{AccountId, Class, Client, Failure, Provider, Reply},
    task::shared::Shared,
};
use std::sync::{Arc, atomic::Ordering};

/// Does the errand.
pub async fn fetch(shared: Arc<Shared>, errand: Errand) -> Fetched {
    match errand {
        Errand::Read(secret) => {
            let values = shared.secret(&secret.namespace, &secret.name).await;
            Fetched::Secret(secret, values)
        }
        Errand::AskOwn => {
            let told = ask(&shared, &shared.live).await;
            tell(&shared, told.as_ref().err().map(Box::as_ref));
            Fetched::Own(told)
        }
        Errand::Ask(print, credentials) => {
            let provider = Provider::fixed(Some(credentials));
            let told = ask(&shared, &shared.live.with_credentials(provider)).await;
            Fetched::Key(print, told)
        }
    }
}

async fn ask(shared: &Shared, live: &Client) -> Result<AccountId, Box<Failure>> {
    let reply: Reply<AccountId> = live.caller_account().await;
    let failure = reply.as_ref().err();
    if !failure.is_some_and(is_unasked) {
        shared.metrics.asked_account(failure);
    }
    reply.map(|success| success.value).map_err(Box::new)
}

/// There is nothing to sign the question with, of which other warnings and metrics tell.
fn is_unasked(failure: &Failure) -> bool {
    failure.class == Class::CredentialsMissing
}

/// Says once when STS does not tell whose the operator's own credentials are, and once when it does after all.
fn tell(shared: &Shared, failure: Option<&Failure>) {
    if failure.is_some_and(is_unasked) {
        return;
    }
    let is_unknown = failure.is_some();
    let was_unknown = shared.own_is_unknown.swap(is_unknown, Ordering::Relaxed);
    match failure {
        Some(failure) if !was_unknown => tracing::warn!(
            result = failure.class.label(),
            code = failure.code.as_deref(),
            "STS does not tell whose the operator's own credentials are, and is asked again: {failure}. Until it tells, the keys of all Secrets count \
             in one quota, and objects without a claim wait for others that name the same task. See that the operator reaches STS"
        ),
        None if was_unknown => {
            tracing::info!("STS tells whose the operator's own credentials are");
        }
        Some(_) | None => {}
    }
}
