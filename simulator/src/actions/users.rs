//! `DescribeChannelUsers` (dossier 4.1).

use serde_json::{Map, json};

use super::{Answer, Scene, fields};
use crate::sign::Params;

/// At most so many viewers are named.
const VIEWERS: usize = 1000;

pub fn perform(app: &str, params: &Params, scene: &mut Scene<'_>) -> Answer {
    let state = scene
        .world
        .channel(scene.now, scene.switches, app, fields::channel(params)?);
    let mut members = Map::new();
    members.insert("IsChannelExists".to_owned(), json!(state.exists));
    members.insert("InteractiveUserNumber".to_owned(), json!(state.users.len()));
    members.insert("InteractiveUserList".to_owned(), json!(state.users));
    members.insert("LiveUserNumber".to_owned(), json!(state.viewers.len()));
    members.insert(
        "LiveUserList".to_owned(),
        json!(state.viewers.iter().take(VIEWERS).collect::<Vec<_>>()),
    );
    members.insert(
        "Timestamp".to_owned(),
        json!(scene.now.simulated.div_euclid(1000)),
    );
    Ok(members)
}
