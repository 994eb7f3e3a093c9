//! What is told of a relay that lives.

use super::{
    Caveat, Verdict, grantee, on_deletion, reason, told_as, who,
    words::{advice, fault, told, with_schedule},
};
use crate::{
    api::{Claim, ConditionType, Phase, Reason, RestartPolicy, StopReason},
    live::{Action, Call, Class},
    task::{
        ledger::Ledger,
        ownership::Rival,
        retry::{Cause, Paces, Wait, Waits},
        seen::Fault,
        view::View,
    },
};
use jiff::Timestamp;
use std::time::Duration;

/// The relay runs as the spec asks; `unseen`: whether it still does cannot be told.
#[must_use]
pub fn running(view: &View, unseen: bool, claim: Option<Claim>) -> Verdict {
    let so = if unseen {
        "The relay was started."
    } else {
        "The relay runs."
    };
    let message = format!("{so} {}", on_deletion(view));
    Verdict::new(Phase::Running, Reason::Running, message, claim)
}

/// Whether a relay that was started still runs cannot be told.
#[must_use]
pub fn unseen(view: &View, fault: &Fault) -> Caveat {
    let Fault { class, words } = fault;
    let why = if *class == Class::AccessDenied {
        format!(
            "is denied: grant live:ListRtcMPUTaskDetail to {}.",
            grantee(view)
        )
    } else {
        format!("fails ({words}): {}", advice(Cause::Answer(*class), view))
    };
    Caveat {
        event: "TaskNotSeen",
        text: format!(
            "Whether the relay still runs is not seen, since the service's list of tasks {why}"
        ),
    }
}

/// The address of an output of a running relay cannot be read any more; `message`: why.
#[must_use]
pub fn address_lost(message: &str) -> Caveat {
    Caveat {
        event: "OutputAddressLost",
        text: format!(
            "{message} The relay runs on, but cannot be changed or started again before that."
        ),
    }
}

/// The spec asks for no relay, and none was ever started.
#[must_use]
pub fn not_started(claim: Option<Claim>) -> Verdict {
    let message = "Not started, as spec.desiredState asks. Deleting this object stops nothing.";
    Verdict::new(Phase::Stopped, Reason::Stopped, message, claim)
}

/// The relay is stopped as the spec asks; `is_over`: it has had its time.
#[must_use]
pub fn stopped(is_over: bool, claim: Option<Claim>) -> Verdict {
    let again = if is_over {
        "To start the relay again, raise spec.maxDurationSeconds, which has passed, and set it to Running."
    } else {
        "Set it to Running to start the relay again."
    };
    let message = format!("Stopped, as spec.desiredState asks. {again}");
    Verdict::new(Phase::Stopped, Reason::Stopped, message, claim)
}

/// The relay is over, and stays so; `is_over`: it has had its time.
#[must_use]
pub fn completed(view: &View, ledger: &Ledger, is_over: bool, claim: Option<Claim>) -> Verdict {
    let unknown = format!(
        "The relay is gone; why cannot be told: grant live:ListRTCLiveRooms to {}.",
        grantee(view)
    );
    let so = match ledger.stop_reason {
        Some(StopReason::ChannelEmpty) if view.restart == RestartPolicy::Never => {
            "The service stopped the relay, since nobody was in its channel (spec.restartPolicy is not WhenChannelReturns)."
        }
        Some(StopReason::ChannelEmpty) => {
            "The service stopped the relay, since nobody was in its channel."
        }
        Some(StopReason::StoppedElsewhere) => {
            "The relay was stopped by something else than this operator while its channel was live."
        }
        Some(StopReason::Unknown) => unknown.as_str(),
        Some(StopReason::MaxDuration) => "The operator stopped the relay.",
        Some(StopReason::Requested) | None => "The relay is stopped.",
    };
    let again = match (is_over, ledger.stop_reason) {
        (true, _) => format!(
            "spec.maxDurationSeconds has passed since the first start{}: to start the relay again, raise it beyond that, or take it out.",
            ledger.started_at.map_or_else(String::new, |at| format!(
                " ({})",
                at.strftime("%Y-%m-%d %H:%M:%S UTC")
            ))
        ),
        (false, _) => {
            "To start it again, set spec.desiredState to Stopped and back to Running.".to_owned()
        }
    };
    Verdict::new(
        Phase::Stopped,
        Reason::Completed,
        format!("{so} {again}"),
        claim,
    )
}

/// A Start is about to be sent.
#[must_use]
pub fn starting(claim: Option<Claim>) -> Verdict {
    let message = "The relay is being started.";
    Verdict::new(Phase::Pending, Reason::Starting, message, claim)
}

/// An Update is about to be sent.
#[must_use]
pub fn updating(claim: Option<Claim>) -> Verdict {
    let message = "The running relay is being updated.";
    Verdict::new(Phase::Running, Reason::Updating, message, claim)
}

/// Nobody is in the channel, or nobody can tell.
#[must_use]
pub fn waiting_for_channel(
    view: &View,
    is_restart: bool,
    fails: Option<&Fault>,
    claim: Option<Claim>,
) -> Verdict {
    let channel = view.channel.as_ref().map_or("", |channel| channel.as_str());
    let again = if is_restart { " again" } else { "" };
    let (reason, message) = match fails {
        Some(Fault { class, words }) => (
            told_as(Call::LiveRooms, *class),
            format!(
                "The relay is started{again} when somebody is in channel {channel}, but ListRTCLiveRooms, which tells, fails ({words}): {}",
                advice(Cause::Answer(*class), view)
            ),
        ),
        None => (
            Reason::WaitingForChannel,
            format!(
                "Nobody is in channel {channel}. The relay is started{again} when somebody joins."
            ),
        ),
    };
    let phase = match (reason.condition(), is_restart) {
        (ConditionType::Stalled, _) => Phase::Failed,
        (ConditionType::Ready | ConditionType::Reconciling, true) => Phase::Stopped,
        (ConditionType::Ready | ConditionType::Reconciling, false) => Phase::Pending,
    };
    Verdict::new(phase, reason, message, claim)
}

/// Somebody stopped the relay while its channel was live, or nobody knows why it is gone: it is not started again before the channel has been away.
#[must_use]
pub fn waiting_for_channel_to_leave(view: &View, ledger: &Ledger, claim: Option<Claim>) -> Verdict {
    let channel = view.channel.as_ref().map_or("", |channel| channel.as_str());
    let so = if ledger.stop_reason == Some(StopReason::Unknown) {
        format!(
            "The relay is gone; why cannot be told, since the live channels cannot be listed: grant live:ListRTCLiveRooms to {}.",
            grantee(view)
        )
    } else {
        "The relay was stopped by something else than this operator while its channel was live."
            .to_owned()
    };
    let message = format!(
        "{so} It is started again when channel {channel} has been empty and somebody joins anew; at once, when spec.desiredState is set to \
         Stopped and back to Running."
    );
    Verdict::new(Phase::Stopped, Reason::WaitingForChannel, message, claim)
}

/// An output or the task id was in use a moment ago.
#[must_use]
pub fn cooling_down(runs: bool, claim: Option<Claim>) -> Verdict {
    let message = "An output or the task id may have been in use a moment ago; the service wants ten seconds between two uses. It goes on by \
                   itself.";
    Verdict::new(phase_of(runs), Reason::CoolingDown, message, claim)
}

/// Whether a Start took effect is not known.
#[must_use]
pub fn outcome_unknown(view: &View, waits: &Waits, claim: Option<Claim>) -> Verdict {
    let so = "A Start was sent, or may have been, and no answer tells whether the relay runs: ListRtcMPUTaskDetail is asked until that is \
              certain.";
    let list = waits.get(Action::ListRtcMpuTaskDetail);
    let message = match list {
        Some(wait) => match wait.cause {
            Cause::Answer(Class::AccessDenied) => format!(
                "{so} It is denied: grant live:ListRtcMPUTaskDetail to {}.",
                grantee(view)
            ),
            Cause::Answer(_) => with_schedule(&format!("{so} It {}.", fault(wait)), Some(wait)),
            Cause::Unconfirmed | Cause::Open | Cause::Foreign => so.to_owned(),
        },
        None => so.to_owned(),
    };
    Verdict::new(Phase::Pending, Reason::OutcomeUnknown, message, claim)
}

/// A Start was refused, and waits; `unseen`: the channels cannot be listed.
#[must_use]
pub fn start_fails(
    view: &View,
    wait: Option<&Wait>,
    is_restart: bool,
    unseen: bool,
    (paces, now): (&Paces, Timestamp),
    claim: Option<Claim>,
) -> Verdict {
    let Some(wait) = wait else {
        return starting(claim);
    };
    if is_held(wait, paces, now) {
        return output_held(wait, false, claim);
    }
    let reason = match (wait.cause, is_restart) {
        // Of its own earlier task, which is not cleared yet.
        (Cause::Answer(Class::TaskExists), true) => Reason::CoolingDown,
        (cause, _) => reason(cause),
    };
    let so = if unseen && reason == Reason::WaitingForChannel {
        format!(
            "The live channels cannot be listed, so that only a Start tells: grant live:ListRTCLiveRooms to {}.",
            grantee(view)
        )
    } else {
        "The relay does not run.".to_owned()
    };
    let text = format!(
        "StartLiveMPUTask {}: {} {so}",
        fault(wait),
        advice(wait.cause, view)
    );
    let phase = match reason.condition() {
        ConditionType::Stalled => Phase::Failed,
        ConditionType::Ready | ConditionType::Reconciling if is_restart => Phase::Stopped,
        ConditionType::Ready | ConditionType::Reconciling => Phase::Pending,
    };
    Verdict::new(phase, reason, with_schedule(&text, Some(wait)), claim)
}

/// An Update has failed, and waits; `is_open`: one may have taken effect all the same. The relay runs on.
#[must_use]
pub fn update_fails(
    view: &View,
    wait: Option<&Wait>,
    is_open: bool,
    (paces, now): (&Paces, Timestamp),
    claim: Option<Claim>,
) -> Verdict {
    let Some(wait) = wait else {
        return updating(claim);
    };
    if is_held(wait, paces, now) {
        return output_held(wait, true, claim);
    }
    let reason = told(Call::Update, wait.cause);
    let so = if is_open {
        "The relay runs on, as it was before the change or after it: no answer tells."
    } else {
        "The relay runs on as it was before the change."
    };
    let text = format!(
        "UpdateLiveMPUTask {}: {} {so}",
        fault(wait),
        advice(wait.cause, view)
    );
    Verdict::new(
        Phase::Running,
        reason,
        with_schedule(&text, Some(wait)),
        claim,
    )
}

/// The parameters cannot be told.
#[must_use]
pub fn unavailable(reason: Reason, message: &str, runs: bool, claim: Option<Claim>) -> Verdict {
    let phase = match (reason.condition(), runs) {
        (_, true) => Phase::Running,
        (ConditionType::Stalled, false) => Phase::Failed,
        (ConditionType::Ready | ConditionType::Reconciling, false) => Phase::Pending,
    };
    let so = if runs {
        "The relay runs on as it was."
    } else {
        "The relay is not started."
    };
    Verdict::new(phase, reason, format!("{message} {so}"), claim)
}

/// Another object has an output.
#[must_use]
pub fn output_in_use(rival: &Rival, runs: bool, claim: Option<Claim>) -> Verdict {
    let so = if runs {
        "The change is not sent, and the relay runs on as it was. It is sent when the output is free."
    } else {
        "This object starts nothing. It takes over when the output is free."
    };
    let message = format!(
        "An output belongs to {}. {so} Not to wait for that, name another one in spec.relay.outputs, or in the Secret behind it.",
        who(rival)
    );
    let phase = if runs { Phase::Running } else { Phase::Failed };
    Verdict::new(phase, Reason::OutputInUse, message, claim)
}

/// The service has refused for an output for longer than anything of before can use it still: something else does.
fn is_held(wait: &Wait, paces: &Paces, now: Timestamp) -> bool {
    let lasts = Duration::try_from(now.duration_since(wait.since)).unwrap_or_default();
    wait.cause == Cause::Answer(Class::OutputBusy) && lasts >= paces.settle_time
}

/// A task that belongs to no object has an output.
fn output_held(wait: &Wait, runs: bool, claim: Option<Claim>) -> Verdict {
    let (action, so) = if runs {
        (
            "UpdateLiveMPUTask",
            "The relay runs on as it was before the change.",
        )
    } else {
        ("StartLiveMPUTask", "The relay does not run.")
    };
    let text = format!(
        "{action} {}: a task that no relay of this cluster started streams to an output. {so} Stop that task, or delete the object without a \
         relay that guards it; or name another output in spec.relay.outputs or in the Secret behind it; to take that task over instead, create \
         this object again with the annotation mixedstream.io/adopt-running-task set to its id.",
        fault(wait)
    );
    let phase = if runs { Phase::Running } else { Phase::Failed };
    Verdict::new(
        phase,
        Reason::OutputInUse,
        with_schedule(&text, Some(wait)),
        claim,
    )
}

/// A task of this id exists that this object did not start; or whether one does cannot be told.
#[must_use]
pub fn foreign(view: &View, exists: bool, waits: &Waits, claim: Option<Claim>) -> Verdict {
    let task = view.ids.as_ref().map_or("", |ids| ids.task.as_str());
    if !exists && let Some(wait) = waits.get(Action::ListRtcMpuTaskDetail) {
        let text = format!(
            "Whether task {task} runs already cannot be told: ListRtcMPUTaskDetail {}: {}",
            fault(wait),
            advice(wait.cause, view)
        );
        return Verdict::new(
            Phase::Pending,
            reason(wait.cause),
            with_schedule(&text, Some(wait)),
            claim,
        );
    }
    let message = if view.is_adopting() {
        format!(
            "Task {task} runs in the service, but not in the channel of this object, so that it is not taken over. This object does nothing, and \
             its deletion stops nothing. Take the annotation mixedstream.io/adopt-running-task away, or have it name a task of this channel."
        )
    } else {
        format!(
            "Task {task} runs in the service already, and this object did not start it. This object does nothing, and its deletion stops nothing. \
             It takes the id over when that task is gone; to take over the task, set the annotation mixedstream.io/adopt-running-task to its id; \
             otherwise create this object again with another spec.taskId, or with none."
        )
    };
    Verdict::new(Phase::Failed, Reason::TaskIdInUse, message, claim)
}

fn phase_of(runs: bool) -> Phase {
    if runs { Phase::Running } else { Phase::Pending }
}
