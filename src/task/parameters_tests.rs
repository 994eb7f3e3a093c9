#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use super::*;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

/// The parameters of a spec whose outputs all name their address.
fn read(spec: &Value) -> Result<live::Relay, String> {
    let relay: Relay = serde_json::from_value(spec.clone()).unwrap();
    let urls: Vec<SecretString> = relay
        .outputs
        .iter()
        .map(|output| {
            output
                .url
                .as_ref()
                .map_or("", said::IngestUrl::expose)
                .into()
        })
        .collect();
    parameters(&relay, &urls)
}

fn told(parameters: &live::Parameters) -> Vec<(&'static str, &str)> {
    let mut told: Vec<_> = parameters
        .iter()
        .map(|(name, value)| (*name, value.expose_secret()))
        .collect();
    told.sort_unstable();
    told
}

const URL: &str = "rtmp://push.example.com/live/s1";

/// A relay of one stream.
fn single(single: &Value) -> Value {
    json!({"channelId": "room-42", "outputs": [{"url": URL}], "single": single})
}

/// A relay that mixes.
fn mixed(mixed: &Value) -> Value {
    json!({"channelId": "room-42", "outputs": [{"url": URL}], "mixed": mixed})
}

fn sound() -> Value {
    json!({"audioOnly": true, "audioBitrate": 64, "audioSampleRate": 48000, "audioChannels": 2})
}

const SOUND: &str =
    r#""AudioBitrate":"64","AudioChannels":"2","AudioOnly":"true","AudioSampleRate":"48000""#;

#[test]
fn one_stream_as_it_is() {
    for (spec, expected) in [
        (json!({"userId": "u"}), r#"{"UserId":"u"}"#),
        (
            json!({"userId": "主播\"1\"", "streamType": "Original"}),
            r#"{"StreamType":"0","UserId":"主播\"1\""}"#,
        ),
        (
            json!({"userId": "u", "streamType": "Audio"}),
            r#"{"StreamType":"1","UserId":"u"}"#,
        ),
        (
            json!({"userId": "u", "streamType": "Video", "sourceType": "camera"}),
            r#"{"SourceType":"camera","StreamType":"2","UserId":"u"}"#,
        ),
        (
            json!({"userId": "u", "streamType": "Video", "sourceType": "shareScreen"}),
            r#"{"SourceType":"shareScreen","StreamType":"2","UserId":"u"}"#,
        ),
    ] {
        let relay = read(&single(&spec)).unwrap();
        let expected = [
            ("ChannelId", "room-42"),
            ("MixMode", "0"),
            ("SingleSubParams", expected),
            ("StreamURL", URL),
        ];
        assert_eq!(told(&relay.start_parameters()), expected);
        assert_eq!(told(&relay.update_parameters()), expected);
    }
}

#[test]
fn every_field_of_mixing() {
    let relay = read(&json!({
        "channelId": "room-42",
        "region": "EMAA-Saudi",
        "maxIdleSeconds": 120,
        "outputs": [
            {"url": "rtmp://a.example/live/s1?auth_key=1-0-0-f", "aliCdn": true},
            {"url": "rtmp://b.example/live/s1", "aliCdn": false},
            {"url": "rtmp://c.example/live/s1"},
        ],
        "mixed": {
            "background": {"url": "https://i.example/背景.png", "renderMode": "Fit"},
            "encode": {
                "audioOnly": false, "audioBitrate": 128, "audioSampleRate": 44100, "audioChannels": 1,
                "videoWidth": 1280, "videoHeight": 720, "videoBitrate": 1500, "videoFramerate": 25, "videoGop": 50,
                "videoCodec": "H.265", "enhancedParam": {"profile": "main", "preset": "veryfast"},
            },
            "layout": {"userPanes": [
                {
                    "x": "0", "y": "0.5", "width": "1.0", "height": "0.2456", "zOrder": 3, "renderMode": "Crop",
                    "backgroundImageUrl": "https://i.example/away.png",
                    "userInfo": {"userId": "主播", "channelId": "room-43", "sourceType": "shareScreen"},
                },
                {"x": "0.5", "y": "0", "width": "0.5", "height": "0.5", "zOrder": 0},
            ]},
            "users": [
                {"userId": "主播", "channelId": "room-43", "streamType": "Video", "sourceType": "shareScreen"},
                {"userId": "b"},
            ],
        },
        "sei": {
            "layoutVolume": {"followIdr": true, "intervalMilliseconds": 1000},
            "passThrough": {
                "payloadContent": "x=\"1\"", "payloadContentKey": "key", "followIdr": false, "intervalMilliseconds": 5000,
            },
            "payloadType": 110,
        },
    }))
    .unwrap();
    let outputs = r#"[{"IsAliCdn":true,"URL":"rtmp://a.example/live/s1?auth_key=1-0-0-f"},{"IsAliCdn":false,"URL":"rtmp://b.example/live/s1"},{"URL":"rtmp://c.example/live/s1"}]"#;
    let transcode = concat!(
        r#"{"Background":{"RenderMode":"0","URL":"https://i.example/背景.png"},"#,
        r#""EncodeParams":{"AudioBitrate":"128","AudioChannels":"1","AudioOnly":"false","AudioSampleRate":"44100","#,
        r#""EnhancedParam":"{\"preset\":\"veryfast\",\"profile\":\"main\"}","VideoBitrate":"1500","VideoCodec":"H.265","#,
        r#""VideoFramerate":"25","VideoGop":"50","VideoHeight":"720","VideoWidth":"1280"},"#,
        r#""Layout":{"UserPanes":[{"BackgroundImageUrl":"https://i.example/away.png","Height":"0.2456","RenderMode":"1","#,
        r#""UserInfo":{"ChannelId":"room-43","SourceType":"shareScreen","UserId":"主播"},"Width":"1.0","X":"0","Y":"0.5","ZOrder":"3"},"#,
        r#"{"Height":"0.5","Width":"0.5","X":"0.5","Y":"0","ZOrder":"0"}]},"#,
        r#""UserInfos":[{"ChannelId":"room-43","SourceType":"shareScreen","StreamType":"2","UserId":"主播"},{"UserId":"b"}]}"#,
    );
    let passed = r#""LayoutVolume":{"FollowIdr":"1","Interval":"1000"},"PassThrough":{"FollowIdr":"0","Interval":"5000","PayloadContent":"x=\"1\"","PayloadContentKey":"key"}"#;
    assert_eq!(
        told(&relay.start_parameters()),
        [
            ("ChannelId", "room-42"),
            ("MaxIdleTime", "120"),
            ("MixMode", "1"),
            ("MultiStreamURL", outputs),
            ("Region", "EMAA-Saudi"),
            ("SeiParams", &format!(r#"{{{passed},"PayloadType":"110"}}"#)),
            ("TranscodeParams", transcode),
        ]
    );
    assert_eq!(
        told(&relay.update_parameters()),
        [
            ("ChannelId", "room-42"),
            ("MixMode", "1"),
            ("MultiStreamURL", outputs),
            ("SeiParams", &format!("{{{passed}}}")),
            ("TranscodeParams", transcode),
        ]
    );
}

#[test]
fn what_is_not_said_is_not_sent() {
    let relay = read(&mixed(&json!({"encode": sound()}))).unwrap();
    let transcode = format!(r#"{{"EncodeParams":{{{SOUND}}},"UserInfos":[]}}"#);
    let expected = [
        ("ChannelId", "room-42"),
        ("MixMode", "1"),
        ("StreamURL", URL),
        ("TranscodeParams", transcode.as_str()),
    ];
    assert_eq!(told(&relay.start_parameters()), expected);
    assert_eq!(told(&relay.update_parameters()), expected);
    let no_users = read(&mixed(&json!({"encode": sound(), "users": []}))).unwrap();
    assert_eq!(told(&no_users.start_parameters()), expected);
}

#[test]
fn the_parts_of_sei() {
    for (sei, start, update) in [
        (json!({}), "{}", "{}"),
        (
            json!({"layoutVolume": {}}),
            r#"{"LayoutVolume":{}}"#,
            r#"{"LayoutVolume":{}}"#,
        ),
        (
            json!({"passThrough": {"payloadContent": "é"}}),
            r#"{"PassThrough":{"PayloadContent":"é"}}"#,
            r#"{"PassThrough":{"PayloadContent":"é"}}"#,
        ),
        (
            json!({"payloadType": 100}),
            r#"{"PayloadType":"100"}"#,
            "{}",
        ),
    ] {
        let mut spec = single(&json!({"userId": "u"}));
        spec["sei"] = sei;
        let relay = read(&spec).unwrap();
        assert!(told(&relay.start_parameters()).contains(&("SeiParams", start)));
        assert!(told(&relay.update_parameters()).contains(&("SeiParams", update)));
    }
}

/// The codes and words of every enumeration, each where the service reads it.
#[test]
fn every_word_has_its_code() {
    let encode = |field: &str, value: &Value| {
        let mut encode = sound();
        encode[field] = value.clone();
        mixed(&json!({"encode": encode}))
    };
    let region = |word: &str| {
        let mut spec = single(&json!({"userId": "u"}));
        spec["region"] = json!(word);
        spec
    };
    let profile = |word: &str| encode("enhancedParam", &json!({"profile": word}));
    let preset = |word: &str| encode("enhancedParam", &json!({"preset": word}));
    let mut table = vec![];
    for word in ["CN-Shanghai", "AP-Singapore", "EMAA-Saudi"] {
        table.push((region(word), "Region", word.to_owned()));
    }
    for word in ["H.264", "H.265"] {
        let wire = format!(r#""VideoCodec":"{word}""#);
        table.push((encode("videoCodec", &json!(word)), "TranscodeParams", wire));
    }
    for word in ["baseline", "main", "high"] {
        let wire = format!(r#""EnhancedParam":"{{\"profile\":\"{word}\"}}""#);
        table.push((profile(word), "TranscodeParams", wire));
    }
    for word in [
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
    ] {
        let wire = format!(r#""EnhancedParam":"{{\"preset\":\"{word}\"}}""#);
        table.push((preset(word), "TranscodeParams", wire));
    }
    for (word, code) in [("Fit", "0"), ("Crop", "1")] {
        let background = json!({"url": "https://i.example/b.png", "renderMode": word});
        let spec = mixed(&json!({"encode": sound(), "background": background}));
        table.push((
            spec,
            "TranscodeParams",
            format!(r#"{{"RenderMode":"{code}","#),
        ));
    }
    for (spec, name, wire) in table {
        let relay = read(&spec).unwrap();
        let sent = relay.start_parameters();
        let value = told(&sent)
            .into_iter()
            .find(|(told, _)| *told == name)
            .map(|(_, value)| value.to_owned());
        assert!(
            value.as_ref().is_some_and(|value| value.contains(&wire)),
            "{name} {wire} {value:?}"
        );
    }
}

#[test]
fn one_address_that_is_said_to_be_the_vendors_goes_where_that_can_be_said() {
    for (output, name, value) in [
        (json!({"url": URL}), "StreamURL", URL.to_owned()),
        (
            json!({"url": URL, "aliCdn": true}),
            "MultiStreamURL",
            format!(r#"[{{"IsAliCdn":true,"URL":"{URL}"}}]"#),
        ),
        (
            json!({"url": URL, "aliCdn": false}),
            "MultiStreamURL",
            format!(r#"[{{"IsAliCdn":false,"URL":"{URL}"}}]"#),
        ),
    ] {
        let spec = json!({"channelId": "c", "outputs": [output], "single": {"userId": "u"}});
        let relay = read(&spec).unwrap();
        assert!(told(&relay.start_parameters()).contains(&(name, value.as_str())));
    }
}

#[test]
fn what_the_service_would_not_take_is_told_by_its_field_and_without_the_address() {
    let from_secret = json!([
        {"url": URL},
        {"urlFrom": {"secretKeyRef": {"name": "push", "key": "url"}}},
    ]);
    let spec =
        |outputs: &Value| json!({"channelId": "c", "outputs": outputs, "single": {"userId": "u"}});
    let with_secret = |url: &str| {
        let relay: Relay = serde_json::from_value(spec(&from_secret)).unwrap();
        parameters(&relay, &[URL.into(), url.into()])
    };
    let field = "spec.relay.outputs[1].urlFrom (key url of Secret push): ";
    for (url, words) in [
        ("https://h.example/KEY", "must begin with rtmp://"),
        ("rtmp://h.example/KEY\n", "no blank and no line break"),
        ("KEY", "must begin with rtmp://"),
        (
            "rtmp://h.example?KEY",
            "the address must have a path after the host",
        ),
        (
            "rtmp://PUSH.example.com:1935/live/s1?auth_key=KEY",
            "this is the address of outputs[0]",
        ),
    ] {
        let error = with_secret(url).err().unwrap_or_default();
        assert!(error.starts_with(field) && error.contains(words), "{error}");
        assert!(!error.contains("KEY"), "{error}");
    }
    assert!(with_secret("rtmp://h.example/KEY").is_ok());

    let relay: Relay = serde_json::from_value(spec(&from_secret)).unwrap();
    assert!(
        parameters(&relay, &[URL.into()]).is_err(),
        "an address for each output"
    );
    assert!(read(&spec(&json!([]))).is_err());
    for (field, value, words) in [
        ("channelId", json!("a b"), "spec.relay.channelId: "),
        ("maxIdleSeconds", json!(-1), "spec.relay.maxIdleSeconds: "),
        (
            "mixed",
            json!({"encode": sound()}),
            "exactly one of single and mixed",
        ),
        ("single", json!(null), "exactly one of single and mixed"),
    ] {
        let mut spec = single(&json!({"userId": "u"}));
        spec[field] = value;
        let error = read(&spec).err().unwrap_or_default();
        assert!(error.contains(words), "{error}");
    }
}
