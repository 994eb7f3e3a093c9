//! What is known of the relay that an object starts, as its status keeps it.

use super::{verdict::whole_seconds, view::View};
use crate::api::{DesiredState, Mark, MixedStreamTaskStatus, RestartPolicy, StopReason};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The relay's story so far. Part of the status; what a process learns beyond it is an overlay until it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// A Start is about to be sent, or was sent and the task is not known to be stopped since.
    pub intent: Option<Mark>,
    /// The parameters that the service accepted last; none while the outcome of a Start is open.
    pub accepted: Option<Mark>,
    /// The first accepted Start.
    pub started_at: Option<Timestamp>,
    /// When the task was stopped or found stopped last.
    pub stopped_at: Option<Timestamp>,
    /// Why.
    pub stop_reason: Option<StopReason>,
    /// After somebody else stopped the task: when its channel was first seen without anybody.
    pub channel_left_at: Option<Timestamp>,
}

/// Where the relay stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Nothing was ever started.
    Never,
    /// An intent is recorded, and whether its Start took effect is not.
    Open,
    /// The service accepted it, and it is not known to be stopped.
    Running,
    /// It ran, and was stopped or found stopped.
    Stopped,
}

impl Ledger {
    /// What the status says.
    #[must_use]
    pub fn of(status: &MixedStreamTaskStatus) -> Self {
        let time = |time: &Option<Time>| time.as_ref().map(|time| time.0);
        Self {
            intent: status.intent.clone(),
            accepted: status.accepted.clone(),
            started_at: time(&status.started_at),
            stopped_at: time(&status.stopped_at),
            stop_reason: status.stop_reason,
            channel_left_at: time(&status.channel_left_at),
        }
    }

    /// Writes it into a status.
    pub fn write(self, status: &mut MixedStreamTaskStatus) {
        let Self {
            intent,
            accepted,
            started_at,
            stopped_at,
            stop_reason,
            channel_left_at,
        } = self;
        status.intent = intent;
        status.accepted = accepted;
        status.started_at = started_at.map(Time);
        status.stopped_at = stopped_at.map(Time);
        status.stop_reason = stop_reason;
        status.channel_left_at = channel_left_at.map(Time);
    }

    /// Where the relay stands.
    #[must_use]
    pub fn state(&self) -> State {
        match (&self.intent, &self.accepted) {
            (Some(_), Some(_)) => State::Running,
            (Some(_), None) => State::Open,
            (None, _) if self.started_at.is_some() => State::Stopped,
            (None, _) => State::Never,
        }
    }

    /// A Start is about to be sent.
    #[must_use]
    pub fn intending(self, intent: Mark) -> Self {
        Self {
            intent: Some(intent),
            accepted: None,
            ..self
        }
    }

    /// The service accepted the intended Start.
    #[must_use]
    pub fn started(self, now: Timestamp) -> Self {
        let now = whole_seconds(now);
        let accepted = self.intent.as_ref().map(|intent| Mark {
            at: Some(Time(now)),
            ..intent.clone()
        });
        Self {
            accepted,
            started_at: self.started_at.or(Some(now)),
            stopped_at: None,
            stop_reason: None,
            channel_left_at: None,
            intent: self.intent,
        }
    }

    /// The intended Start is found to have taken effect: it runs since then.
    #[must_use]
    pub fn found(self, now: Timestamp) -> Self {
        let sent = self.intent.as_ref().and_then(|intent| intent.at.as_ref());
        let started_at = self.started_at.or(sent.map(|at| at.0));
        Self { started_at, ..self }.started(now)
    }

    /// The service accepted changed parameters.
    #[must_use]
    pub fn updated(self, accepted: Mark) -> Self {
        Self {
            accepted: Some(accepted),
            ..self
        }
    }

    /// An Update had no answer: which parameters the service has is not known, so that another Update is due whatever the spec asks for.
    #[must_use]
    pub fn updated_perhaps(self) -> Self {
        Self {
            accepted: self.accepted.map(|accepted| Mark {
                parameters_hash: None,
                ..accepted
            }),
            ..self
        }
    }

    /// The intended Start certainly took no effect.
    #[must_use]
    pub fn refused(self) -> Self {
        Self {
            intent: None,
            ..self
        }
    }

    /// A task that was only taken for stopped is listed again: it has run all the time.
    #[must_use]
    pub fn back(self, now: Timestamp) -> Self {
        // What was read before says nothing of it any more.
        let accepted = self.accepted.map(|accepted| Mark {
            at: Some(Time(whole_seconds(now))),
            ..accepted
        });
        Self {
            intent: accepted.clone(),
            accepted,
            started_at: self.started_at,
            stopped_at: None,
            stop_reason: None,
            channel_left_at: None,
        }
    }

    /// The task is stopped.
    #[must_use]
    pub fn stopped(self, reason: StopReason, now: Timestamp) -> Self {
        let now = whole_seconds(now);
        Self {
            intent: None,
            // A Start whose outcome stayed open may have run.
            started_at: self.started_at.or_else(|| {
                let intent = self.intent.as_ref()?;
                Some(intent.at.as_ref().map_or(now, |at| at.0))
            }),
            stopped_at: Some(now),
            stop_reason: Some(reason),
            channel_left_at: None,
            accepted: self.accepted,
        }
    }

    /// A running task of the same parameters but, maybe, other details was found and is this object's from now on.
    #[must_use]
    pub fn adopted(self, generation: i64, now: Timestamp) -> Self {
        let now = whole_seconds(now);
        // Without a hash: whatever the spec asks for is sent as one Update.
        let mark = Mark {
            at: Some(Time(now)),
            generation: Some(generation),
            parameters_hash: None,
        };
        Self {
            intent: Some(mark.clone()),
            accepted: Some(mark),
            started_at: self.started_at.or(Some(now)),
            stopped_at: None,
            stop_reason: None,
            channel_left_at: None,
        }
    }

    /// Whether the last task of this object was stopped by a Stop of ours, and not only taken for stopped.
    #[must_use]
    pub fn is_proven_stopped(&self) -> bool {
        match self.stop_reason {
            Some(StopReason::Requested | StopReason::MaxDuration) => true,
            Some(StopReason::ChannelEmpty | StopReason::StoppedElsewhere | StopReason::Unknown)
            | None => false,
        }
    }

    /// Whether the end of a relay that ran was only concluded from what the lists show.
    #[must_use]
    pub fn is_taken_for_stopped(&self) -> bool {
        self.state() == State::Stopped && !self.is_proven_stopped() && self.accepted.is_some()
    }

    /// When the relay has run for as long as it may.
    #[must_use]
    pub fn limit(&self, view: &View) -> Option<Timestamp> {
        self.started_at?.checked_add(view.max_duration?).ok()
    }

    /// Whether the spec wants a relay that does not run to be started when somebody is in its channel.
    #[must_use]
    pub fn may_start(&self, view: &View, now: Timestamp) -> bool {
        let is_over = self.limit(view).is_some_and(|limit| limit <= now);
        let is_over_by_itself = match (self.state(), self.stop_reason) {
            (
                State::Stopped,
                Some(StopReason::ChannelEmpty | StopReason::StoppedElsewhere | StopReason::Unknown),
            ) => view.restart == RestartPolicy::Never,
            (State::Stopped, Some(StopReason::Requested | StopReason::MaxDuration) | None)
            | (State::Never | State::Open, _) => false,
            (State::Running, _) => true,
        };
        view.desired == DesiredState::Running && !is_over && !is_over_by_itself
    }

    /// When the last Start or Update was accepted.
    #[must_use]
    pub fn accepted_at(&self) -> Option<Timestamp> {
        self.accepted.as_ref()?.at.as_ref().map(|at| at.0)
    }

    /// The hash of the parameters accepted last.
    #[must_use]
    pub fn accepted_hash(&self) -> Option<&str> {
        self.accepted.as_ref()?.parameters_hash.as_deref()
    }
}
