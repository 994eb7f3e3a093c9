//! One object, step by step, until there is nothing to do now.

use super::{
    cluster::WriteError,
    dossier::{Dossier, tell},
    evidence::{Answer, Call, Evidence},
    plan::{Bought, Facts, Step, plan},
    send::send,
    shared::Shared,
    trail::Turn,
    verdict::{Verdict, reason},
    view::{Key, View},
};
use crate::{
    api::{self, CallRecord, ConditionType, DeletionPolicy},
    live::{Action, Delivery, Failure, Lane, Taken, Ticket},
    metrics::{ApiWrite, Outcome, WriteResult},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Steps in a row without a rest or a call; more mean that two decisions undo each other.
const STEPS: u32 = 32;
/// Writes in a row that find the object changed.
const CONFLICTS: u32 = 5;
/// Until the watch must have shown that an object is gone that a write did not find.
const GONE: Duration = Duration::from_secs(5);

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
        let mut steps = 0;
        while steps < STEPS {
            steps += 1;
            let Some((view, standing)) = self.shared.store().get(self.key) else {
                return (None, Outcome::Released);
            };
            if view.uid != self.dossier.uid {
                return (Some(Duration::ZERO), Outcome::Waiting);
            }
            self.notice(&view);
            let now = self.shared.now();
            if self.dossier.claim_in_doubt && self.dossier.memory.writable_at <= now.mono {
                if let Some(rest) = self.resolve_claim().await {
                    return rest;
                }
                continue;
            }
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
                Step::Call { call, bought } => {
                    steps = 0;
                    self.call(&view, call, bought).await
                }
                Step::Release(evidence) => self.release(&view, &evidence).await,
                Step::Rest(None) => Some((None, Outcome::Settled)),
                Step::Rest(Some(at)) => Some((Some(at), Outcome::Waiting)),
            };
            if let Some(rest) = rest {
                return rest;
            }
        }
        tracing::error!(object = %self.key, "{STEPS} steps without a rest; looking again later");
        let later = self.shared.now().mono + self.shared.paces.backoff_max;
        (Some(later), Outcome::Failed)
    }

    /// Things to remember or to warn of that decide nothing.
    fn notice(&mut self, view: &Arc<View>) {
        if view.is_guarded() && view.has_claim() {
            let has_to_stop = view.policy == DeletionPolicy::Stop;
            self.dossier.owned = has_to_stop.then(|| view.clone());
        }
        if !view.is_deleting() {
            return;
        }
        self.dossier.deleting_since.get_or_insert_with(Instant::now);
        let is_empty = view
            .release
            .as_deref()
            .is_some_and(|why| why.trim().is_empty());
        if is_empty && !self.dossier.warned_of_empty_release {
            tell(
                self.shared,
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
        let claims = verdict.claim.is_some() && !view.has_claim();
        // Between the judgement and this write another object may have reserved the task.
        if claims && !self.shared.store().reserve(self.key) {
            return None;
        }
        let calls: Vec<CallRecord> = self.dossier.calls.iter().cloned().collect();
        let status = verdict.status(view, &calls, self.shared.now().wall);
        let written = self.shared.cluster.record(view, &status).await;
        let is_told = written.is_ok();
        let is_unknown = matches!(written, Err(WriteError::Unknown(_)));
        let rest = self.after_write(ApiWrite::Status, written).await;
        if claims {
            self.dossier.claim_in_doubt = is_unknown;
            if !is_unknown {
                self.settle_claim();
            }
        }
        if is_told {
            self.announce(view, verdict);
        }
        rest
    }

    /// The others are judged by what is stored again.
    fn settle_claim(&mut self) {
        let others = self.shared.store().settle(self.key);
        self.look.extend(others);
    }

    /// Whether our claim is stored was not answered: looks. Until that is known the task stays reserved.
    async fn resolve_claim(&mut self) -> Option<Rest> {
        let rest = self.read_again().await;
        if rest.is_some() || self.dossier.memory.writable_at <= self.shared.now().mono {
            self.dossier.claim_in_doubt = false;
            self.settle_claim();
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
        let is_warning = verdict.reason.condition() == ConditionType::Stalled
            || verdict.reason == api::Reason::StopUnconfirmed;
        if is_warning {
            tracing::warn!(object = %self.key, uid = view.uid, reason = %verdict.reason, "{}", verdict.message);
        } else {
            tracing::info!(object = %self.key, uid = view.uid, reason = %verdict.reason, "{}", verdict.message);
        }
        if is_warning || verdict.reason == api::Reason::Armed {
            tell(
                self.shared,
                view,
                is_warning,
                verdict.reason.as_str(),
                verdict.message.clone(),
            );
        }
    }

    async fn release(&mut self, view: &Arc<View>, evidence: &Evidence) -> Option<Rest> {
        self.dossier.releasing = Some((view.clone(), evidence.clone()));
        let exact = !evidence.rests_on_stop();
        let written = self.shared.cluster.release(view, exact).await;
        match &written {
            Ok(_) => {
                self.dossier.releasing = None;
                self.dossier.owned = None;
                self.dossier.released(self.shared, view, evidence);
                self.dossier.forget(self.shared);
            }
            Err(WriteError::Changed(_) | WriteError::Refused(_)) => self.dossier.releasing = None,
            // It may have been stored: if the object goes, that was it.
            Err(WriteError::Gone | WriteError::Unknown(_)) => {}
        }
        let is_released = written.is_ok();
        let rest = self.after_write(ApiWrite::Release, written).await;
        if is_released {
            return Some((None, Outcome::Released));
        }
        rest
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
            Err(WriteError::Gone) => (WriteResult::Gone, Some(self.gone())),
            Err(WriteError::Changed(why)) => {
                self.conflicts += 1;
                let rest = if self.conflicts > CONFLICTS {
                    self.write_failed(&why);
                    None
                } else {
                    self.read_again().await
                };
                (WriteResult::Changed, rest)
            }
            Err(WriteError::Refused(why) | WriteError::Unknown(why)) => {
                self.write_failed(&why);
                (WriteResult::Failed, None)
            }
        };
        self.shared.metrics.wrote(write, result);
        rest
    }

    /// The API server does not know the object. The watch will say so, too; if it does not, something else answered.
    fn gone(&self) -> Rest {
        (Some(self.shared.now().mono + GONE), Outcome::Released)
    }

    async fn read_again(&mut self) -> Option<Rest> {
        match self.shared.cluster.read(self.key).await {
            Ok(view) if view.uid == self.dossier.uid => {
                self.learn(view);
                None
            }
            // Another object by the same name: the watch will bring it.
            Ok(_) | Err(WriteError::Gone) => Some(self.gone()),
            Err(WriteError::Changed(why) | WriteError::Refused(why) | WriteError::Unknown(why)) => {
                self.write_failed(&why);
                None
            }
        }
    }

    fn learn(&mut self, view: View) {
        let changed = self.shared.store().learned(view);
        self.look
            .extend(changed.look.into_iter().filter(|key| key != self.key));
    }

    /// Writes wait; calls to the service go on.
    fn write_failed(&mut self, why: &str) {
        self.dossier.failed_writes = self.dossier.failed_writes.saturating_add(1);
        let doublings = self.dossier.failed_writes.min(10) - 1;
        let bound = Duration::from_millis(100 << doublings).min(self.shared.paces.call_deadline);
        tracing::warn!(object = %self.key, "the API server did not take a write, trying again within {bound:?}: {why}");
        let wait = bound.mul_f64(rand::random_range(0.5..1.0));
        self.dossier.memory.writable_at = self.shared.now().mono + wait;
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
        self.dossier.called(record);
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
}
