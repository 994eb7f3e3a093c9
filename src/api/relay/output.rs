//! Where a relay is pushed. An ingest URL is a secret: with some vendors its path is the stream key.

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt};

/// One address that the relay is pushed to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
// The rule of the address stands here: a refusal by the field itself would show the whole address, key and all.
#[x_kube(
    validation = Rule::new("has(self.url) != has(self.urlFrom)").message("give exactly one of url (the address) and urlFrom (a Secret that has it)"),
    validation = Rule::new(r"!has(self.url) || self.url.matches('^rtmp://([^\\s/?#@]*@)?([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?/[^\\s?#]\\S*$')").message("must be an RTMP address without blanks: rtmp://host/path or rtmp://host:port/path, with a port from 1 to 65535").field_path(".url").reason(Reason::FieldValueInvalid)
)]
pub struct Output {
    /// The address (URL): rtmp://host/path, at most 2048 characters. Whoever may read this object can read it; an address with a key in it
    /// belongs into a Secret, see urlFrom. Exactly one of url and urlFrom is needed.
    #[schemars(with = "IngestUrl", length(min = 1, max = 2048))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<IngestUrl>,

    /// Where the address is read from. Exactly one of url and urlFrom is needed.
    #[schemars(with = "UrlSource")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_from: Option<UrlSource>,

    /// Whether the address belongs to ApsaraVideo Live or the vendor's CDN (IsAliCdn). Absent means false.
    #[schemars(with = "bool")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ali_cdn: Option<bool>,
}

/// Where an address is read from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct UrlSource {
    /// A Secret in this object's namespace. When its value changes, the running relay is updated.
    pub secret_key_ref: SecretKeyRef,
}

/// A value of a Secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// The name of the Secret.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub name: String,

    /// The key within the Secret whose value is the address.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// An ingest URL as it is written in a manifest. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IngestUrl(String);

impl IngestUrl {
    /// The URL that `text` is, whatever it looks like.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The URL itself, to be sent to the service and shown to nobody.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IngestUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IngestUrl([redacted])")
    }
}

impl JsonSchema for IngestUrl {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "IngestUrl".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_does_not_show_its_address() {
        let output = Output {
            url: Some(IngestUrl::new("rtmp://h.example/live/KEY?auth_key=KEY")),
            url_from: None,
            ali_cdn: Some(true),
        };
        let shown = format!("{output:?} {output:#?}");
        assert!(
            !shown.contains("KEY") && !shown.contains("h.example"),
            "{shown}"
        );
    }
}
