//! The admin port. The page on the simulator has the table of what it offers.

mod tasks;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRequest, Json, Path, Query, State as Extract};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use crate::accounts::AccountPatch;
use crate::clock::{Millis, rfc3339};
use crate::faults::Order as FaultOrder;
use crate::log::{Call, Filter};
use crate::seed::Seed;
use crate::state::{Shared, State};
use crate::switches::SwitchesPatch;
use crate::world::Change;

type Simulator = Extract<Arc<Shared>>;
type Answer = Result<Json<Value>, Refused>;

/// What was wrong with an order.
struct Refused(StatusCode, String);

impl Refused {
    fn not_found(what: impl std::fmt::Display) -> Self {
        Self(StatusCode::NOT_FOUND, format!("{what} does not exist"))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

impl From<serde_json::Error> for Refused {
    fn from(error: serde_json::Error) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

/// A JSON body; an empty one is an empty object. The content type does not matter.
struct Body<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, Refused> {
        let refuse = |error: String| Refused(StatusCode::BAD_REQUEST, error);
        let bytes = axum::body::Bytes::from_request(request, state)
            .await
            .map_err(|error| refuse(error.to_string()))?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(text)
            .map(Self)
            .map_err(|error| refuse(error.to_string()))
    }
}

/// The routes.
pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/clock", get(clock).post(advance))
        .route("/seed", post(seed))
        .route("/accounts", get(accounts))
        .route("/accounts/{id}", patch(change_account))
        .route(
            "/accounts/{id}/sessions",
            get(sessions).delete(end_sessions),
        )
        .route(
            "/apps/{app}/channels/{channel}",
            get(channel).put(fill_channel),
        )
        .route(
            "/apps/{app}/tasks/{task}",
            get(tasks::one).put(tasks::start).delete(tasks::stop),
        )
        .route("/apps/{app}/tasks/{task}/detail", get(tasks::detail))
        .route("/tasks", get(tasks::all))
        .route("/switches", get(switches).patch(switch))
        .route(
            "/faults",
            get(faults).post(order_fault).delete(remove_faults),
        )
        .route("/faults/{id}", get(fault).delete(remove_fault))
        .route("/calls", get(calls))
        .route("/history", get(history))
        .route("/quota", get(quota))
        .route("/reset", post(reset))
        .with_state(shared)
}

fn show_clock(state: &mut State) -> Json<Value> {
    let now = state.now();
    Json(json!({
        "simulated": rfc3339(now.simulated),
        "simulatedMillis": now.simulated,
        "offsetMillis": state.clock.offset(),
        "realMillis": state.clock.real(now.monotonic),
        "monotonicUs": now.monotonic,
    }))
}

async fn clock(Extract(shared): Simulator) -> Json<Value> {
    show_clock(&mut shared.lock())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Advance {
    advance_seconds: f64,
}

async fn advance(Extract(shared): Simulator, Body(advance): Body<Advance>) -> Answer {
    let mut state = shared.lock();
    // A century either way keeps every time in the range of calendars.
    if advance.advance_seconds.abs() > 3.2e9 || state.clock.offset().abs() > 3_200_000_000_000 {
        return Err(Refused(
            StatusCode::BAD_REQUEST,
            "advanceSeconds: at most a century".to_owned(),
        ));
    }
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the bounds were checked above"
    )]
    let by = (advance.advance_seconds * 1000.0).round() as Millis;
    state.advance(by);
    Ok(show_clock(&mut state))
}

async fn seed(Extract(shared): Simulator, Body(seed): Body<Seed>) -> Json<Value> {
    shared.lock().plant(seed);
    Json(json!({}))
}

async fn accounts(Extract(shared): Simulator) -> Answer {
    Ok(Json(
        json!({"accounts": serde_json::to_value(shared.lock().directory.view())?}),
    ))
}

async fn change_account(
    Extract(shared): Simulator,
    Path(id): Path<String>,
    Body(patch): Body<AccountPatch>,
) -> Answer {
    if shared.lock().directory.patch(&id, patch) {
        Ok(Json(json!({})))
    } else {
        Err(Refused::not_found(format_args!("account {id}")))
    }
}

async fn sessions(Extract(shared): Simulator, Path(id): Path<String>) -> Answer {
    let state = shared.lock();
    let sessions = serde_json::to_value(state.directory.sessions(&id))?;
    Ok(Json(json!({"sessions": sessions})))
}

async fn end_sessions(Extract(shared): Simulator, Path(id): Path<String>) -> Json<Value> {
    let mut state = shared.lock();
    let now = state.now();
    state.directory.end_sessions(&id, now);
    Json(json!({}))
}

async fn channel(
    Extract(shared): Simulator,
    Path((app, channel)): Path<(String, String)>,
) -> Answer {
    let mut state = shared.lock();
    let now = state.now();
    Ok(Json(serde_json::to_value(state.world.channel(
        now,
        &state.switches,
        &app,
        &channel,
    ))?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fill {
    #[serde(default)]
    users: BTreeSet<String>,
    #[serde(default)]
    viewers: BTreeSet<String>,
}

async fn fill_channel(
    Extract(shared): Simulator,
    Path((app, channel)): Path<(String, String)>,
    Body(fill): Body<Fill>,
) -> Answer {
    let mut guard = shared.lock();
    let state = &mut *guard;
    let now = state.now();
    state.world.set_users(
        now,
        &state.switches,
        &app,
        &channel,
        fill.users,
        fill.viewers,
    );
    Ok(Json(serde_json::to_value(state.world.channel(
        now,
        &state.switches,
        &app,
        &channel,
    ))?))
}

async fn switches(Extract(shared): Simulator) -> Answer {
    Ok(Json(serde_json::to_value(&shared.lock().switches)?))
}

async fn switch(Extract(shared): Simulator, Body(patch): Body<SwitchesPatch>) -> Answer {
    let mut state = shared.lock();
    // Until now the old ones held.
    state.now();
    state.switches.apply(patch);
    Ok(Json(serde_json::to_value(&state.switches)?))
}

async fn order_fault(Extract(shared): Simulator, Body(order): Body<FaultOrder>) -> Answer {
    Ok(Json(serde_json::to_value(
        shared.lock().faults.order(order),
    )?))
}

async fn faults(Extract(shared): Simulator) -> Answer {
    Ok(Json(
        json!({"faults": serde_json::to_value(shared.lock().faults.all().collect::<Vec<_>>())?}),
    ))
}

async fn fault(Extract(shared): Simulator, Path(id): Path<u64>) -> Answer {
    let state = shared.lock();
    let fault = state
        .faults
        .get(id)
        .ok_or_else(|| Refused::not_found(format_args!("fault {id}")))?;
    Ok(Json(serde_json::to_value(fault)?))
}

async fn remove_faults(Extract(shared): Simulator) -> Json<Value> {
    shared.lock().faults.clear();
    Json(json!({}))
}

async fn remove_fault(Extract(shared): Simulator, Path(id): Path<u64>) -> Answer {
    if shared.lock().faults.remove(id) {
        Ok(Json(json!({})))
    } else {
        Err(Refused::not_found(format_args!("fault {id}")))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    since: u64,
    action: Option<String>,
    app_id: Option<String>,
    task_id: Option<String>,
    at_least: Option<usize>,
    #[serde(default)]
    within_ms: u64,
}

async fn calls(Extract(shared): Simulator, Query(wanted): Query<Wanted>) -> Answer {
    let Wanted {
        since,
        action,
        app_id,
        task_id,
        at_least,
        within_ms,
    } = wanted;
    let filter = Filter {
        since,
        action,
        app_id,
        task_id,
    };
    let deadline = Instant::now() + Duration::from_millis(within_ms.min(600_000));
    loop {
        let ended = shared.ended.notified();
        let (found, next): (Vec<Call>, u64) = {
            let state = shared.lock();
            (state.log.find(&filter).cloned().collect(), state.log.next())
        };
        let complete = found.iter().filter(|call| call.end_us.is_some()).count();
        let enough = at_least.is_none_or(|wanted| complete >= wanted);
        if enough || timeout_at(deadline, ended).await.is_err() {
            return Ok(Json(
                json!({"calls": serde_json::to_value(found)?, "next": next}),
            ));
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WantedChanges {
    #[serde(default)]
    since: usize,
    app_id: Option<String>,
    task_id: Option<String>,
}

async fn history(Extract(shared): Simulator, Query(wanted): Query<WantedChanges>) -> Answer {
    let WantedChanges {
        since,
        app_id,
        task_id,
    } = wanted;
    let mut state = shared.lock();
    state.now();
    let changes = state.world.history();
    let fits = |change: &&Change| {
        app_id.as_ref().is_none_or(|app| *app == change.app_id)
            && task_id.as_ref().is_none_or(|task| *task == change.task_id)
    };
    let found: Vec<&Change> = changes.iter().skip(since).filter(fits).collect();
    Ok(Json(
        json!({"changes": serde_json::to_value(found)?, "next": changes.len()}),
    ))
}

async fn quota(Extract(shared): Simulator) -> Answer {
    Ok(Json(
        json!({"usage": serde_json::to_value(shared.lock().log.usage())?}),
    ))
}

async fn reset(Extract(shared): Simulator) -> Json<Value> {
    shared.lock().reset();
    Json(json!({}))
}
