//! What people write of a relay: what is mixed, how, and where it is pushed. The vendor's parameters under the vendor's names, typed.
#![allow(
    clippy::doc_markdown,
    reason = "the comments are shown by kubectl, which does not read Markdown"
)]

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
#[x_kube(
    validation = Rule::new("has(self.region) == has(oldSelf.region) && (!has(self.region) || self.region == oldSelf.region)").message("region is fixed when the task is started and cannot be changed, added or taken away: delete this object and create another one").field_path(".region").reason(Reason::FieldValueForbidden),
    validation = Rule::new("has(self.maxIdleSeconds) == has(oldSelf.maxIdleSeconds) && (!has(self.maxIdleSeconds) || self.maxIdleSeconds == oldSelf.maxIdleSeconds)").message("maxIdleSeconds is fixed when the task is started and cannot be changed, added or taken away: delete this object and create another one").field_path(".maxIdleSeconds").reason(Reason::FieldValueForbidden),
    validation = Rule::new("self.?sei.?payloadType == oldSelf.?sei.?payloadType").message("sei.payloadType is fixed when the task is started and cannot be changed, added or taken away, not even with sei: delete this object and create another one").field_path(".sei.payloadType").reason(Reason::FieldValueForbidden),
    validation = Rule::new("has(self.single) != has(self.mixed)").message("give exactly one of single (one user's stream as it is) and mixed (several streams, mixed and encoded anew)")
)]
pub struct Relay {
    /// The RTC channel whose people are relayed (ChannelId): 1 to 64 letters, digits, underscores and hyphens. It cannot be changed.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("channelId is fixed when the task is started and cannot be changed: delete this object and create another one").reason(Reason::FieldValueForbidden))]
    pub channel_id: String,

    /// Where the streams are mixed (Region): CN-Shanghai, AP-Singapore or EMAA-Saudi. Absent: where the service does it by itself.
    /// It cannot be changed.
    #[schemars(with = "Region")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,

    /// After how many seconds without anybody to relay the service stops the task by itself (MaxIdleTime): 10 to 86400.
    /// Absent: as soon as the service closes the channel. It cannot be changed.
    #[schemars(with = "i64", range(min = 10, max = 86400))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_idle_seconds: Option<i64>,

    /// Where the relay is pushed: 1 to 16 RTMP addresses (StreamURL, MultiStreamURL), no two of them alike; the
    /// vendor names no limit of their number. An address must not be used by two tasks at a time, nor within ten seconds after one ended.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(
        validation = Rule::new("self.all(o, !has(o.url) || self.exists_one(p, has(p.url) && p.url.lowerAscii().replace(':1935/', '/').split('?')[0] == o.url.lowerAscii().replace(':1935/', '/').split('?')[0] && (!o.url.matches('^rtmp://[^/?]+/') || !p.url.matches('^rtmp://[^/?]+/') || p.url.split('?')[0].split('/', 4)[3] == o.url.split('?')[0].split('/', 4)[3])))").message("two outputs have the same address (what follows a ?, the case of the host and the usual port make no difference): take one out").reason(Reason::FieldValueInvalid),
        validation = Rule::new("self.all(o, !has(o.urlFrom) || self.exists_one(p, has(p.urlFrom) && p.urlFrom.secretKeyRef.name == o.urlFrom.secretKeyRef.name && p.urlFrom.secretKeyRef.key == o.urlFrom.secretKeyRef.key))").message("two outputs take their address from the same key of the same Secret: take one out").reason(Reason::FieldValueInvalid)
    )]
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
#[x_kube(validation = Rule::new("!has(self.sourceType) || (has(self.streamType) && self.streamType == 'Video')").message("sourceType only goes with streamType: Video; set that, or take sourceType out").field_path(".sourceType").reason(Reason::FieldValueForbidden))]
pub struct Single {
    /// The user whose stream is relayed (UserId).
    #[schemars(length(min = 1, max = 256))]
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
