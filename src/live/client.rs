//! One signed send: bounded in time and size, and telling whether the request may have reached the service.

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, CONTENT_LENGTH, HOST, HeaderValue};
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::actions::Call;
use super::clock::ServiceClock;
use super::credentials::Provider;
use super::endpoint::Endpoint;
use super::outcome::{Answer, Body, Delivery, Failure, Reply, Wait, judge, unavailable};
use super::redact;
use super::reply::{Misshapen, Object};
use super::sign::{Signature, Signed};

/// Connections kept open between calls. Enough for what a second's quota needs at usual latencies; few enough for a small descriptor limit.
const IDLE_CONNECTIONS: usize = 32;

/// How long a connection is kept; shortly, since one that the other side closes first costs a call its answer.
const IDLE_TIME: Duration = Duration::from_secs(15);

/// As the vendor's own clients have it (dossier 1).
const LONGEST_CONNECT: Duration = Duration::from_secs(5);

/// Where the service is, and how long a call may take.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Where the service is.
    pub endpoint: Endpoint,
    /// The most that one call may take: connecting, sending, waiting and reading.
    pub call_deadline: Duration,
    /// How each request is signed.
    pub signature: Signature,
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
    deadline: Duration,
    signature: Signature,
    clock: ServiceClock,
}

/// Why there was no answer.
struct Silence {
    delivery: Delivery,
    reason: String,
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
            call_deadline: deadline,
            signature,
        } = config;
        let http = reqwest::Client::builder()
            .user_agent(concat!("mixed-stream-operator/", env!("CARGO_PKG_VERSION")))
            // One call is one request: nothing below may send it again, or elsewhere.
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            // Shorter than the whole, so that a peer that cannot be reached is told from one that does not answer.
            .connect_timeout(LONGEST_CONNECT.min(deadline / 2))
            .timeout(deadline)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE_TIME)
            .build()
            .map_err(|error| ClientError::Http(causes(&error.without_url())))?;
        Ok(Self {
            inner: Arc::new(Inner {
                http,
                endpoint,
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

        let answer = tokio::time::timeout(inner.deadline, inner.send(&signed, longest_body)).await;
        let reply = match answer.unwrap_or_else(|_| Err(inner.too_late())) {
            Ok(answer) => {
                let date = answer.date;
                let ids: Vec<&str> = IDS
                    .iter()
                    .filter_map(|name| parameter(parameters, name))
                    .collect();
                let reply = judge(call, answer, &secrets, &ids, says_gone, read);
                reply.map_err(|failure| inner.clock.learn(failure, date))
            }
            Err(Silence { delivery, reason }) => Err(Failure {
                delivery,
                ..unavailable(redact::shown(&reason, &secrets))
            }),
        };
        record(call, parameters, &reply, begun.elapsed());
        reply
    }
}

impl Inner {
    async fn send(&self, signed: &Signed, longest_body: usize) -> Result<Answer, Silence> {
        let url = format!("{}?{}", self.endpoint.as_str(), signed.query);
        // An empty body, and said so, as the vendor's clients do (dossier 6.3).
        let mut request = self
            .http
            .post(url)
            .header(HOST, self.endpoint.authority())
            .header(ACCEPT, "application/json")
            .header(CONTENT_LENGTH, 0);
        for (name, value) in &signed.headers {
            let mut value = HeaderValue::try_from(value).map_err(|_| Silence {
                delivery: Delivery::NeverSent,
                reason: format!(
                    "nothing was sent: {name} has a character that no header can carry"
                ),
            })?;
            value.set_sensitive(true);
            request = request.header(*name, value);
        }
        let mut response = request.send().await.map_err(|error| self.silence(error))?;
        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::trim)
        };
        let answer = Answer {
            status: response.status().as_u16(),
            body: Body::Torn,
            request_id: header("x-acs-request-id")
                .filter(|id| !id.is_empty())
                .map(str::to_owned),
            wait: Wait::from_headers(header("x-acs-retry-after"), header("retry-after")),
            date: header("date")
                .and_then(|date| jiff::fmt::rfc2822::parse(date).ok())
                .map(|date| date.timestamp()),
        };
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > longest_body => {
                    return Ok(Answer {
                        body: Body::TooLong,
                        ..answer
                    });
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => {
                    return Ok(Answer {
                        body: Body::Whole(body),
                        ..answer
                    });
                }
                Err(_) => return Ok(answer),
            }
        }
    }

    /// A connection that was never made has carried nothing; of every other failure nobody knows.
    fn silence(&self, error: reqwest::Error) -> Silence {
        // The URL has the signed query in it.
        let error = error.without_url();
        if error.is_connect() || error.is_builder() {
            let reason = format!("cannot connect to {}: {}", self.endpoint, causes(&error));
            return Silence {
                delivery: Delivery::NeverSent,
                reason,
            };
        }
        if error.is_timeout() {
            return self.too_late();
        }
        Silence {
            delivery: Delivery::MayHaveArrived,
            reason: format!("no answer from {}: {}", self.endpoint, causes(&error)),
        }
    }

    fn too_late(&self) -> Silence {
        let reason = format!(
            "no answer from {} within {:?}",
            self.endpoint, self.deadline
        );
        Silence {
            delivery: Delivery::MayHaveArrived,
            reason,
        }
    }
}

/// What an HTTP error comes from. Its own text only says that a request failed.
fn causes(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    if causes.is_empty() {
        error.to_string()
    } else {
        causes.join(": ")
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
