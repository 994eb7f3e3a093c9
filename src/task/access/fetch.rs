//! One reading of a Secret, or one question whose a key is.

use super::keyring::{Errand, Fetched};
use crate::{
    live::{AccountId, Client, Failure, Provider, Reply},
    task::shared::Shared,
};
use std::sync::Arc;

/// Does the errand.
pub async fn fetch(shared: Arc<Shared>, errand: Errand) -> Fetched {
    match errand {
        Errand::Read(secret) => {
            let values = shared.cluster.secret(&secret.namespace, &secret.name).await;
            Fetched::Secret(secret, values)
        }
        Errand::AskOwn => Fetched::Own(ask(&shared.live).await),
        Errand::Ask(print, credentials) => {
            let provider = Provider::fixed(Some(credentials));
            let told = ask(&shared.live.with_credentials(provider)).await;
            Fetched::Key(print, told)
        }
    }
}

async fn ask(live: &Client) -> Result<AccountId, Box<Failure>> {
    let reply: Reply<AccountId> = live.caller_account().await;
    reply.map(|success| success.value).map_err(Box::new)
}
