//! What is told of an object: phase, conditions and their words, written for the person who reads them at three in the morning.

pub mod relay;
mod words;

pub use words::{became_of, general_advice, reason, told_as};

use super::{
    access::{Left, Source},
    evidence::Sighting,
    ledger::{Ledger, State},
    ownership::Rival,
    retry::{Cause, Waits},
    trail::{Early, Look, Stopped, Trail},
    view::{Ids, View},
};
use crate::{
    api::{CallRecord, Claim, ConditionType, DeletionPolicy, MixedStreamTaskStatus, Phase, Reason},
    live::{Action, Call, Class},
};
use jiff::{Timestamp, Unit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use words::{advice, fault, told, with_schedule};

/// What the status should say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The phase.
    pub phase: Phase,
    /// The reason; it decides the conditions.
    pub reason: Reason,
    /// The words beside it.
    pub message: String,
    /// What the object possesses.
    pub claim: Option<Claim>,
    /// The request for a reconcile that is answered.
    pub handled: Option<String>,
    /// The relay's story, where it has one.
    pub ledger: Option<Ledger>,
    /// What somebody should see to beside it. Part of the message.
    pub caveats: Vec<Caveat>,
}

/// Something that is wrong while the relay runs: the object stays as ready as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caveat {
    /// The reason of its event.
    pub event: &'static str,
    /// In a sentence, with what to do.
    pub text: String,
}

impl Verdict {
    pub(super) fn new(
        phase: Phase,
        reason: Reason,
        message: impl Into<String>,
        claim: Option<Claim>,
    ) -> Self {
        Self {
            phase,
            reason,
            message: message.into(),
            claim,
            handled: None,
            ledger: None,
            caveats: Vec::new(),
        }
    }

    /// With something that somebody should see to, said at the end of the message.
    #[must_use]
    pub fn but(mut self, caveat: Caveat) -> Self {
        self.message = format!("{} {}", self.message, caveat.text);
        self.caveats.push(caveat);
        self
    }

    /// With the relay's story.
    #[must_use]
    pub fn with(self, ledger: Ledger) -> Self {
        Self {
            ledger: Some(ledger),
            ..self
        }
    }

    /// With the request for a reconcile that is answered by it.
    #[must_use]
    pub fn handling(self, handled: Option<String>) -> Self {
        Self { handled, ..self }
    }

    /// Whether the status says all of it already.
    #[must_use]
    pub fn is_told(&self, view: &View) -> bool {
        let told = &view.status;
        // The time only matters where a condition's status changes, and then the conditions differ.
        let now = Timestamp::UNIX_EPOCH;
        let mut wanted = self.status(view, &told.calls, now);
        // Which key it is that is known to be of the claim's account is told along with other things.
        if let (Some(claim), Some(told)) = (&mut wanted.claim, &told.claim) {
            claim.key.clone_from(&told.key);
        }
        let timeless = |conditions: &[Condition]| -> Vec<Condition> {
            let mut conditions = conditions.to_vec();
            for condition in &mut conditions {
                condition.last_transition_time = Time(now);
            }
            conditions
        };
        timeless(&wanted.conditions) == timeless(&told.conditions)
            && MixedStreamTaskStatus {
                conditions: Vec::new(),
                ..wanted
            } == MixedStreamTaskStatus {
                conditions: Vec::new(),
                ..told.clone()
            }
    }

    /// The whole status that says it. What the verdict does not speak of is kept.
    #[must_use]
    pub fn status(
        &self,
        view: &View,
        calls: &[CallRecord],
        now: Timestamp,
    ) -> MixedStreamTaskStatus {
        let told = &view.status;
        let condition = |type_: ConditionType, holds: bool| {
            let status = if holds { "True" } else { "False" };
            let unmoved = told
                .conditions
                .iter()
                .find(|old| old.type_ == type_.as_str() && old.status == status);
            Condition {
                type_: type_.as_str().to_owned(),
                status: status.to_owned(),
                reason: self.reason.as_str().to_owned(),
                message: self.message.clone(),
                observed_generation: Some(view.generation),
                last_transition_time: unmoved.map_or_else(
                    || Time(whole_seconds(now)),
                    |old| old.last_transition_time.clone(),
                ),
            }
        };
        let conditions = match self.reason.condition() {
            ConditionType::Ready => vec![condition(ConditionType::Ready, true)],
            other @ (ConditionType::Reconciling | ConditionType::Stalled) => {
                vec![
                    condition(ConditionType::Ready, false),
                    condition(other, true),
                ]
            }
        };
        let mut status = MixedStreamTaskStatus {
            observed_generation: Some(view.generation),
            conditions,
            phase: Some(self.phase),
            task_id: view.ids.as_ref().map_or_else(
                |_| told.task_id.clone(),
                |ids| Some(ids.task.as_str().to_owned()),
            ),
            last_handled_reconcile_at: self
                .handled
                .clone()
                .or_else(|| told.last_handled_reconcile_at.clone()),
            claim: self.claim.clone(),
            calls: calls.to_vec(),
            ..told.clone()
        };
        if let Some(ledger) = self.ledger.clone() {
            ledger.write(&mut status);
        }
        status
    }
}

/// The API keeps times in whole seconds; anything finer would look like a change when it is read back.
#[must_use]
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    time.round(
        jiff::TimestampRound::new()
            .smallest(Unit::Second)
            .mode(jiff::RoundMode::Trunc),
    )
    .unwrap_or(time)
}

/// What deletion will do, in a sentence.
pub(super) fn on_deletion(view: &View) -> &'static str {
    match view.policy {
        DeletionPolicy::Stop if view.declared().is_some() => {
            "When this object is deleted, the task will be stopped if the first Stop succeeds, and else be left to run (annotation \
             mixedstream.io/release-without-stop)."
        }
        DeletionPolicy::Stop => "The task will be stopped when this object is deleted.",
        DeletionPolicy::Orphan => {
            "The task will be left as it is when this object is deleted (spec.deletionPolicy: Orphan)."
        }
    }
}

/// Nothing to do until deletion.
#[must_use]
pub fn armed(view: &View, claim: Option<Claim>) -> Verdict {
    Verdict::new(Phase::Armed, Reason::Armed, on_deletion(view), claim)
}

/// Hands off.
#[must_use]
pub fn suspended(view: &View, claim: Option<Claim>) -> Verdict {
    let ledger = Ledger::of(&view.status);
    let deletion = match (&claim, view.policy) {
        _ if view.has_relay && ledger.state() == State::Never => {
            "The relay was never started: deleting this object stops nothing."
        }
        // Whether it gets the task is decided when it is deleted.
        (None, DeletionPolicy::Stop) => {
            "It holds no claim on the task: when it is deleted, the task is stopped unless it belongs to another object then."
        }
        (Some(_), DeletionPolicy::Stop) | (_, DeletionPolicy::Orphan) => on_deletion(view),
    };
    let message = format!(
        "Suspended by spec.suspend: nothing is sent to the service while this object lives. {deletion}"
    );
    Verdict::new(Phase::Suspended, Reason::Suspended, message, claim)
}

/// Somebody else has the task.
#[must_use]
pub fn task_id_in_use(rival: &Rival, claim: Option<Claim>) -> Verdict {
    let who = who(rival);
    Verdict::new(
        Phase::Failed,
        Reason::TaskIdInUse,
        format!(
            "The task belongs to {who}. This object does nothing, and its deletion stops nothing. \
             It takes over when the other object is gone; otherwise create it again with another spec.taskId."
        ),
        claim,
    )
}

/// Somebody else may have the task.
#[must_use]
pub fn task_id_disputed(view: &View, rival: &Rival) -> Verdict {
    let who = who(rival);
    let (phase, declaration) = if view.is_deleting() {
        let way = "; or see to it by hand, and set the annotation mixedstream.io/release-without-stop to the reason";
        (Phase::Stopping, way)
    } else {
        (Phase::Failed, "")
    };
    Verdict::new(
        phase,
        Reason::TaskIdInUse,
        format!(
            "The task may belong to {who}: whether both are in one account is not known, so that nothing is started or stopped. Let the operator \
             reach STS, which tells whose the keys are{declaration}."
        ),
        None,
    )
}

pub(super) fn who(rival: &Rival) -> String {
    rival.name.as_ref().map_or_else(
        || "an object in another namespace".to_owned(),
        |name| format!("the object {name} in this namespace"),
    )
}

/// The application policy does not let the object name its task.
#[must_use]
pub fn app_not_allowed(view: &View, claim: Option<Claim>) -> Verdict {
    let ids = view.ids.as_ref();
    let (app, task) = ids.map_or(("", ""), |ids| (ids.app.as_str(), ids.task.as_str()));
    let runs = Ledger::of(&view.status).state() == State::Running;
    let deletion = match claim {
        None => "Deleting it stops nothing.".to_owned(),
        Some(_) if runs => format!(
            "The relay that it started runs on, whatever spec.desiredState and spec.maxDurationSeconds say. {}",
            on_deletion(view)
        ),
        Some(_) => format!(
            "It held the task when that was allowed. {}",
            on_deletion(view)
        ),
    };
    Verdict::new(
        if runs { Phase::Running } else { Phase::Failed },
        Reason::AppNotAllowed,
        format!(
            "No rule of the operator's --app-policy lets namespace {} use task {task} of application {app}: nothing is started or changed \
             for this object. {deletion} Have whoever runs the operator add a rule, or delete this object and create one whose appId and \
             taskId are allowed.",
            view.key.namespace
        ),
        claim,
    )
}

/// Its credentials are missing or rejected; `left`: what there is all the same.
#[must_use]
pub fn unusable_credentials(
    reason: Reason,
    message: &str,
    left: Left,
    claim: Option<Claim>,
) -> Verdict {
    let so = match left {
        Left::Kept => {
            "Until then a deletion tries to stop the task with the last ones that were read, which a restart of the operator forgets."
        }
        Left::Doubtful => "Until then only a deletion does anything.",
        Left::Nothing => "Until then the task cannot be stopped.",
    };
    Verdict::new(Phase::Failed, reason, format!("{message} {so}"), claim)
}

/// Whose credentials the object's calls use, for a person who is to grant them something.
pub(super) fn grantee(view: &View) -> String {
    match &view.source {
        Source::Own => "the operator's credentials".to_owned(),
        Source::Secret(secret) => format!("the key in Secret {secret}"),
        Source::Unreadable => "this object's credentials".to_owned(),
    }
}

/// The stored object cannot be read.
#[must_use]
pub fn invalid_spec(view: &View, defect: &str, claim: Option<Claim>) -> Verdict {
    let (phase, advice) = match (&view.ids, view.is_deleting()) {
        (Ok(_), _) => (Phase::Failed, on_deletion(view)),
        (Err(_), false) => (
            Phase::Failed,
            "Without both ids its task cannot be stopped.",
        ),
        (Err(_), true) => (
            Phase::Stopping,
            "Without both ids its task cannot be stopped: stop the task by hand, then set the annotation \
             mixedstream.io/release-without-stop to the reason.",
        ),
    };
    Verdict::new(
        phase,
        Reason::InvalidSpec,
        format!("The stored object cannot be read ({defect}). {advice}"),
        claim,
    )
}

/// The task is being stopped.
#[must_use]
pub fn stopping(claim: Option<Claim>) -> Verdict {
    Verdict::new(
        Phase::Stopping,
        Reason::Stopping,
        "The task is being stopped.",
        claim,
    )
}

/// The stopping waits: for what, since when, and what helps.
#[must_use]
pub fn pursuing(
    view: &View,
    ids: &Ids,
    trail: &Trail,
    waits: &Waits,
    (early, state): (Early, State),
    claim: Option<Claim>,
) -> Verdict {
    if trail.too_early(early).is_some() {
        let message = "Stop was answered, but an earlier Start has no answer and may still take effect: the task is stopped once more when \
                       that can no longer be (--settle-time).";
        return Verdict::new(Phase::Stopping, Reason::OutcomeUnknown, message, claim);
    }
    let (reason, message) = match (&trail.stopped, &trail.look) {
        (Stopped::NotFound { .. }, Look::Shown(sighting)) => {
            still_listed(view, ids, sighting, trail, waits)
        }
        (Stopped::NotFound { .. }, Look::Forbidden) => (
            told_as(Call::ListTask, Class::AccessDenied),
            with_schedule(
                &format!(
                    "Stop found nothing to stop, and the list that could confirm it is denied. Grant live:ListRtcMPUTaskDetail to {}, or check \
                     the task by hand and set the annotation mixedstream.io/release-without-stop to the reason.",
                    grantee(view)
                ),
                waits.get(Action::ListRtcMpuTaskDetail),
            ),
        ),
        (Stopped::NotFound { answered, .. }, Look::Unknown)
            if early.fresh.is_some_and(|fresh| *answered < fresh)
                && waits.get(Action::ListRtcMpuTaskDetail).is_none() =>
        {
            let message = "Stop found nothing to stop, but the task was started a moment ago and need not be known everywhere in the service \
                           yet: the list is asked when it must be (--settle-time).";
            (told_as(Call::Stop, Class::NotFoundLike), message.to_owned())
        }
        // What the list by id fails with that is no more than "not found" leaves no wait: what waits is a failure of both kinds of list.
        (Stopped::NotFound { .. }, Look::Unknown | Look::Absent | Look::Paging { .. }) => failing(
            Call::ListPage,
            "Stop found nothing to stop; the list has to confirm that the task is gone.",
            (view, waits),
        ),
        (Stopped::Unknown | Stopped::Accepted { .. }, _) => {
            let so = match state {
                State::Stopped => {
                    "The relay was found stopped before; this Stop makes certain of it."
                }
                State::Never | State::Open | State::Running => "The task may still run.",
            };
            failing(Call::Stop, so, (view, waits))
        }
    };
    Verdict::new(Phase::Stopping, reason, message, claim)
}

fn still_listed(
    view: &View,
    ids: &Ids,
    sighting: &Sighting,
    trail: &Trail,
    waits: &Waits,
) -> (Reason, String) {
    let readings = waits.get(Action::DescribeChannelUsers);
    let channel = match (&sighting.channel, readings, trail.channel_is_empty()) {
        (None, _, _) => "the list does not name its channel".to_owned(),
        (Some(_), Some(wait), _) if wait.cause == Cause::Answer(Class::AccessDenied) => {
            format!(
                "its channel cannot be read: grant live:DescribeChannelUsers to {}",
                grantee(view)
            )
        }
        (Some(_), Some(wait), _) => format!("its channel cannot be read ({})", fault(wait)),
        (Some(_), None, true) => {
            "nobody is in its channel, which will be proof once that has lasted".to_owned()
        }
        (Some(_), None, false) => "its channel is not empty".to_owned(),
    };
    let stop = if trail.rests_on_internal_errors() {
        "StopLiveMPUTask fails inside the service again and again, which may mean that it finds nothing to stop"
    } else {
        "StopLiveMPUTask answers that it found nothing to stop"
    };
    let text = format!(
        "{stop}, but the service still lists task {}, and {channel}. It may still run: check it in the service's console.",
        ids.task.as_str()
    );
    let reason = readings.map_or(told_as(Call::Stop, Class::NotFoundLike), |wait| {
        told(Call::ChannelUsers, wait.cause)
    });
    (
        reason,
        with_schedule(&text, waits.get(Action::StopLiveMpuTask)),
    )
}

/// One call fails and is retried.
fn failing(call: Call, so: &str, (view, waits): (&View, &Waits)) -> (Reason, String) {
    let action = call.action();
    let Some(wait) = waits.get(action) else {
        return (Reason::Stopping, "The task is being stopped.".to_owned());
    };
    let text = format!(
        "{} {}: {} {so}",
        action.name(),
        fault(wait),
        advice(wait.cause, view)
    );
    (told(call, wait.cause), with_schedule(&text, Some(wait)))
}
