//! The structured parameters as they stand on the wire (dossier 3.1.1 to 3.1.3): one JSON text each, every leaf a text, what is not set left
//! out, members in alphabetical order.

use std::fmt;

use serde::{Serialize, Serializer};

/// A leaf. Numbers, switches and words stand as texts on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf<T>(pub T);

impl<T: fmt::Display> Serialize for Leaf<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A switch that the service wants as `0` or `1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch(pub bool);

impl Serialize for Switch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.0 { "1" } else { "0" })
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$item_doc])* $item,)+
        }

        impl $name {
            /// The word or code on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$item => $word,)+
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

words!(
    /// Where streams are mixed (dossier 3.1).
    Region {
        /// Shanghai.
        CnShanghai = "CN-Shanghai",
        /// Singapore.
        ApSingapore = "AP-Singapore",
        /// Saudi Arabia.
        EmaaSaudi = "EMAA-Saudi",
    }
);
words!(
    /// What of a user's stream is taken.
    StreamType {
        /// Sound and picture.
        Original = "0",
        /// The sound alone.
        Audio = "1",
        /// The picture alone.
        Video = "2",
    }
);
words!(
    /// Which of a user's videos is taken.
    SourceType {
        /// The camera's.
        Camera = "camera",
        /// The shared screen's.
        ShareScreen = "shareScreen",
    }
);
words!(
    /// How a picture is fitted into a frame.
    RenderMode {
        /// Scaled, with black bars.
        Fit = "0",
        /// Cropped.
        Crop = "1",
    }
);
words!(
    /// A codec of the picture.
    VideoCodec {
        /// H.264.
        H264 = "H.264",
        /// H.265.
        H265 = "H.265",
    }
);
words!(
    /// A profile of the codec.
    Profile {
        /// Baseline.
        Baseline = "baseline",
        /// Main.
        Main = "main",
        /// High.
        High = "high",
    }
);
words!(
    /// Speed against quality.
    Preset {
        /// The fastest.
        Ultrafast = "ultrafast",
        /// Faster than `veryfast`.
        Superfast = "superfast",
        /// Faster than `faster`.
        Veryfast = "veryfast",
        /// Faster than `fast`.
        Faster = "faster",
        /// Faster than `medium`.
        Fast = "fast",
        /// Between fast and slow.
        Medium = "medium",
        /// Better than `medium`.
        Slow = "slow",
        /// Better than `slow`.
        Slower = "slower",
        /// Better than `slower`.
        Veryslow = "veryslow",
        /// The slowest.
        Placebo = "placebo",
    }
);

/// One user's stream as it is (dossier 3.1.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SingleSubParams {
    /// Which of the user's videos.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_type: Option<SourceType>,
    /// What of the stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_type: Option<StreamType>,
    /// The user.
    pub user_id: String,
}

/// How streams are mixed (dossier 3.1.2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TranscodeParams {
    /// A picture behind all panes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background: Option<Background>,
    /// How sound and picture are encoded.
    pub encode_params: EncodeParams,
    /// Where the users' pictures stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    /// The users whose streams are taken; none stands for all of the channel. Written also where it is empty, as the vendor's newest client does.
    pub user_infos: Vec<UserInfo>,
}

/// A picture behind all panes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Background {
    /// How it is fitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub render_mode: Option<RenderMode>,
    /// Its address.
    #[serde(rename = "URL")]
    pub url: String,
}

/// How sound and picture are encoded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EncodeParams {
    /// Kilobits of sound per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_bitrate: Option<Leaf<i64>>,
    /// Channels of sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_channels: Option<Leaf<i64>>,
    /// Sound alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_only: Option<Leaf<bool>>,
    /// Samples of sound per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_sample_rate: Option<Leaf<i64>>,
    /// Finer settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enhanced_param: Option<EnhancedParam>,
    /// Kilobits of picture per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_bitrate: Option<Leaf<i64>>,
    /// The codec of the picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_codec: Option<VideoCodec>,
    /// Frames per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_framerate: Option<Leaf<i64>>,
    /// Frames from one key frame to the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_gop: Option<Leaf<i64>>,
    /// Pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_height: Option<Leaf<i64>>,
    /// Pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_width: Option<Leaf<i64>>,
}

/// Finer settings: on the wire a JSON text within the JSON text, its members in lower case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EnhancedParam {
    /// Speed against quality.
    pub preset: Option<Preset>,
    /// The profile of the codec.
    pub profile: Option<Profile>,
}

impl Serialize for EnhancedParam {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let members: Vec<String> = [
            self.preset
                .map(|preset| format!(r#""preset":"{}""#, preset.as_str())),
            self.profile
                .map(|profile| format!(r#""profile":"{}""#, profile.as_str())),
        ]
        .into_iter()
        .flatten()
        .collect();
        serializer.collect_str(&format_args!("{{{}}}", members.join(",")))
    }
}

/// Where the users' pictures stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Layout {
    /// The panes.
    pub user_panes: Vec<UserPane>,
}

/// One user's place. Places and sizes are fractions, as they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UserPane {
    /// A picture for when there is no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background_image_url: Option<String>,
    /// The height.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<String>,
    /// How the picture is fitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub render_mode: Option<RenderMode>,
    /// Whose pane it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_info: Option<PaneUser>,
    /// The width.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<String>,
    /// From the left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// From above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// 0 is at the bottom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub z_order: Option<Leaf<i64>>,
}

/// Whose pane it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PaneUser {
    /// The user's channel, where it is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<String>,
    /// Which of the user's videos.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_type: Option<SourceType>,
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
}

/// A user whose stream is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UserInfo {
    /// The user's channel, where it is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<String>,
    /// Which of the user's videos.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_type: Option<SourceType>,
    /// What of the stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_type: Option<StreamType>,
    /// The user.
    pub user_id: String,
}

/// What is written beside sound and picture (dossier 3.1.3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SeiParams {
    /// Layout and volumes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layout_volume: Option<LayoutVolume>,
    /// A text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass_through: Option<PassThrough>,
    /// The payload type. Start alone takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_type: Option<Leaf<i64>>,
}

/// Layout and volumes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct LayoutVolume {
    /// On every key frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow_idr: Option<Switch>,
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Leaf<i64>>,
}

/// A text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PassThrough {
    /// On every key frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow_idr: Option<Switch>,
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Leaf<i64>>,
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_content: Option<String>,
    /// The key that it stands under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_content_key: Option<String>,
}
