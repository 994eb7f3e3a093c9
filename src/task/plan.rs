//! Every decision. A pure function of what is stored, how the object stands among others, what this deletion has learnt, and now.

use super::{
    evidence::{Call, Evidence},
    ownership::Standing,
    retry::{Moment, Paces, Waits},
    trail::{Stopped, Trail},
    verdict::{self, Verdict},
    view::{Ids, View},
};
use crate::api::{Claim, DeletionPolicy};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::time::Duration;

/// A requested reconcile buys at most one attempt in this time.
const REQUEST_PACE: Duration = Duration::from_secs(10);

/// What is remembered of an object between reconciles. Lost at a restart, which costs at most one more call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// What this deletion has learnt.
    pub trail: Trail,
    /// The waits per action.
    pub waits: Waits,
    /// The last request for a reconcile that bought an attempt.
    pub bought: Option<Bought>,
    /// Nothing is written to the API server before this moment: the last write failed.
    pub writable_at: Duration,
}

/// A request for a reconcile that was honoured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bought {
    /// The annotation's value.
    pub value: String,
    /// When.
    pub at: Duration,
}

/// What is known of the object.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The newest view.
    pub view: &'a View,
    /// How it stands among the objects that name the same task.
    pub standing: &'a Standing,
}

/// The one thing to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Store our finalizer.
    Guard,
    /// Tell this in the status.
    Record(Verdict),
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
        (true, true) => while_deleting(facts, memory, paces, now),
        (true, false) => Step::Rest(None),
        (false, false) => Step::Guard,
        (false, true) => while_alive(facts, memory, now),
    };
    let is_write = match step {
        Step::Guard | Step::Record(_) | Step::Release(_) => true,
        Step::Call { .. } | Step::Rest(_) => false,
    };
    if is_write && memory.writable_at > now.mono {
        Step::Rest(Some(memory.writable_at))
    } else {
        step
    }
}

fn while_alive(facts: Facts<'_>, memory: &Memory, now: Moment) -> Step {
    let view = facts.view;
    // There is no call to buy: the request is answered by looking at the object again, which is what happens here.
    let handled = view.requested.clone();
    let claim = view.status.claim.clone();
    let verdict = match (&view.ids, &view.defect, facts.standing) {
        (Err(defect), _, _) | (Ok(_), Some(defect), _) => {
            verdict::invalid_spec(view, defect, claim)
        }
        (Ok(_), None, _) if view.suspend => verdict::suspended(view, claim),
        (Ok(_), None, Standing::Holder) => verdict::armed(view, claim),
        (Ok(_), None, Standing::Entitled) => verdict::armed(view, Some(new_claim(now))),
        (Ok(_), None, Standing::Contested { by }) => verdict::task_id_in_use(by.as_deref(), claim),
        (Ok(_), None, Standing::Unsure) => return Step::Rest(None),
    };
    tell(view, verdict.handling(handled), memory, now, None)
}

fn while_deleting(facts: Facts<'_>, memory: &Memory, paces: &Paces, now: Moment) -> Step {
    let view = facts.view;
    if let Stopped::Accepted { request_id } = &memory.trail.stopped {
        return Step::Release(Evidence::StopAccepted {
            request_id: request_id.clone(),
        });
    }
    if view.policy == DeletionPolicy::Orphan {
        return Step::Release(Evidence::Orphaned);
    }
    let declared = view
        .release
        .as_deref()
        .map(str::trim)
        .filter(|why| !why.is_empty());
    let declared = declared.map(|why| {
        Step::Release(Evidence::Declared {
            why: why.to_owned(),
        })
    });
    let ids = match &view.ids {
        Ok(ids) => ids,
        Err(defect) => {
            return declared.unwrap_or_else(|| {
                let verdict = verdict::invalid_spec(view, defect, view.status.claim.clone());
                tell(
                    view,
                    verdict.handling(view.requested.clone()),
                    memory,
                    now,
                    None,
                )
            });
        }
    };
    match facts.standing {
        Standing::Holder => {}
        Standing::Contested { .. } => return Step::Release(Evidence::NeverOwned),
        // No Stop without a recorded claim: an object that was deleted before it was armed makes its claim now.
        Standing::Entitled => return Step::Record(verdict::stopping(Some(new_claim(now)))),
        Standing::Unsure => return Step::Rest(None),
    }
    if let Some(evidence) = memory.trail.evidence() {
        return Step::Release(evidence);
    }
    match declared {
        Some(release) if memory.trail.failed => release,
        Some(_) | None => pursue(view, ids, memory, paces, now),
    }
}

/// Goes on towards evidence: the next call when its time has come, and until then the truth in the status.
fn pursue(view: &View, ids: &Ids, memory: &Memory, paces: &Paces, now: Moment) -> Step {
    let (call, due) = memory
        .trail
        .next(&memory.waits, view.generation, paces, now);
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
        return Step::Call { call, bought };
    }
    let handled = memory
        .bought
        .as_ref()
        .map(|last| last.value.clone())
        .or_else(|| view.status.last_handled_reconcile_at.clone());
    let verdict = verdict::pursuing(ids, &memory.trail, &memory.waits, view.status.claim.clone());
    let until = buys_at.map_or(due, |at| at.min(due));
    tell(view, verdict.handling(handled), memory, now, Some(until))
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
        Step::Record(verdict)
    } else {
        Step::Rest(Some(
            until.map_or(memory.writable_at, |until| until.min(memory.writable_at)),
        ))
    }
}

fn new_claim(now: Moment) -> Claim {
    Claim {
        account: None,
        outputs: Vec::new(),
        at: Some(Time(verdict::whole_seconds(now.wall))),
    }
}
