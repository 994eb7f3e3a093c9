//! What is told to people when the status changes: one event and one log line for what they would want to know, never one per retry.

use super::{
    dossier::tell,
    ledger::{Ledger, State},
    shared::Shared,
    verdict::{Caveat, Verdict},
    view::View,
};
use crate::api::{ConditionType, Reason, StopReason};

/// Tells of a status that was just stored over that of `view`.
pub fn announce(shared: &Shared, view: &View, verdict: &Verdict) {
    let old = Ledger::of(&view.status);
    let new = verdict.ledger.clone().unwrap_or_else(|| old.clone());
    let turn = turning_point(view, &old, &new);
    if let Some((warning, reason, text)) = &turn {
        log(view, *warning, reason, text);
        tell(shared, view, *warning, reason, text.clone());
    }
    let new_caveats = verdict
        .caveats
        .iter()
        .filter(|caveat| !view.is_told(&caveat.text));
    for Caveat { event, text } in new_caveats {
        log(view, true, event, text);
        tell(shared, view, true, event, text.clone());
    }
    if view.told_reason() == Some(verdict.reason.as_str()) {
        return;
    }
    let is_warning = verdict.reason.condition() == ConditionType::Stalled
        || verdict.reason == Reason::StopUnconfirmed;
    log(view, is_warning, verdict.reason.as_str(), &verdict.message);
    let is_news = is_warning
        || match verdict.reason {
            Reason::Armed | Reason::Completed => true,
            Reason::Suspended
            | Reason::Running
            | Reason::Stopped
            | Reason::Starting
            | Reason::Updating
            | Reason::Stopping
            | Reason::WaitingForChannel
            | Reason::WaitingForSecret
            | Reason::CoolingDown
            | Reason::OutcomeUnknown
            | Reason::Throttled
            | Reason::ServiceUnavailable
            | Reason::StopUnconfirmed
            | Reason::TaskIdInUse
            | Reason::OutputInUse
            | Reason::AppNotAllowed
            | Reason::InvalidSpec
            | Reason::AppIdRejected
            | Reason::RequestRejected
            | Reason::AccessDenied
            | Reason::ServiceNotEnabled
            | Reason::CredentialsMissing
            | Reason::CredentialsRejected
            | Reason::QuotaExceeded => false,
        };
    if is_news {
        tell(
            shared,
            view,
            is_warning,
            verdict.reason.as_str(),
            verdict.message.clone(),
        );
    }
}

fn log(view: &View, is_warning: bool, reason: &str, text: &str) {
    if is_warning {
        tracing::warn!(object = %view.key, uid = view.uid, reason, "{text}");
    } else {
        tracing::info!(object = %view.key, uid = view.uid, reason, "{text}");
    }
}

/// What happened to the relay between two stories of it.
fn turning_point(view: &View, old: &Ledger, new: &Ledger) -> Option<(bool, &'static str, String)> {
    match (old.state(), new.state()) {
        (State::Running, State::Running)
            if new.accepted_hash().is_some() && old.accepted_hash() != new.accepted_hash() =>
        {
            Some((
                false,
                "Updated",
                "The service accepted the changed parameters.".to_owned(),
            ))
        }
        (State::Never | State::Open | State::Stopped, State::Running) => {
            Some(if new.accepted_hash().is_some() {
                let text = if view.is_adopting() && old.started_at.is_none() {
                    "The list showed no task to take over by the id that mixedstream.io/adopt-running-task names, so one was started under \
                     that id: the service accepted the start."
                } else {
                    "The service accepted the start."
                };
                (false, "Started", text.to_owned())
            } else {
                (
                    false,
                    "Adopted",
                    "A task that ran already belongs to this object now.".to_owned(),
                )
            })
        }
        (State::Running | State::Open, State::Stopped) if new.stopped_at != old.stopped_at => {
            let by = match new.stop_reason {
                Some(StopReason::Requested) => "by this operator, as spec.desiredState asks",
                Some(StopReason::MaxDuration) => "by this operator, after spec.maxDurationSeconds",
                Some(StopReason::ChannelEmpty) => "by the service, since nobody was in the channel",
                Some(StopReason::StoppedElsewhere) => {
                    "by something else than this operator, while the channel was live"
                }
                Some(StopReason::Unknown) | None => "by the service or by something else",
            };
            Some((false, "Stopped", format!("The relay was stopped {by}.")))
        }
        (
            State::Never | State::Open | State::Running | State::Stopped,
            State::Never | State::Open | State::Running | State::Stopped,
        ) => None,
    }
}
