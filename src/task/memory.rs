//! What is remembered of an object between reconciles. Lost at a restart, which costs at most some calls and waits.

mod identity;

pub use identity::{Identity, Shows};

use super::{
    evidence::{Answer, Call},
    ledger::{Ledger, State},
    retry::{Cause, Moment, Paces, Trouble, Turn, Waits},
    trail::{Stopped, Trail},
    verdict::{Verdict, whole_seconds},
    view::View,
};
use crate::{
    api::{Mark, Reason},
    live::{Action, Class},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::time::Duration;

/// What is remembered of an object between reconciles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// What this stopping has learnt.
    pub trail: Trail,
    /// The waits per action.
    pub waits: Waits,
    /// The last request for a reconcile that bought an attempt.
    pub bought: Option<Bought>,
    /// Nothing is written to the API server before this moment: the last write failed.
    pub writable_at: Duration,
    /// What is known of the relay beyond the status.
    pub ledger: Option<Ledger>,
    /// An intent of this process for which no Start was sent yet that can have taken effect.
    pub intended: Option<Mark>,
    /// Until then a Start without an answer may still take effect.
    pub start_open: Option<Duration>,
    /// A Start without an answer was sent, or may have been, since the relay was last known to run or to be stopped: whatever is answered later,
    /// a task of ours may exist.
    pub unanswered: bool,
    /// Until then a Stop without an answer may still take effect.
    pub stop_open: Option<Duration>,
    /// What the list said of the task while the outcome of a Start was open.
    pub identity: Option<Identity>,
    /// The service answered a Start, at this moment, that the task exists, and that can be ours.
    pub exists: Option<Duration>,
    /// The task id is taken by a task that this object did not start.
    pub foreign: bool,
    /// Since when a read of the channels is waited for.
    pub asked: Option<Duration>,
    /// The last Start that was refused.
    pub refused: Option<Duration>,
}

/// A request for a reconcile that was honoured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bought {
    /// The annotation's value.
    pub value: String,
    /// When.
    pub at: Duration,
}

/// Parameters that a Start or an Update carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Their hash.
    pub hash: String,
    /// The generation of the spec that they came from.
    pub generation: i64,
}

impl Memory {
    /// Knows nothing, not even what was sent: until then any of it may take effect.
    #[must_use]
    pub fn unsure(until: Duration) -> Self {
        Self {
            start_open: Some(until),
            stop_open: Some(until),
            unanswered: true,
            ..Self::default()
        }
    }

    /// The relay's story as far as it is known.
    #[must_use]
    pub fn ledger(&self, view: &View) -> Ledger {
        self.ledger
            .clone()
            .unwrap_or_else(|| Ledger::of(&view.status))
    }

    /// Takes something in about the relay that has to be stored.
    pub fn learn(&mut self, ledger: Ledger) {
        if ledger.state() != State::Open {
            self.unanswered = false;
            self.intended = None;
            self.identity = None;
            self.exists = None;
        }
        if ledger.state() != State::Running {
            self.asked = None;
        }
        self.trail = Trail::default();
        // Whatever comes next does not go on with the stopping that failed.
        self.waits.clear(Action::StopLiveMpuTask);
        if ledger.state() == State::Running {
            self.waits.clear(Action::ListRtcMpuTaskDetail);
        }
        self.ledger = Some(ledger);
    }

    /// The spec, with its Secrets, asks for `now` and no longer for `before`, by their hashes: what refused the old parameters says nothing of
    /// the new ones, and where these were accepted already there is nothing left to send.
    pub fn wants(&mut self, now: &str, before: &str, view: &View) {
        if now == before {
            return;
        }
        self.waits.carries_another(Action::StartLiveMpuTask);
        self.waits.carries_another(Action::UpdateLiveMpuTask);
        if self.ledger(view).accepted_hash() == Some(now) {
            self.waits.clear(Action::UpdateLiveMpuTask);
        }
    }

    /// Until when an open Start forbids any conclusion; after a restart, counted from the start of the process.
    #[must_use]
    pub fn open_until(&self, ledger: &Ledger, paces: &Paces) -> Option<Duration> {
        let is_lost = ledger.state() == State::Open && self.intended.is_none();
        self.start_open
            .or_else(|| is_lost.then_some(paces.settle_time))
    }

    /// Takes the answer to a call. `sent`: when the call was sent; `carried`: the parameters of a Start or an Update.
    pub fn absorb(
        &mut self,
        call: &Call,
        answer: Answer,
        view: &View,
        (sent, carried): (Duration, Option<Sent>),
        turn: &mut MemoryTurn<'_>,
    ) {
        if let Call::Stop { .. } = call
            && let Answer::Failed { may_act: true, .. } = answer
        {
            self.stop_open = Some(turn.now.mono + turn.paces.settle_time);
        }
        match call {
            Call::Start => self.start_answered(answer, view, sent, turn),
            Call::Update => self.update_answered(&answer, view, carried, turn),
            Call::Identify => self.identified(&answer, view, sent, turn),
            Call::Stop { .. } | Call::ListTask | Call::ListPage(_) | Call::Users(_) => {
                let Self { trail, waits, .. } = self;
                let mut turn = turn.lend(waits);
                trail.absorb(call, answer, sent, &mut turn);
            }
        }
    }

    fn start_answered(
        &mut self,
        answer: Answer,
        view: &View,
        sent: Duration,
        turn: &mut MemoryTurn<'_>,
    ) {
        let ledger = self.ledger(view);
        match answer {
            Answer::Accepted { .. } => {
                self.waits.clear(Action::StartLiveMpuTask);
                self.waits.clear(Action::ListRtcMpuTaskDetail);
                self.start_open = None;
                self.stop_open = None;
                self.learn(ledger.started(turn.now.wall));
            }
            Answer::Failed {
                class,
                words,
                may_act,
                retry_after,
                says_gone: _,
            } => {
                let trouble = Trouble {
                    cause: Cause::Answer(class),
                    words: &words,
                    retry_after,
                    not_before: Duration::ZERO,
                };
                self.start_failed(class, may_act, &trouble, (ledger, sent, view), turn);
            }
            Answer::Task(_) | Answer::Page { .. } | Answer::Users { .. } => {}
        }
    }

    fn start_failed(
        &mut self,
        class: Class,
        may_act: bool,
        trouble: &Trouble<'_>,
        (ledger, sent, view): (Ledger, Duration, &View),
        turn: &mut MemoryTurn<'_>,
    ) {
        let intent = ledger.intent.clone();
        if may_act {
            self.unanswered = true;
            self.start_open = Some(turn.now.mono + turn.paces.settle_time);
            self.identity = None;
            turn.lend(&mut self.waits)
                .fail(Action::StartLiveMpuTask, trouble);
            return;
        }
        if class == Class::TaskExists {
            if ledger.started_at.is_none() && view.is_id_from_uid() {
                // Nobody else has this id: an earlier Start of this object took effect.
                self.found(ledger.found(turn.now.wall));
            } else if self.unanswered || ledger.started_at.is_some() {
                self.exists = Some(sent);
                self.identity = None;
                turn.lend(&mut self.waits)
                    .fail(Action::StartLiveMpuTask, trouble);
            } else {
                self.is_foreign(ledger, turn);
            }
            return;
        }
        self.refused = Some(turn.now.mono);
        self.asked = None;
        turn.lend(&mut self.waits)
            .fail(Action::StartLiveMpuTask, trouble);
        // The intent stays good for the next attempt: withdrawn and recorded again each time, every retry would be told. And after a Start
        // without an answer nothing proves that nothing was started.
        self.intended = intent;
    }

    /// A task is found that an earlier Start of this object has started.
    fn found(&mut self, running: Ledger) {
        self.waits.clear(Action::StartLiveMpuTask);
        self.waits.clear(Action::ListRtcMpuTaskDetail);
        self.start_open = None;
        self.stop_open = None;
        self.learn(running);
    }

    /// The task id belongs to a task that this object did not start.
    fn is_foreign(&mut self, ledger: Ledger, turn: &mut MemoryTurn<'_>) {
        self.waits.clear(Action::StartLiveMpuTask);
        self.foreign = true;
        self.start_open = None;
        self.learn(ledger.refused());
        turn.lend(&mut self.waits).fail(
            Action::ListRtcMpuTaskDetail,
            &Trouble {
                cause: Cause::Foreign,
                words: "",
                retry_after: None,
                not_before: Duration::ZERO,
            },
        );
    }

    fn update_answered(
        &mut self,
        answer: &Answer,
        view: &View,
        carried: Option<Sent>,
        turn: &mut MemoryTurn<'_>,
    ) {
        match answer {
            Answer::Accepted { .. } => {
                self.waits.clear(Action::UpdateLiveMpuTask);
                let Some(Sent { hash, generation }) = carried else {
                    return;
                };
                let mark = Mark {
                    at: Some(Time(whole_seconds(turn.now.wall))),
                    generation: Some(generation),
                    parameters_hash: Some(hash),
                };
                let ledger = self.ledger(view).updated(mark);
                self.learn(ledger);
            }
            Answer::Failed {
                class,
                words,
                retry_after,
                may_act,
                says_gone: _,
            } => {
                turn.lend(&mut self.waits).fail(
                    Action::UpdateLiveMpuTask,
                    &Trouble {
                        cause: Cause::Answer(*class),
                        words,
                        retry_after: *retry_after,
                        not_before: Duration::ZERO,
                    },
                );
                if *may_act {
                    let ledger = self.ledger(view).updated_perhaps();
                    self.learn(ledger);
                }
            }
            Answer::Task(_) | Answer::Page { .. } | Answer::Users { .. } => {}
        }
    }

    /// The outputs that a claim on `kept` alone lets go of and that the object's task may have used until now. Of one that was stopped they have
    /// cooled down before they are let go of.
    #[must_use]
    pub fn drops(&self, view: &View, kept: &[String]) -> Vec<String> {
        // What is known may not be stored yet.
        let is_used =
            [self.ledger(view), Ledger::of(&view.status)]
                .iter()
                .any(|ledger| match ledger.state() {
                    State::Open | State::Running => true,
                    State::Never | State::Stopped => false,
                });
        let claimed = view.claimed_outputs().iter();
        claimed
            .filter(|output| is_used && !kept.contains(output))
            .cloned()
            .collect()
    }

    /// The verdict is about to be stored.
    pub fn recording(&mut self, verdict: &Verdict, view: &View) {
        let intent = verdict
            .ledger
            .as_ref()
            .and_then(|ledger| ledger.intent.as_ref());
        // One that is withdrawn can be stored still, and be equal within a second.
        let is_new = intent.is_some() && intent != self.ledger(view).intent.as_ref();
        if is_new && verdict.reason == Reason::Starting {
            let is_open = Ledger::of(&view.status).state() == State::Open;
            // The Start of an earlier intent may have had no answer.
            self.unanswered |= is_open && self.intended.is_none();
            // Even if the answer to this write is lost, it is known that no Start was sent on it.
            self.intended = intent.cloned();
        }
    }

    /// The verdict is stored.
    pub fn recorded(&mut self, verdict: &Verdict) {
        if verdict.ledger.is_some() {
            self.ledger = None;
        }
    }

    /// The deletion of the object is seen for the first time: what an earlier stopping has learnt is none of its evidence, but for a Stop that was
    /// accepted.
    pub fn begin_deletion(&mut self) {
        if !matches!(self.trail.stopped, Stopped::Accepted { .. }) {
            self.trail = Trail::default();
            // Its first Stop waits for nothing.
            self.waits.clear(Action::StopLiveMpuTask);
        }
    }

    /// The object is about another task id now: what was learnt of the old one says nothing of it.
    pub fn begin_id(&mut self) {
        self.foreign = false;
        self.waits.clear(Action::StartLiveMpuTask);
        self.look_again();
    }

    /// The list is asked at once whose task there is by this id, whatever it said before.
    pub fn look_again(&mut self) {
        self.identity = None;
        self.waits.clear(Action::ListRtcMpuTaskDetail);
    }

    /// A Start is sent now: from here on its intent alone says nothing.
    pub fn sending_start(&mut self) {
        self.trail = Trail::default();
        self.intended = None;
        self.exists = None;
    }
}

/// What an answer is judged with, but for the waits.
#[derive(Clone, Copy, Debug)]
pub struct MemoryTurn<'a> {
    /// The object's generation.
    pub generation: i64,
    /// The paces in force.
    pub paces: &'a Paces,
    /// When the answer came.
    pub now: Moment,
    /// Uniform in 0..1.
    pub jitter: f64,
    /// The call was sent ahead of the schedule, on request: the schedule stays as it was.
    pub bought: bool,
}

impl MemoryTurn<'_> {
    fn lend<'a>(&'a self, waits: &'a mut Waits) -> Turn<'a> {
        Turn {
            waits,
            generation: self.generation,
            paces: self.paces,
            now: self.now,
            jitter: self.jitter,
            bought: self.bought,
        }
    }

    /// Whether the last stop is so long ago that the service must have cleared the task: what exists under its id runs.
    fn cleared(&self, ledger: &Ledger) -> bool {
        ledger.stopped_at.is_none_or(|stopped| {
            Duration::try_from(self.now.wall.duration_since(stopped))
                .is_ok_and(|since| since >= self.paces.settle_time)
        })
    }
}
