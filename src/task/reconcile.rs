//! One object, step by step, until there is nothing to do now.

mod calls;
mod writes;

use super::{
    access::{Keys, Site, Source, keyring::Occasion},
    desired::Desired,
    dossier::{Dossier, tell},
    ledger::{Ledger, State},
    ownership::Standing,
    plan::{COOL_DOWN, Facts, Step, Wanted, plan},
    retry::{Moment, Paces, Waits},
    seen::Seen,
    shared::{Caller, Shared},
    store::Place,
    verdict::reason,
    view::{Ids, Key, View},
};
use crate::{
    api::{self, DeletionPolicy},
    live::Action,
    metrics::Outcome,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Steps in a row without a rest or a call; more mean that two decisions undo each other.
const STEPS: u32 = 32;

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
    dossier.end_waits(shared);
    let mut run = Run {
        shared,
        key,
        dossier,
        look: Vec::new(),
        conflicts: 0,
    };
    let (at, outcome) = run.until_rest().await;
    if outcome != Outcome::Queued {
        shared.limiter.forget(&Caller::Object(key.clone()));
        run.dossier.queued_since = None;
        run.dossier.queued_in = None;
    }
    if outcome != Outcome::Released {
        run.dossier.hope(shared, key);
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
            let Some(place) = self.shared.store().get(self.key) else {
                return (None, Outcome::Released);
            };
            let view = place.view.clone();
            if view.uid != self.dossier.uid {
                return (Some(Duration::ZERO), Outcome::Waiting);
            }
            self.notice(&view);
            self.notice_credentials(&view);
            if self.dossier.claim_in_doubt
                && self.dossier.memory.writable_at <= self.shared.now().mono
            {
                if let Some(rest) = self.resolve_claim().await {
                    return rest;
                }
                continue;
            }
            let allowed = is_allowed(self.shared, &view);
            self.settle_parameters(&place, allowed).await;
            // What is wanted decides how it stands.
            let Some(place) = self.shared.store().get(self.key) else {
                continue;
            };
            if place.view.resource_version != view.resource_version {
                continue;
            }
            let step = self.decide(&place, allowed);
            // What is known by now is still put to use; nothing new is begun.
            if self.shared.draining.is_cancelled() && self.begins_something(&step) {
                return (None, Outcome::Waiting);
            }
            let rest = match step {
                Step::Guard => self.guard(&view).await,
                Step::Record(verdict) => self.record(&view, &verdict).await,
                Step::Learn(ledger) => {
                    let waits = self.dossier.memory.waits.clone();
                    self.dossier.memory.learn(*ledger);
                    self.count_waits(&waits);
                    None
                }
                Step::Look => self.look_at_channels(&view),
                Step::Call { call, bought } => {
                    steps = 0;
                    self.call(&view, call, bought).await
                }
                Step::Release(evidence) => self.release(&view, &evidence).await,
                Step::Rest(at) => {
                    let outcome = if at.is_some() {
                        Outcome::Waiting
                    } else {
                        Outcome::Settled
                    };
                    let again = self.dossier.desired.as_ref();
                    let again = again.and_then(|desired| desired.again);
                    Some((at.into_iter().chain(again).min(), outcome))
                }
            };
            if let Some(rest) = rest {
                return rest;
            }
        }
        tracing::error!(object = %self.key, "{STEPS} steps without a rest; looking again later");
        let later = self.shared.now().mono + self.shared.paces.backoff_max;
        (Some(later), Outcome::Failed)
    }

    /// Whether the step does more than to put to use what is known.
    fn begins_something(&self, step: &Step) -> bool {
        match step {
            Step::Release(_) | Step::Rest(_) | Step::Learn(_) => false,
            Step::Record(verdict) => {
                self.dossier.memory.ledger.is_none() || verdict.reason == api::Reason::Starting
            }
            Step::Guard | Step::Look | Step::Call { .. } => true,
        }
    }

    fn decide(&self, place: &Place, allowed: bool) -> Step {
        let view = &*place.view;
        let (keys, recorded) = self.shared.keyring().known(view, self.shared.now().mono);
        let nothing = Wanted::Nothing;
        let desired = self.dossier.desired.as_ref();
        let wanted = desired.map_or(&nothing, |desired| &desired.wanted);
        // What is shown to credentials of another account says nothing of the task.
        let seen = if keys.are_believed() {
            self.shared.observatory().seen(view)
        } else {
            Seen::default()
        };
        let now = self.shared.now();
        let facts = Facts {
            view,
            standing: &place.standing,
            output_taken: place.output_taken.as_ref(),
            allowed,
            keys: &keys,
            recorded: &recorded,
            wanted,
            seen: &seen,
            cool_until: place
                .cool_until
                .max(fresh_until(view, wanted, &self.shared.paces, now)),
        };
        plan(facts, &self.dossier.memory, &self.shared.paces, now)
    }

    /// Makes the parameters that the spec asks for, where the object may act on them.
    async fn settle_parameters(&mut self, place: &Place, allowed: bool) {
        let view = &place.view;
        let may_act = match place.standing {
            Standing::Holder | Standing::Entitled => allowed,
            Standing::Unsure | Standing::Contested(_) | Standing::Disputed(_) => false,
        };
        let now = self.shared.now();
        let ledger = self.dossier.memory.ledger(view);
        // One that is not to be started yet takes its outputs all the same.
        let is_unclaimed = ledger.state() == State::Never && view.claimed_outputs().is_empty();
        let needs =
            ledger.state() == State::Running || ledger.may_start(view, now.wall) || is_unclaimed;
        let is_ours = view.is_guarded() && !view.is_deleting() && !view.suspend;
        let relay = view.relay.as_ref().filter(|_| may_act && needs && is_ours);
        let Some(relay) = relay else {
            self.dossier.desired = None;
            let look = self.shared.store().wants(self.key, &[]);
            self.look.extend(look);
            return;
        };
        if let Some(site) = Site::of(view) {
            self.shared.observatory().observe(site);
        }
        let now = now.mono;
        let before = self.dossier.desired.as_ref();
        if before.is_none_or(|before| !before.is_current(view, now)) {
            let desired = Desired::read(self.shared, view, relay, before, now).await;
            if let (Some(Wanted::Known(before)), Wanted::Known(now)) =
                (before.map(|before| &before.wanted), &desired.wanted)
            {
                let waits = self.dossier.memory.waits.clone();
                self.dossier.memory.wants(&now.hash, &before.hash, view);
                self.count_waits(&waits);
            }
            self.dossier.desired = Some(desired);
        }
        // Whoever cannot start anything keeps nobody from an output.
        let can_start = self.shared.keyring().keys(view, now) == Keys::Given;
        let outputs = match self.dossier.desired.as_ref().map(|desired| &desired.wanted) {
            Some(Wanted::Known(wanted)) if can_start => wanted.outputs.as_slice(),
            Some(Wanted::Known(_) | Wanted::Nothing | Wanted::Unavailable { .. }) | None => &[],
        };
        let look = self.shared.store().wants(self.key, outputs);
        self.look.extend(look);
    }

    /// Asks for a read of the channels; the object is looked at again when there is one.
    fn look_at_channels(&mut self, view: &View) -> Option<Rest> {
        let Some(site) = Site::of(view) else {
            return Some((None, Outcome::Settled));
        };
        self.dossier.memory.asked = Some(self.shared.now().mono);
        self.shared.observatory().ask(site, self.key.clone());
        self.shared.wake.notify_one();
        None
    }

    /// Things to remember or to warn of that decide nothing.
    fn notice(&mut self, view: &Arc<View>) {
        let task = view.ids.as_ref().ok().map(|ids| &ids.task);
        if task.is_some() && task != self.dossier.task.as_ref() {
            self.dossier.task = task.cloned();
            let waits = self.dossier.memory.waits.clone();
            self.dossier.memory.begin_id();
            self.count_waits(&waits);
        }
        if view.adopt != self.dossier.adopt {
            self.dossier.adopt.clone_from(&view.adopt);
            if view.is_adopting() {
                let waits = self.dossier.memory.waits.clone();
                self.dossier.memory.look_again();
                self.count_waits(&waits);
            }
        }
        if view.is_guarded() && view.has_claim() {
            let has_started =
                !view.has_relay || self.dossier.memory.ledger(view).state() != State::Never;
            let has_to_stop = has_started && view.policy == DeletionPolicy::Stop;
            self.dossier.owned = has_to_stop.then(|| view.clone());
        }
        if !view.is_deleting() {
            self.warn_of_adoption(view);
            return;
        }
        if self.dossier.deleting_since.is_none() {
            self.dossier.deleting_since = Some(Instant::now());
            let waits = self.dossier.memory.waits.clone();
            self.dossier.memory.begin_deletion();
            self.count_waits(&waits);
        }
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

    /// Says of an annotation that cannot be obeyed why it is not.
    fn warn_of_adoption(&mut self, view: &View) {
        let why = match (&view.adopt, &view.ids) {
            (Some(_), Ok(_)) if !view.has_relay => Some(
                "this object has no relay: whatever runs under its spec.taskId is its task already"
                    .to_owned(),
            ),
            (Some(_), Ok(ids)) if !view.is_adopting() => {
                Some(format!("this object's task is {}", ids.task.as_str()))
            }
            (Some(_) | None, Ok(_) | Err(_)) => None,
        };
        if let Some(why) = &why
            && !self.dossier.warned_of_adoption
        {
            let advice = if view.has_relay {
                " Its value must be the id of a task that spec.taskId names too, or of any task where spec.taskId is absent and no Start was \
                 ever tried: to take over a task of another id, create this object again with the annotation."
            } else {
                ""
            };
            let text = format!(
                "The annotation {} takes over nothing: {why}.{advice}",
                api::ADOPT_RUNNING_TASK
            );
            tell(self.shared, view, true, "NothingToAdopt", text);
        }
        self.dossier.warned_of_adoption = why.is_some();
    }

    /// Where its credentials come from, and whether there are others than those of its last call.
    fn notice_credentials(&mut self, view: &View) {
        let now = self.shared.now().mono;
        let (version, is_new) = {
            let mut keyring = self.shared.keyring();
            let is_new = keyring.uses(self.key, &view.source, now);
            (keyring.version(&view.source), is_new)
        };
        if is_new {
            self.shared.wake.notify_one();
        }
        if view.requested != self.dossier.requested {
            self.dossier.requested.clone_from(&view.requested);
            self.shared
                .read_again(&view.source, (Occasion::Request, now));
        }
        let present = (view.source.clone(), version);
        if self
            .dossier
            .signed
            .as_ref()
            .is_some_and(|signed| *signed != present)
        {
            self.dossier.signed = Some(present);
            let waits = self.dossier.memory.waits.clone();
            self.dossier.memory.waits.other_credentials();
            self.count_waits(&waits);
        }
    }

    /// Keeps the gauge of what waits, after the waits changed from `before`.
    fn count_waits(&self, before: &Waits) {
        let now = self.shared.now();
        let waits = &self.dossier.memory.waits;
        for action in Action::ALL {
            let (old, new) = (before.get(action), waits.get(action));
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

/// Whether the application policy lets the object name its task.
fn is_allowed(shared: &Shared, view: &View) -> bool {
    // What others' credentials may do is for their account's policy to say.
    if view.source != Source::Own {
        return true;
    }
    let Ok(Ids { app, task, .. }) = &view.ids else {
        return true;
    };
    let named = (!view.is_id_from_uid()).then_some(task.as_str());
    shared
        .policy
        .allows(&view.key.namespace, app.as_str(), named)
}

/// A process that has just begun does not know what was in use a moment before: an output cools down, unless the object has held it for long
/// enough; and to a task id that a manifest names a Stop may be on its way that an earlier process sent for an object that is gone.
pub(super) fn fresh_until(view: &View, wanted: &Wanted, paces: &Paces, now: Moment) -> Duration {
    let claim = view.status.claim.as_ref();
    let held_since = claim.and_then(|claim| claim.at.as_ref()).map(|at| at.0);
    let is_held_for = |time: Duration| {
        held_since.is_some_and(|since| {
            Duration::try_from(now.wall.duration_since(since)).is_ok_and(|held| held > time)
        })
    };
    let outputs = match wanted {
        Wanted::Known(wanted) => wanted.outputs.as_slice(),
        Wanted::Nothing | Wanted::Unavailable { .. } => &[],
    };
    let are_held = outputs
        .iter()
        .all(|output| view.claimed_outputs().contains(output));
    let is_new = Ledger::of(&view.status).state() == State::Never;
    let waits_for_stop = is_new && !view.is_id_from_uid() && !is_held_for(paces.settle_time);
    let id = if waits_for_stop {
        paces.settle_time
    } else {
        Duration::ZERO
    };
    let outputs = if are_held && is_held_for(COOL_DOWN) {
        Duration::ZERO
    } else {
        COOL_DOWN
    };
    Some(id.max(outputs))
        .filter(|until| *until > now.mono)
        .unwrap_or_default()
}
