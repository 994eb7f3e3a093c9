//! Everything that a task is started or updated with, but its application and its id.

use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::actions::ChannelId;
use super::output::{OutputError, OutputId, digest, distinct};
use super::wire::{Region, SeiParams, SingleSubParams, TranscodeParams};

/// Parameters by their names on the wire. An ingest URL is among them.
pub type Parameters = Vec<(&'static str, SecretString)>;

/// The complete parameters of a task. Its `Debug` shows neither URLs nor users.
#[derive(Clone)]
pub struct Relay {
    /// The channel that is relayed. Fixed at Start.
    pub channel: ChannelId,
    /// Where it is mixed; the service's choice where it is absent. Fixed at Start.
    pub region: Option<Region>,
    /// How long the task may be idle before the service stops it. Fixed at Start.
    pub max_idle: Option<Duration>,
    /// Where it is pushed.
    pub outputs: Vec<Output>,
    /// What is relayed, and how.
    pub media: Media,
    /// What is written beside sound and picture.
    pub sei: Option<SeiParams>,
}

/// What is relayed, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Media {
    /// One user's stream as it is.
    Single(SingleSubParams),
    /// Several streams, mixed and encoded anew.
    Mixed(Box<TranscodeParams>),
}

/// An address that a task pushes to. Its `Debug` shows the id alone.
#[derive(Clone)]
pub struct Output {
    url: SecretString,
    ali_cdn: Option<bool>,
    id: OutputId,
}

impl Output {
    /// The output at `url`; `ali_cdn` says whether it is the vendor's own, where that is known.
    ///
    /// # Errors
    /// When the service could not push to it.
    pub fn new(url: SecretString, ali_cdn: Option<bool>) -> Result<Self, OutputError> {
        let id = OutputId::of(url.expose_secret())?;
        Ok(Self { url, ali_cdn, id })
    }

    /// Which output it is.
    #[must_use]
    pub fn id(&self) -> &OutputId {
        &self.id
    }

    /// Its whole URL.
    #[must_use]
    pub fn url(&self) -> &SecretString {
        &self.url
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("channel", &self.channel)
            .field("mix_mode", &self.mix_mode())
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}

/// An element of `MultiStreamURL` (dossier 3.1.4). `IsAliCdn` is the one leaf that is no text on the wire.
#[derive(Serialize)]
struct StreamUrl<'a> {
    #[serde(rename = "IsAliCdn", skip_serializing_if = "Option::is_none")]
    ali_cdn: Option<bool>,
    #[serde(rename = "URL")]
    url: &'a str,
}

impl Relay {
    /// The channel that is relayed.
    #[must_use]
    pub fn channel(&self) -> &ChannelId {
        &self.channel
    }

    /// `MixMode` as it stands on the wire (dossier 3.1): `0` for one stream as it is, `1` for mixing.
    #[must_use]
    pub fn mix_mode(&self) -> &'static str {
        match self.media {
            Media::Single(_) => "0",
            Media::Mixed(_) => "1",
        }
    }

    /// How long the task may be idle before the service stops it, where that is said.
    #[must_use]
    pub fn max_idle(&self) -> Option<Duration> {
        self.max_idle
    }

    /// The outputs, each once, in order.
    #[must_use]
    pub fn output_ids(&self) -> Vec<OutputId> {
        distinct(self.outputs.iter().map(|output| output.id.clone()))
    }

    /// SHA-256 over `salt` and everything that Update sends, cut to 64 bits, in hexadecimal: equal where no Update is needed.
    #[must_use]
    pub fn hash(&self, salt: &str) -> String {
        let parameters = self.update_parameters();
        let mut parts = vec![salt];
        for (name, value) in &parameters {
            // Separated by a byte that neither a URL nor JSON has in it, so that no two lists are spelled alike.
            parts.extend(["\0", name, "\0", value.expose_secret()]);
        }
        digest(&parts)
    }

    /// What Start takes beside `AppId` and `TaskId` (dossier 3.1).
    #[must_use]
    pub fn start_parameters(&self) -> Parameters {
        let mut parameters = self.parameters(self.sei.as_ref());
        if let Some(max_idle) = self.max_idle {
            parameters.push(("MaxIdleTime", max_idle.as_secs().to_string().into()));
        }
        if let Some(region) = self.region {
            parameters.push(("Region", region.as_str().into()));
        }
        parameters
    }

    /// What Update takes beside `AppId` and `TaskId` (dossier 3.2): all of it, since nobody knows whether the service merges or replaces.
    #[must_use]
    pub fn update_parameters(&self) -> Parameters {
        let sei = self.sei.clone().map(|sei| SeiParams {
            payload_type: None,
            ..sei
        });
        self.parameters(sei.as_ref())
    }

    fn parameters(&self, sei: Option<&SeiParams>) -> Parameters {
        let mut parameters = vec![
            ("ChannelId", self.channel.as_str().into()),
            ("MixMode", self.mix_mode().into()),
            self.destination(),
            match &self.media {
                Media::Single(single) => ("SingleSubParams", json(single)),
                Media::Mixed(mixed) => ("TranscodeParams", json(mixed)),
            },
        ];
        parameters.extend(sei.map(|sei| ("SeiParams", json(sei))));
        parameters
    }

    /// One address as `StreamURL`; several, or one that is said to be the vendor's or not, as `MultiStreamURL`: only there can that be said.
    fn destination(&self) -> (&'static str, SecretString) {
        if let [
            Output {
                url, ali_cdn: None, ..
            },
        ] = self.outputs.as_slice()
        {
            return ("StreamURL", url.clone());
        }
        let urls: Vec<StreamUrl<'_>> = self
            .outputs
            .iter()
            .map(|output| StreamUrl {
                ali_cdn: output.ali_cdn,
                url: output.url.expose_secret(),
            })
            .collect();
        ("MultiStreamURL", json(&urls))
    }
}

/// Compact, UTF-8 as it is, members in the order of the type.
fn json<T: Serialize>(value: &T) -> SecretString {
    // Texts and lists of texts: there is nothing in them that JSON cannot say, and an empty text is one that the service refuses.
    serde_json::to_string(value).unwrap_or_default().into()
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
