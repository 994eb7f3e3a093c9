//! The search: breadth first, so that what it finds is as short as can be; and from where it is asked to, whether everything comes to rest.

use super::{
    environment::{Event, Kind, events},
    laws,
    world::{Budget, State, World},
};
use crate::task::ledger::Ledger;
use std::io::Write as _;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt::Write,
    hash::{DefaultHasher, Hasher},
    time::Instant,
};

/// Without faults everything settles within this many steps.
const PATIENCE: usize = 600;

/// How large a world was.
#[derive(Debug, Default)]
pub struct Count {
    pub states: usize,
    pub transitions: usize,
    pub depth: u32,
    pub settled: usize,
}

struct Node {
    parent: usize,
    /// Which of the parent's events led here.
    event: u16,
    depth: u32,
}

/// Explores a world. The error is a readable trace to the first broken promise.
pub fn explore(world: &World, most: usize, sample: u64) -> Result<Count, String> {
    let begun = Instant::now();
    let mut search = Search {
        world,
        nodes: Vec::new(),
        known: HashSet::new(),
        settled: HashSet::new(),
        count: Count::default(),
    };
    let mut first = world.begin();
    first.settle_decisions(world);
    let mut queue = VecDeque::new();
    search.known.insert(print(&first));
    search.nodes.push(Node {
        parent: 0,
        event: 0,
        depth: 0,
    });
    queue.push_back((0, first));
    while let Some((index, state)) = queue.pop_front() {
        for (place, event) in events(world, &state).into_iter().enumerate() {
            search.count.transitions += 1;
            let place = u16::try_from(place).unwrap();
            if let Some(promise) = event.after.broken {
                return Err(search.trace(index, Some(place), promise, &[]));
            }
            let print = print(&event.after);
            if !search.known.insert(print) {
                continue;
            }
            let depth = search.nodes[index].depth + 1;
            search.count.depth = depth;
            search.nodes.push(Node {
                parent: index,
                event: place,
                depth,
            });
            let next = search.nodes.len() - 1;
            let is_deletion = event.after.objects.iter().any(|object| {
                object
                    .stored
                    .as_ref()
                    .is_some_and(|stored| stored.is_deleted)
            });
            if (is_deletion && print.is_multiple_of(4)) || print.is_multiple_of(u128::from(sample))
            {
                search.count.settled += 1;
                for fate in Fate::ALL {
                    if let Err((promise, story)) = search.settles(&event.after, fate) {
                        return Err(search.trace(next, None, promise, &story));
                    }
                }
            }
            queue.push_back((next, event.after));
        }
        if search.nodes.len() > most {
            return Err(format!(
                "{}: more than {most} states; {:?}",
                world.name, search.count
            ));
        }
    }
    search.count.states = search.nodes.len();
    // Beside what the test harness captures, so that a run that passes shows it, too.
    let shown = writeln!(
        std::io::stderr(),
        "{}: {} states, {} transitions, depth {}, {} of them followed until they settle, {:.1} s",
        world.name,
        search.count.states,
        search.count.transitions,
        search.count.depth,
        search.count.settled,
        begun.elapsed().as_secs_f64()
    );
    shown.map_err(|error| error.to_string())?;
    Ok(search.count)
}

/// How a path goes on once nothing fails any more.
#[derive(Clone, Copy, Debug)]
struct Fate {
    /// Calls without an answer take effect, as late as they can; otherwise never.
    lands: bool,
    /// Somebody is in the channel from now on; otherwise it stays as it is.
    is_live: bool,
}

impl Fate {
    const ALL: [Self; 3] = [
        Self {
            lands: true,
            is_live: true,
        },
        Self {
            lands: false,
            is_live: true,
        },
        Self {
            lands: true,
            is_live: false,
        },
    ];
}

struct Search<'a> {
    world: &'a World,
    nodes: Vec<Node>,
    known: HashSet<u128>,
    settled: HashSet<(u128, bool)>,
    count: Count,
}

impl Search<'_> {
    /// Whether everything comes to rest as it should.
    fn settles(&mut self, from: &State, fate: Fate) -> Result<(), (&'static str, Vec<String>)> {
        let world = self.world;
        let mut state = from.clone();
        state.left = Budget::default();
        state.is_live |= fate.is_live;
        state.settle_decisions(world);
        let mut path: HashMap<u128, usize> = HashMap::new();
        let mut is_writing = Vec::new();
        let mut story = vec![format!("from here on nothing fails ({fate:?})")];
        for step in 0..PATIENCE {
            let print = print(&state);
            if self.settled.contains(&(print, fate.lands)) {
                break;
            }
            if let Some(since) = path.get(&print) {
                if is_writing[*since..].contains(&true) {
                    return Err(("6: it never comes to rest", story));
                }
                let wrong =
                    (0..state.objects.len()).find_map(|who| laws::unsettled(world, &state, who));
                if let Some(wrong) = wrong {
                    return Err((wrong, story));
                }
                break;
            }
            if step + 1 == PATIENCE {
                return Err(("6: it does not come to rest in time", story));
            }
            path.insert(print, step);
            let Some(event) = choose(events(world, &state), fate, &state) else {
                return Err(("6: nothing can happen any more", story));
            };
            story.push(line(&event));
            is_writing.push(event.kind == Kind::Act && !is_reading(&event));
            state = event.after;
            if let Some(promise) = state.broken {
                return Err((promise, story));
            }
        }
        self.settled
            .extend(path.into_keys().map(|print| (print, fate.lands)));
        Ok(())
    }

    fn trace(&self, to: usize, last: Option<u16>, promise: &str, story: &[String]) -> String {
        let mut places: Vec<u16> = last.into_iter().collect();
        let mut index = to;
        while index != 0 {
            places.push(self.nodes[index].event);
            index = self.nodes[index].parent;
        }
        let mut text = format!(
            "in the world \"{}\" a promise is broken:\n{promise}\n",
            self.world.name
        );
        let mut state = self.world.begin();
        state.settle_decisions(self.world);
        let mut number = 0;
        for place in places.iter().rev() {
            let event = events(self.world, &state).swap_remove(usize::from(*place));
            number += 1;
            let _ = writeln!(text, "{number:3}. {}", line(&event));
            state = event.after;
        }
        for line in story {
            number += 1;
            let _ = writeln!(text, "{number:3}. {line}");
        }
        if story.is_empty() {
            for object in &state.objects {
                let _ = writeln!(text, "{:#?}", object.memory);
            }
        }
        text
    }
}

/// What happens next where nothing fails.
fn choose(events: Vec<Event>, fate: Fate, state: &State) -> Option<Event> {
    let is_last_chance = state
        .late
        .iter()
        .any(|late| late.until <= state.now + super::world::TICK);
    let order = [
        Kind::Watch,
        Kind::Answer,
        Kind::Act,
        Kind::Read,
        Kind::AutoStop,
        Kind::Land,
        Kind::Tick,
    ];
    let rank = |kind: Kind| {
        if kind == Kind::Land && !(fate.lands && is_last_chance) {
            return None;
        }
        order.iter().position(|other| *other == kind)
    };
    events
        .into_iter()
        .filter(|event| rank(event.kind).is_some())
        .min_by_key(|event| rank(event.kind))
}

fn is_reading(event: &Event) -> bool {
    ["Identify", "ListTask", "ListPage", "Users"]
        .iter()
        .any(|call| event.words.contains(call))
}

/// An event, and what is true after it.
fn line(event: &Event) -> String {
    let mut text = event.words.clone();
    let slots = event.after.slots.iter().map(|slot| match &slot.task {
        None => "nothing runs".to_owned(),
        Some(task) => match task.by {
            None => "a task of somebody else runs".to_owned(),
            Some(who) => format!("the task of object {} runs", who + 1),
        },
    });
    let slots: Vec<String> = slots.collect();
    let _ = write!(text, "  [{}", slots.join(", "));
    for object in &event.after.objects {
        let Some(stored) = &object.stored else {
            text.push_str("; no object");
            continue;
        };
        let status = &stored.told.status;
        let reason = status
            .conditions
            .first()
            .map_or("nothing", |told| told.reason.as_str());
        let known = match &object.memory.ledger {
            Some(ledger) => format!("{:?}, not stored", ledger.state()),
            None => format!("{:?}", Ledger::of(status).state()),
        };
        let _ = write!(text, "; told {reason}; relay {known}");
    }
    text.push(']');
    text
}

/// A hash of everything in a state, wide enough to stand for it.
fn print(state: &State) -> u128 {
    let text = format!("{state:?}");
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(salt);
        hasher.write(text.as_bytes());
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}
