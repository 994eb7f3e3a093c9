//! One HTTP request: bounded in time and size, sent once, and telling whether it may have been received.

use std::error::Error as _;
use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::client::ClientError;
use super::outcome::{Answer, Body, Delivery, Wait};

/// Connections kept open between calls. Enough for what a second's quota needs at usual latencies; few enough for a small descriptor limit.
pub(super) const IDLE_CONNECTIONS: usize = 32;

/// How long a connection is kept; shortly, since one that the other side closes first costs a call its answer.
const IDLE_TIME: Duration = Duration::from_secs(15);

/// As the vendor's own clients have it (dossier 1).
const LONGEST_CONNECT: Duration = Duration::from_secs(5);

/// Why there was no answer.
pub(super) struct Silence {
    pub delivery: Delivery,
    pub reason: String,
}

/// A client that connects well within `deadline`, which [`exchange`] keeps, and goes through the environment's proxy only if that is asked for. The
/// process must have a TLS provider installed before.
///
/// # Errors
/// When it cannot be set up.
pub(super) fn client(
    deadline: Duration,
    proxy_from_environment: bool,
) -> Result<reqwest::Client, ClientError> {
    let http = reqwest::Client::builder()
        .user_agent(concat!("mixed-stream-operator/", env!("CARGO_PKG_VERSION")))
        // One call is one request: nothing below may send it again, or elsewhere.
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
        // Shorter than the whole, so that a peer that cannot be reached is told from one that does not answer.
        .connect_timeout(LONGEST_CONNECT.min(deadline / 2))
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .pool_idle_timeout(IDLE_TIME);
    let http = if proxy_from_environment {
        http
    } else {
        http.no_proxy()
    };
    http.build()
        .map_err(|error| ClientError::Http(causes(&error.without_url())))
}

/// Sends the request to `peer`, whose name is told where there is no answer, and reads at most so many bytes of the body. What is not there by the
/// deadline, from the beginning to the last byte, is not waited for: a body that is not complete then is torn.
pub(super) async fn exchange(
    request: reqwest::RequestBuilder,
    peer: &impl Display,
    deadline: Duration,
    longest_body: usize,
) -> Result<Answer, Silence> {
    // One moment for all of it: a body that comes drop by drop has no time of its own.
    let until = Instant::now() + deadline;
    let mut response = match timeout_at(until, request.send()).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(silence(error, peer)),
        Err(_) => {
            return Err(Silence {
                delivery: Delivery::MayHaveArrived,
                reason: format!("no answer from {peer} within {deadline:?}"),
            });
        }
    };
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
        match timeout_at(until, response.chunk()).await {
            Ok(Ok(Some(chunk))) if body.len() + chunk.len() > longest_body => {
                return Ok(Answer {
                    body: Body::TooLong,
                    ..answer
                });
            }
            Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
            Ok(Ok(None)) => {
                return Ok(Answer {
                    body: Body::Whole(body),
                    ..answer
                });
            }
            Ok(Err(_)) | Err(_) => return Ok(answer),
        }
    }
}

/// A connection that was never made has carried nothing; of every other failure nobody knows.
fn silence(error: reqwest::Error, peer: &impl Display) -> Silence {
    // The URL has the signed query in it.
    let error = error.without_url();
    if error.is_connect() || error.is_builder() {
        return Silence {
            delivery: Delivery::NeverSent,
            reason: format!("cannot connect to {peer}: {}", causes(&error)),
        };
    }
    Silence {
        delivery: Delivery::MayHaveArrived,
        reason: format!("no answer from {peer}: {}", causes(&error)),
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
