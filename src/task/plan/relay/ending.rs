//! The end of a relay that no Stop brought: concluded from what the reads of all tasks and channels show, and taken back where they show it again.

use super::{Life, is_lasting};
use crate::{
    api::StopReason,
    live::Action,
    task::{
        evidence::Call,
        plan::{Step, Turn, on_our_clock, turn},
        trail::{AUTO_STOP, READING_GAP},
    },
};
use std::time::Duration;

/// A task that is not there any more.
pub(super) struct Gone {
    pub reason: StopReason,
    /// Since when it is missed.
    pub since: Duration,
}

impl Life<'_> {
    /// A Stop without an answer may have been the end of a task that is missed since then.
    pub(super) fn may_be_our_stop(&self, since: Duration) -> bool {
        let noticed = self.paces.sweep_period * 2 + READING_GAP;
        self.memory
            .stop_open
            .is_some_and(|until| since <= until + noticed)
    }

    /// Whether the task is gone, and why.
    pub(super) fn gone(&self) -> Option<Gone> {
        let accepted = self.ledger.accepted_at()?;
        // Just started, it need not be listed yet.
        let trusted = on_our_clock(accepted, self.now) + self.paces.settle_time;
        let channel = &self.facts.seen.channel;
        if let Some((first, second)) = self.facts.seen.absent
            && first >= trusted
        {
            let is_read = channel.read.is_some_and(|read| read >= second);
            // Somebody may have come back right after the service had stopped the task.
            let lately = self.paces.sweep_period * 2 + READING_GAP;
            let was_away = channel
                .was_away
                .is_some_and(|(since, last)| since >= trusted && last + lately >= first);
            let reason = match (is_read, channel.is_live() && !was_away) {
                (true, true) => Some(StopReason::StoppedElsewhere),
                (true, false) => Some(StopReason::ChannelEmpty),
                // Why it is gone will not be known as long as somebody has to do something first.
                (false, _) => self
                    .facts
                    .seen
                    .channels_fail
                    .as_ref()
                    .is_some_and(|fault| is_lasting(fault.class))
                    .then_some(StopReason::Unknown),
            };
            return reason.map(|reason| Gone {
                reason,
                since: first,
            });
        }
        // A service may list stopped tasks; it stops one whose channel stays empty all the same.
        let lives = AUTO_STOP.max(self.view.max_idle.unwrap_or_default()) + self.paces.idle_margin;
        let away = channel.away_since.zip(channel.read);
        let (since, last) = away?;
        let is_over = since >= trusted && last.saturating_sub(since) > lives;
        (is_over && !self.view.crosses_channels).then_some(Gone {
            reason: StopReason::ChannelEmpty,
            since,
        })
    }

    /// It was taken for stopped, and a later read of all tasks shows one of its id: the list by id tells whose it is.
    pub(super) fn look_whether_back(&self) -> Option<Step> {
        let back = self.facts.seen.back?;
        let is_known = self
            .memory
            .identity
            .as_ref()
            .is_some_and(|identity| identity.asked >= back);
        let is_foreign = self.memory.foreign || self.view.is_told_foreign();
        let is_asked_elsewhere = is_foreign || self.view.is_adopting();
        if is_known || is_asked_elsewhere || !self.ledger.is_taken_for_stopped() {
            return None;
        }
        let due = self
            .memory
            .waits
            .due(Action::ListRtcMpuTaskDetail, self.view.generation);
        Some(match turn(self.view, self.memory, due, self.now) {
            Turn::Now(bought) => Step::Call {
                call: Call::Identify,
                bought,
            },
            Turn::At(at) => Step::Rest(Some(at)),
        })
    }
}
