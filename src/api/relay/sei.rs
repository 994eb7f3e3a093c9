//! Supplemental enhancement information in the pushed stream.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What is written into the stream beside sound and picture (SeiParams).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sei {
    /// Write layout and volumes (LayoutVolume). Empty: as the service does by itself.
    #[schemars(with = "LayoutVolume")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout_volume: Option<LayoutVolume>,

    /// Write a text of your own (PassThrough).
    #[schemars(with = "PassThrough")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass_through: Option<PassThrough>,

    /// The payload type (PayloadType): 100 to 254. Absent: 5, the service's own. It can be neither changed nor added nor taken away.
    #[schemars(with = "i64", range(min = 100, max = 254))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_type: Option<i64>,
}

/// Layout and volumes in the stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LayoutVolume {
    /// Whether every key frame carries it (FollowIdr).
    #[schemars(with = "bool")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow_idr: Option<bool>,

    /// Milliseconds from one to the next (Interval): 1000 to 5000.
    #[schemars(with = "i64", range(min = 1000, max = 5000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_milliseconds: Option<i64>,
}

/// A text of your own in the stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PassThrough {
    /// The text (PayloadContent): 1 to 4096 characters; the vendor names no limit.
    #[schemars(with = "String", length(min = 1, max = 4096))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_content: Option<String>,

    /// The key that the text stands under (PayloadContentKey). Absent: udd, the service's own. 1 to 256 characters; the vendor names no limit.
    #[schemars(with = "String", length(min = 1, max = 256))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_content_key: Option<String>,

    /// Whether every key frame carries it (FollowIdr).
    #[schemars(with = "bool")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow_idr: Option<bool>,

    /// Milliseconds from one to the next (Interval): 1000 to 5000.
    #[schemars(with = "i64", range(min = 1000, max = 5000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_milliseconds: Option<i64>,
}
