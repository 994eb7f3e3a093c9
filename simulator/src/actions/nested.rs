//! Structured parameters: one JSON text each, numbers and booleans in it as strings (dossier 0.3, 3.1). A member that the
//! documents do not name is refused: with the service it would silently do nothing.

use serde_json::Value;

use super::fields::decimal;

/// What a value has to look like.
pub enum Shape {
    /// A whole number within bounds, as a string.
    Number(u32, u32),
    /// One of these strings.
    Word(&'static [&'static str]),
    /// A string that is not empty, of at most so many characters.
    Text(usize),
    /// A fraction from 0 to 1, as a string.
    Fraction,
    /// An RTMP address of at most 2048 characters.
    Rtmp,
    /// A JSON boolean, not a string.
    Bool,
    /// An object with these members.
    Object(&'static [Member]),
    /// An array with at least so many of these.
    List(usize, &'static Shape),
    /// A string that holds JSON again.
    Embedded(&'static Shape),
}

/// A member of an object.
pub struct Member {
    name: &'static str,
    required: bool,
    shape: Shape,
}

const fn must(name: &'static str, shape: Shape) -> Member {
    Member {
        name,
        required: true,
        shape,
    }
}

const fn may(name: &'static str, shape: Shape) -> Member {
    Member {
        name,
        required: false,
        shape,
    }
}

const STREAM_TYPE: Shape = Shape::Word(&["0", "1", "2"]);
const SOURCE_TYPE: Shape = Shape::Word(&["camera", "shareScreen"]);
const SWITCH: Shape = Shape::Word(&["0", "1"]);
const USER: Shape = Shape::Text(256);
const ADDRESS: Shape = Shape::Text(2048);
const INTERVAL: Shape = Shape::Number(1000, 5000);

/// `SingleSubParams` (dossier 3.1.1).
pub const SINGLE: Shape = Shape::Object(&[
    must("UserId", USER),
    may("StreamType", STREAM_TYPE),
    may("SourceType", SOURCE_TYPE),
]);

/// `MultiStreamURL` (dossier 3.1.4).
pub const OUTPUTS: Shape = Shape::List(
    1,
    &Shape::Object(&[must("URL", Shape::Rtmp), may("IsAliCdn", Shape::Bool)]),
);

/// `SeiParams` of Start (dossier 3.1.3).
pub const SEI_START: Shape = Shape::Object(&[
    may("LayoutVolume", LAYOUT_VOLUME),
    may("PassThrough", PASS_THROUGH),
    may("PayloadType", Shape::Number(100, 254)),
]);

/// `SeiParams` of Update: the payload type is fixed at Start.
pub const SEI_UPDATE: Shape = Shape::Object(&[
    may("LayoutVolume", LAYOUT_VOLUME),
    may("PassThrough", PASS_THROUGH),
]);

const LAYOUT_VOLUME: Shape = Shape::Object(&[may("FollowIdr", SWITCH), may("Interval", INTERVAL)]);

const PASS_THROUGH: Shape = Shape::Object(&[
    may("PayloadContent", Shape::Text(4096)),
    may("PayloadContentKey", Shape::Text(256)),
    may("FollowIdr", SWITCH),
    may("Interval", INTERVAL),
]);

/// `TranscodeParams` (dossier 3.1.2); what depends on `AudioOnly` is in [`transcode`].
const TRANSCODE: Shape = Shape::Object(&[
    may(
        "Background",
        Shape::Object(&[may("URL", ADDRESS), may("RenderMode", SWITCH)]),
    ),
    must("EncodeParams", ENCODE),
    may(
        "Layout",
        Shape::Object(&[may("UserPanes", Shape::List(0, &PANE))]),
    ),
    may("UserInfos", Shape::List(0, &USER_INFO)),
]);

const ENCODE: Shape = Shape::Object(&[
    may("AudioOnly", Shape::Word(&["true", "false"])),
    must("AudioBitrate", Shape::Number(8, 500)),
    must(
        "AudioSampleRate",
        Shape::Word(&["8000", "16000", "32000", "44100", "48000"]),
    ),
    must("AudioChannels", Shape::Word(&["1", "2"])),
    may("VideoWidth", Shape::Number(0, 1920)),
    may("VideoHeight", Shape::Number(0, 1920)),
    may("VideoBitrate", Shape::Number(1, 10_000)),
    may("VideoFramerate", Shape::Number(1, 60)),
    may("VideoGop", Shape::Number(1, 60)),
    may("VideoCodec", Shape::Word(&["H.264", "H.265"])),
    may("EnhancedParam", Shape::Embedded(&ENHANCED)),
]);

const ENHANCED: Shape = Shape::Object(&[
    may("profile", Shape::Word(&["baseline", "main", "high"])),
    may(
        "preset",
        Shape::Word(&[
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
        ]),
    ),
]);

const PANE: Shape = Shape::Object(&[
    must("X", Shape::Fraction),
    must("Y", Shape::Fraction),
    must("Width", Shape::Fraction),
    must("Height", Shape::Fraction),
    must("ZOrder", Shape::Number(0, 10_000)),
    may("RenderMode", SWITCH),
    may("BackgroundImageUrl", ADDRESS),
    may(
        "UserInfo",
        Shape::Object(&[
            may("UserId", USER),
            may("ChannelId", Shape::Text(64)),
            may("SourceType", SOURCE_TYPE),
        ]),
    ),
]);

const USER_INFO: Shape = Shape::Object(&[
    must("UserId", USER),
    may("ChannelId", Shape::Text(64)),
    may("StreamType", STREAM_TYPE),
    may("SourceType", SOURCE_TYPE),
]);

/// Reads a JSON text of a shape. The error says which member is wrong.
pub fn parse(name: &str, text: &str, shape: &Shape) -> Result<Value, String> {
    let value: Value = serde_json::from_str(text).map_err(|_| format!("{name} is not JSON"))?;
    check(name, &value, shape)?;
    Ok(value)
}

/// Reads `TranscodeParams`.
pub fn transcode(text: &str) -> Result<Value, String> {
    let value = parse("TranscodeParams", text, &TRANSCODE)?;
    let encode = &value["EncodeParams"];
    if encode["AudioOnly"] != "true" {
        for name in [
            "VideoWidth",
            "VideoHeight",
            "VideoBitrate",
            "VideoFramerate",
            "VideoGop",
        ] {
            if encode[name].is_null() {
                return Err(format!("TranscodeParams.EncodeParams.{name} is missing"));
            }
        }
        if value["Layout"]["UserPanes"]
            .as_array()
            .is_none_or(Vec::is_empty)
        {
            return Err("TranscodeParams.Layout.UserPanes is missing".to_owned());
        }
    }
    let enhanced: Value = encode["EnhancedParam"]
        .as_str()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    if encode["VideoCodec"] == "H.265"
        && !(enhanced["profile"].is_null() || enhanced["profile"] == "main")
    {
        return Err(
            "TranscodeParams.EncodeParams.EnhancedParam.profile must be main with H.265".to_owned(),
        );
    }
    let users = value["UserInfos"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let panes = value["Layout"]["UserPanes"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    for pinned in panes
        .iter()
        .map(|pane| &pane["UserInfo"]["UserId"])
        .filter(|id| !id.is_null())
    {
        if !users.is_empty() && !users.iter().any(|user| &user["UserId"] == pinned) {
            return Err(
                "a user of TranscodeParams.Layout.UserPanes is not in UserInfos".to_owned(),
            );
        }
    }
    Ok(value)
}

/// Whether this can be an output.
pub fn is_rtmp(url: &str) -> bool {
    let host = url.strip_prefix("rtmp://").unwrap_or_default();
    url.chars().count() <= 2048
        && !host.is_empty()
        && !host.starts_with('/')
        && !url.contains(char::is_whitespace)
}

fn check(path: &str, value: &Value, shape: &Shape) -> Result<(), String> {
    let text = || {
        value
            .as_str()
            .ok_or_else(|| format!("{path} must be a string"))
    };
    let unless = |fine: bool, must: &str| {
        if fine {
            Ok(())
        } else {
            Err(format!("{path} must be {must}"))
        }
    };
    match shape {
        Shape::Number(min, max) => {
            let fine = decimal(text()?).is_some_and(|number| (*min..=*max).contains(&number));
            unless(fine, &format!("a number from {min} to {max}"))
        }
        Shape::Word(words) => unless(
            words.contains(&text()?),
            &format!("one of {}", words.join(", ")),
        ),
        Shape::Text(max) => unless(
            (1..=*max).contains(&text()?.chars().count()),
            &format!("1 to {max} characters"),
        ),
        Shape::Fraction => {
            let fine = text()?
                .parse::<f64>()
                .is_ok_and(|number| (0.0..=1.0).contains(&number));
            unless(fine, "a fraction from 0 to 1")
        }
        Shape::Rtmp => unless(
            is_rtmp(text()?),
            "an RTMP address of at most 2048 characters",
        ),
        Shape::Bool => unless(value.is_boolean(), "a boolean"),
        Shape::Embedded(inner) => parse(path, text()?, inner).map(drop),
        Shape::List(min, inner) => {
            let items = value
                .as_array()
                .ok_or_else(|| format!("{path} must be an array"))?;
            unless(items.len() >= *min, "an array that is not empty")?;
            items
                .iter()
                .enumerate()
                .try_for_each(|(n, item)| check(&format!("{path}.{n}"), item, inner))
        }
        Shape::Object(members) => {
            let object = value
                .as_object()
                .ok_or_else(|| format!("{path} must be an object"))?;
            if let Some(name) = object
                .keys()
                .find(|name| members.iter().all(|member| member.name != *name))
            {
                return Err(format!("{path}.{name} is unknown"));
            }
            members
                .iter()
                .try_for_each(|member| match object.get(member.name) {
                    Some(value) => check(&format!("{path}.{}", member.name), value, &member.shape),
                    None if member.required => Err(format!("{path}.{} is missing", member.name)),
                    None => Ok(()),
                })
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mixed() -> Value {
        json!({
            "Background": {"URL": "https://example.com/a.png", "RenderMode": "0"},
            "EncodeParams": {
                "AudioOnly": "false", "AudioBitrate": "128", "AudioSampleRate": "48000", "AudioChannels": "2",
                "VideoWidth": "1280", "VideoHeight": "720", "VideoBitrate": "1500", "VideoFramerate": "25",
                "VideoGop": "50", "VideoCodec": "H.264",
                "EnhancedParam": "{\"profile\":\"high\",\"preset\":\"veryfast\"}"
            },
            "Layout": {"UserPanes": [
                {"X": "0", "Y": "0.5", "Width": "1", "Height": "0.2456", "ZOrder": "0", "UserInfo": {"UserId": "主播 1"}}
            ]},
            "UserInfos": [{"UserId": "主播 1", "StreamType": "0", "SourceType": "camera"}]
        })
    }

    #[test]
    fn a_complete_one_passes() {
        assert_eq!(transcode(&mixed().to_string()), Ok(mixed()));
        let audio = json!({"EncodeParams": {
            "AudioOnly": "true", "AudioBitrate": "8", "AudioSampleRate": "8000", "AudioChannels": "1"
        }});
        assert_eq!(transcode(&audio.to_string()), Ok(audio));
    }

    #[test]
    fn each_limit_is_held() {
        let cases = [
            (
                "/EncodeParams/AudioBitrate",
                json!("7"),
                "EncodeParams.AudioBitrate",
            ),
            (
                "/EncodeParams/AudioBitrate",
                json!("501"),
                "EncodeParams.AudioBitrate",
            ),
            ("/EncodeParams/AudioBitrate", json!(128), "must be a string"),
            (
                "/EncodeParams/AudioSampleRate",
                json!("22050"),
                "AudioSampleRate",
            ),
            ("/EncodeParams/AudioChannels", json!("3"), "AudioChannels"),
            ("/EncodeParams/AudioOnly", json!(false), "AudioOnly"),
            ("/EncodeParams/VideoWidth", json!("1921"), "VideoWidth"),
            ("/EncodeParams/VideoHeight", json!("-1"), "VideoHeight"),
            ("/EncodeParams/VideoBitrate", json!("0"), "VideoBitrate"),
            ("/EncodeParams/VideoBitrate", json!("10001"), "VideoBitrate"),
            (
                "/EncodeParams/VideoFramerate",
                json!("61"),
                "VideoFramerate",
            ),
            ("/EncodeParams/VideoGop", json!("61"), "VideoGop"),
            ("/EncodeParams/VideoGop", Value::Null, "VideoGop"),
            ("/EncodeParams/VideoCodec", json!("VP8"), "VideoCodec"),
            (
                "/EncodeParams/EnhancedParam",
                json!({"profile": "high"}),
                "EnhancedParam",
            ),
            (
                "/EncodeParams/EnhancedParam",
                json!("{\"profile\":\"best\"}"),
                "profile",
            ),
            (
                "/EncodeParams/EnhancedParam",
                json!("{\"tune\":\"film\"}"),
                "tune is unknown",
            ),
            ("/Layout/UserPanes", json!([]), "UserPanes"),
            ("/Layout/UserPanes/0/X", json!("1.01"), "UserPanes.0.X"),
            (
                "/Layout/UserPanes/0/Width",
                json!("NaN"),
                "UserPanes.0.Width",
            ),
            ("/Layout/UserPanes/0/ZOrder", json!("top"), "ZOrder"),
            (
                "/Layout/UserPanes/0/UserInfo/UserId",
                json!("somebody"),
                "not in UserInfos",
            ),
            ("/UserInfos/0/StreamType", json!("3"), "StreamType"),
            ("/UserInfos/0/SourceType", json!("screen"), "SourceType"),
            ("/Background/RenderMode", json!("2"), "RenderMode"),
            ("/Background/URL", json!("x".repeat(2049)), "Background.URL"),
        ];
        for (pointer, value, expected) in cases {
            let mut params = mixed();
            if let Some(place) = params.pointer_mut(pointer) {
                *place = value.clone();
            }
            let error = transcode(&params.to_string()).err().unwrap_or_default();
            assert!(error.contains(expected), "{pointer} = {value}: {error:?}");
        }
        let mut h265 = mixed();
        h265["EncodeParams"]["VideoCodec"] = json!("H.265");
        assert!(transcode(&h265.to_string()).is_err_and(|error| error.contains("main with H.265")));
    }

    #[test]
    fn outputs_and_the_rest() {
        for (text, shape, fine) in [
            (r#"[{"URL":"rtmp://a/b","IsAliCdn":true}]"#, &OUTPUTS, true),
            (
                r#"[{"URL":"rtmp://a/b","IsAliCdn":"true"}]"#,
                &OUTPUTS,
                false,
            ),
            (r#"[{"URL":"http://a/b"}]"#, &OUTPUTS, false),
            ("[]", &OUTPUTS, false),
            (r#"{"UserId":"u"}"#, &SINGLE, true),
            (r#"{"UserId":""}"#, &SINGLE, false),
            (r#"{"StreamType":"0"}"#, &SINGLE, false),
            (
                r#"{"LayoutVolume":{},"PayloadType":"100"}"#,
                &SEI_START,
                true,
            ),
            (r#"{"PayloadType":"99"}"#, &SEI_START, false),
            (r#"{"PayloadType":"100"}"#, &SEI_UPDATE, false),
            (r#"{"LayoutVolume":{"Interval":"999"}}"#, &SEI_UPDATE, false),
            ("{", &SEI_UPDATE, false),
        ] {
            assert_eq!(parse("P", text, shape).is_ok(), fine, "{text}");
        }
    }
}
