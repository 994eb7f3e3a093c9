//! Relays that are in order, and the limits of each field.

use serde_json::{Value, json};

use crate::scene::APP;

/// An address.
pub const URL: &str = "rtmp://push.example.com/live/s1";

/// A good spec that relays one stream.
pub fn single() -> Value {
    json!({"appId": APP, "relay": {"channelId": "room", "outputs": [{"url": URL}], "single": {"userId": "u"}}})
}

/// A good spec that mixes sound and picture, with a value for every field.
pub fn mixed() -> Value {
    json!({
        "appId": APP,
        "taskId": "t",
        "desiredState": "Running",
        "restartPolicy": "Never",
        "maxDurationSeconds": 14400,
        "relay": {
            "channelId": "room",
            "region": "CN-Shanghai",
            "maxIdleSeconds": 120,
            "outputs": [
                {"url": URL, "aliCdn": true},
                {"urlFrom": {"secretKeyRef": {"name": "push", "key": "url"}}, "aliCdn": false},
            ],
            "mixed": {
                "background": {"url": "https://i.example/b.png", "renderMode": "Fit"},
                "encode": {
                    "audioOnly": false, "audioBitrate": 128, "audioSampleRate": 48000, "audioChannels": 2,
                    "videoWidth": 1280, "videoHeight": 720, "videoBitrate": 1500, "videoFramerate": 25, "videoGop": 50,
                    "videoCodec": "H.264", "enhancedParam": {"profile": "high", "preset": "veryfast"},
                },
                "layout": {"userPanes": [{
                    "x": "0", "y": "0.5", "width": "1", "height": "0.2456", "zOrder": 0, "renderMode": "Crop",
                    "backgroundImageUrl": "https://i.example/away.png",
                    "userInfo": {"userId": "主播 1", "channelId": "room-2", "sourceType": "camera"},
                }]},
                "users": [{"userId": "主播 1", "channelId": "room-2", "streamType": "Original", "sourceType": "camera"}],
            },
            "sei": {
                "layoutVolume": {"followIdr": true, "intervalMilliseconds": 1000},
                "passThrough": {
                    "payloadContent": "x", "payloadContentKey": "k", "followIdr": false, "intervalMilliseconds": 5000,
                },
                "payloadType": 100,
            },
        },
    })
}

/// A good spec that mixes sound alone.
pub fn sound() -> Value {
    let encode =
        json!({"audioOnly": true, "audioBitrate": 64, "audioSampleRate": 8000, "audioChannels": 1});
    json!({"appId": APP, "relay": {"channelId": "room", "outputs": [{"url": URL}], "mixed": {"encode": encode}}})
}

/// `spec` with another value at a JSON pointer, or with a new member there.
pub fn with(mut spec: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match spec.pointer_mut(parent).unwrap() {
        Value::Object(map) => drop(map.insert(name.to_owned(), value)),
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => panic!("{pointer}"),
    }
    spec
}

/// `spec` without what a JSON pointer leads to.
pub fn without(mut spec: Value, pointer: &str) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = spec.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    assert!(parent.remove(name).is_some(), "{pointer}");
    spec
}

/// `/relay/outputs/0/url` as the API server writes it.
pub fn path(pointer: &str) -> String {
    let step = |part: &str| {
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            format!("[{part}]")
        } else {
            format!(".{part}")
        }
    };
    let steps: String = pointer.split('/').skip(1).map(step).collect();
    format!("spec{steps}")
}

/// Whole numbers with their bounds.
pub const NUMBERS: [(&str, i64, Option<i64>); 13] = [
    ("/maxDurationSeconds", 1, None),
    ("/relay/maxIdleSeconds", 10, Some(86_400)),
    ("/relay/mixed/encode/audioBitrate", 8, Some(500)),
    ("/relay/mixed/encode/audioChannels", 1, Some(2)),
    ("/relay/mixed/encode/videoWidth", 0, Some(1920)),
    ("/relay/mixed/encode/videoHeight", 0, Some(1920)),
    ("/relay/mixed/encode/videoBitrate", 1, Some(10_000)),
    ("/relay/mixed/encode/videoFramerate", 1, Some(60)),
    ("/relay/mixed/encode/videoGop", 1, Some(60)),
    ("/relay/mixed/layout/userPanes/0/zOrder", 0, None),
    (
        "/relay/sei/layoutVolume/intervalMilliseconds",
        1000,
        Some(5000),
    ),
    (
        "/relay/sei/passThrough/intervalMilliseconds",
        1000,
        Some(5000),
    ),
    ("/relay/sei/payloadType", 100, Some(254)),
];

/// Words, all that there are.
pub const WORDS: [(&str, &[&str]); 11] = [
    ("/desiredState", &["Running", "Stopped"]),
    ("/restartPolicy", &["Never", "WhenChannelReturns"]),
    (
        "/relay/region",
        &["CN-Shanghai", "AP-Singapore", "EMAA-Saudi"],
    ),
    ("/relay/mixed/background/renderMode", &["Fit", "Crop"]),
    ("/relay/mixed/encode/videoCodec", &["H.264"]),
    (
        "/relay/mixed/encode/enhancedParam/profile",
        &["baseline", "main", "high"],
    ),
    (
        "/relay/mixed/encode/enhancedParam/preset",
        &[
            "ultrafast",
            "superfast",
            "veryfast",
            "faster",
            "fast",
            "medium",
            "slow",
            "slower",
            "veryslow",
            "placebo",
        ],
    ),
    (
        "/relay/mixed/layout/userPanes/0/renderMode",
        &["Fit", "Crop"],
    ),
    (
        "/relay/mixed/layout/userPanes/0/userInfo/sourceType",
        &["camera", "shareScreen"],
    ),
    ("/relay/mixed/users/0/streamType", &["Original", "Video"]),
    (
        "/relay/mixed/users/0/sourceType",
        &["camera", "shareScreen"],
    ),
];

/// Texts with their longest length.
pub const TEXTS: [(&str, usize); 8] = [
    ("/relay/mixed/background/url", 2048),
    ("/relay/mixed/layout/userPanes/0/backgroundImageUrl", 2048),
    ("/relay/mixed/users/0/userId", 256),
    ("/relay/sei/passThrough/payloadContent", 4096),
    ("/relay/sei/passThrough/payloadContentKey", 256),
    ("/relay/channelId", 64),
    ("/relay/mixed/users/0/channelId", 64),
    ("/relay/mixed/layout/userPanes/0/userInfo/channelId", 64),
];

pub const FRACTIONS: [&str; 4] = ["x", "y", "width", "height"];
