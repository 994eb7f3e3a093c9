//! Tasks on the admin port: made, shown and stopped as if by somebody else.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Json, Path, State as Extract};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Body, Refused, Simulator};
use crate::accounts::called;
use crate::state::State;
use crate::world::{By, Order, OutputError, StartError, Task, TaskKey};

fn show(key: &TaskKey, task: &Task) -> Value {
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
    Ok(Json(show(key, task)))
}

pub async fn one(Extract(shared): Simulator, Path((app, task)): Path<(String, String)>) -> Answer {
    show_one(&mut shared.lock(), &TaskKey { app, task })
}

/// The parameters that were accepted last, as the list shows them: output addresses included.
pub async fn detail(
    Extract(shared): Simulator,
    Path((app, task)): Path<(String, String)>,
) -> Answer {
    let key = TaskKey { app, task };
    let mut state = shared.lock();
    state.now();
    let task = state
        .world
        .task(&key)
        .ok_or_else(|| Refused::not_found(format_args!("task {}", key.task)))?;
    Ok(Json(Value::clone(&task.order.detail)))
}

pub async fn all(Extract(shared): Simulator) -> Json<Value> {
    let mut state = shared.lock();
    state.now();
    Json(
        json!({"tasks": state.world.tasks().map(|(key, task)| show(key, task)).collect::<Vec<_>>()}),
    )
}

/// A task to make; what is not given has a default.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewTask {
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
            "AppId": called(&key.app), "ChannelId": channel, "TaskId": key.task, "Region": "CN-Shanghai",
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

pub async fn start(
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
            StartError::NoChannel
            | StartError::NotCleared
            | StartError::TooMany
            | StartError::Output(OutputError::CoolingDown) => "the task cannot be started",
        };
        Refused(StatusCode::CONFLICT, why.to_owned())
    })?;
    state
        .world
        .join(now, &state.switches, &key.app, &channel, users);
    show_one(state, &key)
}

pub async fn stop(Extract(shared): Simulator, Path((app, task)): Path<(String, String)>) -> Answer {
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
