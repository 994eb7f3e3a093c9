//! What is kept of one object between reconciles, and what is told when it is released.

use super::{
    access::Source,
    cluster::Cluster,
    desired::Desired,
    evidence::Evidence,
    memory::Memory,
    shared::{Caller, Shared},
    verdict::reason,
    view::{Key, View},
};
use crate::{
    api::CallRecord,
    events::Note,
    live::{Account, Action, Failure, TaskId},
};
use jiff::Timestamp;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

/// The calls that the status remembers.
const CALLS: usize = 5;

/// A call that the service refused for the quota, or swallowed.
#[derive(Clone, Debug)]
pub struct Throttled {
    /// Whose quota.
    pub account: Account,
    /// When it was sent.
    pub sent: Instant,
    /// The service's own delay ends at this moment, since the process started.
    pub not_before: Duration,
}

/// What is kept of one object between reconciles.
#[derive(Debug)]
pub struct Dossier {
    /// Whose it is.
    pub uid: String,
    /// What `plan` remembers.
    pub memory: Memory,
    /// The id of the task that it is about.
    pub task: Option<TaskId>,
    /// The parameters that the spec asks for.
    pub desired: Option<Desired>,
    /// The last calls to the service, oldest first.
    pub calls: VecDeque<CallRecord>,
    /// Failed writes in a row.
    pub failed_writes: u32,
    /// Since when a call waits for its turn.
    pub queued_since: Option<Instant>,
    /// The last call of each action, where it was throttled: how the account fares ends the wait too.
    pub throttled: HashMap<Action, Throttled>,
    /// In which line: of whose quota, for which action.
    pub queued_in: Option<(Account, Action)>,
    /// The credentials of the last call: where they came from, and which version of them.
    pub signed: Option<(Source, u64)>,
    /// The last request for a reconcile for which the credentials were read again.
    pub requested: Option<String>,
    /// When the deletion was first seen.
    pub deleting_since: Option<Instant>,
    /// The empty `release-without-stop` was warned of.
    pub warned_of_empty_release: bool,
    /// The annotation `adopt-running-task` as it was last seen.
    pub adopt: Option<String>,
    /// An `adopt-running-task` that adopts nothing was warned of.
    pub warned_of_adoption: bool,
    /// The object as it was last seen with our finalizer and a claim on a task that it has to stop. Not once it is released.
    pub owned: Option<Arc<View>>,
    /// A claim was sent and its outcome is not known.
    pub claim_in_doubt: bool,
    /// A release was sent and its outcome is not known: if the object is gone, that was it.
    pub releasing: Option<(Arc<View>, Evidence)>,
}

impl Dossier {
    /// Knows nothing yet but the calls that the status remembers.
    #[must_use]
    pub fn new(view: &View) -> Self {
        Self {
            uid: view.uid.clone(),
            memory: Memory::default(),
            task: view.ids.as_ref().ok().map(|ids| ids.task.clone()),
            desired: None,
            calls: view.status.calls.iter().cloned().collect(),
            failed_writes: 0,
            queued_since: None,
            throttled: HashMap::new(),
            queued_in: None,
            signed: None,
            requested: None,
            deleting_since: None,
            warned_of_empty_release: false,
            adopt: view.adopt.clone(),
            warned_of_adoption: false,
            owned: None,
            claim_in_doubt: false,
            releasing: None,
        }
    }

    /// The object is gone: tells of its release if only the answer to that was lost, and takes its waits out of the gauge.
    pub fn close(mut self, shared: &Shared) {
        if let Some((view, evidence)) = self.releasing.take() {
            self.released(shared, &view, &evidence);
        } else if let Some(view) = self.owned.take() {
            lost(shared, &view);
        }
        self.forget(shared);
    }

    /// One log line, one event and the count of a release.
    pub fn released(&self, shared: &Shared, view: &View, evidence: &Evidence) {
        let since_deletion = view.deleted.map_or(Duration::ZERO, |deleted| {
            Duration::try_from(Timestamp::now().duration_since(deleted)).unwrap_or_default()
        });
        // The deletion's own time has whole seconds; what this process has seen of it is finer.
        let seen = self
            .deleting_since
            .map_or(Duration::ZERO, |since| since.elapsed());
        let took = if since_deletion.saturating_sub(seen) <= Duration::from_secs(1) {
            seen
        } else {
            since_deletion
        };
        shared.metrics.released(evidence.kind(), took);
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
            | Evidence::StoppedBefore
            | Evidence::Orphaned
            | Evidence::NeverOwned => (self.last_request_id(), ""),
            Evidence::NeverStarted | Evidence::FoundForeign | Evidence::NotAllowed => ("", ""),
        };
        let (warning, reason, text) = match evidence {
            Evidence::StopAccepted { .. } => (false, "Stopped", format!("The task is stopped (request {request_id}).")),
            Evidence::NotListed => (false, "Stopped", "The task had stopped already: Stop found nothing to stop and the list does not show it.".to_owned()),
            Evidence::StopSaidSo => (false, "Stopped", "The task had stopped already: the service says that it does not exist.".to_owned()),
            Evidence::MustHaveStopped => (
                true,
                "Stopped",
                "The service must have stopped the task: Stop finds nothing to stop, and its channel has been empty for longer than a task lives in one.".to_owned(),
            ),
            Evidence::NeverStarted => (false, "NotStopped", "Nothing was stopped: this object never started its relay.".to_owned()),
            Evidence::StoppedBefore => (false, "Stopped", "The relay had been stopped by this operator before.".to_owned()),
            Evidence::FoundForeign => (false, "NotStopped", "Nothing was stopped: the task of this id was started by something else.".to_owned()),
            Evidence::NotAllowed => (
                false,
                "NotStopped",
                "Nothing was stopped: the operator's application policy never let this object name the task.".to_owned(),
            ),
            Evidence::Orphaned => (false, "Orphaned", "The task was left as it is, as spec.deletionPolicy asks.".to_owned()),
            Evidence::NeverOwned => (false, "NotStopped", "Nothing was stopped: the task belongs to another object.".to_owned()),
            Evidence::Declared { why } => (true, "ReleasedWithoutStop", format!("Released without a confirmed Stop, by annotation: {why}")),
        };
        // One line whatever the level, since every release is to be found by it.
        if warning {
            tracing::warn!(
                object = %view.key, uid = view.uid, app_id = app, task_id = task, request_id, why,
                evidence = evidence.kind(), milliseconds = took.as_millis(),
                "object released"
            );
        } else {
            tracing::info!(
                object = %view.key, uid = view.uid, app_id = app, task_id = task, request_id, why,
                evidence = evidence.kind(), milliseconds = took.as_millis(),
                "object released"
            );
        }
        tell(shared, view, warning, reason, text);
    }

    /// Remembers a call.
    pub fn called(&mut self, call: CallRecord) {
        if self.calls.len() == CALLS {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }

    /// Remembers whether a call was throttled; without an answer it may have been. `now`: since the process started.
    pub fn may_be_throttled(
        &mut self,
        (account, action): (&Account, Action),
        failure: Option<&Failure>,
        (sent, now): (Instant, Duration),
    ) {
        match failure.filter(|failure| failure.throttle().is_some()) {
            Some(failure) => {
                let throttled = Throttled {
                    account: account.clone(),
                    sent,
                    not_before: now + failure.retry_after.unwrap_or_default(),
                };
                self.throttled.insert(action, throttled);
            }
            None => {
                self.throttled.remove(&action);
            }
        }
    }

    /// Ends the waits of what was throttled where calls pass again after none did.
    pub fn end_waits(&mut self, shared: &Shared) {
        let waits = &mut self.memory.waits;
        self.throttled.retain(|&action, throttled| {
            let Throttled { account, sent, .. } = throttled;
            let has_recovered = shared.limiter.has_recovered(account, action, *sent);
            if has_recovered {
                waits.account_recovered(action, throttled.not_before);
            }
            !has_recovered
        });
    }

    /// Asks to be looked at when calls pass again where this object was throttled; at once where they do already.
    pub fn hope(&self, shared: &Shared, key: &Key) {
        for (&action, Throttled { account, sent, .. }) in &self.throttled {
            let caller = Caller::Object(key.clone());
            shared.limiter.hope(account, action, caller, *sent);
        }
    }

    fn last_request_id(&self) -> &str {
        let last = self
            .calls
            .iter()
            .rev()
            .find_map(|call| call.request_id.as_deref());
        last.unwrap_or_default()
    }

    /// A reconcile panicked: nothing that it remembered is believed, and whatever it sent may still take effect.
    pub fn shake(&mut self, shared: &Shared) {
        self.forget(shared);
        let paces = &shared.paces;
        self.memory = Memory::unsure(shared.now().mono + paces.call_deadline + paces.settle_time);
        self.desired = None;
        // Looked up before anything else, which gives a reservation back.
        self.claim_in_doubt = true;
    }

    /// The deletion is over: forgets what it has learnt, and takes its waits out of the gauge.
    pub fn forget(&mut self, shared: &Shared) {
        let memory = std::mem::take(&mut self.memory);
        for (action, wait) in memory.waits.iter() {
            shared
                .metrics
                .retrying(action, reason(wait.cause).as_str(), -1);
        }
    }
}

/// Puts an event about the object into the queue.
pub fn tell(shared: &Shared, view: &View, warning: bool, reason: &'static str, text: String) {
    shared.events.tell(Note {
        about: Cluster::reference(view),
        warning,
        reason,
        text,
    });
}

/// Our finalizer was removed by somebody else, and with it the only thing that would have stopped the task.
fn lost(shared: &Shared, view: &View) {
    let (app, task) = view
        .ids
        .as_ref()
        .map_or(("", ""), |ids| (ids.app.as_str(), ids.task.as_str()));
    shared.metrics.lost();
    tracing::warn!(
        object = %view.key, uid = view.uid, app_id = app, task_id = task,
        "the object is gone, but its finalizer was not removed by this operator: the task may still run"
    );
    let text = format!(
        "Somebody else removed the finalizer {}: task {task} of application {app} may still run.",
        crate::api::FINALIZER
    );
    tell(shared, view, true, "TaskMayStillRun", text);
}
