//! `StopLiveMPUTask` (vendor page; dossier 3.3).

use serde_json::Map;

use super::{Done, Scene, fields};
use crate::reply::Refusal;
use crate::sign::Params;
use crate::world::{By, TaskKey};

pub fn perform(app: &str, params: &Params, scene: &mut Scene<'_>) -> Result<Done, Refusal> {
    let key = TaskKey::new(app, fields::task(params)?);
    let stopped = if let Some(after) = scene.stop_after {
        let at = scene.now.simulated.saturating_add(after);
        let planned = scene.world.stop_later(at, &key, scene.call);
        planned.map(|()| Done::unchanged(Map::new()))
    } else {
        let (by, call) = (By::Api, Some(scene.call));
        let stopped = scene.world.stop(scene.now, scene.switches, &key, by, call);
        stopped.map(|()| Done::changed())
    };
    match (stopped, scene.switches.stop_gone.refusal()) {
        (Ok(done), _) => Ok(done),
        (Err(_), Some(refusal)) => Err(refusal),
        (Err(_), None) => Ok(Done::unchanged(Map::new())),
    }
}
