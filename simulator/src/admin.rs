//! The admin port. The page on the simulator has the table of what it offers.

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
use crate::world::{By, Change, Order, OutputError, StartError, Task, TaskKey};

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
            "/apps/{app}/channels/{channel}",
            get(channel).put(fill_channel),
        )
        .route(
            "/apps/{app}/tasks/{task}",
            get(task).put(start_task).delete(stop_task),
        )
        .route("/tasks", get(tasks))
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

fn show_task(key: &TaskKey, task: &Task) -> Value {
    json!({
        "appId": key.app,
        "taskId": key.task,
        "channelId": task.order.channel,
        "mixMode": task.order.mix_mode,
        "state": task.state,
        "startedBy": task.started_by,
        "stoppedBy": task.stopped_by,
        "startedAt": task.started_at,
        "updatedAt": task.updated_at,
        "stoppedAt": task.stopped_at,
        "maxIdleTime": task.order.max_idle,
        "clientMade": task.order.client_made,
        "owner": task.order.owner,
    })
}

fn show_one(state: &mut State, key: &TaskKey) -> Answer {
    state.now();
    let task = state
        .world
        .task(key)
        .ok_or_else(|| Refused::not_found(format_args!("task {}", key.task)))?;
    Ok(Json(show_task(key, task)))
}

async fn task(Extract(shared): Simulator, Path((app, task)): Path<(String, String)>) -> Answer {
    show_one(&mut shared.lock(), &TaskKey { app, task })
}

async fn tasks(Extract(shared): Simulator) -> Json<Value> {
    let mut state = shared.lock();
    state.now();
    Json(
        json!({"tasks": state.world.tasks().map(|(key, task)| show_task(key, task)).collect::<Vec<_>>()}),
    )
}

/// A task to make; what is not given has a default.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewTask {
    channel_id: Option<String>,
    mix_mode: Option<MixMode>,
    stream_urls: Option<Vec<String>>,
    users: Option<BTreeSet<String>>,
    max_idle_time: Option<u32>,
    #[serde(default)]
    client_made: bool,
    owner: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
enum MixMode {
    #[serde(rename = "0")]
    Single,
    #[serde(rename = "1")]
    Mixed,
}

impl NewTask {
    fn order(self, key: &TaskKey) -> (Order, BTreeSet<String>) {
        let channel = self
            .channel_id
            .unwrap_or_else(|| format!("channel-{}", key.task));
        let urls = self.stream_urls.unwrap_or_else(|| {
            vec![format!(
                "rtmp://push.example.com/live/{}-{}",
                key.app, key.task
            )]
        });
        let users = self
            .users
            .unwrap_or_else(|| BTreeSet::from(["host".to_owned()]));
        let mut detail = json!({
            "AppId": key.app, "ChannelId": channel, "TaskId": key.task, "Region": "CN-Shanghai",
        });
        let mix_mode = match self.mix_mode.unwrap_or(MixMode::Mixed) {
            MixMode::Single => {
                detail["SingleSubParams"] =
                    json!({"UserId": users.first().map_or("host", String::as_str)});
                "0"
            }
            MixMode::Mixed => {
                let audio = json!({
                    "AudioOnly": "true", "AudioBitrate": "128", "AudioSampleRate": "48000", "AudioChannels": "2",
                });
                detail["TranscodeParams"] = json!({"EncodeParams": audio});
                "1"
            }
        };
        detail["MixMode"] = json!(mix_mode);
        if let [url] = urls.as_slice() {
            detail["StreamURL"] = json!(url);
        } else {
            detail["MultiStreamURL"] = urls
                .iter()
                .map(|url| json!({"URL": url, "IsAliCdn": false}))
                .collect();
        }
        if let Some(seconds) = self.max_idle_time {
            detail["MaxIdleTime"] = json!(seconds.to_string());
        }
        let order = Order {
            channel,
            mix_mode: mix_mode.to_owned(),
            urls,
            max_idle: self.max_idle_time,
            client_made: self.client_made,
            owner: self.owner,
            detail: Arc::new(detail),
        };
        (order, users)
    }
}

async fn start_task(
    Extract(shared): Simulator,
    Path((app, task)): Path<(String, String)>,
    Body(new): Body<NewTask>,
) -> Answer {
    let key = TaskKey { app, task };
    let (order, users) = new.order(&key);
    let mut guard = shared.lock();
    let state = &mut *guard;
    let now = state.now();
    let channel = order.channel.clone();
    let started = state
        .world
        .start(now, &state.switches, key.clone(), order, By::Admin, None);
    started.map_err(|error| {
        let why = match error {
            StartError::Exists => "the task runs already",
            StartError::Output(OutputError::InUse) => "an output is used by another task",
            StartError::Output(OutputError::CoolingDown) => {
                "an output was used less than 10 simulated seconds ago"
            }
            StartError::NoChannel | StartError::NotCleared => "the task cannot be started",
        };
        Refused(StatusCode::CONFLICT, why.to_owned())
    })?;
    state
        .world
        .join(now, &state.switches, &key.app, &channel, users);
    show_one(state, &key)
}

async fn stop_task(
    Extract(shared): Simulator,
    Path((app, task)): Path<(String, String)>,
) -> Answer {
    let key = TaskKey { app, task };
    let mut guard = shared.lock();
    let state = &mut *guard;
    let now = state.now();
    let stopped = state
        .world
        .stop(now, &state.switches, &key, By::Admin, None);
    stopped.map_err(|_| Refused::not_found(format_args!("a running task {}", key.task)))?;
    show_one(state, &key)
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
