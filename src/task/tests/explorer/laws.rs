//! What is promised (the numbers are those of the invariants), checked whenever it could break.

use super::{
    process::asks_to_run,
    world::{Budget, COOL, Hot, Nothing, State, World},
};
use crate::{
    api::{DesiredState, Reason},
    live::{Action, Class},
    task::{
        evidence::{Call, Evidence},
        ledger::{Ledger, State as Stage},
        retry::Cause,
        verdict::Verdict,
    },
};

/// A Start takes effect.
pub fn started(world: &World, state: &mut State, who: usize, parameters: usize) {
    let outputs = world.outputs(who, parameters);
    let is_shared = state.slots.iter().enumerate().any(|(slot, other)| {
        let uses = |by: usize, parameters| world.outputs(by, parameters) == outputs;
        slot != world.casts[who].slot
            && other
                .task
                .as_ref()
                .is_some_and(|task| task.by.is_some_and(|by| uses(by, task.parameters)))
    });
    if is_shared {
        state.breaks("5: two live tasks push to one output");
    }
    used(world, state, who, parameters);
}

/// A task begins to use outputs that it did not use before.
pub fn used(world: &World, state: &mut State, who: usize, parameters: usize) {
    let outputs = world.outputs(who, parameters);
    // A task that goes on may come back to what it left itself.
    let is_its_own = |hot: &Hot| hot.slot == world.casts[who].slot && !hot.has_stopped;
    let is_hot = |hot: &Hot| {
        outputs.contains(&hot.output) && state.now - hot.until < COOL && !is_its_own(hot)
    };
    if state.hot.iter().any(is_hot) {
        state.breaks("5: an output is used within ten seconds after the task that used it stopped");
    }
}

/// A call is sent.
pub fn sent(world: &World, state: &mut State, who: usize, call: &Call) {
    let object = &state.objects[who];
    match call {
        Call::Start => {
            let Some(stored) = &object.stored else {
                return state.breaks("3: Start for an object that is gone");
            };
            let ledger = Ledger::of(&stored.told.status);
            if stored.is_deleted {
                state.breaks("3: Start of an object that is being deleted");
            } else if !stored.is_guarded {
                state.breaks("3: Start before the finalizer is stored");
            } else if ledger.state() != Stage::Open {
                state.breaks("3: Start without a recorded intent");
            }
        }
        Call::Stop { .. } | Call::Update => {
            let task = state.slots[world.casts[who].slot].task.as_ref();
            let list = object.memory.waits.get(Action::ListRtcMpuTaskDetail);
            let cannot_tell =
                list.is_some_and(|wait| wait.cause == Cause::Answer(Class::AccessDenied));
            let is_foreign = task.is_some_and(|task| task.by != Some(who)) && !cannot_tell;
            let has_claim = object
                .stored
                .as_ref()
                .is_some_and(|stored| stored.told.status.claim.is_some());
            if !has_claim {
                state.breaks("2: Stop or Update without a recorded claim");
            } else if is_foreign {
                state.breaks("2: Stop or Update of a task that the object does not own");
            } else if object.stored.as_ref().is_some_and(|it| it.is_deleted) {
                let most = most_stops(world, state);
                let object = &mut state.objects[who];
                object.stops += u8::from(*call != Call::Update);
                if object.stops > most && !world.list_lags {
                    state.breaks("7: more Stops than one and the faults account for");
                }
            }
        }
        Call::ListTask | Call::ListPage(_) | Call::Users(_) | Call::Identify => {}
    }
}

/// How many Stops a deletion may cost.
fn most_stops(world: &World, state: &State) -> u8 {
    let Budget {
        faults, crashes, ..
    } = world.budget;
    let (faults, crashes) = (faults - state.left.faults, crashes - state.left.crashes);
    // Of a process that dies before it has told that its Start was accepted, the next one does not know: that costs another Stop.
    let rounds = 1 + faults + 2 * crashes;
    match world.stop_of_nothing {
        Nothing::NotFound | Nothing::Accepted => rounds,
        Nothing::InternalError => 3 * rounds,
    }
}

/// The process takes something in.
pub fn learnt(world: &World, state: &mut State, who: usize, ledger: &Ledger) {
    match ledger.state() {
        Stage::Stopped if ledger.stop_reason.is_none() => {}
        Stage::Never | Stage::Stopped => {
            if state.runs(world, who) {
                state.breaks("1: the relay is taken for not running, and it runs");
            } else if state.may_start_late(who) {
                state.breaks(
                    "1: the relay is taken for not running, and a Start may yet take effect",
                );
            }
            state.objects[who].known_stopped = true;
        }
        Stage::Open | Stage::Running => {}
    }
}

/// A status is stored.
pub fn told(world: &World, state: &mut State, who: usize, verdict: &Verdict) {
    let object = &state.objects[who];
    let Some(stored) = &object.stored else {
        return;
    };
    if stored.told.status.observed_generation != Some(stored.generation) {
        return state.breaks("11: observedGeneration is not the generation that was judged");
    }
    match verdict.reason {
        Reason::Running => {
            if object.applied != Some(stored.parameters) {
                state.breaks("11: told Running before the service has these parameters");
            } else if object.known_stopped {
                state.breaks("11: told Running although the relay is known to be stopped");
            } else if !asks_to_run(stored) {
                state.breaks("11: told Running, which is not what the spec asks for");
            }
        }
        Reason::Stopped | Reason::Completed => {
            let asks_for_it = stored.desired == DesiredState::Stopped;
            if state.runs(world, who) || state.may_start_late(who) {
                state.breaks("11: told that it is stopped, and it runs or may yet run");
            } else if verdict.reason == Reason::Stopped && !asks_for_it {
                state.breaks("11: told Stopped, which is not what the spec asks for");
            }
        }
        _ => {}
    }
}

/// The finalizer is gone.
pub fn released(world: &World, state: &mut State, who: usize, evidence: &Evidence) {
    if matches!(evidence, Evidence::Orphaned | Evidence::Declared { .. }) {
        return;
    }
    if state.runs(world, who) {
        state.breaks("1: the finalizer is removed, and the task runs");
    } else if state.may_start_late(who) {
        state.breaks("1: the finalizer is removed, and a Start may yet take effect");
    }
}

/// A Stop without an answer takes effect. It was sent then.
pub fn stopped_late(world: &World, state: &mut State, who: usize, sent: i64) {
    let task = state.slots[world.casts[who].slot].task.as_ref();
    let (is_own, is_newer) = task.map_or((true, false), |task| {
        (task.by == Some(who), task.since > sent)
    });
    if !is_own {
        state.breaks("2: a Stop that had no answer stops the task of somebody else");
    } else if is_newer {
        state.breaks("6: a Stop that had no answer stops a task that was started after it");
    }
}

/// What is wrong with a state that will not change any more.
pub fn unsettled(world: &World, state: &State, who: usize) -> Option<&'static str> {
    let object = &state.objects[who];
    let Some(stored) = &object.stored else {
        return object
            .seen
            .as_ref()
            .map(|_| "an object that is gone is still known");
    };
    if stored.is_deleted {
        return Some("8: the deletion does not end");
    }
    let status = &stored.told.status;
    if status.observed_generation != Some(stored.generation) {
        return Some("6: the newest generation is never observed");
    }
    let ready = status.conditions.first();
    let reason = ready.map_or("", |ready| ready.reason.as_str());
    let runs = state.runs(world, who);
    let task = state.slots[world.casts[who].slot].task.as_ref();
    let is_taken = task.is_some_and(|task| task.by != Some(who))
        || (0..state.objects.len()).any(|other| {
            let rival = &state.objects[other];
            other != who && rival.stored.is_some()
        });
    let wanted = world.outputs(who, stored.parameters);
    let is_held = state.objects.iter().enumerate().any(|(other, rival)| {
        let claim = rival
            .stored
            .as_ref()
            .and_then(|rival| rival.told.status.claim.as_ref());
        other != who
            && claim.is_some_and(|claim| claim.outputs.iter().any(|held| wanted.contains(held)))
    });
    match (reason, stored.desired) {
        // It runs on as it was before the change.
        ("OutputInUse", DesiredState::Running) if is_held => None,
        ("TaskIdInUse" | "OutputInUse", _) if is_taken && !runs => None,
        ("Stopped", DesiredState::Stopped) if !runs => None,
        ("Running", DesiredState::Running) if runs => {
            let has = task.map(|task| task.parameters);
            (has != Some(stored.parameters)).then_some("6: the relay never gets its parameters")
        }
        ("WaitingForChannel", DesiredState::Running) if !runs && !state.is_live => None,
        // Somebody else has stopped it, or the service.
        ("WaitingForChannel", DesiredState::Running)
            if !runs && world.restarts() && status.stop_reason.is_some() =>
        {
            None
        }
        ("Completed", DesiredState::Running) if !runs && !world.restarts() => None,
        (_, DesiredState::Stopped) => Some("6: the relay is not stopped, or not said to be"),
        (_, DesiredState::Running) => Some("6: the relay does not run, or is not said to"),
    }
}
