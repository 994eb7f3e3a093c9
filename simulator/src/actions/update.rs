//! `UpdateLiveMPUTask` (dossier 3.2): replaces what is given and what is not.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::start::{Media, output_refusal};
use super::{Answer, Scene, fields, nested};
use crate::reply::Refusal;
use crate::sign::Params;
use crate::world::{Order, TaskKey, UpdateError};

pub fn perform(app: &str, params: &Params, scene: &mut Scene<'_>) -> Answer {
    let channel = fields::channel(params)?;
    let task = fields::task(params)?;
    let media = Media::read(params, &nested::SEI_UPDATE)?;
    let new = media.order(app, channel, task);
    let key = TaskKey::new(app, task);
    let updated = scene
        .world
        .update(scene.now, scene.switches, &key, scene.call, |old| {
            keep_fixed(new, old)
        });
    let refusal = match updated {
        Ok(()) => None,
        Err(UpdateError::NotRunning) => scene.switches.update_gone.refusal(),
        Err(UpdateError::OtherChannel) => {
            Some(Refusal::invalid_param("ChannelId is not that of the task"))
        }
        Err(UpdateError::Output(error)) => Some(output_refusal(error)),
    };
    refusal.map_or_else(|| Ok(Map::new()), Err)
}

/// What is fixed at Start: region, idle time and the payload type of SEI.
fn keep_fixed(mut new: Order, old: &Order) -> Order {
    let mut detail = Value::clone(&new.detail);
    for name in ["Region", "MaxIdleTime"] {
        if let Some(value) = old.detail.get(name) {
            detail[name] = value.clone();
        }
    }
    if let (Some(payload_type), true) = (
        old.detail.pointer("/SeiParams/PayloadType"),
        detail.get("SeiParams").is_some(),
    ) {
        detail["SeiParams"]["PayloadType"] = payload_type.clone();
    }
    new.detail = Arc::new(detail);
    new.max_idle = old.max_idle;
    new.client_made = old.client_made;
    new.owner.clone_from(&old.owner);
    new
}
