//! The metadata server of a machine, version 2: it gives the credentials of the machine's RAM role to whoever has a token (dossier 9.4).

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State as Extract};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use serde_json::json;
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::clock::{Millis, http_date, rfc3339};
use crate::state::{Shared, State};
use crate::sts::Session;
use crate::switches::MetadataServer;

const TOKEN_LIFE: &str = "x-aliyun-ecs-metadata-token-ttl-seconds";
const TOKEN: &str = "x-aliyun-ecs-metadata-token";

/// The longest that a token may live, in seconds.
const LONGEST: i64 = 21_600;

/// What a role's credentials live, in seconds.
const LIFE: u32 = 6 * 3600;

/// What it remembers.
#[derive(Debug, Default)]
pub struct Metadata {
    /// Tokens, and when they end.
    tokens: HashMap<String, Millis>,
    /// The key id of the triple that is given now.
    given: Option<String>,
}

type Simulator = Extract<Arc<Shared>>;

/// Serves for ever; where there is no listener, nothing.
pub async fn serve(listener: Option<TcpListener>, shared: Arc<Shared>) -> io::Result<()> {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    let roles = "/latest/meta-data/ram/security-credentials/";
    let router = Router::new()
        .route("/latest/api/token", put(token))
        .route(roles, get(role))
        .route(&format!("{roles}{{role}}"), get(credentials))
        .with_state(shared);
    axum::serve(listener, router).await
}

/// An answer with the simulated date.
fn answer(state: &mut State, status: StatusCode, body: String) -> Response {
    let date = http_date(state.now().simulated);
    (status, [(header::DATE, date)], body).into_response()
}

fn refused(state: &mut State, status: StatusCode) -> Response {
    answer(state, status, format!("{}\n", status.as_u16()))
}

/// Whether it answers at all, and if so what it answers to everything.
async fn mood(shared: &Shared) -> Option<StatusCode> {
    let mood = shared.lock().switches.metadata_server;
    match mood {
        MetadataServer::Works => None,
        MetadataServer::Denies => Some(StatusCode::FORBIDDEN),
        MetadataServer::Fails => Some(StatusCode::SERVICE_UNAVAILABLE),
        // The client leaves, and the exchange ends with its connection.
        MetadataServer::Silent => std::future::pending().await,
    }
}

async fn token(Extract(shared): Simulator, headers: HeaderMap) -> Response {
    if let Some(status) = mood(&shared).await {
        return refused(&mut shared.lock(), status);
    }
    let mut state = shared.lock();
    let seconds = headers
        .get(TOKEN_LIFE)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .filter(|seconds| (1..=LONGEST).contains(seconds));
    let Some(seconds) = seconds else {
        return refused(&mut state, StatusCode::BAD_REQUEST);
    };
    let now = state.now().simulated;
    let token = Uuid::new_v4().simple().to_string();
    state
        .metadata
        .tokens
        .insert(token.clone(), now + seconds * 1000);
    answer(&mut state, StatusCode::OK, token)
}

/// Whether the request has a token that is good.
fn has_token(state: &mut State, headers: &HeaderMap) -> bool {
    let now = state.now().simulated;
    headers
        .get(TOKEN)
        .and_then(|value| value.to_str().ok())
        .and_then(|token| state.metadata.tokens.get(token))
        .is_some_and(|end| *end > now)
}

async fn role(Extract(shared): Simulator, headers: HeaderMap) -> Response {
    if let Some(status) = mood(&shared).await {
        return refused(&mut shared.lock(), status);
    }
    let mut state = shared.lock();
    if !has_token(&mut state, &headers) {
        return refused(&mut state, StatusCode::FORBIDDEN);
    }
    let role = state.directory.instance().map(|(_, role)| role.to_owned());
    match role {
        Some(role) => answer(&mut state, StatusCode::OK, role),
        None => refused(&mut state, StatusCode::NOT_FOUND),
    }
}

async fn credentials(
    Extract(shared): Simulator,
    Path(wanted): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Some(status) = mood(&shared).await {
        return refused(&mut shared.lock(), status);
    }
    let mut state = shared.lock();
    if !has_token(&mut state, &headers) {
        return refused(&mut state, StatusCode::FORBIDDEN);
    }
    let instance = state.directory.instance();
    let Some(account) = instance
        .filter(|(_, role)| *role == wanted)
        .map(|(account, _)| account.id.clone())
    else {
        return refused(&mut state, StatusCode::NOT_FOUND);
    };
    let now = state.now().simulated;
    let session = held(&state, &wanted, now).cloned().unwrap_or_else(|| {
        let life = state.switches.triple_seconds.unwrap_or(LIFE);
        let session = Session::new(&wanted, "instance", life, now);
        state.metadata.given = Some(session.key.id.clone());
        state.directory.give_out(&account, session.clone());
        session
    });
    let mut body = session.triple();
    body.insert("Code".to_owned(), json!("Success"));
    body.insert("LastUpdated".to_owned(), json!(rfc3339(session.issued)));
    let body = serde_json::Value::Object(body).to_string();
    answer(&mut state, StatusCode::OK, body)
}

/// The triple that was given last, as long as more than half of its life is left: others come well before it ends.
fn held<'a>(state: &'a State, role: &str, now: Millis) -> Option<&'a Session> {
    let session = state.directory.session(state.metadata.given.as_deref()?)?;
    let half = session.issued + (session.end() - session.issued) / 2;
    (session.role == role && now < half).then_some(session)
}
