//! The parameters that a spec asks for: the relay with the addresses that its Secrets hold.

use super::{
    cluster::SecretError,
    parameters::parameters,
    plan::{Parameters, Wanted},
    shared::Shared,
    view::View,
};
use crate::{
    api::{self, Reason, SecretKeyRef},
    live,
};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// What was made of a spec at a moment.
#[derive(Clone, Debug)]
pub struct Desired {
    generation: i64,
    requested: Option<String>,
    /// When it is made anew; never where no Secret is behind it.
    pub again: Option<Duration>,
    /// Failures in a row.
    failures: u32,
    /// What a Start or an Update sends.
    pub relay: Option<Arc<live::Relay>>,
    /// The same, as far as a decision needs it.
    pub wanted: Wanted,
}

impl Desired {
    /// Whether it still stands for the object.
    #[must_use]
    pub fn is_current(&self, view: &View, now: Duration) -> bool {
        self.generation == view.generation
            && self.requested == view.requested
            && self.again.is_none_or(|again| again > now)
    }

    /// Reads the Secrets behind the relay and makes its parameters; `before` is what was known of the object until now.
    pub async fn read(
        shared: &Shared,
        view: &View,
        spec: &api::Relay,
        before: Option<&Self>,
        now: Duration,
    ) -> Self {
        let paces = &shared.paces;
        let urls = urls(shared, &view.key.namespace, spec).await;
        let has_secrets = spec.outputs.iter().any(|output| output.url_from.is_some());
        let failures = match &urls {
            Ok(_) => 0,
            Err(_) => before.map_or(1, |before| before.failures.saturating_add(1)),
        };
        let (relay, wanted) = match urls {
            Ok(urls) => made(spec, &urls, &view.uid),
            // Whether it has changed is not known.
            Err(Trouble::Passing(message)) => {
                match before.filter(|before| before.relay.is_some()) {
                    Some(before) if before.generation == view.generation => {
                        (before.relay.clone(), before.wanted.clone())
                    }
                    Some(_) | None => unavailable(Reason::WaitingForSecret, message),
                }
            }
            Err(Trouble::Missing(message)) => unavailable(Reason::WaitingForSecret, message),
            Err(Trouble::Unusable(message)) => unavailable(Reason::InvalidSpec, message),
        };
        let pause = match failures {
            0 => paces.secret_refresh,
            _ => paces
                .backoff_min
                .saturating_mul(1 << failures.min(16))
                .min(paces.secret_refresh),
        };
        Self {
            generation: view.generation,
            requested: view.requested.clone(),
            again: has_secrets.then(|| now + pause),
            failures,
            relay,
            wanted,
        }
    }
}

/// Why an address is not known.
enum Trouble {
    /// The API server did not say.
    Passing(String),
    /// Somebody has to create or permit it; it is looked for again.
    Missing(String),
    /// It is there, and no address.
    Unusable(String),
}

fn unavailable(reason: Reason, message: String) -> (Option<Arc<live::Relay>>, Wanted) {
    (None, Wanted::Unavailable { reason, message })
}

fn made(spec: &api::Relay, urls: &[SecretString], uid: &str) -> (Option<Arc<live::Relay>>, Wanted) {
    match parameters(spec, urls) {
        Ok(relay) => {
            let outputs = relay.output_ids();
            let parameters = Parameters {
                hash: relay.hash(uid),
                outputs: outputs
                    .iter()
                    .map(|output| output.as_str().to_owned())
                    .collect(),
            };
            (Some(Arc::new(relay)), Wanted::Known(parameters))
        }
        Err(message) => unavailable(Reason::InvalidSpec, format!("{message}.")),
    }
}

async fn urls(
    shared: &Shared,
    namespace: &str,
    spec: &api::Relay,
) -> Result<Vec<SecretString>, Trouble> {
    let mut read: BTreeMap<&str, BTreeMap<String, SecretSlice<u8>>> = BTreeMap::new();
    let mut urls = Vec::new();
    for output in &spec.outputs {
        let Some(source) = &output.url_from else {
            let url = output.url.as_ref().map_or("", |url| url.expose());
            urls.push(SecretString::from(url));
            continue;
        };
        let SecretKeyRef { name, key } = &source.secret_key_ref;
        if !read.contains_key(name.as_str()) {
            let values = shared
                .secret(namespace, name)
                .await
                .map_err(|error| trouble(name, key, &error))?;
            read.insert(name, values);
        }
        let Some(value) = read.get(name.as_str()).and_then(|values| values.get(key)) else {
            return Err(Trouble::Missing(format!(
                "Secret {name} has no key {key}, which an output needs: add it."
            )));
        };
        let Ok(text) = std::str::from_utf8(value.expose_secret()) else {
            return Err(Trouble::Unusable(format!(
                "Key {key} of Secret {name} is no text: put an rtmp:// address there."
            )));
        };
        // Files often end with a newline.
        urls.push(SecretString::from(text.trim()));
    }
    Ok(urls)
}

fn trouble(name: &str, key: &str, error: &SecretError) -> Trouble {
    match error {
        SecretError::Missing => Trouble::Missing(format!(
            "Secret {name} does not exist in this namespace: create it, with an rtmp:// address under the key {key}."
        )),
        SecretError::Denied(_) => Trouble::Missing(format!(
            "The operator may not read Secret {name}: let its service account get Secrets in this namespace."
        )),
        SecretError::Unknown(why) => {
            Trouble::Passing(format!("Secret {name} cannot be read now: {why}."))
        }
    }
}
