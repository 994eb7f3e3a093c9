//! What a small world holds: objects, the service, the process and what was promised of them.

use super::super::view;
use crate::{
    api::{DesiredState, FINALIZER, MixedStreamTaskStatus, RestartPolicy},
    task::{
        evidence::{Answer, Call},
        memory::{Memory, Sent},
        plan::{Step, Wanted},
        retry::{Moment, Paces},
        seen::Channel,
        view::View,
    },
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

/// Time goes on by this many seconds; every pace is a multiple of it.
pub const TICK: i64 = 5;
/// How long an output that was in use must rest, whoever uses it next (dossier 3.1).
pub const COOL: i64 = 10;
/// How long the answer to an unanswered call may still take effect.
pub const SETTLE: i64 = 15;

/// The paces of every world.
pub fn paces() -> Paces {
    let tick = Duration::from_secs(TICK.unsigned_abs());
    Paces {
        call_deadline: tick,
        backoff_min: tick,
        backoff_max: tick,
        slow_backoff_min: tick * 2,
        slow_backoff_max: tick * 2,
        channel_poll: tick,
        settle_time: Duration::from_secs(SETTLE.unsigned_abs()),
        sweep_period: tick,
        ..Paces::default()
    }
}

/// What does not change in a world.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a habit of the world by itself"
)]
#[derive(Debug)]
pub struct World {
    pub name: &'static str,
    pub casts: Vec<Cast>,
    /// What Stop answers where there is nothing to stop.
    pub stop_of_nothing: Nothing,
    /// The list by id answers not-found-like where it has nothing to show.
    pub list_refuses_unknown: bool,
    /// The list shows a task late, and one that ended still for a while.
    pub list_lags: bool,
    pub edits: Edits,
    /// An answer can take its time.
    pub is_slow: bool,
    /// Somebody else starts tasks by the same ids.
    pub has_others: bool,
    /// Somebody else's task has the first id from the beginning.
    pub is_taken: bool,
    /// The first relay runs before anybody does anything, it alone is changed or deleted, and of the writes only those can be lost that let go of outputs.
    pub is_about_drops: bool,
    /// Somebody is in the channel at first.
    pub begins_live: bool,
    /// What may go wrong, and change, on one path.
    pub budget: Budget,
    pub paces: Paces,
}

/// One object of a world.
#[derive(Debug)]
pub struct Cast {
    /// The task id that it is about, as an index.
    pub slot: usize,
    /// The outputs of its two sets of parameters.
    pub outputs: [&'static str; 2],
    /// It is there from the beginning.
    pub is_first: bool,
    template: View,
}

/// What people change in a spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edits {
    DesiredState,
    Parameters,
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nothing {
    NotFound,
    Accepted,
    InternalError,
}

/// How often something may still happen on a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Lost, late, throttled or refused answers of the service.
    pub faults: u8,
    /// Writes to the API server without an answer.
    pub lost_writes: u8,
    pub crashes: u8,
    /// Changes of the spec.
    pub edits: u8,
    /// What others do: the channel comes or goes, somebody stops or starts a task.
    pub outside: u8,
    /// A complete read of the list misses a task.
    pub drifts: u8,
}

/// Everything at one moment. Times are seconds of the day, but for the process's own, which count from its start.
#[derive(Clone, Debug)]
pub struct State {
    pub now: i64,
    /// When the process started.
    pub born: i64,
    pub is_live: bool,
    pub slots: Vec<Slot>,
    pub late: Vec<Late>,
    pub objects: Vec<Object>,
    /// The last two complete reads of the list: when each began, and which ids it showed.
    pub lists: [Option<(i64, Vec<bool>)>; 2],
    pub list_read: Option<(i64, Vec<bool>)>,
    pub channel: Channel,
    pub channel_read: Option<(i64, bool)>,
    /// Outputs and, by index, task ids that cool down, and until when.
    pub cooling: Vec<(Good, i64)>,
    /// Outputs that were in use until a moment ago, where several tasks can use one.
    pub hot: Vec<Hot>,
    pub left: Budget,
    /// A promise that was broken on the way here.
    pub broken: Option<&'static str>,
}

/// An output that was in use until then, by a task of this id, which runs on without it or not.
#[derive(Clone, Debug)]
pub struct Hot {
    pub output: String,
    pub until: i64,
    pub slot: usize,
    pub has_stopped: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Good {
    Task(usize),
    Output(String),
}

/// One task id in the service.
#[derive(Clone, Debug, Default)]
pub struct Slot {
    pub task: Option<Task>,
    /// The last task that ended, and when.
    pub ended: Option<(Task, i64)>,
}

#[derive(Clone, Debug)]
pub struct Task {
    /// The object that started it; none: somebody else.
    pub by: Option<usize>,
    pub parameters: usize,
    /// When its Start was sent.
    pub since: i64,
}

/// A call without an answer that may take effect until then.
#[derive(Clone, Debug)]
pub struct Late {
    pub who: usize,
    pub sent: i64,
    pub until: i64,
    /// A Start with these parameters; otherwise a Stop.
    pub start: Option<usize>,
}

#[allow(clippy::struct_excessive_bools, reason = "they are independent facts")]
#[derive(Clone, Debug)]
pub struct Object {
    /// What the API server has. None: not created yet, or gone.
    pub stored: Option<Stored>,
    pub is_gone: bool,
    /// What the process sees.
    pub seen: Option<Stored>,
    pub guard_seen: bool,
    /// The claim that is being written.
    pub claiming: Option<Vec<String>>,
    pub claim_in_doubt: bool,
    /// The outputs that it would start with.
    pub wants: Vec<String>,
    pub memory: Memory,
    pub pending: Option<Pending>,
    /// The watch was behind when time went on last.
    pub lags: bool,
    /// The parameters of the last Start or Update that took effect.
    pub applied: Option<usize>,
    /// An accepted Stop was answered, and nothing was started since.
    pub known_stopped: bool,
    /// Stops since its deletion was asked for.
    pub stops: u8,
    /// What the process does next: follows from the rest.
    pub next: Next,
}

/// An object as the API server stores it.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    pub version: u64,
    pub generation: i64,
    pub is_deleted: bool,
    pub is_guarded: bool,
    pub desired: DesiredState,
    pub parameters: usize,
    pub told: Told,
}

/// A status. Shared, and compared by its hash alone, since most steps leave it as it is.
#[derive(Clone, PartialEq)]
pub struct Told {
    pub status: Arc<MixedStreamTaskStatus>,
    hash: u64,
}

impl Told {
    pub fn new(status: MixedStreamTaskStatus) -> Self {
        let mut hasher = DefaultHasher::new();
        format!("{status:?}").hash(&mut hasher);
        Self {
            status: Arc::new(status),
            hash: hasher.finish(),
        }
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.hash)
    }
}

/// What was decided for an object that the process knows.
#[derive(Clone, Default)]
pub struct Next(pub Option<Arc<(View, Wanted, Step)>>);

impl fmt::Debug for Next {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

/// A call that was sent, and its answer that is on its way.
#[derive(Clone, Debug)]
pub struct Pending {
    pub call: Call,
    pub answer: Answer,
    pub sent: i64,
    pub carried: Option<Sent>,
}

impl Cast {
    /// An object with these members in its spec.
    pub fn new(uid: &str, slot: usize, outputs: [&'static str; 2], spec: &Value) -> Self {
        let mut whole = json!({
            "appId": "app-01",
            "relay": {
                "channelId": "room-42", "single": {"userId": "host"}, "outputs": [{"url": "rtmp://push.example.com/live/one"}]
            }
        });
        if let (Some(whole), Some(spec)) = (whole.as_object_mut(), spec.as_object()) {
            whole.extend(spec.clone());
        }
        let object = json!({
            "apiVersion": "mixedstream.io/v1alpha1",
            "kind": "MixedStreamTask",
            "metadata": {
                "namespace": "team-a", "name": uid, "uid": uid, "resourceVersion": "1", "generation": 1,
                "creationTimestamp": if uid == "uid-1" { "2026-01-02T03:04:05Z" } else { "2026-01-02T03:04:06Z" },
            },
            "spec": whole,
            "status": {"observedGeneration": -1}
        });
        let template = view(object);
        assert_eq!(template.defect, None);
        Self {
            slot,
            outputs,
            is_first: true,
            template,
        }
    }

    pub fn restart(&self) -> RestartPolicy {
        self.template.restart
    }

    pub fn view(&self, stored: &Stored) -> View {
        let mut view = self.template.clone();
        view.resource_version = stored.version.to_string();
        view.generation = stored.generation;
        view.deleted = stored.is_deleted.then_some(Timestamp::UNIX_EPOCH);
        view.finalizers = if stored.is_guarded {
            vec![FINALIZER.to_owned()]
        } else {
            Vec::new()
        };
        view.desired = stored.desired;
        view.status = MixedStreamTaskStatus::clone(&stored.told.status);
        view
    }

    fn new_object(&self) -> Stored {
        Stored {
            version: 1,
            generation: 1,
            is_deleted: false,
            is_guarded: false,
            desired: DesiredState::Running,
            parameters: 0,
            told: Told::new(self.template.status.clone()),
        }
    }

    /// The object as it is created.
    pub fn create(&self, object: &mut Object) {
        object.stored = Some(self.new_object());
    }
}

impl World {
    pub fn begin(&self) -> State {
        let count = self.casts.iter().map(|cast| cast.slot + 1).max().unwrap();
        let mut slots = vec![Slot::default(); count];
        slots[0].task = self.is_taken.then_some(Task {
            by: None,
            parameters: 0,
            since: 0,
        });
        let objects = self.casts.iter().map(|cast| {
            let stored = cast.is_first.then(|| cast.new_object());
            Object {
                seen: stored.clone(),
                stored,
                is_gone: false,
                guard_seen: false,
                claiming: None,
                claim_in_doubt: false,
                wants: Vec::new(),
                memory: Memory::default(),
                pending: None,
                lags: false,
                applied: None,
                known_stopped: false,
                stops: 0,
                next: Next::default(),
            }
        });
        State {
            now: super::time::NOW,
            born: super::time::NOW,
            is_live: self.begins_live,
            slots,
            late: Vec::new(),
            objects: objects.collect(),
            lists: [None, None],
            list_read: None,
            channel: Channel::default(),
            channel_read: None,
            cooling: Vec::new(),
            hot: Vec::new(),
            left: self.budget,
            broken: None,
        }
    }

    pub fn outputs(&self, who: usize, parameters: usize) -> Vec<String> {
        vec![self.casts[who].outputs[parameters].to_owned()]
    }
}

impl Slot {
    /// One of us has started the task so lately that the list need not show it yet.
    pub fn is_young(&self, now: i64) -> bool {
        let own = self.task.as_ref().filter(|task| task.by.is_some());
        own.is_some_and(|task| now < task.since + SETTLE)
    }
}

impl State {
    /// Now, by the process's clock.
    pub fn mono(&self) -> Duration {
        Duration::from_secs((self.now - self.born).unsigned_abs())
    }

    pub fn moment(&self) -> Moment {
        Moment {
            mono: self.mono(),
            wall: Timestamp::from_second(self.now).unwrap(),
        }
    }

    pub fn breaks(&mut self, promise: &'static str) {
        self.broken.get_or_insert(promise);
    }

    /// Whether a task that this object started runs.
    pub fn runs(&self, world: &World, who: usize) -> bool {
        self.slots[world.casts[who].slot]
            .task
            .as_ref()
            .is_some_and(|task| task.by == Some(who))
    }

    /// Whether a Start of this object may still take effect.
    pub fn may_start_late(&self, who: usize) -> bool {
        self.late
            .iter()
            .any(|late| late.who == who && late.start.is_some())
    }
}
