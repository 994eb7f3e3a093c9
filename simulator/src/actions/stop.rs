//! `StopLiveMPUTask` (vendor page; dossier 3.3).

use serde_json::Map;

use super::{Answer, Scene, fields};
use crate::sign::Params;
use crate::world::{By, TaskKey};

pub fn perform(app: &str, params: &Params, scene: &mut Scene<'_>) -> Answer {
    let key = TaskKey::new(app, fields::task(params)?);
    let stopped = if let Some(after) = scene.stop_after {
        let at = scene.now.simulated.saturating_add(after);
        let planned = scene.world.stop_later(at, &key, scene.call);
        planned.map(|()| Map::new())
    } else {
        let (by, call) = (By::Api, scene.call);
        let stopped = scene.world.stop(scene.now, scene.switches, &key, by, call);
        stopped.map(|()| Map::new())
    };
    match (stopped, scene.switches.stop_gone.refusal()) {
        (Ok(done), _) => Ok(done),
        (Err(_), Some(refusal)) => Err(refusal),
        (Err(_), None) => Ok(Map::new()),
    }
}
