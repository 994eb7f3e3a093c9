//! Writes to the API server, each with what can become of it and of its answer.

use super::{super::world::Told, *};

/// The outcome of a write to the API server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Write {
    Done,
    /// Stored, but the answer is lost.
    LostAfter,
    LostBefore,
}

const WRITES: [(Write, &str); 3] = [
    (Write::Done, ""),
    (Write::LostAfter, "; it is stored, but the answer is lost"),
    (Write::LostBefore, "; it is lost"),
];

/// One write with each of its outcomes.
pub(super) fn write(
    world: &World,
    before: &State,
    who: usize,
    what: &str,
    (exact, can_be_lost): (bool, bool),
    change: impl Fn(&mut Stored),
) -> impl Iterator<Item = Act> {
    let mut acts = Vec::new();
    for (outcome, words) in WRITES {
        let mut after = before.clone();
        let object = &mut after.objects[who];
        let Some(stored) = &mut object.stored else {
            after.forget(world, who);
            let what = format!("{what}, but it is gone");
            return vec![Act {
                who,
                what,
                is_truth: true,
                is_stored: false,
                after,
            }]
            .into_iter();
        };
        let is_stale = object
            .seen
            .as_ref()
            .is_none_or(|seen| seen.version != stored.version);
        if exact && is_stale {
            object.seen = Some(stored.clone());
            let what = format!("{what}, but it has changed; reads it again");
            return vec![Act {
                who,
                what,
                is_truth: true,
                is_stored: false,
                after,
            }]
            .into_iter();
        }
        if outcome != Write::Done {
            if before.left.lost_writes == 0 || !can_be_lost {
                break;
            }
            after.left.lost_writes -= 1;
        }
        if outcome != Write::LostBefore {
            let before = stored.clone();
            change(stored);
            if *stored != before {
                stored.version += 1;
            }
        }
        if outcome == Write::Done {
            object.seen = Some(stored.clone());
        } else {
            let tick = Duration::from_secs(TICK.unsigned_abs());
            after.objects[who].memory.writable_at = before.mono() + tick;
        }
        acts.push(Act {
            who,
            what: format!("{what}{words}"),
            is_truth: outcome == Write::Done,
            is_stored: outcome != Write::LostBefore,
            after,
        });
    }
    acts.into_iter()
}

pub(super) fn released_now(world: &World, act: Act, evidence: &Evidence) -> Act {
    let Act {
        who,
        what,
        is_truth,
        is_stored,
        mut after,
    } = act;
    let object = &mut after.objects[who];
    if is_stored {
        (object.stored, object.is_gone) = (None, true);
        laws::released(world, &mut after, who, evidence);
        if is_truth {
            after.forget(world, who);
        }
    }
    Act {
        who,
        what,
        is_truth,
        is_stored,
        after,
    }
}

pub(super) fn record(
    world: &World,
    mut before: State,
    who: usize,
    view: &View,
    verdict: &Verdict,
) -> Vec<Act> {
    let outputs = verdict.claim.as_ref().map(|claim| claim.outputs.clone());
    let claimed = view.claimed_outputs();
    let claims = outputs
        .clone()
        .filter(|outputs| !view.has_claim() || outputs.iter().any(|new| !claimed.contains(new)));
    let is_claim = claims.is_some();
    if is_claim {
        before.objects[who].claiming = claims;
    }
    let kept = outputs.as_deref().unwrap_or_default();
    let dropped = before.objects[who].memory.drops(view, kept);
    let can_be_lost = !world.is_about_drops || !dropped.is_empty();
    let goods = dropped.into_iter().map(Good::Output).collect();
    before.cool(goods, before.now + COOL);
    before.objects[who].memory.recording(verdict, view);
    let status = verdict.status(view, &[], before.moment().wall);
    let what = format!(
        "tells {}: {}",
        verdict.reason.as_str(),
        first_sentence(&verdict.message)
    );
    let told = Told::new(status);
    let mut acts: Vec<Act> = write(world, &before, who, &what, (true, can_be_lost), |stored| {
        stored.told = told.clone();
    })
    .collect();
    for act in &mut acts {
        if act.is_stored {
            laws::told(world, &mut act.after, who, verdict);
        }
        let is_known = act.after.objects[who].memory.writable_at <= before.mono();
        let is_done = act.is_truth && act.is_stored;
        let object = &mut act.after.objects[who];
        if is_done {
            object.memory.recorded(verdict);
        }
        if is_claim {
            object.claim_in_doubt = !is_known;
            if is_known {
                object.claiming = None;
            }
        }
    }
    acts
}

pub(super) fn read_again(world: &World, state: &State, who: usize) -> Act {
    let mut after = state.clone();
    let object = &mut after.objects[who];
    (object.claim_in_doubt, object.claiming) = (false, None);
    match object.stored.clone() {
        Some(stored) => object.seen = Some(stored),
        None => after.forget(world, who),
    }
    Act {
        who,
        what: "reads the object to see whether its claim is stored".to_owned(),
        is_truth: true,
        is_stored: false,
        after,
    }
}

fn first_sentence(message: &str) -> &str {
    message
        .split_inclusive(". ")
        .next()
        .unwrap_or(message)
        .trim()
}
