//! Manifests of objects that declare a relay.

use serde_json::{Value, json};

/// A part of every output address that [`Relay`] makes and no log, event, status or metric may show.
pub const STREAM_KEY: &str = "k3y-of-a-stream";

/// A manifest without `apiVersion` and `kind`, to be changed before it is created. What is not said is as in the smallest legal object.
#[derive(Debug, Clone, PartialEq)]
pub struct Relay(Value);

/// An output address of its own for each name, with a key in its path and one in its query.
#[must_use]
pub fn url(name: &str) -> String {
    format!("rtmp://push.example.com/live/{name}-{STREAM_KEY}?auth_key=1-2-3-{STREAM_KEY}")
}

impl Relay {
    /// The user `host` of the channel named as the object, relayed as it is to the output [`url`] of that name.
    #[must_use]
    pub fn single(app: &str, name: &str) -> Self {
        Self::of(app, name, "single", json!({"userId": "host"}))
    }

    /// Everybody's sound in the channel named as the object, mixed and pushed to the output [`url`] of that name.
    #[must_use]
    pub fn mixed(app: &str, name: &str) -> Self {
        let encode = json!({"audioOnly": true, "audioBitrate": 128, "audioSampleRate": 48000, "audioChannels": 2});
        Self::of(app, name, "mixed", json!({"encode": encode}))
    }

    fn of(app: &str, name: &str, mode: &str, parameters: Value) -> Self {
        let mut relay = json!({"channelId": name, "outputs": [{"url": url(name)}]});
        relay[mode] = parameters;
        Self(json!({"metadata": {"name": name}, "spec": {"appId": app, "relay": relay}}))
    }

    /// With this value at a place below `spec`, for instance `"/relay/maxIdleSeconds"`; the parents of the place are there.
    #[must_use]
    pub fn with(mut self, place: &str, value: impl Into<Value>) -> Self {
        let (parent, member) = place.rsplit_once('/').expect("a place begins with a slash");
        let parent = self.0["spec"]
            .pointer_mut(parent)
            .unwrap_or_else(|| panic!("{place} has no parent"));
        parent[member] = value.into();
        self
    }

    /// In another channel.
    #[must_use]
    pub fn channel(self, channel: &str) -> Self {
        self.with("/relay/channelId", channel)
    }

    /// With a task id of the manifest's own.
    #[must_use]
    pub fn task_id(self, task: &str) -> Self {
        self.with("/taskId", task)
    }

    /// To these outputs instead.
    #[must_use]
    pub fn urls<'a>(self, urls: impl IntoIterator<Item = &'a str>) -> Self {
        let outputs: Vec<Value> = urls.into_iter().map(|url| json!({"url": url})).collect();
        self.with("/relay/outputs", outputs)
    }

    /// To one output whose address is in a Secret.
    #[must_use]
    pub fn url_from(self, secret: &str, key: &str) -> Self {
        let from = json!({"urlFrom": {"secretKeyRef": {"name": secret, "key": key}}});
        self.with("/relay/outputs", vec![from])
    }

    /// With this finalizer from its creation on.
    #[must_use]
    pub fn finalizer(mut self, finalizer: &str) -> Self {
        self.0["metadata"]["finalizers"] = json!([finalizer]);
        self
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(self) -> Value {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_relay_to_an_address() {
        let manifest = Relay::single("app", "final")
            .with("/relay/maxIdleSeconds", 60)
            .with("/restartPolicy", "Never")
            .finalizer("f")
            .manifest();
        let expected = json!({
            "metadata": {"name": "final", "finalizers": ["f"]},
            "spec": {
                "appId": "app",
                "restartPolicy": "Never",
                "relay": {
                    "channelId": "final",
                    "maxIdleSeconds": 60,
                    "outputs": [{"url": "rtmp://push.example.com/live/final-k3y-of-a-stream?auth_key=1-2-3-k3y-of-a-stream"}],
                    "single": {"userId": "host"},
                },
            },
        });
        assert_eq!(manifest, expected);
    }

    #[test]
    fn a_mixed_relay_to_an_address_in_a_secret() {
        let manifest = Relay::mixed("app", "final")
            .task_id("t")
            .channel("room")
            .url_from("push", "url")
            .manifest();
        let relay = &manifest["spec"]["relay"];
        assert_eq!(manifest["spec"]["taskId"], "t");
        assert_eq!(relay["channelId"], "room");
        let from = json!([{"urlFrom": {"secretKeyRef": {"name": "push", "key": "url"}}}]);
        assert_eq!(relay["outputs"], from);
        assert_eq!(relay["mixed"]["encode"]["audioOnly"], true);
        assert!(relay.get("single").is_none());
        let two = Relay::mixed("app", "final").urls(["rtmp://x/a", "rtmp://x/b"]);
        assert_eq!(
            two.manifest()["spec"]["relay"]["outputs"][1]["url"],
            "rtmp://x/b"
        );
    }

    #[test]
    #[should_panic(expected = "has no parent")]
    fn a_place_that_is_nowhere() {
        let _ = Relay::mixed("app", "final").with("/relay/single/userId", "u");
    }
}
