//! One object, step by step, until there is nothing to do now.

use super::{
    cluster::{Cluster, WriteError},
    evidence::{Answer, Call, Evidence},
    plan::{Bought, Facts, Memory, Step, plan},
    send::send,
    shared::Shared,
    trail::Turn,
    verdict::{Verdict, reason},
    view::{Key, View},
};
use crate::{
    api::{self, CallRecord, ConditionType},
    events::Note,
    live::{Action, Delivery, Failure, Lane, Taken, Ticket},
    metrics::{ApiWrite, Metrics, Outcome, WriteResult},
};
use jiff::Timestamp;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Steps in a row without a rest; more mean that two decisions undo each other.
const STEPS: usize = 64;
/// Writes in a row that find the object changed.
const CONFLICTS: u32 = 5;
/// The calls that the status remembers.
const CALLS: usize = 5;

/// What is kept of one object between reconciles.
#[derive(Debug)]
pub struct Dossier {
    /// Whose it is.
    pub uid: String,
    memory: Memory,
    calls: VecDeque<CallRecord>,
    /// Failed writes in a row.
    failed_writes: u32,
    /// Since when a call waits for its turn.
    queued_since: Option<Instant>,
    /// When the deletion was first seen.
    deleting_since: Option<Instant>,
    /// The empty `release-without-stop` was warned of.
    warned_of_empty_release: bool,
}

/// When to look again.
#[derive(Debug)]
pub struct Next {
    /// Then, if nothing happens before.
    pub at: Option<Duration>,
    /// Other objects whose standing has changed.
    pub look: Vec<Key>,
    /// How it ended.
    pub outcome: Outcome,
}

impl Dossier {
    /// Knows nothing yet but the calls that the status remembers.
    #[must_use]
    pub fn new(view: &View) -> Self {
        Self {
            uid: view.uid.clone(),
            memory: Memory::default(),
            calls: view.status.calls.iter().cloned().collect(),
            failed_writes: 0,
            queued_since: None,
            deleting_since: None,
            warned_of_empty_release: false,
        }
    }

    /// Takes the object's waits out of the gauge; the object is gone.
    pub fn close(&self, metrics: &Metrics) {
        for (action, wait) in self.memory.waits.iter() {
            metrics.retrying(action, reason(wait.cause).as_str(), -1);
        }
    }
}

/// Looks at the object and does what there is to do.
pub async fn reconcile(shared: &Shared, key: &Key, dossier: &mut Dossier) -> Next {
    let mut run = Run {
        shared,
        key,
        dossier,
        look: Vec::new(),
        conflicts: 0,
    };
    let (at, outcome) = run.until_rest().await;
    if outcome != Outcome::Queued {
        shared.limiter.forget(key);
        run.dossier.queued_since = None;
    }
    Next {
        at,
        look: run.look,
        outcome,
    }
}

struct Run<'a> {
    shared: &'a Shared,
    key: &'a Key,
    dossier: &'a mut Dossier,
    look: Vec<Key>,
    conflicts: u32,
}

type Rest = (Option<Duration>, Outcome);

impl Run<'_> {
    async fn until_rest(&mut self) -> Rest {
        for _ in 0..STEPS {
            let Some((view, standing)) = self.shared.store().get(self.key) else {
                return (None, Outcome::Released);
            };
            if view.uid != self.dossier.uid {
                return (Some(Duration::ZERO), Outcome::Waiting);
            }
            self.notice(&view);
            let now = self.shared.now();
            let facts = Facts {
                view: &view,
                standing: &standing,
            };
            let step = plan(facts, &self.dossier.memory, &self.shared.paces, now);
            let is_release = matches!(step, Step::Release(_));
            let is_rest = matches!(step, Step::Rest(_));
            // What is known by now is still put to use; nothing new is begun.
            if self.shared.draining.is_cancelled() && !is_release && !is_rest {
                return (None, Outcome::Waiting);
            }
            let rest = match step {
                Step::Guard => self.guard(&view).await,
                Step::Record(verdict) => self.record(&view, &verdict).await,
                Step::Call { call, bought } => self.call(&view, call, bought).await,
                Step::Release(evidence) => self.release(&view, &evidence).await,
                Step::Rest(None) => Some((None, Outcome::Settled)),
                Step::Rest(Some(at)) => Some((Some(at), Outcome::Waiting)),
            };
            if let Some(rest) = rest {
                return rest;
            }
        }
        tracing::error!(object = %self.key, "{STEPS} steps without a rest; looking again later");
        (
            Some(self.shared.now().mono + self.shared.paces.backoff_max),
            Outcome::Failed,
        )
    }

    /// Things to remember or to warn of that decide nothing.
    fn notice(&mut self, view: &View) {
        if !view.is_deleting() {
            return;
        }
        self.dossier.deleting_since.get_or_insert_with(Instant::now);
        let is_empty = view
            .release
            .as_deref()
            .is_some_and(|why| why.trim().is_empty());
        if is_empty && !self.dossier.warned_of_empty_release {
            self.tell(
                view,
                true,
                "ReleaseReasonMissing",
                format!(
                    "The annotation {} needs a reason as its value; without one it does nothing.",
                    api::RELEASE_WITHOUT_STOP
                ),
            );
        }
        self.dossier.warned_of_empty_release = is_empty;
    }

    async fn guard(&mut self, view: &View) -> Option<Rest> {
        let written = self.shared.cluster.guard(view).await;
        self.after_write(ApiWrite::Guard, written).await
    }

    async fn record(&mut self, view: &View, verdict: &Verdict) -> Option<Rest> {
        let calls: Vec<CallRecord> = self.dossier.calls.iter().cloned().collect();
        let status = verdict.status(view, &calls, self.shared.now().wall);
        let written = self.shared.cluster.record(view, &status).await;
        let is_told = written.is_ok();
        let rest = self.after_write(ApiWrite::Status, written).await;
        if is_told {
            self.announce(view, verdict);
        } else if let Some((Some(at), _)) = rest {
            // The status can wait; the task cannot.
            self.dossier.memory.writable_at = at;
            return if view.is_deleting() && view.has_claim() {
                None
            } else {
                rest
            };
        }
        rest
    }

    /// An event where the reason changes to one that a person wants to know of.
    fn announce(&self, view: &View, verdict: &Verdict) {
        let told = view
            .status
            .conditions
            .iter()
            .find(|condition| condition.type_ == ConditionType::Ready.as_str())
            .map(|condition| condition.reason.as_str());
        if told == Some(verdict.reason.as_str()) {
            return;
        }
        tracing::info!(object = %self.key, uid = view.uid, reason = %verdict.reason, "{}", verdict.message);
        let is_warning = verdict.reason.condition() == ConditionType::Stalled
            || verdict.reason == api::Reason::StopUnconfirmed;
        if is_warning || verdict.reason == api::Reason::Armed {
            self.tell(
                view,
                is_warning,
                verdict.reason.as_str(),
                verdict.message.clone(),
            );
        }
    }

    async fn release(&mut self, view: &View, evidence: &Evidence) -> Option<Rest> {
        let written = self
            .shared
            .cluster
            .release(view, !evidence.rests_on_stop())
            .await;
        let is_released = matches!(written, Ok(_) | Err(WriteError::Gone));
        let rest = self.after_write(ApiWrite::Release, written).await;
        if is_released {
            self.released(view, evidence);
            return Some((None, Outcome::Released));
        }
        rest
    }

    fn released(&mut self, view: &View, evidence: &Evidence) {
        let since_deletion = view.deleted.map_or(Duration::ZERO, |deleted| {
            Duration::try_from(Timestamp::now().duration_since(deleted)).unwrap_or_default()
        });
        // The deletion's own time has whole seconds; what this process has seen of it is finer.
        let seen = self
            .dossier
            .deleting_since
            .map_or(Duration::ZERO, |since| since.elapsed());
        let took = if since_deletion.saturating_sub(seen) <= Duration::from_secs(1) {
            seen
        } else {
            since_deletion
        };
        self.shared.metrics.released(evidence.kind(), took);
        let (app, task) = view
            .ids
            .as_ref()
            .map_or(("", ""), |ids| (ids.app.as_str(), ids.task.as_str()));
        let (request_id, why) = match evidence {
            Evidence::StopAccepted { request_id } => (request_id.as_str(), ""),
            Evidence::Declared { why } => ("", why.as_str()),
            Evidence::NotListed
            | Evidence::StopSaidSo
            | Evidence::MustHaveStopped
            | Evidence::Orphaned
            | Evidence::NeverOwned => (self.last_request_id(), ""),
        };
        tracing::info!(
            object = %self.key, uid = view.uid, app_id = app, task_id = task, request_id, why,
            evidence = evidence.kind(), milliseconds = took.as_millis(),
            "object released"
        );
        let (warning, reason, text) = match evidence {
            Evidence::StopAccepted { .. } => (false, "Stopped", format!("The task is stopped (request {request_id}).")),
            Evidence::NotListed => (false, "Stopped", "The task had stopped already: Stop found nothing to stop and the list does not show it.".to_owned()),
            Evidence::StopSaidSo => (false, "Stopped", "The task had stopped already: the service says that it does not exist.".to_owned()),
            Evidence::MustHaveStopped => (
                true,
                "Stopped",
                "The service must have stopped the task: Stop finds nothing to stop, and its channel has been empty for longer than a task lives in one.".to_owned(),
            ),
            Evidence::Orphaned => (false, "Orphaned", "The task was left as it is, as spec.deletionPolicy asks.".to_owned()),
            Evidence::NeverOwned => (false, "NotStopped", "Nothing was stopped: the task belongs to another object.".to_owned()),
            Evidence::Declared { why } => (true, "ReleasedWithoutStop", format!("Released without a confirmed Stop, by annotation: {why}")),
        };
        self.tell(view, warning, reason, text);
    }

    fn last_request_id(&self) -> &str {
        let last = self
            .dossier
            .calls
            .iter()
            .rev()
            .find_map(|call| call.request_id.as_deref());
        last.unwrap_or_default()
    }

    /// Takes the answer to a write. `None`: plan again.
    async fn after_write(
        &mut self,
        write: ApiWrite,
        written: Result<View, WriteError>,
    ) -> Option<Rest> {
        let (result, rest) = match written {
            Ok(view) => {
                self.dossier.failed_writes = 0;
                self.learn(view);
                (WriteResult::Done, None)
            }
            Err(WriteError::Gone) => (WriteResult::Gone, Some((None, Outcome::Released))),
            Err(WriteError::Changed(why)) => {
                self.conflicts += 1;
                let rest = if self.conflicts > CONFLICTS {
                    Some(self.write_failed(&why))
                } else {
                    self.read_again().await
                };
                (WriteResult::Changed, rest)
            }
            Err(WriteError::Failed(why)) => (WriteResult::Failed, Some(self.write_failed(&why))),
        };
        self.shared.metrics.wrote(write, result);
        rest
    }

    async fn read_again(&mut self) -> Option<Rest> {
        match self.shared.cluster.read(self.key).await {
            Ok(view) if view.uid == self.dossier.uid => {
                self.learn(view);
                None
            }
            // Another object by the same name: the watch will bring it.
            Ok(_) | Err(WriteError::Gone) => Some((None, Outcome::Released)),
            Err(WriteError::Changed(why) | WriteError::Failed(why)) => {
                Some(self.write_failed(&why))
            }
        }
    }

    fn learn(&mut self, view: View) {
        let changed = self.shared.store().learned(view);
        self.look
            .extend(changed.look.into_iter().filter(|key| key != self.key));
    }

    fn write_failed(&mut self, why: &str) -> Rest {
        self.dossier.failed_writes = self.dossier.failed_writes.saturating_add(1);
        let doublings = self.dossier.failed_writes.min(10) - 1;
        let bound = Duration::from_millis(100 << doublings).min(self.shared.paces.call_deadline);
        tracing::warn!(object = %self.key, "the API server did not take a write, trying again within {bound:?}: {why}");
        let wait = bound.mul_f64(rand::random_range(0.5..1.0));
        (Some(self.shared.now().mono + wait), Outcome::Failed)
    }

    async fn call(&mut self, view: &View, call: Call, bought: Option<String>) -> Option<Rest> {
        let Ok(ids) = &view.ids else {
            return Some((None, Outcome::Settled));
        };
        let action = call.action();
        let asked = Instant::now();
        let ticket = Ticket {
            lane: Lane::Delete,
            namespace: self.key.namespace.clone(),
            key: self.key.clone(),
        };
        let permit = match self
            .shared
            .limiter
            .take(asked, &self.shared.account, action, ticket)
        {
            Taken::Permit(permit) => permit,
            Taken::Wait => {
                self.dossier.queued_since.get_or_insert(asked);
                return Some((None, Outcome::Queued));
            }
        };
        let waited = self
            .dossier
            .queued_since
            .take()
            .map_or(Duration::ZERO, |since| since.elapsed());
        self.shared.metrics.got_turn(action, waited);
        let sent = Instant::now();
        let (answer, record, failure) = send(&self.shared.live, ids, &call).await;
        let ended = Instant::now();
        match &failure {
            Some(failure) if failure.delivery == Delivery::NeverSent => permit.unused(),
            // A reply has begun, whatever became of it.
            Some(Failure {
                status: Some(_), ..
            })
            | None => permit.ended(ended),
            Some(_) => permit.unanswered(ended),
        }
        let failure = failure.map(|failure| (failure.class, failure.delivery));
        self.shared.metrics.called(action, failure, ended - sent);
        if self.dossier.calls.len() == CALLS {
            self.dossier.calls.pop_front();
        }
        self.dossier.calls.push_back(record);
        self.absorb(view, &call, answer, bought);
        None
    }

    fn absorb(&mut self, view: &View, call: &Call, answer: Answer, bought: Option<String>) {
        let now = self.shared.now();
        let memory = &mut self.dossier.memory;
        let before = memory.waits.clone();
        let mut turn = Turn {
            waits: &mut memory.waits,
            generation: view.generation,
            paces: &self.shared.paces,
            now,
            jitter: rand::random_range(0.0..1.0),
            bought: bought.is_some(),
        };
        memory.trail.absorb(call, answer, &mut turn);
        if let Some(value) = bought {
            memory.bought = Some(Bought {
                value,
                at: now.mono,
            });
        }
        for action in Action::ALL {
            let (old, new) = (before.get(action), memory.waits.get(action));
            if old == new {
                continue;
            }
            if let Some(old) = old {
                self.shared
                    .metrics
                    .retrying(action, reason(old.cause).as_str(), -1);
            }
            if let Some(new) = new {
                self.shared
                    .metrics
                    .retrying(action, reason(new.cause).as_str(), 1);
                self.shared.metrics.will_retry(
                    action,
                    reason(new.cause).as_str(),
                    new.next.saturating_sub(now.mono),
                );
            }
        }
    }

    fn tell(&self, view: &View, warning: bool, reason: &'static str, text: String) {
        self.shared.events.tell(Note {
            about: Cluster::reference(view),
            warning,
            reason,
            text,
        });
    }
}
