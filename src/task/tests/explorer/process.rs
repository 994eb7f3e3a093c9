//! The operator's process: what `plan` decides, executed as `reconcile` does.

mod writes;

use super::{
    laws, service,
    world::{COOL, Good, Next, Pending, State, Stored, TICK, World},
};
use crate::{
    api::DesiredState,
    task::{
        access::{Keys, Recorded},
        evidence::{Call, Evidence},
        gone::Gone,
        memory::{Memory, MemoryTurn, Sent},
        ownership::{Namesake, OutputRight, Standing, output_rival, standing},
        plan::{Facts, Parameters, Step, Wanted, may_start, plan},
        reconcile::fresh_until,
        seen::Seen,
        verdict::Verdict,
        view::View,
    },
};
use std::{sync::Arc, time::Duration};
use writes::{read_again, record, released_now, write};

/// More decisions in a row without any IO undo each other.
const DECISIONS: u32 = 20;

/// What an object does next that others can notice.
pub struct Act {
    pub who: usize,
    pub what: String,
    /// It went as it should.
    pub is_truth: bool,
    /// It was a write, and it is stored.
    is_stored: bool,
    pub after: State,
}

fn views(world: &World, state: &State) -> Vec<Option<View>> {
    let objects = state.objects.iter().zip(&world.casts);
    objects
        .map(|(object, cast)| object.seen.as_ref().map(|seen| cast.view(seen)))
        .collect()
}

fn standing_of(world: &World, state: &State, views: &[Option<View>], who: usize) -> Standing {
    let object = &state.objects[who];
    let rivals = views
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != who && world.casts[*other].slot == world.casts[who].slot)
        .filter_map(|(other, view)| {
            Some(Namesake {
                view: view.as_ref()?,
                claiming: state.objects[other].claiming.is_some(),
                certain: true,
            })
        });
    let me = views[who].as_ref().unwrap();
    standing((me, object.claiming.is_some()), object.guard_seen, rivals)
}

fn wanted(world: &World, view: &View, standing: &Standing, seen: &Stored, who: usize) -> Wanted {
    let may_act = match standing {
        Standing::Holder | Standing::Entitled => true,
        Standing::Unsure | Standing::Contested(_) | Standing::Disputed(_) => false,
    };
    if may_act && view.is_guarded() && !view.is_deleting() {
        Wanted::Known(Parameters {
            hash: format!("p{}", seen.parameters),
            outputs: world.outputs(who, seen.parameters),
        })
    } else {
        Wanted::Nothing
    }
}

/// What is decided for an object now. None: the process does not know it.
fn decide(world: &World, state: &mut State, who: usize) -> Option<(View, Wanted, Step)> {
    let views = views(world, state);
    let view = views[who].clone()?;
    let standing = standing_of(world, state, &views, who);
    let seen = state.objects[who].seen.clone()?;
    let wanted = wanted(world, &view, &standing, &seen, who);
    state.objects[who].wants = match &wanted {
        Wanted::Known(wanted) => wanted.outputs.clone(),
        Wanted::Nothing | Wanted::Unavailable { .. } => Vec::new(),
    };
    let claimed = view.claimed_outputs();
    let objects = &state.objects;
    let new = objects[who]
        .wants
        .iter()
        .filter(|output| !claimed.contains(output));
    let rights = new.flat_map(|output| {
        views.iter().enumerate().filter_map(move |(other, view)| {
            let (view, rival) = (view.as_ref()?, &objects[other]);
            let is_claimed = view.claimed_outputs().contains(output)
                || rival
                    .claiming
                    .as_ref()
                    .is_some_and(|outputs| outputs.contains(output));
            let right = match is_claimed {
                true => OutputRight::Claimed,
                false if rival.wants.contains(output) => OutputRight::Wanted,
                false => return None,
            };
            (other != who).then_some((view, right))
        })
    });
    let output_taken = output_rival(&view, rights);
    let now = state.moment();
    let cool_until =
        cool_until(world, state, who).max(fresh_until(&view, &wanted, &world.paces, now));
    let facts = Facts {
        view: &view,
        standing: &standing,
        output_taken: output_taken.as_ref(),
        allowed: true,
        keys: &Keys::Given,
        recorded: &Recorded::default(),
        wanted: &wanted,
        seen: &observed(world, state, who),
        cool_until,
    };
    let step = plan(facts, &state.objects[who].memory, &world.paces, now);
    Some((view, wanted, step))
}

fn observed(world: &World, state: &State, who: usize) -> Seen {
    let slot = world.casts[who].slot;
    let misses = |read: &Option<(i64, Vec<bool>)>| {
        let (begun, shown) = read.as_ref()?;
        let begun = Duration::from_secs((begun - state.born).unsigned_abs());
        (!shown[slot]).then_some(begun)
    };
    Seen {
        absent: misses(&state.lists[0]).zip(misses(&state.lists[1])),
        channel: state.channel.clone(),
        channels_fail: None,
        back: None,
        list_lost: None,
    }
}

fn cool_until(world: &World, state: &State, who: usize) -> Duration {
    let is_of_interest = |good: &Good| match good {
        Good::Task(slot) => *slot == world.casts[who].slot,
        Good::Output(output) => state.objects[who].wants.contains(output),
    };
    let until = state
        .cooling
        .iter()
        .filter(|(good, _)| is_of_interest(good))
        .map(|(_, until)| *until)
        .max();
    until.map_or(Duration::ZERO, |until| {
        Duration::from_secs((until - state.born).unsigned_abs())
    })
}

impl State {
    /// Does what the process does by itself after anything has happened to it, and decides what it does next.
    pub fn settle_decisions(&mut self, world: &World) {
        // What one wants can matter to the others.
        for _ in 0..self.objects.len() {
            for who in 0..self.objects.len() {
                self.settle_decision(world, who);
            }
        }
    }

    fn settle_decision(&mut self, world: &World, who: usize) {
        self.objects[who].next = Next::default();
        for _ in 0..DECISIONS {
            if self.objects[who].pending.is_some() || self.objects[who].claim_in_doubt {
                return;
            }
            let now = self.mono();
            let Some((view, wanted, step)) = decide(world, self, who) else {
                return;
            };
            match step {
                Step::Learn(ledger) => {
                    laws::learnt(world, self, who, &ledger);
                    self.objects[who].memory.learn(*ledger);
                }
                Step::Look => {
                    // Everything else happens at whole ticks: a read is later than the refusal that asks for it, and otherwise earlier.
                    let second = Duration::from_secs(1);
                    let memory = &mut self.objects[who].memory;
                    let begun = if memory.refused == Some(now) {
                        now.max(self.channel.read.unwrap_or_default() + second)
                    } else {
                        now.saturating_sub(second)
                    };
                    memory.asked = Some(begun);
                    let begun = self.born + i64::try_from(begun.as_secs()).unwrap();
                    self.channel_read = Some((begun, self.is_live));
                }
                step => {
                    if let Step::Rest(Some(at)) = step
                        && at <= now
                    {
                        self.breaks("a rest ends at once: a busy loop");
                    }
                    self.objects[who].next = Next(Some(Arc::new((view, wanted, step))));
                    return;
                }
            }
        }
        self.breaks("two decisions undo each other");
    }

    /// The object waits for something that is not the process.
    pub fn is_at_rest(&self, who: usize) -> bool {
        let object = &self.objects[who];
        if object.claim_in_doubt {
            return object.memory.writable_at > self.mono();
        }
        let step = object.next.0.as_deref().map(|(_, _, step)| step);
        object.pending.is_none() && step.is_none_or(|step| matches!(step, Step::Rest(_)))
    }

    fn cool(&mut self, goods: Vec<Good>, until: i64) {
        self.cooling.retain(|(good, _)| !goods.contains(good));
        let goods = goods.into_iter().map(|good| (good, until));
        self.cooling.extend(goods);
    }

    /// The object is gone, and the watch has shown it.
    pub fn forget(&mut self, world: &World, who: usize) {
        let now = self.moment();
        let born = self.born;
        let object = &mut self.objects[who];
        if let Some(seen) = object.seen.take() {
            let gone = Gone {
                view: Arc::new(world.casts[who].view(&seen)),
                stop_open: object.memory.stop_open,
            };
            if let Some(until) = gone.frees(&world.paces, now) {
                let until = born + i64::try_from(until.as_secs()).unwrap();
                let claimed = gone.view.claimed_outputs().iter().cloned();
                let task = Good::Task(world.casts[who].slot);
                let goods = claimed.map(Good::Output).chain([task]);
                self.cool(goods.collect(), until);
            }
        }
        let object = &mut self.objects[who];
        object.memory = Memory::default();
        object.wants.clear();
        (object.claiming, object.claim_in_doubt, object.pending) = (None, false, None);
    }

    /// The answer that is on its way arrives.
    pub fn answer(&self, world: &World, who: usize) -> Option<State> {
        let mut after = self.clone();
        let pending = after.objects[who].pending.take()?;
        let Some(seen) = after.objects[who].seen.clone() else {
            return Some(after);
        };
        let view = world.casts[who].view(&seen);
        let (now, born) = (after.moment(), after.born);
        let sent = Duration::from_secs((pending.sent - born).unsigned_abs());
        let before = after.objects[who].memory.ledger(&view);
        // A Stop is repeated at once, so that what follows comes as soon as it can after one that had no answer.
        let jitter = match pending.call {
            Call::Stop { .. } => 0.0,
            _ => 1.0,
        };
        let mut turn = MemoryTurn {
            generation: seen.generation,
            paces: &world.paces,
            now,
            jitter,
            bought: false,
        };
        let memory = &mut after.objects[who].memory;
        memory.absorb(
            &pending.call,
            pending.answer,
            &view,
            (sent, pending.carried),
            &mut turn,
        );
        let ledger = memory.ledger(&view);
        if ledger != before {
            laws::learnt(world, &mut after, who, &ledger);
        }
        Some(after)
    }
}

/// Everything that the object can do next, each with every outcome.
pub fn acts(world: &World, state: &State, who: usize) -> Vec<Act> {
    let object = &state.objects[who];
    if object.pending.is_some() {
        return Vec::new();
    }
    if object.claim_in_doubt {
        return if object.memory.writable_at <= state.mono() {
            vec![read_again(world, state, who)]
        } else {
            Vec::new()
        };
    }
    let Some(next) = object.next.0.clone() else {
        return Vec::new();
    };
    let (view, wanted, step) = &*next;
    let mut before = state.clone();
    let act = |what: String, is_truth: bool, after: State| Act {
        who,
        what,
        is_truth,
        is_stored: false,
        after,
    };
    match step {
        Step::Rest(_) | Step::Learn(_) | Step::Look => Vec::new(),
        Step::Guard => write(
            world,
            &before,
            who,
            "stores the finalizer",
            (false, !world.is_about_drops),
            |stored| {
                stored.is_guarded = true;
            },
        )
        .collect(),
        Step::Record(verdict) => record(world, before, who, view, verdict),
        Step::Release(evidence) => {
            let what = format!("removes the finalizer ({})", evidence.kind());
            let exact = !evidence.rests_on_stop();
            let released: Vec<Act> = write(
                world,
                &before,
                who,
                &what,
                (exact, !world.is_about_drops),
                |stored| {
                    stored.is_guarded = false;
                },
            )
            .collect();
            released
                .into_iter()
                .map(|act| released_now(world, act, evidence))
                .collect()
        }
        Step::Call { call, .. } => {
            if *call == Call::Start {
                let Some(stored) = &before.objects[who].stored else {
                    before.forget(world, who);
                    return vec![act(
                        "reads before its Start that it is gone".to_owned(),
                        true,
                        before,
                    )];
                };
                let live = world.casts[who].view(stored);
                before.objects[who].seen = Some(stored.clone());
                if !may_start(view, &live) {
                    let what = "reads before its Start that it has changed".to_owned();
                    return vec![act(what, true, before)];
                }
            }
            let carried = carried(wanted, view, call);
            if *call == Call::Start {
                before.objects[who].memory.sending_start();
            }
            laws::sent(world, &mut before, who, call);
            let parameters = usize::from(carried.as_ref().is_some_and(|sent| sent.hash == "p1"));
            service::ways(world, &before, who, parameters, call)
                .into_iter()
                .map(|way| {
                    let mut after = way.after;
                    after.objects[who].pending = Some(Pending {
                        call: call.clone(),
                        answer: way.answer,
                        sent: after.now,
                        carried: carried.clone(),
                    });
                    act(
                        format!("sends {call:?}, which {}", way.words),
                        way.is_truth,
                        after,
                    )
                })
                .collect()
        }
    }
}

fn carried(wanted: &Wanted, view: &View, call: &Call) -> Option<Sent> {
    match (wanted, call) {
        (Wanted::Known(wanted), Call::Start | Call::Update) => Some(Sent {
            hash: wanted.hash.clone(),
            generation: view.generation,
        }),
        _ => None,
    }
}

/// Whether the object asks for its relay to run.
pub fn asks_to_run(stored: &Stored) -> bool {
    !stored.is_deleted && stored.desired == DesiredState::Running
}
