//! The RAM role of the machine, from its metadata server: version 2 alone, which asks for a token first (dossier 9.4).

use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use super::keeper::{Fetched, Source, SourceKind};
use super::sts::triple;
use crate::live::class::Class;
use crate::live::endpoint::Endpoint;
use crate::live::http::{self, Silence};
use crate::live::outcome::{Answer, Body, Failure};
use crate::live::redact;
use crate::live::reply;

/// Where every machine finds its metadata server (dossier 9.4).
pub const METADATA_SERVER: &str = "http://100.100.100.200";

const TOKEN_LIFE: &str = "X-aliyun-ecs-metadata-token-ttl-seconds";
const TOKEN: &str = "X-aliyun-ecs-metadata-token";

/// The longest life that a token may be given, in seconds (dossier 9.4). Each fetch takes a new one all the same.
const TOKEN_SECONDS: &str = "21600";

/// It is on the same machine: an answer comes at once or not at all (the vendor's SDKs wait a second, dossier 9.4).
const LONGEST_ANSWER: Duration = Duration::from_secs(2);

/// The longest answer that is read.
const LONGEST_BODY: usize = 16 << 10;

/// Asks the metadata server for the credentials of the machine's role.
#[derive(Debug)]
pub(super) struct EcsSource {
    pub role: String,
    pub server: Endpoint,
    pub http: reqwest::Client,
    pub deadline: Duration,
}

impl Source for EcsSource {
    fn kind(&self) -> SourceKind {
        SourceKind::EcsRole
    }

    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, Failure>> {
        self.read().boxed()
    }
}

impl EcsSource {
    async fn read(&self) -> Result<Fetched, Failure> {
        let base = self.server.as_str();
        let request = self.http.put(format!("{base}latest/api/token"));
        let answer = self.ask(request.header(TOKEN_LIFE, TOKEN_SECONDS)).await?;
        let token = match (answer.status, answer.body) {
            (200, Body::Whole(bytes)) => String::from_utf8(bytes)
                .ok()
                .filter(|token| {
                    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
                })
                .map(SecretString::from)
                .ok_or_else(|| self.no_answer("a token that is none"))?,
            (status, _) => return Err(self.refused(status)),
        };
        let path = "latest/meta-data/ram/security-credentials";
        let request = self.http.get(format!("{base}{path}/{}", self.role));
        let asked = Timestamp::now();
        let answer = self
            .ask(request.header(TOKEN, token.expose_secret()))
            .await?;
        let date = answer.date;
        let bytes = match (answer.status, answer.body) {
            (200, Body::Whole(bytes)) => bytes,
            (404, _) => {
                return Err(Failure::no_credentials(
                    Class::CredentialsMissing,
                    format!(
                        "this machine has no RAM role {}: attach it to the ECS instance, or correct ALIBABA_CLOUD_ECS_METADATA",
                        self.role
                    ),
                ));
            }
            (status, _) => return Err(self.refused(status)),
        };
        let object = reply::object(&bytes)
            .ok_or_else(|| self.no_answer("credentials that cannot be read"))?;
        if object.get("Code").and_then(serde_json::Value::as_str) != Some("Success") {
            return Err(self.no_answer("no credentials"));
        }
        let (credentials, expires) = triple(&serde_json::Value::Object(object))
            .map_err(|_| self.no_answer("credentials that cannot be read"))?;
        Ok(Fetched::new(credentials, expires, date, asked))
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<Answer, Failure> {
        let deadline = self.deadline.min(LONGEST_ANSWER);
        http::exchange(request, &self.server, deadline, LONGEST_BODY)
            .await
            .map_err(|Silence { reason, .. }| {
                let reason = redact::shown(&reason, &[]);
                Failure::no_credentials(
                    Class::ServiceUnavailable,
                    format!(
                        "the machine's metadata server gives no credentials: {reason}; it must be reachable from the pod, or use RRSA instead"
                    ),
                )
            })
    }

    fn refused(&self, status: u16) -> Failure {
        if status < 500 {
            return Failure::no_credentials(
                Class::CredentialsMissing,
                format!(
                    "the machine's metadata server at {} refuses with HTTP {status}: allow the pod to use it (version 2), or use RRSA instead",
                    self.server
                ),
            );
        }
        self.no_answer(&format!("HTTP {status}"))
    }

    fn no_answer(&self, what: &str) -> Failure {
        Failure::no_credentials(
            Class::ServiceUnavailable,
            format!(
                "the machine's metadata server at {} answers with {what}; it is asked again",
                self.server
            ),
        )
    }
}
