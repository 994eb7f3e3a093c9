//! How streams are mixed: encoding, layout, background and users.

use super::{RenderMode, SourceType, StreamType};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the streams are mixed and encoded (TranscodeParams).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mixed {
    /// A picture behind all panes (Background). Absent: none.
    #[schemars(with = "Background")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<Background>,

    /// How sound and picture are encoded (EncodeParams).
    pub encode: Encode,

    /// Where the users' pictures stand (Layout). Needed for video; not allowed with encode.audioOnly: true.
    #[schemars(with = "Layout")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,

    /// The users whose streams are taken (UserInfos), at most 64. Absent or empty: all users of the channel.
    #[schemars(with = "Vec<User>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<Vec<User>>,
}

/// A picture behind all panes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Background {
    /// The address of the picture (URL): at most 2048 characters.
    pub url: String,

    /// How it is fitted into the frame (RenderMode): Fit or Crop. Absent means Crop.
    #[schemars(with = "RenderMode")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub render_mode: Option<RenderMode>,
}

/// How sound and picture are encoded (EncodeParams). Without audioOnly: true all of videoWidth, videoHeight, videoBitrate, videoFramerate and
/// videoGop are needed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Encode {
    /// Sound alone, no picture (AudioOnly). Absent means false.
    #[schemars(with = "bool")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_only: Option<bool>,

    /// Kilobits of sound per second (AudioBitrate): 8 to 500.
    pub audio_bitrate: i64,

    /// Samples of sound per second, in hertz (AudioSampleRate): 8000, 16000, 32000, 44100 or 48000.
    #[schemars(extend("enum" = [8000, 16000, 32000, 44100, 48000]))]
    pub audio_sample_rate: i64,

    /// Channels of sound (AudioChannels): 1 or 2.
    pub audio_channels: i64,

    /// The width of the picture in pixels (VideoWidth): 0 to 1920.
    #[schemars(with = "i64")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_width: Option<i64>,

    /// The height of the picture in pixels (VideoHeight): 0 to 1920.
    #[schemars(with = "i64")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_height: Option<i64>,

    /// Kilobits of picture per second (VideoBitrate): 1 to 10000.
    #[schemars(with = "i64")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_bitrate: Option<i64>,

    /// Frames per second (VideoFramerate): 1 to 60.
    #[schemars(with = "i64")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_framerate: Option<i64>,

    /// Frames from one key frame to the next (VideoGop): 1 to 60.
    #[schemars(with = "i64")]
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
    /// The panes (UserPanes): 1 to 64.
    pub user_panes: Vec<UserPane>,
}

/// One user's place in the picture. Places and sizes are fractions of the whole picture, from 0 to 1, written as texts, for example "0.2456".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserPane {
    /// How far the left edge is from the picture's (X).
    pub x: String,

    /// How far the upper edge is from the picture's (Y).
    pub y: String,

    /// The width (Width).
    pub width: String,

    /// The height (Height).
    pub height: String,

    /// Which pane covers which (ZOrder): 0 is at the bottom.
    pub z_order: i64,

    /// How the user's picture is fitted into the pane (RenderMode): Fit or Crop. Absent means Crop.
    #[schemars(with = "RenderMode")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub render_mode: Option<RenderMode>,

    /// The address of a picture that is shown while the camera is off or the user is away (BackgroundImageUrl): at most 2048 characters.
    #[schemars(with = "String")]
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
    #[schemars(with = "String")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,

    /// The user's channel (ChannelId), where it is another one than the relay's.
    #[schemars(with = "String")]
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
    pub user_id: String,

    /// The user's channel (ChannelId), where it is another one than the relay's.
    #[schemars(with = "String")]
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
