//! Every decision. A pure function of what is stored, how the object stands among others, what was observed, what was learnt, and now.

mod deletion;
mod relay;
mod stopping;

pub use relay::COOL_DOWN;

use super::{
    access::{Keys, Recorded},
    evidence::{Call, Evidence},
    ledger::{Ledger, State},
    memory::Memory,
    ownership::{Rival, Standing},
    retry::{Moment, Paces},
    seen::Seen,
    trail::Early,
    verdict::{self, Verdict},
    view::View,
};
use crate::api::{Claim, Reason};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::time::Duration;

/// A requested reconcile buys at most one attempt in this time.
const REQUEST_PACE: Duration = Duration::from_secs(10);

/// What is known of the object.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The newest view.
    pub view: &'a View,
    /// How it stands among the objects that name the same task.
    pub standing: &'a Standing,
    /// The object that has an output which this one wants beyond its claim.
    pub output_taken: Option<&'a Rival>,
    /// The application policy lets the object name its task.
    pub allowed: bool,
    /// How its credentials stand.
    pub keys: &'a Keys,
    /// What its claim is to say of the account of its task.
    pub recorded: &'a Recorded,
    /// The parameters that the spec asks for.
    pub wanted: &'a Wanted,
    /// What the bulk reads show.
    pub seen: &'a Seen,
    /// Before this moment an output or the task id cools down from another use.
    pub cool_until: Duration,
}

/// The parameters that the spec asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// It has no relay.
    #[default]
    Nothing,
    /// These.
    Known(Parameters),
    /// They cannot be told now.
    Unavailable {
        /// What is in the way.
        reason: Reason,
        /// In a sentence, with what to do.
        message: String,
    },
}

/// Complete parameters, as far as a decision needs them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// The hash of all.
    pub hash: String,
    /// The hashes of the outputs, sorted.
    pub outputs: Vec<String>,
}

/// The one thing to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Store our finalizer.
    Guard,
    /// Tell this in the status.
    Record(Box<Verdict>),
    /// Take this in as known of the relay. No IO.
    Learn(Box<Ledger>),
    /// Have the channels of the application read; the object is looked at again when they are.
    Look,
    /// Call the service.
    Call {
        /// Which call.
        call: Call,
        /// The request for a reconcile that buys this attempt.
        bought: Option<String>,
    },
    /// Remove our finalizer.
    Release(Evidence),
    /// Nothing until then, or until something changes.
    Rest(Option<Duration>),
}

/// Decides the next step.
#[must_use]
pub fn plan(facts: Facts<'_>, memory: &Memory, paces: &Paces, now: Moment) -> Step {
    let view = facts.view;
    let step = match (view.is_deleting(), view.is_guarded()) {
        (true, true) => deletion::plan(facts, memory, paces, now),
        (true, false) => Step::Rest(None),
        (false, false) => Step::Guard,
        (false, true) if view.has_relay => relay::plan(facts, memory, paces, now),
        (false, true) => minimal(facts, memory, now),
    };
    let is_write = match step {
        Step::Guard | Step::Record(_) | Step::Release(_) => true,
        Step::Learn(_) | Step::Look | Step::Call { .. } | Step::Rest(_) => false,
    };
    if is_write && memory.writable_at > now.mono {
        Step::Rest(Some(memory.writable_at))
    } else {
        step
    }
}

/// Whether a Start that was decided on `view` may be sent, now that the object has been read once more: `live`.
#[must_use]
pub fn may_start(view: &View, live: &View) -> bool {
    live.is_guarded()
        && !live.is_deleting()
        && live.generation == view.generation
        && live.status.intent == view.status.intent
}

/// Something else started the task: there is nothing to do but to be ready.
fn minimal(facts: Facts<'_>, memory: &Memory, now: Moment) -> Step {
    let view = facts.view;
    let claim = stored_claim(facts);
    let verdict = match (&view.ids, &view.defect, facts.standing) {
        (Err(defect), _, _) | (Ok(_), Some(defect), _) => {
            verdict::invalid_spec(view, defect, claim)
        }
        (Ok(_), None, _) if view.suspend => verdict::suspended(view, claim),
        (Ok(_), None, Standing::Unsure) => return Step::Rest(None),
        (Ok(_), None, Standing::Contested(rival)) => verdict::task_id_in_use(rival, claim),
        (Ok(_), None, Standing::Disputed(rival)) => verdict::task_id_disputed(view, rival),
        (Ok(_), None, Standing::Holder | Standing::Entitled) if !facts.allowed => {
            verdict::app_not_allowed(view, claim)
        }
        (Ok(_), None, Standing::Holder | Standing::Entitled) => match facts.keys {
            Keys::Unread(until) => return Step::Rest(*until),
            Keys::Unusable {
                reason,
                message,
                left,
            } => verdict::unusable_credentials(*reason, message, *left, claim),
            Keys::Given => {
                let outputs = view.claimed_outputs();
                verdict::armed(view, Some(claim_of(facts, outputs, now)))
            }
        },
    };
    // There is no call to buy: the request is answered by looking at the object again, which is what happens here.
    let verdict = verdict.handling(view.requested.clone());
    tell(view, verdict, memory, now, None)
}

/// A request for a reconcile that has not been honoured yet.
fn open_request<'a>(view: &'a View, memory: &Memory) -> Option<&'a str> {
    view.requested.as_deref().filter(|value| {
        Some(*value) != view.status.last_handled_reconcile_at.as_deref()
            && memory
                .bought
                .as_ref()
                .is_none_or(|last| last.value != *value)
    })
}

/// Whether a call that is due at some moment can be sent now.
enum Turn {
    /// It can; with the request for a reconcile that buys it.
    Now(Option<String>),
    /// Not before this moment.
    At(Duration),
}

fn turn(view: &View, memory: &Memory, due: Duration, now: Moment) -> Turn {
    let request = open_request(view, memory);
    let buys_at = request.map(|_| {
        memory
            .bought
            .as_ref()
            .map_or(Duration::ZERO, |last| last.at + REQUEST_PACE)
    });
    if due <= now.mono || buys_at.is_some_and(|at| at <= now.mono) {
        let bought = buys_at
            .filter(|at| *at <= now.mono)
            .and(request)
            .map(str::to_owned);
        return Turn::Now(bought);
    }
    Turn::At(buys_at.map_or(due, |at| at.min(due)))
}

/// The request that is answered while a call waits: the last one that bought an attempt.
fn handled_while_waiting(view: &View, memory: &Memory) -> Option<String> {
    memory
        .bought
        .as_ref()
        .map(|last| last.value.clone())
        .or_else(|| view.status.last_handled_reconcile_at.clone())
}

/// Tells the verdict if the status does not say it yet, then rests.
fn tell(
    view: &View,
    verdict: Verdict,
    memory: &Memory,
    now: Moment,
    until: Option<Duration>,
) -> Step {
    if verdict.is_told(view) {
        Step::Rest(until)
    } else if memory.writable_at <= now.mono {
        Step::Record(Box::new(verdict))
    } else {
        Step::Rest(Some(
            until.map_or(memory.writable_at, |until| until.min(memory.writable_at)),
        ))
    }
}

/// The stored claim, with its account as far as it is known by now.
fn stored_claim(facts: Facts<'_>) -> Option<Claim> {
    let claim = facts.view.status.claim.clone()?;
    let Recorded { account, key } = facts.recorded.clone();
    Some(Claim {
        account,
        key,
        ..claim
    })
}

/// The object's claim, with these outputs; a new one where it has none.
fn claim_of(facts: Facts<'_>, outputs: &[String], now: Moment) -> Claim {
    let mut claim = stored_claim(facts).unwrap_or_else(|| Claim {
        account: facts.recorded.account.clone(),
        key: facts.recorded.key.clone(),
        outputs: Vec::new(),
        at: Some(Time(verdict::whole_seconds(now.wall))),
    });
    claim.outputs = outputs.to_vec();
    claim.outputs.sort();
    claim.outputs.dedup();
    claim
}

/// A moment of the day by the clock that never steps.
fn on_our_clock(at: Timestamp, now: Moment) -> Duration {
    let ahead = at.duration_since(now.wall);
    if ahead.is_negative() {
        now.mono.saturating_sub(ahead.unsigned_abs())
    } else {
        now.mono + ahead.unsigned_abs()
    }
}

/// Before which moments no Stop of the task counts.
fn early(memory: &Memory, ledger: &Ledger, paces: &Paces, now: Moment) -> Early {
    // The intent is recorded right before the Start, in whole seconds.
    let started = ledger.intent.as_ref().and_then(|intent| intent.at.as_ref());
    let fresh = started.filter(|_| ledger.state() == State::Running);
    Early {
        open: memory.open_until(ledger, paces),
        fresh: fresh.map(|at| on_our_clock(at.0, now) + Duration::from_secs(1) + paces.settle_time),
    }
}
