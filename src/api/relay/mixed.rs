//! How streams are mixed: encoding, layout, background and users.

use super::{RenderMode, SourceType, StreamType};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the streams are mixed and encoded (TranscodeParams).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.layout) || self.encode.?audioOnly.orValue(false)").message("layout is needed: say where the users' pictures stand, or set encode.audioOnly: true").field_path(".layout").reason(Reason::FieldValueRequired),
    validation = Rule::new("!has(self.layout) || !self.encode.?audioOnly.orValue(false)").message("layout does not go with encode.audioOnly: true: take one of them out").field_path(".layout").reason(Reason::FieldValueForbidden),
    validation = Rule::new("!has(self.layout) || self.layout.userPanes.all(p, !has(p.userInfo) || !has(p.userInfo.userId) || (has(self.users) && self.users.exists(u, u.userId == p.userInfo.userId && (!has(u.streamType) || u.streamType != 'Audio'))))").message("every userInfo.userId of a pane must also be a userId of mixed.users whose streamType is not Audio: add the user there").field_path(".users").reason(Reason::FieldValueInvalid)
)]
pub struct Mixed {
    /// A picture behind all panes (Background). Absent: none.
    #[schemars(with = "Background")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<Background>,

    /// How sound and picture are encoded (EncodeParams). With audioOnly: true the audio fields are enough; otherwise all of videoWidth, videoHeight,
    /// videoBitrate, videoFramerate and videoGop are needed too.
    pub encode: Encode,

    /// Where the users' pictures stand (Layout). Needed for video; not allowed with encode.audioOnly: true.
    #[schemars(with = "Layout")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,

    /// The users whose streams are taken (UserInfos), at most 64; the vendor names no limit. Absent or empty: all users of the channel.
    #[schemars(with = "Vec<User>", length(max = 64))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<Vec<User>>,
}

/// A picture behind all panes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Background {
    /// The address of the picture (URL): at most 2048 characters.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,

    /// How it is fitted into the frame (RenderMode): Fit or Crop. Absent means Crop.
    #[schemars(with = "RenderMode")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub render_mode: Option<RenderMode>,
}

/// How sound and picture are encoded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.videoWidth) || self.?audioOnly.orValue(false)").message("videoWidth is needed: set it, or audioOnly: true").field_path(".videoWidth").reason(Reason::FieldValueRequired),
    validation = Rule::new("has(self.videoHeight) || self.?audioOnly.orValue(false)").message("videoHeight is needed: set it, or audioOnly: true").field_path(".videoHeight").reason(Reason::FieldValueRequired),
    validation = Rule::new("has(self.videoBitrate) || self.?audioOnly.orValue(false)").message("videoBitrate is needed: set it, or audioOnly: true").field_path(".videoBitrate").reason(Reason::FieldValueRequired),
    validation = Rule::new("has(self.videoFramerate) || self.?audioOnly.orValue(false)").message("videoFramerate is needed: set it, or audioOnly: true").field_path(".videoFramerate").reason(Reason::FieldValueRequired),
    validation = Rule::new("has(self.videoGop) || self.?audioOnly.orValue(false)").message("videoGop is needed: set it, or audioOnly: true").field_path(".videoGop").reason(Reason::FieldValueRequired),
    validation = Rule::new("self.?videoCodec.orValue('H.264') != 'H.265' || self.?enhancedParam.?profile.orValue('main') == 'main'").message("with videoCodec: H.265 the profile can only be main").field_path(".enhancedParam.profile").reason(Reason::FieldValueInvalid)
)]
pub struct Encode {
    /// Sound alone, no picture (AudioOnly). Absent means false.
    #[schemars(with = "bool")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_only: Option<bool>,

    /// Kilobits of sound per second (AudioBitrate): 8 to 500.
    #[schemars(range(min = 8, max = 500))]
    pub audio_bitrate: i64,

    /// Samples of sound per second, in hertz (AudioSampleRate): 8000, 16000, 32000, 44100 or 48000.
    #[schemars(extend("enum" = [8000, 16000, 32000, 44100, 48000]))]
    pub audio_sample_rate: i64,

    /// Channels of sound (AudioChannels): 1 or 2.
    #[schemars(range(min = 1, max = 2))]
    pub audio_channels: i64,

    /// The width of the picture in pixels (VideoWidth): 0 to 1920. Needed unless audioOnly is true.
    #[schemars(with = "i64", range(min = 0, max = 1920))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_width: Option<i64>,

    /// The height of the picture in pixels (VideoHeight): 0 to 1920. Needed unless audioOnly is true.
    #[schemars(with = "i64", range(min = 0, max = 1920))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_height: Option<i64>,

    /// Kilobits of picture per second (VideoBitrate): 1 to 10000. Needed unless audioOnly is true.
    #[schemars(with = "i64", range(min = 1, max = 10000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_bitrate: Option<i64>,

    /// Frames per second (VideoFramerate): 1 to 60. Needed unless audioOnly is true.
    #[schemars(with = "i64", range(min = 1, max = 60))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_framerate: Option<i64>,

    /// Frames from one key frame to the next (VideoGop): 1 to 60. Needed unless audioOnly is true.
    #[schemars(with = "i64", range(min = 1, max = 60))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_gop: Option<i64>,

    /// The codec of the picture (VideoCodec): H.264 or H.265. Absent means H.264.
    #[schemars(with = "VideoCodec")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_codec: Option<VideoCodec>,

    /// Finer settings of the encoder (EnhancedParam).
    #[schemars(with = "EnhancedParam")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enhanced_param: Option<EnhancedParam>,
}

/// Finer settings of the encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnhancedParam {
    /// The profile: baseline, main or high with H.264; main with H.265.
    #[schemars(with = "Profile")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,

    /// Speed against quality, from ultrafast to placebo.
    #[schemars(with = "Preset")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
}

/// A codec of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VideoCodec {
    /// H.264, the service's own choice.
    #[serde(rename = "H.264")]
    H264,
    /// H.265.
    #[serde(rename = "H.265")]
    H265,
}

/// A profile of the codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// H.264 alone.
    Baseline,
    /// Either codec.
    Main,
    /// H.264 alone.
    High,
}

/// Speed against quality.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// The fastest.
    Ultrafast,
    /// Faster than veryfast.
    Superfast,
    /// Faster than faster.
    Veryfast,
    /// Faster than fast.
    Faster,
    /// Faster than medium.
    Fast,
    /// Between fast and slow.
    Medium,
    /// Better than medium.
    Slow,
    /// Better than slow.
    Slower,
    /// Better than slower.
    Veryslow,
    /// The slowest.
    Placebo,
}

/// Where the users' pictures stand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Layout {
    /// The panes (UserPanes), each one user's place in the picture: 1 to 64. The vendor names no limit of their number.
    #[schemars(length(min = 1, max = 64))]
    pub user_panes: Vec<UserPane>,
}

/// One user's place in the picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserPane {
    /// How far the left edge is from the picture's (X): a fraction of the picture's width from 0 to 1, written as a text, for example "0.2456".
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(validation = Rule::new(r"self.matches('^(0|0\\.[0-9]+|1|1\\.0+)$')").message(r#"must be a fraction from 0 to 1, written as a text, for example "0.25""#))]
    pub x: String,

    /// How far the upper edge is from the picture's (Y): a fraction of the picture's height from 0 to 1, written as a text.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(validation = Rule::new(r"self.matches('^(0|0\\.[0-9]+|1|1\\.0+)$')").message(r#"must be a fraction from 0 to 1, written as a text, for example "0.25""#))]
    pub y: String,

    /// The width (Width): a fraction of the picture's width from 0 to 1, written as a text.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(validation = Rule::new(r"self.matches('^(0|0\\.[0-9]+|1|1\\.0+)$')").message(r#"must be a fraction from 0 to 1, written as a text, for example "0.25""#))]
    pub width: String,

    /// The height (Height): a fraction of the picture's height from 0 to 1, written as a text.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(validation = Rule::new(r"self.matches('^(0|0\\.[0-9]+|1|1\\.0+)$')").message(r#"must be a fraction from 0 to 1, written as a text, for example "0.25""#))]
    pub height: String,

    /// Which pane covers which (ZOrder): 0 is at the bottom.
    #[schemars(range(min = 0))]
    pub z_order: i64,

    /// How the user's picture is fitted into the pane (RenderMode): Fit or Crop. Absent means Crop.
    #[schemars(with = "RenderMode")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub render_mode: Option<RenderMode>,

    /// The address of a picture that is shown while the camera is off or the user is away (BackgroundImageUrl): at most 2048 characters.
    #[schemars(with = "String", length(min = 1, max = 2048))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background_image_url: Option<String>,

    /// Whose pane it is (UserInfo). Absent: users fill the panes in the order in which they join.
    #[schemars(with = "UserInfo")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_info: Option<UserInfo>,
}

/// Whose pane it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserInfo {
    /// The user that the pane is kept for (UserId). It must be one of mixed.users, with a stream that has a picture.
    #[schemars(with = "String", length(min = 1, max = 256))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,

    /// The user's channel (ChannelId), where it is another one than the relay's.
    #[schemars(
        with = "String",
        length(min = 1, max = 64),
        regex(pattern = r"^[A-Za-z0-9_-]+$")
    )]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<String>,

    /// Which video of the user is shown (SourceType): camera or shareScreen. Absent means camera.
    #[schemars(with = "SourceType")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_type: Option<SourceType>,
}

/// A user whose stream is taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The user (UserId).
    #[schemars(length(min = 1, max = 256))]
    pub user_id: String,

    /// The user's channel (ChannelId), where it is another one than the relay's.
    #[schemars(
        with = "String",
        length(min = 1, max = 64),
        regex(pattern = r"^[A-Za-z0-9_-]+$")
    )]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<String>,

    /// What of the stream is taken (StreamType): Original, Audio or Video. Absent means Original.
    #[schemars(with = "StreamType")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_type: Option<StreamType>,

    /// Which video of the user is taken (SourceType): camera or shareScreen. Absent means camera.
    #[schemars(with = "SourceType")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_type: Option<SourceType>,
}
