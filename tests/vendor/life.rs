//! Every action with success: a task's life, with a key and with a temporary one.

use std::path::Path;

use serde_json::{Value, json};
use support::Simulator;
use support::simulator::{Filter, TaskState};

use crate::clients::{Call, Clients, Outcome, Vendor};
use crate::tally::{Tally, equal};

type Key = (&'static str, &'static str, Option<&'static str>);

const KEYS: [(&str, Key); 2] = [
    ("key", ("testid", "testsecret", None)),
    // Characters that a query and a header carry in different ways.
    (
        "triple",
        ("STS.life", "secret+/=&", Some("CAIS+abc/def==&x y")),
    ),
];

/// Checks every client with every key.
pub async fn check(python: &Path, tally: &mut Tally) {
    let simulator = Simulator::start().await.unwrap();
    let keys: Vec<Value> = KEYS
        .iter()
        .map(|(_, (id, secret, token))| json!({"id": id, "secret": secret, "token": token}))
        .collect();
    simulator
        .set_account("default", &json!({ "keys": keys }))
        .await
        .unwrap();
    let mut clients = Clients::start(python, &simulator.addresses().api).unwrap();
    for vendor in Vendor::ALL {
        for (name, key) in KEYS {
            let mut life = Life {
                simulator: &simulator,
                clients: &mut clients,
                tally,
                vendor,
                key,
                name: format!("{}-{name}", vendor.name()),
            };
            life.play().await;
        }
    }
}

struct Life<'a> {
    simulator: &'a Simulator,
    clients: &'a mut Clients,
    tally: &'a mut Tally,
    vendor: Vendor,
    key: Key,
    name: String,
}

const APP: &str = "app-01";

impl Life<'_> {
    async fn play(&mut self) {
        let (name, channel) = (self.name.clone(), format!("room-{}", self.name));
        let (host, viewer) = ("host 1", "viewer");
        self.simulator
            .set_users(APP, &channel, &[host], &[viewer])
            .await
            .unwrap();
        let since = self
            .simulator
            .calls(&Filter::default())
            .await
            .unwrap()
            .len();

        let users = json!({"AppId": APP, "ChannelId": channel});
        self.expect("DescribeChannelUsers", users, |body| {
            equal(&body["IsChannelExists"], &json!(true))?;
            equal(&body["InteractiveUserNumber"], &json!(1))?;
            equal(&body["InteractiveUserList"], &json!([host]))?;
            equal(&body["LiveUserNumber"], &json!(1))?;
            equal(&body["LiveUserList"], &json!([viewer]))?;
            equal(&body["Timestamp"].is_i64(), &true)
        })
        .await;
        let page = json!({"AppId": APP, "PageNo": 1, "PageSize": 100});
        self.expect("ListRTCLiveRooms", page.clone(), |body| {
            let rooms = body["Rooms"].as_array().ok_or("no rooms")?;
            equal(&rooms.contains(&json!(channel)), &true)?;
            equal(&body["Total"], &json!(rooms.len()))
        })
        .await;

        let url = format!("rtmp://push.example.com/live/{name}?auth_key=1-2-3*~+");
        let start = json!({
            "AppId": APP, "ChannelId": channel, "TaskId": name, "MixMode": "0", "MaxIdleTime": "120", "Region": "AP-Singapore",
            "SingleSubParams": {"UserId": host, "StreamType": "0"}, "StreamURL": url,
            "SeiParams": {"LayoutVolume": {"Interval": "1000"}, "PayloadType": "110"},
        });
        self.expect("StartLiveMPUTask", start.clone(), |_| Ok(()))
            .await;
        self.state("it runs", TaskState::Running).await;
        let one = json!({"AppId": APP, "TaskId": name});
        self.expect("ListRtcMPUTaskDetail", one.clone(), |body| {
            let [task] = body["MPUTasks"].as_array().map_or(&[][..], Vec::as_slice) else {
                return Err(format!("not one task: {body}"));
            };
            for (member, value) in start.as_object().into_iter().flatten() {
                equal(&task[member], value)?;
            }
            Ok(())
        })
        .await;

        let mixed = json!({
            "EncodeParams": {"AudioOnly": "false", "AudioBitrate": "128", "AudioSampleRate": "48000", "AudioChannels": "2", "VideoWidth": "1280",
                "VideoHeight": "720", "VideoBitrate": "2000", "VideoFramerate": "30", "VideoGop": "60", "EnhancedParam": r#"{"profile":"high"}"#},
            "Layout": {"UserPanes": [{"X": "0.1", "Y": "0", "Width": "0.5", "Height": "0.5", "ZOrder": "0", "UserInfo": {"UserId": "主播 1"}}]},
            "UserInfos": [{"UserId": "主播 1"}],
        });
        let outputs =
            json!([{"URL": format!("{url}1"), "IsAliCdn": true}, {"URL": url, "IsAliCdn": false}]);
        let update = json!({
            "AppId": APP, "ChannelId": channel, "TaskId": name, "MixMode": "1", "MultiStreamURL": outputs, "TranscodeParams": mixed,
        });
        self.expect("UpdateLiveMPUTask", update, |_| Ok(())).await;
        self.expect("ListRtcMPUTaskDetail", page, |body| {
            let tasks = body["MPUTasks"].as_array().ok_or("no tasks")?;
            let task = tasks.iter().find(|task| task["TaskId"] == json!(name));
            let task = task.ok_or("the task is not listed")?;
            equal(&task["MultiStreamURL"], &outputs)?;
            equal(&task["TranscodeParams"]["Layout"], &mixed["Layout"])?;
            equal(&task["TranscodeParams"]["UserInfos"], &mixed["UserInfos"])
        })
        .await;
        self.expect("StopLiveMPUTask", one, |_| Ok(())).await;
        self.state("it is stopped", TaskState::Stopped).await;

        let calls = self.simulator.calls(&Filter::default()).await.unwrap();
        let calls = &calls[since..];
        let what = format!("{name}: the log");
        let as_sent = calls.iter().all(|call| {
            call.authenticated
                && call.signature.as_deref() == Some(self.vendor.signature())
                && call.key_id.as_deref() == Some(self.key.0)
        });
        let seen = (calls.len(), as_sent);
        self.tally.check(&what, equal(&seen, &(7, true)));
    }

    async fn expect(
        &mut self,
        action: &'static str,
        parameters: Value,
        fits: impl Fn(&Value) -> Result<(), String>,
    ) {
        let (id, secret, token) = self.key;
        let call = Call::new(self.vendor, action, parameters).key(id, secret, token);
        let answer = self.clients.call(&call).await;
        let result = answer.and_then(|outcome| match outcome {
            Outcome::Body(body) if body["RequestId"].is_string() => fits(&body),
            other @ (Outcome::Body(_) | Outcome::Error(_)) => Err(format!("{other:?}")),
        });
        self.tally
            .check(&format!("{}: {action}", self.name), result);
    }

    async fn state(&mut self, what: &str, expected: TaskState) {
        let task = self.simulator.task(APP, &self.name).await;
        let found = task
            .map(|task| task.state)
            .map_err(|error| error.to_string());
        let result = found.and_then(|found| equal(&found, &expected));
        self.tally.check(&format!("{}: {what}", self.name), result);
    }
}
