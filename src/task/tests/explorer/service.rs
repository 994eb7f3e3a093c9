//! The service: what it does with a call, and everything that it may answer.

use super::world::{Hot, Late, Nothing, SETTLE, Slot, State, Task, World};
use crate::{
    live::{ChannelId, Class},
    task::evidence::{Answer, Call, Sighting},
};

/// What becomes of a call in the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    None,
    Now,
    /// At some moment from now on, or never.
    Late,
}

/// What an answer costs of the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cost {
    /// The service as it should be.
    Free,
    Fault,
    Drift,
}

/// One way that a call can go.
pub struct Way {
    pub words: &'static str,
    pub is_truth: bool,
    pub answer: Answer,
    pub after: State,
}

struct Ways<'a> {
    world: &'a World,
    state: &'a State,
    who: usize,
    parameters: usize,
    call: &'a Call,
    found: Vec<Way>,
}

/// Everything that can become of a call which is sent now. `parameters`: what a Start or an Update carries.
pub fn ways(world: &World, state: &State, who: usize, parameters: usize, call: &Call) -> Vec<Way> {
    let mut ways = Ways {
        world,
        state,
        who,
        parameters,
        call,
        found: Vec::new(),
    };
    match call {
        Call::Start => ways.start(),
        Call::Stop { .. } => ways.stop(),
        Call::Update => ways.update(),
        Call::Identify | Call::ListTask => ways.list(),
        Call::ListPage(_) => ways.page(),
        Call::Users(_) => {
            let empty = !state.is_live;
            let timestamp = state.now;
            ways.truth(
                "is told who is in the channel",
                Effect::None,
                Answer::Users { empty, timestamp },
            );
        }
    }
    ways.found
}

impl Ways<'_> {
    fn slot(&self) -> &Slot {
        &self.state.slots[self.world.casts[self.who].slot]
    }

    fn way(&mut self, words: &'static str, cost: Cost, effect: Effect, answer: Answer) {
        let mut after = self.state.clone();
        let purse = match cost {
            Cost::Free => None,
            Cost::Fault => Some(&mut after.left.faults),
            Cost::Drift => Some(&mut after.left.drifts),
        };
        if let Some(purse) = purse {
            if *purse == 0 {
                return;
            }
            *purse -= 1;
        }
        match effect {
            Effect::None => {}
            Effect::Now => self.act(&mut after),
            Effect::Late => after.late.push(Late {
                who: self.who,
                sent: after.now,
                until: after.now + SETTLE,
                start: (*self.call == Call::Start).then_some(self.parameters),
            }),
        }
        self.found.push(Way {
            words,
            is_truth: cost == Cost::Free && self.found.is_empty(),
            answer,
            after,
        });
    }

    fn truth(&mut self, words: &'static str, effect: Effect, answer: Answer) {
        self.way(words, Cost::Free, effect, answer);
    }

    fn fault(&mut self, words: &'static str, effect: Effect, answer: Answer) {
        self.way(words, Cost::Fault, effect, answer);
    }

    fn act(&self, after: &mut State) {
        match self.call {
            Call::Start => start(self.world, after, self.who, self.parameters, after.now),
            Call::Stop { .. } => stop(self.world, after, self.world.casts[self.who].slot),
            Call::Update => {
                let slot = self.world.casts[self.who].slot;
                if let Some(task) = &mut after.slots[slot].task {
                    let old = task.clone();
                    task.parameters = self.parameters;
                    after.objects[self.who].applied = Some(self.parameters);
                    if old.parameters != self.parameters {
                        leave(self.world, after, (&old, slot), false);
                        super::laws::used(self.world, after, self.who, self.parameters);
                    }
                }
            }
            Call::Identify | Call::ListTask | Call::ListPage(_) | Call::Users(_) => {}
        }
    }

    fn throttled(&mut self) {
        self.fault(
            "is throttled",
            Effect::None,
            failed(Class::Throttled, false),
        );
    }

    fn start(&mut self) {
        let can = self.slot().task.is_none() && self.state.is_live;
        if self.slot().task.is_some() {
            let answer = failed(Class::TaskExists, false);
            self.truth(
                "is answered that the task exists already",
                Effect::None,
                answer,
            );
        } else if can {
            self.truth("is accepted", Effect::Now, accepted());
        } else {
            let answer = failed(Class::ChannelAbsent, false);
            self.truth("is answered that nobody is there", Effect::None, answer);
        }
        let is_uncleared = self.world.list_lags && self.is_ending();
        if can && is_uncleared {
            let answer = failed(Class::TaskExists, false);
            let words = "is answered that the task exists already, though it has just ended";
            self.truth(words, Effect::None, answer);
        }
        let lost = failed(Class::ServiceUnavailable, true);
        let words = "has no answer, and may yet take effect";
        self.fault(words, Effect::Late, lost);
        self.throttled();
        let answer = failed(Class::RequestRejected, false);
        self.fault("is rejected", Effect::None, answer);
    }

    fn stop(&mut self) {
        if self.slot().task.is_some() {
            self.truth("is accepted", Effect::Now, accepted());
            let answer = failed(Class::InternalError, true);
            let words = "is answered InternalError, without effect";
            self.fault(words, Effect::None, answer);
            if !self.world.list_lags {
                // The code that may say so can mean something else.
                let answer = failed(Class::NotFoundLike, false);
                let words = "is refused as if there were nothing, while the task runs";
                self.fault(words, Effect::None, answer);
            }
        } else {
            let (words, answer) = match self.world.stop_of_nothing {
                Nothing::NotFound => (
                    "is answered that there is nothing",
                    failed(Class::NotFoundLike, false),
                ),
                Nothing::Accepted => ("is accepted, with nothing to stop", accepted()),
                Nothing::InternalError => (
                    "is answered InternalError, with nothing to stop",
                    failed(Class::InternalError, true),
                ),
            };
            self.truth(words, Effect::None, answer);
        }
        let lost = failed(Class::ServiceUnavailable, true);
        let words = "has no answer, and may yet take effect";
        self.fault(words, Effect::Late, lost);
        self.throttled();
    }

    fn update(&mut self) {
        if self.slot().task.is_some() {
            self.truth("is accepted", Effect::Now, accepted());
            let lost = failed(Class::ServiceUnavailable, true);
            self.fault("has no answer, but took effect", Effect::Now, lost);
            let answer = failed(Class::RequestRejected, false);
            self.fault("is rejected", Effect::None, answer);
        } else {
            let answer = failed(Class::NotFoundLike, false);
            self.truth("is answered that there is nothing", Effect::None, answer);
        }
        let lost = failed(Class::ServiceUnavailable, true);
        self.fault("has no answer and no effect", Effect::None, lost);
    }

    fn list(&mut self) {
        let slot = self.slot();
        let sighting = slot.task.as_ref().map(|task| self.sighting(task));
        let ended = slot.ended.as_ref().map(|(task, _)| self.sighting(task));
        let is_young = slot.is_young(self.state.now);
        let is_running = sighting.is_some();
        if is_running || !self.world.list_refuses_unknown {
            let words = if is_running {
                "shows the task"
            } else {
                "shows nothing"
            };
            self.truth(words, Effect::None, Answer::Task(sighting));
        } else {
            let answer = failed(Class::NotFoundLike, false);
            self.truth("is answered that there is nothing", Effect::None, answer);
        }
        if self.world.list_lags && is_young {
            let words = "does not show the task yet";
            self.truth(words, Effect::None, Answer::Task(None));
        }
        if self.world.list_lags && !is_running && self.is_ending() {
            let words = "shows the task still";
            self.truth(words, Effect::None, Answer::Task(ended));
        }
        let lost = failed(Class::ServiceUnavailable, false);
        self.fault("has no answer", Effect::None, lost);
        let denied = failed(Class::AccessDenied, false);
        self.fault("is denied", Effect::None, denied);
    }

    fn page(&mut self) {
        let shows = self.slot().task.as_ref().map(|task| self.sighting(task));
        let is_running = shows.is_some();
        let words = if is_running {
            "shows the task"
        } else {
            "shows nothing, to its end"
        };
        self.truth(words, Effect::None, Answer::Page { shows, last: true });
        if is_running {
            let missed = Answer::Page {
                shows: None,
                last: true,
            };
            let words = "misses the task, since its pages drift";
            self.way(words, Cost::Drift, Effect::None, missed);
        }
    }

    fn is_ending(&self) -> bool {
        let ended = self.slot().ended.as_ref();
        ended.is_some_and(|(_, at)| self.state.now < at + 2 * super::world::TICK)
    }

    fn sighting(&self, task: &Task) -> Sighting {
        let outputs = match task.by {
            Some(who) => self.world.outputs(who, task.parameters),
            None => vec!["elsewhere".to_owned()],
        };
        Sighting {
            channel: Some(ChannelId::try_from("room-42").unwrap()),
            max_idle: None,
            mix_mode: Some("0".to_owned()),
            outputs: Some(outputs),
        }
    }
}

/// A Start takes effect, if it can. `sent`: when it was sent.
pub fn start(world: &World, state: &mut State, who: usize, parameters: usize, sent: i64) {
    let slot = world.casts[who].slot;
    if state.slots[slot].task.is_some() || !state.is_live {
        return;
    }
    state.slots[slot].task = Some(Task {
        by: Some(who),
        parameters,
        since: sent,
    });
    let object = &mut state.objects[who];
    (object.applied, object.known_stopped) = (Some(parameters), false);
    super::laws::started(world, state, who, parameters);
}

/// A task ends, if there is one.
pub fn stop(world: &World, state: &mut State, slot: usize) {
    if let Some(task) = state.slots[slot].task.take() {
        leave(world, state, (&task, slot), true);
        state.slots[slot].ended = Some((task, state.now));
    }
}

/// The outputs that the task used are not in use any more.
fn leave(world: &World, state: &mut State, (task, slot): (&Task, usize), has_stopped: bool) {
    if let Some(by) = task.by
        && state.slots.len() > 1
    {
        let (outputs, until) = (world.outputs(by, task.parameters), state.now);
        state.hot.retain(|hot| !outputs.contains(&hot.output));
        state.hot.extend(outputs.into_iter().map(|output| Hot {
            output,
            until,
            slot,
            has_stopped,
        }));
    }
}

fn failed(class: Class, may_act: bool) -> Answer {
    Answer::Failed {
        class,
        words: "words".to_owned(),
        says_gone: false,
        may_act,
        retry_after: None,
    }
}

fn accepted() -> Answer {
    Answer::Accepted {
        request_id: "REQUEST".to_owned(),
    }
}
