//! `ListRTCLiveRooms` (dossier 4.3). It has codes of its own.

use serde_json::{Map, json};

use super::{Answer, Scene, fields};
use crate::reply::Refusal;
use crate::sign::Params;

/// Rooms on a page, where the caller does not say.
const PAGE_SIZE: u32 = 50;

pub fn perform(app: &str, params: &Params, scene: &mut Scene<'_>) -> Answer {
    let number = |name, min, max, otherwise| match fields::optional(params, name) {
        Some(_) => fields::number(params, name, min, max).map_err(input_invalid),
        None => Ok(otherwise),
    };
    let size = number("PageSize", 10, 100, PAGE_SIZE)?;
    let page = number("PageNo", 1, u32::MAX, 1)?;
    let at = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let rooms = scene.world.rooms(scene.now, scene.switches, app);
    let shown: Vec<&str> = rooms
        .iter()
        .copied()
        .skip(at(page - 1).saturating_mul(at(size)))
        .take(at(size))
        .collect();
    let mut members = Map::new();
    members.insert("Rooms".to_owned(), json!(shown));
    members.insert("Total".to_owned(), json!(rooms.len()));
    Ok(members)
}

/// An application that is not the account's.
pub fn no_such_app(app: &str) -> Refusal {
    Refusal::new(
        404,
        "ResourceNotExist",
        format!("The application {app} does not exist."),
    )
}

/// A refusal of a parameter, under this action's code.
pub fn input_invalid(refusal: Refusal) -> Refusal {
    Refusal::new(400, "InputInvalid", refusal.message)
}
