//! What the operator's client sends beside what the vendor's clients send for the same parameters: equal, nonce, date and signature aside.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use mixed_stream_operator::live::wire::{
    Background, EncodeParams, EnhancedParam, Layout, LayoutVolume, Leaf, PaneUser, PassThrough,
    Preset, Profile, Region, RenderMode, SeiParams, SingleSubParams, SourceType, StreamType,
    Switch, TranscodeParams, UserInfo, UserPane, VideoCodec,
};
use mixed_stream_operator::live::{
    AppId, ChannelId, Client, ClientConfig, Credentials, Endpoint, Media, Output, Provider, Relay,
    Signature, TaskId,
};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::clients::{Call, Clients, Outcome, Vendor};
use crate::recorder::{Recorder, Request};
use crate::tally::{Tally, equal};

const KEY: (&str, &str, Option<&str>) = ("STS.wire", "secret", Some("CAIS+abc/def==&x"));
const APP: &str = "app-01";
const TASK: &str = "task_01-A";
const CHANNEL: &str = "ch-01";

/// One call of ours, and the same in the vendor's terms.
struct Case {
    what: &'static str,
    ours: Ours,
    action: &'static str,
    theirs: Value,
}

enum Ours {
    Start(Box<Relay>),
    Update(Box<Relay>),
    Stop,
    ListTask,
    ListPage(u32),
    Users,
    Rooms(u32),
}

/// Compares every call, with both signatures, with every client that sends that signature.
pub async fn check(python: &Path, tally: &mut Tally) {
    // Fails where the process has a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut recorder = Recorder::start().await;
    let mut clients = Clients::start(python, &recorder.address.to_string()).unwrap();
    for vendor in Vendor::ALL {
        let signature = match vendor {
            Vendor::NewV3 => Signature::V3,
            Vendor::NewV1 | Vendor::OldV1 => Signature::V1,
        };
        let client = client(&recorder, signature);
        for case in cases() {
            let what = format!("{}: {}: the same request", vendor.name(), case.what);
            let result = compare(&mut recorder, &mut clients, &client, vendor, &case).await;
            tally.check(&what, result);
        }
    }
}

fn client(recorder: &Recorder, signature: Signature) -> Client {
    let endpoint = Endpoint::parse(&format!("http://{}", recorder.address), true).unwrap();
    let config = ClientConfig {
        sts: endpoint.clone(),
        endpoint,
        proxy_from_environment: false,
        call_deadline: Duration::from_secs(30),
        signature,
    };
    let (id, secret, token) = KEY;
    let credentials = Credentials::new(id, SecretString::from(secret), token.map(Into::into));
    Client::new(config, Provider::fixed(Some(credentials))).unwrap()
}

async fn compare(
    recorder: &mut Recorder,
    clients: &mut Clients,
    client: &Client,
    vendor: Vendor,
    case: &Case,
) -> Result<(), String> {
    send(client, &case.ours).await?;
    let ours = recorder.only()?;
    let (id, secret, token) = KEY;
    let mut theirs = case.theirs.clone();
    if let (Vendor::OldV1, Some(mixed)) = (vendor, theirs.get_mut("TranscodeParams"))
        && mixed.get("UserInfos").is_none()
    {
        // It writes what it is given. The newer one adds the empty list by itself, and so do we.
        mixed["UserInfos"] = json!([]);
    }
    let call = Call::new(vendor, case.action, theirs).key(id, secret, token);
    match clients.call(&call).await? {
        Outcome::Body(_) => {}
        Outcome::Error(error) => return Err(format!("{error:?}")),
    }
    let theirs = recorder.only()?;
    equal(&ours.line, &theirs.line)?;
    match vendor {
        Vendor::NewV3 => {
            equal(&ours.query, &theirs.query)?;
            equal(&authorization(&ours)?, &authorization(&theirs)?)?;
            equal(&v3_headers(&ours), &v3_headers(&theirs))
        }
        Vendor::NewV1 => {
            equal(&headers(&ours), &headers(&theirs))?;
            equal(&v1_parameters(&ours), &v1_parameters(&theirs))
        }
        Vendor::OldV1 => {
            equal(&headers(&ours), &headers(&theirs))?;
            let mut theirs = v1_parameters(&theirs);
            equal(&theirs.remove("RegionId").as_deref(), &Some("cn-shanghai"))?;
            equal(&theirs.remove("SignatureType").as_deref(), &Some(""))?;
            // It writes JSON with blanks and `\u`: the same values all the same.
            equal(&read(v1_parameters(&ours)), &read(theirs))
        }
    }
}

/// The parameters without what differs in every call, and with the form of the answer in one spelling.
fn v1_parameters(request: &Request) -> BTreeMap<String, String> {
    let mut parameters = request.query.clone();
    for fresh in ["SignatureNonce", "Timestamp", "Signature"] {
        assert!(
            parameters
                .remove(fresh)
                .is_some_and(|value| !value.is_empty())
        );
    }
    if let Some(format) = parameters.get_mut("Format") {
        *format = format.to_ascii_uppercase();
    }
    parameters
}

/// The same without what differs in every call.
fn v3_headers(request: &Request) -> BTreeMap<String, String> {
    let mut headers = headers(request);
    headers.extend(
        request
            .headers
            .get_key_value("accept")
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    for fresh in ["x-acs-signature-nonce", "x-acs-date"] {
        assert!(headers.remove(fresh).is_some_and(|value| !value.is_empty()));
    }
    headers
}

/// The headers that the protocol asks for.
fn headers(request: &Request) -> BTreeMap<String, String> {
    let mut headers = request.headers.clone();
    // What the newer client adds for information (dossier 6.1).
    headers.remove("x-acs-credentials-provider");
    headers.retain(|name, _| {
        name.starts_with("x-acs-") || ["host", "content-length"].contains(&name.as_str())
    });
    headers
}

/// The header `Authorization` of V3 up to its signature: algorithm, key and the names of what is signed, as far as the protocol asks for it.
fn authorization(request: &Request) -> Result<(String, Vec<String>), String> {
    let value = request.headers.get("authorization").ok_or("not signed")?;
    let (rest, signature) = value.split_once(",Signature=").ok_or("no signature")?;
    equal(&signature.len(), &64)?;
    let (start, names) = rest
        .split_once(",SignedHeaders=")
        .ok_or("nothing is signed")?;
    let is_asked_for = |name: &&str| {
        *name == "host" || name.starts_with("x-acs-") && *name != "x-acs-credentials-provider"
    };
    let names = names.split(';').filter(is_asked_for).map(str::to_owned);
    Ok((start.to_owned(), names.collect()))
}

fn read(parameters: BTreeMap<String, String>) -> BTreeMap<String, Value> {
    let value = |text: String| match serde_json::from_str(&text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => value,
        Ok(_) | Err(_) => Value::String(text),
    };
    let read = parameters.into_iter();
    read.map(|(name, text)| (name, value(text))).collect()
}

async fn send(client: &Client, ours: &Ours) -> Result<(), String> {
    let app = AppId::try_from(APP).unwrap();
    let task = TaskId::try_from(TASK).unwrap();
    let channel = ChannelId::try_from(CHANNEL).unwrap();
    let sent = match ours {
        Ours::Start(relay) => client.start(&app, &task, relay).await.map(drop),
        Ours::Update(relay) => client.update(&app, &task, relay).await.map(drop),
        Ours::Stop => client.stop(&app, &task).await.map(drop),
        Ours::ListTask => client.list_task(&app, &task).await.map(drop),
        Ours::ListPage(page) => client.list_page(&app, *page).await.map(drop),
        Ours::Users => client.channel_users(&app, &channel).await.map(drop),
        Ours::Rooms(page) => client.live_rooms(&app, *page).await.map(drop),
    };
    sent.map_err(|failure| format!("{failure:?}"))
}

fn output(url: &str, ali_cdn: Option<bool>) -> Output {
    Output::new(SecretString::from(url), ali_cdn).unwrap()
}

fn single() -> Relay {
    Relay {
        channel: ChannelId::try_from(CHANNEL).unwrap(),
        region: None,
        max_idle: None,
        outputs: vec![output(
            "rtmp://push.example.com/live/s1?auth_key=1-2-3",
            None,
        )],
        media: Media::Single(SingleSubParams {
            source_type: None,
            stream_type: None,
            user_id: "主播 1+&=%*~".to_owned(),
        }),
        sei: None,
    }
}

/// Every parameter that there is (dossier 3.1).
fn mixed() -> Relay {
    Relay {
        region: Some(Region::ApSingapore),
        max_idle: Some(Duration::from_mins(2)),
        outputs: vec![
            output(
                "rtmp://push.example.com/live/s1?auth_key=1-2-3*~",
                Some(true),
            ),
            output("rtmp://b.example.com:1936/x/y", Some(false)),
            output("rtmp://c.example.com/z", None),
        ],
        media: Media::Mixed(Box::new(TranscodeParams {
            background: Some(Background {
                render_mode: Some(RenderMode::Fit),
                url: "https://h.example/back ground.png".to_owned(),
            }),
            encode_params: EncodeParams {
                audio_bitrate: Some(Leaf(128)),
                audio_channels: Some(Leaf(2)),
                audio_only: Some(Leaf(false)),
                audio_sample_rate: Some(Leaf(48_000)),
                enhanced_param: Some(EnhancedParam {
                    preset: Some(Preset::Veryfast),
                    profile: Some(Profile::High),
                }),
                video_bitrate: Some(Leaf(2000)),
                video_codec: Some(VideoCodec::H264),
                video_framerate: Some(Leaf(30)),
                video_gop: Some(Leaf(60)),
                video_height: Some(Leaf(720)),
                video_width: Some(Leaf(1280)),
            },
            layout: Some(Layout {
                user_panes: vec![UserPane {
                    background_image_url: Some("https://h.example/p.png".to_owned()),
                    height: Some("0.5".to_owned()),
                    render_mode: Some(RenderMode::Crop),
                    user_info: Some(PaneUser {
                        channel_id: Some("other".to_owned()),
                        source_type: Some(SourceType::ShareScreen),
                        user_id: Some("主播 1".to_owned()),
                    }),
                    width: Some("0.2456".to_owned()),
                    x: Some("0".to_owned()),
                    y: Some("0.5".to_owned()),
                    z_order: Some(Leaf(0)),
                }],
            }),
            user_infos: vec![UserInfo {
                channel_id: Some("other".to_owned()),
                source_type: Some(SourceType::ShareScreen),
                stream_type: Some(StreamType::Video),
                user_id: "主播 1".to_owned(),
            }],
        })),
        sei: Some(SeiParams {
            layout_volume: Some(LayoutVolume {
                follow_idr: Some(Switch(true)),
                interval: Some(Leaf(1000)),
            }),
            pass_through: Some(PassThrough {
                follow_idr: Some(Switch(false)),
                interval: Some(Leaf(5000)),
                payload_content: Some("a \"text\"".to_owned()),
                payload_content_key: Some("udd".to_owned()),
            }),
            payload_type: Some(Leaf(110)),
        }),
        ..single()
    }
}

fn mixed_in_their_terms() -> Value {
    json!({
        "MixMode": "1",
        "MultiStreamURL": [
            {"URL": "rtmp://push.example.com/live/s1?auth_key=1-2-3*~", "IsAliCdn": true},
            {"URL": "rtmp://b.example.com:1936/x/y", "IsAliCdn": false},
            {"URL": "rtmp://c.example.com/z"},
        ],
        "TranscodeParams": {
            "Background": {"RenderMode": "0", "URL": "https://h.example/back ground.png"},
            "EncodeParams": {
                "AudioOnly": "false", "AudioBitrate": "128", "AudioChannels": "2", "AudioSampleRate": "48000",
                // The members' order inside this text is the caller's.
                "EnhancedParam": r#"{"preset":"veryfast","profile":"high"}"#,
                "VideoBitrate": "2000", "VideoCodec": "H.264", "VideoFramerate": "30", "VideoGop": "60", "VideoHeight": "720", "VideoWidth": "1280",
            },
            "Layout": {"UserPanes": [{
                "BackgroundImageUrl": "https://h.example/p.png", "Height": "0.5", "RenderMode": "1", "Width": "0.2456", "X": "0", "Y": "0.5",
                "ZOrder": "0", "UserInfo": {"ChannelId": "other", "SourceType": "shareScreen", "UserId": "主播 1"},
            }]},
            "UserInfos": [{"ChannelId": "other", "SourceType": "shareScreen", "StreamType": "2", "UserId": "主播 1"}],
        },
        "SeiParams": {
            "LayoutVolume": {"FollowIdr": "1", "Interval": "1000"},
            "PassThrough": {"FollowIdr": "0", "Interval": "5000", "PayloadContent": "a \"text\"", "PayloadContentKey": "udd"},
        },
    })
}

fn sound() -> Relay {
    Relay {
        media: Media::Mixed(Box::new(TranscodeParams {
            encode_params: EncodeParams {
                audio_only: Some(Leaf(true)),
                ..EncodeParams::default()
            },
            ..TranscodeParams::default()
        })),
        sei: Some(SeiParams {
            layout_volume: Some(LayoutVolume::default()),
            ..SeiParams::default()
        }),
        ..single()
    }
}

fn sound_in_their_terms() -> Value {
    json!({
        "MixMode": "1", "StreamURL": "rtmp://push.example.com/live/s1?auth_key=1-2-3",
        "TranscodeParams": {"EncodeParams": {"AudioOnly": "true"}}, "SeiParams": {"LayoutVolume": {}},
    })
}

fn screen() -> Relay {
    Relay {
        media: Media::Single(SingleSubParams {
            source_type: Some(SourceType::ShareScreen),
            stream_type: Some(StreamType::Video),
            user_id: "u".to_owned(),
        }),
        region: Some(Region::CnShanghai),
        max_idle: Some(Duration::from_hours(24)),
        outputs: vec![output("rtmp://h/x", Some(true))],
        ..single()
    }
}

fn screen_in_their_terms() -> Value {
    json!({
        "MixMode": "0", "Region": "CN-Shanghai", "MaxIdleTime": "86400", "MultiStreamURL": [{"URL": "rtmp://h/x", "IsAliCdn": true}],
        "SingleSubParams": {"UserId": "u", "StreamType": "2", "SourceType": "shareScreen"},
    })
}

fn single_in_their_terms() -> Value {
    json!({
        "MixMode": "0", "StreamURL": "rtmp://push.example.com/live/s1?auth_key=1-2-3", "SingleSubParams": {"UserId": "主播 1+&=%*~"},
    })
}

/// What Start alone takes besides.
fn started(mut theirs: Value) -> Value {
    theirs["Region"] = json!("AP-Singapore");
    theirs["MaxIdleTime"] = json!("120");
    theirs["SeiParams"]["PayloadType"] = json!("110");
    theirs
}

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    let case = |what, ours, action, mut theirs: Value| {
        theirs["AppId"] = json!(APP);
        Case { what, ours, action, theirs }
    };
    let order = |what, ours, action, mut theirs: Value| {
        theirs["ChannelId"] = json!(CHANNEL);
        theirs["TaskId"] = json!(TASK);
        case(what, ours, action, theirs)
    };
    let start = |what, relay: Relay, theirs| order(what, Ours::Start(Box::new(relay)), "StartLiveMPUTask", theirs);
    let update = |what, relay: Relay, theirs| order(what, Ours::Update(Box::new(relay)), "UpdateLiveMPUTask", theirs);
    vec![
        start("Start, single", single(), single_in_their_terms()),
        start("Start, single, a shared screen", screen(), screen_in_their_terms()),
        start("Start, mixed, sound alone, SEI by default", sound(), sound_in_their_terms()),
        start("Start, mixed, every parameter", mixed(), started(mixed_in_their_terms())),
        update("Update, single", single(), single_in_their_terms()),
        update("Update, mixed, sound alone", sound(), sound_in_their_terms()),
        update("Update, mixed, every parameter", mixed(), mixed_in_their_terms()),
        case("Stop", Ours::Stop, "StopLiveMPUTask", json!({"TaskId": TASK})),
        case("List, one task", Ours::ListTask, "ListRtcMPUTaskDetail", json!({"TaskId": TASK})),
        case("List, a page", Ours::ListPage(3), "ListRtcMPUTaskDetail", json!({"PageNo": 3, "PageSize": 100})),
        case("Users", Ours::Users, "DescribeChannelUsers", json!({"ChannelId": CHANNEL})),
        case("Rooms", Ours::Rooms(2), "ListRTCLiveRooms", json!({"PageNo": 2, "PageSize": 100})),
    ]
}
