//! Random answers of a service that has a truth: whatever it says, the finalizer does not go while the task runs or may still begin to.

use super::*;
use crate::{
    api::{DesiredState, RestartPolicy},
    task::{tests::deletion::unix, trail::AUTO_STOP},
};
use proptest::prelude::*;

/// A service with one task id, and one object that names it.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct World {
    running: bool,
    /// A Start without an answer takes effect at this moment, if nothing forbids it then.
    coming: Option<Duration>,
    /// It has run, and stopped tasks stay listed.
    lists_stopped: bool,
    has_run: bool,
    /// Somebody is in the channel.
    live: bool,
    /// Since when nobody is.
    empty_since: Option<Duration>,
    picks: Vec<u8>,
    turn: usize,
    /// From then on every answer is the truth.
    sound_from: Duration,
}

impl World {
    fn pick(&mut self) -> u8 {
        self.turn += 1;
        self.picks[self.turn % self.picks.len()].wrapping_add(u8::try_from(self.turn % 7).unwrap())
    }

    fn run(&mut self) {
        self.running = true;
        self.has_run = true;
    }

    fn listed(&self) -> Option<Sighting> {
        (self.running || (self.lists_stopped && self.has_run)).then(|| shown(None))
    }

    fn go_on(&mut self, now: Duration) {
        if self.coming.is_some_and(|at| at <= now) {
            self.coming = None;
            self.run();
        }
        // The service stops a task by itself two minutes after the last person left.
        self.empty_since = self
            .empty_since
            .filter(|_| !self.live)
            .or_else(|| (!self.live).then_some(now));
        if self
            .empty_since
            .is_some_and(|since| now >= since + AUTO_STOP)
        {
            self.running = false;
        }
    }

    fn answer(&mut self, call: &Call, now: Duration) -> Answer {
        self.go_on(now);
        let pick = if now < self.sound_from {
            self.pick()
        } else {
            7
        };
        match (call, pick % 8) {
            (_, 0) => refused(Class::Throttled),
            (_, 1) => refused(Class::AccessDenied),
            (Call::Start, 2) => {
                // Nothing is on its way for longer than the settle time (brief, section 3).
                self.coming = Some(now + SECOND * u32::from(pick % 59));
                silence()
            }
            (Call::Start, 3) => {
                self.run();
                silence()
            }
            (Call::Start, _) if self.running => refused(Class::TaskExists),
            (Call::Start, 4) => refused(Class::QuotaExceeded),
            (Call::Start, _) => {
                self.run();
                accepted()
            }
            (Call::Stop { .. } | Call::Update, 2) => silence(),
            (Call::Stop { .. }, 3) => {
                self.running = false;
                silence()
            }
            (Call::Stop { .. }, _) if !self.running => refused(Class::NotFoundLike),
            (Call::Stop { .. }, _) => {
                self.running = false;
                accepted()
            }
            (Call::Update, _) if self.running => accepted(),
            (Call::Update, _) => refused(Class::NotFoundLike),
            (Call::ListTask | Call::Identify, 2 | 3) => refused(Class::ServiceUnavailable),
            (Call::ListTask | Call::Identify, 4) => refused(Class::InternalError),
            (Call::ListTask | Call::Identify, _) => Answer::Task(self.listed()),
            (Call::ListPage(_), _) => Answer::Page {
                shows: self.listed(),
                last: true,
            },
            (Call::Users(_), _) => Answer::Users {
                empty: !self.live,
                timestamp: unix(now),
            },
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Deed {
    Wait(u8),
    Break,
    Resume,
    Edit,
    Leave,
    Join,
    Crash,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        4 => (1_u8..90).prop_map(Deed::Wait),
        1 => Just(Deed::Break),
        1 => Just(Deed::Resume),
        1 => Just(Deed::Edit),
        1 => Just(Deed::Leave),
        1 => Just(Deed::Join),
        1 => Just(Deed::Crash),
    ];
    proptest::collection::vec(deed, 0..20)
}

/// A new process: its clock begins anew, that of the day goes on.
fn crash(life: &mut Life) {
    life.booted += life.now;
    life.now = Duration::ZERO;
    life.memory = Memory::default();
    life.seen = Seen::default();
}

/// Since the epoch.
fn today(life: &Life) -> Duration {
    life.booted + life.now
}

fn live(by_uid: bool, lists_stopped: bool, picks: Vec<u8>, deeds: &[Deed]) {
    let object = if by_uid { super::by_uid() } else { relay() };
    let mut life = Life::relay(object);
    life.view.restart = RestartPolicy::WhenChannelReturns;
    let mut world = World {
        running: false,
        coming: None,
        lists_stopped,
        has_run: false,
        live: true,
        empty_since: None,
        picks,
        turn: 0,
        sound_from: Duration::MAX,
    };
    for (number, deed) in deeds.iter().enumerate() {
        match deed {
            Deed::Wait(_) => {}
            Deed::Break => life.edit(|view| view.desired = DesiredState::Stopped),
            Deed::Resume => life.edit(|view| view.desired = DesiredState::Running),
            Deed::Edit => {
                life.edit(|_| ());
                life.wanted = parameters(&format!("h{number}"), &["aaaa"]);
            }
            Deed::Leave => world.live = false,
            Deed::Join => world.live = true,
            Deed::Crash => crash(&mut life),
        }
        let until = life.now
            + match deed {
                Deed::Wait(seconds) => SECOND * u32::from(*seconds),
                _ => SECOND,
            };
        live_until(&mut life, &mut world, until);
    }
    // Where stopped tasks stay listed, nothing but an empty channel proves that one is.
    world.live &= !lists_stopped;
    life.view.deleted = Some(life.moment().wall);
    life.view.generation += 1;
    world.sound_from = today(&life) + Duration::from_hours(1);
    let end = world.sound_from + Duration::from_mins(30);
    let evidence = loop {
        let until = life.now + 10 * SECOND;
        if let Some(evidence) = live_until(&mut life, &mut world, until) {
            break evidence;
        }
        assert!(
            today(&life) < end,
            "the deletion does not end: {:?}",
            life.memory
        );
    };
    world.go_on(today(&life));
    assert!(
        !world.running && world.coming.is_none(),
        "released on {evidence:?} while the task runs: {:?}",
        life.calls
    );
}

/// The bulk reads tell the truth of their moment.
fn live_until(life: &mut Life, world: &mut World, until: Duration) -> Option<Evidence> {
    while life.now < until {
        let step = until.min(life.now + 5 * SECOND);
        let booted = life.booted;
        let evidence = life.run(step, |call, now| world.answer(call, booted + now));
        if evidence.is_some() {
            return evidence;
        }
        world.go_on(today(life));
        life.channel(world.live);
        life.seen.absent = match (world.listed().is_some(), life.seen.absent) {
            (true, _) => None,
            (false, Some((_, last))) => Some((last, life.now)),
            (false, None) => Some((life.now, life.now)),
        };
    }
    None
}

proptest! {
    #[test]
    fn no_sequence_of_answers_releases_a_running_task(
        by_uid: bool,
        lists_stopped: bool,
        picks in proptest::collection::vec(any::<u8>(), 1..40),
        deeds in deeds(),
    ) {
        live(by_uid, lists_stopped, picks, &deeds);
    }
}
