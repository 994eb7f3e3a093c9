//! What people write of a relay: what is mixed, how, and where it is pushed. The vendor's parameters under the vendor's names, typed.

mod mixed;
mod output;
mod sei;

pub use mixed::{
    Background, Encode, EnhancedParam, Layout, Mixed, Preset, Profile, User, UserInfo, UserPane,
    VideoCodec,
};
pub use output::{IngestUrl, Output, SecretKeyRef, UrlSource};
pub use sei::{LayoutVolume, PassThrough, Sei};

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A relay that the operator starts, updates and stops.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Relay {
    /// The RTC channel whose people are relayed (ChannelId): 1 to 64 letters, digits, underscores and hyphens. It cannot be changed.
    pub channel_id: String,

    /// Where the streams are mixed (Region): CN-Shanghai, AP-Singapore or EMAA-Saudi. Absent: where the service does it by itself.
    /// It cannot be changed.
    #[schemars(with = "Region")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,

    /// After how many seconds without anybody to relay the service stops the task by itself (MaxIdleTime): 10 to 86400.
    /// Absent: as soon as the service closes the channel. It cannot be changed.
    #[schemars(with = "i64")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_idle_seconds: Option<i64>,

    /// Where the relay is pushed: 1 to 16 RTMP addresses (StreamURL, MultiStreamURL), no two of them alike.
    pub outputs: Vec<Output>,

    /// Relay one user's stream as it is (MixMode 0). Exactly one of single and mixed is needed; one may take the place of the other.
    #[schemars(with = "Single")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub single: Option<Single>,

    /// Mix the streams and encode them anew (MixMode 1). Exactly one of single and mixed is needed; one may take the place of the other.
    #[schemars(with = "Mixed")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixed: Option<Mixed>,

    /// What is written into the stream as supplemental enhancement information (SeiParams). Absent: nothing.
    #[schemars(with = "Sei")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sei: Option<Sei>,
}

/// One user's stream as it is (SingleSubParams).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Single {
    /// The user whose stream is relayed (UserId).
    pub user_id: String,

    /// What of the stream is relayed (StreamType): Original, Audio or Video. Absent means Original.
    #[schemars(with = "StreamType")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_type: Option<StreamType>,

    /// Which video of the user is relayed (SourceType): camera or shareScreen. Absent means camera. Only with streamType: Video.
    #[schemars(with = "SourceType")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_type: Option<SourceType>,
}

/// A site of the service where streams are mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Region {
    /// Shanghai; the service's own choice for accounts of the China site.
    #[serde(rename = "CN-Shanghai")]
    CnShanghai,
    /// Singapore; the service's own choice for accounts of the international site.
    #[serde(rename = "AP-Singapore")]
    ApSingapore,
    /// Saudi Arabia.
    #[serde(rename = "EMAA-Saudi")]
    EmaaSaudi,
}

/// What of a user's stream is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StreamType {
    /// Sound and picture (0).
    Original,
    /// The sound alone (1).
    Audio,
    /// The picture alone (2).
    Video,
}

/// Which of a user's videos is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SourceType {
    /// The camera's.
    #[serde(rename = "camera")]
    Camera,
    /// The shared screen's.
    #[serde(rename = "shareScreen")]
    ShareScreen,
}

/// How a picture is fitted into a frame of another shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RenderMode {
    /// Scaled as a whole, with black bars (0).
    Fit,
    /// Cropped, so that it fills the frame (1).
    Crop,
}
