//! What happens by itself, or because of others.

use super::{
    laws,
    process::{acts, asks_to_run},
    service,
    time::NOW,
    world::{COOL, Edits, Object, State, TICK, Task, World},
};
use crate::{
    api::{DesiredState, RestartPolicy},
    task::{
        ledger::{Ledger, State as Stage},
        memory::Memory,
        observatory::{is_open, is_running, waits_for_channel},
        seen::Channel,
        trail::READING_GAP,
        view::View,
    },
};
use std::time::Duration;

/// What sort of thing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The process acts, and it goes as it should.
    Act,
    /// An answer arrives.
    Answer,
    Watch,
    Read,
    AutoStop,
    /// A call without an answer takes effect.
    Land,
    Tick,
    /// A fault, or somebody's doing.
    Other,
}

/// One thing that can happen next.
pub struct Event {
    pub kind: Kind,
    pub words: String,
    pub after: State,
}

/// Everything that can happen next, always in the same order.
pub fn events(world: &World, state: &State) -> Vec<Event> {
    let mut events = Events {
        world,
        state,
        list: Vec::new(),
    };
    for who in 0..state.objects.len() {
        events.process(who);
        events.people(who);
    }
    events.service();
    events.reads();
    events.crash();
    events.tick();
    events.list
}

struct Events<'a> {
    world: &'a World,
    state: &'a State,
    list: Vec<Event>,
}

impl Events<'_> {
    /// Something happens of which the process does not know yet.
    fn outside(&mut self, kind: Kind, words: impl Into<String>, after: State) {
        let words = words.into();
        self.list.push(Event { kind, words, after });
    }

    fn push(&mut self, kind: Kind, words: impl Into<String>, mut after: State) {
        after.settle_decisions(self.world);
        self.list.push(Event {
            kind,
            words: words.into(),
            after,
        });
    }

    fn name(&self, who: usize) -> String {
        if self.world.casts.len() == 1 {
            "the object".to_owned()
        } else {
            format!("object {}", who + 1)
        }
    }

    fn process(&mut self, who: usize) {
        let name = self.name(who);
        for act in acts(self.world, self.state, who) {
            let kind = if act.is_truth { Kind::Act } else { Kind::Other };
            self.push(kind, format!("{name} {}", act.what), act.after);
        }
        if let Some(after) = self.state.answer(self.world, who) {
            self.push(Kind::Answer, format!("the answer reaches {name}"), after);
        }
        if is_behind(&self.state.objects[who]) {
            let mut after = self.state.clone();
            let object = &mut after.objects[who];
            object.lags = false;
            match object.stored.clone() {
                Some(stored) => {
                    object.guard_seen |= stored.is_guarded;
                    object.seen = Some(stored);
                }
                None => after.forget(self.world, who),
            }
            self.push(Kind::Watch, format!("the watch shows {name}"), after);
        }
    }

    fn people(&mut self, who: usize) {
        let world = self.world;
        let is_early = self.state.objects[0].applied.is_none();
        if world.is_about_drops && is_early {
            return;
        }
        let name = self.name(who);
        let object = &self.state.objects[who];
        let Some(stored) = &object.stored else {
            if !object.is_gone {
                let mut after = self.state.clone();
                self.world.casts[who].create(&mut after.objects[who]);
                self.outside(Kind::Other, format!("{name} is created"), after);
            }
            return;
        };
        if stored.is_deleted || (world.is_about_drops && who > 0) {
            return;
        }
        let mut after = self.state.clone();
        let object = &mut after.objects[who];
        if let Some(stored) = object.stored.as_mut().filter(|stored| stored.is_guarded) {
            stored.is_deleted = true;
            stored.generation += 1;
            stored.version += 1;
        } else {
            (object.stored, object.is_gone) = (None, true);
        }
        self.outside(Kind::Other, format!("{name} is deleted by its user"), after);
        if self.state.left.edits == 0 {
            return;
        }
        let mut edit = |words: &str, change: &dyn Fn(&mut super::world::Stored)| {
            let mut after = self.state.clone();
            after.left.edits -= 1;
            if let Some(stored) = &mut after.objects[who].stored {
                change(stored);
                stored.generation += 1;
                stored.version += 1;
            }
            self.outside(
                Kind::Other,
                format!("the user changes {name}: {words}"),
                after,
            );
        };
        if world.edits != Edits::Parameters {
            let (other, words) = if asks_to_run(stored) {
                (DesiredState::Stopped, "desiredState: Stopped")
            } else {
                (DesiredState::Running, "desiredState: Running")
            };
            edit(words, &|stored| stored.desired = other);
        }
        if world.edits != Edits::DesiredState {
            edit("other parameters", &|stored| {
                stored.parameters = 1 - stored.parameters;
            });
        }
    }

    fn service(&mut self) {
        let (world, state) = (self.world, self.state);
        for (index, late) in self.state.late.iter().enumerate() {
            let mut after = self.state.clone();
            let late = late.clone();
            after.late.remove(index);
            let words = if let Some(parameters) = late.start {
                service::start(self.world, &mut after, late.who, parameters, late.sent);
                "a Start that had no answer takes effect"
            } else {
                laws::stopped_late(self.world, &mut after, late.who, late.sent);
                service::stop(self.world, &mut after, self.world.casts[late.who].slot);
                "a Stop that had no answer takes effect"
            };
            self.outside(Kind::Land, words, after);
        }
        for slot in 0..self.state.slots.len() {
            if self.state.slots[slot].task.is_some() && !self.state.is_live {
                let mut after = self.state.clone();
                service::stop(self.world, &mut after, slot);
                let words = "the service stops the task, since nobody is in the channel";
                self.outside(Kind::AutoStop, words, after);
            }
        }
        if self.state.left.outside == 0 {
            return;
        }
        let mut outside = |words: &str, change: &dyn Fn(&mut State)| {
            let mut after = self.state.clone();
            after.left.outside -= 1;
            change(&mut after);
            self.outside(Kind::Other, words, after);
        };
        if state.is_live {
            outside("everybody leaves the channel", &|after| {
                after.is_live = false;
            });
        } else {
            outside("somebody joins the channel", &|after| after.is_live = true);
        }
        for slot in 0..state.slots.len() {
            if state.slots[slot].task.is_some() {
                outside("somebody else stops the task", &|after| {
                    service::stop(world, after, slot);
                });
            } else if world.has_others && is_free(world, state, slot) {
                outside("somebody else starts a task by this id", &|after| {
                    after.slots[slot].task = Some(Task {
                        by: None,
                        parameters: 0,
                        since: after.now,
                    });
                });
            }
        }
    }

    fn reads(&mut self) {
        let state = self.state;
        if !is_calm(state) {
            return;
        }
        if let Some((begun, shown)) = &state.list_read {
            let mut after = state.clone();
            after.list_read = None;
            after.lists = [after.lists[1].take(), Some((*begun, shown.clone()))];
            self.push(Kind::Read, "a complete read of the list ends", after);
        }
        if let Some((begun, is_live)) = state.channel_read {
            let mut after = state.clone();
            after.channel_read = None;
            let begun = Duration::from_secs((begun - state.born).unsigned_abs());
            after.channel.take(begun, is_live, READING_GAP);
            self.push(Kind::Read, "a read of the channels ends", after);
        }
    }

    fn crash(&mut self) {
        if self.state.left.crashes == 0 {
            return;
        }
        let mut after = self.state.clone();
        after.left.crashes -= 1;
        after.born = after.now;
        for object in &mut after.objects {
            object.seen.clone_from(&object.stored);
            object.guard_seen = object
                .stored
                .as_ref()
                .is_some_and(|stored| stored.is_guarded);
            object.memory = Memory::default();
            object.wants.clear();
            object.lags = false;
            (object.claiming, object.claim_in_doubt, object.pending) = (None, false, None);
        }
        (after.lists, after.list_read) = ([None, None], None);
        (after.channel, after.channel_read) = (Channel::default(), None);
        after.cooling.clear();
        self.push(Kind::Other, "the process dies and starts again", after);
    }

    fn tick(&mut self) {
        let state = self.state;
        let is_waited_for = state.list_read.is_some()
            || state.channel_read.is_some()
            || state.objects.iter().any(|object| {
                let is_old = |sent: i64| !self.world.is_slow || sent <= state.now - TICK;
                object
                    .pending
                    .as_ref()
                    .is_some_and(|pending| is_old(pending.sent))
                    || (object.lags && is_behind(object))
            });
        if is_waited_for || !is_calm(state) {
            return;
        }
        let mut after = state.clone();
        after.now += TICK;
        after.late.retain(|late| late.until > after.now);
        after.cooling.retain(|(_, until)| *until > after.now);
        after.hot.retain(|hot| hot.until + COOL > after.now);
        for slot in &mut after.slots {
            let is_shown = |at: i64| self.world.list_lags && at + 2 * TICK > after.now;
            slot.ended = slot.ended.take().filter(|(_, at)| is_shown(*at));
        }
        for object in &mut after.objects {
            object.lags = is_behind(object);
        }
        // A moment before, so that what happens now is later.
        let begun = after.now - 1;
        let can_read = begun > after.born;
        if can_read && is_channel_read(self.world, state) {
            after.channel_read = Some((begun, state.is_live));
        }
        let shown: Vec<bool> = state.slots.iter().map(|slot| slot.task.is_some()).collect();
        let runs = shown.contains(&true);
        if can_read && is_list_read(self.world, state) {
            after.list_read = Some((begun, shown.clone()));
        }
        if after.list_read.is_some() && runs && state.left.drifts > 0 {
            let mut after = after.clone();
            after.left.drifts -= 1;
            after.list_read = Some((begun, vec![false; shown.len()]));
            after.settle_times();
            let words =
                "time goes on, and a read of the list misses the task, since its pages drift";
            self.push(Kind::Other, words, after);
        }
        let lagging: Vec<bool> = state
            .slots
            .iter()
            .map(|slot| slot.task.is_some() && !slot.is_young(state.now))
            .collect();
        if after.list_read.is_some() && self.world.list_lags && lagging != shown {
            let mut after = after.clone();
            after.list_read = Some((begun, lagging));
            after.settle_times();
            let words = "time goes on, and a read of the list does not show the task yet";
            self.push(Kind::Other, words, after);
        }
        after.settle_times();
        debug_assert_eq!(after.now, NOW);
        self.push(Kind::Tick, "time goes on", after);
    }
}

/// Nothing is left for the process to do now.
fn is_calm(state: &State) -> bool {
    (0..state.objects.len())
        .all(|who| state.objects[who].pending.is_some() || state.is_at_rest(who))
}

fn is_behind(object: &Object) -> bool {
    match (&object.stored, &object.seen) {
        (Some(stored), Some(seen)) => {
            stored.version != seen.version || (stored.is_guarded && !object.guard_seen)
        }
        (None, None) => false,
        (Some(_), None) | (None, Some(_)) => true,
    }
}

/// Nobody has begun to start a task by this id.
fn is_free(world: &World, state: &State, slot: usize) -> bool {
    let has_late = state
        .late
        .iter()
        .any(|late| world.casts[late.who].slot == slot);
    let is_idle = |object: &Object, stage: Stage| {
        object.pending.is_none()
            && object.memory.intended.is_none()
            && (stage == Stage::Never || stage == Stage::Stopped)
    };
    let objects = state.objects.iter().zip(&world.casts);
    let mut rivals = objects.filter(|(_, cast)| cast.slot == slot);
    !has_late
        && rivals.all(|(object, cast)| {
            let Some(stored) = &object.stored else {
                return true;
            };
            let told = Ledger::of(&stored.told.status).state();
            let known = object.memory.ledger(&cast.view(stored)).state();
            is_idle(object, told) && is_idle(object, known)
        })
}

fn views(world: &World, state: &State) -> impl Iterator<Item = View> {
    let objects = state.objects.iter().zip(&world.casts);
    objects.filter_map(|(object, cast)| Some(cast.view(object.seen.as_ref()?)))
}

fn is_list_read(world: &World, state: &State) -> bool {
    views(world, state).any(|view| is_running(&view) || is_open(&view))
}

fn is_channel_read(world: &World, state: &State) -> bool {
    let is_asked = state.objects.iter().any(|object| {
        object
            .memory
            .asked
            .is_some_and(|asked| state.channel.read.is_none_or(|read| read < asked))
    });
    is_asked
        || views(world, state)
            .any(|view| waits_for_channel(&view, state.moment().wall) || is_running(&view))
}

impl World {
    /// The relays are started again when the channel returns.
    pub fn restarts(&self) -> bool {
        self.casts[0].restart() == RestartPolicy::WhenChannelReturns
    }
}
