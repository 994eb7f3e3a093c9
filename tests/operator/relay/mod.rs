//! Relays that live: what a test of them plays in.

mod budget;
mod crashes;
mod deletion;
mod duration;
mod events;
mod foreign;
mod gate;
mod life;
mod observe;
mod orders;
mod ownership;
mod policy;
mod secrets;
mod start;
mod storm;
mod tenants;
mod truth;
mod unknown;
mod update;

use mixed_stream_operator::api::MixedStreamTask;
use serde_json::Value;
use support::promises::{Owner, assert_kept};
use support::relay::Relay;
use support::simulator::Filter;
use support::{Launch, eventually};

use crate::scene::{APP, PATIENCE, Scene, reason};

pub const START: &str = "StartLiveMPUTask";
pub const UPDATE: &str = "UpdateLiveMPUTask";
pub const STOP: &str = "StopLiveMPUTask";
pub const LIST: &str = "ListRtcMPUTaskDetail";
pub const ROOMS: &str = "ListRTCLiveRooms";

/// A scene with the paces of a relay as short as they may be.
pub async fn scene(prefix: &str) -> Scene {
    with(prefix, |launch| launch).await
}

/// The same, with the operator started in another way.
pub async fn with(prefix: &str, change: impl FnOnce(Launch) -> Launch) -> Scene {
    Scene::with(prefix, |launch| change(short(launch))).await
}

/// The paces of a relay as short as they may be.
pub fn short(launch: Launch) -> Launch {
    launch.flags([
        "--settle-time",
        "2s",
        "--sweep-period",
        "1s",
        "--secret-refresh",
        "1s",
        "--idle-margin",
        "1s",
    ])
}

impl Scene {
    /// Creates a relay.
    pub async fn relay(&self, relay: Relay) -> MixedStreamTask {
        self.create_from(relay.manifest()).await
    }

    /// Somebody is in the channel.
    pub async fn join(&self, channel: &str) {
        self.people(channel, &["host"]).await;
    }

    /// Nobody is in the channel.
    pub async fn leave(&self, channel: &str) {
        self.people(channel, &[]).await;
    }

    async fn people(&self, channel: &str, users: &[&str]) {
        self.simulator
            .set_users(APP, channel, users, &[])
            .await
            .unwrap();
    }

    /// Creates a relay in a live channel and waits until it runs.
    pub async fn running(&self, name: &str) -> MixedStreamTask {
        self.join(name).await;
        self.relay(Relay::single(APP, name)).await;
        self.until_reason(name, "Running").await
    }

    /// Waits until so many calls of an action have been made.
    pub async fn until_calls(&self, action: &str, task: &str, calls: usize) {
        let what = format!("{calls} calls of {action} for {task}");
        eventually(&what, PATIENCE, async || {
            let made = self.calls(action, task).await;
            if made >= calls { Ok(()) } else { Err(made) }
        })
        .await;
    }

    /// Waits until so many calls of an action have been made in all.
    pub async fn until_all(&self, action: &str, calls: usize) {
        eventually(
            &format!("{calls} calls of {action}"),
            PATIENCE,
            async || {
                let made = self.calls_of(action).await;
                if made >= calls { Ok(()) } else { Err(made) }
            },
        )
        .await;
    }

    /// Deletes the object and waits until it is gone.
    pub async fn end(&self, name: &str) {
        self.delete(name).await;
        self.until_gone(name).await;
    }

    /// Asserts the promises over the whole life of these objects.
    pub async fn kept(&self, owners: &[Owner], crashes: usize) {
        assert_kept(
            &self.simulator,
            &self.cluster,
            &self.namespace,
            None,
            owners,
            crashes,
        )
        .await;
    }
}

/// The task of an object, by its status.
pub fn task_of(object: &MixedStreamTask) -> String {
    let status = object.status.as_ref().unwrap();
    status.task_id.clone().unwrap()
}

/// The owner of a task, for the promises.
pub fn owner(object: &MixedStreamTask) -> Owner {
    let name = object.metadata.name.as_deref().unwrap();
    Owner::new(name, APP, &task_of(object))
}

/// The message of `Ready`.
pub fn message(object: &MixedStreamTask) -> String {
    crate::scene::condition(object, mixed_stream_operator::api::ConditionType::Ready)
        .map_or_else(String::new, |condition| condition.message.clone())
}

/// A short settling of what should not change: after so many sweeps it is still so.
pub async fn after_sweeps(scene: &Scene, sweeps: usize) {
    let before = scene.calls_of(LIST).await;
    eventually("more sweeps", PATIENCE, async || {
        let now = scene.calls_of(LIST).await;
        if now >= before + sweeps {
            Ok(())
        } else {
            Err(now)
        }
    })
    .await;
}

impl Scene {
    /// How many calls of an action were made.
    pub async fn calls_of(&self, action: &str) -> usize {
        let calls = self.simulator.calls(&Filter::default()).await.unwrap();
        calls
            .iter()
            .filter(|call| call.action.as_deref() == Some(action))
            .count()
    }
}
