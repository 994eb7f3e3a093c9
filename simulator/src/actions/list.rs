//! `ListRtcMPUTaskDetail` (dossier 3.4).

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Answer, Scene, fields};
use crate::reply::Refusal;
use crate::sign::Params;
use crate::switches::ListGone;

pub fn perform(app: &str, params: &Params, scene: &mut Scene<'_>) -> Answer {
    let with_stopped = scene.switches.list_shows_stopped;
    let tasks: Vec<Arc<Value>> = if fields::optional(params, "TaskId").is_some() {
        let found = scene.world.listed(app, fields::task(params)?, with_stopped);
        match (found, scene.switches.list_gone) {
            (Some(task), _) => vec![task],
            (None, ListGone::Empty) => Vec::new(),
            (None, ListGone::InvalidParam) => {
                return Err(Refusal::invalid_param("The task does not exist"));
            }
            (None, ListGone::InternalError) => return Err(Refusal::internal()),
        }
    } else {
        let size = fields::number(params, "PageSize", 1, 100)?;
        let page = fields::number(params, "PageNo", 1, u32::MAX)?;
        let at = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        scene.world.list_page(app, at(page), at(size), with_stopped)
    };
    let mut members = Map::new();
    members.insert(
        "MPUTasks".to_owned(),
        tasks.iter().map(|task| Value::clone(task)).collect(),
    );
    Ok(members)
}
