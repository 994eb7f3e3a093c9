//! One signed send: bounded in time and size, and telling whether the request may have reached the service.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, HOST, HeaderValue};
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::actions::Call;
use super::class::Class;
use super::clock::ServiceClock;
use super::credentials::{Credentials, Provider};
use super::endpoint::Endpoint;
use super::http::{self, Silence};
use super::outcome::{Answer, Delivery, Failure, Reply, judge, unavailable};
use super::redact;
use super::reply::{Misshapen, Object};
use super::sign::{Signature, Signed};

/// Where the service is, and how long a call may take.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Where the service is.
    pub endpoint: Endpoint,
    /// Where STS is.
    pub sts: Endpoint,
    /// The most that one call may take: connecting, sending, waiting and reading.
    pub call_deadline: Duration,
    /// How each request is signed.
    pub signature: Signature,
    /// Calls go through the proxy that the environment names.
    pub proxy_from_environment: bool,
}

/// The client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The HTTP client cannot be set up.
    #[error(
        "the HTTP client cannot be set up (are the machine's root certificates readable?): {0}"
    )]
    Http(String),
}

/// The client. Cheap to clone; clones share connections, and what is known of the service's clock.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
    credentials: Provider,
}

#[derive(Debug)]
struct Inner {
    http: reqwest::Client,
    endpoint: Endpoint,
    sts: Endpoint,
    deadline: Duration,
    signature: Signature,
    clock: ServiceClock,
}

impl Client {
    /// A client that signs with what `credentials` gives at each call; without any a call fails and sends nothing. The process must have a TLS
    /// provider installed before.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub fn new(config: ClientConfig, credentials: Provider) -> Result<Self, ClientError> {
        let ClientConfig {
            endpoint,
            sts,
            call_deadline: deadline,
            signature,
            proxy_from_environment,
        } = config;
        let http = http::client(deadline, proxy_from_environment)?;
        Ok(Self {
            inner: Arc::new(Inner {
                http,
                endpoint,
                sts,
                deadline,
                signature,
                clock: ServiceClock::default(),
            }),
            credentials,
        })
    }

    /// The same client, which shares connections and what is known of the service's clock, but signs with other credentials.
    #[must_use]
    pub fn with_credentials(&self, credentials: Provider) -> Self {
        Self {
            inner: self.inner.clone(),
            credentials,
        }
    }

    /// The same client, signing with what is at hand now: none of its calls waits for credentials. `None` where they are being fetched;
    /// [`Client::credentials`] tells when that is over.
    ///
    /// # Errors
    /// When there is nothing to sign with: as a call would fail that was never sent.
    #[must_use]
    pub fn at_hand(&self) -> Option<Result<Self, Failure>> {
        let held = self.credentials.at_hand()?;
        Some(held.map(|credentials| self.with_credentials(credentials)))
    }

    /// One request, and what became of it. None of `hidden` is shown in it.
    pub(super) async fn call<T>(
        &self,
        call: Call,
        parameters: &[(&str, &str)],
        hidden: &[&str],
        longest_body: usize,
        says_gone: impl Fn(&str) -> bool,
        read: impl Fn(&Object) -> Result<T, Misshapen>,
    ) -> Reply<T> {
        let inner = &*self.inner;
        let credentials = &*self.credentials.current().await?;
        let begun = Instant::now();
        let nonce = Uuid::new_v4().simple().to_string();
        let signed = inner.signature.sign(
            inner.endpoint.authority(),
            call.action().name(),
            parameters,
            credentials,
            &nonce,
            inner.clock.now(),
        );
        let token = credentials.token().map_or("", ExposeSecret::expose_secret);
        let own = [
            credentials.key_secret().expose_secret(),
            token,
            &signed.signature,
            &nonce,
        ];
        let secrets = [&own, hidden].concat();

        let reply = match self.send(&inner.endpoint, &signed, longest_body).await {
            Ok(answer) => {
                let date = answer.date;
                let ids: Vec<&str> = IDS
                    .iter()
                    .filter_map(|name| parameter(parameters, name))
                    .collect();
                let reply = judge(call, answer, &secrets, &ids, says_gone, read);
                let reply = reply.map_err(|failure| inner.clock.learn(failure, date));
                self.unless_stale(reply, credentials)
            }
            Err(Silence { delivery, reason }) => Err(Failure {
                delivery,
                ..unavailable(redact::shown(&reason, &secrets))
            }),
        };
        record(call, parameters, &reply, begun.elapsed());
        reply
    }

    /// Sends what was signed, and waits for the answer.
    pub(super) async fn send(
        &self,
        to: &Endpoint,
        signed: &Signed,
        longest_body: usize,
    ) -> Result<Answer, Silence> {
        let request = self.request(to, signed)?;
        http::exchange(request, to, self.inner.deadline, longest_body).await
    }

    fn request(&self, to: &Endpoint, signed: &Signed) -> Result<RequestBuilder, Silence> {
        let url = format!("{}?{}", to.as_str(), signed.query);
        // An empty body, and said so, as the vendor's clients do (dossier 6.3).
        let mut request = self
            .inner
            .http
            .post(url)
            .header(HOST, to.authority())
            .header(ACCEPT, "application/json")
            .header(CONTENT_LENGTH, 0);
        for (name, value) in &signed.headers {
            let mut value = HeaderValue::try_from(value).map_err(|_| Silence {
                delivery: Delivery::NeverSent,
                reason: format!(
                    "nothing was sent: {name} has a character that no header can carry"
                ),
            })?;
            // Whoever prints the request shows neither token nor signature.
            value.set_sensitive(true);
            request = request.header(*name, value);
        }
        Ok(request)
    }

    /// Where the credentials come from.
    #[must_use]
    pub fn credentials(&self) -> &Provider {
        &self.credentials
    }

    /// Where STS is.
    pub(super) fn sts(&self) -> &Endpoint {
        &self.inner.sts
    }

    /// How each request is signed.
    pub(super) fn signature(&self) -> Signature {
        self.inner.signature
    }

    /// The service's clock, as far as it has told.
    pub(super) fn clock(&self) -> &ServiceClock {
        &self.inner.clock
    }

    /// A refusal of credentials is one that passes where others are held or can be fetched.
    pub(super) fn unless_stale<T>(&self, reply: Reply<T>, used: &Credentials) -> Reply<T> {
        reply.map_err(|failure| {
            let is_refusal = failure.class == Class::CredentialsRejected;
            if is_refusal && self.credentials.rejected(used) {
                Failure {
                    class: Class::CredentialsStale,
                    ..failure
                }
            } else {
                failure
            }
        })
    }
}

/// The parameters that a user chose and that the service may repeat in its words.
const IDS: [&str; 3] = ["AppId", "TaskId", "ChannelId"];

fn parameter<'a>(parameters: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
    parameters
        .iter()
        .find(|(key, _)| *key == name)
        .map(|(_, value)| *value)
}

fn record<T>(call: Call, parameters: &[(&str, &str)], reply: &Reply<T>, latency: Duration) {
    let (result, status, request_id) = match reply {
        Ok(success) => ("ok", Some(200), Some(success.request_id.as_str())),
        Err(failure) => (
            failure.class.label(),
            failure.status,
            failure.request_id.as_deref(),
        ),
    };
    tracing::debug!(
        action = call.action().name(),
        app_id = parameter(parameters, "AppId"),
        task_id = parameter(parameters, "TaskId"),
        channel_id = parameter(parameters, "ChannelId"),
        status,
        result,
        request_id,
        latency_ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX),
        "call"
    );
}

#[cfg(test)]
#[path = "client_tests.rs"]
pub(super) mod tests;

#[cfg(test)]
#[path = "client_answers_tests.rs"]
mod answers_tests;

#[cfg(test)]
#[path = "client_v3_tests.rs"]
mod v3_tests;

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]
#[path = "hygiene_tests.rs"]
mod hygiene;
